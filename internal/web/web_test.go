package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web/ui"
	"truc/lang"
)

const secret = "099204000123"

type site struct {
	h   http.Handler
	log bytes.Buffer
	now time.Time
}

func newSite(t *testing.T, change func(*PublicOptions)) *site {
	t.Helper()
	c, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: c})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{now: time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)}
	log := slog.New(slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m := NewMux(Options{Log: log, Renderer: rd, Lang: c})
	ok := func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "ok")
		return err
	}
	m.Handle("GET /{$}", ok)
	m.Handle("GET /page/{id}", ok)
	m.Handle("POST /page/{id}", func(w http.ResponseWriter, r *http.Request) error {
		form, err := ReadForm(w, r, 100)
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, form.Get("name"))
		return err
	})
	m.Handle("GET /panic", func(http.ResponseWriter, *http.Request) error { panic("boom " + secret) })
	m.Handle("GET /plain", func(http.ResponseWriter, *http.Request) error { return errors.New("sql: " + secret) })
	m.Handle("GET /busy", func(http.ResponseWriter, *http.Request) error {
		return errs.E(errs.Conflict, "error.conflict", errors.New("state 7"))
	})
	m.HandleAPI("GET /api", func(http.ResponseWriter, *http.Request) error {
		return errs.E(errs.Limited, "error.limited", errors.New("cause"), "seconds", 5)
	})
	m.HandleAPI("POST /notice", ok)
	m.Handle("GET /mine", RequireCitizen(ok))
	m.Handle("GET /mine2", RequireCitizenLevel(2, ok))
	m.Handle("POST /mine", RequireCitizen(ok))
	m.Handle("GET /desk", RequireOfficer(ok, "head", "officer"))
	m.Mount("GET /assets/", rd.Assets())
	opt := PublicOptions{Log: log, Now: func() time.Time { return s.now }, FormAction: []string{"https://pay.example"}, CrossOriginBypass: []string{"POST /notice"}}
	if change != nil {
		change(&opt)
	}
	s.h = Public(m, opt)
	return s
}

func (s *site) do(method, target string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w
}

const formType = "application/x-www-form-urlencoded"

func TestStatusAndBody(t *testing.T) {
	s := newSite(t, nil)
	for _, c := range []struct {
		name, method, target, body string
		header                     []string
		status                     int
		contains                   string
	}{
		{"page", "GET", "/page/1", "", nil, 200, "ok"},
		{"not found", "GET", "/nowhere/" + secret, "", nil, 404, "Không tìm thấy trang"},
		{"not found in English", "GET", "/nowhere", "", []string{"Cookie", "lang=en"}, 404, "Page not found"},
		{"unknown language", "GET", "/nowhere", "", []string{"Cookie", "lang=xx"}, 404, "Không tìm thấy trang"},
		{"method", "DELETE", "/page/1", "", []string{"Sec-Fetch-Site", "same-origin"}, 405, "Không mở được trang theo cách này"},
		{"conflict", "GET", "/busy", "", nil, 409, "Chưa làm được việc này"},
		{"panic", "GET", "/panic", "", nil, 500, "Hệ thống gặp lỗi"},
		{"foreign error", "GET", "/plain", "", nil, 500, "Hệ thống gặp lỗi"},
		{"form in NFC", "POST", "/page/1", "name=" + url.QueryEscape("Hu\u1ebf va\u0300"), []string{"Content-Type", formType}, 200, "Huế và"},
		{"form too large", "POST", "/page/1", "name=" + strings.Repeat("x", 200), []string{"Content-Type", formType}, 413, "quá lớn"},
		{"form not UTF-8", "POST", "/page/1", "name=%ff", []string{"Content-Type", formType}, 400, "hỏng trên đường truyền"},
		{"form with a bad escape", "POST", "/page/1", "name=%zz", []string{"Content-Type", formType}, 400, "hỏng trên đường truyền"},
		{"not a form", "POST", "/page/1", "{}", []string{"Content-Type", "application/json"}, 400, "không đúng kiểu"},
		{"cross-site", "POST", "/page/1", "name=1", []string{"Content-Type", formType, "Sec-Fetch-Site", "cross-site"}, 403, "trang khác"},
		{"foreign origin", "POST", "/page/1", "name=1", []string{"Content-Type", formType, "Origin", "https://evil.example"}, 403, "trang khác"},
		{"cross-site notice of a gateway", "POST", "/notice", "", []string{"Origin", "https://pay.example"}, 200, "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := s.do(c.method, c.target, strings.NewReader(c.body), c.header...)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) {
				t.Errorf("%s %s = %d, want %d with %q in\n%s", c.method, c.target, w.Code, c.status, c.contains, w.Body)
			}
			if w.Code >= 400 {
				for _, leak := range []string{secret, "sql:", "boom", "state 7", "goroutine"} {
					if strings.Contains(w.Body.String(), leak) {
						t.Errorf("the page shows %q", leak)
					}
				}
				if id := w.Header().Get("X-Request-Id"); id == "" || !strings.Contains(w.Body.String(), id) {
					t.Errorf("the page lacks the request id %q", id)
				}
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	s := newSite(t, func(o *PublicOptions) { o.HTTPS = true })
	h := s.do("GET", "/", nil).Header()
	want := map[string]string{
		"Content-Security-Policy":   "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self' https://pay.example; frame-ancestors 'none'",
		"Referrer-Policy":           "same-origin",
		"X-Content-Type-Options":    "nosniff",
		"Strict-Transport-Security": "max-age=31536000",
	}
	for k, v := range want {
		if got := h.Get(k); got != v {
			t.Errorf("%s = %q; want %q", k, got, v)
		}
	}
	if got := s.do("GET", "/", nil, "X-Request-Id", "forged").Header().Get("X-Request-Id"); got == "forged" {
		t.Error("the client chose the request id")
	}
	if got := s.do("DELETE", "/page/1", nil, "Sec-Fetch-Site", "same-origin").Header().Get("Allow"); !strings.Contains(got, "POST") {
		t.Errorf("Allow = %q", got)
	}
}

func TestLanguage(t *testing.T) {
	s := newSite(t, nil)
	w := s.do("GET", "/page/1?lang=en&b=2", nil)
	if w.Code != 303 || w.Header().Get("Location") != "/page/1?b=2" {
		t.Errorf("?lang=en = %d to %q", w.Code, w.Header().Get("Location"))
	}
	if c := w.Result().Cookies(); len(c) != 1 || c[0].Name != LangCookie || c[0].Value != "en" || !c[0].HttpOnly {
		t.Errorf("cookies = %v", c)
	}
	if w := s.do("GET", "//evil.example/?lang=en", nil); strings.Contains(w.Header().Get("Location"), "evil") {
		t.Errorf("led to %q", w.Header().Get("Location"))
	}
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{[]string{"Accept-Language", "en-US"}, "Không tìm thấy trang"},
		{[]string{"Accept-Language", "en-US", "Authorization", "Bearer x"}, "Page not found"},
		{[]string{"Accept-Language", "en", "Authorization", "Bearer x", "Cookie", "lang=vi"}, "Không tìm thấy trang"},
	} {
		w := s.do("GET", "/nowhere", nil, append(c.headers, "Accept", "application/json")...)
		if !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%v: %s", c.headers, w.Body)
		}
	}
	if w := s.do("GET", "/page/1?lang=tlh", nil); w.Code != 200 {
		t.Errorf("unknown language = %d", w.Code)
	}
}

func TestProblemDocument(t *testing.T) {
	s := newSite(t, nil)
	for _, c := range []struct {
		target string
		want   Problem
	}{
		{"/api", Problem{Type: "about:blank", Title: "Too many requests", Status: 429, Detail: "Too many requests. Try again in 5 seconds.", Code: "error.limited", Kind: "limited"}},
		{"/nowhere", Problem{Type: "about:blank", Title: "Page not found", Status: 404, Detail: "There is no such page.", Code: "error.not_found", Kind: "not_found"}},
	} {
		w := s.do("GET", c.target, nil, "Accept", "application/json", "Cookie", "lang=en")
		if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s: Content-Type = %q", c.target, got)
		}
		var got Problem
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		c.want.Instance = w.Header().Get("X-Request-Id")
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.target, diff)
		}
	}
}

// One line a request, with the pattern in place of the path and never the path itself.
func TestAccessLog(t *testing.T) {
	s := newSite(t, nil)
	for target, want := range map[string]map[string]any{
		"/page/" + secret:        {"level": "INFO", "pattern": "GET /page/{id}", "status": 200.0},
		"/busy":                  {"level": "INFO", "pattern": "GET /busy", "status": 409.0, "kind": "conflict", "error": "error.conflict: state 7"},
		"/nowhere?pin=" + secret: {"level": "INFO", "pattern": "", "status": 404.0, "kind": "not_found", "error": "error.not_found"},
		"/assets/x/truc.css":     {"level": "DEBUG", "pattern": "GET /assets/", "status": 200.0},
	} {
		s.log.Reset()
		s.do("GET", target, nil)
		if n := strings.Count(s.log.String(), "\n"); n != 1 {
			t.Errorf("%s: %d lines: %s", target, n, &s.log)
		}
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log holds the path: %s", &s.log)
		}
		var got map[string]any
		if err := json.Unmarshal(s.log.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %s = %v; want %v", target, k, got[k], v)
			}
		}
	}
	s.log.Reset()
	s.do("GET", "/panic", nil)
	if !strings.Contains(s.log.String(), `"level":"ERROR"`) || !strings.Contains(s.log.String(), "web_test.go") {
		t.Errorf("a panic is logged as %s", &s.log)
	}
}

func TestRequire(t *testing.T) {
	var who reqctx.Principal
	s := newSite(t, func(o *PublicOptions) {
		o.Session = func(*http.Request) (reqctx.Principal, error) { return who, nil }
	})
	citizen := reqctx.Principal{Kind: reqctx.Citizen, ID: secret, Level: 1}
	officer := reqctx.Principal{Kind: reqctx.Officer, Roles: []string{"officer"}}
	for _, c := range []struct {
		name, method, target string
		who                  reqctx.Principal
		status               int
		location             string
	}{
		{"nobody", "GET", "/mine?a=1&b=2", reqctx.Principal{}, 303, "/login?next=%2Fmine%3Fa%3D1%26b%3D2"},
		{"nobody posts", "POST", "/mine", reqctx.Principal{}, 303, "/login?next=%2Fform%3Fx%3D1"},
		{"citizen", "GET", "/mine", citizen, 200, ""},
		{"citizen of level 1 where 2 is needed", "GET", "/mine2", citizen, 403, ""},
		{"officer on a citizen's page", "GET", "/mine", officer, 403, ""},
		{"officer with one of the roles", "GET", "/desk", officer, 200, ""},
		{"officer without role", "GET", "/desk", reqctx.Principal{Kind: reqctx.Officer, Roles: []string{"admin"}}, 403, ""},
		{"citizen at the desk", "GET", "/desk", citizen, 403, ""},
		{"nobody at the desk", "GET", "/desk", reqctx.Principal{}, 303, "/login?next=%2Fdesk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			who = c.who
			w := s.do(c.method, c.target, nil, "Referer", "http://example.com/form?x=1")
			if w.Code != c.status || w.Header().Get("Location") != c.location {
				t.Errorf("= %d to %q; want %d to %q", w.Code, w.Header().Get("Location"), c.status, c.location)
			}
		})
	}
	s = newSite(t, func(o *PublicOptions) {
		o.Session = func(*http.Request) (reqctx.Principal, error) {
			return reqctx.Principal{}, errs.E(errs.Unavailable, "error.unavailable", nil)
		}
	})
	if w := s.do("GET", "/", nil); w.Code != 503 {
		t.Errorf("sessions out of reach = %d; want 503", w.Code)
	}
	if w := s.do("GET", "/assets/x/truc.css", nil); w.Code != 200 {
		t.Errorf("assets ask for the session: %d", w.Code)
	}
}

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)
	l := NewLimiter(func() time.Time { return now }, 10*time.Second, 2, 2)
	s := newSite(t, func(o *PublicOptions) { o.Limiter = l })
	s.do("GET", "/", nil)
	s.do("GET", "/", nil)
	w := s.do("GET", "/", nil)
	if w.Code != 429 || w.Header().Get("Retry-After") != "11" {
		t.Errorf("third request = %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	now = now.Add(10 * time.Second)
	if w := s.do("GET", "/", nil); w.Code != 200 {
		t.Errorf("after the pause = %d", w.Code)
	}
	for _, k := range []string{"a", "b", "c"} {
		l.Allow(k)
	}
	if l.order.Len() != 2 || len(l.byKey) != 2 {
		t.Errorf("%d keys are kept; want 2", l.order.Len())
	}
}

func TestClientAddress(t *testing.T) {
	var got string
	h := ClientAddress([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = AddressKey(r) }))
	for _, c := range []struct{ peer, forwarded, want string }{
		{"10.1.1.1:5", "1.2.3.4", "1.2.3.4"},
		{"10.1.1.1:5", "6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"}, // the first is the client's own claim
		{"8.8.8.8:5", "1.2.3.4", "8.8.8.8"},
		{"10.1.1.1:5", "rubbish", "10.1.1.1"},
		{"[2001:db8::7]:5", "", "2001:db8::/64"},
		{"pipe", "", "unknown"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		r.Header.Set("X-Forwarded-For", c.forwarded)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("%s with %q = %s; want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestReadUpload(t *testing.T) {
	var b bytes.Buffer
	mw := multipart.NewWriter(&b)
	mw.WriteField("name", "a\r\nb")
	f, _ := mw.CreateFormFile("paper", `C:\Users\x\giâ\y.pdf`)
	f.Write([]byte("%PDF-1.7 ..."))
	mw.CreateFormFile("empty", "")
	mw.Close()
	read := func(limit int64) (url.Values, []Upload, error) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(b.Bytes()))
		r.Header.Set("Content-Type", mw.FormDataContentType())
		return ReadUpload(httptest.NewRecorder(), r, limit)
	}
	form, files, err := read(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(url.Values{"name": {"a\nb"}}, form); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Upload{{Field: "paper", Name: "y.pdf", Type: "application/pdf", Data: []byte("%PDF-1.7 ...")}}, files); diff != "" {
		t.Error(diff)
	}
	if _, _, err := read(50); !errs.Is(err, errs.TooLarge) {
		t.Errorf("over the limit = %v; want TooLarge", err)
	}
}

func TestWriteFile(t *testing.T) {
	for _, c := range []struct {
		f                File
		disposition, csp string
	}{
		{File{Name: "giấy.pdf", Type: "application/pdf", Inline: true}, "inline; filename*=utf-8''gi%E1%BA%A5y.pdf", "frame-ancestors 'self'"},
		{File{Name: "x.svg", Type: "image/svg+xml", Inline: true}, "attachment; filename=x.svg", "sandbox"},
		{File{Name: "a\"\r\nb.pdf", Type: "application/pdf"}, `attachment; filename="a\"b.pdf"`, "sandbox"},
	} {
		w := httptest.NewRecorder()
		if err := WriteFile(w, c.f); err != nil {
			t.Fatal(err)
		}
		if got := w.Header().Get("Content-Disposition"); got != c.disposition {
			t.Errorf("disposition = %q; want %q", got, c.disposition)
		}
		if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, c.csp) {
			t.Errorf("CSP = %q; want %q in it", got, c.csp)
		}
	}
}

func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	srv := Server("", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		<-ctx.Done() // the request outlives the order to stop
		io.WriteString(w, "done")
	}))
	end := make(chan error, 1)
	go func() { end <- Serve(ctx, srv, l, time.Minute) }()
	body := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		body <- string(b)
	}()
	<-started
	cancel()
	if got := <-body; got != "done" {
		t.Errorf("request under way got %q", got)
	}
	if err := <-end; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

func TestSafeNext(t *testing.T) {
	for in, want := range map[string]string{
		"/a?b=1#c": "/a?b=1#c", "/": "/", "": "/", "a": "/", "//evil": "/", "/\\evil": "/", "/\t/evil": "/", "https://evil": "/",
		"/a\r\nSet-Cookie: x": "/", "javascript:alert(1)": "/", "/%2F/evil": "/%2F/evil", "///evil": "/", "/ễ": "/ễ",
	} {
		if in == "/%2F/evil" {
			want = "/" // decodes to a path of two slashes
		}
		if got := SafeNext(in); got != want {
			t.Errorf("SafeNext(%q) = %q; want %q", in, got, want)
		}
	}
}

func FuzzSafeNext(f *testing.F) {
	for _, s := range []string{"/a", "//a", "/\\a", "/\t/a", "/a//b", "/%5cevil", "/.//evil", "/..//evil"} {
		f.Add(s)
	}
	base, err := url.Parse("https://truc.example/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := SafeNext(in)
		u, err := base.Parse(got)
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
			t.Errorf("SafeNext(%q) = %q leads to %v", in, got, u)
		}
		if strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t") {
			t.Errorf("SafeNext(%q) = %q", in, got)
		}
	})
}

func FuzzReadUpload(f *testing.F) {
	f.Add(formType, []byte("a=1&b=%20"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\nc\r\n--x--\r\n"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		form, files, err := ReadUpload(httptest.NewRecorder(), r, 4096)
		if err != nil && !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.TooLarge) {
			t.Errorf("error of a kind that is not the sender's fault: %v", err)
		}
		for _, vs := range form {
			for _, v := range vs {
				if v != i18n.NFC(v) || strings.ContainsAny(v, "\r\x00") {
					t.Errorf("value %q is not clean", v)
				}
			}
		}
		for _, u := range files {
			if strings.ContainsAny(u.Name, "/\\\x00\n") {
				t.Errorf("file name %q", u.Name)
			}
		}
	})
}
