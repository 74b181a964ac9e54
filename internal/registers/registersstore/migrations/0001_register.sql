-- One log per register. registers_head gives entry numbers without gaps: its row is locked by the appending
-- transaction, so a number that was given is a number that was written.
CREATE TABLE registers_head (
	register TEXT NOT NULL PRIMARY KEY,
	last_n   BIGINT NOT NULL
);

CREATE TABLE registers_entry (
	register   TEXT NOT NULL,
	n          BIGINT NOT NULL,
	at         BIGINT NOT NULL,
	record_key TEXT NOT NULL,
	hash       TEXT NOT NULL,
	valid_from TEXT NOT NULL,
	basis      TEXT NOT NULL,
	PRIMARY KEY (register, n)
);
CREATE INDEX registers_entry_key ON registers_entry (register, record_key, n);

-- The content of an entry: canonical JSON and the seed of the salts behind its hash. Salts make every hash its own.
CREATE TABLE registers_blob (
	register TEXT NOT NULL,
	hash     TEXT NOT NULL,
	seed     BYTEA NOT NULL,
	body     BYTEA NOT NULL,
	PRIMARY KEY (register, hash)
);

-- The latest entry of each key; can always be rebuilt from registers_entry.
CREATE TABLE registers_record (
	register   TEXT NOT NULL,
	record_key TEXT NOT NULL,
	n          BIGINT NOT NULL,
	hash       TEXT NOT NULL,
	PRIMARY KEY (register, record_key)
);

CREATE TABLE registers_alias (
	register   TEXT NOT NULL,
	name       TEXT NOT NULL,
	value      TEXT NOT NULL,
	record_key TEXT NOT NULL,
	PRIMARY KEY (register, name, value, record_key)
);
CREATE INDEX registers_alias_key ON registers_alias (register, record_key);

-- Search by name within a birth date or year (registers.md §4.4): clustered by what narrows down, compared in Go.
CREATE TABLE registers_search (
	register   TEXT NOT NULL,
	born       TEXT NOT NULL,
	province   TEXT NOT NULL,
	record_key TEXT NOT NULL,
	name_fold  TEXT NOT NULL,
	year       BIGINT NOT NULL,
	PRIMARY KEY (register, born, province, record_key, name_fold)
);
CREATE INDEX registers_search_year ON registers_search (register, year, province);
CREATE INDEX registers_search_key ON registers_search (register, record_key);

-- How often a register was read, without a word about whom.
CREATE TABLE registers_read (
	register  TEXT NOT NULL,
	day       TEXT NOT NULL,
	subsystem TEXT NOT NULL,
	activity  TEXT NOT NULL,
	kind      TEXT NOT NULL,
	delivered BIGINT NOT NULL,
	missed    BIGINT NOT NULL,
	PRIMARY KEY (register, day, subsystem, activity, kind)
);
