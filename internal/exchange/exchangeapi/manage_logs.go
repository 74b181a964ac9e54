package exchangeapi

import (
	"context"
	"errors"
	"time"

	"truc/internal/errs"
	"truc/internal/translog"
	"truc/internal/web/manage"
)

// ManageLogs declares what keeps the logs in order: their files, archive, prune and verify.
type ManageLogs struct {
	Logs map[string]*translog.Log
	// ArchiveKeep is how many closed files stay where an operator does not say.
	ArchiveKeep int
	// Prune removes the files of a log whose entries are all older than before, and returns the first entry that is left.
	Prune func(ctx context.Context, name string, before time.Time, policy string) (int64, error)
	// Verify reads a log from its beginning; damage is an incident.
	Verify func(ctx context.Context, name string) error
	Now    func() time.Time
}

type logFile struct {
	First    int64 `json:"first" doc:"number of its first entry"`
	End      int64 `json:"end" doc:"one more than the number of its last"`
	Bytes    int64 `json:"bytes"`
	Archived bool  `json:"archived"`
}

type logFiles struct {
	Name    string    `json:"name"`
	Origin  string    `json:"origin"`
	Size    int64     `json:"size" doc:"entries"`
	Minimum int64     `json:"minimum" doc:"the first entry that was not pruned"`
	Closed  []logFile `json:"closed" doc:"closed files, the oldest first; the one that is written to is not among them"`
}

type logNamed struct {
	Name string `path:"name" doc:"exchange or audit"`
}

type logArchive struct {
	Name string `path:"name" doc:"exchange or audit"`
	Keep *int   `json:"keep,omitempty" doc:"how many closed files stay in the data folder; as configured if missing"`
}

type logArchived struct {
	Moved int `json:"moved" doc:"files"`
}

type logPrune struct {
	Name   string `path:"name" doc:"exchange"`
	Days   int    `json:"older_than_days"`
	Policy string `json:"policy" doc:"the rule under which entries are removed; it stands in the signed statement"`
}

type logPruned struct {
	Minimum int64 `json:"minimum" doc:"the first entry that is left"`
}

type logVerified struct {
	Entries int64 `json:"entries"`
	Good    bool  `json:"good"`
	// Fault is empty for a good log.
	Fault string `json:"fault"`
}

// Declare adds the operations.
func (m *ManageLogs) Declare(api *manage.API) error {
	const tag = "evidence"
	security := []manage.Role{manage.Security}
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/logs/{name}/files", ID: "listLogFiles", Tag: tag, Summary: "List the files of a log",
			Roles: []manage.Role{manage.Security, manage.System},
		}, func(_ context.Context, in logNamed) (logFiles, error) {
			log, err := m.log(in.Name)
			if err != nil {
				return logFiles{}, err
			}
			out := logFiles{Name: in.Name, Origin: log.Origin(), Size: log.Size(), Minimum: log.Minimum()}
			for _, s := range log.Segments() {
				out.Closed = append(out.Closed, logFile(s))
			}
			return out, nil
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/logs/{name}/archive", ID: "archiveLog", Tag: tag, Summary: "Move closed files of a log to the archive now",
			Roles: security, Act: "exchange.log.archive",
		}, func(ctx context.Context, in logArchive) (logArchived, error) {
			log, err := m.log(in.Name)
			if err != nil {
				return logArchived{}, err
			}
			keep := m.ArchiveKeep
			if in.Keep != nil {
				keep = *in.Keep
			}
			if keep < 0 {
				return logArchived{}, manage.BadInput("keep", nil)
			}
			if !log.HasArchive() {
				return logArchived{}, errs.E(errs.Conflict, "exchange.log.no_archive", nil)
			}
			n, err := log.Archive(ctx, keep)
			return logArchived{n}, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/logs/{name}/prune", ID: "pruneLog", Tag: tag, Summary: "Remove old entries of a log under a written rule; proofs go on",
			Roles: security, Act: "exchange.log.prune",
		}, func(ctx context.Context, in logPrune) (logPruned, error) {
			switch {
			case in.Name != "exchange": // the other holds who read personal data, which people may ask for at any time
				return logPruned{}, errs.E(errs.Conflict, "exchange.log.never_pruned", nil)
			case in.Days < 1:
				return logPruned{}, manage.BadInput("older_than_days", nil)
			case in.Policy == "" || len(in.Policy) > 500:
				return logPruned{}, manage.BadInput("policy", nil)
			}
			minimum, err := m.Prune(ctx, in.Name, m.Now().AddDate(0, 0, -in.Days), in.Policy)
			return logPruned{minimum}, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/logs/{name}/verify", ID: "verifyLog", Tag: tag, Summary: "Read a log from its beginning and hold every entry and node of its tree against the signed root",
			Roles: []manage.Role{manage.Security, manage.System}, Act: "exchange.log.verify",
		}, func(ctx context.Context, in logNamed) (logVerified, error) {
			log, err := m.log(in.Name)
			if err != nil {
				return logVerified{}, err
			}
			out := logVerified{Entries: log.Size(), Good: true}
			err = m.Verify(ctx, in.Name)
			if errors.Is(err, translog.ErrDamaged) || errors.Is(err, translog.ErrArchive) {
				out.Good, out.Fault, err = false, err.Error(), nil
			}
			return out, err
		}),
	)
}

func (m *ManageLogs) log(name string) (*translog.Log, error) {
	if log, ok := m.Logs[name]; ok {
		return log, nil
	}
	return nil, errs.E(errs.NotFound, "error.not_found", nil)
}
