CREATE FUNCTION services_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
	RAISE EXCEPTION 'services_dossier_event is append-only';
END
$body$;
CREATE TRIGGER services_dossier_event_append_only BEFORE UPDATE OR DELETE ON services_dossier_event
	FOR EACH ROW EXECUTE FUNCTION services_append_only();
CREATE TRIGGER services_dossier_event_no_truncate BEFORE TRUNCATE ON services_dossier_event
	FOR EACH STATEMENT EXECUTE FUNCTION services_append_only();
