package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := Shutdown(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

const goodPage = `<!doctype html><html lang="vi"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Thử</title><link rel="icon" href="/icon.svg"></head><body><header><a href="/other">Trang khác</a></header><main><h1>Đăng ký khai sinh</h1>
<form method="post" action="/send" enctype="multipart/form-data">
<label for="name">Họ và tên</label> <input id="name" name="name" value="cũ" autocomplete="name">
<fieldset><legend>Giới tính</legend><input type="radio" id="m" name="sex" value="m"> <label for="m">Nam</label>
<input type="radio" id="f" name="sex" value="f"> <label for="f">Nữ</label></fieldset>
<label for="p">Tỉnh</label> <select id="p" name="province"><option value="46">Huế</option><option value="68">Lâm Đồng</option></select>
<label for="doc">Giấy tờ</label> <input type="file" id="doc" name="doc">
<p id="script">không có script</p><button>Gửi hồ sơ</button></form></main><script src="/page.js"></script></body></html>`

const badPage = `<!doctype html><html><head><meta charset="utf-8"></head><body><div>[services.apply.title] {name}</div><img src="/icon.svg" width="2000" height="9" alt="">
<input><script>window.x = 1</script><script src="/missing.js"></script></body></html>`

// site is a small site with the product's kind of security policy.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	page := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "default-src 'self'; object-src 'none'; base-uri 'none'")
			_, _ = io.WriteString(w, body)
		}
	}
	mux.HandleFunc("GET /{$}", page(goodPage))
	mux.HandleFunc("GET /bad", page(badPage))
	mux.HandleFunc("GET /other", page(`<!doctype html><html lang="vi"><head><title>Khác</title><link rel="icon" href="/icon.svg"></head><body><main><h1>Trang khác</h1></main></body></html>`))
	mux.HandleFunc("GET /icon.svg", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = io.WriteString(w, `<svg xmlns="http://www.w3.org/2000/svg"/>`)
	})
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, `document.getElementById('script').textContent = 'có script'`)
	})
	mux.HandleFunc("POST /send", func(w http.ResponseWriter, r *http.Request) {
		file, head, err := r.FormFile("doc")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		b, _ := io.ReadAll(file)
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s1", Path: "/", HttpOnly: true})
		page(fmt.Sprintf(`<!doctype html><html lang="vi"><head><title>Xong</title><link rel="icon" href="/icon.svg"></head><body><main><h1>Đã nhận</h1><p>%s, %s, %s, %s, %s</p></main></body></html>`,
			r.FormValue("name"), r.FormValue("sex"), r.FormValue("province"), head.Filename, b))(w, r)
	})
	mux.HandleFunc("GET /result", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("session"); err != nil || c.Value != "s1" {
			http.Error(w, "no session", http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, "%PDF-1.7")
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// TestHarness proves the tools on a page of our own: what is right passes, and each fault is seen.
func TestHarness(t *testing.T) {
	srv := site(t)
	t.Run("journey", func(t *testing.T) {
		tab := Open(t, srv.URL)
		tab.Want("Đăng ký khai sinh", "có script")
		tab.CheckPage("harness")
		tab.Follow("Trang khác")
		tab.Want("Trang khác")
		tab.Go("/")
		fillAndSend(tab)
		if got := string(tab.Download("/result")); got != "%PDF-1.7" {
			t.Errorf("Download = %q; want the file behind the session", got)
		}
	})
	t.Run("without script", func(t *testing.T) {
		tab := OpenWithoutScript(t, srv.URL)
		tab.Want("không có script")
		fillAndSend(tab)
	})
	t.Run("two people", func(t *testing.T) {
		a, b := Open(t, srv.URL), Open(t, srv.URL)
		fillAndSend(a)
		b.Expect("status 403")
		b.Go("/result")
		b.Want("no session")
	})
	t.Run("faults are seen", func(t *testing.T) { testFaults(t, srv.URL) })
}

func fillAndSend(tab *Tab) {
	tab.t.Helper()
	tab.Fill("Họ và tên", "Trần Thị Thử")
	tab.Choose("Nữ")
	tab.Select("Tỉnh", "Lâm Đồng")
	tab.Upload("Giấy tờ", "giay.txt", []byte("nội dung"))
	tab.Press("Gửi hồ sơ")
	tab.Want("Đã nhận", "Trần Thị Thử, f, 68, giay.txt, nội dung")
}

func testFaults(t *testing.T, address string) {
	fake := &recorder{TB: t}
	tab := Open(t, address+"/bad")
	tab.t = fake
	tab.CheckPage("harness-bad")
	tab.t = t
	for _, want := range []string{"<html lang", "no title", "0 main headings", "[services.apply.title]", "{name}", "scrolls sideways", "axe label", "axe html-has-lang", "axe document-title"} {
		if !slices.ContainsFunc(fake.errors, func(e string) bool { return strings.Contains(e, want) }) {
			t.Errorf("CheckPage did not report %q", want)
		}
	}
	for _, want := range []string{"Content Security Policy", "status 404"} {
		if !slices.ContainsFunc(tab.Faults(), func(e string) bool { return strings.Contains(e, want) }) {
			t.Errorf("the tab did not note %q; it noted %q", want, tab.Faults())
		}
	}
	for _, f := range []string{"Content Security Policy", "status 404", "MIME type", "favicon"} {
		tab.Expect(f)
	}
}

// recorder notes errors instead of failing.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
