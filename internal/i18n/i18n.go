// Package i18n turns message keys into sentences, and dates, money and numbers into the form people read,
// in Vietnamese and English. It also folds text so that a search without accents finds words with them.
package i18n

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
	"time"
)

// Langs are the languages of the catalogue, the default first.
var Langs = []string{"vi", "en"}

// Zone is the time zone of every date a person sees.
var Zone = time.FixedZone("Asia/Ho_Chi_Minh", 7*3600) // no daylight saving since 1975, so no zone database is needed

// Catalogue holds every message in every language.
type Catalogue struct {
	messages map[string]map[string]string // lang → key → text
}

// Load reads <lang>/*.json from fsys. A key that is defined twice in a language is an error.
func Load(fsys fs.FS) (*Catalogue, error) {
	c := &Catalogue{messages: map[string]map[string]string{}}
	for _, lang := range Langs {
		c.messages[lang] = map[string]string{}
		files, err := fs.Glob(fsys, lang+"/*.json")
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			b, err := fs.ReadFile(fsys, f)
			if err != nil {
				return nil, err
			}
			var m map[string]string
			if err := json.Unmarshal(b, &m); err != nil {
				return nil, fmt.Errorf("%s: %w", f, err)
			}
			for k, v := range m {
				if _, dup := c.messages[lang][k]; dup {
					return nil, fmt.Errorf("%s: key %q is defined twice", path.Base(f), k)
				}
				c.messages[lang][k] = v
			}
		}
	}
	return c, nil
}

// T returns the message for key in lang with its {name} placeholders filled from args, which are
// name, value pairs. A message missing in lang falls back to Vietnamese, then to the key in brackets, so
// that a gap is visible but harmless.
func (c *Catalogue) T(lang, key string, args ...any) string {
	text, ok := c.messages[lang][key]
	if !ok {
		if text, ok = c.messages["vi"][key]; !ok {
			return "[" + key + "]"
		}
	}
	if len(args) == 0 {
		return text
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, "{"+fmt.Sprint(args[i])+"}", fmt.Sprint(args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// Has reports whether lang has a text of its own for key.
func (c *Catalogue) Has(lang, key string) bool { _, ok := c.messages[lang][key]; return ok }

// Keys returns all keys of a language, sorted.
func (c *Catalogue) Keys(lang string) []string {
	keys := make([]string, 0, len(c.messages[lang]))
	for k := range c.messages[lang] {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// Text is a text kept in data rather than in the catalogue, by language.
type Text map[string]string

// In returns the text in lang, or in Vietnamese, or in any language there is.
func (t Text) In(lang string) string {
	if s := t[lang]; s != "" {
		return s
	}
	if s := t["vi"]; s != "" {
		return s
	}
	for _, l := range Langs {
		if s := t[l]; s != "" {
			return s
		}
	}
	return ""
}
