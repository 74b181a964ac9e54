-- What agencies told, unchanged: an agency numbers its facts, so the same fact twice is the same row.
CREATE TABLE oversight_fact (
	agency    TEXT NOT NULL,
	seq       BIGINT NOT NULL,
	at        BIGINT NOT NULL,
	kind      TEXT NOT NULL,
	dossier   TEXT NOT NULL,
	unit      TEXT NOT NULL,
	procedure_code TEXT NOT NULL,
	mode      TEXT NOT NULL,
	state     TEXT NOT NULL,
	national  BIGINT NOT NULL,
	channel   TEXT NOT NULL,
	due       BIGINT NOT NULL,
	stars     BIGINT NOT NULL,
	final     BIGINT NOT NULL,
	paused    BIGINT NOT NULL,
	fee_total BIGINT NOT NULL,
	fee_paid  BIGINT NOT NULL,
	PRIMARY KEY (agency, seq)
);
CREATE INDEX oversight_fact_dossier ON oversight_fact (agency, dossier, seq);
CREATE INDEX oversight_fact_kind ON oversight_fact (kind, at);

-- How far each agency was read, and whether it answers. failed_since is 0 while it does.
CREATE TABLE oversight_cursor (
	agency       TEXT NOT NULL PRIMARY KEY,
	last_seq     BIGINT NOT NULL,
	last_ok      BIGINT NOT NULL,
	failed_since BIGINT NOT NULL,
	error_key    TEXT NOT NULL
);

-- The fold of each dossier's facts; can always be rebuilt from oversight_fact. Times that are not known are 0.
-- due_end is the first instant at which the dossier is late by the comparison of dates; week is that of finished_at,
-- counted in Mondays.
CREATE TABLE oversight_dossier (
	agency         TEXT NOT NULL,
	dossier        TEXT NOT NULL,
	unit           TEXT NOT NULL,
	procedure_code TEXT NOT NULL,
	mode           TEXT NOT NULL,
	channel        TEXT NOT NULL,
	state          TEXT NOT NULL,
	national       BIGINT NOT NULL,
	submitted_at   BIGINT NOT NULL,
	received_at    BIGINT NOT NULL,
	due_at         BIGINT NOT NULL,
	due_end        BIGINT NOT NULL,
	finished_at    BIGINT NOT NULL,
	finished_week  BIGINT NOT NULL,
	paused_since   BIGINT NOT NULL,
	outcome        TEXT NOT NULL,
	punctual       TEXT NOT NULL,
	supplements    BIGINT NOT NULL,
	again_at       BIGINT NOT NULL,
	extensions     BIGINT NOT NULL,
	stars          BIGINT NOT NULL,
	fee_total      BIGINT NOT NULL,
	fee_paid       BIGINT NOT NULL,
	last_seq       BIGINT NOT NULL,
	PRIMARY KEY (agency, dossier)
);
-- One index for each base that numbers are counted on, with all that its numbers need.
CREATE INDEX oversight_dossier_open ON oversight_dossier (outcome, agency, procedure_code, received_at, due_end, paused_since);
CREATE INDEX oversight_dossier_received ON oversight_dossier (received_at, agency, procedure_code, channel);
CREATE INDEX oversight_dossier_finished ON oversight_dossier (finished_at, agency, procedure_code, outcome, punctual, stars, finished_week);
CREATE INDEX oversight_dossier_again ON oversight_dossier (again_at, agency, procedure_code);

CREATE TABLE oversight_offer (
	agency         TEXT NOT NULL,
	procedure_code TEXT NOT NULL,
	version        TEXT NOT NULL,
	mode           TEXT NOT NULL,
	offices        BIGINT NOT NULL,
	PRIMARY KEY (agency, procedure_code)
);
