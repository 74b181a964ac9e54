package devidp_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"truc/internal/i18n"
	"truc/internal/identity/devidp"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

const issuer = "http://idp.test/idp"

type idp struct {
	http.Handler
	now time.Time
}

func options(t *testing.T) devidp.Options {
	t.Helper()
	catalogue, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	renderer, err := ui.NewRenderer(ui.Options{Lang: catalogue})
	if err != nil {
		t.Fatal(err)
	}
	return devidp.Options{
		Issuer: issuer, Env: "development", KeyPath: filepath.Join(t.TempDir(), "keys", "idp.pem"), Renderer: renderer, Now: time.Now,
		Accounts: []devidp.Account{
			{ID: "an", Kind: reqctx.Citizen, FullName: "Nguyễn Thị Ánh", PersonalID: "099190000001", Birthdate: "1990-02-03", Gender: "female"},
			{ID: "be", Kind: reqctx.Citizen, FullName: "Đỗ Văn Bé", PersonalID: "099190000002", Level: 1},
			{ID: "lan", Kind: reqctx.Officer, FullName: "Trần Thị Lan", Account: "h36.lan", Agency: "H36", AgencyName: "Lâm Đồng", Roles: []string{"reception"}},
		},
		Clients: []devidp.Client{
			{ID: "h36", Secret: "s3cret", Name: "Cổng", RedirectURLs: []string{"http://node.test/login/callback"}},
			{ID: "h57", Secret: "other", Name: "Huế", RedirectURLs: []string{"http://hue.test/login/callback"}},
		},
	}
}

func start(t *testing.T, change func(*devidp.Options)) *idp {
	t.Helper()
	s := &idp{now: time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)}
	opt := options(t)
	opt.Now = func() time.Time { return s.now }
	if change != nil {
		change(&opt)
	}
	p, err := devidp.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	catalogue, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	mux := web.NewMux(web.Options{Renderer: opt.Renderer, Lang: catalogue})
	p.Mount(mux)
	s.Handler = web.Public(mux, web.PublicOptions{})
	return s
}

func (s *idp) do(t *testing.T, method, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://idp.test/idp"+path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

const verifier = "0123456789012345678901234567890123456789012"

func authRequest() url.Values {
	return url.Values{
		"client_id": {"h36"}, "redirect_uri": {"http://node.test/login/callback"}, "response_type": {"code"}, "scope": {"openid citizen"},
		"state": {"st"}, "nonce": {"no"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	}
}

// code chooses an account and returns the code.
func (s *idp) code(t *testing.T, account string, change func(url.Values)) string {
	t.Helper()
	form := authRequest()
	form.Set("account", account)
	if change != nil {
		change(form)
	}
	w := s.do(t, http.MethodPost, "/authorize", form)
	u, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusSeeOther {
		t.Fatalf("choice = %d %v\n%s", w.Code, err, w.Body)
	}
	if q := u.Query(); q.Get("iss") != issuer || q.Get("state") != "st" || q.Get("code") == "" {
		t.Fatalf("choice leads to %s", u)
	}
	return u.Query().Get("code")
}

func tokenRequest(code string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://node.test/login/callback"}, "code_verifier": {verifier},
		"client_id": {"h36"}, "client_secret": {"s3cret"},
	}
}

func (s *idp) token(t *testing.T, form url.Values, header ...string) (status int, m map[string]any) {
	t.Helper()
	w := s.do(t, http.MethodPost, "/token", form, header...)
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatalf("token answer %q: %v", w.Body, err)
	}
	return w.Code, m
}

func TestRefusesProduction(t *testing.T) {
	for _, env := range []string{"production", "Production", " production "} {
		opt := options(t)
		opt.Env = env
		if p, err := devidp.New(opt); p != nil || !errors.Is(err, devidp.ErrProduction) {
			t.Errorf("New in %q = %v, %v; want ErrProduction", env, p, err)
		}
		if _, err := os.Stat(opt.KeyPath); err == nil {
			t.Errorf("New in %q made a key", env)
		}
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	opt := options(t)
	opt.Issuer = "http://idp.test/"
	opt.Accounts[0].PersonalID = "001190000001" // somebody real could have it
	opt.Accounts[1].ID = "lan"
	opt.Accounts = append(opt.Accounts, devidp.Account{ID: "x", FullName: "X"})
	opt.Clients[0].Secret = ""
	opt.Clients[1].RedirectURLs = []string{"/callback"}
	_, err := devidp.New(opt)
	if err == nil {
		t.Fatal("faulty options were taken")
	}
	for _, want := range []string{"issuer", "synthetic", "listed twice", "neither", "secret", "/callback"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestKeyIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "idp.pem")
	keep := func(o *devidp.Options) { o.KeyPath = path }
	first := start(t, keep).do(t, http.MethodGet, "/jwks", nil).Body.String()
	second := start(t, keep).do(t, http.MethodGet, "/jwks", nil).Body.String()
	if first != second || !strings.Contains(first, `"alg":"ES256"`) || strings.Contains(first, `"d"`) {
		t.Errorf("keys %s and %s", first, second)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(url.Values)
		want   string // error code at the client; "" means a page here and nobody is sent anywhere
	}{
		{"unknown client", func(v url.Values) { v.Set("client_id", "x") }, ""},
		{"foreign redirect", func(v url.Values) { v.Set("redirect_uri", "http://evil.test/") }, ""},
		{"redirect with more path", func(v url.Values) { v.Set("redirect_uri", "http://node.test/login/callback/x") }, ""},
		{"redirect with query", func(v url.Values) { v.Set("redirect_uri", "http://node.test/login/callback?a=b") }, ""},
		{"redirect of another client", func(v url.Values) { v.Set("redirect_uri", "http://hue.test/login/callback") }, ""},
		{"no redirect", func(v url.Values) { v.Del("redirect_uri") }, ""},
		{"parameter twice", func(v url.Values) { v.Add("client_id", "h36") }, ""},
		{"no PKCE", func(v url.Values) { v.Del("code_challenge"); v.Del("code_challenge_method") }, "invalid_request"},
		{"PKCE plain", func(v url.Values) { v.Set("code_challenge", verifier); v.Set("code_challenge_method", "plain") }, "invalid_request"},
		{"PKCE without method", func(v url.Values) { v.Del("code_challenge_method") }, "invalid_request"},
		{"implicit", func(v url.Values) { v.Set("response_type", "id_token") }, "unsupported_response_type"},
		{"fragment", func(v url.Values) { v.Set("response_mode", "fragment") }, "unsupported_response_type"},
		{"no openid", func(v url.Values) { v.Set("scope", "profile") }, "invalid_scope"},
		{"request object", func(v url.Values) { v.Set("request", "x") }, "request_not_supported"},
		{"silent", func(v url.Values) { v.Set("prompt", "none") }, "login_required"},
	}
	s := start(t, nil)
	for _, tt := range tests {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			v := authRequest()
			tt.change(v)
			path := "/authorize"
			if method == http.MethodGet {
				path += "?" + v.Encode()
			} else {
				v.Set("account", "an")
			}
			w := s.do(t, method, path, v)
			loc := w.Header().Get("Location")
			if tt.want == "" && (w.Code != http.StatusBadRequest || loc != "") {
				t.Errorf("%s %s = %d %s; want 400 and no redirect", tt.name, method, w.Code, loc)
			}
			if tt.want != "" && (!strings.HasPrefix(loc, "http://node.test/login/callback?") || !strings.Contains(loc, "error="+tt.want) || !strings.Contains(loc, "iss=")) {
				t.Errorf("%s %s = %d %s; want error=%s", tt.name, method, w.Code, loc, tt.want)
			}
		}
	}
}

func TestTokenRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *idp, v url.Values)
		status int
		want   string
	}{
		{"no verifier", func(_ *idp, v url.Values) { v.Del("code_verifier") }, 400, "invalid_grant"},
		{"wrong verifier", func(_ *idp, v url.Values) { v.Set("code_verifier", strings.Repeat("x", 43)) }, 400, "invalid_grant"},
		{"challenge as verifier", func(_ *idp, v url.Values) { v.Set("code_verifier", oauth2.S256ChallengeFromVerifier(verifier)) }, 400, "invalid_grant"},
		{"other redirect", func(_ *idp, v url.Values) { v.Set("redirect_uri", "http://hue.test/login/callback") }, 400, "invalid_grant"},
		{"too late", func(s *idp, _ url.Values) { s.now = s.now.Add(61 * time.Second) }, 400, "invalid_grant"},
		{"unknown code", func(_ *idp, v url.Values) { v.Set("code", "x") }, 400, "invalid_grant"},
		{"code of another client", func(_ *idp, v url.Values) { v.Set("client_id", "h57"); v.Set("client_secret", "other") }, 400, "invalid_grant"},
		{"wrong secret", func(_ *idp, v url.Values) { v.Set("client_secret", "x") }, 401, "invalid_client"},
		{"no secret", func(_ *idp, v url.Values) { v.Del("client_secret") }, 401, "invalid_client"},
		{"unknown client", func(_ *idp, v url.Values) { v.Set("client_id", "x"); v.Set("client_secret", "") }, 401, "invalid_client"},
		{"password grant", func(_ *idp, v url.Values) { v.Set("grant_type", "password") }, 400, "unsupported_grant_type"},
		{"parameter twice", func(_ *idp, v url.Values) { v.Add("code", "y") }, 400, "invalid_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, nil)
			v := tokenRequest(s.code(t, "an", nil))
			tt.change(s, v)
			if status, m := s.token(t, v); status != tt.status || m["error"] != tt.want || m["id_token"] != nil {
				t.Errorf("token = %d %v; want %d %s", status, m, tt.status, tt.want)
			}
		})
	}
}

func TestCodeIsForOneUse(t *testing.T) {
	s := start(t, nil)
	code := s.code(t, "an", nil)
	status, m := s.token(t, tokenRequest(code))
	if status != http.StatusOK || m["token_type"] != "Bearer" {
		t.Fatalf("token = %d %v", status, m)
	}
	bearer := "Bearer " + m["access_token"].(string)
	var got map[string]any
	w := s.do(t, http.MethodGet, "/userinfo", nil, "Authorization", bearer)
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "sub")
	want := map[string]any{"personal_id": "099190000001", "full_name": "Nguyễn Thị Ánh", "birthdate": "1990-02-03", "gender": "female"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("userinfo (-want +got):\n%s", diff)
	}
	if status, m := s.token(t, tokenRequest(code)); status != http.StatusBadRequest || m["error"] != "invalid_grant" {
		t.Errorf("code used twice = %d %v", status, m)
	}
	if w := s.do(t, http.MethodGet, "/userinfo", nil, "Authorization", bearer); w.Code != http.StatusUnauthorized {
		t.Errorf("token of a code that was used twice = %d; want 401", w.Code)
	}
	// A failed attempt uses the code up as well.
	code = s.code(t, "an", nil)
	bad := tokenRequest(code)
	bad.Set("code_verifier", strings.Repeat("x", 43))
	s.token(t, bad)
	if status, _ := s.token(t, tokenRequest(code)); status != http.StatusBadRequest {
		t.Errorf("code after a wrong verifier = %d", status)
	}
}

func TestClaimsFollowScopes(t *testing.T) {
	s := start(t, nil)
	info := func(account, client, secret, redirect, scope string) map[string]any {
		code := s.code(t, account, func(v url.Values) { v.Set("scope", scope); v.Set("client_id", client); v.Set("redirect_uri", redirect) })
		v := tokenRequest(code)
		v.Del("client_id")
		v.Del("client_secret")
		v.Set("redirect_uri", redirect)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(client, secret)
		status, m := s.token(t, v, "Authorization", r.Header.Get("Authorization"))
		if status != http.StatusOK {
			t.Fatalf("token = %d %v", status, m)
		}
		w := s.do(t, http.MethodGet, "/userinfo", nil, "Authorization", "Bearer "+m["access_token"].(string))
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	const node, hue = "http://node.test/login/callback", "http://hue.test/login/callback"
	if got := info("an", "h36", "s3cret", node, "openid officer"); got["personal_id"] != nil || got["sub"] == nil {
		t.Errorf("a citizen for an officer's sign-in = %v", got)
	}
	officer := info("lan", "h36", "s3cret", node, "openid officer")
	if officer["officer"] != "h36.lan" || officer["agency"] != "H36" || officer["personal_id"] != nil {
		t.Errorf("officer = %v", officer)
	}
	if here, there := info("an", "h36", "s3cret", node, "openid citizen"), info("an", "h57", "other", hue, "openid citizen"); here["sub"] == there["sub"] {
		t.Error("two nodes see the same subject")
	}
}

func TestAccountsPage(t *testing.T) {
	s := start(t, func(o *devidp.Options) {
		for i := range 50 {
			n := string(rune('0'+i/10)) + string(rune('0'+i%10))
			o.Accounts = append(o.Accounts, devidp.Account{ID: "m" + n, Kind: reqctx.Citizen, FullName: "Người Số " + n, PersonalID: "0991910000" + n})
		}
	})
	page := func(change func(url.Values)) *httptest.ResponseRecorder {
		v := authRequest()
		change(v)
		return s.do(t, http.MethodGet, "/authorize?"+v.Encode(), nil)
	}
	all := page(func(v url.Values) { v.Set("scope", "openid") })
	for _, want := range []string{"Công dân", "Cán bộ, công chức", `value="lan"`, `value="an"`, "Môi trường thử nghiệm – không dùng thông tin thật", "Còn 12 người nữa", `name="find"`} {
		if !strings.Contains(all.Body.String(), want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if csp := all.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' http://node.test;") {
		t.Errorf("the choice cannot lead back: %s", csp)
	}
	if strings.Contains(all.Body.String(), "<script") {
		t.Error("the page needs a script")
	}
	found := page(func(v url.Values) { v.Set("find", "do van be") }).Body.String()
	if !strings.Contains(found, `value="be"`) || strings.Contains(found, `value="an"`) || strings.Contains(found, `value="lan"`) {
		t.Errorf("search without accents:\n%s", found)
	}
	if nobody := page(func(v url.Values) { v.Set("find", "<b>zz") }).Body.String(); !strings.Contains(nobody, "Không tìm thấy ai") || strings.Contains(nobody, "<b>zz") {
		t.Errorf("empty search:\n%s", nobody)
	}
	form := authRequest()
	form.Set("account", "nobody")
	if w := s.do(t, http.MethodPost, "/authorize", form); w.Code != http.StatusNotFound {
		t.Errorf("unknown account = %d", w.Code)
	}
}
