package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focused describes the focused element: what it is, its name, whether it can be seen and whether focus shows.
type focused struct {
	Tag, Name, Form string
	Seen, Marked    bool
}

const focusedJS = `(() => { const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
	return {Tag: e.tagName.toLowerCase(), Name: (e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText || e.name || '').trim(), Form: e.form?.id ?? '',
		Seen: r.width > 1 && r.height > 1 && r.left >= 0 && r.top >= 0 && r.top < innerHeight,
		Marked: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== 'none' || s.backgroundColor === 'rgb(255, 221, 0)'} })()`

// press presses keys where the focus is.
func (tab *Tab) press(keys string) {
	tab.t.Helper()
	tab.do(chromedp.KeyEvent(keys))
}

// tabTo presses Tab until the focus is on an element whose name contains the text, and fails when focus hides on the way.
func (tab *Tab) tabTo(name string) {
	tab.t.Helper()
	var way []string
	for range 60 {
		tab.press(kb.Tab)
		f := Value[focused](tab, focusedJS)
		way = append(way, f.Tag+" "+clip(squeeze(f.Name), 30))
		if f.Tag != "body" && (!f.Seen || !f.Marked) {
			tab.t.Errorf("%s: the focus cannot be seen on %s %q (in view %v, marked %v)", tab.URL(), f.Tag, squeeze(f.Name), f.Seen, f.Marked)
		}
		if strings.Contains(squeeze(f.Name), name) {
			return
		}
	}
	tab.t.Fatalf("Tab does not reach %q on %s; it goes %s", name, tab.URL(), strings.Join(way, " → "))
}

// enter presses Enter and waits for the page it leads to.
func (tab *Tab) enter() {
	tab.t.Helper()
	tab.arrive(chromedp.KeyEvent(kb.Enter))
}

// TestKeyboard goes from the search to the first answer without a mouse.
func TestKeyboard(t *testing.T) {
	n := Demo(t)
	c := n.AsCitizen(t, n.Person(t, "c-lanh").Name)
	c.Go(n.Center.URL + "/procedures")
	c.press(kb.Tab)
	if f := Value[focused](c, focusedJS); f.Tag != "a" || !f.Seen || !f.Marked {
		t.Errorf("the first stop is %+v; want a link past the header that can be seen", f)
	}
	c.Screenshot("keyboard-skip-link")
	c.press(kb.Enter)
	if got := Value[string](c, "location.hash"); got == "" {
		t.Error("the skip link leads nowhere")
	}
	c.tabTo("Cần làm thủ tục gì?")
	c.press("khai tu")
	c.enter()
	c.tabTo("Cấp bản sao trích lục hộ tịch")
	c.enter()
	c.tabTo("Trung tâm Phục vụ hành chính công tỉnh Lâm Đồng")
	c.press(" ")
	c.tabTo("Bắt đầu")
	c.enter()
	c.draft()
	c.tabTo("Tiếp tục")
	c.Screenshot("keyboard-button")
	c.enter()
	if got := c.path(); got != "relation" {
		t.Fatalf("Enter leads to %s", c.URL())
	}
	c.tabTo("Của chính người đề nghị")
	c.press(" ")
	c.enter() // from inside the form, without going to the button
	if got := c.path(); got != "kind" {
		t.Errorf("Enter in a form leads to %s", c.URL())
	}
}
