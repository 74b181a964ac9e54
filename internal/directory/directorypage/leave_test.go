package directorypage

import (
	"log/slog"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/i18n"
	"truc/internal/pki"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

// A node asks to leave on its own page; on the center's the request waits, is declined and confirmed, and members are
// shown with where they stand.
func TestLeavePages(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	key := func(alg pki.Alg) directory.Keys {
		t.Helper()
		tls, err := pki.GenerateKey(pki.P256)
		must(err)
		sign, err := pki.GenerateKey(alg)
		must(err)
		return directory.Keys{TLS: tls, Signing: sign}
	}
	center := newCenter(t, clock)
	must(center.AddMember(t.Context(), "a", directory.Member{Class: "GOV", Code: "H37", Name: i18n.Text{"vi": "Lạng Sơn"}}))
	text, err := center.CreateToken(t.Context(), "a", "VN/GOV/H36", "node1", time.Hour)
	must(err)
	token, err := directory.ParseToken(text)
	must(err)
	keys := key(pki.Ed25519)
	f, err := directory.OpenFollower(directory.FollowerOptions{Dir: t.TempDir(), Center: center, Now: clock, Log: slog.New(slog.DiscardHandler)}, token.Trust())
	must(err)
	_, err = f.Join(t.Context(), token, keys, directory.Profile{LinkURL: "https://127.0.0.1:7131", Subsystems: []string{"VN/GOV/H36/onestop"}})
	must(err)
	cat, err := i18n.Load(lang.FS)
	must(err)
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	must(err)
	ofCenter, ofNode := web.NewMux(web.Options{Lang: cat, Renderer: rd}), web.NewMux(web.Options{Lang: cat, Renderer: rd})
	own := &ownNode{st: directory.KeyStatus{Alg: "ed25519", State: directory.Registered, Certificate: directory.CertificateState{Days: 20, NotAfter: now.Add(480 * time.Hour)}}}
	must((&Pages{Center: center, Follower: f, Renderer: rd, Now: clock, Own: own}).Mount(ofCenter))
	must((&Pages{Follower: f, Renderer: rd, Now: clock, Own: own}).Mount(ofNode))
	do := func(mux *web.Mux, method, path string, form url.Values) (int, string) {
		t.Helper()
		var last string
		status := 0
		for _, l := range i18n.Langs {
			r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r = r.WithContext(reqctx.WithLang(reqctx.WithPrincipal(r.Context(), reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Roles: []string{"admin"}}), l))
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			status, last = w.Code, last+w.Body.String()
			if strings.Contains(last, "[directory.") {
				t.Errorf("%s (%s) lacks a text:\n%s", path, l, last)
			}
			if method == "POST" {
				break
			}
		}
		return status, last
	}
	want := func(mux *web.Mux, status int, method, path string, form url.Values, texts ...string) {
		t.Helper()
		got, body := do(mux, method, path, form)
		if got != status {
			t.Errorf("%s %s = %d, want %d\n%s", method, path, got, status, body)
		}
		for _, text := range texts {
			if strings.Contains(body, strings.TrimPrefix(text, "!")) == strings.HasPrefix(text, "!") {
				t.Errorf("%s %s: %q", method, path, text)
			}
		}
	}
	const keysPath, leavePath = "/directory/admin/keys", "/directory/admin/leave"
	want(ofNode, 200, "GET", keysPath, nil, `value="ask"`, "!value=\"withdraw\"", "Đã đăng ký", "Registered")
	want(ofCenter, 200, "GET", keysPath, nil, `!value="ask"`)
	want(ofNode, 422, "POST", keysPath+"/leave", url.Values{"do": {"ask"}}, "Hãy nhập lý do rời mạng")
	want(ofNode, 303, "POST", keysPath+"/leave", url.Values{"do": {"ask"}, "reason": {"sáp nhập"}, "whole": {"yes"}})
	want(ofNode, 200, "GET", keysPath, nil, `!value="ask"`, `value="withdraw"`)
	want(ofNode, 303, "POST", keysPath+"/leave", url.Values{"do": {"withdraw"}})
	if !slices.Equal(own.acts, []string{"lan leave ask sáp nhập", "lan leave withdraw "}) {
		t.Errorf("acts %q", own.acts)
	}
	own.st.State, own.st.Leaving = directory.Deleting, false // revoked: there is nothing to ask for
	want(ofNode, 200, "GET", keysPath, nil, `!value="ask"`, `!value="withdraw"`)

	want(ofCenter, 404, "GET", leavePath+"?node=VN/GOV/H36/node1", nil)
	want(ofCenter, 200, "GET", "/directory/admin", nil, "Đã mời", "Đã đăng ký", "!Đã rời mạng") // H37 has no node yet
	ask := func() {
		t.Helper()
		if _, err := f.Leave(t.Context(), "VN/GOV/H36/node1", keys, directory.LeaveAsk, "sáp nhập <b>", true); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	want(ofCenter, 200, "GET", "/directory/admin", nil, leavePath+"?node=VN/GOV/H36/node1", "sáp nhập &lt;b&gt;", "Đang rời mạng")
	want(ofCenter, 200, "GET", leavePath+"?node=VN/GOV/H36/node1", nil, "Lâm Đồng", "sáp nhập &lt;b&gt;", "approve")
	want(ofCenter, 422, "POST", leavePath, url.Values{"node": {"VN/GOV/H36/node1"}, "do": {"decline"}})
	want(ofCenter, 400, "POST", leavePath, url.Values{"node": {"VN/GOV/H36/node1"}, "do": {"else"}})
	want(ofCenter, 303, "POST", leavePath, url.Values{"node": {"VN/GOV/H36/node1"}, "do": {"decline"}, "reason": {"chưa"}})
	want(ofCenter, 404, "POST", leavePath, url.Values{"node": {"VN/GOV/H36/node1"}, "do": {"approve"}})
	ask()
	want(ofCenter, 303, "POST", leavePath, url.Values{"node": {"VN/GOV/H36/node1"}, "do": {"approve"}})
	want(ofCenter, 200, "GET", "/directory/admin", nil, "Đã rời mạng", "Left the network", "VN/GOV/H36/node1")
	must(f.Refresh(t.Context()))
	want(ofNode, 200, "GET", "/directory", nil, "VN/GOV/H37", "!VN/GOV/H36")
}
