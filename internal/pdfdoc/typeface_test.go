package pdfdoc

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"golang.org/x/image/font/sfnt"
)

// The part of a face that goes into a file must draw what the whole face draws: letters with marks are composed of others.
func TestSubset(t *testing.T) {
	faces, err := parsedFaces()
	if err != nil {
		t.Fatal(err)
	}
	text := []rune(letters + strings.ToUpper(letters) + "₫ 09")
	for style, f := range faces {
		whole, err := sfnt.Parse(face(style))
		if err != nil {
			t.Fatal(err)
		}
		for _, some := range [][]rune{text, {'ỡ'}, {}} {
			var ids []uint16
			for _, r := range some {
				ids = append(ids, f.glyphs[r].id)
			}
			part, err := sfnt.Parse(withCmap(f, f.subset(ids)))
			if err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			var a, b sfnt.Buffer
			for _, id := range ids {
				want, err := whole.LoadGlyph(&a, sfnt.GlyphIndex(id), 1000<<6, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err := part.LoadGlyph(&b, sfnt.GlyphIndex(id), 1000<<6, nil)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%s: glyph %d is drawn otherwise: %v", f.name, id, err)
				}
			}
		}
	}
}

// withCmap adds the tables that our reader wants and a PDF file has no use for.
func withCmap(f *typeface, cut []byte) []byte {
	tables := map[string][]byte{}
	n := int(cut[5])
	for i := range n {
		rec := cut[12+16*i:]
		at := func(b []byte) int { return int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3]) }
		tables[string(rec[:4])] = cut[at(rec[8:]) : at(rec[8:])+at(rec[12:])]
	}
	for _, tag := range []string{"cmap", "OS/2", "name", "post"} {
		tables[tag] = f.tables[tag]
	}
	return assemble(tables)
}

func TestWidths(t *testing.T) {
	faces, err := parsedFaces()
	if err != nil {
		t.Fatal(err)
	}
	f := faces[""]
	for r, want := range map[rune]int{' ': 250, 'i': 278, 'M': 889, '0': 500} { // the metrics of Times
		if got := f.glyphs[r].width; got != want {
			t.Errorf("width of %q = %d; want %d", r, got, want)
		}
	}
	for r, g := range f.glyphs {
		if g.width < 0 || g.width == 0 && unicode.IsLetter(r) && !unicode.Is(unicode.M, r) {
			t.Errorf("width of %q = %d", r, g.width)
		}
	}
}

func TestDamagedFont(t *testing.T) {
	whole := face("")
	for _, n := range []int{0, 11, 40, 300, 2000, len(whole) - 1} {
		if _, err := parseFace("x", whole[:n]); err == nil {
			t.Errorf("the first %d bytes of a font: want an error", n)
		}
	}
}

// Documents share the faces; the race detector sees it when they share more.
func TestSideBySide(t *testing.T) {
	want := render(t, slip(t), Options{}).PDF
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			doc, err := Render([]byte(slip(t)), Options{Now: now})
			if err != nil || !slices.Equal(doc.PDF, want) {
				t.Errorf("a document rendered beside others differs: %v", err)
			}
		})
	}
	wg.Wait()
}

func BenchmarkSlip(b *testing.B) {
	text := []byte(slip(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Render(text, Options{Now: now}); err != nil {
			b.Fatal(err)
		}
	}
}
