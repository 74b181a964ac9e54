package edxml_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"truc/edxml"
)

func ExampleRead() {
	f, err := os.Open("testdata/document.xml")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = f.Close() }()
	m, err := edxml.Read(f, edxml.ReadOptions{Now: time.Date(2026, 3, 5, 3, 0, 0, 0, time.UTC)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.From.Name, "→", m.To[0].Name)
	fmt.Println(m.Code, m.Date, m.Subject)
	fmt.Println(m.Attachments[0].Name, m.Attachments[0].Size, "byte")
	// Output:
	// Sở Mẫu → Bộ Ví Dụ
	// 08/SM-VP 2026/03/05 V/v thử nghiệm liên thông
	// 08-SM-VP.pdf 15 byte
}

func ExampleRead_refusal() {
	_, err := edxml.Read(strings.NewReader(`<!DOCTYPE edXML [<!ENTITY x "y">]><edXML/>`), edxml.ReadOptions{})
	if e, ok := errors.AsType[*edxml.Error](err); ok {
		fmt.Println(e.Code, e.Text("vi"))
	}
	// Output: 22 M.edXML: Không được có DOCTYPE hay chỉ thị khác.
}

func ExampleWrite() {
	date := edxml.Date{Year: 2026, Month: 3, Day: 5}
	code := edxml.Code{Number: "08", Notation: "SM-VP"}
	m := &edxml.Message{
		From: edxml.Organization{ID: "H99.07", Name: "Sở Mẫu"}, To: []edxml.Organization{{ID: "G98", Name: "Bộ Ví Dụ"}},
		DocumentID: edxml.MakeDocumentID("H99.07", date, code), Code: code, Date: date, Subject: "V/v thử nghiệm",
		Attachments: []edxml.Attachment{{Name: "08-SM-VP.pdf", Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("%PDF-1.7\n")), nil
		}}},
	}
	var b bytes.Buffer
	if err := edxml.Write(&b, m); err != nil {
		fmt.Println(err)
		return
	}
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, "DocumentId") {
			fmt.Println(strings.TrimSpace(line))
		}
	}
	// Output: <edXML:DocumentId>H99.07,2026/03/05,08/SM-VP</edXML:DocumentId>
}
