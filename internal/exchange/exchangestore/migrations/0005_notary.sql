-- What this node, as a witness, cosigned last of each log (C2SP tlog-witness). A row that went back would let a log show
-- two histories, so it only moves forward by compare-and-set.
CREATE TABLE exchange_witnessed (
	origin TEXT PRIMARY KEY,
	size BIGINT NOT NULL,
	root TEXT NOT NULL,
	at BIGINT NOT NULL
);

-- Checkpoints of this node's logs with the cosignatures of witnesses and the time-stamp token over them.
CREATE TABLE exchange_checkpoint (
	origin TEXT NOT NULL,
	size BIGINT NOT NULL,
	note TEXT NOT NULL,
	witnesses BIGINT NOT NULL,
	at BIGINT NOT NULL,
	token BYTEA NOT NULL,
	authority TEXT NOT NULL,
	stamped_at BIGINT NOT NULL,
	PRIMARY KEY (origin, size)
);
CREATE INDEX exchange_checkpoint_stamped ON exchange_checkpoint (origin, stamped_at, size);

-- What a witness and a log must never disagree about.
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
