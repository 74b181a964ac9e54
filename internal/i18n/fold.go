package i18n

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// NFC returns s in Unicode normalisation form C. Everything that enters a node passes here: macOS and iOS send
// decomposed letters, and signatures, look-ups and PDF glyphs differ otherwise.
func NFC(s string) string { return norm.NFC.String(s) }

// Fold returns s in lower case without diacritics, đ as d, and white space collapsed, so that
// "dang ky khai sinh" finds "Đăng ký khai sinh".
func Fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space := true
	for _, r := range norm.NFD.String(s) {
		switch {
		case r == 'đ' || r == 'Đ':
			b.WriteByte('d')
			space = false
		case unicode.Is(unicode.Mn, r):
		case unicode.IsSpace(r):
			if !space {
				b.WriteByte(' ')
			}
			space = true
		default:
			b.WriteRune(unicode.ToLower(r))
			space = false
		}
	}
	return strings.TrimRight(b.String(), " ")
}
