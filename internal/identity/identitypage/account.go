package identitypage

import (
	"net/http"
	"strings"
	"time"

	"truc/internal/i18n"
	"truc/internal/identity"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// historyLength is how many events the account page shows.
const historyLength = 30

// accountPage is account.html.
type accountPage struct {
	ui.Page
	Who      ui.SummaryList
	Sessions []accountSession
	Others   *ui.Button
	History  ui.Table
}

type accountSession struct {
	ID, Device      string
	Since, LastSeen time.Time
	Current         bool
	Button          ui.Button
}

// account shows who one is here, where one is signed in, and what happened before.
func (p *Pages) account(w http.ResponseWriter, r *http.Request) error {
	who := reqctx.PrincipalOf(r.Context())
	sessions, err := p.Service.LiveSessions(r.Context(), who)
	if err != nil {
		return err
	}
	events, err := p.Service.History(r.Context(), who, historyLength)
	if err != nil {
		return err
	}
	page := accountPage{Page: ui.NewPage(r, "identity.account.title")}
	page.Who = whoList(page.Page, who)
	for _, s := range sessions {
		item := accountSession{ID: s.ID, Device: deviceText(page.Page, s.Device), Since: s.CreatedAt, LastSeen: s.LastSeen, Current: s.ID == who.Session}
		item.Button = ui.Button{Text: page.T("identity.account.revoke"), Kind: "secondary", Name: "session", Value: s.ID}
		page.Sessions = append(page.Sessions, item)
	}
	if len(sessions) > 1 {
		page.Others = &ui.Button{Text: page.T("identity.account.revoke_others"), Kind: "secondary", Name: "session", Value: "others"}
	}
	page.History = historyTable(page.Page, events)
	return p.templates.Render(w, r, http.StatusOK, "account", page)
}

func whoList(page ui.Page, who reqctx.Principal) ui.SummaryList {
	rows := []ui.SummaryRow{{Key: page.T("identity.account.name"), Value: who.Name}}
	if who.Kind == reqctx.Officer {
		rows = append(
			rows, ui.SummaryRow{Key: page.T("identity.account.account"), Value: who.ID},
			ui.SummaryRow{Key: page.T("identity.account.agency"), Value: who.Agency},
			ui.SummaryRow{Key: page.T("identity.account.roles"), Value: strings.Join(who.Roles, ", ")},
		)
	} else {
		rows = append(
			rows, ui.SummaryRow{Key: page.T("identity.account.number"), Value: mask(who.ID)},
			ui.SummaryRow{Key: page.T("identity.account.level"), Value: page.T("identity.account.level_value", "level", who.Level)},
		)
	}
	return ui.SummaryList{Rows: rows}
}

// mask hides the middle of a personal number: 0992•••••123. A screen in an office is read by others, too.
func mask(number string) string {
	if len(number) != 12 {
		return "•••"
	}
	return number[:4] + "•••••" + number[9:]
}

func deviceText(page ui.Page, device string) string {
	if device == "" {
		return page.T("identity.account.device_unknown")
	}
	return device
}

func historyTable(page ui.Page, events []identity.Event) ui.Table {
	t := ui.Table{
		Caption: page.T("identity.account.history"), HideCaption: true,
		Columns: []ui.Column{{Text: page.T("identity.account.when")}, {Text: page.T("identity.account.what")}, {Text: page.T("identity.account.device")}},
		Empty:   &ui.Empty{Title: page.T("identity.account.history_empty"), Text: page.T("identity.account.history_empty_text")},
	}
	for _, e := range events {
		what := ui.Cell{Text: page.T("identity.event." + string(e.Kind))}
		if e.Reason != "" {
			what.Sub = page.T(e.Reason)
		}
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: i18n.DateTime(e.At), Head: true}, what, {Text: deviceText(page, e.Device)}}})
	}
	return t
}

// accountRevoke ends one session, or all but the present one.
func (p *Pages) accountRevoke(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	who := reqctx.PrincipalOf(r.Context())
	switch id := form.Get("session"); id {
	case "others":
		err = p.Service.RevokeOthers(r.Context(), who)
	case who.Session:
		return p.logout(w, r)
	default:
		err = p.Service.Revoke(r.Context(), who, id)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "identity.account.revoked")
	return web.SeeOther(w, r, "/login/account")
}
