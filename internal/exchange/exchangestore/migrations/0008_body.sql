-- Where the entries about streamed bodies are in the log, -1 when there are none.
ALTER TABLE exchange_message ADD COLUMN request_body_index BIGINT NOT NULL DEFAULT -1;
ALTER TABLE exchange_message ADD COLUMN response_body_index BIGINT NOT NULL DEFAULT -1;
