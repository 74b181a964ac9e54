package exchangepage

import (
	"net/http"
	"strings"
	"time"

	"truc/internal/exchange"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type keysPage struct {
	ui.Page
	Keys            []keyRow
	None            ui.Empty
	Label           ui.Input
	Subsystem       ui.Select
	Kind            ui.Radios
	Key             ui.Textarea
	ErrorCodes      ui.Select
	Create          ui.Button
	Secret, SecretT string
}

type keyRow struct {
	Label, Subsystem, Kind, State string
	Since                         time.Time
	Revoke                        *ui.Button
}

// clients are the acts on client records.
func (p *Pages) clients() *exchange.Clients {
	return &exchange.Clients{Store: p.Keys, Subsystems: p.Subsystems, Audit: p.Audit, Now: p.Now}
}

func (p *Pages) keys(w http.ResponseWriter, r *http.Request) error {
	return p.renderKeys(w, r, http.StatusOK, exchange.NewClient{}, "", nil)
}

// renderKeys shows the clients and the form; secret is shown once, after a key or token was made.
func (p *Pages) renderKeys(w http.ResponseWriter, r *http.Request, status int, n exchange.NewClient, secret string, problems ui.Problems) error {
	pg := keysPage{Page: page(r, "exchange.keys.title"), Secret: secret}
	pg.Back, pg.Problems = pg.BackTo("/exchange/admin"), problems
	if secret != "" {
		pg.SecretT = pg.T("exchange.keys.once")
		if n.Kind == exchange.ClientBound {
			pg.SecretT = pg.T("exchange.keys.once_bound")
		}
	}
	list, err := p.clients().List(r.Context())
	if err != nil {
		return err
	}
	pg.None = ui.Empty{Title: pg.T("exchange.keys.none"), Text: pg.T("exchange.keys.none_text")}
	for _, k := range list {
		row := keyRow{Label: k.Label, Subsystem: k.Subsystem, Kind: pg.T("exchange.keys.kind." + k.Kind), State: pg.T("exchange.keys.active"), Since: k.CreatedAt}
		if k.ErrorCodes == exchange.CodesLegacy {
			row.Kind += " · " + pg.T("exchange.keys.codes.legacy")
		}
		if k.RevokedAt.IsZero() {
			row.Revoke = &ui.Button{Text: pg.T("exchange.keys.revoke"), Kind: "secondary", Name: "id", Value: k.ID}
		} else {
			row.State = pg.T("exchange.keys.revoked")
		}
		pg.Keys = append(pg.Keys, row)
	}
	if secret != "" || len(problems) == 0 {
		n = exchange.NewClient{}
	}
	pg.form(n, p.Subsystems)
	w.Header().Set("Cache-Control", "no-store")
	return p.templates.Render(w, r, status, "keys", pg)
}

// form fills the form for a new client with what was written.
func (pg *keysPage) form(n exchange.NewClient, subsystems []string) {
	pg.Label = ui.Input{Name: "label", Label: pg.T("exchange.keys.label"), Hint: pg.T("exchange.keys.label_hint"), Value: n.Label, Error: pg.Problems.For("label")}
	pg.Subsystem = ui.Select{Name: "subsystem", Label: pg.T("exchange.client"), Empty: pg.T("exchange.choose"), Value: n.Subsystem, Error: pg.Problems.For("subsystem")}
	for _, s := range subsystems {
		pg.Subsystem.Options = append(pg.Subsystem.Options, ui.Option{Value: s, Label: s})
	}
	pg.Kind = ui.Radios{Name: "kind", Legend: pg.T("exchange.keys.kind"), Value: n.Kind, Error: pg.Problems.For("kind")}
	if pg.Kind.Value == "" {
		pg.Kind.Value = exchange.ClientKey
	}
	for _, kind := range []string{exchange.ClientKey, exchange.ClientMTLS, exchange.ClientBound} {
		pg.Kind.Options = append(pg.Kind.Options, ui.Option{Value: kind, Label: pg.T("exchange.keys.kind." + kind), Hint: pg.T("exchange.keys.kind_hint." + kind)})
	}
	pg.Key = ui.Textarea{Name: "key", Label: pg.T("exchange.keys.key"), Hint: pg.T("exchange.keys.key_hint"), Value: n.Key, Optional: true, Error: pg.Problems.For("key")}
	pg.ErrorCodes = ui.Select{
		Name: "error_codes", Label: pg.T("exchange.keys.codes"), Hint: pg.T("exchange.keys.codes_hint"), Empty: pg.T("exchange.keys.codes.default"), Value: n.ErrorCodes,
		Error: pg.Problems.For("error_codes"), Options: []ui.Option{
			{Value: exchange.CodesSnake, Label: pg.T("exchange.keys.codes.snake")},
			{Value: exchange.CodesLegacy, Label: pg.T("exchange.keys.codes.legacy")},
		},
	}
	pg.Create = ui.Button{Text: pg.T("exchange.keys.create")}
}

func (p *Pages) keyCreate(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 32<<10)
	if err != nil {
		return err
	}
	n := exchange.NewClient{
		Label: strings.TrimSpace(form.Get("label")), Subsystem: form.Get("subsystem"), Kind: form.Get("kind"), Key: strings.TrimSpace(form.Get("key")),
		ErrorCodes: form.Get("error_codes"),
	}
	var problems ui.Problems
	for _, f := range p.clients().Check(n) {
		problems.Add(f.Field, f.Key)
	}
	if len(problems) > 0 {
		return p.renderKeys(w, r, http.StatusUnprocessableEntity, n, "", problems)
	}
	_, secret, err := p.clients().Create(r.Context(), reqctx.PrincipalOf(r.Context()).ID, n)
	if err != nil {
		return err
	}
	if secret == "" {
		ui.Flash(w, "exchange.keys.pinned")
		return web.SeeOther(w, r, "/exchange/admin/keys")
	}
	return p.renderKeys(w, r, http.StatusOK, n, secret, nil)
}

func (p *Pages) keyRevoke(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	if err := p.clients().Revoke(r.Context(), reqctx.PrincipalOf(r.Context()).ID, form.Get("id")); err != nil {
		return err
	}
	ui.Flash(w, "exchange.keys.revoke_done")
	return web.SeeOther(w, r, "/exchange/admin/keys")
}
