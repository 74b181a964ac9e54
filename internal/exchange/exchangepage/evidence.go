package exchangepage

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange/notary"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/translog"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// EvidencePages show how far the node's logs are confirmed by witnesses and time-stamp authorities, and what must never
// happen.
type EvidencePages struct {
	Notaries  []*notary.Notary
	Logs      map[string]*translog.Log
	Incidents func(context.Context) ([]notary.Incident, error)
	// Audit records an act before it happens; when it fails, so does the act.
	Audit    func(ctx context.Context, actor, action, object string) error
	Renderer *ui.Renderer
	Now      func() time.Time

	templates *ui.Templates
}

// Mount adds the routes, all for administrators.
func (p *EvidencePages) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	m.HandleFor("GET /exchange/admin/log", p.log, "listLogs")
	m.HandleFor("POST /exchange/admin/log/stamp", p.stamp, "stampLogs")
	return nil
}

type logPage struct {
	ui.Page
	Confirmed, Failures, Incidents, Files ui.Table
	Stamp                                 ui.Button
}

// Limits at which the page warns and alarms (spec §4.7, D29).
const (
	stampWarning = 15 * time.Minute
	stampAlarm   = 4 * time.Hour
)

func (p *EvidencePages) log(w http.ResponseWriter, r *http.Request) error {
	pg := logPage{Page: page(r, "exchange.log.title")}
	pg.Back = pg.BackTo("/exchange/admin")
	pg.Confirmed = ui.Table{
		Caption: pg.T("exchange.log.confirmed"),
		Columns: []ui.Column{
			{Text: pg.T("exchange.log.log")},
			{Text: pg.T("exchange.log.entries"), Numeric: true},
			{Text: pg.T("exchange.log.witnessed")},
			{Text: pg.T("exchange.log.stamped")},
		},
		Empty: &ui.Empty{Title: pg.T("exchange.log.none")},
	}
	pg.Failures = ui.Table{
		Caption: pg.T("exchange.log.failures"),
		Columns: []ui.Column{{Text: pg.T("exchange.log.log")}, {Text: pg.T("exchange.log.who")}, {Text: pg.T("exchange.log.why")}},
		Empty:   &ui.Empty{Title: pg.T("exchange.log.no_failures")},
	}
	for _, n := range p.Notaries {
		s := n.State()
		pg.Confirmed.Rows = append(pg.Confirmed.Rows, ui.Row{Cells: []ui.Cell{
			{Text: s.Origin, Head: true},
			{Text: i18n.Number(pg.Lang, s.Size)},
			confirmed(pg.Page, s.WitnessedSize, s.WitnessedAt, s.Unwitnessed),
			confirmed(pg.Page, s.StampedSize, s.StampedAt, s.Untimestamped),
		}})
		for _, who := range sortedKeys(s.Failures) {
			pg.Failures.Rows = append(pg.Failures.Rows, ui.Row{Cells: []ui.Cell{{Text: s.Origin}, {Text: who, Head: true}, {Text: s.Failures[who]}}})
		}
	}
	if err := p.incidents(r.Context(), &pg); err != nil {
		return err
	}
	p.filesOf(&pg)
	pg.Stamp = ui.Button{Text: pg.T("exchange.log.stamp"), Kind: "secondary"}
	return p.templates.Render(w, r, http.StatusOK, "evidence", pg)
}

// confirmed says how far others have confirmed a log, and for how long something has been waiting.
func confirmed(pg ui.Page, size int64, at time.Time, waiting time.Duration) ui.Cell {
	tone, text := ui.Done, pg.T("exchange.log.all")
	if waiting > 0 {
		text = pg.T("exchange.log.waiting", "seconds", i18n.Number(pg.Lang, int64(waiting.Seconds())))
		switch {
		case waiting >= stampAlarm:
			tone = ui.Late
		case waiting >= stampWarning:
			tone = ui.Soon
		default:
			tone = ui.Neutral
		}
	}
	c := ui.Cell{Tag: &ui.Tag{Text: text, Tone: tone}, Sub: pg.T("exchange.log.never")}
	if size > 0 {
		c.Sub = pg.T("exchange.log.up_to", "entries", i18n.Number(pg.Lang, size), "at", i18n.DateTime(at))
	}
	return c
}

func (p *EvidencePages) incidents(ctx context.Context, pg *logPage) error {
	list, err := p.Incidents(ctx)
	if err != nil {
		return err
	}
	pg.Incidents = ui.Table{
		Caption: pg.T("exchange.log.incidents"),
		Columns: []ui.Column{
			{Text: pg.T("exchange.at")},
			{Text: pg.T("exchange.log.what")},
			{Text: pg.T("exchange.log.log")},
			{Text: pg.T("exchange.log.who")},
			{Text: pg.T("exchange.log.detail")},
		},
		Empty: &ui.Empty{Title: pg.T("exchange.log.no_incidents"), Text: pg.T("exchange.log.no_incidents_text")},
	}
	kinds := map[string]string{
		notary.Fork: pg.T("exchange.log.kind.fork"), notary.Rollback: pg.T("exchange.log.kind.rollback"), notary.Damage: pg.T("exchange.log.kind.damage"),
	}
	for _, i := range list {
		pg.Incidents.Rows = append(pg.Incidents.Rows, ui.Row{Tone: ui.Late, Cells: []ui.Cell{
			{Text: i18n.DateTime(i.Last), Sub: pg.T("exchange.log.times", "n", i18n.Number(pg.Lang, i.Count))},
			{Tag: &ui.Tag{Text: kinds[i.Kind], Tone: ui.Late}},
			{Text: i.Origin, Head: true},
			{Text: i.Peer},
			{Text: i.Detail},
		}})
	}
	return nil
}

func (p *EvidencePages) filesOf(pg *logPage) {
	pg.Files = ui.Table{
		Caption: pg.T("exchange.log.files"),
		Columns: []ui.Column{
			{Text: pg.T("exchange.log.log")},
			{Text: pg.T("exchange.log.here"), Numeric: true},
			{Text: pg.T("exchange.log.archived"), Numeric: true},
			{Text: pg.T("exchange.log.pruned"), Numeric: true},
		},
	}
	for _, name := range sortedKeys(p.Logs) {
		here, archived := 1, 0
		for _, s := range p.Logs[name].Segments() {
			if s.Archived {
				archived++
			} else {
				here++
			}
		}
		pg.Files.Rows = append(pg.Files.Rows, ui.Row{Cells: []ui.Cell{
			{Text: p.Logs[name].Origin(), Head: true},
			{Text: i18n.Number(pg.Lang, int64(here))},
			{Text: i18n.Number(pg.Lang, int64(archived))},
			{Text: i18n.Number(pg.Lang, p.Logs[name].Minimum())},
		}})
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, strings.Compare)
	return out
}

// stamp has every log cosigned and time-stamped now.
func (p *EvidencePages) stamp(w http.ResponseWriter, r *http.Request) error {
	if err := p.Audit(r.Context(), reqctx.PrincipalOf(r.Context()).ID, "exchange.log.stamp", ""); err != nil {
		return err
	}
	done := "exchange.log.stamp_done"
	for _, n := range p.Notaries {
		if err := n.Cosign(r.Context()); err != nil {
			return err
		}
		if err := n.Stamp(r.Context()); errs.Is(err, errs.Unavailable) {
			done = "exchange.log.stamp_failed"
		} else if err != nil {
			return err
		}
	}
	ui.Flash(w, done)
	return web.SeeOther(w, r, "/exchange/admin/log")
}
