package edxml

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// FuzzRead reads anything without a crash, the same in whatever portions it comes; what it takes can be written, unless
// the writer has a reason, and then reads as the same message.
func FuzzRead(f *testing.F) {
	doc, status := testdata(f, "document.xml"), testdata(f, "status.xml")
	for _, b := range [][]byte{
		doc, status, testdata(f, "full.golden.xml"), []byte("\ufeff<edXML/>"), bytes.ReplaceAll(doc, []byte("edXML:"), nil),
		bytes.Replace(doc, []byte("JVBERi0xLjQKJSVFT0YK"), []byte("<![CDATA[JVBERi0x&#13;]]>\nLjQK"), 1),
		bytes.Replace(doc, []byte("application/pdf</ContentType>"), []byte("application/zip</ContentType>"), 1),
		withContent(f, archive(f, [2]string{"a.txt", "x"}), "x.zip", 0),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		opt := ReadOptions{Limits: Limits{Header: 64 << 10, Attachment: 1 << 20}, Now: now}
		var mem memory
		opt.Sink = mem.sink
		m, err := Read(bytes.NewReader(b), opt)
		opt.Sink = nil
		again, err2 := Read(iotest.OneByteReader(bytes.NewReader(b)), opt)
		if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
			t.Fatalf("whole: %v; byte by byte: %v", err, err2)
		}
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != CodeFile && e.Code != CodeDocument || sentences[e.Key].vi == "" || strings.Contains(e.Text("vi")+e.Text("en"), "%!") {
				t.Fatalf("Read() = %v", err)
			}
			return
		}
		if diff := cmp.Diff(m, again, equalMessages); diff != "" {
			t.Fatal(diff)
		}
		mem.reopen(m)
		var w bytes.Buffer
		if err := Write(&w, m); err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("Write() = %v", err)
			}
			return
		}
		normal := *m // what the writer fills in, and derives from names
		if normal.Type.Type == 0 {
			normal.Type.Type = 2
		}
		if normal.Type.Detail < 0 {
			normal.Type.Detail = -1
		}
		back, err := Read(bytes.NewReader(w.Bytes()), ReadOptions{})
		if err != nil {
			t.Fatalf("what was written: %v\n%s", err, &w)
		}
		if back.Subject != m.Subject || back.From != m.From || !cmp.Equal(back.To, m.To) || back.DocumentID != m.DocumentID || back.Code != m.Code ||
			back.Date != m.Date || !cmp.Equal(Originals(back), Originals(m)) || (back.Status == nil) != (m.Status == nil) || back.Type != normal.Type && m.Status == nil {
			t.Fatalf("another message:\n%s", cmp.Diff(m, back, equalMessages))
		}
		for i, a := range back.Attachments {
			if a.SHA256 != m.Attachments[i].SHA256 || a.Name != m.Attachments[i].Name {
				t.Fatalf("another file: %+v, %+v", a, m.Attachments[i])
			}
		}
	})
}

// FuzzArchive holds the unpacking of a stream against the standard library's, which begins at the end: what one takes,
// the other must see as one file with the same bytes.
func FuzzArchive(f *testing.F) {
	f.Add(archive(f, [2]string{"a.txt", "abcabcabcabc"}))
	f.Add(archive(f, [2]string{"a.txt", ""}))
	f.Add(archive(f, [2]string{"a.txt", "x"}, [2]string{"b.txt", "y"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		tail := &zipTail{}
		tail.write(b)
		_ = tail.check(1 << 20)
		e, err := newEntryReader(bytes.NewReader(b), 1<<20)
		if err != nil {
			return
		}
		got, err := io.ReadAll(e)
		if err != nil {
			return
		}
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil || len(z.File) != 1 {
			t.Fatalf("the standard library sees %v", err)
		}
		r, err := z.File[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q, the standard library has %q, %v", got, want, err)
		}
	})
}

// FuzzParseLists reads any lists without a crash.
func FuzzParseLists(f *testing.F) {
	f.Add(defaultLists)
	f.Add([]byte(`{"statuses":[{"code":"01","vi":"a","en":"b","by":"sender"}]} {}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if l, err := ParseLists(b); err == nil {
			l.Status("01")
			Label(l.Kinds, "0", "vi")
		}
	})
}
