CREATE TRIGGER services_dossier_event_no_update BEFORE UPDATE ON services_dossier_event
BEGIN SELECT RAISE(ABORT, 'services_dossier_event is append-only'); END;
CREATE TRIGGER services_dossier_event_no_delete BEFORE DELETE ON services_dossier_event
BEGIN SELECT RAISE(ABORT, 'services_dossier_event is append-only'); END;
