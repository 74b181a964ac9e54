-- Small parts of the registry that are only ever read whole: kinds subsystem, group, policy, request.
CREATE TABLE directory_entry (
	kind TEXT NOT NULL,
	id TEXT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (kind, id)
);
