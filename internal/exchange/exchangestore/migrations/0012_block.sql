-- The index of the exchange log in blocks: what exchange_message held in a row each. exchange_message stays, empty once a
-- node has carried its rows over at its first start.

-- Hands out numbers of rows and of runs; whoever adds to the index holds its row until the end of the transaction.
CREATE TABLE exchange_counter (
	id BIGINT PRIMARY KEY,
	next_seq BIGINT NOT NULL,
	next_run BIGINT NOT NULL
);
INSERT INTO exchange_counter (id, next_seq, next_run) VALUES (1, 1, 1);

-- A block holds the rows seq to seq + messages - 1. Its times of either kind are at most an hour apart.
CREATE TABLE exchange_block (
	seq SERIALKEY,
	messages BIGINT NOT NULL,
	faults BIGINT NOT NULL,
	at_min BIGINT NOT NULL,
	at_max BIGINT NOT NULL,
	recorded_min BIGINT NOT NULL,
	recorded_max BIGINT NOT NULL,
	log_max BIGINT NOT NULL
);
CREATE INDEX exchange_block_at ON exchange_block (at_min);
CREATE INDEX exchange_block_recorded ON exchange_block (recorded_min);
CREATE INDEX exchange_block_log ON exchange_block (log_max);
CREATE INDEX exchange_block_fault ON exchange_block (seq) WHERE faults > 0;

-- The rows themselves, apart so that the blocks above are read quickly.
CREATE TABLE exchange_block_data (
	seq SERIALKEY,
	data BYTEA NOT NULL
);

-- Sorted runs of hashes of ids and the rows they stand in. Eight runs of a level become one of the next.
CREATE TABLE exchange_run (
	id SERIALKEY,
	level BIGINT NOT NULL,
	state BIGINT NOT NULL,
	first_seq BIGINT NOT NULL,
	merged_into BIGINT NOT NULL
);
CREATE TABLE exchange_chunk (
	run BIGINT NOT NULL,
	hash BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	data BYTEA NOT NULL,
	PRIMARY KEY (run, hash, seq)
);

-- Who exchanged what with whom and how it ended; the id is a hash of the rest.
CREATE TABLE exchange_party (
	id BYTEA PRIMARY KEY,
	role TEXT NOT NULL,
	client TEXT NOT NULL,
	service TEXT NOT NULL,
	peer TEXT NOT NULL,
	outcome TEXT NOT NULL
);
CREATE TABLE exchange_hour (
	hour BIGINT NOT NULL,
	party BYTEA NOT NULL,
	messages BIGINT NOT NULL,
	duration BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	PRIMARY KEY (hour, party)
);
CREATE INDEX exchange_hour_party ON exchange_hour (party, hour);
