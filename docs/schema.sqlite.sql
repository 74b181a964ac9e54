-- The schema after all migrations on sqlite. Written by internal/archtest with -update; do not edit.

CREATE TABLE alarm_condition (
	owner TEXT NOT NULL,
	name TEXT NOT NULL,
	finding TEXT NOT NULL,
	since BIGINT NOT NULL,
	gone BIGINT NOT NULL,
	told_at BIGINT NOT NULL,
	told_bad BOOLEAN NOT NULL,
	PRIMARY KEY (owner, name)
	);

CREATE TABLE alarm_told (
	owner TEXT NOT NULL PRIMARY KEY,
	at BIGINT NOT NULL
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
CREATE INDEX audit_act_seq ON audit_act (seq);

CREATE TABLE audit_counter (
	name TEXT NOT NULL PRIMARY KEY,
	value BIGINT NOT NULL
	);

CREATE TABLE audit_head (
	epoch BIGINT NOT NULL,
	tag BLOB NOT NULL,
	head BLOB NOT NULL,
	lines BIGINT NOT NULL,
	PRIMARY KEY (epoch, tag)
	);

CREATE TABLE audit_leaf (
	seq BIGINT NOT NULL PRIMARY KEY,
	leaf BLOB NOT NULL,
	salt BLOB NOT NULL,
	record BLOB NOT NULL,
	log_index BIGINT NOT NULL
	, process TEXT NOT NULL DEFAULT '');
CREATE INDEX audit_leaf_log_index ON audit_leaf (process, log_index);

CREATE TABLE audit_line (
	seq BIGINT NOT NULL PRIMARY KEY,
	subject_id TEXT NOT NULL,
	at BIGINT NOT NULL,
	epoch BIGINT NOT NULL,
	hidden_until BIGINT NOT NULL
	);
CREATE INDEX audit_line_subject ON audit_line (subject_id, at, seq);

CREATE TABLE axis_agency (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
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

CREATE TABLE axis_code (
	code TEXT NOT NULL,
	agency BIGINT NOT NULL,
	valid_from BIGINT NOT NULL,
	valid_to BIGINT NOT NULL,
	PRIMARY KEY (code, agency, valid_from)
	);
CREATE INDEX axis_code_agency ON axis_code (agency);
CREATE UNIQUE INDEX axis_code_today ON axis_code (code) WHERE valid_to = 0;

CREATE TABLE axis_copy (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
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
CREATE INDEX axis_copy_agency ON axis_copy (agency, seq);
CREATE INDEX axis_copy_lease ON axis_copy (lease_until) WHERE state = 'processing';
CREATE INDEX axis_copy_message ON axis_copy (message);
CREATE INDEX axis_copy_open ON axis_copy (party, kind, seq) WHERE state <> 'done';
CREATE INDEX axis_copy_received ON axis_copy (received_at) WHERE received_at <> 0;
CREATE INDEX axis_copy_sender ON axis_copy (sender, kind, seq);
CREATE INDEX axis_copy_sent ON axis_copy (sent_at);
CREATE INDEX axis_copy_silent ON axis_copy (due_at) WHERE business < '02';
CREATE INDEX axis_copy_waiting ON axis_copy (to_code) WHERE state <> 'done';

CREATE TABLE axis_head (
	id BIGINT PRIMARY KEY,
	seq BIGINT NOT NULL,
	hash TEXT NOT NULL
	);

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
CREATE INDEX axis_journal_event ON axis_journal (event, at);
CREATE INDEX axis_journal_message ON axis_journal (message, seq);
CREATE INDEX axis_journal_party ON axis_journal (party, seq);
CREATE INDEX axis_journal_peer ON axis_journal (peer, seq);

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
CREATE UNIQUE INDEX axis_message_document ON axis_message (from_agency, document_id) WHERE kind = 'edoc' AND doc_kind = 0 AND document_id <> '';
CREATE INDEX axis_message_known_as ON axis_message (document_id, from_agency);
CREATE INDEX axis_message_number ON axis_message (from_agency, number, notation, year);
CREATE INDEX axis_message_payload ON axis_message (sha256);
CREATE UNIQUE INDEX axis_message_same ON axis_message (party, kind, sha256);
CREATE INDEX axis_message_sent ON axis_message (sent_at);

CREATE TABLE axis_revision (
	agency BIGINT NOT NULL,
	version BIGINT NOT NULL,
	at BIGINT NOT NULL,
	actor TEXT NOT NULL,
	what TEXT NOT NULL,
	act TEXT NOT NULL,
	snapshot BLOB NOT NULL,
	PRIMARY KEY (agency, version)
	);

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

CREATE TABLE delivery_event (
	service TEXT NOT NULL,
	seq BIGINT NOT NULL,
	type TEXT NOT NULL,
	key TEXT NOT NULL,
	payload BLOB NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (service, seq)
	);
CREATE INDEX delivery_event_type ON delivery_event (service, type, seq);

CREATE TABLE delivery_following (
	subscriber TEXT NOT NULL,
	service TEXT NOT NULL,
	type TEXT NOT NULL,
	subscription TEXT NOT NULL,
	state TEXT NOT NULL,
	position BIGINT NOT NULL,
	asked_at BIGINT NOT NULL,
	moved_at BIGINT NOT NULL,
	PRIMARY KEY (subscriber, service, type)
	);

CREATE TABLE delivery_in (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	sender TEXT NOT NULL,
	id TEXT NOT NULL,
	service TEXT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	query TEXT NOT NULL,
	content_type TEXT NOT NULL,
	purpose TEXT NOT NULL,
	dossier TEXT NOT NULL,
	user_id TEXT NOT NULL,
	body BLOB NOT NULL,
	digest TEXT NOT NULL,
	order_key TEXT NOT NULL,
	mode TEXT NOT NULL,
	state TEXT NOT NULL,
	received_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	done_at BIGINT NOT NULL,
	lease TEXT NOT NULL,
	leased_until BIGINT NOT NULL,
	attempts BIGINT NOT NULL,
	status BIGINT NOT NULL,
	answer_type TEXT NOT NULL,
	answer BLOB NOT NULL,
	error TEXT NOT NULL,
	UNIQUE (sender, id)
	);
CREATE INDEX delivery_in_work ON delivery_in (service, state, seq);

CREATE TABLE delivery_out (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	sender TEXT NOT NULL,
	id TEXT NOT NULL,
	service TEXT NOT NULL,
	peer TEXT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	query TEXT NOT NULL,
	content_type TEXT NOT NULL,
	body BLOB NOT NULL,
	size BIGINT NOT NULL,
	digest TEXT NOT NULL,
	order_key TEXT NOT NULL,
	skip BOOLEAN NOT NULL,
	kind TEXT NOT NULL,
	ref TEXT NOT NULL,
	user_id TEXT NOT NULL,
	activity TEXT NOT NULL,
	basis TEXT NOT NULL,
	dossier TEXT NOT NULL,
	state TEXT NOT NULL,
	attempts BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	sent_at BIGINT NOT NULL,
	accepted_at BIGINT NOT NULL,
	done_at BIGINT NOT NULL,
	status BIGINT NOT NULL,
	answer_type TEXT NOT NULL,
	answer BLOB NOT NULL,
	error TEXT NOT NULL,
	UNIQUE (sender, id)
	);
CREATE INDEX delivery_out_state ON delivery_out (state, created_at);

CREATE TABLE delivery_stream (
	service TEXT PRIMARY KEY,
	last BIGINT NOT NULL
	);

CREATE TABLE delivery_subscription (
	id TEXT PRIMARY KEY,
	service TEXT NOT NULL,
	type TEXT NOT NULL,
	subscriber TEXT NOT NULL,
	callback TEXT NOT NULL,
	state TEXT NOT NULL,
	challenge TEXT NOT NULL,
	position BIGINT NOT NULL,
	in_flight BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	moved_at BIGINT NOT NULL,
	error TEXT NOT NULL,
	UNIQUE (service, type, subscriber)
	);

CREATE TABLE directory_document (
	version BIGINT PRIMARY KEY,
	hash TEXT NOT NULL,
	envelope BLOB NOT NULL,
	issued_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
	);

CREATE TABLE directory_entry (
	kind TEXT NOT NULL,
	id TEXT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (kind, id)
	);

CREATE TABLE directory_lock (
	id BIGINT PRIMARY KEY,
	changes BIGINT NOT NULL
	);

CREATE TABLE directory_member (
	id TEXT PRIMARY KEY,
	body TEXT NOT NULL
	);

CREATE TABLE directory_node (
	id TEXT PRIMARY KEY,
	body TEXT NOT NULL,
	certificate TEXT NOT NULL,
	not_after BIGINT NOT NULL,
	joined_at BIGINT NOT NULL,
	last_seen BIGINT NOT NULL,
	published_at BIGINT NOT NULL
	, tls_changed_at BIGINT NOT NULL DEFAULT 0);

CREATE TABLE directory_revocation (
	key_id TEXT PRIMARY KEY,
	node TEXT NOT NULL,
	reason TEXT NOT NULL,
	revoked_at BIGINT NOT NULL
	);

CREATE TABLE directory_service (
	id TEXT PRIMARY KEY,
	body TEXT NOT NULL
	);

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
	, approval BIGINT NOT NULL DEFAULT 0);

CREATE TABLE documents_content (
	sha256 TEXT NOT NULL,
	document TEXT NOT NULL,
	PRIMARY KEY (sha256, document)
	);

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
CREATE INDEX documents_document_code ON documents_document (office, number_key, notation);
CREATE INDEX documents_document_list ON documents_document (office, direction, created_at, id);
CREATE INDEX documents_document_name ON documents_document (office, document_id);
CREATE INDEX documents_document_registered ON documents_document (office, registered_at);
CREATE INDEX documents_document_state ON documents_document (office, direction, state, due_at);

CREATE TABLE documents_event (
	document TEXT NOT NULL,
	seq BIGINT NOT NULL,
	type TEXT NOT NULL,
	at BIGINT NOT NULL,
	body BLOB NOT NULL,
	prev_hash TEXT NOT NULL,
	hash TEXT NOT NULL,
	PRIMARY KEY (document, seq)
	);
CREATE TRIGGER documents_event_no_delete BEFORE DELETE ON documents_event
	BEGIN SELECT RAISE(ABORT, 'documents_event is append-only'); END;
CREATE TRIGGER documents_event_no_update BEFORE UPDATE ON documents_event
	BEGIN SELECT RAISE(ABORT, 'documents_event is append-only'); END;

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
CREATE INDEX documents_number_document ON documents_number (document);
CREATE INDEX documents_number_taken ON documents_number (office, direction, taken_at);
CREATE TRIGGER documents_number_no_delete BEFORE DELETE ON documents_number
	BEGIN SELECT RAISE(ABORT, 'a number that was taken stays'); END;

CREATE TABLE documents_opening (
	document TEXT NOT NULL,
	at BIGINT NOT NULL,
	account TEXT NOT NULL,
	name TEXT NOT NULL,
	what TEXT NOT NULL
	);
CREATE INDEX documents_opening_document ON documents_opening (document, at);
CREATE TRIGGER documents_opening_no_delete BEFORE DELETE ON documents_opening
	BEGIN SELECT RAISE(ABORT, 'documents_opening is append-only'); END;
CREATE TRIGGER documents_opening_no_update BEFORE UPDATE ON documents_opening
	BEGIN SELECT RAISE(ABORT, 'documents_opening is append-only'); END;

CREATE TABLE documents_seen (
	message TEXT PRIMARY KEY,
	seen_at BIGINT NOT NULL
	);

CREATE TABLE documents_series (
	office TEXT NOT NULL,
	direction TEXT NOT NULL,
	year BIGINT NOT NULL,
	series TEXT NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (office, direction, year, series)
	);

CREATE TABLE documents_viewer (
	account TEXT NOT NULL,
	document TEXT NOT NULL,
	PRIMARY KEY (account, document)
	);
CREATE INDEX documents_viewer_document ON documents_viewer (document);

CREATE TABLE exchange_access_change (
	id BIGINT PRIMARY KEY,
	n BIGINT NOT NULL
	);

CREATE TABLE exchange_access_group (
	code TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	changed_at BIGINT NOT NULL,
	changed_by TEXT NOT NULL
	);

CREATE TABLE exchange_access_member (
	code TEXT NOT NULL,
	member TEXT NOT NULL,
	PRIMARY KEY (code, member)
	);

CREATE TABLE exchange_access_rule (
	id TEXT PRIMARY KEY,
	consumer TEXT NOT NULL,
	service TEXT NOT NULL,
	methods TEXT NOT NULL,
	path TEXT NOT NULL,
	activities TEXT NOT NULL,
	basis TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	UNIQUE (consumer, service, methods, path)
	);

CREATE TABLE exchange_agreement (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	content_hash TEXT NOT NULL UNIQUE,
	iv TEXT NOT NULL UNIQUE,
	document BLOB NOT NULL,
	center TEXT NOT NULL,
	received_at BIGINT NOT NULL
	);

CREATE TABLE exchange_agreement_statement (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	content_hash TEXT NOT NULL,
	member TEXT NOT NULL,
	kind TEXT NOT NULL,
	statement BLOB NOT NULL,
	received_at BIGINT NOT NULL,
	UNIQUE (content_hash, member, kind)
	);

CREATE TABLE exchange_apikey (
	id TEXT PRIMARY KEY,
	hash TEXT NOT NULL UNIQUE,
	subsystem TEXT NOT NULL,
	label TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	revoked_at BIGINT NOT NULL
	, kind TEXT NOT NULL DEFAULT 'api_key', thumbprint TEXT NOT NULL DEFAULT '', error_codes TEXT NOT NULL DEFAULT '');

CREATE TABLE exchange_block (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	messages BIGINT NOT NULL,
	faults BIGINT NOT NULL,
	at_min BIGINT NOT NULL,
	at_max BIGINT NOT NULL,
	recorded_min BIGINT NOT NULL,
	recorded_max BIGINT NOT NULL,
	log_max BIGINT NOT NULL
	);
CREATE INDEX exchange_block_at ON exchange_block (at_min);
CREATE INDEX exchange_block_fault ON exchange_block (seq) WHERE faults > 0;
CREATE INDEX exchange_block_log ON exchange_block (log_max);
CREATE INDEX exchange_block_recorded ON exchange_block (recorded_min);

CREATE TABLE exchange_block_data (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	data BLOB NOT NULL
	);

CREATE TABLE exchange_checkpoint (
	origin TEXT NOT NULL,
	size BIGINT NOT NULL,
	note TEXT NOT NULL,
	witnesses BIGINT NOT NULL,
	at BIGINT NOT NULL,
	token BLOB NOT NULL,
	authority TEXT NOT NULL,
	stamped_at BIGINT NOT NULL,
	PRIMARY KEY (origin, size)
	);
CREATE INDEX exchange_checkpoint_stamped ON exchange_checkpoint (origin, stamped_at, size);

CREATE TABLE exchange_chunk (
	run BIGINT NOT NULL,
	hash BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (run, hash, seq)
	);

CREATE TABLE exchange_counter (
	id BIGINT PRIMARY KEY,
	next_seq BIGINT NOT NULL,
	next_run BIGINT NOT NULL
	);

CREATE TABLE exchange_hour (
	hour BIGINT NOT NULL,
	party BLOB NOT NULL,
	messages BIGINT NOT NULL,
	duration BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	PRIMARY KEY (hour, party)
	);
CREATE INDEX exchange_hour_party ON exchange_hour (party, hour);

CREATE TABLE exchange_incident (
	kind TEXT NOT NULL,
	origin TEXT NOT NULL,
	peer TEXT NOT NULL,
	detail TEXT NOT NULL,
	first_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	times BIGINT NOT NULL,
	PRIMARY KEY (kind, origin, peer)
	);

CREATE TABLE exchange_message (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	role TEXT NOT NULL,
	request_id TEXT NOT NULL,
	exchange_id TEXT NOT NULL,
	client TEXT NOT NULL,
	service TEXT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	status BIGINT NOT NULL,
	outcome TEXT NOT NULL,
	at BIGINT NOT NULL,
	duration BIGINT NOT NULL,
	request_index BIGINT NOT NULL,
	response_index BIGINT NOT NULL,
	request_size BIGINT NOT NULL,
	response_size BIGINT NOT NULL,
	activity TEXT NOT NULL,
	dossier TEXT NOT NULL, grant_hash TEXT NOT NULL DEFAULT '', delegator TEXT NOT NULL DEFAULT '', service_delegator TEXT NOT NULL DEFAULT '', recorded BIGINT NOT NULL DEFAULT 0, request_out BIGINT NOT NULL DEFAULT 0, response_in BIGINT NOT NULL DEFAULT 0, peer TEXT NOT NULL DEFAULT '', trace_id TEXT NOT NULL DEFAULT '', fault_id TEXT NOT NULL DEFAULT '', request_body_index BIGINT NOT NULL DEFAULT -1, response_body_index BIGINT NOT NULL DEFAULT -1,
	UNIQUE (role, request_id)
	);
CREATE INDEX exchange_message_at ON exchange_message (at);
CREATE INDEX exchange_message_exchange ON exchange_message (exchange_id);
CREATE INDEX exchange_message_recorded ON exchange_message (recorded);

CREATE TABLE exchange_operator (
	id TEXT PRIMARY KEY,
	hash TEXT NOT NULL UNIQUE,
	label TEXT NOT NULL,
	roles TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL,
	revoked_at BIGINT NOT NULL
	);

CREATE TABLE exchange_party (
	id BLOB PRIMARY KEY,
	role TEXT NOT NULL,
	client TEXT NOT NULL,
	service TEXT NOT NULL,
	peer TEXT NOT NULL,
	outcome TEXT NOT NULL
	);

CREATE TABLE exchange_publication (
	code TEXT PRIMARY KEY,
	kind TEXT NOT NULL,
	name_vi TEXT NOT NULL,
	name_en TEXT NOT NULL,
	about_vi TEXT NOT NULL,
	about_en TEXT NOT NULL,
	personal BOOLEAN NOT NULL,
	public BOOLEAN NOT NULL,
	bodies TEXT NOT NULL,
	backend_url TEXT NOT NULL,
	timeout BIGINT NOT NULL,
	connect_timeout BIGINT NOT NULL,
	ca TEXT NOT NULL,
	server_name TEXT NOT NULL,
	client_cert BOOLEAN NOT NULL,
	plain_http BOOLEAN NOT NULL,
	disabled BOOLEAN NOT NULL,
	notice TEXT NOT NULL,
	document BLOB,
	source TEXT NOT NULL,
	declared BOOLEAN NOT NULL,
	version BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	changed_by TEXT NOT NULL
	, verify TEXT NOT NULL DEFAULT '', async_only BOOLEAN NOT NULL DEFAULT FALSE, ends_at BIGINT NOT NULL DEFAULT 0);

CREATE TABLE exchange_publication_change (
	id BIGINT PRIMARY KEY,
	n BIGINT NOT NULL
	);

CREATE TABLE exchange_publication_draft (
	id TEXT PRIMARY KEY,
	code TEXT NOT NULL,
	document BLOB NOT NULL,
	source TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by TEXT NOT NULL
	);

CREATE TABLE exchange_publication_endpoint (
	code TEXT NOT NULL,
	seq BIGINT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	manual BOOLEAN NOT NULL,
	PRIMARY KEY (code, method, path)
	);

CREATE TABLE exchange_publication_right (
	code TEXT NOT NULL,
	seq BIGINT NOT NULL,
	consumer TEXT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	activities TEXT NOT NULL,
	basis TEXT NOT NULL,
	PRIMARY KEY (code, consumer, method, path)
	);

CREATE TABLE exchange_run (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	level BIGINT NOT NULL,
	state BIGINT NOT NULL,
	first_seq BIGINT NOT NULL,
	merged_into BIGINT NOT NULL
	);

CREATE TABLE exchange_witnessed (
	origin TEXT PRIMARY KEY,
	size BIGINT NOT NULL,
	root TEXT NOT NULL,
	at BIGINT NOT NULL
	);

CREATE TABLE identity_login_event (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
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

CREATE TABLE identity_session (
	token_hash BLOB NOT NULL PRIMARY KEY,
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
	agent_hash BLOB NOT NULL
	);
CREATE INDEX identity_session_idle ON identity_session (idle_until);
CREATE INDEX identity_session_subject ON identity_session (kind, subject, last_seen);

CREATE TABLE outbox_message (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	id TEXT NOT NULL UNIQUE,
	topic TEXT NOT NULL,
	order_key TEXT NOT NULL,
	payload BLOB NOT NULL,
	state TEXT NOT NULL,
	attempts BIGINT NOT NULL,
	added_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	last_error TEXT NOT NULL,
	owner TEXT NOT NULL
	, lane TEXT NOT NULL DEFAULT '', holds BOOLEAN NOT NULL DEFAULT FALSE);
CREATE INDEX outbox_message_due ON outbox_message (state, due_at);
CREATE INDEX outbox_message_order ON outbox_message (topic, order_key, seq) WHERE state <> 'done';

CREATE TABLE oversight_cursor (
	agency       TEXT NOT NULL PRIMARY KEY,
	last_seq     BIGINT NOT NULL,
	last_ok      BIGINT NOT NULL,
	failed_since BIGINT NOT NULL,
	error_key    TEXT NOT NULL
	);

CREATE TABLE oversight_dossier (
	agency         TEXT NOT NULL,
	dossier        TEXT NOT NULL,
	unit           TEXT NOT NULL,
	procedure_code TEXT NOT NULL,
	mode           TEXT NOT NULL,
	channel        TEXT NOT NULL,
	state          TEXT NOT NULL,
	national       BIGINT NOT NULL,
	submitted_at   BIGINT NOT NULL,
	received_at    BIGINT NOT NULL,
	due_at         BIGINT NOT NULL,
	due_end        BIGINT NOT NULL,
	finished_at    BIGINT NOT NULL,
	finished_week  BIGINT NOT NULL,
	paused_since   BIGINT NOT NULL,
	outcome        TEXT NOT NULL,
	punctual       TEXT NOT NULL,
	supplements    BIGINT NOT NULL,
	again_at       BIGINT NOT NULL,
	extensions     BIGINT NOT NULL,
	stars          BIGINT NOT NULL,
	fee_total      BIGINT NOT NULL,
	fee_paid       BIGINT NOT NULL,
	last_seq       BIGINT NOT NULL,
	PRIMARY KEY (agency, dossier)
	);
CREATE INDEX oversight_dossier_again ON oversight_dossier (again_at, agency, procedure_code);
CREATE INDEX oversight_dossier_finished ON oversight_dossier (finished_at, agency, procedure_code, outcome, punctual, stars, finished_week);
CREATE INDEX oversight_dossier_open ON oversight_dossier (outcome, agency, procedure_code, received_at, due_end, paused_since);
CREATE INDEX oversight_dossier_received ON oversight_dossier (received_at, agency, procedure_code, channel);

CREATE TABLE oversight_fact (
	agency    TEXT NOT NULL,
	seq       BIGINT NOT NULL,
	at        BIGINT NOT NULL,
	kind      TEXT NOT NULL,
	dossier   TEXT NOT NULL,
	unit      TEXT NOT NULL,
	procedure_code TEXT NOT NULL,
	mode      TEXT NOT NULL,
	state     TEXT NOT NULL,
	national  BIGINT NOT NULL,
	channel   TEXT NOT NULL,
	due       BIGINT NOT NULL,
	stars     BIGINT NOT NULL,
	final     BIGINT NOT NULL,
	paused    BIGINT NOT NULL,
	fee_total BIGINT NOT NULL,
	fee_paid  BIGINT NOT NULL,
	PRIMARY KEY (agency, seq)
	);
CREATE INDEX oversight_fact_dossier ON oversight_fact (agency, dossier, seq);
CREATE INDEX oversight_fact_kind ON oversight_fact (kind, at);

CREATE TABLE oversight_offer (
	agency         TEXT NOT NULL,
	procedure_code TEXT NOT NULL,
	version        TEXT NOT NULL,
	mode           TEXT NOT NULL,
	offices        BIGINT NOT NULL,
	PRIMARY KEY (agency, procedure_code)
	);

CREATE TABLE receipt_batch (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	size BIGINT NOT NULL,
	token BLOB NOT NULL, -- RFC 3161
	roots TEXT NOT NULL,
	at BIGINT NOT NULL
	);

CREATE TABLE receipt_issued (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	doc_id TEXT NOT NULL,
	copy TEXT NOT NULL, -- '' for the acceptance of the whole message
	event TEXT NOT NULL,
	document_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	sender TEXT NOT NULL,
	receiver TEXT NOT NULL, -- codes between blanks
	at BIGINT NOT NULL,
	journal TEXT NOT NULL,
	reason TEXT NOT NULL,
	jws TEXT NOT NULL,
	directory BIGINT NOT NULL,
	batch BIGINT NOT NULL DEFAULT 0, -- 0: the time-stamp is pending
	place BIGINT NOT NULL DEFAULT 0  -- in the tree of the batch
	);
CREATE INDEX receipt_issued_batch ON receipt_issued (batch, place, id);
CREATE UNIQUE INDEX receipt_issued_once ON receipt_issued (doc_id, copy, event);

CREATE TABLE registers_alias (
	register   TEXT NOT NULL,
	name       TEXT NOT NULL,
	value      TEXT NOT NULL,
	record_key TEXT NOT NULL,
	PRIMARY KEY (register, name, value, record_key)
	);
CREATE INDEX registers_alias_key ON registers_alias (register, record_key);

CREATE TABLE registers_blob (
	register TEXT NOT NULL,
	hash     TEXT NOT NULL,
	seed     BLOB NOT NULL,
	body     BLOB NOT NULL,
	PRIMARY KEY (register, hash)
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

CREATE TABLE registers_head (
	register TEXT NOT NULL PRIMARY KEY,
	last_n   BIGINT NOT NULL
	);

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

CREATE TABLE registers_record (
	register   TEXT NOT NULL,
	record_key TEXT NOT NULL,
	n          BIGINT NOT NULL,
	hash       TEXT NOT NULL,
	PRIMARY KEY (register, record_key)
	);

CREATE TABLE registers_search (
	register   TEXT NOT NULL,
	born       TEXT NOT NULL,
	province   TEXT NOT NULL,
	record_key TEXT NOT NULL,
	name_fold  TEXT NOT NULL,
	year       BIGINT NOT NULL,
	PRIMARY KEY (register, born, province, record_key, name_fold)
	);
CREATE INDEX registers_search_key ON registers_search (register, record_key);
CREATE INDEX registers_search_year ON registers_search (register, year, province);

CREATE TABLE services_blob (
	sha256 TEXT PRIMARY KEY,
	media TEXT NOT NULL,
	size BIGINT NOT NULL,
	content BLOB NOT NULL,
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
	submission BLOB NOT NULL,
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
CREATE INDEX services_dossier_applicant ON services_dossier (applicant_id, procedure, submitted_at);
CREATE INDEX services_dossier_due ON services_dossier (final, due_at);
CREATE INDEX services_dossier_work ON services_dossier (current_agency, state, due_at, id);

CREATE TABLE services_dossier_event (
	dossier_id TEXT NOT NULL,
	seq BIGINT NOT NULL,
	type TEXT NOT NULL,
	at BIGINT NOT NULL,
	body BLOB NOT NULL,
	prev_hash TEXT NOT NULL,
	hash TEXT NOT NULL,
	PRIMARY KEY (dossier_id, seq)
	);
CREATE TRIGGER services_dossier_event_no_delete BEFORE DELETE ON services_dossier_event
	BEGIN SELECT RAISE(ABORT, 'services_dossier_event is append-only'); END;
CREATE TRIGGER services_dossier_event_no_update BEFORE UPDATE ON services_dossier_event
	BEGIN SELECT RAISE(ABORT, 'services_dossier_event is append-only'); END;

CREATE TABLE services_draft (
	id TEXT PRIMARY KEY,
	owner TEXT NOT NULL,
	procedure TEXT NOT NULL,
	version_hash TEXT NOT NULL,
	unit TEXT NOT NULL,
	body BLOB NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	row_version BIGINT NOT NULL
	);
CREATE INDEX services_draft_owner ON services_draft (owner, updated_at);

CREATE TABLE services_fact (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at BIGINT NOT NULL,
	body BLOB NOT NULL
	);

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
	submission BLOB NOT NULL,
	summary BLOB NOT NULL,
	submitted_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	last_seq BIGINT NOT NULL,
	row_version BIGINT NOT NULL
	);
CREATE INDEX services_filing_number ON services_filing (number);
CREATE INDEX services_filing_owner ON services_filing (owner, submitted_at);

CREATE TABLE services_filing_event (
	filing_id TEXT NOT NULL,
	seq BIGINT NOT NULL,
	body BLOB NOT NULL,
	PRIMARY KEY (filing_id, seq)
	);

CREATE TABLE services_inbox (
	message_id TEXT PRIMARY KEY,
	at BIGINT NOT NULL
	);

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

CREATE TABLE services_opinion (
	dossier_id TEXT NOT NULL,
	officer TEXT NOT NULL,
	text TEXT NOT NULL,
	saved_at BIGINT NOT NULL,
	PRIMARY KEY (dossier_id, officer)
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

CREATE TABLE services_procedure (
	code TEXT NOT NULL,
	hash TEXT NOT NULL,
	version TEXT NOT NULL,
	bundle BLOB NOT NULL,
	published_at BIGINT NOT NULL,
	published_by TEXT NOT NULL,
	current BOOLEAN NOT NULL,
	PRIMARY KEY (code, hash)
	);

CREATE TABLE storage_migration (
	module TEXT NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (module, name));
