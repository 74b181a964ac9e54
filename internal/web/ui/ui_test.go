package ui

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/lang"
)

func testRenderer(t *testing.T) *Renderer {
	t.Helper()
	c, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := NewRenderer(Options{Lang: c, Site: Site{
		Name: i18n.Text{"vi": "Cổng dịch vụ công", "en": "Public services"}, Phase: "test", Phone: "18001096", Email: "hotro@example.vn",
	}})
	if err != nil {
		t.Fatal(err)
	}
	return rd
}

// checkPage holds a page to the rules that need no browser.
func checkPage(t *testing.T, body, wantLang string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(body, "ZgotmplZ") {
		t.Error("a value was unsafe where it stands (ZgotmplZ)")
	}
	if i := strings.Index(body, "[ui."); i >= 0 {
		t.Errorf("a message is missing: %s", body[i:i+30])
	}
	ids, labels, h1 := map[string]int{}, map[string]bool{}, 0
	var inputs, refs []string
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attr(n, "id"); id != "" {
			ids[id]++
		}
		for _, a := range []string{"aria-describedby", "aria-labelledby"} {
			refs = append(refs, strings.Fields(attr(n, a))...)
		}
		if href := attr(n, "href"); strings.HasPrefix(href, "#") {
			refs = append(refs, href[1:])
		}
		if attr(n, "style") != "" || strings.HasPrefix(attr(n, "onclick"), "o") {
			t.Errorf("<%s> has an inline style or script, which the CSP refuses", n.Data)
		}
		switch n.Data {
		case "html":
			if got := attr(n, "lang"); got != wantLang {
				t.Errorf("lang = %q; want %q", got, wantLang)
			}
		case "h1":
			h1++
		case "label":
			labels[attr(n, "for")] = true
		case "input", "select", "textarea":
			if attr(n, "type") != "hidden" {
				inputs = append(inputs, attr(n, "id"))
			}
		case "fieldset":
			if !hasChild(n, "legend") {
				t.Errorf("fieldset without legend")
			}
		case "svg":
			if attr(n, "role") == "img" && attr(n, "aria-label") == "" && attr(n, "aria-labelledby") == "" {
				t.Error("picture without a name")
			}
		}
	}
	if h1 != 1 {
		t.Errorf("%d h1; want 1", h1)
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("id %q stands %d times", id, n)
		}
	}
	for _, id := range inputs {
		if id == "" || !labels[id] {
			t.Errorf("control %q has no label", id)
		}
	}
	for _, id := range refs {
		if ids[id] == 0 {
			t.Errorf("reference to id %q, which is not there", id)
		}
	}
	return doc
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasChild(n *html.Node, tag string) bool {
	for c := range n.ChildNodes() {
		if c.Data == tag {
			return true
		}
	}
	return false
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func find(doc *html.Node, tag string) *html.Node {
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == tag {
			return n
		}
	}
	return nil
}

func request(method, target, lang string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	return r.WithContext(reqctx.WithRequestID(reqctx.WithLang(r.Context(), lang), "id-1"))
}

func TestStoriesAreSound(t *testing.T) {
	rd := testRenderer(t)
	sb, err := rd.Storybook()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{""}
	for n := range stories() {
		names = append(names, n)
	}
	for k := errs.Internal; k <= errs.Limited; k++ {
		names = append(names, "error/"+k.String())
	}
	for _, l := range i18n.Langs {
		for _, n := range names {
			t.Run(l+"/"+n, func(t *testing.T) {
				w := httptest.NewRecorder()
				sb.ServeHTTP(w, request("GET", "/_storybook/"+n, l))
				if want := strings.HasPrefix(n, "error/"); (w.Code != 200) != want {
					t.Errorf("status = %d: %s", w.Code, w.Body)
				}
				doc := checkPage(t, w.Body.String(), l)
				title := text(find(doc, "title"))
				if n == "errors" && !strings.HasPrefix(title, map[string]string{"vi": "Lỗi: ", "en": "Error: "}[l]) {
					t.Errorf("title of a form with problems = %q", title)
				}
			})
		}
	}
}

// Every component draws its zero value: a page that leaves a field out must not break.
func TestComponentsTakeZeroValues(t *testing.T) {
	rd := testRenderer(t)
	zero := map[string]any{
		"input": Input{}, "textarea": Textarea{}, "radios": Radios{}, "checkboxes": Checkboxes{}, "select": Select{}, "date3": Date3{},
		"file": File{}, "button": Button{}, "search": Search{}, "source": Source{}, "tag": Tag{}, "clock": Clock{}, "panel": Panel{},
		"notice": Notice{}, "inset": Inset{}, "details": Details{}, "summary-list": SummaryList{}, "task-list": TaskList{},
		"timeline": Timeline{}, "stepper": Stepper{}, "table": Table{}, "empty": Empty{}, "pagination": Pagination{}, "counters": Counters{},
		"figures": Figures{}, "bar-chart": BarChart{}, "trend-chart": TrendChart{}, "error-summary": Problems{},
	}
	for name, v := range zero {
		for _, l := range i18n.Langs {
			tm, err := rd.base[l].Clone()
			if err != nil {
				t.Fatal(err)
			}
			// A page defines it; components alone must be executable too.
			if _, err := tm.Parse(`{{define "main"}}{{end}}`); err != nil {
				t.Fatal(err)
			}
			if err := tm.ExecuteTemplate(httptest.NewRecorder(), "ui/"+name, v); err != nil {
				t.Errorf("ui/%s in %s: %v", name, l, err)
			}
		}
	}
}

func TestRender(t *testing.T) {
	rd := testRenderer(t)
	fsys := fstest.MapFS{
		"hello.html": {Data: []byte(`{{define "main"}}<h1>{{.Title}}</h1>{{template "piece" .}} {{t .Lang "ui.day"}} {{t "ui.day"}} {{.T "ui.day"}} {{money 25000}} {{number .Lang .N}} {{longdate .At}}{{end}}`)},
		"piece.html": {Data: []byte(`{{define "piece"}}<p>{{.Who}}</p>{{end}}`)},
	}
	tm, err := rd.Parse(fsys, "*.html")
	if err != nil {
		t.Fatal(err)
	}
	type page struct {
		Page
		Who string
		N   int
		At  time.Time
	}
	data := page{Page: Page{Title: "Chào"}, Who: "<script>", N: 1234, At: time.Date(2026, 11, 20, 20, 0, 0, 0, time.UTC)}
	for _, d := range []any{data, &data} {
		w := httptest.NewRecorder()
		if err := tm.Render(w, request("GET", "/x?a=1", "vi"), 200, "hello", d); err != nil {
			t.Fatal(err)
		}
		doc := checkPage(t, w.Body.String(), "vi")
		want := "Chào<script> Ngày Ngày Ngày 25.000 đồng 1.234 thứ Bảy, 21/11/2026"
		if diff := cmp.Diff(want, strings.Join(strings.Fields(text(find(doc, "main"))), " ")); diff != "" {
			t.Errorf("main (-want +got):\n%s", diff)
		}
		if got := w.Header().Get("Cache-Control"); got != "private, no-cache" {
			t.Errorf("Cache-Control = %q", got)
		}
		if !strings.Contains(w.Body.String(), `href="?a=1&amp;lang=en"`) {
			t.Error("the language switch loses the query")
		}
	}
	w := httptest.NewRecorder()
	for name, d := range map[string]any{"no such": data, "hello": struct{ A int }{1}, "hello.html": 7} {
		if err := tm.Render(w, request("GET", "/", "vi"), 200, name, d); errs.KindOf(err) != errs.Internal || err == nil {
			t.Errorf("Render(%q, %T) = %v; want an internal error", name, d, err)
		}
	}
	if w.Body.Len() > 0 {
		t.Error("a failed render wrote something")
	}
	r := request("GET", "/", "en")
	r = r.WithContext(reqctx.WithPrincipal(r.Context(), reqctx.Principal{Kind: reqctx.Citizen, Name: "Đặng Ngọc Ẩn"}))
	if err := tm.Render(w, r, 200, "hello", data); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of a personal page = %q", got)
	}
}

func TestFlash(t *testing.T) {
	rd := testRenderer(t)
	tm, err := rd.Parse(fstest.MapFS{"a.html": {Data: []byte(`{{define "main"}}<h1>A</h1>{{end}}`)}}, "a.html")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{"ui.no_data": true, "<b>": false, "ui.nothing_of_the_kind": false} {
		r, w := request("GET", "/", "vi"), httptest.NewRecorder()
		r.AddCookie(&http.Cookie{Name: flashCookie, Value: key})
		if err := tm.Render(w, r, 200, "a", Page{Title: "A"}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(w.Body.String(), "tr-notice--done"); got != want {
			t.Errorf("flash %q shown = %v; want %v", key, got, want)
		}
		if !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
			t.Error("the flash is not cleared")
		}
	}
}

func TestAssets(t *testing.T) {
	a, err := NewAssets(fstest.MapFS{"tokens.css": {Data: []byte(":root{--tr-brand:#006}")}, "emblem.svg": {Data: []byte("<svg/>")}})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := NewAssets(nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.URL("truc.css") == plain.URL("truc.css") {
		t.Error("other tokens, same address")
	}
	get := func(a *Assets, path, enc string) *httptest.ResponseRecorder {
		r, w := httptest.NewRequest(http.MethodGet, path, nil), httptest.NewRecorder()
		r.Header.Set("Accept-Encoding", enc)
		a.ServeHTTP(w, r)
		return w
	}
	css := get(plain, plain.URL("truc.css"), "")
	body := css.Body.String()
	for _, bad := range []string{"GDS Transport", "/assets/images", "crown", "crest", "http://", "https://", "data:"} {
		if strings.Contains(body, bad) {
			t.Errorf("style sheet contains %q", bad)
		}
	}
	if !strings.Contains(get(a, a.URL("truc.css"), "").Body.String(), "--tr-brand:#006") || !a.Has("emblem.svg") {
		t.Error("the overlay is not used")
	}
	for _, u := range strings.Split(body, `url("`)[1:] {
		name, _, _ := strings.Cut(u, `"`)
		if !plain.Has(name) {
			t.Errorf("style sheet names %q, which is not there", name)
		}
	}
	if got := css.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("Cache-Control = %q", got)
	}
	if got := get(plain, "/assets/old/truc.css", "").Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control of an old address = %q", got)
	}
	if w := get(plain, plain.URL("truc.css"), "gzip, br"); w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > len(body)/2 {
		t.Error("not compressed")
	}
	if w := get(plain, plain.URL("nothing.css"), ""); w.Code != 404 {
		t.Errorf("unknown asset = %d", w.Code)
	}
}

// Contrast of the tokens by WCAG 2.2, 1.4.3: 4.5 for text.
func TestTokenContrast(t *testing.T) {
	b, err := assetsFS.ReadFile("css/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	tok := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), ": #"); ok {
			tok[strings.TrimPrefix(name, "--tr-")] = rest[:6]
		}
	}
	for _, p := range []struct {
		text, on string
		want     float64
	}{
		{"ink", "paper", 12},
		{"quiet", "paper", 7},
		{"quiet", "page", 4.5},
		{"brand", "paper", 4.5},
		{"brand", "brand-pale", 4.5},
		{"visited", "paper", 4.5},
		{"paper", "brand", 4.5},
		{"paper", "accent", 4.5},
		{"paper", "late", 4.5},
		{"paper", "done", 4.5},
		{"soon", "soon-pale", 4.5},
		{"soon", "paper", 4.5},
		{"late", "paper", 4.5},
		{"late", "late-pale", 4.5},
		{"done", "done-pale", 4.5},
		{"brand-dark", "brand-pale", 4.5},
		{"brand", "soon-pale", 4.5},
		{"line-strong", "paper", 3},
		{"line-strong", "page", 3},
	} {
		if got := contrast(t, tok[p.text], tok[p.on]); got < p.want {
			t.Errorf("%s on %s = %.2f; want %.1f", p.text, p.on, got, p.want)
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var c [3]int
	if _, err := fmt.Sscanf(hex, "%02x%02x%02x", &c[0], &c[1], &c[2]); err != nil {
		t.Fatalf("colour %q: %v", hex, err)
	}
	var l float64
	for i, w := range []float64{0.2126, 0.7152, 0.0722} {
		v := float64(c[i]) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		l += w * v
	}
	return l
}

func TestProblems(t *testing.T) {
	var ps Problems
	ps.Add("child.name", "ui.day")
	ps.AddText("child.name", "the second one")
	ps.AddText("b", "x")
	if got := ps.For("child.name"); got == nil || got.Key != "ui.day" || got.Anchor() != "f-child-name" {
		t.Errorf("For = %+v", got)
	}
	if got := ps.For("c"); got != nil {
		t.Errorf("For of a sound field = %+v; want nil", got)
	}
}

func TestDate3(t *testing.T) {
	for _, c := range []struct {
		d, m, y string
		want    bool
	}{{"29", "2", "2024", true}, {"29", "2", "2026", false}, {"31", "11", "2026", false}, {"", "1", "2026", false}, {"1", "13", "2026", false}, {"1", "1", "26", false}} {
		if _, ok := (Date3{Day: c.d, Month: c.m, Year: c.y}).Time(); ok != c.want {
			t.Errorf("Date3{%s, %s, %s}.Time() ok = %v; want %v", c.d, c.m, c.y, ok, c.want)
		}
	}
	d, m, y := ReadDate3(url.Values{"b-day": {" 1 "}, "b-month": {"2"}, "b-year": {"2026"}}, "b")
	if d != "1" || m != "2" || y != "2026" {
		t.Errorf("ReadDate3 = %q %q %q", d, m, y)
	}
}

func TestPagination(t *testing.T) {
	u := &url.URL{Path: "/desk", RawQuery: "state=work&page=7"}
	p := NewPagination(u, 7, 20)
	var got []string
	for _, l := range p.Pages {
		switch {
		case l.Gap:
			got = append(got, "…")
		case l.Current:
			got = append(got, fmt.Sprintf("[%d]", l.Number))
		default:
			got = append(got, fmt.Sprint(l.Number))
		}
	}
	if diff := cmp.Diff([]string{"1", "…", "6", "[7]", "8", "…", "20"}, got); diff != "" {
		t.Error(diff)
	}
	if p.Prev != "/desk?page=6&state=work" || p.Pages[0].URL != "/desk?state=work" {
		t.Errorf("links = %q %q", p.Prev, p.Pages[0].URL)
	}
	if one := NewPagination(u, 1, 1); one.Next != "" || one.Pages != nil {
		t.Errorf("one page = %+v; want none", one)
	}
}

func TestCurrentNav(t *testing.T) {
	items := []NavItem{{URL: "/"}, {URL: "/desk"}, {URL: "/desk/late"}, {URL: "/des"}}
	for path, want := range map[string]int{"/": 0, "/desk": 1, "/desk/7": 1, "/desk/late/3": 2, "/other": -1} {
		for i, it := range currentNav(items, path) {
			if it.Current != (i == want) {
				t.Errorf("currentNav(%q)[%d] = %v", path, i, it.Current)
			}
		}
	}
}

func TestTrendChart(t *testing.T) {
	c := TrendChart{Points: []Point{{Value: 0}, {Missing: true}, {Value: 3}, {Value: 7}}}
	if got := len(c.Lines()); got != 2 {
		t.Errorf("%d stretches; want 2 around the gap", got)
	}
	if got := c.YTicks(); got[0].Text != "0" || got[len(got)-1].Text != "8" {
		t.Errorf("axis from %s to %s; want 0 to 8", got[0].Text, got[len(got)-1].Text)
	}
	if got := len(TrendChart{Points: make([]Point, 365)}.XTicks()); got > chartLabelsAtMost {
		t.Errorf("%d labels", got)
	}
}

// Both languages hold the same keys with the same placeholders.
func TestMessagesAgree(t *testing.T) {
	c := testRenderer(t).opt.Lang
	for _, k := range c.Keys("vi") {
		if !strings.HasPrefix(k, "ui.") && !strings.HasPrefix(k, "web.") && !strings.HasPrefix(k, "error.") {
			continue
		}
		if !c.Has("en", k) {
			t.Errorf("%s is missing in English", k)
		}
		if a, b := strings.Count(c.T("vi", k), "{"), strings.Count(c.T("en", k), "{"); a != b {
			t.Errorf("%s has %d placeholders in Vietnamese, %d in English", k, a, b)
		}
	}
	for k := errs.Internal; k <= errs.Limited; k++ {
		for _, part := range []string{"", ".title", ".meaning", ".todo"} {
			if !c.Has("vi", "error."+k.String()+part) {
				t.Errorf("error.%s%s is missing", k, part)
			}
		}
	}
}
