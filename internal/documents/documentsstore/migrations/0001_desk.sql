CREATE TABLE documents_document (
	id TEXT PRIMARY KEY,
	direction TEXT NOT NULL,
	office TEXT NOT NULL,
	state TEXT NOT NULL,
	kind BIGINT NOT NULL,
	type TEXT NOT NULL,
	number TEXT NOT NULL,
	number_key TEXT NOT NULL,
	notation TEXT NOT NULL,
	n BIGINT NOT NULL,
	doc_date TEXT NOT NULL,
	subject TEXT NOT NULL,
	party TEXT NOT NULL,
	party_name TEXT NOT NULL,
	document_id TEXT NOT NULL,
	search TEXT NOT NULL,
	drafter TEXT NOT NULL,
	holder TEXT NOT NULL,
	signer TEXT NOT NULL,
	urgency BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	clock TEXT NOT NULL,
	send_at BIGINT NOT NULL,
	flags TEXT NOT NULL,
	registered_at BIGINT NOT NULL,
	sent_at BIGINT NOT NULL,
	done_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	row_version BIGINT NOT NULL
);
CREATE INDEX documents_document_list ON documents_document (office, direction, created_at, id);
CREATE INDEX documents_document_state ON documents_document (office, direction, state, due_at);
CREATE INDEX documents_document_name ON documents_document (office, document_id);
CREATE INDEX documents_document_code ON documents_document (office, number_key, notation);
CREATE INDEX documents_document_registered ON documents_document (office, registered_at);

CREATE TABLE documents_event (
	document TEXT NOT NULL,
	seq BIGINT NOT NULL,
	type TEXT NOT NULL,
	at BIGINT NOT NULL,
	body BYTEA NOT NULL,
	prev_hash TEXT NOT NULL,
	hash TEXT NOT NULL,
	PRIMARY KEY (document, seq)
);

-- Who may see a document besides the clerks and heads of its office.
CREATE TABLE documents_viewer (
	account TEXT NOT NULL,
	document TEXT NOT NULL,
	PRIMARY KEY (account, document)
);
CREATE INDEX documents_viewer_document ON documents_viewer (document);

CREATE TABLE documents_series (
	office TEXT NOT NULL,
	direction TEXT NOT NULL,
	year BIGINT NOT NULL,
	series TEXT NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (office, direction, year, series)
);

-- Every number that was ever taken; a voided one stays with its reason.
CREATE TABLE documents_number (
	office TEXT NOT NULL,
	direction TEXT NOT NULL,
	year BIGINT NOT NULL,
	series TEXT NOT NULL,
	n BIGINT NOT NULL,
	notation TEXT NOT NULL,
	document TEXT NOT NULL,
	taken_at BIGINT NOT NULL,
	voided_at BIGINT NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (office, direction, year, series, n)
);
CREATE INDEX documents_number_taken ON documents_number (office, direction, taken_at);
CREATE INDEX documents_number_document ON documents_number (document);

CREATE TABLE documents_seen (
	message TEXT PRIMARY KEY,
	seen_at BIGINT NOT NULL
);

CREATE TABLE documents_opening (
	document TEXT NOT NULL,
	at BIGINT NOT NULL,
	account TEXT NOT NULL,
	name TEXT NOT NULL,
	what TEXT NOT NULL
);
CREATE INDEX documents_opening_document ON documents_opening (document, at);
