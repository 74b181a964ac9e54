-- A lane is what can be away as a whole, such as a peer node. A message that holds keeps those behind it in its order
-- waiting even when it was put aside.
ALTER TABLE outbox_message ADD COLUMN lane TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox_message ADD COLUMN holds BOOLEAN NOT NULL DEFAULT FALSE;
