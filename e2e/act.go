package e2e

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// find.js finds things by what a person sees. It answers with an element, or null.
//
//go:embed find.js
var findJS string

// find returns a JavaScript expression for the element of a kind (field, option, button, link, group) with a name.
func find(kind, name string) chromedp.JSPath {
	b, err := json.Marshal([]string{kind, name})
	if err != nil {
		panic(err) // two strings always encode
	}
	return chromedp.JSPath("(" + strings.TrimSpace(findJS) + ")(..." + string(b) + ")")
}

func (tab *Tab) must(kind, name string) chromedp.JSPath {
	tab.t.Helper()
	sel := find(kind, name)
	if !Value[bool](tab, string(sel)+" !== null") {
		tab.t.Fatalf("no %s %q on %s; the page says:\n%s", kind, name, tab.URL(), clip(tab.Text("body"), 1500))
	}
	return sel
}

// Fill types value into the field with this label. What stood there is replaced.
func (tab *Tab) Fill(label, value string) {
	tab.t.Helper()
	sel := tab.must("field", label)
	Value[bool](tab, "("+string(sel)+").value = '', true") // chromedp.Clear fails on an empty text area
	tab.do(chromedp.SendKeys(sel, value))
}

// FillCSS is [Tab.Fill] for a field by CSS selector, where one label serves several fields.
func (tab *Tab) FillCSS(css, value string) {
	tab.t.Helper()
	tab.do(chromedp.Clear(chromedp.CSS(css)), chromedp.SendKeys(chromedp.CSS(css), value))
}

// Choose marks the radio button or check box with this label.
func (tab *Tab) Choose(label string) {
	tab.t.Helper()
	tab.do(chromedp.Click(tab.must("option", label)))
}

// Select picks the entry of a list by its text.
func (tab *Tab) Select(label, entry string) {
	tab.t.Helper()
	list := tab.must("field", label)
	b, err := json.Marshal(entry)
	if err != nil {
		tab.t.Fatal(err)
	}
	found := Value[bool](tab, fmt.Sprintf(`(() => { const list = %s; const want = %s;
		for (const o of list.options) if (o.text.trim() === want) { list.value = o.value;
			list.dispatchEvent(new Event('input', {bubbles: true})); list.dispatchEvent(new Event('change', {bubbles: true})); return true }
		return false })()`, list, b))
	if !found {
		tab.t.Fatalf("list %q has no entry %q", label, entry)
	}
}

// Upload puts a file into the file field with this label.
func (tab *Tab) Upload(label, name string, content []byte) {
	tab.t.Helper()
	path := filepath.Join(tab.t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tab.t.Fatal(err)
	}
	tab.do(chromedp.SetUploadFiles(tab.must("field", label), []string{path}))
}

// Press presses the button with this text and waits for the page it leads to.
func (tab *Tab) Press(button string) {
	tab.t.Helper()
	tab.leave("button", button)
}

// Follow follows the link with this text and waits for its page.
func (tab *Tab) Follow(link string) {
	tab.t.Helper()
	tab.leave("link", link)
}

func (tab *Tab) leave(kind, name string) {
	tab.t.Helper()
	tab.arrive(chromedp.Click(tab.must(kind, name)))
}

// arrive does something that leads to another page, and waits for that.
func (tab *Tab) arrive(step chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	from := tab.URL()
	ctx, cancel := context.WithTimeout(tab.ctx, stepLimit)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, step); err != nil {
		tab.t.Fatalf("no page came after %s: %v", from, err)
	}
}

// Has reports whether the page shows this text, white space aside.
func (tab *Tab) Has(text string) bool {
	tab.t.Helper()
	return strings.Contains(squeeze(tab.Text("body")), squeeze(text))
}

// Want fails the test when the page does not show this text.
func (tab *Tab) Want(texts ...string) {
	tab.t.Helper()
	for _, text := range texts {
		if !tab.Has(text) {
			tab.t.Fatalf("%s does not show %q; it says:\n%s", tab.URL(), text, clip(tab.Text("body"), 1500))
		}
	}
}

// Text returns the visible text of the first element a CSS selector meets, "" when there is none.
func (tab *Tab) Text(css string) string {
	tab.t.Helper()
	return Value[string](tab, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", css))
}

// Attr returns an attribute of the first element a CSS selector meets.
func (tab *Tab) Attr(css, name string) string {
	tab.t.Helper()
	return Value[string](tab, fmt.Sprintf("document.querySelector(%q)?.getAttribute(%q) ?? ''", css, name))
}

// Download fetches an address with the tab's cookies, as saving a link would, and fails on anything but 200.
func (tab *Tab) Download(address string) []byte {
	tab.t.Helper()
	b, _ := tab.fetch(address)
	return b
}

func (tab *Tab) fetch(address string) ([]byte, http.Header) {
	tab.t.Helper()
	res, b := tab.send(http.MethodGet, address, nil, nil)
	if res.StatusCode != http.StatusOK {
		tab.t.Fatalf("download %s: status %d: %s", address, res.StatusCode, clip(string(b), 300))
	}
	return b, res.Header
}

// post sends a form as the page's own script-free form would and returns the file that answers it.
func (tab *Tab) post(address string, values map[string]string) []byte {
	tab.t.Helper()
	form := url.Values{}
	for k, v := range values {
		form.Set(k, v)
	}
	res, b := tab.send(http.MethodPost, address, form, map[string]string{"Sec-Fetch-Site": "same-origin"})
	if res.StatusCode != http.StatusOK {
		tab.t.Fatalf("post to %s: status %d: %s", address, res.StatusCode, clip(string(b), 300))
	}
	return b
}

// send sends a request of a program that has the tab's cookies. It follows no redirect.
func (tab *Tab) send(method, address string, form url.Values, header map[string]string) (*http.Response, []byte) {
	tab.t.Helper()
	address = Value[string](tab, fmt.Sprintf("new URL(%q, location.href).href", address))
	ctx, cancel := context.WithTimeout(tab.ctx, stepLimit)
	defer cancel()
	jar, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{address}})
	if err != nil {
		tab.t.Fatalf("%s %s: %v", method, address, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		tab.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	for _, c := range jar.Cookies {
		req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		tab.t.Fatalf("%s %s: %v", method, address, err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		tab.t.Fatalf("%s %s: %v", method, address, err)
	}
	return res, b
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
