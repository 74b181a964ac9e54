package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"truc/cmd/truc/internal/demo"
	"truc/internal/services"
	"truc/internal/services/servicesstore"
	"truc/internal/storage"
)

// hostile is a network that is attacked, with somebody to attack from.
type hostile struct {
	t              *testing.T
	n              *demo.Network
	d              *demo.Description
	portal, desk   string
	draft          string
	filing, number string
	// an is a citizen with a draft of their own, ha the citizen of the story, nobody has no session.
	an, ha, nobody, reception *http.Client
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	n := shared.get(t)
	d, err := n.Describe()
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{t: t, n: n, d: d, portal: d.Center.URL}
	h.desk = h.url("H36")
	h.filing, h.number = shared.tale.Filing()
	ctx := t.Context()
	if h.an, h.draft, err = n.StartDraft(ctx, "c-bao", "H36.14"); err != nil {
		t.Fatal(err)
	}
	if h.ha, err = n.SignIn(ctx, "G22", "citizen", "c-ha"); err != nil {
		t.Fatal(err)
	}
	if h.reception, err = n.SignIn(ctx, "H36", "officer", "o-h36.tiepnhan"); err != nil {
		t.Fatal(err)
	}
	h.nobody = &http.Client{}
	for _, c := range []*http.Client{h.an, h.ha, h.reception, h.nobody} {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		c.Timeout = 20 * time.Second
	}
	return h
}

func (h *hostile) url(node string) string {
	for _, x := range h.d.Nodes {
		if x.ID == node {
			return x.URL
		}
	}
	h.t.Fatalf("there is no node %s", node)
	return ""
}

// leaks is what no answer to a stranger may hold: workings of the program, and numbers of people.
var leaks = regexp.MustCompile(`goroutine |\.go:\d+|SQLSTATE|(?i:sqlite|pgconn|\bselect .* from\b|insert into|nil pointer|runtime error)|/tmp/|/work/|/home/|099\d{9}|invalid character|json: |strconv\.|x509: |unexpected EOF|mime: |multipart: |panic|map\[|0x[0-9a-f]{8}|%!`)

// attack is a request that must be refused.
type attack struct {
	name   string
	as     *http.Client
	method string
	url    string
	header map[string]string
	body   string
	media  string
	want   int
	// api marks answers that are no pages.
	api bool
}

const formMedia = "application/x-www-form-urlencoded"

// run sends an attack in a language and checks the answer.
func (h *hostile) run(t *testing.T, a attack, lang string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), a.method, a.url, strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	media := a.media
	if media == "" && a.method == http.MethodPost {
		media = formMedia
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	req.Header.Set("Accept", "text/html")
	req.AddCookie(&http.Cookie{Name: "lang", Value: lang})
	for name, value := range a.header {
		req.Header.Set(name, value)
	}
	res, err := a.as.Do(req)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		t.Fatal(err)
	}
	body := string(b)
	if res.StatusCode != a.want {
		t.Errorf("%s: status %d; want %d: %.200s", lang, res.StatusCode, a.want, body[max(0, strings.Index(body, "<h1")):])
	}
	if m := leaks.FindString(body); m != "" {
		t.Errorf("%s: the answer holds %q", lang, m)
	}
	if to := res.Header.Get("Location"); to != "" {
		if u, err := url.Parse(to); err != nil || u.Host != "" && !strings.HasPrefix(u.Host, "127.0.0.1:") {
			t.Errorf("%s: leads to %s", lang, to)
		}
		return to
	}
	if a.api || a.method == http.MethodHead {
		return body
	}
	if !strings.Contains(body, `lang="`+lang+`"`) || !strings.Contains(body, "<h1") {
		t.Errorf("%s: no page in this language: %.300s", lang, body)
	}
	return body
}

// state counts what is kept of dossiers, filings, drafts, payments, papers and accesses.
func (h *hostile) state(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for node, tables := range map[string][]string{
		"G22": {"services_draft", "services_filing", "services_filing_event", "services_payment", "services_payment_event", "services_blob", "directory_state", "directory_version"},
		"H36": {"services_dossier", "services_dossier_event", "services_blob", "services_inbox", "services_counter", "services_opinion", "services_fact"},
		"G01": {"audit_line"},
		"G15": {"audit_line"},
	} {
		db, err := storage.Open(t.Context(), h.n.DB(node), storage.Options{Readers: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			var n int64
			if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil && !strings.Contains(err.Error(), "no such table") {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s.%s=%d ", node, table, n)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	parts := strings.Fields(out.String())
	sortStrings(parts)
	return strings.Join(parts, "\n")
}

func sortStrings(s []string) {
	for i := range s {
		for j := i + 1; j < len(s); j++ {
			if s[j] < s[i] {
				s[i], s[j] = s[j], s[i]
			}
		}
	}
}

// unchanged runs f and compares what is kept before and after.
func (h *hostile) unchanged(t *testing.T, f func()) {
	t.Helper()
	before := h.state(t)
	f()
	if after := h.state(t); after != before {
		t.Errorf("the attacks changed what is kept:\n%s", diffLines(before, after))
	}
}

func diffLines(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out []string
	for i := range x {
		if i < len(y) && x[i] != y[i] {
			out = append(out, x[i]+" → "+y[i])
		}
	}
	return strings.Join(out, "\n")
}

func (h *hostile) both(t *testing.T, list []attack) {
	t.Helper()
	h.unchanged(t, func() {
		for _, a := range list {
			t.Run(a.name, func(t *testing.T) {
				for _, lang := range []string{"vi", "en"} {
					h.run(t, a, lang)
				}
			})
		}
	})
}

// TestHostilePages attacks the listeners that browsers reach.
func TestHostilePages(t *testing.T) {
	h := newHostile(t)
	apply, filing := h.portal+"/apply/"+h.draft, h.portal+"/filings/"+h.filing
	many := strings.Repeat("a=b&", 2000)
	get, post := http.MethodGet, http.MethodPost
	json := map[string]string{"Accept": "application/json"}
	h.both(t, []attack{
		{name: "huge form", as: h.an, method: post, url: apply + "/event", body: "event.place=" + strings.Repeat("x", 3<<20), want: 413},
		{name: "long answer", as: h.an, method: post, url: apply + "/event", body: "event.kind=birth&event.year=1990&event.place=" + strings.Repeat("x", 200<<10), want: 422},
		{name: "too many fields", as: h.an, method: post, url: apply + "/event", body: many, want: 413},
		{name: "invalid UTF-8", as: h.an, method: post, url: apply + "/event", body: "event.place=%ff%fe", want: 400},
		{name: "NUL", as: h.an, method: post, url: apply + "/event", body: "event.place=a%00b", want: 400},
		{name: "broken escape", as: h.an, method: post, url: apply + "/event", body: "event.place=%zz", want: 400},
		{name: "JSON instead of a form", as: h.an, method: post, url: apply + "/event", body: `{"a":1}`, media: "application/json", want: 400},
		{name: "multipart without an end", as: h.an, method: post, url: apply + "/papers", body: "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb", media: "multipart/form-data; boundary=x", want: 400},
		{name: "unknown widget", as: h.an, method: post, url: apply + "/event", body: "event.kind=birth&no.such.widget=1&event.kind.x=2&event.year=abc", want: 422},
		{name: "unknown page", as: h.an, method: get, url: apply + "/no-such-page", want: 404},
		{name: "draft of somebody else", as: h.ha, method: get, url: apply + "/event", want: 404},
		{name: "change of somebody else's draft", as: h.ha, method: post, url: apply + "/event", body: "event.year=1990", want: 404},
		{name: "deleting somebody else's draft", as: h.ha, method: post, url: apply + "/delete", want: 404},
		{name: "filing of somebody else", as: h.an, method: get, url: filing, want: 404},
		{name: "filing of somebody else by number", as: h.an, method: get, url: h.portal + "/filings/" + h.number, want: 404},
		{name: "document of somebody else", as: h.an, method: get, url: filing + "/documents/result-000000000000", want: 404},
		{name: "paying for somebody else", as: h.an, method: post, url: filing + "/pay", want: 404},
		{name: "withdrawing somebody else's filing", as: h.an, method: post, url: filing + "/withdraw", body: "reason=x", want: 404},
		{name: "filing without an account", as: h.nobody, method: get, url: filing, want: 303},
		{name: "document without an account", as: h.nobody, method: get, url: filing + "/documents/result-1", want: 303},
		{name: "document that is none", as: h.ha, method: get, url: filing + "/documents/..%2f..%2fetc%2fpasswd", want: 404},
		{name: "path up", as: h.nobody, method: get, url: h.portal + "/assets/..%2f..%2fgo.mod", want: 404, api: true},
		{name: "path with NUL", as: h.nobody, method: get, url: h.portal + "/procedures/%00", want: 404},
		{name: "path with a script", as: h.nobody, method: get, url: h.portal + "/procedures/%3Cscript%3Ealert(1)%3C%2Fscript%3E", want: 404},
		{name: "procedure that is none", as: h.nobody, method: get, url: h.portal + "/procedures/9.999999", want: 404},
		{name: "wrong method", as: h.an, method: http.MethodDelete, url: apply + "/event", want: 405},
		{name: "address that is none", as: h.an, method: get, url: h.portal + "/payments/notice/x", want: 404},
		{name: "TRACE", as: h.nobody, method: http.MethodTrace, url: h.portal + "/", want: 405},
		{name: "cross site", as: h.an, method: post, url: apply + "/delete", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, want: 403},
		{name: "foreign origin", as: h.an, method: post, url: apply + "/delete", header: map[string]string{"Origin": "https://evil.example"}, want: 403},
		{name: "no program at a page", as: h.an, method: get, url: apply + "/no-such-page", header: json, want: 404},
		{name: "desk for a citizen without a session", as: h.nobody, method: get, url: h.desk + "/desk/dossiers/" + h.number, want: 303},
		{name: "desk with a citizen's cookie", as: h.ha, method: get, url: h.desk + "/desk/dossiers/" + h.number, want: 303},
		{name: "dossier that is none", as: h.reception, method: get, url: h.desk + "/desk/dossiers/H36.14-000000-0000", want: 404},
		{name: "action that is none", as: h.reception, method: get, url: h.desk + "/desk/dossiers/" + h.number + "/act/explode", want: 404},
		{name: "action of another role", as: h.reception, method: post, url: h.desk + "/desk/dossiers/" + h.number + "/act/sign", body: "confirm=yes", want: 403},
		{name: "paper that is none", as: h.reception, method: get, url: h.desk + "/desk/dossiers/" + h.number + "/papers/" + strings.Repeat("0", 64), want: 404},
		{name: "preview without rights", as: h.nobody, method: get, url: h.desk + "/desk/dossiers/" + h.number + "/preview", want: 303},
		{name: "administration of the directory", as: h.ha, method: get, url: h.portal + "/directory/admin", want: 403},
		{name: "administration of the exchange", as: h.reception, method: get, url: h.desk + "/exchange/admin", want: 403},
		{name: "tracking by guessing", as: h.nobody, method: post, url: h.portal + "/track", body: "number=" + h.number + "&digits=9999", want: 422},
		{name: "start at an office that is none", as: h.an, method: post, url: h.portal + "/procedures/2.000635/start", body: "unit=X99", want: 404},
		{name: "receipt of nothing", as: h.ha, method: post, url: h.portal + "/my-data/receipt", body: "register=population&line=999999", want: 404},
		{name: "receipt of a register that is none", as: h.ha, method: post, url: h.portal + "/my-data/receipt", body: "register=..%2f..&line=1", want: 404},
		{name: "oversight of an agency that is none", as: h.nobody, method: get, url: h.portal + "/oversight/%27%20OR%201=1--", want: 404},
	})
}

// TestHostileSignIn attacks the way to a session.
func TestHostileSignIn(t *testing.T) {
	h := newHostile(t)
	forged := func(value string) *http.Client {
		jar, _ := cookiejar.New(nil)
		u, _ := url.Parse(h.portal)
		jar.SetCookies(u, []*http.Cookie{{Name: "truc_G22", Value: value}, {Name: "truc_G22_flow", Value: value, Path: "/login"}})
		return &http.Client{Jar: jar, CheckRedirect: h.nobody.CheckRedirect, Timeout: 20 * time.Second}
	}
	get, post := http.MethodGet, http.MethodPost
	// A token without an algorithm, and one signed by somebody: neither is looked at, for tokens come from the provider alone.
	noneToken := "eyJhbGciOiJub25lIn0.eyJzdWIiOiJjLWhhIiwiaXNzIjoieCJ9."
	h.both(t, []attack{
		{name: "forged session", as: forged("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), method: get, url: h.portal + "/filings", want: 303},
		{name: "long session", as: forged(strings.Repeat("A", 3000)), method: get, url: h.portal + "/filings", want: 303},
		{name: "session with quotes", as: forged("' OR '1'='1"), method: get, url: h.portal + "/filings", want: 303},
		{name: "callback without a beginning", as: h.nobody, method: get, url: h.portal + "/login/callback?code=x&state=y", want: 400},
		{name: "callback with a forged beginning", as: forged("AAAA.BBBB"), method: get, url: h.portal + "/login/callback?code=x&state=y", want: 400},
		{name: "callback with a token without algorithm", as: h.nobody, method: get, url: h.portal + "/login/callback?id_token=" + noneToken + "&state=y", want: 400},
		{name: "callback with an error of the provider", as: h.nobody, method: get, url: h.portal + "/login/callback?error=%3Cscript%3E&error_description=x", want: 400},
		{name: "kind that is none", as: h.nobody, method: get, url: h.portal + "/login/start?kind=king", want: 404},
		{name: "token endpoint without a client", as: h.nobody, method: post, url: h.portal + "/idp/token", body: "grant_type=authorization_code&code=x", want: 401, api: true},
		{name: "token endpoint with a wrong secret", as: h.nobody, method: post, url: h.portal + "/idp/token", body: "grant_type=authorization_code&code=x", header: map[string]string{"Authorization": "Basic dHJ1Yy1nMjI6eA=="}, want: 401, api: true},
		{name: "provider asked to lead away", as: h.nobody, method: get, url: h.portal + "/idp/authorize?response_type=code&client_id=truc-g22&redirect_uri=https%3A%2F%2Fevil.example%2F&scope=openid&state=x", want: 400},
	})
	t.Run("open redirects", func(t *testing.T) {
		for _, next := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "/\t/evil.example", "javascript:alert(1)", "/%5cevil.example", "http:evil.example"} {
			for _, path := range []string{"/login?next=", "/login/start?kind=citizen&next="} {
				res, err := h.nobody.Get(h.portal + path + url.QueryEscape(next))
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(b, []byte(`href="`+next)) || strings.Contains(res.Header.Get("Location"), "evil.example") && !strings.HasPrefix(res.Header.Get("Location"), h.portal+"/idp/") {
					t.Errorf("%s%s leads to %s", path, next, res.Header.Get("Location"))
				}
			}
		}
	})
	t.Run("session of another node", func(t *testing.T) {
		// The cookie of the portal, offered under the name of the province.
		u, _ := url.Parse(h.portal)
		token := ""
		for _, c := range h.ha.Jar.Cookies(u) {
			if c.Name == "truc_G22" {
				token = c.Value
			}
		}
		if token == "" {
			t.Fatal("there is no session to steal")
		}
		h.run(t, attack{as: h.nobody, method: get, url: h.desk + "/desk", header: map[string]string{"Cookie": "truc_H36=" + token}, want: 303}, "vi")
	})
}

// TestHostileUploads hands in files that lie.
func TestHostileUploads(t *testing.T) {
	h := newHostile(t)
	send := func(t *testing.T, field, name, media string, content []byte) attack {
		t.Helper()
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q; filename=%q`, field, name))
		header.Set("Content-Type", media)
		part, err := w.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return attack{as: h.an, method: http.MethodPost, url: h.portal + "/apply/" + h.draft + "/papers", media: w.FormDataContentType(), body: b.String(), want: 422}
	}
	zip := append([]byte("PK\x03\x04"), bytes.Repeat([]byte{0}, 1000)...)
	tests := []struct {
		name, field, file, media string
		content                  []byte
		want                     int
	}{
		{"HTML as PDF", "paper.uy-quyen", "a.pdf", "application/pdf", []byte("<html><script>alert(1)</script>"), 422},
		{"SVG", "paper.uy-quyen", "a.svg", "image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), 422},
		{"SVG as PNG", "paper.uy-quyen", "a.png", "image/png", []byte(`<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>`), 422},
		{"ZIP as PDF", "paper.uy-quyen", "a.pdf", "application/pdf", zip, 422},
		{"HTML with a PDF inside", "paper.uy-quyen", "a.pdf", "application/pdf", []byte("<html>\n%PDF-1.4\n"), 422},
		{"program", "paper.uy-quyen", "a.pdf", "application/pdf", []byte("MZ\x90\x00"), 422},
		{"nothing", "paper.uy-quyen", "a.pdf", "application/pdf", nil, 422},
		{"too large", "paper.uy-quyen", "a.pdf", "application/pdf", append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("x"), 25<<20)...), 422},
		{"larger than any form", "paper.uy-quyen", "a.pdf", "application/pdf", append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("x"), 70<<20)...), 413},
		{"paper that nobody asked for", "paper.so-do", "a.pdf", "application/pdf", []byte("%PDF-1.4\n"), 404},
		{"name with a path", "paper.uy-quyen", "../../etc/passwd", "application/pdf", []byte("not a PDF"), 422},
	}
	h.unchanged(t, func() {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				a := send(t, tt.field, tt.file, tt.media, tt.content)
				a.want = tt.want
				for _, lang := range []string{"vi", "en"} {
					h.run(t, a, lang)
				}
			})
		}
	})
}

// TestHostileNotices attacks what the payment provider calls.
func TestHostileNotices(t *testing.T) {
	h := newHostile(t)
	portal := servicesstore.Portal{Store: &servicesstore.Store{DB: h.open(t, "G22"), Now: time.Now}}
	payments, err := portal.Payments(t.Context(), h.filing)
	if err != nil {
		t.Fatal(err)
	}
	paid := services.Payment{}
	for _, p := range payments {
		if p.State == services.PayConfirmed {
			paid = p
		}
	}
	if paid.Reference == "" {
		t.Fatal("the story paid nothing")
	}
	notice := func(reference string, amount int64, secret string) string {
		q := url.Values{
			"vnp_Version": {"2.1.0"}, "vnp_TmnCode": {"TRUCDEMO"}, "vnp_TxnRef": {reference}, "vnp_Amount": {fmt.Sprint(amount * 100)}, "vnp_ResponseCode": {"00"},
			"vnp_TransactionStatus": {"00"}, "vnp_TransactionNo": {"1"}, "vnp_PayDate": {"20261121120000"},
		}
		return h.portal + "/payments/notice?" + q.Encode() + "&vnp_SecureHash=" + mac(secret, q.Encode())
	}
	secret := h.secret(t, "payment")
	h.unchanged(t, func() {
		for _, tt := range []struct{ name, url, want string }{
			{"nothing", h.portal + "/payments/notice", `"RspCode":"97"`},
			{"wrong signature", notice(paid.Reference, paid.Amount, "guess"), `"RspCode":"97"`},
			{"changed amount", strings.Replace(notice(paid.Reference, paid.Amount, secret), "vnp_Amount=", "vnp_Amount=1", 1), `"RspCode":"97"`},
			{"repeated parameter", notice(paid.Reference, paid.Amount, secret) + "&vnp_Amount=1", `"RspCode":"97"`},
			{"unknown order", notice("NO0SUCH0ORDER", 16000, secret), `"RspCode":"01"`},
			{"repeated", notice(paid.Reference, paid.Amount, secret), `"RspCode":"02"`},
			{"repeated with another amount", notice(paid.Reference, 1, secret), `"RspCode":"02"`},
		} {
			t.Run(tt.name, func(t *testing.T) {
				if body := h.run(t, attack{as: h.nobody, method: http.MethodGet, url: tt.url, want: 200, api: true}, "vi"); !strings.Contains(body, tt.want) {
					t.Errorf("answer %s; want %s", body, tt.want)
				}
			})
		}
		t.Run("return that is not signed", func(t *testing.T) {
			for _, lang := range []string{"vi", "en"} {
				h.run(t, attack{as: h.ha, method: http.MethodGet, url: h.portal + "/payments/return?vnp_TxnRef=" + paid.Reference + "&vnp_ResponseCode=00&vnp_SecureHash=00", want: 403}, lang)
			}
		})
	})
}

// open opens the database of a node for reading.
func (h *hostile) open(t *testing.T, node string) *storage.DB {
	t.Helper()
	db, err := storage.Open(context.WithoutCancel(t.Context()), h.n.DB(node), storage.Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
