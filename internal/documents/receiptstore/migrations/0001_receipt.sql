-- A receipt: signed in the transaction of the fact it states, never changed but for its place under a time-stamp.
CREATE TABLE receipt_issued (
	id SERIALKEY,
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

CREATE UNIQUE INDEX receipt_issued_once ON receipt_issued (doc_id, copy, event);

CREATE INDEX receipt_issued_batch ON receipt_issued (batch, place, id);

CREATE TABLE receipt_batch (
	id SERIALKEY,
	size BIGINT NOT NULL,
	token BYTEA NOT NULL, -- RFC 3161
	roots TEXT NOT NULL,
	at BIGINT NOT NULL
);
