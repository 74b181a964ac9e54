package edxml

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// swap replaces what must be there, so that no row of a table tests nothing.
func swap(t testing.TB, s string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(s, pairs[i]) {
			t.Fatalf("the example does not hold %q", pairs[i])
		}
		s = strings.ReplaceAll(s, pairs[i], pairs[i+1])
	}
	return s
}

// cut takes away the element of that name with all it holds.
func cutElement(t testing.TB, s, begin, end string) string {
	t.Helper()
	i, j := strings.Index(s, begin), strings.Index(s, end)
	if i < 0 || j < i {
		t.Fatalf("the example has no %s", begin)
	}
	return s[:i] + s[j+len(end):]
}

func archive(t testing.TB, entries ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := z.Create(e[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTolerated holds the ways in which agencies' programs write, each of which must read as the same message.
func TestTolerated(t *testing.T) {
	const (
		pdf     = "JVBERi0xLjQKJSVFT0YK"
		entryID = "0b8e1c9a-1111-4222-8333-444455556666.txt"
		content = "<ContentType>application/pdf</ContentType>\n    <edXML:ContentTransferEncoded"
	)
	doc := string(testdata(t, "document.xml"))
	b64 := base64.StdEncoding.EncodeToString
	tests := map[string]struct {
		doc    string
		notes  []string // keys
		change func(want *Message)
		text   string // of the attachment, when it is another
	}{
		"unbound prefix": {doc: swap(t, doc, "<AttachmentEncoded>", "<edXML:AttachmentEncoded>", "</AttachmentEncoded>", "</edXML:AttachmentEncoded>",
			` xmlns:edXML="http://www.mic.gov.vn/TBT/QCVN_102_2016">JVB`, ">JVB")},
		"no prefix":      {doc: swap(t, doc, "edXML:", "", ` xmlns:edXML="`, ` xmlns:x="`)},
		"another prefix": {doc: swap(t, doc, "edXML:", "ed:")},
		"no namespace":   {doc: swap(t, doc, ` xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016"`, ""), notes: []string{"namespace"}},
		"byte-order mark": {
			doc: "\ufeff" + doc,
		},
		"no declaration":       {doc: cutElement(t, doc, "<?xml", "?>\n")},
		"lower-case encoding":  {doc: swap(t, doc, `"UTF-8"`, `"utf-8"`)},
		"CRLF":                 {doc: swap(t, doc, "\n", "\r\n")},
		"wrapped base64":       {doc: swap(t, doc, pdf, "\r\n  JVBERi0x\r\nLjQ\r\nKJSVFT0\n\tYK \r\n")},
		"carriage return refs": {doc: swap(t, doc, pdf, "JVBERi0x&#13;\nLjQKJSV&#xD;&#xA;FT0YK")},
		"base64 in CDATA":      {doc: swap(t, doc, pdf, "\n<![CDATA[JVBERi0xLjQKJS\nVFT0Y]]>K")},
		"text in CDATA":        {doc: swap(t, doc, "<edXML:Subject>V/v thử nghiệm liên thông<", "<edXML:Subject><![CDATA[V/v thử nghiệm]]> liên thông<")},
		"references": {
			doc:    swap(t, doc, "<edXML:Subject>V/v thử", "<edXML:Subject>V&#x2F;v th&#7917; &lt;&amp;&gt;&apos;&quot;"),
			change: func(m *Message) { m.Subject = `V/v thử <&>'" nghiệm liên thông` },
		},
		"blanks around": {doc: swap(t, doc, ">H99.07<", ">\n   H99.07\t<", ">2026/03/05<", "> 2026/03/05 <")},
		"comments":      {doc: swap(t, doc, "<edXML:Subject>", "<!-- <edXML:Subject>x</edXML:Subject> --><edXML:Subject>")},
		"unknown elements": {doc: swap(t, doc, "<edXML:Subject>", "<edXML:New><edXML:Subject>x</edXML:Subject><y/></edXML:New><edXML:Subject>",
			"<AttachmentEncoded>", "<Signature><X509Data/></Signature><AttachmentEncoded>")},
		"attributes": {doc: swap(t, doc, "<edXML:TraceHeaderList>", `<edXML:TraceHeaderList id="TraceHeader" version="1.0" mustUnderstand="1" actor="x>y">`)},
		"trace before business, organization reordered, superior after name": {doc: reordered(t, doc)},
		"no manifest": {doc: cutElement(t, doc, "<edXML:edXMLManifest", "</edXML:edXMLManifest>")},
		"no body":     {doc: cutElement(t, doc, "<edXML:edXMLBody>", "</edXML:edXMLBody>")},
		"no trace": {doc: cutElement(t, doc, "<edXML:TraceHeaderList>", "</edXML:TraceHeaderList>"), change: func(m *Message) {
			m.Trace, m.Business = nil, Business{}
		}},
		"no attachments": {
			doc: cutElement(t, doc, "<AttachmentEncoded>", "</AttachmentEncoded>"), notes: []string{"manifest_more"},
			change: func(m *Message) { m.Attachments = nil },
		},
		"cid twice": {doc: swap(t, doc, "<AttachmentEncoded><Attachment><ContentId>cid:a1", "<AttachmentEncoded><Attachment><ContentId>cid:cid:cid:a1")},
		"no cid":    {doc: swap(t, doc, "<ContentId>cid:a1", "<ContentId>a1")},
		"description in the manifest only": {doc: swap(t, doc,
			"<Description>Văn bản chính</Description><ContentType>", "<ContentType>")},
		"manifest says zip": {doc: swap(t, doc, "<edXML:ContentType>application/pdf", "<edXML:ContentType>application/zip"), notes: []string{"manifest_type"}},
		"name after content": {doc: swap(t, doc, "<AttachmentName>08-SM-VP.pdf</AttachmentName>", "",
			"</edXML:ContentTransferEncoded>", "</edXML:ContentTransferEncoded><AttachmentName>08-SM-VP.pdf</AttachmentName>")},
		"type after content": {doc: swap(t, doc, "<ContentType>application/pdf</ContentType>", "",
			"</edXML:ContentTransferEncoded>", "</edXML:ContentTransferEncoded><ContentType>application/pdf</ContentType>")},
		"type in the manifest only": {doc: swap(t, doc, "<ContentType>application/pdf</ContentType>", ""), notes: []string{"no_content_type"}},
		"name in the manifest only": {doc: swap(t, doc, "<AttachmentName>08-SM-VP.pdf</AttachmentName>", "")},
		"name with path":            {doc: swap(t, doc, "<AttachmentName>08", `<AttachmentName>C:\van thu\..\08`), notes: []string{"name_with_path"}},
		"packed by a builder": {
			doc: swap(t, doc, "<AttachmentName>08-SM-VP.pdf", "<AttachmentName>ghi chú.TXT", content, strings.Replace(content, "pdf", "zip", 1),
				pdf, b64(archive(t, [2]string{entryID, "Nội dung\n"}))),
			notes: []string{"manifest_type"}, text: "Nội dung\n",
			change: func(m *Message) {
				m.Attachments[0].Name, m.Attachments[0].ContentType = "ghi chú.TXT", "application/zip"
			},
		},
		"a real archive": {
			doc: swap(t, doc, "<AttachmentName>08-SM-VP.pdf", "<AttachmentName>hồ sơ.zip", content, strings.Replace(content, "pdf", "zip", 1),
				pdf, b64(archive(t, [2]string{"a.pdf", "x"}, [2]string{"phụ lục/b.pdf", "y"}))),
			notes: []string{"manifest_type"}, text: string(archive(t, [2]string{"a.pdf", "x"}, [2]string{"phụ lục/b.pdf", "y"})),
			change: func(m *Message) {
				m.Attachments[0].Name, m.Attachments[0].ContentType = "hồ sơ.zip", "application/zip"
			},
		},
		"content unlike its name": {
			doc: swap(t, doc, pdf, b64([]byte("PK\x03\x04 not a PDF"))), notes: []string{"content_unlike_name"}, text: "PK\x03\x04 not a PDF",
			change: func(*Message) {},
		},
		"empty content": {
			doc: swap(t, doc, ">"+pdf+"</edXML:ContentTransferEncoded>", "/>"), notes: []string{"content_unlike_name"}, text: "-",
			change: func(*Message) {},
		},
		"dates of other forms": {doc: swap(t, doc, "<edXML:PromulgationDate>2026/03/05", "<edXML:PromulgationDate>05/03/2026",
			"<edXML:Timestamp>2026/03/05 09:15:00", "<edXML:Timestamp>2026-03-05T09:15:00"), notes: []string{"date_form", "date_form"}},
		"optional date unreadable": {doc: swap(t, doc, "<edXML:OtherInfo>", "<edXML:DueDate>2026/13/45</edXML:DueDate><edXML:OtherInfo>"), notes: []string{"date_unreadable"}},
		"numbers that are none": {
			doc:   swap(t, doc, "<edXML:PageAmount>1", "<edXML:PageAmount>mười", "<edXML:Priority>0", "<edXML:Priority>"),
			notes: []string{"not_number", "not_number"},
		},
		"empty steering type": {
			doc: swap(t, doc, "<edXML:SteeringType>1", "<edXML:SteeringType>"), notes: []string{"not_number"},
			change: func(m *Message) { m.Steering = nil },
		},
		"long subject": {
			doc: swap(t, doc, "<edXML:Subject>V/v", "<edXML:Subject>"+strings.Repeat("đ", 600)+" V/v"), notes: []string{"long"},
			change: func(m *Message) { m.Subject = strings.Repeat("đ", 600) + " " + m.Subject },
		},
		"a new document that names an old one": {doc: swap(t, doc, "<edXML:Bussiness>", "<edXML:Bussiness><edXML:DocumentId>x</edXML:DocumentId>")},
		"paper beside business": {
			doc:    swap(t, doc, "<edXML:Paper>0</edXML:Paper>", "", "<edXML:TraceHeaderList>", "<edXML:TraceHeaderList><edXML:Paper>1</edXML:Paper>"),
			change: func(m *Message) { m.Business.Paper = 1 },
		},
	}
	plain, _ := mustRead(t, []byte(doc))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, mem := mustRead(t, []byte(test.doc))
			want := *plain
			want.Attachments = append([]Attachment(nil), plain.Attachments...)
			if test.change != nil {
				test.change(&want)
			}
			text := "%PDF-1.4\n%%EOF\n"
			if test.text != "" {
				text = strings.TrimPrefix(test.text, "-")
				want.Attachments[0].Size, want.Attachments[0].SHA256 = int64(len(text)), m.Attachments[0].SHA256
			}
			if diff := cmp.Diff(&want, m, equalMessages); diff != "" {
				t.Errorf("Read():\n%s", diff)
			}
			if len(mem.files) > 0 && mem.files[0].String() != text {
				t.Errorf("content = %q, want %q", mem.files[0].String(), text)
			}
			var keys []string
			for _, n := range m.Notes {
				keys = append(keys, n.Key)
				if vi, en := n.Text("vi"), n.Text("en"); vi == en || strings.Contains(vi+en, "%!") || !strings.HasPrefix(vi, n.Path+": ") {
					t.Errorf("note %q, %q", vi, en)
				}
			}
			if diff := cmp.Diff(test.notes, keys); diff != "" {
				t.Errorf("notes:\n%s", diff)
			}
			// However the bytes arrive, they make the same message.
			for _, r := range []io.Reader{
				iotest.OneByteReader(strings.NewReader(test.doc)), iotest.DataErrReader(strings.NewReader(test.doc)), iotest.HalfReader(strings.NewReader(test.doc)),
			} {
				again, err := Read(r, ReadOptions{Now: now})
				if diff := cmp.Diff(m, again, equalMessages); err != nil || diff != "" {
					t.Errorf("in other portions: %v\n%s", err, diff)
				}
			}
		})
	}
}

// reordered turns the order of siblings round in three places.
func reordered(t *testing.T, doc string) string {
	i, j := strings.Index(doc, "<edXML:Bussiness>"), strings.Index(doc, "</edXML:Bussiness>")+len("</edXML:Bussiness>")
	k := strings.Index(doc, "</edXML:TraceHeader>") + len("</edXML:TraceHeader>")
	doc = doc[:i] + doc[j:k] + doc[i:j] + doc[k:]
	return swap(t, doc,
		"<edXML:OrganizationInCharge>UBND tỉnh Ví Dụ</edXML:OrganizationInCharge><edXML:OrganName>Sở Mẫu</edXML:OrganName>",
		"<edXML:OrganName>Sở Mẫu</edXML:OrganName><edXML:OrganizationInCharge>UBND tỉnh Ví Dụ</edXML:OrganizationInCharge>",
		"<edXML:CodeNumber>08</edXML:CodeNumber><edXML:CodeNotation>SM-VP</edXML:CodeNotation>",
		"<edXML:CodeNotation>SM-VP</edXML:CodeNotation><edXML:CodeNumber>08</edXML:CodeNumber>")
}

// TestStatusTolerated reads status messages as they come.
func TestStatusTolerated(t *testing.T) {
	doc := string(testdata(t, "status.xml"))
	m, _ := mustRead(t, []byte(swap(t, doc, "<edXML:StatusCode>03", "<edXML:StatusCode>3", "2026/03/05 10:02:41", "05/03/2026 10:02:41",
		"<edXML:OrganId>H99.07</edXML:OrganId><edXML:Code>08/SM-VP</edXML:Code>", "<edXML:Code>08/SM-VP</edXML:Code><edXML:OrganId>H99.07</edXML:OrganId>")))
	plain, _ := mustRead(t, []byte(doc))
	if diff := cmp.Diff(plain, m, equalMessages); diff != "" {
		t.Error(diff)
	}
	if len(m.Notes) != 2 {
		t.Errorf("notes = %v", m.Notes)
	}
}

// TestBuilderArchives reads archives as several programs make them: sizes before the data or behind, with a signature
// before the latter or not, of four bytes or of eight, packed or not.
func TestBuilderArchives(t *testing.T) {
	const text = "Một tệp văn bản, một tệp văn bản.\n"
	create := func(h *zip.FileHeader, raw []byte) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		var w io.Writer
		var err error
		if raw != nil {
			w, err = z.CreateRaw(h)
		} else {
			w, err = z.CreateHeader(h)
			raw = []byte(text)
		}
		if err == nil {
			_, err = w.Write(raw)
		}
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	streamed := create(&zip.FileHeader{Name: "a.txt", Method: zip.Deflate}, nil)
	descriptor := bytes.Index(streamed, []byte("PK\x07\x08"))
	directory := bytes.Index(streamed, []byte("PK\x01\x02"))
	packed := streamed[30+len("a.txt") : descriptor]
	moved := func(b []byte, by int) []byte { // the end record says where the directory begins
		end := bytes.LastIndex(b, []byte("PK\x05\x06"))
		b[end+16] += byte(by)
		return b
	}
	bare := moved(append(append(bytes.Clone(streamed[:descriptor]), streamed[descriptor+4:directory]...), streamed[directory:]...), -4)
	d := streamed[descriptor+4 : directory]
	wide := append(bytes.Clone(streamed[:descriptor+4]), d[:4]...)
	wide = append(append(append(append(wide, d[4:8]...), 0, 0, 0, 0), d[8:12]...), 0, 0, 0, 0)
	wide = moved(append(wide, streamed[directory:]...), 8)
	sum := crc32.ChecksumIEEE([]byte(text))
	tests := map[string][]byte{
		"sizes behind":               streamed,
		"sizes behind, no signature": bare,
		"sizes behind, eight bytes":  wide,
		"sizes before": create(&zip.FileHeader{Name: "a.txt", Method: zip.Deflate, CRC32: sum, CompressedSize64: uint64(len(packed)), UncompressedSize64: uint64(len(text))},
			packed),
		"stored": create(&zip.FileHeader{Name: "a.txt", CRC32: sum, CompressedSize64: uint64(len(text)), UncompressedSize64: uint64(len(text))}, []byte(text)),
	}
	for name, b := range tests {
		e, err := newEntryReader(bytes.NewReader(b), 1<<20)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := io.ReadAll(e); err != nil || string(got) != text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		for at := range b { // a changed bit never makes another file
			bad := bytes.Clone(b)
			bad[at] ^= 1
			if e, err := newEntryReader(bytes.NewReader(bad), 1<<20); err == nil {
				if got, err := io.ReadAll(e); err == nil && string(got) != text {
					t.Errorf("%s: byte %d changed: %q", name, at, got)
				}
			}
			if e, err := newEntryReader(bytes.NewReader(b[:at]), 1<<20); err == nil {
				if got, err := io.ReadAll(e); err == nil {
					t.Errorf("%s: cut at %d: %q", name, at, got)
				}
			}
		}
	}
}

// TestLateName puts a large attachment aside until its name is known, and leaves nothing behind.
func TestLateName(t *testing.T) {
	content := random(3 << 20)
	doc := swap(t, string(withContent(t, content, "x.pdf", 76)), "<AttachmentName>x.pdf</AttachmentName>", "",
		"</edXML:ContentTransferEncoded>", "</edXML:ContentTransferEncoded><AttachmentName>x.pdf</AttachmentName>")
	for _, cut := range []int{0, 200} {
		dir := t.TempDir()
		var mem memory
		_, err := Read(strings.NewReader(doc[:len(doc)-cut]), ReadOptions{Now: now, Sink: mem.sink, TempDir: dir})
		if (err != nil) != (cut > 0) {
			t.Errorf("cut by %d: %v", cut, err)
		}
		if cut == 0 && !bytes.Equal(mem.files[0].Bytes(), content) {
			t.Error("another content")
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("cut by %d: left behind: %v, %v", cut, left, err)
		}
	}
	if _, err := Read(strings.NewReader(doc), ReadOptions{TempDir: t.TempDir() + "/none"}); err == nil || strings.Contains(err.Error(), "N.") {
		t.Errorf("without a folder: %v", err)
	}
}
