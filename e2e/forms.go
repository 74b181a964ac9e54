package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// Journeys that lead up to what a test is about answer questions by the names of the controls, which is quick and
// the same in both languages. What the test is about is done by what a person sees, see act.go.

// setForm fills the controls of a form that values names and returns how many there were; it leaves the others.
const setForm = `((id, values) => { const form = document.getElementById(id); if (!form) return -1; let n = 0;
	for (const [name, v] of Object.entries(values)) for (const e of form.elements) {
		if (e.name !== name) continue;
		if (e.type === 'radio') { if (e.value === v) { e.checked = true; n++ } }
		else if (e.type === 'checkbox') { e.checked = v === 'true' || e.value === v; n++ }
		else if (e.type !== 'hidden' && e.type !== 'file') { e.value = v; n++ } }
	return n })`

// Set fills those controls of the form that values names.
func (tab *Tab) Set(form string, values map[string]string) {
	tab.t.Helper()
	if values == nil {
		values = map[string]string{}
	}
	b, err := json.Marshal(values)
	if err != nil {
		tab.t.Fatal(err)
	}
	if n := Value[int](tab, fmt.Sprintf("%s(%q, %s)", setForm, form, b)); n < 0 {
		tab.t.Fatalf("no form %q on %s; the page says:\n%s", form, tab.URL(), clip(tab.Text("body"), 1500))
	}
}

// SetFile puts a file into the file control of the form whose name contains part.
func (tab *Tab) SetFile(form, part, name string, content []byte) {
	tab.t.Helper()
	path := filepath.Join(tab.t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tab.t.Fatal(err)
	}
	tab.do(chromedp.SetUploadFiles(chromedp.CSS(fmt.Sprintf(`#%s input[type=file][name*=%q]`, form, part)), []string{path}))
}

// Send presses a button of the form, the first one that is shown when value is "", and waits for the page it leads to.
func (tab *Tab) Send(form, value string) {
	tab.t.Helper()
	sel := chromedp.JSPath(fmt.Sprintf(`[...document.querySelectorAll('form')].filter(f => f.id === %q || f.getAttribute('action').endsWith(%q))
		.flatMap(f => [...f.elements]).find(e => (e.type === 'submit') && e.tabIndex >= 0 && (%q === '' || e.value === %q))`, form, form, value, value))
	if !Value[bool](tab, "!!"+string(sel)) {
		tab.t.Fatalf("no button %q in form %q on %s; the page says:\n%s", value, form, tab.URL(), clip(tab.Text("body"), 1500))
	}
	tab.arrive(chromedp.Click(sel))
}

// HasForm reports whether the page has a form of that id.
func (tab *Tab) HasForm(id string) bool {
	tab.t.Helper()
	return Value[bool](tab, fmt.Sprintf("document.getElementById(%q) !== null", id))
}

// Data returns the first data attribute of that name on the page, such as the number of the dossier it shows.
func (tab *Tab) Data(name string) string {
	tab.t.Helper()
	return tab.Attr("[data-"+name+"]", "data-"+name)
}

// travelLimit bounds what travels between nodes and back to a page.
const travelLimit = 40 * time.Second

// Until loads the page again until ok holds, for what travels between nodes.
func (tab *Tab) Until(what string, ok func() bool) {
	tab.t.Helper()
	for end := time.Now().Add(travelLimit); ; {
		if ok() {
			return
		}
		if time.Now().After(end) {
			tab.t.Fatalf("%s did not come in %s on %s; it says:\n%s", what, travelLimit, tab.URL(), clip(tab.Text("body"), 1500))
		}
		time.Sleep(200 * time.Millisecond)
		tab.Go(tab.URL())
	}
}

// UntilState waits on the citizen's page of a filing until it shows one of the states.
func (tab *Tab) UntilState(filing string, states ...string) {
	tab.t.Helper()
	tab.Go("/filings/" + filing)
	tab.Until("state "+strings.Join(states, " or "), func() bool {
		got := tab.Data("state")
		return slices.Contains(states, got)
	})
}

// path returns the last part of the address the tab shows, which names the page of a form.
func (tab *Tab) path() string {
	tab.t.Helper()
	p := Value[string](tab, "location.pathname")
	return p[strings.LastIndexByte(p, '/')+1:]
}

// check is [Tab.CheckPageIn] in both languages, leaving the page in Vietnamese.
func (tab *Tab) check(name string) {
	tab.t.Helper()
	tab.CheckPageIn(name, "en", "vi")
}

// problems describes what a page that could not be accepted owes: its title begins with the fact, a summary at its
// top has the focus' way to each field, and each problem stands at its field too.
const problems = `(() => { const out = []; const box = document.querySelector('.tr-errors');
	if (!/^(Lỗi|Error): /.test(document.title)) out.push('the title ' + JSON.stringify(document.title) + ' does not begin with Lỗi:');
	if (!box) return [...out, 'there is no summary of errors'];
	const links = [...box.querySelectorAll('a[href^="#"]')];
	if (!links.length) out.push('the summary leads to no field');
	for (const a of links) if (!document.getElementById(a.hash.slice(1))) out.push('the summary leads to ' + a.hash + ', which is not there');
	return out })()`

// wantProblem fails unless the page refuses what was sent in the way every form does, and says text.
func (tab *Tab) wantProblem(text string) {
	tab.t.Helper()
	tab.Expect("status 422")
	for _, p := range Value[[]string](tab, problems) {
		tab.t.Errorf("%s: %s", tab.URL(), p)
	}
	if said := tab.Text(".tr-errors"); said != "" && !strings.Contains(squeeze(said), text) {
		tab.t.Errorf("%s: the summary of errors says %q; want %q", tab.URL(), said, text)
	}
}

// empty clears every control of a form.
func (tab *Tab) empty(form string) {
	tab.t.Helper()
	Value[bool](tab, fmt.Sprintf(`(() => { for (const e of document.getElementById(%q).elements) {
		if (e.type === 'radio' || e.type === 'checkbox') e.checked = false;
		else if (e.tagName !== 'BUTTON' && e.type !== 'hidden') e.value = '' } return true })()`, form))
}

// link returns the address of the first link that contains part, or "".
func (tab *Tab) link(part string) string {
	tab.t.Helper()
	return Value[string](tab, fmt.Sprintf("document.querySelector('a[href*=%q]')?.getAttribute('href') ?? ''", part))
}
