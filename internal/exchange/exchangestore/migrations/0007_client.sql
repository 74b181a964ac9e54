-- API keys become client records: a program may also be known by the key of its TLS certificate, or by a token bound to a
-- key (thumbprint). error_codes is the form of error codes it is answered with, empty for the listener's.
ALTER TABLE exchange_apikey ADD COLUMN kind TEXT NOT NULL DEFAULT 'api_key';
ALTER TABLE exchange_apikey ADD COLUMN thumbprint TEXT NOT NULL DEFAULT '';
ALTER TABLE exchange_apikey ADD COLUMN error_codes TEXT NOT NULL DEFAULT '';
