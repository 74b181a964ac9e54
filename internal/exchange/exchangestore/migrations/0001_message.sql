-- A rebuildable index of the exchange log: the log is the evidence, this is how to find it. No personal data.
CREATE TABLE exchange_message (
	seq SERIALKEY,
	role TEXT NOT NULL,
	request_id TEXT NOT NULL,
	exchange_id TEXT NOT NULL,
	client TEXT NOT NULL,
	service TEXT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	status BIGINT NOT NULL,
	outcome TEXT NOT NULL,
	at BIGINT NOT NULL,
	duration BIGINT NOT NULL,
	request_index BIGINT NOT NULL,
	response_index BIGINT NOT NULL,
	request_size BIGINT NOT NULL,
	response_size BIGINT NOT NULL,
	activity TEXT NOT NULL,
	dossier TEXT NOT NULL,
	UNIQUE (role, request_id)
);
CREATE INDEX exchange_message_exchange ON exchange_message (exchange_id);
CREATE INDEX exchange_message_at ON exchange_message (at);

-- API keys of programs at the edge. The hash is of 256 random bits.
CREATE TABLE exchange_apikey (
	id TEXT PRIMARY KEY,
	hash TEXT NOT NULL UNIQUE,
	subsystem TEXT NOT NULL,
	label TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	revoked_at BIGINT NOT NULL
);
