package pdfdoc

import (
	"strings"
	"unicode"
)

// atom is a piece of a word in one style.
type atom struct {
	text  string
	style style
	width float64
	space bool // a space stands before it
	brk   bool // a forced line break; text is empty
}

// inline collects the running text of a paragraph, with white space collapsed as HTML does.
type inline struct {
	ts    *typesetter
	atoms []atom
	space bool
}

func (in *inline) add(text string, s style) {
	var b strings.Builder
	flush := func() {
		if b.Len() == 0 {
			return
		}
		w := b.String()
		b.Reset()
		in.atoms = append(in.atoms, atom{text: w, style: s, width: in.ts.width(s, w), space: in.space})
		in.space = false
	}
	for _, r := range text {
		if r == '\u00a0' || !unicode.IsSpace(r) {
			if c, ok := in.ts.clean(r); ok {
				b.WriteRune(c)
			}
			continue
		}
		flush()
		in.space = true
	}
	flush()
}

func (in *inline) br(s style) {
	in.atoms = append(in.atoms, atom{style: s, brk: true})
	in.space = false
}

// line is a line of text, ready to draw.
type line struct {
	atoms  []atom
	width  float64
	height float64
	size   float64 // mm, of the largest style
}

// wrap breaks the collected text into lines. The first line is shorter by indent. A word longer than a line is
// broken where it must be.
func (in *inline) wrap(width, indent float64) []line {
	var lines []line
	cur := line{}
	room := width - indent
	end := func() {
		lines = append(lines, cur)
		cur, room = line{}, width
	}
	for i := 0; i < len(in.atoms); {
		if in.atoms[i].brk {
			cur.grow(in.atoms[i].style)
			end()
			i++
			continue
		}
		j := i + 1
		for j < len(in.atoms) && !in.atoms[j].space && !in.atoms[j].brk {
			j++
		}
		word := in.atoms[i:j]
		i = j
		w := 0.0
		for _, a := range word {
			w += a.width
		}
		gap := 0.0
		if len(cur.atoms) > 0 {
			gap = in.ts.width(word[0].style, " ")
			if cur.width+gap+w > room {
				end()
				gap = 0
			}
		}
		if w <= room {
			for k, a := range word {
				a.space = k == 0 && gap > 0
				cur.push(a, gap)
				gap = 0
			}
			continue
		}
		for _, a := range word {
			for _, r := range a.text {
				p := atom{text: string(r), style: a.style, width: in.ts.width(a.style, string(r))}
				if len(cur.atoms) > 0 && cur.width+p.width > room {
					end()
				}
				cur.push(p, 0)
			}
		}
	}
	if len(cur.atoms) > 0 {
		end()
	}
	return lines
}

func (l *line) grow(s style) {
	l.height, l.size = max(l.height, s.lineHeight()), max(l.size, s.mm())
}

func (l *line) push(a atom, gap float64) {
	l.grow(a.style)
	l.atoms = append(l.atoms, a)
	l.width += gap + a.width
}

// draw writes the line into a column whose top left corner is x, y. Pieces of one style are one string, so that
// the text can be searched and copied with its spaces.
func (l line) draw(ts *typesetter, x, y, width float64, al align, indent float64) {
	x += indent
	switch al {
	case left:
	case center:
		x += (width - indent - l.width) / 2
	case right:
		x += width - indent - l.width
	}
	base := y + (l.height-(ascent+descent)*l.size)/2 + ascent*l.size
	l.pieces(func(s style, text string) {
		ts.draw(s, x, base, text)
		x += ts.width(s, text)
	})
}

// pieces calls do for the pieces of one style, from left to right, each with the spaces in it and before it.
func (l line) pieces(do func(s style, text string)) {
	for i := 0; i < len(l.atoms); {
		s := l.atoms[i].style
		var b strings.Builder
		for ; i < len(l.atoms) && l.atoms[i].style == s; i++ {
			if l.atoms[i].space {
				b.WriteByte(' ')
			}
			b.WriteString(l.atoms[i].text)
		}
		do(s, b.String())
	}
}

// text is what the line says.
func (l line) text() string {
	var b strings.Builder
	l.pieces(func(_ style, text string) { b.WriteString(text) })
	return b.String()
}

// justify draws the line wider by room, which its spaces share.
func (l line) justify(ts *typesetter, x, y, room float64) {
	spaces := strings.Count(l.text(), " ")
	if spaces == 0 {
		l.draw(ts, x, y, 0, left, 0)
		return
	}
	share := room / float64(spaces)
	base := y + (l.height-(ascent+descent)*l.size)/2 + ascent*l.size
	l.pieces(func(s style, text string) {
		ts.drawSpread(s, x, base, text, share)
		x += ts.width(s, text) + share*float64(strings.Count(text, " "))
	})
}
