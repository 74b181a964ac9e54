-- Keys of the management interface. The hash is of a random secret; roles are words with spaces between.
CREATE TABLE exchange_operator (
	id TEXT PRIMARY KEY,
	hash TEXT NOT NULL UNIQUE,
	label TEXT NOT NULL,
	roles TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	revoked_at BIGINT NOT NULL
);
