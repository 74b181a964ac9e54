package app

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"truc/internal/documents"
	"truc/internal/documents/paper"
	"truc/internal/errs"
)

// Documents as DOCX go into the template of their type, then into the agency's general one, then into the decree's form.
func TestPrintWord(t *testing.T) {
	n, _ := signingNode(t, Config{Env: "development", Sign: SignConfig{Development: true}})
	kind, _ := documents.TypeOf("QĐ")
	p := documents.Paper{Agency: "Sở Mẫu", Type: kind, Subject: "việc thử"}
	plain, err := n.printWord(p)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, content []byte) {
		if err := os.MkdirAll(n.path("templates"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(n.path("templates"), name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("document.docx", make([]byte, paper.MaxTemplate+1))
	if _, err := n.printWord(p); !errs.Is(err, errs.TooLarge) {
		t.Errorf("a template that is too large: %v", err)
	}
	put("qd.docx", []byte("no template"))
	if _, err := n.printWord(p); !errs.Is(err, errs.Invalid) {
		t.Errorf("the template of the type is not taken first: %v", err)
	}
	put("qd.docx", plain.Content) // has no fields
	if _, err := n.printWord(p); !errs.Is(err, errs.Invalid) {
		t.Errorf("a template without fields: %v", err)
	}
	if !bytes.HasPrefix(plain.Content, []byte("PK")) || plain.Name != "du-thao-quyet-dinh.docx" {
		t.Errorf("without a template: %q", plain.Name)
	}
}
