-- Services of the agency's own systems, published over the exchange. Texts come from the agency's operators.
CREATE TABLE exchange_publication (
	code TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	name_vi TEXT NOT NULL,
	name_en TEXT NOT NULL,
	about_vi TEXT NOT NULL,
	about_en TEXT NOT NULL,
	personal BOOLEAN NOT NULL,
	public BOOLEAN NOT NULL,
	bodies TEXT NOT NULL,
	backend_url TEXT NOT NULL,
	timeout BIGINT NOT NULL,
	connect_timeout BIGINT NOT NULL,
	ca TEXT NOT NULL,
	server_name TEXT NOT NULL,
	client_cert BOOLEAN NOT NULL,
	plain_http BOOLEAN NOT NULL,
	disabled BOOLEAN NOT NULL,
	notice TEXT NOT NULL,
	document BYTEA,
	source TEXT NOT NULL,
	declared BOOLEAN NOT NULL,
	version BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	changed_by TEXT NOT NULL
);
CREATE TABLE exchange_publication_endpoint (
	code TEXT NOT NULL,
	seq BIGINT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	manual BOOLEAN NOT NULL,
	PRIMARY KEY (code, method, path)
);
CREATE TABLE exchange_publication_right (
	code TEXT NOT NULL,
	seq BIGINT NOT NULL,
	consumer TEXT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	activities TEXT NOT NULL,
	basis TEXT NOT NULL,
	PRIMARY KEY (code, consumer, method, path)
);
-- One row that counts changes, for the other processes of the node.
CREATE TABLE exchange_publication_change (
	id BIGINT PRIMARY KEY,
	n BIGINT NOT NULL
);
INSERT INTO exchange_publication_change (id, n) VALUES (1, 0);
-- Documents that were handed in and not confirmed yet; they go after a day.
CREATE TABLE exchange_publication_draft (
	id TEXT PRIMARY KEY,
	code TEXT NOT NULL,
	document BYTEA NOT NULL,
	source TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL
);
