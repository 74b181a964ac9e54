-- Administrators read the last acts.
CREATE INDEX audit_act_seq ON audit_act (seq);
