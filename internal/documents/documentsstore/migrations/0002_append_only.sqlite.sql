CREATE TRIGGER documents_event_no_update BEFORE UPDATE ON documents_event
BEGIN SELECT RAISE(ABORT, 'documents_event is append-only'); END;
CREATE TRIGGER documents_event_no_delete BEFORE DELETE ON documents_event
BEGIN SELECT RAISE(ABORT, 'documents_event is append-only'); END;
CREATE TRIGGER documents_opening_no_update BEFORE UPDATE ON documents_opening
BEGIN SELECT RAISE(ABORT, 'documents_opening is append-only'); END;
CREATE TRIGGER documents_opening_no_delete BEFORE DELETE ON documents_opening
BEGIN SELECT RAISE(ABORT, 'documents_opening is append-only'); END;
CREATE TRIGGER documents_number_no_delete BEFORE DELETE ON documents_number
BEGIN SELECT RAISE(ABORT, 'a number that was taken stays'); END;
