CREATE FUNCTION documents_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
	RAISE EXCEPTION 'rows of % stay as they are', TG_TABLE_NAME;
END
$body$;
CREATE TRIGGER documents_event_append_only BEFORE UPDATE OR DELETE ON documents_event
	FOR EACH ROW EXECUTE FUNCTION documents_append_only();
CREATE TRIGGER documents_event_no_truncate BEFORE TRUNCATE ON documents_event
	FOR EACH STATEMENT EXECUTE FUNCTION documents_append_only();
CREATE TRIGGER documents_opening_append_only BEFORE UPDATE OR DELETE ON documents_opening
	FOR EACH ROW EXECUTE FUNCTION documents_append_only();
CREATE TRIGGER documents_number_no_delete BEFORE DELETE ON documents_number
	FOR EACH ROW EXECUTE FUNCTION documents_append_only();
CREATE TRIGGER documents_number_no_truncate BEFORE TRUNCATE ON documents_number
	FOR EACH STATEMENT EXECUTE FUNCTION documents_append_only();
