package servicespage

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"truc/internal/i18n"
	"truc/internal/services/bundle"
	"truc/internal/web/ui"
)

func vi(s string) i18n.Text { return i18n.Text{"vi": s} }

// allWidgets is one field of every widget, each named after its widget.
func allWidgets() []*bundle.Field {
	options := []bundle.Option{{Value: "a", Label: vi("Một")}, {Value: "b", Label: vi("Hai"), Hint: vi("gợi ý")}}
	var out []*bundle.Field
	for _, w := range []bundle.Widget{
		bundle.Text, bundle.TextArea, bundle.Number, bundle.Money, bundle.Date3, bundle.Radios, bundle.Checkboxes, bundle.Select, bundle.Address,
		bundle.Name, bundle.Identity, bundle.Phone, bundle.Email, bundle.FileUpload, bundle.Repeat, bundle.Declaration,
	} {
		f := &bundle.Field{Ptr: bundle.Pointer("/" + string(w)), Widget: w, Label: vi("Nhãn " + string(w)), Hint: vi("Gợi ý"), Options: options}
		if w == bundle.Repeat {
			f.Items = []*bundle.Field{{Ptr: "/name", Widget: bundle.Name, Label: vi("Tên")}, {Ptr: "/born", Widget: bundle.Date3, Label: vi("Ngày sinh")}}
			f.MaxItems = 3
		}
		out = append(out, f)
	}
	return out
}

func onePage(f *bundle.Field) *bundle.Page { return &bundle.Page{ID: "p", Fields: []*bundle.Field{f}} }

// drawn renders fields as a question page would.
func (s *site) drawn(t *testing.T, values url.Values, problems ui.Problems, big bool, fields ...*bundle.Field) string {
	t.Helper()
	rd, err := ui.NewRenderer(ui.Options{Lang: s.portal.Messages})
	must(t, err)
	p := &Pages{Portal: s.portal, Renderer: rd, Places: s.portal.Places, Messages: s.portal.Messages}
	p.templates, err = rd.Parse(templatesFS, "*.html")
	must(t, err)
	r := httptest.NewRequest(http.MethodGet, "/apply/x/p", nil)
	r = r.WithContext(ui.WithCatalogue(r.Context(), s.portal.Messages))
	page := applyPageData{Page: ui.NewPage(r, ""), Draft: "x", PageID: "p", Heading: "Trang"}
	page.Problems = problems
	b := fieldBuilder{p: p, page: page.Page, values: values}
	for _, f := range fields {
		page.Fields = append(page.Fields, b.field(f, f.Name()))
	}
	if big {
		page.Fields[0].big("Câu hỏi?", "")
		page.Heading = ""
	}
	w := httptest.NewRecorder()
	must(t, p.templates.Render(w, r, http.StatusOK, "apply_page", page))
	checkHTML(t, "widgets", w.Body.String(), "vi")
	return w.Body.String()
}

func TestWidgets(t *testing.T) {
	s := newSite(t)
	s.drawn(t, url.Values{}, nil, false, allWidgets()...)
	var problems ui.Problems
	for _, f := range allWidgets() {
		problems.AddText(f.Name(), "Sai ở "+f.Name())
	}
	s.drawn(t, url.Values{"address.province": {"68"}, "repeat.1.name": {"B"}}, problems, false, allWidgets()...)
	for _, f := range allWidgets() {
		t.Run(string(f.Widget), func(t *testing.T) {
			body := s.drawn(t, url.Values{}, nil, true, f)
			if !strings.Contains(body, "Câu hỏi?") {
				t.Error("the question is not on the page")
			}
		})
	}
}

func TestRepeat(t *testing.T) {
	s := newSite(t)
	var f *bundle.Field
	for _, x := range allWidgets() {
		if x.Widget == bundle.Repeat {
			f = x
		}
	}
	values := url.Values{"repeat.0.name": {"An"}, "add": {"repeat"}}
	if !reload(onePage(f), values) || entries(values, "repeat") != 2 {
		t.Errorf("after add: %v", values)
	}
	values = url.Values{"repeat.0.name": {"An"}, "repeat.1.name": {"Bình"}, "repeat.2.name": {"Chi"}, "remove": {"repeat.1"}}
	if !reload(onePage(f), values) || entries(values, "repeat") != 2 || values.Get("repeat.1.name") != "Chi" {
		t.Errorf("after remove: %v", values)
	}
	body := s.drawn(t, url.Values{"repeat.2.name": {"Chi"}}, nil, false, f)
	if strings.Contains(body, `name="add"`) || strings.Count(body, `name="remove"`) != 3 {
		t.Error("three entries of three: no more can be added, each can be removed")
	}
}

func TestSniff(t *testing.T) {
	for in, want := range map[string]string{
		pdf: "application/pdf", "\xff\xd8\xff\xe0 JFIF": "image/jpeg", "\x89PNG\r\n\x1a\n": "image/png", "<html>%PDF-": "", "GIF89a": "", "": "", "PK\x03\x04": "",
		"\n%PDF-1.7": "",
	} {
		if got := sniff([]byte(in)); got != want {
			t.Errorf("sniff(%q) = %q; want %q", in, got, want)
		}
	}
}
