-- Agreements between members: immutable documents, and what the parties signed about them. Nothing is changed or removed.
CREATE TABLE exchange_agreement (
	seq SERIALKEY,
	content_hash TEXT NOT NULL UNIQUE,
	iv TEXT NOT NULL UNIQUE,
	document BYTEA NOT NULL,
	center TEXT NOT NULL,
	received_at BIGINT NOT NULL
);
CREATE TABLE exchange_agreement_statement (
	seq SERIALKEY,
	content_hash TEXT NOT NULL,
	member TEXT NOT NULL,
	kind TEXT NOT NULL,
	statement BYTEA NOT NULL,
	received_at BIGINT NOT NULL,
	UNIQUE (content_hash, member, kind)
);

-- Under which grant, and on whose behalf: for the index of messages.
ALTER TABLE exchange_message ADD COLUMN grant_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE exchange_message ADD COLUMN delegator TEXT NOT NULL DEFAULT '';
ALTER TABLE exchange_message ADD COLUMN service_delegator TEXT NOT NULL DEFAULT '';
