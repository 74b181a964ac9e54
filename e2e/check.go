package e2e

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/chromedp/chromedp"
)

// axeJS is axe-core 4.14.1; see doc.go for where it comes from.
//
//go:embed testdata/axe.min.js
var axeJS string

// axeRun asks for the rules of WCAG 2.2 level AA, all that came before it, and axe's own good practice.
const axeRun = `axe.run(document, {runOnly: ['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice'], resultTypes: ['violations']})
	.then(r => JSON.stringify(r.violations.map(v => ({id: v.id, impact: v.impact || '', help: v.help,
		nodes: v.nodes.map(n => n.target.join(' ') + ' :: ' + n.html.slice(0, 200) + ' :: ' + (n.failureSummary || '').replace(/\s+/g, ' '))}))))`

// overflow lists what sticks out to the right of the viewport when the page scrolls sideways.
const overflow = `(() => { const room = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= room) return [];
	const out = [...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > room + 1)
		.map(e => e.tagName.toLowerCase() + (e.className && e.className.baseVal === undefined ? '.' + String(e.className).trim().replace(/\s+/g, '.') : ''));
	return ['page is ' + document.documentElement.scrollWidth + ' px wide in ' + room, ...out.slice(0, 8)] })()`

// leaks are traces of text that never became a sentence: a key without a text, an unfilled placeholder, a value
// printed by its Go type.
var leaks = regexp.MustCompile(`\[[a-z]+(\.[a-z0-9_]+)+\]|\{[a-z_]+\}|%!|<nil>|ZgotmplZ|map\[|0001-01-01`)

type violation struct {
	ID, Impact, Help string
	Nodes            []string
}

// CheckPage checks the page the tab shows at both widths: accessibility, sideways scrolling, title, language, one
// main heading, leaked keys. It leaves screenshots in screenshots/out/<name>-<language>-<width>.png and puts the
// width back to a desk's. Faults are reported all at once; the journey goes on.
func (tab *Tab) CheckPage(name string) {
	tab.t.Helper()
	if os.Getenv("TRUC_TEST_QUICK") != "" { // the steps of a journey only, while it is being written
		return
	}
	for _, w := range Widths {
		tab.checkAt(name, w)
	}
	tab.Width(1280)
}

// CheckPageIn is [Tab.CheckPage] once in each language, for a page that is read with a plain GET.
func (tab *Tab) CheckPageIn(name string, langs ...string) {
	tab.t.Helper()
	for _, lang := range langs {
		u, err := url.Parse(tab.URL())
		if err != nil {
			tab.t.Fatal(err)
		}
		q := u.Query()
		q.Set("lang", lang)
		u.RawQuery = q.Encode()
		tab.Go(u.String())
		if got := tab.Attr("html", "lang"); got != lang {
			tab.t.Errorf("%s: page says lang=%q after ?lang=%s", name, got, lang)
		}
		tab.CheckPage(name)
	}
}

func (tab *Tab) checkAt(name string, width int64) {
	tab.t.Helper()
	tab.Width(width)
	lang := tab.Attr("html", "lang")
	where := fmt.Sprintf("%s-%s-%d", name, lang, width)
	if lang != "vi" && lang != "en" {
		tab.t.Errorf("%s: <html lang=%q>; want vi or en", where, lang)
	}
	if Value[string](tab, "document.title") == "" {
		tab.t.Errorf("%s: no title", where)
	}
	if n := Value[int](tab, "document.querySelectorAll('h1').length"); n != 1 {
		tab.t.Errorf("%s: %d main headings; want 1", where, n)
	}
	if found := leaks.FindAllString(tab.Text("body"), 5); len(found) > 0 {
		tab.t.Errorf("%s: shows raw text %q", where, found)
	}
	if out := Value[[]string](tab, overflow); len(out) > 0 {
		tab.t.Errorf("%s: scrolls sideways: %s", where, strings.Join(out, ", "))
	}
	for _, v := range tab.axe() {
		tab.t.Errorf("%s: axe %s (%s): %s\n\t%s", where, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n\t"))
	}
	tab.Screenshot(where)
}

// axe loads the checker through developer tools, which the page's own security policy does not concern, and
// removes it with the next page.
func (tab *Tab) axe() []violation {
	tab.t.Helper()
	if tab.noScript { // axe waits on timers, which stand still without scripts; those of the page are not run any more
		tab.script(true)
		defer tab.script(false)
	}
	if !Value[bool](tab, "typeof axe !== 'undefined'") {
		Value[chromedp.Void](tab, axeJS)
	}
	var vs []violation
	if err := json.Unmarshal([]byte(Value[string](tab, axeRun)), &vs); err != nil {
		tab.t.Fatalf("axe: %v", err)
	}
	return vs
}

// Screenshot keeps a picture of the whole page as screenshots/out/<name>.png.
func (tab *Tab) Screenshot(name string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, stepLimit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tab.t.Fatalf("screenshot %s: %v", name, err)
	}
	dir := filepath.Join("screenshots", "out")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		tab.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		tab.t.Fatal(err)
	}
}
