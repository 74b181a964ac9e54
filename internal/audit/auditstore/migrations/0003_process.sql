-- Each process of an agency on one database has a log of its own: a leaf belongs to one of them. Leaves of before have no
-- name; they are those of the process that claims them in audit_counter, by the name "unnamed:" and its own.
ALTER TABLE audit_leaf ADD COLUMN process TEXT NOT NULL DEFAULT '';
DROP INDEX audit_leaf_log_index;
CREATE INDEX audit_leaf_log_index ON audit_leaf (process, log_index);
