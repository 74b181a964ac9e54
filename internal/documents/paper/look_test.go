package paper

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/pdfdoc"
	"truc/internal/pki"
	"truc/internal/sign"
)

// signer signs with keys of a development authority.
func signer(t *testing.T) func(pdf []byte, look *sign.Appearance) []byte {
	t.Helper()
	ca, err := pki.LoadOrCreateDocumentCA(t.TempDir(), "test", pki.DocumentSubject{Name: "CA"}, now)
	if err != nil {
		t.Fatal(err)
	}
	key, err := pki.GenerateKey(pki.P256)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(key.Public(), pki.PersonUse, pki.DocumentSubject{Name: "Nguyễn Thị Ễnh Ương"}, now, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return func(pdf []byte, look *sign.Appearance) []byte {
		out, err := sign.SignPDF(t.Context(), pdf, sign.PDFOptions{Identity: sign.Identity{Signer: key, Cert: cert}, Time: now, Appearance: look})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// extent is the smallest rectangle around the pixels that are of a colour.
func extent(img image.Image, of func(r, g, b int) bool) image.Rectangle {
	out := image.Rectangle{}
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			if of(int(c.R), int(c.G), int(c.B)) {
				out = out.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return out
}

func isBlue(r, g, b int) bool { return b > r+60 && b > g+40 }
func isRed(r, g, b int) bool  { return r > g+60 && r > b+60 }
func isDark(r, g, b int) bool { return r < 110 && g < 110 && b < 110 }

func handwriting(t *testing.T, name string) []byte {
	t.Helper()
	b, err := Handwriting(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func seal(t *testing.T) []byte {
	t.Helper()
	b, err := TestSeal("Sở Khoa học và Công nghệ tỉnh Ví Dụ")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// blueBar is a picture of any shape.
func blueBar(t *testing.T, w, h int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			if x < 6 || y < 6 || x >= w-6 || y >= h-6 {
				img.Set(x, y, blueInk)
			}
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		t.Fatal(err)
	}
	b, err := Picture(buf.Bytes(), Blue)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The seal is red, of real size, and covers the left third of the blue picture of the person's signature (Decree 30/2020/NĐ-CP
// Appendix I, part II.8), as a reader renders it.
func TestSealOverSignature(t *testing.T) {
	const dpi = 110
	sgn := signer(t)
	doc := set(t, func() Paper { p := letter(); p.Urgency = Ordinary; return p }())
	for name, hand := range map[string][]byte{
		"drawn": handwriting(t, "Nguyễn Thị Ễnh Ương"), "short": handwriting(t, "Lê Ý"), "wide": blueBar(t, 600, 100), "square": blueBar(t, 300, 300), "high": blueBar(t, 150, 300),
	} {
		t.Run(name, func(t *testing.T) {
			person, err := PersonLook(doc.Boxes.Person, hand)
			if err != nil {
				t.Fatal(err)
			}
			signed := sgn(doc.PDF, person)
			blue := extent(picture(t, signed, 1, dpi), isBlue)
			stamp, err := SealLook(doc.Boxes.Seal, seal(t), 0)
			if err != nil {
				t.Fatal(err)
			}
			signed = sgn(signed, stamp)
			img := picture(t, signed, 1, dpi)
			red := extent(img, isRed)
			if blue.Empty() || red.Empty() {
				t.Fatalf("blue %v, red %v", blue, red)
			}
			covered := float64(red.Max.X-blue.Min.X) / float64(blue.Dx())
			if math.Abs(covered-1.0/3) > 0.05 || red.Min.X >= blue.Min.X {
				t.Errorf("the seal covers %.3f of the signature from its left; want a third; blue %v red %v", covered, blue, red)
			}
			if d := float64(red.Dx()) / dpi * 25.4; math.Abs(d-(SealSize-0.2)) > 0.8 {
				t.Errorf("the seal is %.1f mm wide; want about %.0f", d, SealSize)
			}
			if blue.Min.Y < red.Min.Y-10 || blue.Max.Y > red.Max.Y+10 {
				t.Errorf("the signature %v stands beside the seal %v", blue, red)
			}
			// What was below still shows through the seal's ground.
			if again := extent(img, isBlue); again.Min.X > blue.Min.X+blue.Dx()/6 {
				t.Errorf("the seal hides the signature: blue begins at %d; before the seal at %d", again.Min.X, blue.Min.X)
			}
			if out, _ := tool(t, signed, "qpdf", "--check", "doc.pdf"); strings.Contains(out, "WARNING") || !strings.Contains(out, "No syntax or stream encoding errors") {
				t.Errorf("qpdf --check: %s", out)
			}
		})
	}
}

// Between title and name: the picture touches neither.
func TestSignatureBetweenTitleAndName(t *testing.T) {
	doc := set(t, letter())
	out, _ := tool(t, doc.PDF, "pdftotext", "-bbox", "doc.pdf", "-")
	y := func(word string) float64 {
		for line := range strings.Lines(out) {
			if strings.Contains(line, ">"+word+"<") {
				_, rest, _ := strings.Cut(line, `yMin="`)
				return number64(t, rest)
			}
		}
		t.Fatalf("no word %q", word)
		return 0
	}
	top, bottom := 842-doc.Boxes.Person.Y-doc.Boxes.Person.H, 842-doc.Boxes.Person.Y
	if title, name := y("PHÓ"), y("Ễnh"); title+15 > top || name < bottom {
		t.Errorf("the box reaches from %.0f to %.0f; title at %.0f, name at %.0f", top, bottom, title, name)
	}
}

func number64(t *testing.T, s string) float64 {
	t.Helper()
	var v float64
	for _, r := range s {
		if r < '0' || r > '9' {
			break
		}
		v = v*10 + float64(r-'0')
	}
	return v
}

// An attachment carries text in its top right corner, upright, black, of 10 points, and no picture, whatever the page's size
// and however it is turned.
func TestAttachmentMark(t *testing.T) {
	const dpi = 120
	sgn := signer(t)
	for name, page := range map[string][]byte{
		"A4": blankPage(t, 210, 297), "A3 landscape": blankPage(t, 420, 297), "turned 90": turned(t, 210, 297, "90"), "turned 270": turned(t, 297, 210, "-90"),
		"turned 180": turned(t, 210, 297, "180"), "A5": blankPage(t, 148, 210),
	} {
		t.Run(name, func(t *testing.T) {
			look, err := AttachmentMark(page, "08/SKHCN-VP", now)
			if err != nil {
				t.Fatal(err)
			}
			if len(look.Image) != 0 || look.FontSize != 10 || strings.Join(look.Lines, "|") != "Số: 08/SKHCN-VP|Thời gian ký: 2026-11-22T10:05:07+07:00" {
				t.Errorf("look = %q, %v points, picture %v", look.Lines, look.FontSize, len(look.Image) != 0)
			}
			img := picture(t, sgn(page, look), 1, dpi)
			ink := extent(img, isDark)
			b := img.Bounds()
			mm := func(px int) float64 { return float64(px) / dpi * 25.4 }
			if ink.Empty() || mm(b.Max.X-ink.Max.X) > 12 || mm(ink.Min.Y) > 12 {
				t.Errorf("the text stands at %v on a page of %v", ink, b)
			}
			// Two lines of 10 points: about 24 points from the top of S to the foot of ý; upside down or turned type is another shape.
			if h := mm(ink.Dy()); h < 6 || h > 9.5 || ink.Dx() < 5*ink.Dy() {
				t.Errorf("the text is %.1f × %.1f mm", mm(ink.Dx()), h)
			}
			if extent(img, isRed) != (image.Rectangle{}) || extent(img, isBlue) != (image.Rectangle{}) {
				t.Error("there is a picture, or ink that is not black")
			}
		})
	}
	if _, err := AttachmentMark(blankPage(t, 20, 20), "08/SKHCN-VP", now); !errs.Is(err, errs.Invalid) {
		t.Errorf("AttachmentMark on a stamp: %v; want Invalid", err)
	}
}

func TestCopyMark(t *testing.T) {
	page := blankPage(t, 210, 297)
	for kind, want := range map[CopyKind]string{CopyWhole: "SAO Y", CopyOfCopy: "SAO LỤC", CopyExtract: "TRÍCH SAO"} {
		look, err := CopyMark(page, kind, "Ủy ban nhân dân tỉnh Ví Dụ", now)
		if err != nil || strings.Join(look.Lines, "|") != want+"|Ủy ban nhân dân tỉnh Ví Dụ|Thời gian ký: 2026-11-22T10:05:07+07:00" {
			t.Errorf("CopyMark(%d) = %v, %v", kind, look, err)
		}
	}
	if _, err := CopyMark(page, 3, "x", now); !errs.Is(err, errs.Invalid) {
		t.Errorf("CopyMark of no kind: %v", err)
	}
	long := strings.Repeat("Trung tâm Phục vụ hành chính công ", 6)
	look, err := CopyMark(page, CopyWhole, long, now)
	if err != nil || len(look.Lines) < 4 || strings.Join(strings.Fields(strings.Join(look.Lines[1:len(look.Lines)-1], " ")), " ") != strings.TrimSpace(long) {
		t.Errorf("a long name is set as %v, %v", look, err)
	}
}

func TestPicture(t *testing.T) {
	paint := func(c color.NRGBA, share float64) []byte {
		img := image.NewNRGBA(image.Rect(0, 0, 200, 100))
		for x := range int(200 * share) {
			for y := range 100 {
				img.Set(x, y, c)
			}
		}
		var buf bytes.Buffer
		if err := png.Encode(&buf, img); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	for _, c := range []struct {
		name string
		file []byte
		ink  Ink
		want string
	}{
		{"blue", paint(blueInk, 0.4), Blue, ""},
		{"red", paint(redInk, 0.4), Red, ""},
		{"red for a person", paint(redInk, 0.4), Blue, "paper.picture_not_blue"},
		{"black for a person", paint(color.NRGBA{A: 255}, 0.4), Blue, "paper.picture_not_blue"},
		{"blue for an agency", paint(blueInk, 0.4), Red, "paper.picture_not_red"},
		{"no background", paint(blueInk, 1), Blue, "paper.picture_opaque"},
		{"nothing", paint(blueInk, 0), Blue, "paper.picture_empty"},
		{"not PNG", []byte("GIF89a"), Blue, "paper.picture_format"},
		{"cut short", paint(blueInk, 0.4)[:60], Blue, "paper.picture_format"},
		{"large file", make([]byte, MaxPicture+1), Blue, "paper.picture_size"},
	} {
		got, err := Picture(c.file, c.ink)
		key := ""
		if err != nil {
			key, _ = errs.KeyOf(err)
		}
		if key != c.want {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
		if err == nil {
			if cfg, err := png.DecodeConfig(bytes.NewReader(got)); err != nil || cfg.Width != 80 || cfg.Height != 100 {
				t.Errorf("%s: cut to %+v, %v; want what is drawn", c.name, cfg, err)
			}
		}
	}
}

func FuzzPicture(f *testing.F) {
	hand, err := Handwriting("An")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hand)
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if out, err := Picture(b, Blue); err == nil {
			if _, err := PersonLook(Box{Page: 1, W: 100, H: 50}, out); err != nil {
				panic(err)
			}
		}
	})
}

func blankPage(t *testing.T, w, h float64) []byte {
	t.Helper()
	s, err := pdfdoc.NewSheet(w, h, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.NewPage(); err != nil {
		t.Fatal(err)
	}
	doc, err := s.Finish(pdfdoc.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return doc.PDF
}

// turned is a page that readers turn, as scanners make them. The attribute stands in the tree above the page.
func turned(t *testing.T, w, h float64, by string) []byte {
	t.Helper()
	pdf := blankPage(t, w, h)
	// The entry takes the place of one that is not shorter, so that offsets stay right.
	pages := []byte("/Resources <</Font <<>>>>")
	with := "/Rotate " + by + "/Resources<<>>"
	if !bytes.Contains(pdf, pages) || len(with) > len(pages) {
		t.Fatalf("the page tree is written otherwise: %d > %d", len(with), len(pages))
	}
	return bytes.Replace(pdf, pages, []byte(with+strings.Repeat(" ", len(pages)-len(with))), 1)
}
