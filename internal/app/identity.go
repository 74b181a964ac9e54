package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/url"
	"time"

	"truc/internal/directory/directorypage"
	"truc/internal/exchange/exchangepage"
	"truc/internal/i18n"
	"truc/internal/identity"
	"truc/internal/identity/devidp"
	"truc/internal/identity/identityclient"
	"truc/internal/identity/identitypage"
	"truc/internal/identity/identitystore"
	"truc/internal/reqctx"
	"truc/internal/web/ui"
)

func (n *Node) uiOptions(assets *ui.Assets) ui.Options {
	name := i18n.Text{"vi": n.cfg.Name.In("vi"), "en": n.cfg.Name.In("en")}
	if n.cfg.Portal.Enabled {
		name = i18n.Text{"vi": "Cổng dịch vụ công", "en": "Public services"}
	}
	phase := ""
	if n.cfg.Env != "production" {
		phase = "test"
	}
	return ui.Options{
		Lang: n.messages, Assets: assets,
		Site: ui.Site{Name: name, Owner: n.cfg.Name, Phase: phase},
		Nav:  n.navigation,
	}
}

// navigation lists what a person may reach at this node.
func (n *Node) navigation(_ *http.Request, p reqctx.Principal) []ui.NavItem {
	var items []ui.NavItem
	add := func(key, url string) { items = append(items, ui.NavItem{Key: key, URL: url}) }
	if n.cfg.Portal.Enabled && p.Kind != reqctx.Officer {
		add("app.nav.procedures", "/procedures")
		add("app.nav.track", "/track")
		if p.Kind == reqctx.Citizen {
			add("app.nav.filings", "/filings")
			add("app.nav.my_data", "/my-data")
		}
	}
	if n.cfg.Desk.Enabled && p.Kind == reqctx.Officer && (p.Has("reception") || p.Has("officer") || p.Has("head") || p.Has("admin")) {
		add("app.nav.desk", "/desk")
	}
	if n.cfg.Documents.Enabled && p.Kind == reqctx.Officer {
		add("app.nav.documents", "/documents")
	}
	if n.cfg.Oversight.Enabled {
		add("app.nav.oversight", "/oversight")
	}
	if administers(p) {
		if first := exchangepage.First(n.may(p)); first != "" && n.operators != nil {
			add("app.nav.exchange", first)
		}
		if first := directorypage.First(n.center != nil, n.may(p)); first != "" {
			add("app.nav.directory", first)
		}
	}
	if p.Kind == reqctx.Officer && p.Has("admin") {
		if n.cfg.Axis.Enabled {
			add("axispage.section", "/axis")
		}
		if len(n.cfg.Registers) > 0 {
			add("app.nav.registers", "/registers")
		}
	}
	return items
}

func (n *Node) startIdentity(ctx context.Context) error {
	if err := n.migrate(ctx, "identity", identitystore.Migrations(), ""); err != nil {
		return err
	}
	store := &identitystore.Store{DB: n.db, Recorded: n.recordSignIn}
	n.identity = &identity.Service{Sessions: store, Events: store, Officers: store, Now: n.now}
	officers := make([]identity.Officer, len(n.cfg.Identity.Officers))
	for i, o := range n.cfg.Identity.Officers {
		officers[i] = identity.Officer{Account: o.Account, Name: o.Name, Title: o.Title, Agency: o.Agency, Roles: o.Roles}
	}
	if err := n.identity.Seed(ctx, officers); err != nil {
		return err
	}
	n.sessions = &identitypage.Sessions{Service: n.identity, Cookie: "truc_" + n.cfg.Member, HTTPS: n.cfg.Web.URL[:5] == "https"}
	secret, err := readSecret(n.cfg.Identity.ClientSecretFile)
	if err != nil {
		return err
	}
	sealKey, err := n.secretKey("signin.key")
	if err != nil {
		return err
	}
	sealer, err := identity.NewSealer(sealKey, rand.Reader)
	if err != nil {
		return err
	}
	pages := &identitypage.Pages{
		Service: n.identity, Sessions: n.sessions, Sealer: sealer, BaseURL: n.cfg.Web.URL, Renderer: n.renderer, Now: n.now, Log: n.log,
		Failed: n.recordFailedSignIn,
		Provider: &identityclient.Client{
			Issuer: n.cfg.Identity.Issuer, ID: n.cfg.Identity.ClientID, Secret: secret, RedirectURL: n.cfg.Web.URL + "/login/callback", Now: n.now,
		},
	}
	for _, k := range n.cfg.Identity.Kinds {
		pages.Kinds = append(pages.Kinds, reqctx.PrincipalKind(k))
	}
	if err := pages.Mount(n.mux); err != nil {
		return err
	}
	if u, err := url.Parse(n.cfg.Identity.Issuer); err == nil && u.Host != "" {
		n.formAction = append(n.formAction, u.Scheme+"://"+u.Host)
	}
	n.every("identity.sweep", time.Hour, func(ctx context.Context) error {
		_, err := n.identity.Sweep(ctx, 30*24*time.Hour)
		return err
	})
	if !n.cfg.Portal.Enabled {
		n.mux.Handle("GET /{$}", n.home)
	}
	if n.cfg.IDP.Enabled {
		return n.startIDP()
	}
	return nil
}

// startIDP runs the development sign-in provider. It refuses production by itself, whatever the configuration says.
func (n *Node) startIDP() error {
	var accounts []devidp.Account
	if err := readJSONFile(n.cfg.IDP.AccountsFile, &accounts); err != nil {
		return err
	}
	var clients []devidp.Client
	if err := readJSONFile(n.cfg.IDP.ClientsFile, &clients); err != nil {
		return err
	}
	provider, err := devidp.New(devidp.Options{
		Issuer: n.cfg.Web.URL + "/idp", Env: n.cfg.Env, Accounts: accounts, Clients: clients, KeyPath: n.path("idp.key"),
		Renderer: n.renderer, Now: n.now, Log: n.log,
	})
	if err != nil {
		return err
	}
	provider.Mount(n.mux)
	n.bypass = append(n.bypass, "POST /idp/token")
	for _, c := range clients {
		for _, raw := range append(c.RedirectURLs, c.LogoutURLs...) {
			if u, err := url.Parse(raw); err == nil {
				n.formAction = append(n.formAction, u.Scheme+"://"+u.Host)
			}
		}
	}
	return nil
}

// secretKey reads 32 secret bytes of this node, or makes them.
func (n *Node) secretKey(name string) ([]byte, error) {
	s, err := n.keystore.LoadOrCreateSecret(n.path("keys", name))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(s)
	return sum[:], nil
}
