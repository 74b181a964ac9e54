CREATE TABLE services_offer (
	procedure TEXT NOT NULL,
	agency TEXT NOT NULL,
	unit TEXT NOT NULL,
	unit_name TEXT NOT NULL,
	province TEXT NOT NULL,
	version_hash TEXT NOT NULL,
	version TEXT NOT NULL,
	mode TEXT NOT NULL,
	seen_at BIGINT NOT NULL,
	PRIMARY KEY (procedure, unit)
);

CREATE TABLE services_draft (
	id TEXT PRIMARY KEY,
	owner TEXT NOT NULL,
	procedure TEXT NOT NULL,
	version_hash TEXT NOT NULL,
	unit TEXT NOT NULL,
	body BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	row_version BIGINT NOT NULL
);
CREATE INDEX services_draft_owner ON services_draft (owner, updated_at);

CREATE TABLE services_filing (
	id TEXT PRIMARY KEY,
	owner TEXT NOT NULL,
	procedure TEXT NOT NULL,
	version_hash TEXT NOT NULL,
	agency TEXT NOT NULL,
	unit TEXT NOT NULL,
	number TEXT NOT NULL,
	state TEXT NOT NULL,
	sync TEXT NOT NULL,
	sync_error TEXT NOT NULL,
	submission BYTEA NOT NULL,
	summary BYTEA NOT NULL,
	submitted_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	last_seq BIGINT NOT NULL,
	row_version BIGINT NOT NULL
);
CREATE INDEX services_filing_owner ON services_filing (owner, submitted_at);
CREATE INDEX services_filing_number ON services_filing (number);

CREATE TABLE services_filing_event (
	filing_id TEXT NOT NULL,
	seq BIGINT NOT NULL,
	body BYTEA NOT NULL,
	PRIMARY KEY (filing_id, seq)
);

CREATE TABLE services_payment (
	reference TEXT PRIMARY KEY,
	filing_id TEXT NOT NULL,
	amount BIGINT NOT NULL,
	state TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	row_version BIGINT NOT NULL
);
CREATE INDEX services_payment_filing ON services_payment (filing_id, created_at);

CREATE TABLE services_payment_event (
	reference TEXT NOT NULL,
	seq BIGINT NOT NULL,
	at BIGINT NOT NULL,
	kind TEXT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (reference, seq)
);
