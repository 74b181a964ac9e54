package paper

import (
	"encoding/xml"
	"fmt"
	"image"
	"math"
	"strings"
	"testing"
)

// span is a line of text in one font, as an independent reader of the file finds it. Lengths are in mm from the top left.
type span struct {
	page           int
	font           string
	size           float64 // points
	text           string
	x0, y0, x1, y1 float64
}

// spans reads a file with MuPDF.
func spans(t testing.TB, pdf []byte) []span {
	t.Helper()
	out, _ := tool(t, pdf, "mutool", "draw", "-q", "-F", "stext", "doc.pdf")
	if at := strings.Index(out, "<?xml"); at > 0 {
		out = out[at:]
	}
	var doc struct {
		Pages []struct {
			Blocks []struct {
				Lines []struct {
					BBox  string `xml:"bbox,attr"`
					Fonts []struct {
						Name  string  `xml:"name,attr"`
						Size  float64 `xml:"size,attr"`
						Chars []struct {
							C    string `xml:"c,attr"`
							Quad string `xml:"quad,attr"`
						} `xml:"char"`
					} `xml:"font"`
				} `xml:"line"`
			} `xml:"block"`
		} `xml:"page"`
	}
	if err := xml.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("mutool: %v\n%.500s", err, out)
	}
	var all []span
	for p, page := range doc.Pages {
		for _, b := range page.Blocks {
			for _, l := range b.Lines {
				for _, f := range l.Fonts {
					s := span{page: p + 1, font: f.Name, size: f.Size, x0: math.Inf(1), y0: math.Inf(1)}
					if _, name, ok := strings.Cut(s.font, "+"); ok {
						s.font = name
					}
					var text strings.Builder
					for _, c := range f.Chars {
						text.WriteString(c.C)
						var q [8]float64
						if _, err := fmt.Sscan(c.Quad, &q[0], &q[1], &q[2], &q[3], &q[4], &q[5], &q[6], &q[7]); err != nil {
							t.Fatal(err)
						}
						if c.C == " " {
							continue
						}
						s.x0, s.x1 = min(s.x0, q[0]/pointsPerMM), max(s.x1, q[2]/pointsPerMM)
						s.y0, s.y1 = min(s.y0, q[1]/pointsPerMM), max(s.y1, q[5]/pointsPerMM)
					}
					if s.text = text.String(); strings.TrimSpace(s.text) != "" {
						all = append(all, s)
					}
				}
			}
		}
	}
	return all
}

func find(t testing.TB, all []span, text string) span {
	t.Helper()
	for _, s := range all {
		if strings.Contains(s.text, text) {
			return s
		}
	}
	t.Fatalf("no line with %q", text)
	return span{}
}

// Sizes and faces of Appendix I.
func TestType(t *testing.T) {
	all := spans(t, set(t, letter()).PDF)
	dec := spans(t, set(t, decision()).PDF)
	for _, c := range []struct {
		in          []span
		text, font  string
		least, most float64
	}{
		{all, "CỘNG HÒA", "Tinos-Bold", 12, 13},
		{all, "Độc lập", "Tinos-Bold", 13, 14},
		{all, "ỦY BAN NHÂN DÂN TỈNH", "Tinos", 12, 13},
		{all, "SỞ KHOA HỌC", "Tinos-Bold", 12, 13},
		{all, "Số: 08", "Tinos", 13, 13},
		{all, "Ví Dụ, ngày", "Tinos-Italic", 13, 14},
		{all, "V/v", "Tinos", 12, 13},
		{all, "Kính gửi", "Tinos", 13, 14},
		{all, "Thực hiện Quyết định", "Tinos", 13, 14},
		{all, "Phát hành văn bản", "Tinos-Bold", 13, 14},
		{all, "KT. GIÁM ĐỐC", "Tinos-Bold", 13, 14},
		{all, "Nguyễn Thị", "Tinos-Bold", 13, 14},
		{all, "Nơi nhận", "Tinos-BoldItalic", 12, 12},
		{all, "Như trên", "Tinos", 11, 11},
		{all, "HỎA TỐC", "Tinos-Bold", 13, 14},
		{all, "LƯU HÀNH", "Tinos-Bold", 13, 14},
		{all, "Số 1 đường", "Tinos", 11, 12},
		{dec, "QUYẾT ĐỊNH", "Tinos-Bold", 13, 14},
		{dec, "Ban hành Quy chế", "Tinos-Bold", 13, 14},
		{dec, "Căn cứ Luật", "Tinos-Italic", 13, 14},
		{dec, "Điều 1.", "Tinos-Bold", 13, 14},
		{dec, "Phụ lục I", "Tinos-Bold", 14, 14},
		{dec, "DANH MỤC MÃ", "Tinos-Bold", 13, 14},
		{dec, "(Kèm theo", "Tinos-Italic", 13, 14},
		{dec, "Chương I", "Tinos-Bold", 13, 14},
	} {
		s := find(t, c.in, c.text)
		if s.font != c.font || s.size < c.least-0.01 || s.size > c.most+0.01 {
			t.Errorf("%q is set in %s of %.1f points; want %s of %.0f to %.0f", c.text, s.font, s.size, c.font, c.least, c.most)
		}
	}
}

// Positions of Appendix I, as an independent reader finds them.
func TestPositions(t *testing.T) {
	all := spans(t, set(t, letter()).PDF)
	name := func(text string) span { return find(t, all, text) }
	agency, state, motto, number, date := name("SỞ KHOA HỌC"), name("CỘNG HÒA"), name("Độc lập"), name("Số: 08"), name("Ví Dụ, ngày")
	middle := func(s span) float64 { return (s.x0 + s.x1) / 2 }
	if agency.x1 >= state.x0 {
		t.Errorf("the agency reaches to %.1f, the state begins at %.1f", agency.x1, state.x0)
	}
	for _, c := range [][2]span{{state, motto}, {motto, date}, {agency, number}, {number, name("V/v")}, {name("KT. GIÁM ĐỐC"), name("Nguyễn Thị")}, {name("KT. GIÁM ĐỐC"), motto}} {
		if d := middle(c[0]) - middle(c[1]); math.Abs(d) > 0.7 {
			t.Errorf("%q and %q are not centred on one line: %.1f mm", c[0].text, c[1].text, d)
		}
	}
	if math.Abs(number.y1-date.y1) > 0.5 {
		t.Errorf("number and date stand on different lines: %.1f, %.1f", number.y1, date.y1)
	}
	for i, c := range [][2]span{{state, motto}, {motto, date}, {agency, number}, {number, name("V/v")}, {name("V/v"), name("HỎA TỐC")}, {name("Kính gửi"), name("Thực hiện")}, {name("đơn vị quan tâm"), name("Nơi nhận")}, {name("PHÓ GIÁM"), name("Nguyễn Thị")}} {
		if c[0].y1 > c[1].y1 {
			t.Errorf("pair %d: %q stands below %q", i, c[0].text, c[1].text)
		}
	}
	if n := name("Nơi nhận"); math.Abs(n.x0-30) > 0.5 || math.Abs(n.y0-name("KT. GIÁM").y0) > 2 {
		t.Errorf("Nơi nhận stands at %.1f, %.1f", n.x0, n.y0)
	}
}

// Margins, justified lines, first indent, and the numbers of pages.
func TestMargins(t *testing.T) {
	doc := set(t, decision())
	all := spans(t, doc.PDF)
	full, ragged := 0, 0
	for i, s := range all {
		if s.x0 < 29.5 || s.x1 > 190.5 || s.y1 > 278.5 {
			t.Errorf("page %d: %q reaches into the margin: %.1f to %.1f, %.1f", s.page, s.text, s.x0, s.x1, s.y1)
		}
		if i+1 < len(all) && s.font == "Tinos" && strings.HasPrefix(s.text, "điện tử được quy định") {
			if full++; math.Abs(s.x1-190) > 0.3 || math.Abs(s.x0-30) > 0.5 {
				ragged++
			}
		}
	}
	if full < 8 || ragged > 0 {
		t.Errorf("%d of %d lines do not reach from margin to margin", ragged, full)
	}
	if s := find(t, all, "Điều 1."); math.Abs(s.x0-42.7) > 0.5 {
		t.Errorf("the first line begins at %.1f mm; want 42.7", s.x0)
	}
	// Numbers stand centred in the top margin from the second page on; appendices count for themselves.
	got := map[int]string{}
	for _, s := range all {
		if s.y1 < 20 {
			got[s.page] += s.text
			if math.Abs((s.x0+s.x1)/2-105) > 0.5 || s.size < 13 || s.size > 14 {
				t.Errorf("page %d: the number %q stands at %.1f in %.0f points", s.page, s.text, (s.x0+s.x1)/2, s.size)
			}
		}
	}
	first := map[int]bool{1: true}
	for _, s := range all {
		if strings.HasPrefix(s.text, "Phụ lục ") {
			first[s.page] = true
		}
	}
	want := 0
	for p := 1; p <= doc.Pages; p++ {
		want++
		number := ""
		if first[p] {
			want = 1
		} else {
			number = fmt.Sprint(want)
		}
		if strings.TrimSpace(got[p]) != number {
			t.Errorf("page %d is numbered %q; want %q", p, got[p], number)
		}
	}
	if len(first) != 3 || doc.Pages < 6 {
		t.Errorf("%d parts on %d pages", len(first), doc.Pages)
	}
}

// A signature never stands on a page by itself, however long the text is.
func TestSignatureKeepsText(t *testing.T) {
	p := letter()
	p.Urgency, p.Circulation, p.Receivers = Ordinary, "", p.Receivers[:1]
	seen := map[int]bool{}
	for n := 10; n < 30; n++ {
		p.Body = strings.Repeat("Nội dung chỉ đạo.\n", n) + "Đoạn cuối cùng của văn bản."
		doc := set(t, p)
		seen[doc.Pages] = true
		text := pageText(t, doc.PDF, doc.Boxes.Person.Page)
		for _, want := range []string{"Đoạn cuối cùng", "KT. GIÁM ĐỐC", "Nguyễn Thị Ễnh Ương"} {
			if !strings.Contains(text, want) {
				t.Errorf("%d lines: the page of the signature lacks %q", n, want)
			}
		}
	}
	if !seen[1] || !seen[2] {
		t.Errorf("pages seen: %v; the texts do not reach over the end of a page", seen)
	}
}

// Lists of a hundred receivers go on over the pages and lose nobody; the names of offices may be long.
func TestLongLists(t *testing.T) {
	p := letter()
	p.Receivers, p.ToPlaces = nil, nil
	for i := range 95 {
		p.Receivers = append(p.Receivers, fmt.Sprintf("Cơ quan nhận số %d", i+1))
		p.ToPlaces = append(p.ToPlaces, fmt.Sprintf("Nơi nhận số %d", i+1))
	}
	p.Superior = strings.Repeat("Bộ Nông nghiệp và Môi trường ", 3)
	p.Agency = strings.Repeat("Cục Quản lý tài nguyên nước và Khí tượng thủy văn ", 2)
	p.Subject = strings.Repeat("tăng cường chỉ đạo, điều hành ", 6)
	p.Position = "Phó Chủ tịch Thường trực Ủy ban nhân dân tỉnh, Trưởng ban Chỉ đạo chuyển đổi số"
	doc := set(t, p)
	all := pageText(t, doc.PDF, 0)
	for i := range 95 {
		for _, want := range []string{fmt.Sprintf("- Cơ quan nhận số %d", i+1), fmt.Sprintf("- Nơi nhận số %d", i+1)} {
			if !strings.Contains(all, want) {
				t.Errorf("%q is lost", want)
			}
		}
	}
	for _, s := range spans(t, doc.PDF) {
		if s.x0 < 29.5 || s.x1 > 190.5 {
			t.Errorf("page %d: %q reaches into the margin: %.1f to %.1f", s.page, s.text, s.x0, s.x1)
		}
	}
	picture(t, doc.PDF, 1, 60)
}

// The rule below the motto is as long as the motto; those below agency and subject have a third to half of the length.
func TestRules(t *testing.T) {
	const dpi = 254 // 10 pixels a mm
	p := letter()
	p.Urgency, p.Circulation = Ordinary, ""
	doc := set(t, p)
	img := picture(t, doc.PDF, 1, dpi)
	all := spans(t, doc.PDF)
	for _, c := range []struct {
		text        string
		least, most float64
	}{{"Độc lập", 0.97, 1.03}, {"SỞ KHOA HỌC", 1.0 / 3, 0.5}} {
		s := find(t, all, c.text)
		longest := 0
		for y := int(s.y1*10) - 12; y < int(s.y1*10)+20; y++ {
			run := 0
			for x := int(s.x0*10) - 20; x < int(s.x1*10)+20; x++ {
				if r, _, _, _ := img.At(x, y).RGBA(); r < 0x9000 {
					run++
					longest = max(longest, run)
				} else {
					run = 0
				}
			}
		}
		if part := float64(longest) / 10 / (s.x1 - s.x0); part < c.least || part > c.most {
			t.Errorf("the rule below %q has %.2f of its length; want %.2f to %.2f", c.text, part, c.least, c.most)
		}
	}
}

// Marks of urgency have their size in mm, and are red.
func TestUrgency(t *testing.T) {
	const dpi = 127
	for u, want := range map[Urgency][2]float64{Urgent: {20, 8}, VeryUrgent: {40, 8}, Flash: {30, 8}, FlashAt: {50, 8}} {
		p := letter()
		p.Urgency = u
		box := extent(picture(t, set(t, p).PDF, 1, dpi), isRed)
		w, h := float64(box.Dx())/5, float64(box.Dy())/5
		if math.Abs(w-want[0]) > 1 || math.Abs(h-want[1]) > 1 {
			t.Errorf("level %d: %.1f × %.1f mm; want %.0f × %.0f", u, w, h, want[0], want[1])
		}
	}
	p := letter()
	p.Urgency = Ordinary
	if box := extent(picture(t, set(t, p).PDF, 1, dpi), isRed); box != (image.Rectangle{}) {
		t.Errorf("an ordinary letter has red ink at %v", box)
	}
}

// A draft says so on each page and leaves room for what is not known yet.
func TestDraft(t *testing.T) {
	p := decision()
	p.Draft, p.Number, p.Date = true, "", Date{}
	doc := set(t, p)
	for n := 1; n <= doc.Pages; n++ {
		if n <= 2 {
			picture(t, doc.PDF, n, 50)
		}
		marks := 0
		for _, s := range spans(t, doc.PDF) {
			if s.page == n && s.size > 40 {
				marks++
			}
		}
		if marks == 0 {
			t.Errorf("page %d has no watermark", n)
		}
	}
	first := pageText(t, doc.PDF, 1)
	if !strings.Contains(first, "/QĐ-SKHCN") || strings.Contains(first, "08/") || !strings.Contains(first, "ngày") {
		t.Errorf("number and date of a draft: %s", first)
	}
}

// What the font lacks is reported, and drawn as a box.
func TestMissingGlyphs(t *testing.T) {
	p := letter()
	p.Body = "Chữ 汉 và 😀."
	if doc := set(t, p); string(doc.Missing) != "汉😀" {
		t.Errorf("Missing = %q", doc.Missing)
	}
}

// The file can be signed by an incremental update, its fonts are in it, and the same paper gives the same bytes.
func TestFile(t *testing.T) {
	a, b := set(t, decision()), set(t, decision())
	if string(a.PDF) != string(b.PDF) {
		t.Error("the same paper gives other bytes")
	}
	if out, _ := tool(t, a.PDF, "qpdf", "--check", "doc.pdf"); strings.Contains(out, "WARNING") || !strings.Contains(out, "No syntax or stream encoding errors") {
		t.Errorf("qpdf --check: %s", out)
	}
	if !strings.Contains(string(a.PDF), "\nxref\n") || strings.Contains(string(a.PDF), "/ObjStm") {
		t.Error("no classic cross-reference table")
	}
	fonts, _ := tool(t, a.PDF, "pdffonts", "doc.pdf")
	if n := strings.Count(fonts, "yes yes yes"); n < 3 || n != strings.Count(fonts, "Tinos") {
		t.Errorf("fonts are not embedded:\n%s", fonts)
	}
	info, _ := tool(t, a.PDF, "pdfinfo", "doc.pdf")
	for _, want := range []string{"Quyết định Ban hành Quy chế gửi, nhận văn bản điện tử", "Sở Khoa học và Công nghệ", "08/QĐ-SKHCN", "(A4)"} {
		if !strings.Contains(info, want) {
			t.Errorf("pdfinfo lacks %q:\n%s", want, info)
		}
	}
}

// Set takes any text: it answers with a file or an error, and every box lies on its page.
func FuzzSet(f *testing.F) {
	f.Add("Quyết định", "Căn cứ Luật;\nQUYẾT ĐỊNH:\nĐiều 1. **Đậm** __nghiêng__\n| a | b |\n|---|---|\n| c |", "Nơi nhận", "Chủ tịch\nPhó")
	f.Add("", "# \n|\n||\n**\n__\n****", "-\n–", "\x00\xff\u200b")
	f.Fuzz(func(t *testing.T, kind, body, list, title string) {
		if len(body) > 20_000 {
			return
		}
		out, err := Set(Paper{
			TypeName: kind, Body: body, Agency: title, Superior: list, Subject: list, Receivers: strings.Split(list, "\n"), ToPlaces: strings.Split(list, "\n"),
			Competence: title, Position: kind, Signer: title, Address: list, Circulation: kind, Appendixes: []Appendix{{kind, body}}, Now: now,
		})
		if err != nil {
			return
		}
		for _, b := range []Box{out.Boxes.Person, out.Boxes.Seal} {
			if b.Page < 1 || b.Page > out.Pages || b.X < 0 || b.Y < -60 || b.X+b.W > 596 || b.Y+b.H > 842 {
				t.Errorf("box %+v of %d pages", b, out.Pages)
			}
		}
	})
}
