package benchdossiers

import (
	"log/slog"
	"time"

	"truc/cmd/truc/internal/benchdossiers/benchstore"
	"truc/cmd/truc/internal/host"
)

// Options say what to measure.
type Options struct {
	// N is the number of dossiers, Workers the number that are in work side by side.
	N, Workers int
	// DB is the address of a PostgreSQL server to measure as well; a schema is made there and dropped. Empty: only SQLite.
	DB string
	// Dir is an existing folder; each engine gets a folder in it for keys, logs and the SQLite file.
	Dir string
	// Paper is the size in bytes of a paper that comes with each filing; 0 for none, which is what the procedure
	// wants of people the register knows.
	Paper int
	// Now is the real clock.
	Now func() time.Time
	Log *slog.Logger
}

// Report is what a run found. Programs read it as JSON: fields may be added, not changed.
type Report struct {
	Procedure string `json:"procedure"`
	Dossiers  int    `json:"dossiers"`
	Workers   int    `json:"workers"`
	// PaperBytes is the size of the paper that came with each filing.
	PaperBytes int          `json:"paperBytes"`
	Machine    host.Machine `json:"machine"`
	Real       []string     `json:"real"`
	NotReal    []string     `json:"notReal"`
	Engines    []Engine     `json:"engines"`
}

// Engine is what was found on one database engine.
type Engine struct {
	Engine     string `json:"engine"`
	Durability string `json:"durability"`
	// DossiersPerSecond counts to the moment when the outbox was empty again: what the node keeps up with.
	DossiersPerSecond float64 `json:"dossiersPerSecond"`
	// ActionsSeconds ends with the last action, DrainSeconds is what the outbox needed after that.
	ActionsSeconds float64  `json:"actionsSeconds"`
	DrainSeconds   float64  `json:"drainSeconds"`
	Actions        []Action `json:"actions"`
	// CPUMsPerDossier is user and system time of this process; a PostgreSQL server's own work is not in it.
	CPUMsPerDossier float64 `json:"cpuMsPerDossier"`
	PeakRSSBytes    int64   `json:"peakRssBytes"`
	// DatabaseBytesPerDossier is the growth of the database, indexes and free space included; LogBytesPerDossier that
	// of the transparency log.
	DatabaseBytesPerDossier float64  `json:"databaseBytesPerDossier"`
	LogBytesPerDossier      float64  `json:"logBytesPerDossier"`
	Tables                  []Stored `json:"tables"`
	Commits                 Commits  `json:"commitsPerDossier"`
	Outbox                  Outbox   `json:"outbox"`
	// Baselines are bare transactions with the same rows.
	Baselines []Baseline `json:"baselines"`
}

// Action is the time one action took as its caller saw it, in milliseconds.
type Action struct {
	Name  string  `json:"name"`
	Count int     `json:"count"`
	P50   float64 `json:"p50Ms"`
	P99   float64 `json:"p99Ms"`
	Max   float64 `json:"maxMs"`
}

// Stored is what a dossier leaves in one table.
type Stored struct {
	Table string  `json:"table"`
	Rows  float64 `json:"rowsPerDossier"`
	Bytes float64 `json:"bytesPerDossier"`
}

// Commits are the transactions a dossier costs, by who makes them.
type Commits struct {
	// Desk are its actions and the documents it keeps.
	Desk float64 `json:"desk"`
	// Relay are the claims and outcomes of messages.
	Relay float64 `json:"relay"`
	// Audit are the batches of acts.
	Audit float64 `json:"audit"`
	// Log are the writes of the transparency log, which wait for the disk as well.
	Log float64 `json:"log"`
}

// Outbox is what became of the messages.
type Outbox struct {
	Performed int64 `json:"performed"`
	// PayloadBytes is what the messages carried; the outbox forgets it once they were performed.
	PayloadBytes int64 `json:"payloadBytes"`
	Waiting      int64 `json:"waiting"`
	Dead         int64 `json:"dead"`
	Drained      bool  `json:"drained"`
	// Notices arrived at the portal.
	Notices int64 `json:"notices"`
}

// Baseline is a number of bare transactions that write what the dossiers wrote.
type Baseline struct {
	Name string `json:"name"`
	// CommitsPerDossier and RowsPerDossier are of the baseline itself.
	CommitsPerDossier int     `json:"commitsPerDossier"`
	RowsPerDossier    int     `json:"rowsPerDossier"`
	BytesPerDossier   int     `json:"bytesPerDossier"`
	DossiersPerSecond float64 `json:"dossiersPerSecond"`
	// Ratio is how many times as long a dossier took as its bare transactions.
	Ratio float64 `json:"ratio"`
}

func stored(tables []benchstore.Table, n int) []Stored {
	out := make([]Stored, len(tables))
	for i, t := range tables {
		out[i] = Stored{Table: t.Name, Rows: float64(t.Rows) / float64(n), Bytes: float64(t.Bytes) / float64(n)}
	}
	return out
}
