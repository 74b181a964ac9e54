package edxml

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 3, 5, 3, 0, 0, 0, time.UTC)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// memory collects attachments; it is a sink.
type memory struct{ files []*memoryFile }

type memoryFile struct {
	meta Attachment
	bytes.Buffer
	closed, discarded bool
}

func (f *memoryFile) Close() error   { f.closed = true; return nil }
func (f *memoryFile) Discard() error { f.discarded = true; return nil }

func (m *memory) sink(i int, a Attachment) (io.WriteCloser, error) {
	if i != len(m.files) {
		return nil, errors.New("out of order")
	}
	f := &memoryFile{meta: a}
	m.files = append(m.files, f)
	return f, nil
}

// reopen lets the attachments of a message that was read be written again.
func (m *memory) reopen(msg *Message) {
	for i, f := range m.files {
		b := f.Bytes()
		msg.Attachments[i].Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	}
}

func mustRead(t testing.TB, b []byte) (*Message, *memory) {
	t.Helper()
	var mem memory
	m, err := Read(bytes.NewReader(b), ReadOptions{Sink: mem.sink, Now: now})
	if err != nil {
		t.Fatalf("Read() = %v\n%.2000s", err, b)
	}
	for i, f := range mem.files {
		if !f.closed || f.discarded {
			t.Errorf("file %d: closed %v, discarded %v", i, f.closed, f.discarded)
		}
	}
	return m, &mem
}

func mustWrite(t testing.TB, m *Message) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, m); err != nil {
		t.Fatalf("Write() = %v", err)
	}
	return b.Bytes()
}

var equalMessages = cmp.Options{
	cmpopts.IgnoreFields(Attachment{}, "Open"), cmpopts.IgnoreFields(Message{}, "Notes"), cmpopts.EquateEmpty(),
}

// TestExamples reads the two examples, writes them, and wants equal models and the bytes of the golden files, twice.
func TestExamples(t *testing.T) {
	for _, name := range []string{"document", "status"} {
		t.Run(name, func(t *testing.T) {
			m, mem := mustRead(t, testdata(t, name+".xml"))
			mem.reopen(m)
			first := mustWrite(t, m)
			again, mem2 := mustRead(t, first)
			if diff := cmp.Diff(m, again, equalMessages); diff != "" {
				t.Errorf("what was written reads as another message:\n%s", diff)
			}
			mem2.reopen(again)
			if second := mustWrite(t, again); !bytes.Equal(first, second) {
				t.Errorf("written twice:\n%s\n%s", first, second)
			}
			if len(again.Notes) > 0 {
				t.Errorf("notes on our own writing: %v", again.Notes)
			}
			golden := name + ".golden.xml"
			if *update {
				if err := os.WriteFile(filepath.Join("testdata", golden), first, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if want := testdata(t, golden); !bytes.Equal(first, want) {
				t.Errorf("Write() = %s\nwant %s", first, want)
			}
		})
	}
}

func TestReadDocument(t *testing.T) {
	m, mem := mustRead(t, testdata(t, "document.xml"))
	one := 1
	want := &Message{
		From:       Organization{ID: "H99.07", InCharge: "UBND tỉnh Ví Dụ", Name: "Sở Mẫu"},
		To:         []Organization{{ID: "G98", Name: "Bộ Ví Dụ"}},
		DocumentID: "H99.07,2026/03/05,08/SM-VP", Code: Code{"08", "SM-VP"}, Place: "Ví Dụ", Date: Date{2026, 3, 5},
		Type: DocumentType{2, 0, "Công văn"}, Subject: "V/v thử nghiệm liên thông", Content: "V/v thử nghiệm liên thông",
		Signer:   Signer{"KT. GIÁM ĐỐC", "Phó Giám đốc", "Họ Tên Mẫu"},
		Other:    OtherInfo{Copies: 1, Pages: 1, Direction: "false"},
		Steering: &one, ToPlaces: []string{"Như trên", "Lưu: VT"},
		Trace:    []Hop{{"H99.07", time.Date(2026, 3, 5, 2, 15, 0, 0, time.UTC)}},
		Business: Business{Reason: "Văn bản điện tử mới"},
		Attachments: []Attachment{{
			ContentID: "a1", Name: "08-SM-VP.pdf", Description: "Văn bản chính", ContentType: "application/pdf", Size: 15,
			SHA256: "14bcd090baf31edba64e9cbd8cdfc15f943344aa72cb3675ad8e91bfcbce03ad",
		}},
	}
	if diff := cmp.Diff(want, m, equalMessages); diff != "" {
		t.Errorf("Read():\n%s", diff)
	}
	if got := mem.files[0].String(); got != "%PDF-1.4\n%%EOF\n" {
		t.Errorf("content = %q", got)
	}
	if id := MakeDocumentID(m.From.ID, m.Date, m.Code); id != m.DocumentID {
		t.Errorf("MakeDocumentID() = %q", id)
	}
	if len(m.Notes) > 0 {
		t.Errorf("notes = %v", m.Notes)
	}
}

func TestReadStatus(t *testing.T) {
	m, _ := mustRead(t, testdata(t, "status.xml"))
	want := &Message{
		From: Organization{ID: "G98", Name: "Bộ Ví Dụ"},
		Type: DocumentType{Type: 2, Detail: -1}, Other: OtherInfo{Copies: 1, Pages: 1},
		ResponseFor: []Reference{{"H99.07", "08/SM-VP", "H99.07,2026/03/05,08/SM-VP", Date{2026, 3, 5}}},
		Status: &Status{
			Code: "03", Description: "Đã tiếp nhận, số đến 112", At: time.Date(2026, 3, 5, 3, 2, 41, 0, time.UTC),
			Staff: Staff{Department: "Văn thư", Name: "Cán Bộ Mẫu", Email: "vanthu@bovidu.example"},
		},
	}
	if diff := cmp.Diff(want, m, equalMessages); diff != "" {
		t.Errorf("Read():\n%s", diff)
	}
}

func TestRefusalSaysWhere(t *testing.T) {
	doc := strings.Replace(string(testdata(t, "document.xml")), "<edXML:OrganId>H99.07</edXML:OrganId><edXML:OrganizationInCharge>", "<edXML:OrganizationInCharge>", 1)
	m, err := Read(strings.NewReader(doc), ReadOptions{Now: now})
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != CodeDocument || e.Path != "N.MessageHeader.From.OrganId" {
		t.Fatalf("Read() = %v", err)
	}
	if m == nil || m.Subject == "" {
		t.Errorf("the message that was refused for its values is not returned")
	}
	if vi, en := e.Text("vi"), e.Text("en"); vi != "N.MessageHeader.From.OrganId: Thiếu thông tin bắt buộc." || en == vi {
		t.Errorf("texts %q, %q", vi, en)
	}
}
