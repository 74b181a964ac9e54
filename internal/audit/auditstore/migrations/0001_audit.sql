CREATE TABLE audit_counter (
	name TEXT NOT NULL PRIMARY KEY,
	value BIGINT NOT NULL
);
INSERT INTO audit_counter (name, value) VALUES ('seq', 0);

-- One row a leaf. log_index is -1 until its place in the log is noted. record and salt may be emptied after
-- retention; leaf stays.
CREATE TABLE audit_leaf (
	seq BIGINT NOT NULL PRIMARY KEY,
	leaf BYTEA NOT NULL,
	salt BYTEA NOT NULL,
	record BYTEA NOT NULL,
	log_index BIGINT NOT NULL
);
CREATE INDEX audit_leaf_log_index ON audit_leaf (log_index);

-- hidden_until is 0 for a line that was never hidden and 9223372036854775807 for one without a date.
CREATE TABLE audit_line (
	seq BIGINT NOT NULL PRIMARY KEY,
	subject_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	epoch BIGINT NOT NULL,
	hidden_until BIGINT NOT NULL
);
CREATE INDEX audit_line_subject ON audit_line (subject_id, at, seq);

CREATE TABLE audit_head (
	epoch BIGINT NOT NULL,
	tag BYTEA NOT NULL,
	head BYTEA NOT NULL,
	lines BIGINT NOT NULL,
	PRIMARY KEY (epoch, tag)
);

CREATE TABLE audit_act (
	id TEXT NOT NULL PRIMARY KEY,
	seq BIGINT NOT NULL,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	action TEXT NOT NULL,
	object TEXT NOT NULL
);
CREATE INDEX audit_act_object ON audit_act (object, at);
