-- Operational records: the times, places and names that monitoring asks for. Times are 0 when there are none.
ALTER TABLE exchange_message ADD COLUMN recorded BIGINT NOT NULL DEFAULT 0;
ALTER TABLE exchange_message ADD COLUMN request_out BIGINT NOT NULL DEFAULT 0;
ALTER TABLE exchange_message ADD COLUMN response_in BIGINT NOT NULL DEFAULT 0;
ALTER TABLE exchange_message ADD COLUMN peer TEXT NOT NULL DEFAULT '';
ALTER TABLE exchange_message ADD COLUMN trace_id TEXT NOT NULL DEFAULT '';
ALTER TABLE exchange_message ADD COLUMN fault_id TEXT NOT NULL DEFAULT '';
CREATE INDEX exchange_message_recorded ON exchange_message (recorded);
