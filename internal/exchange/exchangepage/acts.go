package exchangepage

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// Act is one administrative act: who did what to what.
type Act struct {
	Seq                   int64
	At                    time.Time
	Actor, Action, Object string
}

// ActQuery asks for acts older than Before (zero: the newest), by an actor and to an object where they are given.
type ActQuery struct {
	Before        int64
	Actor, Object string
	Limit         int
}

// actRow tells an act in words, with its code below, and whether it failed.
func actRow(pg ui.Page, a Act) ui.Row {
	code, failed := strings.CutSuffix(a.Action, ".failed")
	what := ui.Cell{Text: a.Action, Head: true}
	const words = "exchange.acts.did."
	if text := pg.T(words + code); text != "["+words+code+"]" {
		what = ui.Cell{Text: text, Sub: a.Action, Head: true}
	}
	row := ui.Row{Cells: []ui.Cell{{Text: i18n.DateTime(a.At)}, {Text: a.Actor}, what, {Text: a.Object}, {}}}
	if failed {
		row.Tone = ui.Late
		row.Cells[4].Tag = &ui.Tag{Text: pg.T("exchange.acts.failed"), Tone: ui.Late}
	}
	return row
}

// ActsPages show the administrative acts of the exchange and the directory, read from the audit log.
type ActsPages struct {
	// Acts returns the newest first.
	Acts     func(ctx context.Context, q ActQuery) ([]Act, error)
	Renderer *ui.Renderer

	templates *ui.Templates
}

// Mount adds the route, for administrators.
func (p *ActsPages) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	m.HandleFor("GET /exchange/admin/acts", p.acts, "listActs")
	return nil
}

type actsPage struct {
	ui.Page
	Actor, Object ui.Input
	Find          ui.Button
	Acts          ui.Table
	Pagination    ui.Pagination
}

func (p *ActsPages) acts(w http.ResponseWriter, r *http.Request) error {
	pg := actsPage{Page: page(r, "exchange.acts.title")}
	pg.Back = pg.BackTo("/exchange/admin")
	q := web.Query(r)
	query := ActQuery{Actor: strings.TrimSpace(q.Get("actor")), Object: strings.TrimSpace(q.Get("object")), Limit: pageSize}
	query.Before, _ = strconv.ParseInt(q.Get("before"), 10, 64) // a malformed number shows the first page
	acts, err := p.Acts(r.Context(), query)
	if err != nil {
		return err
	}
	pg.Actor = ui.Input{Name: "actor", Label: pg.T("exchange.acts.actor"), Value: query.Actor, Width: "20"}
	pg.Object = ui.Input{Name: "object", Label: pg.T("exchange.acts.object"), Value: query.Object, Width: "30"}
	pg.Find = ui.Button{Text: pg.T("exchange.acts.find")}
	pg.Acts = ui.Table{
		Caption: pg.T("exchange.acts.last"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("exchange.at")}, {Text: pg.T("exchange.acts.actor")}, {Text: pg.T("exchange.acts.action")}, {Text: pg.T("exchange.acts.object")}, {Text: pg.T("exchange.acts.outcome")}},
		Empty:   &ui.Empty{Title: pg.T("exchange.acts.none"), Text: pg.T("exchange.acts.none_text")},
	}
	for _, a := range acts {
		pg.Acts.Rows = append(pg.Acts.Rows, actRow(pg.Page, a))
	}
	if len(acts) == pageSize {
		q.Set("before", strconv.FormatInt(acts[len(acts)-1].Seq, 10))
		pg.Pagination.Next = "/exchange/admin/acts?" + q.Encode()
	}
	return p.templates.Render(w, r, http.StatusOK, "acts", pg)
}
