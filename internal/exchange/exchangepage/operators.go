package exchangepage

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// OperatorPages are the pages that keep the keys of the management interface.
type OperatorPages struct {
	Operators *exchange.Operators
	// Audit records an act before it happens; when it fails, so does the act.
	Audit    func(ctx context.Context, actor, action, object string) error
	Renderer *ui.Renderer

	templates *ui.Templates
}

// Mount adds the routes, all for administrators.
func (p *OperatorPages) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	m.HandleFor("GET /exchange/admin/operators", p.operators, "listOperators")
	m.HandleFor("POST /exchange/admin/operators", p.operatorCreate, "createOperator")
	m.HandleFor("POST /exchange/admin/operators/revoke", p.operatorRevoke, "revokeOperator")
	return nil
}

type operatorsPage struct {
	ui.Page
	Keys   []operatorRow
	None   ui.Empty
	Label  ui.Input
	Roles  ui.Checkboxes
	Create ui.Button
	// Secret is shown once, after the key was made.
	Secret string
}

type operatorRow struct {
	Label, Roles, State, By string
	Since                   time.Time
	Revoke                  *ui.Button
}

func (p *OperatorPages) operators(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, "", operatorForm{}, nil)
}

type operatorForm struct {
	label string
	roles []string
}

func (p *OperatorPages) render(w http.ResponseWriter, r *http.Request, status int, secret string, f operatorForm, problems ui.Problems) error {
	pg := operatorsPage{Page: page(r, "exchange.operators.title"), Secret: secret}
	pg.Back, pg.Problems = pg.BackTo("/exchange/admin"), problems
	list, err := p.Operators.List(r.Context())
	if err != nil {
		return err
	}
	for _, k := range list {
		row := operatorRow{Label: k.Label, State: pg.T("exchange.keys.active"), Since: k.CreatedAt, By: k.CreatedBy}
		names := make([]string, len(k.Roles))
		for i, role := range k.Roles {
			names[i] = pg.T("exchange.operators.role." + role)
		}
		row.Roles = strings.Join(names, ", ")
		if k.RevokedAt.IsZero() {
			row.Revoke = &ui.Button{Text: pg.T("exchange.keys.revoke"), Kind: "secondary", Name: "id", Value: k.ID}
		} else {
			row.State = pg.T("exchange.keys.revoked")
		}
		pg.Keys = append(pg.Keys, row)
	}
	pg.None = ui.Empty{Title: pg.T("exchange.operators.none"), Text: pg.T("exchange.operators.none_text")}
	pg.Label = ui.Input{Name: "label", Label: pg.T("exchange.operators.label"), Hint: pg.T("exchange.operators.label_hint"), Value: f.label, Error: problems.For("label")}
	pg.Roles = ui.Checkboxes{Name: "roles", Legend: pg.T("exchange.operators.roles"), Values: f.roles, Error: problems.For("roles")}
	for _, role := range exchange.OperatorRoles {
		pg.Roles.Options = append(pg.Roles.Options, ui.Option{
			Value: role, Label: pg.T("exchange.operators.role." + role), Hint: pg.T("exchange.operators.may." + role),
		})
	}
	pg.Create = ui.Button{Text: pg.T("exchange.keys.create")}
	w.Header().Set("Cache-Control", "no-store")
	return p.templates.Render(w, r, status, "operators", pg)
}

func (p *OperatorPages) operatorCreate(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	f := operatorForm{label: strings.TrimSpace(form.Get("label")), roles: form["roles"]}
	var problems ui.Problems
	if f.label == "" || len(f.label) > 200 {
		problems.Add("label", "exchange.operators.label_missing")
	}
	if len(f.roles) == 0 || slices.ContainsFunc(f.roles, func(role string) bool { return !slices.Contains(exchange.OperatorRoles, role) }) {
		problems.Add("roles", "exchange.operators.role_missing")
	}
	if len(problems) > 0 {
		return p.render(w, r, http.StatusUnprocessableEntity, "", f, problems)
	}
	by := reqctx.PrincipalOf(r.Context()).ID
	if err := p.Audit(r.Context(), by, "exchange.operator.create", f.label); err != nil {
		return err
	}
	secret, _, err := p.Operators.Create(r.Context(), by, f.label, f.roles)
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, secret, operatorForm{}, nil)
}

func (p *OperatorPages) operatorRevoke(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	id := form.Get("id")
	if id == "" || len(id) > 64 {
		return errs.E(errs.NotFound, "exchange.key_unknown", nil)
	}
	if err := p.Audit(r.Context(), reqctx.PrincipalOf(r.Context()).ID, "exchange.operator.revoke", id); err != nil {
		return err
	}
	if err := p.Operators.Revoke(r.Context(), id); err != nil {
		return err
	}
	ui.Flash(w, "exchange.keys.revoke_done")
	return web.SeeOther(w, r, "/exchange/admin/operators")
}
