package bundle

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"truc/internal/i18n"
	"truc/lang"
)

func loadBase(t testing.TB) (*Procedure, *Form) {
	t.Helper()
	p, bad := Load(baseFS(t))
	if !bad.OK() {
		t.Fatal(bad)
	}
	return p, p.Form(p.Cases[0])
}

func keysOf(bad []FieldProblem) map[string]string {
	out := map[string]string{}
	for _, b := range bad {
		out[b.Name] = strings.TrimPrefix(b.Key, "bundle.form.")
	}
	return out
}

func TestReadPage(t *testing.T) {
	_, fm := loadBase(t)
	tests := []struct {
		name, page string
		facts      Facts
		in         url.Values
		want       Answers
		bad        map[string]string
	}{
		{
			name: "text is cleaned and composed", page: "first",
			in:   url.Values{"name": {"  Nguye\u0302\u0303n \t Văn\u0000 A "}, "size": {" 1 2 "}},
			want: Answers{"name": "Nguyễn Văn A", "size": int64(12)},
		},
		{
			name: "no number", page: "first", in: url.Values{"name": {"A"}, "size": {"nhiều"}},
			want: Answers{"name": "A"}, bad: map[string]string{"size": "number"},
		},
		{
			name: "too long", page: "first", in: url.Values{"name": {strings.Repeat("ễ", 300)}},
			want: Answers{"size": nil}, bad: map[string]string{"name": "tooLong"},
		},
		{
			name: "a question opened on the same page", page: "second", facts: Facts{Answers: Answers{"size": int64(3)}},
			in:   url.Values{"kind": {"b"}, "note": {"một\r\nhai"}},
			want: Answers{"kind": "b", "note": "một\nhai"},
		},
		{
			name: "a question closed on the same page is removed", page: "second",
			facts: Facts{Answers: Answers{"size": int64(3), "kind": "b", "note": "x"}},
			in:    url.Values{"kind": {"a"}, "note": {"x"}},
			want:  Answers{"kind": "a", "note": nil},
		},
		{
			name: "what a register filled stays", page: "first",
			facts: Facts{Answers: Answers{"name": "Thật"}, Prefill: map[string]PrefillState{"person": {Status: "ok"}}},
			in:    url.Values{"name": {"Giả"}, "size": {"1"}}, want: Answers{"size": int64(1)},
		},
		{
			name: "groups, boxes, addresses and money", page: "third",
			in: url.Values{
				"more.0.what": {"a"}, "more.0.on.day": {"29"}, "more.0.on.month": {"2"}, "more.0.on.year": {"2024"}, "more.2.what": {"b"},
				"tags": {"x", "x", "y"}, "home.province": {"68"}, "home.commune": {"24778"}, "home.line": {""},
				"money": {"25.000 đồng"}, "weight": {"2,5"},
			},
			want: Answers{
				"more":  []any{map[string]any{"what": "a", "on": "2024-02-29"}, map[string]any{"what": "b"}},
				"tags":  []any{"x", "y"},
				"home":  map[string]any{"province": "68", "commune": "24778"},
				"money": int64(25000), "weight": 2.5,
			},
		},
		{
			name: "days that do not exist", page: "third",
			in: url.Values{
				"more.0.on.day": {"31"}, "more.0.on.month": {"4"}, "more.0.on.year": {"2026"},
				"more.1.on.day": {"1"}, "more.1.on.month": {""}, "more.1.on.year": {"2026"}, "home.province": {"<b>"},
			},
			want: Answers{"tags": nil, "money": nil, "weight": nil},
			bad:  map[string]string{"more.0.on.day": "noSuchDay", "more.1.on.month": "datePart.month", "home.province": "choose"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, bad := fm.ReadPage(fm.Page(tt.page), tt.facts, tt.in)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("ReadPage (-want +got)\n%s", d)
			}
			if d := cmp.Diff(tt.bad, keysOf(bad)); d != "" && len(tt.bad)+len(bad) > 0 {
				t.Errorf("problems (-want +got)\n%s", d)
			}
		})
	}
}

func TestControlsReadBack(t *testing.T) {
	_, fm := loadBase(t)
	in := Answers{
		"more":  []any{map[string]any{"what": "a", "on": "2024-02-29"}},
		"tags":  []any{"x", "y"},
		"home":  map[string]any{"province": "68", "commune": "24778", "line": "1"},
		"money": int64(25000), "weight": 2.5,
	}
	page := fm.Page("third")
	values := url.Values{}
	for _, f := range page.Fields {
		maps.Copy(values, f.Controls(in))
	}
	got, bad := fm.ReadPage(page, Facts{}, values)
	if d := cmp.Diff(in, got); d != "" || len(bad) > 0 {
		t.Errorf("ReadPage(Controls) (-want +got)\n%s%v", d, bad)
	}
}

func TestPagesFollowAnswers(t *testing.T) {
	_, fm := loadBase(t)
	walk := func(a Answers) (ids []string) {
		for p := fm.NextPage(Facts{Answers: a}, ""); p != nil; p = fm.NextPage(Facts{Answers: a}, p.ID) {
			ids = append(ids, p.ID)
		}
		return ids
	}
	for _, tt := range []struct {
		a    Answers
		want []string
	}{
		{Answers{}, []string{"first", "third"}}, // an unanswered condition hides
		{Answers{"size": int64(5)}, []string{"first", "second", "third"}},
		{Answers{"size": float64(5)}, []string{"first", "second", "third"}}, // as encoding/json reads it
		{Answers{"size": int64(50)}, []string{"first", "third"}},
	} {
		if got := walk(tt.a); !slices.Equal(got, tt.want) {
			t.Errorf("pages(%v) = %v; want %v", tt.a, got, tt.want)
		}
	}
	if p := fm.PrevPage(Facts{}, "third"); p == nil || p.ID != "first" {
		t.Errorf("PrevPage(third) = %v; want first", p)
	}
	if p := fm.PrevPage(Facts{}, "first"); p != nil {
		t.Errorf("PrevPage(first) = %v; want none", p)
	}
}

func TestValidateAndClean(t *testing.T) {
	_, fm := loadBase(t)
	f := Facts{Answers: Answers{
		"name": "A", "size": int64(101), "kind": "c", "smuggled": "x", "home": map[string]any{"province": "68"},
		"more": []any{map[string]any{"on": "2024-01-01"}},
	}}
	want := map[string]string{
		"name": "tooShort", "size": "tooLarge", "smuggled": "unexpected", "home.commune": "address.commune", "more.0.what": "required",
	}
	if d := cmp.Diff(want, keysOf(fm.Validate(f))); d != "" {
		t.Errorf("Validate (-want +got)\n%s", d)
	}
	if d := cmp.Diff(map[string]string{"name": "tooShort", "size": "tooLarge"}, keysOf(fm.ValidatePage(fm.Page("first"), f))); d != "" {
		t.Errorf("ValidatePage (-want +got)\n%s", d)
	}
	f.Answers = Answers{"name": "An", "size": int64(50), "kind": "b", "note": "giấu", "smuggled": "x"}
	if d := cmp.Diff(Answers{"name": "An", "size": int64(50)}, fm.Clean(f)); d != "" {
		t.Errorf("Clean (-want +got)\n%s", d)
	}
}

// TestMessages proves that every key that code of this package makes has a text in both languages.
func TestMessages(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range i18n.Langs {
		for _, k := range []string{
			"required", "requiredChoice", "requiredDate", "requiredAddress", "requiredFile",
			"requiredDeclaration", "tooLong", "number", "date", "dateYear", "dateFuture", "noSuchDay", "datePart.day", "identity", "phone",
			"email", "choose", "address.commune", "unexpected", "pattern", "invalid",
		} {
			if !cat.Has(l, "bundle.form."+k) {
				t.Errorf("%s has no text for bundle.form.%s", l, k)
			}
		}
	}
	b := FieldProblem{Key: "bundle.form.identity", Args: []any{"got", 11}, Label: i18n.Text{"vi": "Số định danh cá nhân"}}
	if got, want := cat.T("vi", b.Key, b.ArgsIn("vi")...), "Nhập số định danh cá nhân gồm 12 chữ số. Mới nhập 11."; got != want {
		t.Errorf("T = %q; want %q", got, want)
	}
}

func TestAnswers(t *testing.T) {
	var a Answers
	if err := json.Unmarshal([]byte(`{"a":{"b":[{"c/d":12}],"f":1.5}}`), &a); err != nil {
		t.Fatal(err)
	}
	if v, ok := a.Get("/a/b/0/c~1d"); !ok || v != int64(12) {
		t.Errorf("Get = %v, %v; want int64 12", v, ok)
	}
	b := a.Merge(Answers{"a": map[string]any{"f": nil, "g": "x"}})
	if d := cmp.Diff(Answers{"a": map[string]any{"b": []any{map[string]any{"c/d": int64(12)}}, "g": "x"}}, b); d != "" {
		t.Errorf("Merge (-want +got)\n%s", d)
	}
	b.Set("/a/b", nil)
	b.Set("/x/y", "z")
	if _, ok := a.Get("/a/b/0"); !ok || b.String("/x/y") != "z" {
		t.Errorf("Merge shares memory with its receiver, or Set lost a value: %v %v", a, b)
	}
}

func FuzzReadPage(f *testing.F) {
	p, bad := Load(os.DirFS("../../../procedures/2.000635"))
	if !bad.OK() {
		f.Fatal(bad)
	}
	fm := p.Form(p.Cases[0])
	f.Add("requester.birthDate.day=31&requester.birthDate.month=2&requester.birthDate.year=2020&requester.fullName=%F0%9F%98%80")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		facts := Facts{Answers: Answers{}}
		for _, page := range fm.Pages {
			patch, _ := fm.ReadPage(page, facts, values)
			facts.Answers = facts.Answers.Merge(patch)
		}
		fm.Validate(facts)
		if _, err := json.Marshal(fm.Clean(facts)); err != nil {
			t.Errorf("answers do not marshal: %v", err)
		}
	})
}
