-- Systems of the VXP protocol. Secrets are sealed with the node's key.
CREATE TABLE axis_system (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	window_us BIGINT NOT NULL,
	unlimited BOOLEAN NOT NULL,
	addresses TEXT NOT NULL,
	may_register BOOLEAN NOT NULL,
	hash_optional BOOLEAN NOT NULL,
	refuse_repeats BOOLEAN NOT NULL,
	suspended BOOLEAN NOT NULL,
	sealed TEXT NOT NULL,
	old_sealed TEXT NOT NULL,
	old_until BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL
);

-- Agencies at the axis. One that ended stays, with its successors and the legal act.
CREATE TABLE axis_agency (
	id SERIALKEY,
	code TEXT NOT NULL,
	name TEXT NOT NULL,
	mail TEXT NOT NULL,
	mobile TEXT NOT NULL,
	fax TEXT NOT NULL,
	parent TEXT NOT NULL,
	old_code TEXT NOT NULL,
	aliases TEXT NOT NULL,
	owner TEXT NOT NULL,
	is_agency BOOLEAN NOT NULL,
	locked BOOLEAN NOT NULL,
	valid_from BIGINT NOT NULL,
	valid_to BIGINT NOT NULL,
	successors TEXT NOT NULL,
	act TEXT NOT NULL,
	version BIGINT NOT NULL,
	changed_at BIGINT NOT NULL
);

-- Which code meant which agency, and when: current, old and second names. A code means one agency at a time.
CREATE TABLE axis_code (
	code TEXT NOT NULL,
	agency BIGINT NOT NULL,
	valid_from BIGINT NOT NULL,
	valid_to BIGINT NOT NULL,
	PRIMARY KEY (code, agency, valid_from)
);
CREATE UNIQUE INDEX axis_code_today ON axis_code (code) WHERE valid_to = 0;
CREATE INDEX axis_code_agency ON axis_code (agency);

CREATE TABLE axis_revision (
	agency BIGINT NOT NULL,
	version BIGINT NOT NULL,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	what TEXT NOT NULL,
	act TEXT NOT NULL,
	snapshot BYTEA NOT NULL,
	PRIMARY KEY (agency, version)
);

-- Messages that were accepted. The payload is a file named by its digest.
CREATE TABLE axis_message (
	id TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	party TEXT NOT NULL,
	from_code TEXT NOT NULL,
	from_agency BIGINT NOT NULL,
	document_id TEXT NOT NULL,
	number TEXT NOT NULL,
	notation TEXT NOT NULL,
	year BIGINT NOT NULL,
	doc_kind BIGINT NOT NULL,
	type_name TEXT NOT NULL,
	subject TEXT NOT NULL,
	priority BIGINT NOT NULL,
	status_code TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	size BIGINT NOT NULL,
	receivers BIGINT NOT NULL,
	sent_at BIGINT NOT NULL,
	expired_at BIGINT NOT NULL
);
-- The same bytes of the same party are one message; the sending agency is part of the bytes.
CREATE UNIQUE INDEX axis_message_same ON axis_message (party, kind, sha256);
-- A new document has an identifier of its own in its agency.
CREATE UNIQUE INDEX axis_message_document ON axis_message (from_agency, document_id) WHERE kind = 'edoc' AND doc_kind = 0 AND document_id <> '';
CREATE INDEX axis_message_known_as ON axis_message (document_id, from_agency);
CREATE INDEX axis_message_number ON axis_message (from_agency, number, notation, year);
CREATE INDEX axis_message_sent ON axis_message (sent_at);
CREATE INDEX axis_message_payload ON axis_message (sha256);

-- What each receiver has of a message.
CREATE TABLE axis_copy (
	seq SERIALKEY,
	id TEXT NOT NULL UNIQUE,
	message TEXT NOT NULL,
	kind TEXT NOT NULL,
	sender TEXT NOT NULL,
	agency BIGINT NOT NULL,
	to_code TEXT NOT NULL,
	given TEXT NOT NULL,
	party TEXT NOT NULL,
	state TEXT NOT NULL,
	description TEXT NOT NULL,
	lease_until BIGINT NOT NULL,
	priority BIGINT NOT NULL,
	sent_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	opened_at BIGINT NOT NULL,
	received_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	business TEXT NOT NULL,
	business_at BIGINT NOT NULL,
	pushes BIGINT NOT NULL
);
CREATE INDEX axis_copy_open ON axis_copy (party, kind, seq) WHERE state <> 'done';
CREATE INDEX axis_copy_lease ON axis_copy (lease_until) WHERE state = 'processing';
CREATE INDEX axis_copy_sender ON axis_copy (sender, kind, seq);
CREATE INDEX axis_copy_message ON axis_copy (message);
CREATE INDEX axis_copy_agency ON axis_copy (agency, seq);
CREATE INDEX axis_copy_sent ON axis_copy (sent_at);
CREATE INDEX axis_copy_received ON axis_copy (received_at) WHERE received_at <> 0;
CREATE INDEX axis_copy_waiting ON axis_copy (to_code) WHERE state <> 'done';
CREATE INDEX axis_copy_silent ON axis_copy (due_at) WHERE business < '02';

-- What happened, in order, each entry with the hash of the one before it. Rows are only added.
CREATE TABLE axis_journal (
	seq BIGINT PRIMARY KEY,
	at BIGINT NOT NULL,
	event TEXT NOT NULL,
	message TEXT NOT NULL,
	copy TEXT NOT NULL,
	kind TEXT NOT NULL,
	party TEXT NOT NULL,
	peer TEXT NOT NULL,
	from_code TEXT NOT NULL,
	to_code TEXT NOT NULL,
	document TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	size BIGINT NOT NULL,
	note TEXT NOT NULL,
	prev_hash TEXT NOT NULL,
	hash TEXT NOT NULL
);
CREATE INDEX axis_journal_message ON axis_journal (message, seq);
CREATE INDEX axis_journal_party ON axis_journal (party, seq);
CREATE INDEX axis_journal_peer ON axis_journal (peer, seq);
CREATE INDEX axis_journal_event ON axis_journal (event, at);

CREATE TABLE axis_head (
	id BIGINT PRIMARY KEY,
	seq BIGINT NOT NULL,
	hash TEXT NOT NULL
);
INSERT INTO axis_head (id, seq, hash) VALUES (1, 0, '');

CREATE TABLE axis_alert (
	kind TEXT NOT NULL,
	agency TEXT NOT NULL,
	subject TEXT NOT NULL,
	party TEXT NOT NULL,
	message TEXT NOT NULL,
	n BIGINT NOT NULL,
	first_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	PRIMARY KEY (kind, agency, subject)
);
CREATE INDEX axis_alert_last ON axis_alert (last_at);
