package edxml

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"
)

// TestRefused holds what must not get in, with its code, its place and its reason. Nothing refused reaches the sink whole.
func TestRefused(t *testing.T) {
	doc := string(testdata(t, "document.xml"))
	status := string(testdata(t, "status.xml"))
	const pdf = "JVBERi0xLjQKJSVFT0YK"
	b64 := base64.StdEncoding.EncodeToString
	deep := func(n int) string { // the root is the first
		return swap(t, doc, "<AttachmentEncoded>", strings.Repeat("<d>", n-1)+strings.Repeat("</d>", n-1)+"<AttachmentEncoded>")
	}
	file := func(name string, content []byte) string {
		return swap(t, doc, "<AttachmentName>08-SM-VP.pdf", "<AttachmentName>"+name, pdf, b64(content))
	}
	packed := func(content []byte) string {
		return swap(t, file("x.txt", content), "<ContentType>application/pdf", "<ContentType>application/zip")
	}
	zipped := func(content []byte) string {
		return swap(t, file("x.zip", content), "<ContentType>application/pdf", "<ContentType>application/zip")
	}
	bomb := archive(t, [2]string{"a.txt", strings.Repeat("\n", 3<<20)})
	type refusal struct {
		doc       string
		code      int
		path, key string
	}
	tests := map[string]refusal{
		"nothing":            {"", 22, "M.edXML", "empty"},
		"text":               {"Kính gửi", 22, "M.edXML", "bytes_before"},
		"blank before":       {" " + doc, 22, "M.edXML", "bytes_before"},
		"two marks":          {"\ufeff\ufeff" + doc, 22, "M.edXML", "bytes_before"},
		"UTF-16":             {utf16Text(doc), 22, "M.edXML", "encoding"},
		"declared UTF-16":    {swap(t, doc, `"UTF-8"`, `"UTF-16"`), 22, "M.edXML", "encoding"},
		"windows-1258":       {swap(t, doc, `"UTF-8"`, `"windows-1258"`), 22, "M.edXML", "encoding"},
		"not UTF-8":          {swap(t, doc, "Sở Mẫu", "S\xff M"), 22, "M.edXML", "malformed"},
		"cut":                {doc[:700], 22, "M.edXML", "malformed"},
		"cut in the content": {doc[:strings.Index(doc, pdf)+5], 22, "M." + pathContent, "cut"},
		"cut after a tag":    {doc[:strings.LastIndex(doc, "</edXML>")], 22, "M.edXML", "malformed"},
		"two roots":          {doc + "<edXML/>", 22, "M.edXML", "malformed"},
		"text behind":        {doc + "x", 22, "M.edXML", "malformed"},
		"attribute twice":    {swap(t, doc, `version="1.0"><edXML:Reference>`, `version="1.0" version="2.0"><edXML:Reference>`), 22, "M.edXML", "malformed"},
		"declaration inside": {swap(t, doc, "<AttachmentEncoded>", `<?xml version="1.0"?><AttachmentEncoded>`), 22, "M.edXML", "malformed"},
		"HTML":               {"<html><body>502 Bad Gateway</body></html>", 22, "M.edXML", "root"},
		"doctype":            {swap(t, doc, "<edXML xmlns", "<!DOCTYPE edXML [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n<edXML xmlns"), 22, "M.edXML", "doctype"},
		"directive inside":   {swap(t, doc, "<edXML:Subject>", "<!ENTITY x \"y\"><edXML:Subject>"), 22, "M.edXML", "doctype"},
		"entity":             {swap(t, doc, "Sở Mẫu", "S&x; M"), 22, "M.edXML", "entity"},
		"entity in HTML":     {swap(t, doc, "Sở Mẫu", "S&nbsp;M"), 22, "M.edXML", "entity"},
		"envelope as root":   {"<edXMLEnvelope xmlns=\"" + Namespace + "\"></edXMLEnvelope>", 22, "M.edXML", "old_variant"},
		"eDoc":               {"<EdXMLEnvelope xmlns=\"http://www.go.vn/eDoc\"/>", 22, "M.edXML", "old_variant"},
		"e-doc":              {"<edXML xmlns=\"http://www.e-doc.vn/Schema/\"/>", 22, "M.edXML", "old_variant"},
		"depth":              {deep(33), 22, "R.edXML", "too_deep"},
		"elements":           {swap(t, doc, "<AttachmentEncoded>", strings.Repeat("<d/>", 100_001)+"<AttachmentEncoded>"), 22, "R.edXML", "too_many_elements"},
		"attributes":         {swap(t, doc, "<edXML:TraceHeaderList>", "<edXML:TraceHeaderList "+attributes(65)+">"), 22, "R.edXML", "too_many_attributes"},
		"header too large":   {swap(t, doc, "<edXML:Subject>", "<edXML:Subject>"+strings.Repeat("x", 4<<20)), 22, "R.edXML", "header_too_large"},
		"receivers": {
			swap(t, doc, "<edXML:DocumentId>H99", receivers(1000)+"<edXML:DocumentId>H99"),
			22, "R.MessageHeader.To", "too_many",
		},
		"attachments": {
			swap(t, doc, "</AttachmentEncoded>", strings.Repeat(doc[strings.Index(doc, "<Attachment>"):strings.Index(doc, "</AttachmentEncoded>")], 200)+"</AttachmentEncoded>"),
			22, "R." + pathAttachment, "too_many",
		},

		"no envelope":           {"<edXML xmlns=\"" + Namespace + "\"/>", 22, "N.edXMLEnvelope", "missing"},
		"no header":             {swap(t, doc, "MessageHeader>", "X>"), 22, "N.MessageHeader", "missing"},
		"two headers":           {swap(t, doc, "</edXML:MessageHeader>", "</edXML:MessageHeader><edXML:MessageHeader/>"), 22, "R.edXMLHeader.MessageHeader", "twice"},
		"two senders":           {swap(t, doc, "<edXML:To>", "<edXML:From><edXML:OrganId>G01</edXML:OrganId></edXML:From><edXML:To>"), 22, "R.MessageHeader.From", "twice"},
		"two codes of a sender": {swap(t, doc, "<edXML:OrganId>H99.07</edXML:OrganId><edXML:OrganizationInCharge>", "<edXML:OrganId>H99.07</edXML:OrganId><OrganId>G01</OrganId><edXML:OrganizationInCharge>"), 22, "R.MessageHeader.From.OrganId", "twice"},
		"no sender":             {cutElement(t, doc, "<edXML:From>", "</edXML:From>"), 22, "N.MessageHeader.From.OrganId", "missing"},
		"no sender name":        {swap(t, doc, "Sở Mẫu", " "), 22, "N.MessageHeader.From.OrganName", "missing"},
		"no receiver":           {cutElement(t, doc, "<edXML:To>", "</edXML:To>"), 22, "N.MessageHeader.To", "missing"},
		"receiver without code": {swap(t, doc, "<edXML:OrganId>G98", "<edXML:OrganId>"), 22, "N.MessageHeader.To.OrganId", "missing"},
		"receiver twice":        {swap(t, doc, "</edXML:To>", "</edXML:To><edXML:To><edXML:OrganId> G98</edXML:OrganId></edXML:To>"), 22, "R.MessageHeader.To.OrganId", "receiver_twice"},
		"no number":             {swap(t, doc, "<edXML:CodeNumber>08", "<edXML:CodeNumber>"), 22, "N.MessageHeader.Code.CodeNumber", "missing"},
		"no notation":           {swap(t, doc, "<edXML:CodeNotation>SM-VP", "<edXML:CodeNotation>"), 22, "N.MessageHeader.Code.CodeNotation", "missing"},
		"no date":               {swap(t, doc, "<edXML:PromulgationDate>2026/03/05", "<edXML:PromulgationDate>"), 22, "N.MessageHeader.PromulgationInfo.PromulgationDate", "missing"},
		"bad date":              {swap(t, doc, "<edXML:PromulgationDate>2026/03/05", "<edXML:PromulgationDate>2026/02/30"), 22, "M.MessageHeader.PromulgationInfo.PromulgationDate", "bad_date"},
		"future date":           {swap(t, doc, "<edXML:PromulgationDate>2026/03/05", "<edXML:PromulgationDate>2026/03/07"), 22, "R.MessageHeader.PromulgationInfo.PromulgationDate", "future_date"},
		"no subject":            {cutElement(t, doc, "<edXML:Subject>", "</edXML:Subject>"), 22, "N.MessageHeader.Subject", "missing"},
		"kind 4":                {swap(t, doc, "<edXML:BussinessDocType>0", "<edXML:BussinessDocType>4"), 22, "R.TraceHeaderList.Bussiness.BussinessDocType", "bad_kind"},
		"update of nothing":     {swap(t, doc, "<edXML:BussinessDocType>0", "<edXML:BussinessDocType>2"), 22, "N.TraceHeaderList.Bussiness.DocumentId", "missing"},
		"replacement of nothing": {
			swap(t, doc, "<edXML:BussinessDocType>0", "<edXML:BussinessDocType>3"),
			22, "N.TraceHeaderList.Bussiness.ReplacementInfoList.ReplacementInfo.DocumentId", "missing",
		},
		"replacement without kind": {
			swap(t, doc, "<edXML:BussinessDocType>0</edXML:BussinessDocType>", "<ReplacementInfoList><ReplacementInfo><DocumentId>x</DocumentId></ReplacementInfo></ReplacementInfoList>"),
			22, "N.TraceHeaderList.Bussiness.BussinessDocType", "missing",
		},
		"subject too long":       {swap(t, doc, "<edXML:Subject>", "<edXML:Subject>"+strings.Repeat("đ", 1000)), 22, "R.MessageHeader.Subject", "too_long"},
		"code too long":          {swap(t, doc, "<edXML:OrganId>G98", "<edXML:OrganId>G98."+strings.Repeat("1", 32)), 22, "R.MessageHeader.To.OrganId", "too_long"},
		"status without code":    {swap(t, status, "<edXML:StatusCode>03</edXML:StatusCode>", ""), 22, "N.MessageHeader.StatusCode", "missing"},
		"status for nobody":      {swap(t, status, "<edXML:OrganId>H99.07</edXML:OrganId>", ""), 22, "N.MessageHeader.ResponseFor.OrganId", "missing"},
		"status of no document":  {swap(t, status, "<edXML:DocumentId>H99.07,2026/03/05,08/SM-VP</edXML:DocumentId>", ""), 22, "N.MessageHeader.ResponseFor.DocumentId", "missing"},
		"status about nothing":   {cutElement(t, status, "<edXML:ResponseFor>", "</edXML:ResponseFor>"), 22, "N.MessageHeader.ResponseFor.OrganId", "missing"},
		"status in words":        {swap(t, status, "<edXML:StatusCode>03", "<edXML:StatusCode>xong"), 22, "M.MessageHeader.StatusCode", "bad_status"},
		"content misplaced":      {swap(t, doc, "<edXML:Subject>", "<ContentTransferEncoded>QQ==</ContentTransferEncoded><edXML:Subject>"), 22, "M." + pathContent, "misplaced"},
		"content twice":          {swap(t, doc, "</Attachment>", "<ContentTransferEncoded>QQ==</ContentTransferEncoded></Attachment>"), 22, "R." + pathContent, "twice"},
		"no content":             {swap(t, doc, "ContentTransferEncoded", "Content"), 21, "N." + pathContent, "missing"},
		"no file name":           {swap(t, doc, "AttachmentName>", "N>"), 21, "N." + pathAttachment + ".AttachmentName", "missing"},
		"dots as file name":      {swap(t, doc, "<AttachmentName>08-SM-VP.pdf", "<AttachmentName>a/.."), 21, "M." + pathAttachment + ".AttachmentName", "bad_name"},
		"line end in file name":  {swap(t, doc, "<AttachmentName>08", "<AttachmentName>0\n8"), 21, "M." + pathAttachment + ".AttachmentName", "bad_name"},
		"file name too long":     {swap(t, doc, "<AttachmentName>08", "<AttachmentName>"+strings.Repeat("x", 1001)), 21, "R." + pathAttachment + ".AttachmentName", "too_long"},
		"program by name":        {file("x.exe", []byte("abc")), 21, "T." + pathAttachment + ".AttachmentName", "type_not_allowed"},
		"program by last ending": {file("x.pdf.BAT", []byte("abc")), 21, "T." + pathAttachment + ".AttachmentName", "type_not_allowed"},
		"no ending":              {file("pdf", []byte("abc")), 21, "T." + pathAttachment + ".AttachmentName", "type_not_allowed"},
		"Windows program":        {file("x.pdf", []byte("MZ\x90\x00")), 21, "T." + pathContent, "executable"},
		"Linux program":          {file("x.pdf", []byte("\x7fELF\x02")), 21, "T." + pathContent, "executable"},
		"macOS program":          {file("x.pdf", []byte("\xcf\xfa\xed\xfe")), 21, "T." + pathContent, "executable"},
		"script":                 {file("x.txt", []byte("#!/bin/sh")), 21, "T." + pathContent, "executable"},
		"packed program":         {packed(archive(t, [2]string{"a.txt", "MZ\x90\x00"})), 21, "T." + pathContent, "executable"},
		"bad digit":              {swap(t, doc, pdf, "JVBERi0xLjQK*SVFT0YK"), 21, "M." + pathContent, "base64"},
		"URL alphabet":           {swap(t, doc, pdf, "JVBERi0xLjQK-_VFT0YK"), 21, "M." + pathContent, "base64"},
		"part of a group":        {swap(t, doc, pdf, pdf+"QQ"), 21, "M." + pathContent, "base64"},
		"padding in the middle":  {swap(t, doc, pdf, "QQ=="+pdf), 21, "M." + pathContent, "base64"},
		"padding too early":      {swap(t, doc, pdf, pdf+"Q==="), 21, "M." + pathContent, "base64"},
		"padding too long":       {swap(t, doc, pdf, pdf+"QQ==="), 21, "M." + pathContent, "base64"},
		"padding then digit":     {swap(t, doc, pdf, pdf+"QQ=Q"), 21, "M." + pathContent, "base64"},
		"CDATA left open":        {swap(t, doc, pdf, "<![CDATA["+pdf), 21, "M." + pathContent, "base64"},
		"CDATA half closed":      {swap(t, doc, pdf, "<![CDATA["+pdf+"]]"), 21, "M." + pathContent, "base64"},
		"entity in content":      {swap(t, doc, pdf, "&amp;"+pdf), 21, "M." + pathContent, "base64"},
		"reference to far":       {swap(t, doc, pdf, "&#256;"+pdf), 21, "M." + pathContent, "base64"},
		"element in content":     {swap(t, doc, pdf, "<x/>"+pdf), 21, "M." + pathContent, "markup_in_content"},
		"comment in content":     {swap(t, doc, pdf, "<!-- -->"+pdf), 21, "M." + pathContent, "markup_in_content"},

		"packed: no archive":    {packed([]byte("%PDF-1.4")), 21, "M." + pathContent, "not_zip"},
		"packed: empty archive": {packed(archive(t)), 21, "M." + pathContent, "not_zip"},
		"packed: two entries":   {packed(archive(t, [2]string{"a.txt", "x"}, [2]string{"b.txt", "y"})), 21, "M." + pathContent, "zip_entries"},
		"packed: bomb":          {packed(bomb), 21, "R." + pathContent, "zip_bomb"},
		"packed: encrypted":     {packed(encrypted(archive(t, [2]string{"a.txt", "x"}))), 21, "M." + pathContent, "zip_encrypted"},
		"packed: bytes behind":  {packed(append(archive(t, [2]string{"a.txt", "x"}), 0)), 21, "M." + pathContent, "zip_corrupt"},
		"archive: not one":      {zipped([]byte("PK\x03\x04")), 21, "M." + pathContent, "not_zip"},
		"archive: bomb":         {zipped(bomb), 21, "R." + pathContent, "zip_bomb"},
		"archive: encrypted":    {zipped(encrypted(archive(t, [2]string{"a.txt", "x"}))), 21, "M." + pathContent, "zip_encrypted"},
		"archive: too many":     {zipped(manyEntries(t, 60_000)), 21, "M." + pathContent, "not_zip"},
		"archive: claims":       {zipped(manyClaimed()), 21, "R." + pathContent, "zip_bomb"},
	}
	for _, name := range []string{"../x.txt", "/x.txt", "a/x.txt", `a\x.txt`, `\x.txt`, "C:x.txt", "..", "x\x00.txt"} {
		tests["packed: "+name] = refusal{packed(archive(t, [2]string{name, "x"})), 21, "M." + pathContent, "zip_name"}
	}
	for _, name := range []string{"../x.txt", "/x.txt", "a/../../x.txt", `..\x.txt`, `C:\x.txt`, `\\server\x.txt`, "x\x00.txt"} {
		tests["archive: "+name] = refusal{zipped(archive(t, [2]string{"ok.txt", "x"}, [2]string{name, "x"})), 21, "M." + pathContent, "zip_name"}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.doc), iotest.HalfReader(strings.NewReader(test.doc))} {
				var mem memory
				_, err := Read(r, ReadOptions{Now: now, Sink: mem.sink})
				e, ok := errors.AsType[*Error](err)
				if !ok {
					t.Fatalf("Read() = %v, want a refusal", err)
				}
				if e.Code != test.code || e.Path != test.path || e.Key != test.key {
					t.Errorf("Read() = %d %s %s (%v), want %d %s %s", e.Code, e.Path, e.Key, e, test.code, test.path, test.key)
				}
				vi, en := e.Text("vi"), e.Text("en")
				if vi == en || strings.Contains(vi+en, "%!") || !strings.HasPrefix(vi, e.Path+": ") {
					t.Errorf("texts %q, %q", vi, en)
				}
				for _, f := range mem.files {
					if f.closed == f.discarded || f.closed && test.code == 21 && len(mem.files) == 1 && test.key != "missing" {
						t.Errorf("file closed %v, discarded %v", f.closed, f.discarded)
					}
				}
			}
		})
	}
	if _, err := Read(strings.NewReader(deep(32)), ReadOptions{Now: now}); err != nil {
		t.Errorf("32 levels: %v", err)
	}
	if _, err := Read(strings.NewReader(swap(t, doc, "<edXML:PromulgationDate>2026/03/05", "<edXML:PromulgationDate>2026/03/06")), ReadOptions{Now: now}); err != nil {
		t.Errorf("issued tomorrow: %v", err)
	}
}

func utf16Text(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `a%d="" `, i)
	}
	return b.String()
}

func receivers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<To><OrganId>H01.%d</OrganId></To>", i)
	}
	return b.String()
}

// encrypted sets the mark of encryption in both headers of the first entry.
func encrypted(b []byte) []byte {
	b[6] |= 1
	b[bytes.Index(b, []byte("PK\x01\x02"))+8] |= 1
	return b
}

func manyEntries(t *testing.T, n int) []byte {
	entries := make([][2]string, n)
	for i := range entries {
		entries[i][0] = "thư mục/" + strconv.Itoa(i) + ".txt"
	}
	return archive(t, entries...)
}

// manyClaimed is an archive whose end says that there are millions of entries.
func manyClaimed() []byte {
	b := []byte("PK\x03\x04")
	end64 := make([]byte, 56)
	copy(end64, "PK\x06\x06")
	binary.LittleEndian.PutUint64(end64[4:], 44)
	binary.LittleEndian.PutUint64(end64[24:], 16<<20)
	binary.LittleEndian.PutUint64(end64[32:], 16<<20)
	locator := make([]byte, 20)
	copy(locator, "PK\x06\x07")
	binary.LittleEndian.PutUint64(locator[8:], uint64(len(b)))
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	for i := 8; i < 20; i++ {
		end[i] = 0xff
	}
	return append(append(append(b, end64...), locator...), end...)
}

// TestLimits holds the limits that a caller may set.
func TestLimits(t *testing.T) {
	content := random(200 << 10)
	doc := withContent(t, content, "x.pdf", 0)
	for name, test := range map[string]struct {
		opt  ReadOptions
		path string
	}{
		"message":           {ReadOptions{Limits: Limits{Message: int64(len(doc)) - 1}}, "R.edXML"},
		"small message":     {ReadOptions{Limits: Limits{Message: 2}}, "R.edXML"},
		"attachment":        {ReadOptions{Limits: Limits{Attachment: int64(len(content)) - 1}}, "R." + pathContent},
		"header":            {ReadOptions{Limits: Limits{Header: 1000}}, "R.edXML"},
		"types":             {ReadOptions{Types: []string{"txt"}}, "T." + pathAttachment + ".AttachmentName"},
		"just enough":       {ReadOptions{Limits: Limits{Message: int64(len(doc)), Attachment: int64(len(content))}, Types: []string{"pdf"}, Strict: true}, ""},
		"no date is future": {ReadOptions{}, ""},
	} {
		_, err := Read(bytes.NewReader(doc), test.opt)
		e, _ := errors.AsType[*Error](err)
		if (err == nil) != (test.path == "") || e != nil && e.Path != test.path {
			t.Errorf("%s: %v, want %s", name, err, test.path)
		}
	}
	unlike := withContent(t, []byte("PK\x03\x04"), "x.pdf", 0)
	if _, err := Read(bytes.NewReader(unlike), ReadOptions{Strict: true}); err == nil || !strings.Contains(err.Error(), "T."+pathContent) {
		t.Errorf("strict: %v", err)
	}
}

// TestFailuresAreNotRefusals tells what the reader or the sink did from what the sender wrote.
func TestFailuresAreNotRefusals(t *testing.T) {
	doc := withContent(t, random(100<<10), "x.pdf", 0)
	broken := errors.New("broken")
	for _, at := range []int{0, 2, 10, 1000, 4000, 50_000, 80_000, len(doc)} {
		for _, cause := range []error{broken, io.ErrUnexpectedEOF} {
			r := io.MultiReader(bytes.NewReader(doc[:at]), iotest.ErrReader(cause))
			_, err := Read(r, ReadOptions{Now: now})
			if e, refused := errors.AsType[*Error](err); !errors.Is(err, cause) || refused {
				t.Errorf("%v after %d bytes: %v, %v", cause, at, err, e)
			}
		}
	}
	packed := swap(t, string(withContent(t, archive(t, [2]string{"a.txt", strings.Repeat("abc", 100)}), "x.txt", 0)), "<ContentType>application/pdf", "<ContentType>application/zip")
	_, err := Read(io.MultiReader(strings.NewReader(packed[:strings.Index(packed, "UEsD")+100]), iotest.ErrReader(io.ErrUnexpectedEOF)), ReadOptions{})
	if _, refused := errors.AsType[*Error](err); !errors.Is(err, io.ErrUnexpectedEOF) || refused {
		t.Errorf("inside an archive: %v", err)
	}
	for _, sink := range []func(int, Attachment) (io.WriteCloser, error){
		func(int, Attachment) (io.WriteCloser, error) { return nil, broken },
		func(int, Attachment) (io.WriteCloser, error) { return failing{write: broken}, nil },
		func(int, Attachment) (io.WriteCloser, error) { return failing{close: broken}, nil },
	} {
		_, err := Read(bytes.NewReader(doc), ReadOptions{Sink: sink})
		if _, refused := errors.AsType[*Error](err); !errors.Is(err, broken) || refused {
			t.Errorf("sink: %v", err)
		}
	}
	if _, err := Read(emptyReader{}, ReadOptions{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader without progress: %v", err)
	}
}

type failing struct{ write, close error }

func (f failing) Write(p []byte) (int, error) { return len(p), f.write }
func (f failing) Close() error                { return f.close }

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, nil }

// TestTexts wants every key of the source in the table, and both languages with the same arguments.
func TestTexts(t *testing.T) {
	verb := regexp.MustCompile(`%[a-z]`)
	for key, s := range sentences {
		if s.vi == "" || s.en == "" || strings.Join(verb.FindAllString(s.vi, -1), "") != strings.Join(verb.FindAllString(s.en, -1), "") {
			t.Errorf("%s: %q, %q", key, s.vi, s.en)
		}
	}
	used := map[string]bool{}
	fset := token.NewFileSet()
	if err := fs.WalkDir(os.DirFS("."), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || path == "texts.go" {
			return err
		}
		f, err := goparser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					used[s] = true
				}
			}
			return true
		})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for key := range sentences {
		if !used[key] {
			t.Errorf("%s is said nowhere", key)
		}
	}
	if got := sentence("vi", "no such key", nil); got != "no such key" {
		t.Errorf("unknown key = %q", got)
	}
}

func TestValidateSaysAll(t *testing.T) {
	var paths []string
	for _, e := range Validate(&Message{}, time.Time{}) {
		paths = append(paths, e.Path)
	}
	want := "N.MessageHeader.From.OrganId N.MessageHeader.From.OrganName N.MessageHeader.To N.MessageHeader.Code.CodeNumber " +
		"N.MessageHeader.Code.CodeNotation N.MessageHeader.PromulgationInfo.PromulgationDate N.MessageHeader.Subject"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("Validate() = %s", got)
	}
}
