package i18n

import (
	"strings"
	"testing"
)

func TestPreferred(t *testing.T) {
	for field, want := range map[string]string{
		"": "vi", "vi": "vi", "en": "en", "EN-gb": "en", "en-US,en;q=0.9,vi;q=0.8": "en", "en;q=0.1, vi": "vi", "fr": "vi", "fr, en;q=0.2": "en", "*": "vi",
		"en;q=x": "vi", ";;;": "vi", "\x00": "vi", strings.Repeat("en-x,", 5000): "vi",
	} {
		if got := Preferred(field); got != want {
			t.Errorf("%.40q: %s, want %s", field, got, want)
		}
	}
}
