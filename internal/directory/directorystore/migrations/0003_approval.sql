-- approval is 1 when an operator decides on the join; tls_changed_at bounds how long an old channel key is accepted.
ALTER TABLE directory_token ADD COLUMN approval BIGINT NOT NULL DEFAULT 0;
ALTER TABLE directory_node ADD COLUMN tls_changed_at BIGINT NOT NULL DEFAULT 0;
