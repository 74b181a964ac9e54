CREATE TABLE outbox_message (
	seq SERIALKEY,
	id TEXT NOT NULL UNIQUE,
	topic TEXT NOT NULL,
	order_key TEXT NOT NULL,
	payload BYTEA NOT NULL,
	state TEXT NOT NULL,
	attempts BIGINT NOT NULL,
	added_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	last_error TEXT NOT NULL,
	owner TEXT NOT NULL
);
CREATE INDEX outbox_message_due ON outbox_message (state, due_at);
CREATE INDEX outbox_message_order ON outbox_message (topic, order_key, seq) WHERE state <> 'done';
