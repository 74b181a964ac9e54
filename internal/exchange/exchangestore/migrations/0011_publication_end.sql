-- When a publication ends, in microseconds; 0 for none.
ALTER TABLE exchange_publication ADD COLUMN ends_at BIGINT NOT NULL DEFAULT 0;
