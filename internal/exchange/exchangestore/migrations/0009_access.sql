-- Access rules and local groups that operators manage while the node runs.
CREATE TABLE exchange_access_rule (
	id TEXT PRIMARY KEY,
	consumer TEXT NOT NULL,
	service TEXT NOT NULL,
	methods TEXT NOT NULL,
	path TEXT NOT NULL,
	activities TEXT NOT NULL,
	basis TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	UNIQUE (consumer, service, methods, path)
);
CREATE TABLE exchange_access_group (
	code TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	changed_at BIGINT NOT NULL,
	changed_by TEXT NOT NULL
);
CREATE TABLE exchange_access_member (
	code TEXT NOT NULL,
	member TEXT NOT NULL,
	PRIMARY KEY (code, member)
);
-- One row that counts changes, for the other processes of the node.
CREATE TABLE exchange_access_change (
	id BIGINT PRIMARY KEY,
	n BIGINT NOT NULL
);
INSERT INTO exchange_access_change (id, n) VALUES (1, 0);
