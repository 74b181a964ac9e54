CREATE TABLE identity_session (
	token_hash BYTEA NOT NULL PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	name TEXT NOT NULL,
	agency TEXT NOT NULL,
	roles TEXT NOT NULL,
	level BIGINT NOT NULL,
	issuer TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	last_seen BIGINT NOT NULL,
	idle_until BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL,
	device TEXT NOT NULL,
	agent_hash BYTEA NOT NULL
);
CREATE INDEX identity_session_subject ON identity_session (kind, subject, last_seen);
CREATE INDEX identity_session_idle ON identity_session (idle_until);
CREATE TABLE identity_login_event (
	seq SERIALKEY,
	at BIGINT NOT NULL,
	event TEXT NOT NULL,
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	session_id TEXT NOT NULL,
	issuer TEXT NOT NULL,
	device TEXT NOT NULL,
	reason TEXT NOT NULL,
	request_id TEXT NOT NULL
);
CREATE INDEX identity_login_event_subject ON identity_login_event (kind, subject, seq);
CREATE TABLE identity_officer (
	account TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL,
	title TEXT NOT NULL,
	agency TEXT NOT NULL,
	roles TEXT NOT NULL,
	valid_from BIGINT NOT NULL,
	valid_to BIGINT NOT NULL,
	updated_at BIGINT NOT NULL
);
