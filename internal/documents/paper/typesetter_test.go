package paper

import (
	"strings"
	"testing"
	"time"

	"truc/internal/documents"
	"truc/internal/errs"
)

var _ documents.Typesetter = Typesetter{}

// A desk's registers are printed as they are.
var _ = Table(documents.Table{})

func TestTypesetter(t *testing.T) {
	ts := Typesetter{Now: func() time.Time { return now }}
	kind, _ := documents.TypeOf("QĐ")
	p := documents.Paper{
		Superior: "Ủy ban nhân dân tỉnh Ví Dụ", Agency: "Sở Mẫu", Code: documents.Code{Number: "08", Notation: "QĐ-SM"}, Place: "Ví Dụ",
		Date: time.Date(2026, 2, 4, 18, 0, 0, 0, time.UTC), // the 5th in Viet Nam
		Type: kind, Subject: "ban hành Quy chế", Body: "Điều 1. Ban hành.", Authority: "KT. GIÁM ĐỐC", Title: "Phó Giám đốc", Signer: "Nguyễn Văn An",
		ToPlaces: []string{"Lưu: VT"}, Urgency: documents.Urgent.Mark(), Appendixes: []string{"Quy chế.pdf", "Biểu mẫu.xlsx"},
	}
	out, err := ts.Typeset(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	got := pageText(t, out.PDF, 1)
	for _, want := range []string{"Số: 08/QĐ-SM", "ngày 05 tháng 02 năm 2026", "KHẨN", "QUYẾT ĐỊNH", "Tài liệu kèm theo:", "- Quy chế.pdf;", "- Biểu mẫu.xlsx.", "PHÓ GIÁM ĐỐC"} {
		if !strings.Contains(got, want) {
			t.Errorf("the document lacks %q:\n%s", want, got)
		}
	}
	if out.Pages != 1 || out.Person.Page != 1 || out.Seal.Page != 1 || out.Person.X+out.Person.W/3-out.Seal.X-out.Seal.W > 0.01 {
		t.Errorf("printed: %d pages, person %+v, seal %+v", out.Pages, out.Person, out.Seal)
	}
	p.Body = "Chữ 汉."
	if _, err := ts.Typeset(t.Context(), p); !errs.Is(err, errs.Invalid) {
		t.Errorf("a letter that the font lacks: %v; want Invalid", err)
	}
	p.Draft = true
	if _, err := ts.Typeset(t.Context(), p); err != nil {
		t.Errorf("the same as a draft: %v", err)
	}
	for u := documents.Normal; u.Valid(); u++ {
		if text, _, _ := urgencyOf(u.Mark()).mark(); text != u.Mark() {
			t.Errorf("no mark for %q", u.Mark())
		}
	}
}

// Every type of the decree is set by its name; letters are the only ones whose subject stands below the number.
func TestAllTypes(t *testing.T) {
	ts := Typesetter{Now: func() time.Time { return now }}
	for _, kind := range documents.Types() {
		out, err := ts.Typeset(t.Context(), documents.Paper{Agency: "Sở Mẫu", Type: kind, Subject: "việc thử", Body: "Nội dung.", Signer: "An"})
		if err != nil {
			t.Errorf("%s: %v", kind.Name, err)
			continue
		}
		got := pageText(t, out.PDF, 1)
		if letter := kind.Code == documents.OfficialLetter; letter != strings.Contains(got, "V/v việc thử") || letter == strings.Contains(got, strings.ToUpper(kind.Name)) {
			t.Errorf("%s is set as %s", kind.Name, got)
		}
	}
}
