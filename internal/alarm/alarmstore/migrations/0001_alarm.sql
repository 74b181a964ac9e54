-- What is not well about a node, and what people were told of it. Processes that share a database each look at themselves.
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

-- When the last message was made.
CREATE TABLE alarm_told (
	owner TEXT NOT NULL PRIMARY KEY,
	at BIGINT NOT NULL
);
