package exchangepage

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange/delivery"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// Delivery is what operators see and do about messages; [delivery.Service] answers.
type Delivery interface {
	View(ctx context.Context) (delivery.View, error)
	ReplayOut(ctx context.Context, seq int64) error
	DropOut(ctx context.Context, seq int64) error
	ReplayIn(ctx context.Context, seq int64) error
	DropIn(ctx context.Context, seq int64) error
	Resume(ctx context.Context, id string) error
	Unsubscribe(ctx context.Context, id string) error
}

// Queue is the page of messages on their way, of those put aside, and of subscriptions. It shows no content.
type Queue struct {
	Delivery Delivery
	// Audit records an act before it happens; when it fails, so does the act.
	Audit    func(ctx context.Context, actor, action, object string) error
	Renderer *ui.Renderer

	templates *ui.Templates
}

// Mount adds the routes.
func (p *Queue) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	m.HandleFor("GET /exchange/admin/queue", p.show, "listLetters")
	m.HandleFor("POST /exchange/admin/queue", p.act, "replayLetter", "dropLetter", "resumeSubscription", "unsubscribeSubscription")
	return nil
}

// queueItem is a message or a subscription that an operator may act on.
type queueItem struct {
	Title, Text, State string
	Since              time.Time
	Actions            []ui.Button
}

type queuePage struct {
	ui.Page
	Waiting, Following ui.Table
	// DeadOut and DeadIn were put aside, here and on behalf of a system behind this node.
	DeadOut, DeadIn, Subs []queueItem
	NoDead, NoSubs        ui.Empty
}

func (p *Queue) show(w http.ResponseWriter, r *http.Request) error {
	pg := queuePage{Page: page(r, "delivery.queue.title")}
	pg.Back = pg.BackTo("/exchange/admin")
	v, err := p.Delivery.View(r.Context())
	if err != nil {
		return err
	}
	pg.Waiting = waitingTable(pg.Page, v.Queue)
	button := func(text, value, kind string) ui.Button {
		return ui.Button{Text: pg.T(text), Name: "act", Value: value, Kind: kind}
	}
	for _, m := range v.DeadOut {
		seq := strconv.FormatInt(m.Seq, 10)
		pg.DeadOut = append(pg.DeadOut, queueItem{
			Title: m.To.String(), Text: m.ID + " · " + m.Error, State: pg.T("delivery.state.dead"), Since: m.Created,
			Actions: []ui.Button{button("delivery.replay", "replay-out "+seq, "secondary"), button("delivery.drop", "drop-out "+seq, "danger")},
		})
	}
	for _, m := range v.DeadIn {
		seq := strconv.FormatInt(m.Seq, 10)
		pg.DeadIn = append(pg.DeadIn, queueItem{
			Title: m.Sender + " → " + m.Service, Text: m.ID + " · " + m.Error, State: pg.T("delivery.state.dead"), Since: m.Received,
			Actions: []ui.Button{button("delivery.replay", "replay-in "+seq, "secondary"), button("delivery.drop", "drop-in "+seq, "danger")},
		})
	}
	for _, s := range v.Subscriptions {
		item := queueItem{
			Title: s.Subscriber, Text: s.Service + " · " + s.Type + " · " + pg.T("delivery.position", "n", s.Position) + " " + s.Error,
			State: pg.T("delivery.subscription." + s.State), Since: s.Moved,
		}
		if s.State == "stalled" {
			item.Actions = append(item.Actions, button("delivery.resume", "resume "+s.ID, "secondary"))
		}
		item.Actions = append(item.Actions, button("delivery.unsubscribe", "unsubscribe "+s.ID, "danger"))
		pg.Subs = append(pg.Subs, item)
	}
	if !pg.May("replayLetter") { // whoever only looks on is offered nothing
		for _, list := range [][]queueItem{pg.DeadOut, pg.DeadIn, pg.Subs} {
			for i := range list {
				list[i].Actions = nil
			}
		}
	}
	pg.Following = followingTable(pg.Page, v.Followings)
	pg.NoDead = ui.Empty{Title: pg.T("delivery.no_dead")}
	pg.NoSubs = ui.Empty{Title: pg.T("delivery.no_subscriptions")}
	return p.templates.Render(w, r, http.StatusOK, "queue", pg)
}

func waitingTable(pg ui.Page, rows []delivery.QueueRow) ui.Table {
	t := ui.Table{
		Caption: pg.T("delivery.waiting"),
		Columns: []ui.Column{{Text: pg.T("delivery.peer")}, {Text: pg.T("delivery.state")}, {Text: pg.T("exchange.count"), Numeric: true}, {Text: pg.T("delivery.oldest")}},
		Empty:   &ui.Empty{Title: pg.T("delivery.nothing_waits")},
	}
	for _, q := range rows {
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{
			{Text: q.Peer, Head: true}, {Text: pg.T("delivery.state." + string(q.State))}, {Text: strconv.FormatInt(q.N, 10)}, {Text: i18n.DateTime(q.Oldest)},
		}})
	}
	return t
}

func followingTable(pg ui.Page, list []delivery.Following) ui.Table {
	t := ui.Table{
		Caption: pg.T("delivery.following"),
		Columns: []ui.Column{
			{Text: pg.T("exchange.service")},
			{Text: pg.T("delivery.type")},
			{Text: pg.T("delivery.subscriber")},
			{Text: pg.T("delivery.state")},
			{Text: pg.T("delivery.last_event"), Numeric: true},
			{Text: pg.T("exchange.at")},
		},
		Empty: &ui.Empty{Title: pg.T("delivery.follows_nothing")},
	}
	for _, f := range list {
		at := ""
		if !f.Moved.IsZero() {
			at = i18n.DateTime(f.Moved)
		}
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{
			{Text: f.Service, Head: true}, {Text: f.Type}, {Text: f.Subscriber}, {Text: pg.T("delivery.following." + f.State)}, {Text: strconv.FormatInt(f.Position, 10)}, {Text: at},
		}})
	}
	return t
}

// act replays, drops, resumes or unsubscribes: "replay-out 17". It is audited before it happens.
func (p *Queue) act(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	verb, object, _ := strings.Cut(form.Get("act"), " ")
	bySeq := map[string]func(context.Context, int64) error{
		"replay-out": p.Delivery.ReplayOut, "drop-out": p.Delivery.DropOut, "replay-in": p.Delivery.ReplayIn, "drop-in": p.Delivery.DropIn,
	}
	byID := map[string]func(context.Context, string) error{"resume": p.Delivery.Resume, "unsubscribe": p.Delivery.Unsubscribe}
	seq, errSeq := strconv.ParseInt(object, 10, 64)
	if (bySeq[verb] == nil || errSeq != nil) && (byID[verb] == nil || object == "" || len(object) > 64) {
		return errs.E(errs.Invalid, "delivery.act_unknown", errSeq)
	}
	if err := p.Audit(r.Context(), reqctx.PrincipalOf(r.Context()).ID, "exchange.delivery."+verb, object); err != nil {
		return err
	}
	if f := bySeq[verb]; f != nil {
		err = f(r.Context(), seq)
	} else {
		err = byID[verb](r.Context(), object)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "delivery.done")
	return web.SeeOther(w, r, "/exchange/admin/queue")
}
