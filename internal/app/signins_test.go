package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/identity/devidp"
	"truc/internal/reqctx"
)

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// browse is a person with a browser.
func browse(t *testing.T, base string) func(method, path string, form url.Values) (int, string) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	return func(method, path string, form url.Values) (int, string) {
		t.Helper()
		if strings.HasPrefix(path, "/") {
			path = base + path
		}
		r, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r.Header.Set("Accept-Language", "en")
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
}

// signInAs walks the way of a person who chooses an account at the development provider.
func signInAs(t *testing.T, do func(method, path string, form url.Values) (int, string), kind, account string) (int, string) {
	t.Helper()
	_, page := do(http.MethodGet, "/login/start?kind="+kind, nil)
	_, page, _ = strings.Cut(page, `<form method="post" action="/idp/authorize"`)
	form := url.Values{"account": {account}}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'").Replace(m[2]))
	}
	return do(http.MethodPost, "/idp/authorize", form)
}

// withProvider lets people sign in at a node of a test: lan is an administrator, spy nobody here, an a citizen.
func withProvider(t *testing.T, cfg *Config) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.IDP = IDPConfig{
		Enabled: true,
		AccountsFile: write("accounts.json", []devidp.Account{
			{ID: "an", Kind: reqctx.Citizen, FullName: "Nguyễn Thị An", PersonalID: "099190000001", Birthdate: "1990-02-03"},
			{ID: "lan", Kind: reqctx.Officer, FullName: "Trần Thị Lan", Account: "g22.lan", Agency: "G22", Roles: []string{"admin"}},
			{ID: "spy", Kind: reqctx.Officer, FullName: "Người Lạ", Account: "x.spy", Agency: "X", Roles: []string{"admin"}},
		}),
		ClientsFile: write("clients.json", []devidp.Client{{ID: "alone", Secret: "s3cret", Name: "Một mình", RedirectURLs: []string{cfg.Web.URL + "/login/callback"}}}),
	}
	cfg.Identity = IdentityConfig{
		Issuer: cfg.Web.URL + "/idp", ClientID: "alone", ClientSecretFile: secret, Kinds: []string{"citizen", "officer"},
		Officers: []OfficerConfig{{Account: "g22.lan", Name: "Trần Thị Lan", Agency: "G22", Roles: []string{"admin"}}},
	}
}

// TestSignInsAreActs signs officers and operators in and out, well and badly, and reads the audit log.
func TestSignInsAreActs(t *testing.T) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	cfg.Portal.Enabled, cfg.Desk.Enabled, cfg.Oversight.Enabled, cfg.Registers = false, false, false, nil // their pages are not part of this node
	withProvider(t, cfg)
	m := startManaged(t, cfg)
	defer func() { m.stop() }()
	lan := browse(t, cfg.Web.URL)
	if status, body := signInAs(t, lan, "officer", "lan"); status != http.StatusOK || strings.Contains(body, "/login/start") {
		t.Fatalf("lan is not in: %d %s", status, body)
	}
	if status, body := signInAs(t, browse(t, cfg.Web.URL), "officer", "spy"); status != http.StatusForbidden {
		t.Fatalf("a stranger: %d %s", status, body)
	}
	an := browse(t, cfg.Web.URL)
	signInAs(t, an, "citizen", "an")
	if _, body := an(http.MethodGet, "/login/account", nil); !strings.Contains(body, "0991•••••001") {
		t.Fatalf("the citizen is not in: %s", body)
	}
	liar := browse(t, cfg.Web.URL)
	liar(http.MethodGet, "/login/start?kind=officer", nil)
	if status, _ := liar(http.MethodGet, "/login/callback?code=x&state=y", nil); status < 400 {
		t.Fatalf("a forged answer: %d", status)
	}
	lan(http.MethodPost, "/logout", url.Values{})
	lan(http.MethodPost, "/logout", url.Values{}) // nothing more to end
	m.ask(http.StatusOK, http.MethodGet, "/diagnostics", nil, nil)
	m.ask(http.StatusOK, http.MethodGet, "/diagnostics", nil, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, cfg.Web.URL+"/api/exchange/diagnostics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer tampered")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()

	acts := m.acts("identity.operator.sign_in.failed")
	for want, times := range map[string]int{
		"g22.lan identity.sign_in ": 1, "g22.lan identity.sign_out ": 1, "x.spy identity.sign_in.failed identity.": 1,
		"anonymous identity.sign_in.failed identity.": 1, "identity.operator.sign_in keys/operator.key": 1, "anonymous identity.operator.sign_in.failed ": 1,
		"099190000001": 0, "Thị": 0,
	} {
		if n := strings.Count(acts, want); n != times {
			t.Errorf("%q is recorded %d times, want %d:\n%s", want, n, times, acts)
		}
	}
	if status, body := signInAs(t, lan, "officer", "lan"); status != http.StatusOK {
		t.Fatalf("lan again: %d %s", status, body)
	}
	for lang, want := range map[string][]string{"vi": {"Đăng nhập", "Đăng xuất", "Không thành"}, "en": {"Signed in", "Signed out", "An operator’s key was used", "Failed"}} {
		_, body := lan(http.MethodGet, "/exchange/admin/acts?lang="+lang, nil)
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("the page of acts (%s) lacks %q", lang, w)
			}
		}
	}
}

// TestStrangersCannotFillTheLog counts what it does not record.
func TestStrangersCannotFillTheLog(t *testing.T) {
	var s signIns
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	recorded := 0
	for range 500 {
		now = now.Add(time.Second)
		ok, before := s.admit(now)
		if before != 0 {
			t.Fatalf("%d uncounted in the first hour", before)
		}
		if ok {
			recorded++
		}
	}
	if recorded != strangersAnHour {
		t.Errorf("%d of 500 were recorded, want %d", recorded, strangersAnHour)
	}
	if ok, before := s.admit(now.Add(time.Hour)); !ok || before != 500-strangersAnHour {
		t.Errorf("an hour later: %v, %d before", ok, before)
	}
	for i, want := range []bool{true, false, false, true} {
		at := now.Add(time.Duration(i) * operatorSession / 3)
		if got := s.first("k", at); got != want {
			t.Errorf("use %d at %v: first = %v", i, at, got)
		}
	}
	if !s.first("other", now) {
		t.Error("another key is not the same")
	}
}
