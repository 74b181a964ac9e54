package edxml

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// full is a message in which everything is set.
func full() *Message {
	two := 2
	open := func(s string) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
	}
	at := time.Date(2026, 3, 5, 2, 15, 0, 0, time.UTC)
	return &Message{
		From: Organization{
			ID: "H99.07", InCharge: "UBND tỉnh Ví Dụ", Name: "Sở Mẫu", Address: "1 Phố Mẫu", Email: "vanthu@vidu.example", Telephone: "0000 000 001",
			Fax: "0000 000 002", Website: "vidu.example",
		},
		To:         []Organization{{ID: "G98", Name: "Bộ Ví Dụ"}, {ID: "000.00.01.H98", Name: "Sở \"Một\" & <Hai>"}},
		DocumentID: "H99.07,2026/03/05,09/SM-VP", Code: Code{"09", "SM-VP"}, Place: "Ví Dụ", Date: Date{2026, 3, 5},
		Type: DocumentType{Type: 2, Name: "Công văn"}, Subject: "V/v thay thế văn bản", Content: "Hai dòng\ntóm tắt",
		Signer: Signer{"KT. GIÁM ĐỐC", "Phó Giám đốc", "Họ Tên Mẫu"}, DueDate: Date{2026, 3, 20},
		Other: OtherInfo{
			Priority: 3, Sphere: "Nội bộ", TyperNotation: "VP.01", Copies: 2, Pages: 3, ReplyFors: "x", Direction: "true", ReferenceCodes: "y",
			Appendixes: []string{"Phụ lục I", "Phụ lục II"},
		},
		ResponseFor: []Reference{{"G98", "12/BVD-VP", "G98,2026/03/01,12/BVD-VP", Date{2026, 3, 1}}, {OrganID: "G98", DocumentID: "x"}},
		Steering:    &two, Tasks: []string{"NV-1", "NV-2"}, ApplicationType: "QLVB", ToPlaces: []string{"Như trên", "Lưu: VT"},
		Trace: []Hop{{"H99.07", at}, {"G98", at.Add(time.Hour)}},
		Business: Business{
			DocumentID: "H99.07,2026/03/01,07/SM-VP", Kind: Replacement, Reason: "Sai phụ lục", Paper: 1,
			Changes:  []Change{{Content: true}, {Receivers: true, List: []ReceiverChange{{"G98", true}, {"H98", false}}}},
			Replaces: []Replaced{{"H99.07,2026/03/01,07/SM-VP", []string{"G98", "H98"}}, {"z", nil}},
			Staff:    []Staff{{"Văn thư", "VT", "Cán Bộ Mẫu", "cb1", "cb1@vidu.example", "0000 000 003"}},
		},
		Attachments: []Attachment{
			{ContentID: "cid:cid:main", Name: "09-SM-VP.pdf", Description: "Văn bản chính", Open: open("%PDF-1.4\n%%EOF\n")},
			{Name: "Phụ lục.docx", Open: open("PK\x03\x04")},
		},
	}
}

// TestGolden holds the bytes of a message in which everything is set. They are a contract with readers that we do not have.
func TestGolden(t *testing.T) {
	m := full()
	got := mustWrite(t, m)
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", "full.golden.xml"), got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := testdata(t, "full.golden.xml"); !bytes.Equal(got, want) {
		t.Errorf("Write() =\n%s\nwant\n%s", got, want)
	}
	back, _ := mustRead(t, got)
	want := full()
	for i := range want.Attachments {
		a, b := &want.Attachments[i], &back.Attachments[i]
		a.ContentID, a.ContentType, a.Size, a.SHA256 = []string{"main", "a2"}[i], sentType(a.Name), b.Size, b.SHA256
	}
	if diff := cmp.Diff(want, back, equalMessages); diff != "" {
		t.Errorf("read back:\n%s", diff)
	}
	for _, line := range bytes.SplitAfter(got, []byte("\n")) {
		if !bytes.HasSuffix(line, []byte("\r\n")) && len(line) > 0 && !bytes.Contains(line, []byte("Hai dòng")) {
			t.Errorf("line %q", line)
		}
	}
}

// TestPackedIsStable wants the same bytes each time also where the writer packs a file.
func TestPackedIsStable(t *testing.T) {
	m := full()
	m.Attachments[1].Name = "Phụ lục.xlsx"
	first, second := mustWrite(t, m), mustWrite(t, m)
	if !bytes.Equal(first, second) {
		t.Error("written twice, two texts")
	}
	back, mem := mustRead(t, first)
	if a := back.Attachments[1]; a.ContentType != "application/zip" || mem.files[1].String() != "PK\x03\x04" || a.Size != 4 {
		t.Errorf("packed: %+v, %q", a, mem.files[1].String())
	}
}

func TestLists(t *testing.T) {
	l := DefaultLists()
	for _, code := range []string{"01", "02", "03", "04", "05", "06", "13", "15", "16"} {
		e, ok := l.Status(code)
		if !ok || !e.Verified || Label(l.Statuses, code, "vi") == "" || Label(l.Statuses, code, "en") == Label(l.Statuses, code, "vi") {
			t.Errorf("status %s: %+v", code, e)
		}
		if wantReason := code == "02" || code == "13" || code == "16"; e.Reason != wantReason || (e.By == "sender") != (code == "13") || e.Automatic != (code == "01") {
			t.Errorf("status %s: %+v", code, e)
		}
	}
	if _, ok := l.Status("07"); ok {
		t.Error("there is a status 07")
	}
	if got := Label(l.SteeringTypes, "1", "vi"); got != "" {
		t.Errorf("the sources disagree about steering type 1, and it is shown as %q", got)
	}
	if l.Defaults.DocumentType != 2 || l.Defaults.SteeringType != 1 {
		t.Errorf("defaults = %+v", l.Defaults)
	}
	for _, bad := range []string{
		``, `[]`, `{"colours":[]}`, `{} {}`, `{"kinds":[{"code":"0"}]}`, `{"statuses":[{"code":"1","vi":"a","en":"b","by":"sender"}]}`,
		`{"statuses":[{"code":"01","vi":"a","en":"b"}]}`,
		`{"kinds":[{"code":"0","vi":"a","en":"b","verified":true},{"code":"0","vi":"c","en":"d","verified":true}]}`,
	} {
		if _, err := ParseLists([]byte(bad)); err == nil {
			t.Errorf("ParseLists(%s) takes it", bad)
		}
	}
}

func TestDate(t *testing.T) {
	for s, want := range map[string]Date{"": {}, "2026/03/05": {2026, 3, 5}, "2024/02/29": {2024, 2, 29}} {
		if got, err := ParseDate(s); err != nil || got != want || got.String() != s {
			t.Errorf("ParseDate(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"2026-03-05", "05/03/2026", "2026/3/5", "2025/02/29", "0000/01/01", "x"} {
		if got, err := ParseDate(s); err == nil {
			t.Errorf("ParseDate(%q) = %v", s, got)
		}
	}
	if got := DateOf(time.Date(2026, 12, 31, 17, 0, 0, 0, time.UTC)); got != (Date{2027, 1, 1}) {
		t.Errorf("midnight in Viet Nam is in %v", got)
	}
	d := Date{2026, 12, 31}
	if next := d.AddDays(1); next != (Date{2027, 1, 1}) || !next.After(d) || d.After(next) || d.After(d) || !(Date{2026, 5, 1}).After(Date{2026, 4, 30}) {
		t.Errorf("next day %v", next)
	}
	if got := d.Time(); !got.Equal(time.Date(2026, 12, 30, 17, 0, 0, 0, time.UTC)) || !(Date{}).Time().IsZero() || !(Date{}).AddDays(1).IsZero() {
		t.Errorf("Time() = %v", got)
	}
	var back Date
	b, _ := d.MarshalText()
	if err := back.UnmarshalText(b); err != nil || back != d || back.UnmarshalText([]byte("x")) == nil {
		t.Errorf("text %s reads as %v, %v", b, back, err)
	}
}
