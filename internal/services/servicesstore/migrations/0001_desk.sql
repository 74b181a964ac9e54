CREATE TABLE services_procedure (
	code TEXT NOT NULL,
	hash TEXT NOT NULL,
	version TEXT NOT NULL,
	bundle BYTEA NOT NULL,
	published_at BIGINT NOT NULL,
	published_by TEXT NOT NULL,
	current BOOLEAN NOT NULL,
	PRIMARY KEY (code, hash)
);

CREATE TABLE services_blob (
	sha256 TEXT PRIMARY KEY,
	media TEXT NOT NULL,
	size BIGINT NOT NULL,
	content BYTEA NOT NULL,
	stored_at BIGINT NOT NULL
);

CREATE TABLE services_counter (
	agency TEXT NOT NULL,
	day TEXT NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (agency, day)
);

CREATE TABLE services_dossier (
	id TEXT PRIMARY KEY,
	number TEXT NOT NULL UNIQUE,
	filing_id TEXT NOT NULL UNIQUE,
	procedure TEXT NOT NULL,
	version_hash TEXT NOT NULL,
	case_id TEXT NOT NULL,
	received_agency TEXT NOT NULL,
	competent_agency TEXT NOT NULL,
	current_agency TEXT NOT NULL,
	channel TEXT NOT NULL,
	applicant_id TEXT NOT NULL,
	applicant_name TEXT NOT NULL,
	search_fold TEXT NOT NULL,
	submission BYTEA NOT NULL,
	state TEXT NOT NULL,
	finance TEXT NOT NULL,
	digitisation TEXT NOT NULL,
	delivery TEXT NOT NULL,
	assignee TEXT NOT NULL,
	submitted_at BIGINT NOT NULL,
	received_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	paused_since BIGINT NOT NULL,
	finished_at BIGINT NOT NULL,
	returned_at BIGINT NOT NULL,
	final BOOLEAN NOT NULL,
	row_version BIGINT NOT NULL
);
CREATE INDEX services_dossier_work ON services_dossier (current_agency, state, due_at, id);
CREATE INDEX services_dossier_due ON services_dossier (final, due_at);
CREATE INDEX services_dossier_applicant ON services_dossier (applicant_id, procedure, submitted_at);

CREATE TABLE services_dossier_event (
	dossier_id TEXT NOT NULL,
	seq BIGINT NOT NULL,
	type TEXT NOT NULL,
	at BIGINT NOT NULL,
	body BYTEA NOT NULL,
	prev_hash TEXT NOT NULL,
	hash TEXT NOT NULL,
	PRIMARY KEY (dossier_id, seq)
);

CREATE TABLE services_inbox (
	message_id TEXT PRIMARY KEY,
	at BIGINT NOT NULL
);

CREATE TABLE services_fact (
	seq SERIALKEY,
	at BIGINT NOT NULL,
	body BYTEA NOT NULL
);

CREATE TABLE services_opinion (
	dossier_id TEXT NOT NULL,
	officer TEXT NOT NULL,
	text TEXT NOT NULL,
	saved_at BIGINT NOT NULL,
	PRIMARY KEY (dossier_id, officer)
);
