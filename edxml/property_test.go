package edxml

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// word draws a text without blanks around it, often with characters that XML escapes.
func word(most int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := rapid.StringOfN(rapid.OneOf(
			rapid.SampledFrom([]rune("<>&\"'ăđ%;]\r\n\t —")), rapid.RuneFrom([]rune("abcXYZ0123456789/.-, "))), 0, most, -1).Draw(t, "word")
		return strings.TrimSpace(s)
	})
}

func filled(most int) *rapid.Generator[string] {
	return rapid.Map(word(most-1), func(s string) string { return strings.TrimSpace("x" + s) })
}

var (
	anyDate = rapid.Custom(func(t *rapid.T) Date {
		return Date{2020, 1, 1}.AddDays(rapid.IntRange(0, 4000).Draw(t, "day"))
	})
	anyTime = rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "time"), 0).UTC()
	})
	organization = rapid.Custom(func(t *rapid.T) Organization {
		return Organization{
			ID: filled(35).Draw(t, "id"), InCharge: word(50).Draw(t, "in charge"), Name: filled(50).Draw(t, "name"), Address: word(50).Draw(t, "address"),
			Email: word(40).Draw(t, "email"), Telephone: word(20).Draw(t, "telephone"), Fax: word(20).Draw(t, "fax"), Website: word(20).Draw(t, "website"),
		}
	})
	reference = rapid.Custom(func(t *rapid.T) Reference {
		return Reference{filled(35).Draw(t, "id"), word(30).Draw(t, "code"), filled(200).Draw(t, "document"), anyDate.Draw(t, "date")}
	})
	person = rapid.Custom(func(t *rapid.T) Staff {
		return Staff{filled(20).Draw(t, "department"), word(20).Draw(t, "id"), word(20).Draw(t, "name"), word(20).Draw(t, "id"), word(20).Draw(t, "email"), word(20).Draw(t, "mobile")}
	})
	texts = rapid.SliceOfN(filled(40), 0, 3)
)

// file draws an attachment; its bytes are what was put under its content id.
func file(t *rapid.T, id string) (Attachment, []byte) {
	name := filled(30).Draw(t, "file name")
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune("/\\:", r) || r < ' ' {
			return '_'
		}
		return r
	}, name) + "." + rapid.SampledFrom(append(DefaultTypes(), "PDF", "Docx")).Draw(t, "ending")
	b := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "content")
	if extension(name) == "zip" {
		var buf bytes.Buffer
		z := zip.NewWriter(&buf)
		w, err := z.Create("a.txt")
		if err == nil {
			_, err = w.Write(b)
		}
		if err = errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		b = buf.Bytes()
	} else {
		b = append([]byte("."), b...) // no program
	}
	sum := sha256.Sum256(b)
	return Attachment{
		ContentID: id, Name: name, Description: word(30).Draw(t, "description"), ContentType: sentType(name), Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
	}, b
}

var statusMessage = rapid.Custom(func(t *rapid.T) *Message {
	return &Message{
		From: organization.Draw(t, "from"), Type: DocumentType{Type: 2, Detail: -1}, Other: OtherInfo{Copies: 1, Pages: 1},
		ResponseFor: []Reference{reference.Draw(t, "document")},
		Status: &Status{
			Code: rapid.SampledFrom([]string{"01", "02", "03", "04", "05", "06", "13", "15", "16", "99"}).Draw(t, "code"), Description: filled(100).Draw(t, "description"),
			At: anyTime.Draw(t, "at"), Staff: person.Draw(t, "staff"),
		},
	}
})

func document(t *rapid.T) (*Message, [][]byte) {
	m := &Message{
		From: organization.Draw(t, "from"), To: rapid.SliceOfNDistinct(organization, 1, 4, func(o Organization) string { return o.ID }).Draw(t, "to"),
		DocumentID: filled(100).Draw(t, "document id"), Code: Code{filled(11).Draw(t, "number"), filled(30).Draw(t, "notation")}, Place: word(50).Draw(t, "place"),
		Date:    anyDate.Draw(t, "date"),
		Type:    DocumentType{rapid.IntRange(1, 99).Draw(t, "type"), rapid.IntRange(-1, 9).Draw(t, "detail"), word(100).Draw(t, "type name")},
		Subject: filled(500).Draw(t, "subject"), Content: word(500).Draw(t, "content"),
		Signer: Signer{word(50).Draw(t, "competence"), word(100).Draw(t, "position"), word(50).Draw(t, "full name")},
		Other: OtherInfo{
			rapid.IntRange(0, 4).Draw(t, "priority"), word(50).Draw(t, "sphere"), word(10).Draw(t, "typer"), rapid.IntRange(1, 65535).Draw(t, "copies"),
			rapid.IntRange(1, 65535).Draw(t, "pages"), word(30).Draw(t, "reply"), rapid.SampledFrom([]string{"true", "false"}).Draw(t, "direction"),
			word(30).Draw(t, "codes"), texts.Draw(t, "appendixes"),
		},
		ResponseFor: rapid.SliceOfN(reference, 0, 2).Draw(t, "answers"), Tasks: texts.Draw(t, "tasks"), ApplicationType: word(20).Draw(t, "application"),
		ToPlaces: texts.Draw(t, "places"),
		Business: Business{
			Kind: Kind(rapid.IntRange(0, 3).Draw(t, "kind")), Reason: word(100).Draw(t, "reason"), Paper: rapid.IntRange(0, 1).Draw(t, "paper"),
			Staff: rapid.SliceOfN(person, 0, 2).Draw(t, "staff"),
		},
	}
	if rapid.Bool().Draw(t, "due") {
		m.DueDate = anyDate.Draw(t, "due date")
	}
	if rapid.Bool().Draw(t, "steered") {
		n := rapid.IntRange(0, 3).Draw(t, "steering")
		m.Steering = &n
	}
	for range rapid.IntRange(0, 3).Draw(t, "hops") {
		m.Trace = append(m.Trace, Hop{filled(35).Draw(t, "hop"), anyTime.Draw(t, "at")})
	}
	if m.Business.Kind != New {
		m.Business.DocumentID = filled(100).Draw(t, "old id")
		m.Business.Replaces = []Replaced{{filled(100).Draw(t, "replaced"), texts.Draw(t, "organs")}}
		m.Business.Changes = []Change{{true, rapid.Bool().Draw(t, "receivers"), []ReceiverChange{{filled(35).Draw(t, "organ"), rapid.Bool().Draw(t, "added")}}}}
	}
	var contents [][]byte
	for i := range rapid.IntRange(0, 3).Draw(t, "files") {
		a, b := file(t, "f"+string(rune('a'+i)))
		m.Attachments = append(m.Attachments, a)
		contents = append(contents, b)
	}
	return m, contents
}

// TestRoundTrip draws messages, writes them, and reads the same message and the same files; and the bytes hold nothing
// that a known reader stumbles over.
func TestRoundTrip(t *testing.T) {
	steering := regexp.MustCompile(`<edXML:SteeringType>([^<]*)</edXML:SteeringType>`)
	number := regexp.MustCompile(`^-?[0-9]+$`)
	rapid.Check(t, func(t *rapid.T) {
		m, contents := document(t)
		if rapid.IntRange(0, 4).Draw(t, "sort") == 0 {
			m, contents = statusMessage.Draw(t, "status"), nil
		}
		var b, again bytes.Buffer
		if err := Write(&b, m); err != nil {
			t.Fatalf("Write() = %v", err)
		}
		if err := Write(&again, m); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Fatalf("written twice, two texts (%v)", err)
		}
		var mem memory
		got, err := Read(bytes.NewReader(b.Bytes()), ReadOptions{Sink: mem.sink})
		if err != nil {
			t.Fatalf("Read() = %v\n%s", err, &b)
		}
		if diff := cmp.Diff(m, got, equalMessages); diff != "" {
			t.Fatalf("another message:\n%s\n%s", diff, &b)
		}
		for i, want := range contents {
			if !bytes.Equal(mem.files[i].Bytes(), want) {
				t.Fatalf("file %d: %q, want %q", i, mem.files[i].Bytes(), want)
			}
		}
		for _, s := range steering.FindAllStringSubmatch(b.String(), -1) {
			if !number.MatchString(s[1]) {
				t.Fatalf("steering type %q", s[1])
			}
		}
		text := b.String()
		for _, a := range strings.Split(text, "<Attachment>")[1:] {
			if before, _, _ := strings.Cut(a, "<edXML:ContentTransferEncoded"); !strings.Contains(before, "<ContentType>application/") {
				t.Fatalf("an attachment without content type: %q", before)
			}
		}
		if !strings.HasPrefix(text, `<?xml version="1.0" encoding="UTF-8"?>`+"\r\n") || !strings.HasSuffix(text, "</edXML>\r\n") || strings.Contains(text, "<!--") {
			t.Fatalf("another frame:\n%s", text)
		}
	})
}

// TestContentReader decodes like the standard library, whatever white space comes between and however the bytes arrive.
func TestContentReader(t *testing.T) {
	table := newDecodeTable()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "content")
		var text strings.Builder
		for i := range len(base64.StdEncoding.EncodeToString(want)) {
			text.WriteByte(base64.StdEncoding.EncodeToString(want)[i])
			if rapid.IntRange(0, 9).Draw(t, "blank") == 0 {
				text.WriteString(rapid.SampledFrom([]string{" ", "\t", "\r\n", "&#13;", "&#xA;", "<![CDATA[]]>", "<![CDATA[ \n]]>"}).Draw(t, "which"))
			}
		}
		src := newSource(iotest.HalfReader(strings.NewReader(text.String()+"</x>")), Limits{}.withDefaults())
		c := &contentReader{src: src, table: table}
		var r io.Reader = c
		if rapid.Bool().Draw(t, "slow") {
			r = iotest.OneByteReader(c)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q decodes to %q, %v; want %q", text.String(), got, err, want)
		}
		if rest := src.peek(4); string(rest) != "</x>" {
			t.Fatalf("%q is left", rest)
		}
	})
}

// TestWriteRefuses holds what Write does not write.
func TestWriteRefuses(t *testing.T) {
	open := func(s string) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
	}
	one := func(a Attachment) func(m *Message) {
		return func(m *Message) { m.Attachments = []Attachment{a} }
	}
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		change func(m *Message)
		path   string // of the refusal; empty: another error
	}{
		"no subject":           {func(m *Message) { m.Subject = "" }, "N.MessageHeader.Subject"},
		"control character":    {func(m *Message) { m.Subject = "a\x01b" }, "M.edXML"},
		"not UTF-8":            {func(m *Message) { m.Place = "a\xff" }, "M.edXML"},
		"refusal, no reason":   {func(m *Message) { m.Status = &Status{Code: "02"} }, "N.MessageHeader.Description"},
		"impossible date":      {func(m *Message) { m.Date = Date{2026, 2, 30} }, "M.MessageHeader.PromulgationInfo.PromulgationDate"},
		"no file name":         {one(Attachment{Open: open("x")}), "N." + pathAttachment + ".AttachmentName"},
		"no ending":            {one(Attachment{Name: "abc", Open: open("x")}), "M." + pathAttachment + ".AttachmentName"},
		"empty ending":         {one(Attachment{Name: "abc.", Open: open("x")}), "M." + pathAttachment + ".AttachmentName"},
		"path":                 {one(Attachment{Name: "../a.pdf", Open: open("x")}), "M." + pathAttachment + ".AttachmentName"},
		"long name":            {one(Attachment{Name: strings.Repeat("ă", 130) + ".pdf", Open: open("x")}), "R." + pathAttachment + ".AttachmentName"},
		"nothing to open":      {one(Attachment{Name: "a.pdf"}), "N." + pathContent},
		"another size":         {one(Attachment{Name: "a.pdf", Size: 2, Open: open("x")}), "M." + pathContent},
		"another content":      {one(Attachment{Name: "a.pdf", SHA256: strings.Repeat("0", 64), Open: open("x")}), "M." + pathContent},
		"another packed":       {one(Attachment{Name: "a.txt", SHA256: strings.Repeat("0", 64), Open: open("x")}), "M." + pathContent},
		"cannot be opened":     {one(Attachment{Name: "a.pdf", Open: func() (io.ReadCloser, error) { return nil, broken }}), ""},
		"cannot be read":       {one(Attachment{Name: "a.pdf", Open: func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(broken)), nil }}), ""},
		"cannot be packed":     {one(Attachment{Name: "a.txt", Open: func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(broken)), nil }}), ""},
		"too many files":       {func(m *Message) { m.Attachments = slices.Repeat([]Attachment{{Name: "a.pdf", Open: open("x")}}, 201) }, "R." + pathAttachment},
		"update of nothing":    {func(m *Message) { m.Business.Kind = Update }, "N.TraceHeaderList.Bussiness.DocumentId"},
		"kind out of the list": {func(m *Message) { m.Business.Kind = -1 }, "R.TraceHeaderList.Bussiness.BussinessDocType"},
	} {
		m, _ := mustRead(t, testdata(t, "document.xml"))
		m.Attachments = nil
		test.change(m)
		err := Write(io.Discard, m)
		e, refused := errors.AsType[*Error](err)
		if err == nil || refused != (test.path != "") || refused && e.Path != test.path || !refused && !errors.Is(err, broken) {
			t.Errorf("%s: Write() = %v, want %s", name, err, test.path)
		}
	}
	m, mem := mustRead(t, testdata(t, "document.xml"))
	mem.reopen(m)
	for n := range len(mustWrite(t, m)) {
		if err := Write(&shortWriter{n}, m); !errors.Is(err, errFull) {
			t.Fatalf("a disk with %d bytes: %v", n, err)
		}
	}
}

var errFull = errors.New("full")

type shortWriter struct{ left int }

func (w *shortWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return w.left, errFull
	}
	w.left -= len(p)
	return len(p), nil
}

// TestOriginals finds the earlier documents as the reference samples name them.
func TestOriginals(t *testing.T) {
	m := func(b Business) *Message { return &Message{DocumentID: "own", Business: b} }
	for name, test := range map[string]struct {
		m    *Message
		want []string
	}{
		"new":                       {m(Business{DocumentID: "old"}), nil},
		"revocation":                {m(Business{Kind: Revocation, DocumentID: "old"}), []string{"old"}},
		"revocation under its own":  {m(Business{Kind: Revocation}), []string{"own"}},
		"update":                    {m(Business{Kind: Update, DocumentID: "old"}), []string{"old"}},
		"update of nothing":         {m(Business{Kind: Update}), nil},
		"replacement of two":        {m(Business{Kind: Replacement, DocumentID: "x", Replaces: []Replaced{{DocumentID: "a"}, {}, {DocumentID: "b"}}}), []string{"a", "b"}},
		"a status is about nothing": {&Message{DocumentID: "own", Business: Business{Kind: Revocation}, Status: &Status{}}, nil},
	} {
		if got := Originals(test.m); !slices.Equal(got, test.want) {
			t.Errorf("%s: Originals() = %v, want %v", name, got, test.want)
		}
	}
}
