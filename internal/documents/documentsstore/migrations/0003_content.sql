-- Which document refers to which file of the blob store.
CREATE TABLE documents_content (
	sha256 TEXT NOT NULL,
	document TEXT NOT NULL,
	PRIMARY KEY (sha256, document)
);
