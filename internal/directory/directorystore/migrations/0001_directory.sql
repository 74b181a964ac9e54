-- One row that every change takes first, so that changes of the registry happen one after the other on both engines.
CREATE TABLE directory_lock (
	id BIGINT PRIMARY KEY,
	changes BIGINT NOT NULL
);
INSERT INTO directory_lock (id, changes) VALUES (1, 0);

CREATE TABLE directory_member (
	id TEXT PRIMARY KEY,
	body TEXT NOT NULL
);

-- body is the public part, as it stands in the document.
CREATE TABLE directory_node (
	id TEXT PRIMARY KEY,
	body TEXT NOT NULL,
	certificate TEXT NOT NULL,
	not_after BIGINT NOT NULL,
	joined_at BIGINT NOT NULL,
	last_seen BIGINT NOT NULL,
	published_at BIGINT NOT NULL
);

CREATE TABLE directory_service (
	id TEXT PRIMARY KEY,
	body TEXT NOT NULL
);

-- The public half of a token's key only: whoever reads this table cannot join.
CREATE TABLE directory_token (
	id TEXT PRIMARY KEY,
	member TEXT NOT NULL,
	node TEXT NOT NULL,
	public_key TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	used_at BIGINT NOT NULL,
	tls_key_id TEXT NOT NULL,
	signing_key_id TEXT NOT NULL
);

CREATE TABLE directory_revocation (
	key_id TEXT PRIMARY KEY,
	node TEXT NOT NULL,
	reason TEXT NOT NULL,
	revoked_at BIGINT NOT NULL
);

-- Every version ever signed; evidence packages refer to old ones.
CREATE TABLE directory_document (
	version BIGINT PRIMARY KEY,
	hash TEXT NOT NULL,
	envelope BYTEA NOT NULL,
	issued_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
