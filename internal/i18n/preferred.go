package i18n

import (
	"sync"

	"golang.org/x/text/language"
)

var matcher = sync.OnceValue(func() language.Matcher {
	tags := make([]language.Tag, len(Langs))
	for i, l := range Langs {
		tags[i] = language.Make(l)
	}
	return language.NewMatcher(tags)
})

// Preferred picks the language of the catalogue that an Accept-Language field (RFC 9110 §12.5.4) asks for; the default when it
// asks for none of them.
func Preferred(acceptLanguage string) string {
	_, i := language.MatchStrings(matcher(), acceptLanguage)
	return Langs[i]
}
