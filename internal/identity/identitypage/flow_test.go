package identitypage_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"truc/internal/i18n"
	"truc/internal/identity"
	"truc/internal/identity/devidp"
	"truc/internal/identity/identityclient"
	"truc/internal/identity/identitypage"
	"truc/internal/identity/identitystore"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

// world is a node and a provider, each behind a real listener, and a browser. The clock stands unless moved.
type world struct {
	t       *testing.T
	offset  atomic.Int64
	node    *httptest.Server
	idp     *httptest.Server
	service *identity.Service
	browser *http.Client
	// tamper, when set, changes the provider's answers to the node.
	tamper func(*http.Response) error
	secret string
}

func (w *world) now() time.Time {
	return time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC).Add(time.Duration(w.offset.Load()))
}

// RoundTrip carries the node's own requests to the provider.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && w.tamper != nil {
		err = w.tamper(resp)
	}
	return resp, err
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, secret: "s3cret"}
	catalogue := must(i18n.Load(lang.FS))(t)
	renderer := must(ui.NewRenderer(ui.Options{Lang: catalogue, Site: ui.Site{Phase: "test"}}))(t)
	var nodeHandler, idpHandler http.Handler
	w.node = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { nodeHandler.ServeHTTP(rw, r) }))
	w.idp = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { idpHandler.ServeHTTP(rw, r) }))
	t.Cleanup(w.node.Close)
	t.Cleanup(w.idp.Close)

	idp := must(devidp.New(devidp.Options{
		Issuer: w.idp.URL + "/idp", Env: "development", Accounts: accounts(), KeyPath: filepath.Join(t.TempDir(), "idp.pem"), Renderer: renderer, Now: w.now,
		Clients: []devidp.Client{{
			ID: "h36", Secret: w.secret, Name: "Cổng Lâm Đồng",
			RedirectURLs: []string{w.node.URL + "/login/callback"}, LogoutURLs: []string{w.node.URL + "/"},
		}},
	}))(t)
	idpMux := web.NewMux(web.Options{Renderer: renderer, Lang: catalogue})
	idp.Mount(idpMux)
	idpHandler = web.Public(idpMux, web.PublicOptions{})

	db := storagetest.OpenSQLite(t)
	if err := storage.Migrate(t.Context(), db, "identity", identitystore.Migrations(), w.now()); err != nil {
		t.Fatal(err)
	}
	st := &identitystore.Store{DB: db}
	w.service = &identity.Service{Sessions: st, Events: st, Officers: st, Now: w.now}
	if err := w.service.Seed(t.Context(), []identity.Officer{{Account: "h36.lan", Name: "Trần Thị Lan", Agency: "H36.14", Roles: []string{"reception"}}}); err != nil {
		t.Fatal(err)
	}
	sessions := &identitypage.Sessions{Service: w.service, Cookie: "truc_H36"}
	pages := &identitypage.Pages{
		Service: w.service, Sessions: sessions, BaseURL: w.node.URL, Renderer: renderer, Now: w.now, Log: slog.New(slog.DiscardHandler),
		Sealer: must(identity.NewSealer(make([]byte, 32), rand.Reader))(t),
		Kinds:  []reqctx.PrincipalKind{reqctx.Citizen, reqctx.Officer},
		Provider: &identityclient.Client{
			Issuer: w.idp.URL + "/idp", ID: "h36", Secret: w.secret, RedirectURL: w.node.URL + "/login/callback", HTTP: &http.Client{Transport: w}, Now: w.now,
		},
	}
	mux := web.NewMux(web.Options{Renderer: renderer, Lang: catalogue})
	if err := pages.Mount(mux); err != nil {
		t.Fatal(err)
	}
	mux.Handle("GET /my", web.RequireCitizen(func(rw http.ResponseWriter, r *http.Request) error {
		_, err := io.WriteString(rw, "my page: "+reqctx.PrincipalOf(r.Context()).Name)
		return err
	}))
	mux.Handle("GET /desk", web.RequireOfficer(func(rw http.ResponseWriter, r *http.Request) error {
		_, err := io.WriteString(rw, "desk of "+reqctx.PrincipalOf(r.Context()).Agency)
		return err
	}, "reception"))
	nodeHandler = web.Public(mux, web.PublicOptions{Session: sessions.Principal})
	w.browser = &http.Client{Jar: must(cookiejar.New(nil))(t), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return w
}

func accounts() []devidp.Account {
	list := []devidp.Account{
		{ID: "an", Kind: reqctx.Citizen, FullName: "Nguyễn Thị An", Note: "mẹ của bé Bình", PersonalID: "099190000001", Birthdate: "1990-02-03", Gender: "female"},
		{ID: "lan", Kind: reqctx.Officer, FullName: "Trần Thị Lan", Account: "h36.lan", Agency: "H36", AgencyName: "Lâm Đồng", Roles: []string{"admin"}},
		{ID: "spy", Kind: reqctx.Officer, FullName: "Người Lạ", Account: "x.spy", Agency: "X", Roles: []string{"admin"}},
	}
	for i := range 60 {
		list = append(list, devidp.Account{ID: "c" + string(rune('0'+i/10)) + string(rune('0'+i%10)), Kind: reqctx.Citizen, FullName: "Lê Văn Thử", PersonalID: "0991910000" + string(rune('0'+i/10)) + string(rune('0'+i%10))})
	}
	return list
}

type answer struct {
	status   int
	location string
	body     string
	header   http.Header
}

func (w *world) do(method, target string, form url.Values) answer {
	w.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req := must(http.NewRequestWithContext(w.t.Context(), method, target, body))(w.t)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp := must(w.browser.Do(req))(w.t) //nolint:bodyclose // closed on the next line
	defer resp.Body.Close()
	b := must(io.ReadAll(resp.Body))(w.t)
	loc := resp.Header.Get("Location")
	if loc != "" {
		loc = must(req.URL.Parse(loc))(w.t).String()
	}
	return answer{status: resp.StatusCode, location: loc, body: string(b), header: resp.Header}
}

func (w *world) get(target string) answer {
	if strings.HasPrefix(target, "/") {
		target = w.node.URL + target
	}
	return w.do(http.MethodGet, target, nil)
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// authorizeAt walks to the provider and chooses an account; it returns the address of the callback, not yet visited.
func (w *world) authorizeAt(kind, next, account string) string {
	w.t.Helper()
	start := w.get("/login/start?" + url.Values{"kind": {kind}, "next": {next}}.Encode())
	if start.status != http.StatusSeeOther || !strings.HasPrefix(start.location, w.idp.URL+"/idp/authorize?") {
		w.t.Fatalf("start = %d %s\n%s", start.status, start.location, start.body)
	}
	page := w.get(start.location)
	if page.status != http.StatusOK || !strings.Contains(page.body, "không dùng thông tin thật") {
		w.t.Fatalf("page of accounts = %d\n%s", page.status, page.body)
	}
	form := formOf(page.body)
	form.Set("account", account)
	chosen := w.do(http.MethodPost, w.idp.URL+"/idp/authorize", form)
	if chosen.status != http.StatusSeeOther {
		w.t.Fatalf("choice = %d\n%s", chosen.status, chosen.body)
	}
	return chosen.location
}

// formOf reads the hidden inputs of the form that posts, as a browser would.
func formOf(body string) url.Values {
	_, body, _ = strings.Cut(body, `<form method="post" action="/idp/authorize"`)
	form := url.Values{}
	for _, m := range hiddenInput.FindAllStringSubmatch(body, -1) {
		form.Set(unescape(m[1]), unescape(m[2]))
	}
	return form
}

func unescape(s string) string {
	return strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">").Replace(s)
}

func TestCitizenSignsInAndOut(t *testing.T) {
	w := newWorld(t)
	if a := w.get("/my"); a.location != w.node.URL+"/login?next=%2Fmy" {
		t.Fatalf("anonymous at /my goes to %q", a.location)
	}
	page := w.get("/login?next=%2Fmy")
	if !strings.Contains(page.body, `href="/login/start?kind=citizen&amp;next=%2Fmy"`) {
		t.Fatalf("no link to start:\n%s", page.body)
	}
	back := w.authorizeAt("citizen", "/my?x=1", "an")
	done := w.get(back)
	if done.status != http.StatusSeeOther || done.location != w.node.URL+"/my?x=1" {
		t.Fatalf("callback = %d %s\n%s", done.status, done.location, done.body)
	}
	for _, c := range done.header.Values("Set-Cookie") {
		if strings.HasPrefix(c, "truc_H36=") && (!strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Lax") || strings.Contains(c, "Secure")) {
			t.Errorf("session cookie: %s", c)
		}
	}
	if a := w.get("/my"); a.body != "my page: Nguyễn Thị An" {
		t.Errorf("/my = %d %s", a.status, a.body)
	}
	if a := w.get("/desk"); a.status != http.StatusForbidden {
		t.Errorf("a citizen at the desk = %d", a.status)
	}
	account := w.get("/login/account")
	for _, want := range []string{"Nguyễn Thị An", "0991•••••001", "phiên này", "Đăng nhập"} {
		if !strings.Contains(account.body, want) {
			t.Errorf("account page lacks %q", want)
		}
	}
	if strings.Contains(account.body, "099190000001") {
		t.Error("account page shows the whole personal number")
	}
	// The same answer again: the flow is gone, and the code would be as well.
	if a := w.get(back); a.status != http.StatusBadRequest || !strings.Contains(a.body, "Hãy bắt đầu lại") {
		t.Errorf("replayed answer = %d", a.status)
	}
	if a := w.do(http.MethodPost, w.node.URL+"/logout", url.Values{}); a.location != w.node.URL+"/login/ended" {
		t.Errorf("logout leads to %q", a.location)
	}
	ended := w.get("/login/ended")
	if !strings.Contains(ended.body, w.idp.URL+"/idp/end_session?client_id=h36") {
		t.Error("no link to sign out at the provider")
	}
	end := w.get(w.idp.URL + "/idp/end_session?client_id=h36&post_logout_redirect_uri=" + url.QueryEscape(w.node.URL+"/"))
	if end.location != w.node.URL+"/" {
		t.Errorf("end_session leads to %q", end.location)
	}
	if a := w.get(w.idp.URL + "/idp/end_session?client_id=h36&post_logout_redirect_uri=https://evil.example/"); a.status != http.StatusOK {
		t.Errorf("end_session to a stranger = %d %s", a.status, a.location)
	}
	if a := w.get("/my"); a.status != http.StatusSeeOther {
		t.Errorf("/my after signing out = %d", a.status)
	}
}

func TestOfficerSignsIn(t *testing.T) {
	w := newWorld(t)
	if a := w.get(w.authorizeAt("officer", "/desk", "lan")); a.location != w.node.URL+"/desk" {
		t.Fatalf("callback = %d %s\n%s", a.status, a.location, a.body)
	}
	if a := w.get("/desk"); a.body != "desk of H36.14" {
		t.Errorf("/desk = %d %s", a.status, a.body)
	}
	if a := w.get("/my"); a.status != http.StatusForbidden {
		t.Errorf("an officer at a citizen's page = %d", a.status)
	}
	if err := w.service.Seed(t.Context(), nil); err != nil { // everybody left
		t.Fatal(err)
	}
	if a := w.get("/desk"); a.status != http.StatusSeeOther {
		t.Errorf("a leaver's next request = %d", a.status)
	}
	if a := w.get(w.authorizeAt("officer", "/desk", "spy")); a.status != http.StatusForbidden || !strings.Contains(a.body, "không có trong danh sách") {
		t.Errorf("an unknown officer = %d", a.status)
	}
	if a := w.get(w.authorizeAt("citizen", "/my", "lan")); a.status != http.StatusForbidden {
		t.Errorf("an officer's account as citizen = %d", a.status)
	}
	if a := w.get(w.authorizeAt("officer", "/desk", "")); a.status != http.StatusForbidden || !strings.Contains(a.body, "đã bị huỷ") {
		t.Errorf("cancelled = %d", a.status)
	}
}

func TestSessionsPageRevokes(t *testing.T) {
	w := newWorld(t)
	w.get(w.authorizeAt("citizen", "/my", "an"))
	elsewhere := w.browser.Jar
	w.browser.Jar = must(cookiejar.New(nil))(t)
	w.get(w.authorizeAt("citizen", "/my", "an"))
	if a := w.do(http.MethodPost, w.node.URL+"/login/account/revoke", url.Values{"session": {"others"}}); a.status != http.StatusSeeOther {
		t.Fatalf("revoke = %d\n%s", a.status, a.body)
	}
	if a := w.get("/my"); a.status != http.StatusOK {
		t.Errorf("the present session ended too: %d", a.status)
	}
	w.browser.Jar = elsewhere
	if a := w.get("/my"); a.status != http.StatusSeeOther {
		t.Errorf("the revoked session is open: %d", a.status)
	}
}

func TestSignInReplacesSession(t *testing.T) {
	w := newWorld(t)
	w.get(w.authorizeAt("citizen", "/my", "an"))
	node := must(url.Parse(w.node.URL))(t)
	var before string
	for _, c := range w.browser.Jar.Cookies(node) {
		if c.Name == "truc_H36" {
			before = c.Value
		}
	}
	w.get(w.authorizeAt("citizen", "/my", "c07"))
	if p, err := w.service.Principal(t.Context(), before, ""); before == "" || err != nil || !p.Anonymous() {
		t.Errorf("the token from before the sign-in = %v, %v; want nobody", p, err)
	}
}

func TestOpenRedirect(t *testing.T) {
	w := newWorld(t)
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/\t/evil.example", "javascript:alert(1)"} {
		a := w.get(w.authorizeAt("citizen", next, "an"))
		if a.location != w.node.URL+"/" {
			t.Errorf("next %q leads to %q; want the home page", next, a.location)
		}
	}
}

func TestForgedAnswers(t *testing.T) {
	tests := []struct {
		name   string
		change func(q url.Values)
	}{
		{"wrong state", func(q url.Values) { q.Set("state", "x") }},
		{"no state", func(q url.Values) { q.Del("state") }},
		{"wrong iss", func(q url.Values) { q.Set("iss", "https://evil.example") }},
		{"no iss", func(q url.Values) { q.Del("iss") }},
		{"wrong code", func(q url.Values) { q.Set("code", "x") }},
		{"no code", func(q url.Values) { q.Del("code") }},
		{"code twice", func(q url.Values) { q.Add("code", q.Get("code")) }},
		{"provider's error", func(q url.Values) { q.Del("code"); q.Set("error", "invalid_scope") }},
	}
	w := newWorld(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := must(url.Parse(w.authorizeAt("citizen", "/my", "an")))(t)
			q := u.Query()
			tt.change(q)
			u.RawQuery = q.Encode()
			if a := w.get(u.String()); a.status != http.StatusForbidden {
				t.Errorf("answer = %d %s; want 403", a.status, a.location)
			}
			if a := w.get("/my"); a.status != http.StatusSeeOther {
				t.Error("signed in nevertheless")
			}
		})
	}
	t.Run("answer of another browser", func(t *testing.T) {
		back := w.authorizeAt("citizen", "/my", "an")
		w.browser.Jar = must(cookiejar.New(nil))(t)
		if a := w.get(back); a.status != http.StatusBadRequest {
			t.Errorf("answer = %d; want 400", a.status)
		}
	})
	t.Run("too late", func(t *testing.T) {
		back := w.authorizeAt("citizen", "/my", "an")
		w.offset.Add(int64(61 * time.Second))
		if a := w.get(back); a.status != http.StatusForbidden {
			t.Errorf("code of 61 seconds = %d; want 403", a.status)
		}
		back = w.authorizeAt("citizen", "/my", "an")
		w.offset.Add(int64(identity.FlowTime))
		if a := w.get(back); a.status != http.StatusBadRequest {
			t.Errorf("flow of 15 minutes = %d; want 400", a.status)
		}
	})
}

// changeToken makes the provider's token answer carry an id_token signed or changed by somebody else.
func changeToken(t *testing.T, change func(raw string) string) func(*http.Response) error {
	return func(resp *http.Response) error {
		if !strings.HasSuffix(resp.Request.URL.Path, "/token") || resp.StatusCode != http.StatusOK {
			return nil
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			return err
		}
		raw, _ := m["id_token"].(string)
		m["id_token"] = change(raw)
		b, err = json.Marshal(m)
		resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(string(b))), int64(len(b))
		resp.Header.Del("Content-Length")
		return err
	}
}

func TestTamperedTokens(t *testing.T) {
	payload := func(raw string, change func(map[string]any)) []byte {
		sig := must(jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256}))(t)
		var m map[string]any
		if err := json.Unmarshal(sig.UnsafePayloadWithoutVerification(), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		return must(json.Marshal(m))(t)
	}
	own := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	sign := func(key any, alg jose.SignatureAlgorithm, body []byte) string {
		s := must(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil))(t)
		return must(must(s.Sign(body))(t).CompactSerialize())(t)
	}
	none := func(map[string]any) {}
	tests := []struct {
		name   string
		change func(raw string) string
	}{
		{"other payload, old signature", func(raw string) string {
			parts := strings.Split(raw, ".")
			parts[1] = strings.Split(sign(own, jose.ES256, payload(raw, func(m map[string]any) { m["personal_id"] = "099190000099" })), ".")[1]
			return strings.Join(parts, ".")
		}},
		{"other key", func(raw string) string { return sign(own, jose.ES256, payload(raw, none)) }},
		{"symmetric algorithm", func(raw string) string {
			return sign([]byte("s3crets3crets3crets3crets3crets3cret"), jose.HS256, payload(raw, none))
		}},
		{"no algorithm", func(raw string) string {
			return "eyJhbGciOiJub25lIn0." + strings.Split(raw, ".")[1] + "."
		}},
		{"no token", func(string) string { return "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.tamper = changeToken(t, tt.change) //nolint:bodyclose // a change of a response, not a response
			if a := w.get(w.authorizeAt("citizen", "/my", "an")); a.status != http.StatusForbidden {
				t.Errorf("answer = %d %s; want 403", a.status, a.location)
			}
		})
	}
}

// TestWrongNonce gives the node the genuine and complete answer of another attempt: only the nonce tells.
func TestWrongNonce(t *testing.T) {
	w := newWorld(t)
	var stolen []byte
	w.tamper = func(resp *http.Response) error {
		if !strings.HasSuffix(resp.Request.URL.Path, "/token") {
			return nil
		}
		var err error
		if stolen == nil {
			stolen, err = io.ReadAll(resp.Body)
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(stolen)), int64(len(stolen))
		return err
	}
	if a := w.get(w.authorizeAt("citizen", "/my", "an")); a.location != w.node.URL+"/my" {
		t.Fatalf("first attempt = %d %s", a.status, a.location)
	}
	if a := w.get(w.authorizeAt("citizen", "/my", "c01")); a.status != http.StatusForbidden {
		t.Errorf("answer of another attempt = %d %s; want 403", a.status, a.location)
	}
}

func TestProviderDown(t *testing.T) {
	w := newWorld(t)
	w.tamper = func(*http.Response) error { return errors.New("no route") }
	if a := w.get("/login"); a.status != http.StatusOK {
		t.Errorf("the sign-in page needs the provider: %d", a.status)
	}
	a := w.get("/login/start?kind=citizen&next=/my")
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "chưa trả lời") || !strings.Contains(a.body, "next=%2Fmy") {
		t.Errorf("start = %d\n%s", a.status, a.body)
	}
	w.tamper = nil // it came back: no restart is needed
	if a := w.get(w.authorizeAt("citizen", "/my", "an")); a.location != w.node.URL+"/my" {
		t.Errorf("after the provider came back = %d %s", a.status, a.location)
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	en := w.get("/login?lang=en")
	if en.status != http.StatusSeeOther {
		t.Fatalf("language switch = %d", en.status)
	}
	for _, path := range []string{"/login", "/login/ended"} {
		a := w.get(path)
		if a.status != http.StatusOK || strings.Contains(a.body, "[identity.") || !strings.Contains(a.body, `lang="en"`) {
			t.Errorf("%s in English = %d\n%s", path, a.status, a.body)
		}
	}
	if a := w.get("/login/start?kind=system"); a.status != http.StatusNotFound {
		t.Errorf("unknown kind = %d", a.status)
	}
	if a := w.get("/login/account"); a.status != http.StatusSeeOther {
		t.Errorf("account page of nobody = %d", a.status)
	}
}
