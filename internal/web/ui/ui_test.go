package ui

import (
	"testing"

	"truc/internal/i18n"
	"truc/lang"
)

func testRenderer(t *testing.T) *Renderer {
	t.Helper()
	c, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := NewRenderer(Options{Lang: c, Site: Site{Name: i18n.Text{"vi": "Cổng dịch vụ công", "en": "Public services"}}})
	if err != nil {
		t.Fatal(err)
	}
	return rd
}

func TestNewRenderer(t *testing.T) { testRenderer(t) }
