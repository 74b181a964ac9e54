package devidp

import (
	"cmp"
	"embed"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var pages embed.FS

// The scopes of the claims contract. An account is offered for the scopes asked for; with neither, all are.
const (
	scopeCitizen = "citizen"
	scopeOfficer = "officer"
)

// shown bounds the list of accounts of a kind; a search narrows it down.
const shown = 40

// searchFrom is the number of accounts from which a search field helps more than it disturbs.
const searchFrom = 9

// request is an authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3) that has been checked.
type request struct {
	client                            Client
	redirect, state, nonce, challenge string
	scopes                            []string
}

// carried are the parameters that travel through the page of accounts; they are checked again with the choice.
var carried = []string{"client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "prompt", "login_hint"}

// readRequest checks a request. An error is for the person: client and address are not to be trusted, so nobody is
// sent anywhere. fault is an OAuth error code for the client.
func (p *Provider) readRequest(v url.Values) (q request, fault string, err error) {
	for name, values := range v {
		if len(values) > 1 || len(values[0]) > 2000 {
			return q, "", errs.E(errs.Invalid, "identity.idp.request_broken", nil, "name", cut(name))
		}
	}
	c, ok := p.clients[v.Get("client_id")]
	if !ok {
		return q, "", errs.E(errs.Invalid, "identity.idp.client_unknown", nil)
	}
	if !slices.Contains(c.RedirectURLs, v.Get("redirect_uri")) {
		return q, "", errs.E(errs.Invalid, "identity.idp.redirect_unknown", nil, "client", c.Name)
	}
	q = request{
		client: c, redirect: v.Get("redirect_uri"), state: v.Get("state"), nonce: v.Get("nonce"), challenge: v.Get("code_challenge"),
		scopes: strings.Fields(v.Get("scope")),
	}
	switch {
	case v.Has("request"):
		fault = "request_not_supported"
	case v.Has("request_uri"):
		fault = "request_uri_not_supported"
	case v.Get("response_type") != "code" || v.Has("response_mode") && v.Get("response_mode") != "query":
		fault = "unsupported_response_type"
	case !slices.Contains(q.scopes, "openid"):
		fault = "invalid_scope"
	case v.Get("code_challenge_method") != "S256" || len(q.challenge) != 43:
		fault = "invalid_request" // no PKCE, or the method "plain": a downgrade
	case v.Get("prompt") == "none":
		fault = "login_required"
	}
	return q, fault, nil
}

func cut(s string) string {
	if len(s) > 30 {
		return s[:30]
	}
	return s
}

// answer returns the redirect address with the parameters of an answer, iss always among them.
func (p *Provider) answer(q request, pairs ...string) string {
	u, err := url.Parse(q.redirect)
	if err != nil {
		return q.redirect // cannot be: readClients parsed it
	}
	v := u.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	v.Set("iss", p.opt.Issuer)
	if q.state != "" {
		v.Set("state", q.state)
	}
	u.RawQuery = v.Encode()
	return u.String()
}

type hidden struct{ Name, Value string }

// accountGroup is one part of the list.
type accountGroup struct {
	Title string
	Items []accountItem
	// More is a sentence on those left out, "" when all are here.
	More string
}

type accountItem struct {
	Button ui.Button
	Lines  []string
}

// authorizePage is authorize.html.
type authorizePage struct {
	ui.Page
	Lead    string
	Warning ui.Inset
	Search  *searchForm
	Hidden  []hidden
	Action  string
	Groups  []accountGroup
	Nothing *ui.Empty
	Cancel  ui.Button
}

type searchForm struct {
	Field  ui.Input
	Button ui.Button
}

// authorize shows whom one can be.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	find := i18n.NFC(v.Get("find"))
	v.Del("find")
	v.Del("lang")
	q, fault, err := p.readRequest(v)
	if err != nil {
		return err
	}
	if fault != "" {
		return web.SeeOther(w, r, p.answer(q, "error", fault))
	}
	page := authorizePage{Page: ui.NewPage(r, "identity.idp.title"), Action: p.path + "/authorize"}
	page.Lead = page.T("identity.idp.lead", "client", q.client.Name)
	page.Warning = ui.Inset{Text: page.T("identity.idp.watermark"), Warning: true}
	page.Cancel = ui.Button{Text: page.T("identity.idp.cancel"), Kind: "secondary", Name: "account", Value: ""}
	for _, name := range carried {
		if v.Has(name) {
			page.Hidden = append(page.Hidden, hidden{Name: name, Value: v.Get(name)})
		}
	}
	total := 0
	for _, kind := range []reqctx.PrincipalKind{reqctx.Citizen, reqctx.Officer} {
		g, n := p.group(page.Page, q, kind, find)
		total += n
		if len(g.Items) > 0 {
			page.Groups = append(page.Groups, g)
		}
	}
	if total >= searchFrom {
		page.Search = &searchForm{
			Field:  ui.Input{Name: "find", Label: page.T("identity.idp.find"), Hint: page.T("identity.idp.find_hint"), Value: find, Width: "20"},
			Button: ui.Button{Text: page.T("identity.idp.find_button"), Kind: "secondary"},
		}
	}
	if len(page.Groups) == 0 {
		page.Nothing = &ui.Empty{Title: page.T("identity.idp.nobody"), Text: page.T("identity.idp.nobody_text")}
	}
	p.allowRedirect(w, r, q.redirect)
	return p.templates.Render(w, r, http.StatusOK, "authorize", page)
}

// allowRedirect lets the form of this page end at the client: browsers hold the redirect after a POST against
// form-action.
func (p *Provider) allowRedirect(w http.ResponseWriter, r *http.Request, redirect string) {
	u, err := url.Parse(redirect)
	if err != nil {
		return
	}
	https := strings.HasPrefix(p.opt.Issuer, "https:")
	web.SecurityHeaders([]string{u.Scheme + "://" + u.Host}, https)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
}

// group lists the accounts of a kind that fit the request and the search; n counts those without the search.
func (p *Provider) group(page ui.Page, q request, kind reqctx.PrincipalKind, find string) (g accountGroup, n int) {
	citizen, officer := slices.Contains(q.scopes, scopeCitizen), slices.Contains(q.scopes, scopeOfficer)
	if (citizen || officer) && (kind == reqctx.Citizen && !citizen || kind == reqctx.Officer && !officer) {
		return g, 0
	}
	g.Title = page.T("identity.idp.group_" + string(kind))
	want := i18n.Fold(find)
	left := 0
	for _, a := range p.sorted(kind) {
		n++
		if want != "" && !strings.Contains(i18n.Fold(strings.Join([]string{a.FullName, a.Note, a.PersonalID, a.Account, a.Agency, a.AgencyName}, " ")), want) {
			continue
		}
		if len(g.Items) == shown {
			left++
			continue
		}
		g.Items = append(g.Items, accountItem{
			Button: ui.Button{Text: a.FullName, Kind: "secondary", Name: "account", Value: a.ID}, Lines: a.lines(page),
		})
	}
	if left > 0 {
		g.More = page.T("identity.idp.more", "count", left)
	}
	return g, n
}

func (a Account) lines(page ui.Page) []string {
	var lines []string
	if a.Note != "" {
		lines = append(lines, a.Note)
	}
	if a.Kind == reqctx.Citizen {
		return append(lines, page.T("identity.idp.citizen_line", "number", a.PersonalID, "level", a.Level))
	}
	return append(lines, page.T("identity.idp.officer_line", "account", a.Account, "agency", cmp.Or(a.AgencyName, a.Agency)))
}

// sorted lists the accounts of a kind as they were given: the order tells the story.
func (p *Provider) sorted(kind reqctx.PrincipalKind) []Account {
	var list []Account
	for _, a := range p.opt.Accounts {
		if a.Kind == kind {
			list = append(list, p.accounts[a.ID])
		}
	}
	return list
}

// choose takes the choice and leads back to the client with a code.
func (p *Provider) choose(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 32<<10)
	if err != nil {
		return err
	}
	account := form.Get("account")
	form.Del("account")
	q, fault, err := p.readRequest(form)
	if err != nil {
		return err
	}
	if fault != "" {
		return web.SeeOther(w, r, p.answer(q, "error", fault))
	}
	if account == "" {
		return web.SeeOther(w, r, p.answer(q, "error", "access_denied"))
	}
	if _, ok := p.accounts[account]; !ok {
		return errs.E(errs.NotFound, "identity.idp.account_unknown", nil)
	}
	code, ok := p.issueCode(&grant{
		client: q.client.ID, redirect: q.redirect, challenge: q.challenge, nonce: q.nonce, scopes: q.scopes, account: account,
	})
	if !ok {
		return web.SeeOther(w, r, p.answer(q, "error", "temporarily_unavailable"))
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.SeeOther(w, r, p.answer(q, "code", code))
}

// endedPage is ended.html.
type endedPage struct {
	ui.Page
	Text string
}

// endSession leads back to a registered address (OpenID Connect RP-Initiated Logout §3), or says that nothing is left
// to end: this provider keeps no session of its own.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	back := v.Get("post_logout_redirect_uri")
	if c, ok := p.clients[v.Get("client_id")]; ok && back != "" && slices.Contains(c.LogoutURLs, back) {
		u, err := url.Parse(back)
		if err != nil {
			return errs.E(errs.Invalid, "identity.idp.redirect_unknown", err, "client", c.Name)
		}
		if s := v.Get("state"); s != "" {
			q := u.Query()
			q.Set("state", s)
			u.RawQuery = q.Encode()
		}
		return web.SeeOther(w, r, u.String())
	}
	page := endedPage{Page: ui.NewPage(r, "identity.idp.ended")}
	page.Text = page.T("identity.idp.ended_text")
	return p.templates.Render(w, r, http.StatusOK, "ended", page)
}
