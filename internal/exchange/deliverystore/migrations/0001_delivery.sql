-- Messages this node sends. The body and the person's id are forgotten when the message has come to its end.
CREATE TABLE delivery_out (
	seq SERIALKEY,
	sender TEXT NOT NULL,
	id TEXT NOT NULL,
	service TEXT NOT NULL,
	peer TEXT NOT NULL,
	method TEXT NOT NULL,
	path TEXT NOT NULL,
	query TEXT NOT NULL,
	content_type TEXT NOT NULL,
	body BYTEA NOT NULL,
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
	answer BYTEA NOT NULL,
	error TEXT NOT NULL,
	UNIQUE (sender, id)
);
CREATE INDEX delivery_out_state ON delivery_out (state, created_at);

-- Messages this node received: what makes a repeat harmless, and the inbox of systems behind the node.
CREATE TABLE delivery_in (
	seq SERIALKEY,
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
	body BYTEA NOT NULL,
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
	answer BYTEA NOT NULL,
	error TEXT NOT NULL,
	UNIQUE (sender, id)
);
CREATE INDEX delivery_in_work ON delivery_in (service, state, seq);

-- Events that services of this node publish. The numbers of a service have no gaps and follow the order of commits.
CREATE TABLE delivery_stream (
	service TEXT PRIMARY KEY,
	last BIGINT NOT NULL
);
CREATE TABLE delivery_event (
	service TEXT NOT NULL,
	seq BIGINT NOT NULL,
	type TEXT NOT NULL,
	key TEXT NOT NULL,
	payload BYTEA NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (service, seq)
);
CREATE INDEX delivery_event_type ON delivery_event (service, type, seq);

-- Who receives the events of a service, and how far.
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

-- What subsystems of this node follow elsewhere, and how far.
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
