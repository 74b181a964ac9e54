package edxml

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// random returns n bytes that begin like a PDF and that no archiver makes smaller; the same each time.
func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	copy(b, "%PDF-1.7\n")
	return b
}

// withContent returns the example document with other content in its attachment; wrap breaks the base64 into lines.
func withContent(t testing.TB, content []byte, name string, wrap int) []byte {
	t.Helper()
	text := base64.StdEncoding.EncodeToString(content)
	if wrap > 0 {
		var b strings.Builder
		for len(text) > wrap {
			b.WriteString(text[:wrap] + "\r\n")
			text = text[wrap:]
		}
		text = b.String() + text
	}
	doc := strings.ReplaceAll(string(testdata(t, "document.xml")), "08-SM-VP.pdf", name)
	return []byte(strings.Replace(doc, "JVBERi0xLjQKJSVFT0YK", text, 1))
}

// BenchmarkRead compares reading a message with what must be done in any case: decode and hash the same bytes.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{10 << 10, 1 << 20, 20 << 20} {
		content := random(size)
		for name, wrap := range map[string]int{"oneline": 0, "lines76": 76} {
			doc := withContent(b, content, "x.pdf", wrap)
			b.Run(fmt.Sprintf("Read/%dKiB/%s", size>>10, name), func(b *testing.B) {
				b.SetBytes(int64(len(doc)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Read(bytes.NewReader(doc), ReadOptions{Now: now}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		doc := withContent(b, content, "x.pdf", 0)
		text := []byte(base64.StdEncoding.EncodeToString(content))
		b.Run(fmt.Sprintf("Bare/%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			buf := make([]byte, 48<<10)
			for b.Loop() {
				h := sha256.New()
				if _, err := io.CopyBuffer(h, onlyReader{base64.NewDecoder(base64.StdEncoding, bytes.NewReader(text))}, buf); err != nil {
					b.Fatal(err)
				}
				_ = h.Sum(nil)
			}
		})
		b.Run(fmt.Sprintf("Hash/%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				_ = sha256.Sum256(content)
			}
		})
	}
}

type onlyReader struct{ io.Reader }

func BenchmarkDecode(b *testing.B) {
	text := []byte(base64.StdEncoding.EncodeToString(random(48 << 10)))
	dst := make([]byte, 48<<10)
	b.Run("ours", func(b *testing.B) {
		t := newDecodeTable()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if r, w := t.decode(dst, text); r != len(text) || w != len(dst) {
				b.Fatal(r, w)
			}
		}
	})
	b.Run("standard", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			if _, err := base64.StdEncoding.Decode(dst, text); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	content := random(1 << 20)
	m, _ := mustRead(b, withContent(b, content, "x.pdf", 0))
	m.Attachments[0].Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(io.Discard, m); err != nil {
			b.Fatal(err)
		}
	}
}
