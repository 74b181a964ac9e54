package paper

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"strings"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"

	"truc/internal/pdfdoc"
)

var update = flag.Bool("update", false, "write the reference files anew")

// letters are the letters of Vietnamese that are not those of English: 67, and their capitals.
const letters = "àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ"

// A poor font shows boxes while the text that a program reads from the file is right, so the shapes are looked at: all 134
// letters have one in each embedded face, …
func TestLettersHaveGlyphs(t *testing.T) {
	all := []rune(letters + strings.ToUpper(letters))
	if len(all) != 134 {
		t.Fatalf("%d letters; want 134", len(all))
	}
	for name, ttf := range map[string][]byte{"regular": pdfdoc.RegularFont(), "bold": pdfdoc.BoldFont(), "italic": pdfdoc.ItalicFont()} {
		f, err := sfnt.Parse(ttf)
		if err != nil {
			t.Fatal(err)
		}
		var buf sfnt.Buffer
		for _, r := range all {
			if g, err := f.GlyphIndex(&buf, r); err != nil || g == 0 {
				t.Errorf("%s: no glyph for %q (%v)", name, r, err)
			}
		}
	}
	p := letter()
	p.Body = string(all)
	if doc := set(t, p); len(doc.Missing) != 0 {
		t.Errorf("Missing = %q", doc.Missing)
	}
}

// The geometry of the sample: rows of letters in cells, so that each is compared by itself.
const (
	sampleColumns = 17
	sampleRows    = 8
	sampleCell    = 10.0 // mm
	samplePoints  = 20.0
	sampleDPI     = 254 // 10 pixels a mm
	cellPixels    = 100
)

// … and the page, rendered by a reader, shows what the reference picture shows. That was drawn from the font file by another
// rasteriser, without any PDF.
func TestLettersAsRendered(t *testing.T) {
	all := []rune(letters + strings.ToUpper(letters))
	want := reference(t, all)
	got := picture(t, sample(t, all), 1, sampleDPI)
	if far, letter := farthest(got, want, all); far > 0.003 {
		t.Errorf("%q is drawn otherwise than in the reference: %.4f of its cell; want at most 0.003", letter, far)
	}
	// The comparison sees a letter whose mark is another, and one that the font lacks.

	for _, wrong := range []rune{'ề', '汉'} {
		changed := append([]rune(nil), all...)
		changed[28] = wrong
		if far, _ := farthest(picture(t, sample(t, changed), 1, sampleDPI), want, all); far <= 0.003 {
			t.Errorf("%q in place of %q goes unseen: %.4f", wrong, all[28], far)
		}
	}
}

// sample is a page of the letters in their cells.
func sample(t *testing.T, all []rune) []byte {
	t.Helper()
	s, err := pdfdoc.NewSheet(sampleColumns*sampleCell, sampleRows*sampleCell, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.NewPage(); err != nil {
		t.Fatal(err)
	}
	for i, r := range all {
		line := s.Break(sampleCell, 0, pdfdoc.Run{Text: string(r), Font: pdfdoc.Font{Size: samplePoints}})
		s.Draw(line, float64(i%sampleColumns)*sampleCell+2, float64(i/sampleColumns)*sampleCell+0.5, pdfdoc.AlignLeft)
	}
	doc, err := s.Finish(pdfdoc.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return doc.PDF
}

// reference reads the reference picture; -update draws it from the font file.
func reference(t *testing.T, all []rune) image.Image {
	t.Helper()
	const file = "testdata/letters.png"
	if *update {
		f, err := opentype.Parse(pdfdoc.RegularFont())
		if err != nil {
			t.Fatal(err)
		}
		face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: samplePoints, DPI: sampleDPI})
		if err != nil {
			t.Fatal(err)
		}
		img := image.NewGray(image.Rect(0, 0, sampleColumns*cellPixels, sampleRows*cellPixels))
		draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
		size := samplePoints * 25.4 / 72
		base := 0.5 + (size*1.28-size*(0.891+0.216))/2 + size*0.891
		for i, r := range all {
			x, y := float64(i%sampleColumns)*sampleCell+2, float64(i/sampleColumns)*sampleCell+base
			d := font.Drawer{Dst: img, Src: image.Black, Face: face, Dot: fixed.Point26_6{X: fixed.Int26_6(x * 10 * 64), Y: fixed.Int26_6(y * 10 * 64)}}
			d.DrawString(string(r))
		}
		var buf bytes.Buffer
		if err := png.Encode(&buf, img); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// farthest finds the letter whose cell differs most: the part of the cell whose ink lies elsewhere. Rasterisers place a letter
// up to a pixel or two apart and differ at its edges, so the best of a few shifts counts, and ink is averaged first.
func farthest(got, want image.Image, all []rune) (far float64, letter rune) {
	a, b := softened(got), softened(want)
	for i, r := range all {
		left, top := i%sampleColumns*cellPixels, i/sampleColumns*cellPixels
		best := math.Inf(1)
		for dy := -2; dy <= 2; dy++ {
			for dx := -2; dx <= 2; dx++ {
				sum := 0.0
				for y := top + 2; y < top+cellPixels-2; y++ {
					for x := left + 2; x < left+cellPixels-2; x++ {
						if d := math.Abs(a[y+dy][x+dx] - b[y][x]); d > 0.25 {
							sum += d
						}
					}
				}
				best = min(best, sum)
			}
		}
		if best /= cellPixels * cellPixels; best > far {
			far, letter = best, r
		}
	}
	return far, letter
}

// softened is the ink of each pixel averaged over 3 × 3.
func softened(img image.Image) [][]float64 {
	b := img.Bounds()
	raw := make([][]float64, b.Dy())
	for y := range raw {
		raw[y] = make([]float64, b.Dx())
		for x := range raw[y] {
			raw[y][x] = 1 - float64(color.GrayModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.Gray).Y)/255
		}
	}
	out := make([][]float64, b.Dy())
	for y := range out {
		out[y] = make([]float64, b.Dx())
		for x := range out[y] {
			n := 0.0
			for _, q := range [][2]int{{-1, -1}, {0, -1}, {1, -1}, {-1, 0}, {0, 0}, {1, 0}, {-1, 1}, {0, 1}, {1, 1}} {
				if v, w := y+q[1], x+q[0]; v >= 0 && v < len(raw) && w >= 0 && w < len(raw[0]) {
					out[y][x] += raw[v][w]
					n++
				}
			}
			out[y][x] /= n
		}
	}
	return out
}
