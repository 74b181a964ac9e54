package paper

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"truc/internal/i18n"
	"truc/internal/pdfdoc"
)

// paragraphGap is 6 points, the least the decree allows (Appendix I, part I, section II.6).
const paragraphGap = 2.12

var (
	article  = regexp.MustCompile(`^Điều \p{Nd}+[a-zđ]?\.`)
	division = regexp.MustCompile(`^(Phần|Chương|Mục|Tiểu mục) [0-9IVXLCDM]+$|^(Phần|PHẦN) (thứ|THỨ) \p{L}+$`)
	numbered = regexp.MustCompile(`^(\p{Nd}+|[IVXLC]+|[a-zđ])[.)]\s`)
)

// body is position 6. Grounds ("Căn cứ …") at its beginning are italic when the document has a type.
func (w *setter) body(text string, grounds bool) []block {
	var out []block
	add := func(b []block) {
		if len(b) > 0 && len(out) > 0 {
			b[0].gap = max(b[0].gap, paragraphGap)
		}
		out = append(out, b...)
	}
	lines := strings.Split(i18n.NFC(strings.ReplaceAll(text, "\r\n", "\n")), "\n")
	wasDivision := false
	for i := 0; i < len(lines); i++ {
		s := strings.TrimSpace(lines[i])
		if s == "" {
			continue
		}
		if strings.HasPrefix(s, "|") {
			from := i
			for i+1 < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i+1]), "|") {
				i++
			}
			add(w.table(lines[from : i+1]))
			grounds, wasDivision = false, false
			continue
		}
		heading, isDivision := headline(s, wasDivision)
		wasDivision = isDivision
		switch {
		case heading != "":
			add(keepAll(w.text(w.s.Break(w.width(), 0, marked(heading, pdfdoc.Font{Size: w.l.Body, Bold: true})...), paragraphGap, pdfdoc.AlignCenter)))
		case grounds && isGround(s):
			add(w.paragraph(marked(s, pdfdoc.Font{Size: w.l.Body, Italic: true})))
			continue
		default:
			add(w.paragraph(articleRuns(s, pdfdoc.Font{Size: w.l.Body})))
		}
		grounds = false
	}
	if len(out) > 0 {
		out[0].gap = 4
	}
	return out
}

func (w *setter) paragraph(runs []pdfdoc.Run) []block {
	return w.text(w.s.Break(w.width(), w.l.Indent, runs...), paragraphGap, pdfdoc.AlignJustify)
}

// isGround reports whether a paragraph is a legal ground, or the proposal that follows the grounds.
func isGround(s string) bool {
	for _, p := range []string{"Căn cứ ", "Theo đề nghị ", "Xét đề nghị ", "Xét tờ trình ", "Xét Tờ trình "} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// headline returns what stands in the middle, "" when the paragraph is none of that. Below "Chương II" stands its title.
func headline(s string, afterDivision bool) (text string, isDivision bool) {
	if rest, ok := strings.CutPrefix(s, "# "); ok {
		return strings.TrimSpace(rest), false
	}
	short := utf8.RuneCountInString(s) <= 60
	switch {
	case division.MatchString(s):
		return s, true
	case afterDivision && isUpper(s):
		return s, false
	case short && strings.HasSuffix(s, ":") && isUpper(s) && !numbered.MatchString(s):
		return s, false
	}
	return "", false
}

// isUpper reports whether s has letters and all of them are capitals.
func isUpper(s string) bool {
	letters := false
	for _, r := range s {
		if unicode.IsLower(r) {
			return false
		}
		letters = letters || unicode.IsLetter(r)
	}
	return letters
}

// articleRuns gives "Điều 3." its bold type: the whole line when it is no more than a title.
func articleRuns(s string, f pdfdoc.Font) []pdfdoc.Run {
	at := article.FindStringIndex(s)
	if at == nil {
		return marked(s, f)
	}
	bold := f
	bold.Bold = true
	if utf8.RuneCountInString(s) <= 100 && !strings.ContainsAny(s[len(s)-1:], ".;:,") {
		return marked(s, bold)
	}
	return append([]pdfdoc.Run{{Text: s[:at[1]], Font: bold}}, marked(s[at[1]:], f)...)
}

// marked reads the marks of bold and italic. A mark without its partner is text.
func marked(s string, f pdfdoc.Font) []pdfdoc.Run {
	var out []pdfdoc.Run
	push := func(text string, f pdfdoc.Font) {
		if text != "" {
			out = append(out, pdfdoc.Run{Text: text, Font: f})
		}
	}
	for s != "" {
		at := strings.IndexAny(s, "*_")
		if at < 0 || at+1 >= len(s) {
			break
		}
		mark := s[at : at+2]
		end := -1
		if mark == "**" || mark == "__" {
			end = strings.Index(s[at+2:], mark)
		}
		if end <= 0 {
			// Not a mark: take it with the text before it, and look on behind it.
			next := at + 1
			for next < len(s) && s[next] == s[at] {
				next++
			}
			push(s[:next], f)
			s = s[next:]
			continue
		}
		push(s[:at], f)
		inner := f
		if mark == "**" {
			inner.Bold = true
		} else {
			inner.Italic = true
		}
		push(s[at+2:at+2+end], inner)
		s = s[at+2+end+2:]
	}
	push(s, f)
	return out
}
