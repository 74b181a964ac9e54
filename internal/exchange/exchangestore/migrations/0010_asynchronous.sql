-- How a published service takes large requests, and whether it takes messages alone.
ALTER TABLE exchange_publication ADD COLUMN verify TEXT NOT NULL DEFAULT '';
ALTER TABLE exchange_publication ADD COLUMN async_only BOOLEAN NOT NULL DEFAULT FALSE;
