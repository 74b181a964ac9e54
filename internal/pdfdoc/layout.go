package pdfdoc

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"rsc.io/qr"

	"truc/internal/errs"
	"truc/internal/i18n"
)

type align int

const (
	left align = iota
	center
	right
)

// Sizes in points and distances in mm. Decree 30/2020/NĐ-CP wants text of 13 to 14 points, 6 points between
// paragraphs, and 12 to 13 points for the two columns at the head.
const (
	sizeBody, sizeSmall, sizeTable, sizeColumns = 13.0, 11.0, 12.0, 12.0
	paragraphGap                                = 2.1
	firstIndent, listIndent                     = 10.0, 7.0
)

// allowed names the attributes of every element of the subset; lang and class are allowed everywhere.
var allowed = map[string]string{
	"html": "", "head": "", "body": "", "title": "", "meta": "charset name content",
	"h1": "", "h2": "", "h3": "", "p": "", "div": "width", "span": "", "strong": "", "b": "", "em": "", "i": "", "u": "", "br": "",
	"hr": "width", "table": "width", "thead": "", "tbody": "", "tfoot": "", "tr": "", "td": "width colspan align", "th": "width colspan align scope",
	"ul": "", "ol": "", "li": "", "qr": "data size", "space": "mm", "signature-box": "name label w h",
}

// context is what an element inherits.
type context struct {
	style  style
	align  align
	width  float64
	gap    float64 // between paragraphs
	indent float64 // of the first line
	tight  bool    // inside columns: no gaps, centred
}

// layout turns the tree into units.
type layout struct {
	ts    *typesetter
	names map[string]bool
}

// flow collects the units of one container.
type flow struct {
	units []unit
	text  inline
}

func (l *layout) document(root *html.Node) ([]unit, error) {
	if err := checkTree(root); err != nil {
		return nil, err
	}
	return l.container(root, context{style: style{size: sizeBody}, width: bodyWidth, gap: paragraphGap})
}

// checkTree refuses every element, attribute and class that is not in the subset.
func checkTree(n *html.Node) error {
	if n.Type == html.ElementNode {
		attrs, ok := allowed[n.Data]
		if !ok || n.Namespace != "" {
			return errs.E(errs.Invalid, "pdfdoc.unknown_element", nil, "element", short(n.Data))
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "class":
				if err := checkClass(n.Data, a.Val); err != nil {
					return err
				}
			case a.Key != "lang" && !contains(attrs, a.Key):
				return errs.E(errs.Invalid, "pdfdoc.unknown_attribute", nil, "element", n.Data, "attribute", short(a.Key))
			}
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if err := checkTree(c); err != nil {
			return err
		}
	}
	return nil
}

func checkClass(element, classes string) error {
	known := "center right small muted indent"
	switch element {
	case "div":
		known += " columns"
	case "table":
		known += " grid plain"
	}
	for c := range strings.FieldsSeq(classes) {
		if !contains(known, c) {
			return errs.E(errs.Invalid, "pdfdoc.unknown_class", nil, "element", element, "class", short(c))
		}
	}
	return nil
}

func contains(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

func short(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func hasClass(n *html.Node, class string) bool { return contains(attr(n, "class"), class) }

// number reads a positive number up to limit from an attribute, or returns def when it is absent.
func number(n *html.Node, key string, def, limit float64) (float64, error) {
	s := attr(n, key)
	if s == "" {
		return def, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !(v > 0 && v <= limit) {
		return 0, errs.E(errs.Invalid, "pdfdoc.bad_value", err, "element", n.Data, "attribute", key)
	}
	return v, nil
}

// container lays out the children of n.
func (l *layout) container(n *html.Node, ctx context) ([]unit, error) {
	f := &flow{text: inline{ts: l.ts}}
	if err := l.children(f, n, ctx); err != nil {
		return nil, err
	}
	l.flush(f, ctx)
	return f.units, nil
}

func (l *layout) children(f *flow, n *html.Node, ctx context) error {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.TextNode {
			f.text.add(c.Data, ctx.style)
		}
		if c.Type != html.ElementNode {
			continue
		}
		if err := l.element(f, c, ctx); err != nil {
			return err
		}
	}
	return nil
}

// classes applies the classes that change what is inherited.
func classes(n *html.Node, ctx context) context {
	if hasClass(n, "center") {
		ctx.align = center
	}
	if hasClass(n, "right") {
		ctx.align = right
	}
	if hasClass(n, "small") {
		ctx.style.size = sizeSmall
	}
	if hasClass(n, "muted") {
		ctx.style.muted = true
	}
	ctx.indent = 0
	if hasClass(n, "indent") {
		ctx.indent = firstIndent
	}
	return ctx
}

func (l *layout) element(f *flow, n *html.Node, ctx context) error {
	inner := classes(n, ctx)
	switch n.Data {
	case "title", "meta":
		return nil
	case "html", "head", "body":
		return l.children(f, n, ctx)
	case "span", "strong", "b", "em", "i", "u":
		inner.align, inner.indent = ctx.align, ctx.indent
		inner.style.bold = inner.style.bold || n.Data == "strong" || n.Data == "b"
		inner.style.italic = inner.style.italic || n.Data == "em" || n.Data == "i"
		inner.style.underline = inner.style.underline || n.Data == "u"
		return l.children(f, n, inner)
	case "br":
		f.text.br(ctx.style)
		return nil
	}
	l.flush(f, ctx)
	units, transparent, err := l.block(n, inner)
	if err != nil {
		return err
	}
	f.units = append(f.units, units...)
	if transparent { // the parser takes what follows an element without an end tag for its content
		return l.children(f, n, ctx)
	}
	return nil
}

// block lays out one block element. transparent says that its children belong to what follows it.
func (l *layout) block(n *html.Node, ctx context) (units []unit, transparent bool, err error) {
	switch n.Data {
	case "h1":
		ctx.style.size, ctx.style.bold, ctx.align = 15, true, center
		units, err = l.heading(n, ctx, 4)
	case "h2":
		ctx.style.size, ctx.style.bold = 13, true
		units, err = l.heading(n, ctx, 3.5)
	case "h3":
		ctx.style.size, ctx.style.bold, ctx.style.italic = 13, true, true
		units, err = l.heading(n, ctx, 3)
	case "p":
		if units, err = l.container(n, ctx); err == nil && len(units) > 0 {
			units[0].gap = ctx.gap
		}
	case "div":
		if hasClass(n, "columns") {
			units, err = l.columns(n, ctx)
		} else {
			units, err = l.container(n, ctx)
		}
	case "ul", "ol":
		units, err = l.list(n, ctx)
	case "li":
		units, err = l.item(n, ctx, "–")
	case "table":
		units, err = l.table(n, ctx)
	case "hr":
		units, err = l.rule(n, ctx)
	case "space":
		var mm float64
		mm, err = number(n, "mm", 4, 200)
		return []unit{{h: mm}}, true, err
	case "qr":
		units, err = l.qr(n, ctx)
		return units, true, err
	case "signature-box":
		units, err = l.signature(n, ctx)
		return units, true, err
	default: // a part of a table in a place where the parser should not have left it
		err = errs.E(errs.Invalid, "pdfdoc.unknown_element", nil, "element", n.Data)
	}
	return units, false, err
}

// flush turns the collected text into lines.
func (l *layout) flush(f *flow, ctx context) {
	lines := f.text.wrap(ctx.width, ctx.indent)
	f.text = inline{ts: l.ts}
	for i, ln := range lines {
		indent := 0.0
		if i == 0 {
			indent = ctx.indent
		}
		u := unit{h: ln.height, draw: func(p *press, x, y float64) { ln.draw(p.ts, x, y, ctx.width, ctx.align, indent) }}
		// No single line of a paragraph stands alone at the foot or head of a page.
		u.keep = len(lines) > 2 && (i == 0 || i == len(lines)-2)
		if i == 0 && len(f.units) > 0 {
			u.gap = ctx.gap / 2
		}
		f.units = append(f.units, u)
	}
}

func (l *layout) heading(n *html.Node, ctx context, gap float64) ([]unit, error) {
	units, err := l.container(n, ctx)
	for i := range units {
		units[i].keep = true
	}
	if err == nil && len(units) > 0 {
		units[0].gap = gap
	}
	return units, err
}

func (l *layout) list(n *html.Node, ctx context) ([]unit, error) {
	var out []unit
	i := 0
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.TextNode && strings.TrimSpace(c.Data) == "" || c.Type == html.CommentNode {
			continue
		}
		if c.Type != html.ElementNode || c.Data != "li" {
			return nil, errs.E(errs.Invalid, "pdfdoc.misplaced", nil, "element", short(c.Data), "parent", n.Data)
		}
		i++
		marker := "–"
		if n.Data == "ol" {
			marker = strconv.Itoa(i) + "."
		}
		units, err := l.item(c, classes(c, ctx), marker)
		if err != nil {
			return nil, err
		}
		out = append(out, units...)
	}
	return out, nil
}

func (l *layout) item(n *html.Node, ctx context, marker string) ([]unit, error) {
	inner := ctx
	inner.width -= listIndent
	if inner.width < listIndent {
		return nil, errs.E(errs.Invalid, "pdfdoc.too_deep", nil)
	}
	units, err := l.container(n, inner)
	if err != nil || len(units) == 0 {
		return nil, err
	}
	for i := range units {
		units[i].x += listIndent
	}
	first := units[0].draw
	back := units[0].x
	in := &inline{ts: l.ts}
	in.add(marker, ctx.style)
	mark := in.wrap(listIndent, 0)
	units[0].gap = ctx.gap / 2
	units[0].draw = func(p *press, x, y float64) {
		mark[0].draw(p.ts, x-back+1.5, y, listIndent, left, 0)
		if first != nil {
			first(p, x, y)
		}
	}
	return units, nil
}

// offset is where something of width w stands in a column.
func (ctx context) offset(w float64) float64 {
	switch ctx.align {
	case left:
	case center:
		return (ctx.width - w) / 2
	case right:
		return ctx.width - w
	}
	return 0
}

func (l *layout) rule(n *html.Node, ctx context) ([]unit, error) {
	percent, err := number(n, "width", 100, 100)
	if err != nil {
		return nil, err
	}
	w := ctx.width * percent / 100
	if ctx.align == left {
		ctx.align = center
	}
	dx, above := ctx.offset(w), 1.6
	if ctx.tight {
		above = 1.2
	}
	return []unit{{h: above * 2, draw: func(p *press, x, y float64) {
		p.ts.canvas.line(x+dx, y+above, x+dx+w, y+above, 0.25, Ink{})
	}}}, nil
}

// quiet is the empty border of a QR code in modules (ISO/IEC 18004).
const quiet = 4

func (l *layout) qr(n *html.Node, ctx context) ([]unit, error) {
	size, err := number(n, "size", 28, 150)
	if err != nil {
		return nil, err
	}
	code, err := qr.Encode(attr(n, "data"), qr.M)
	if err != nil || attr(n, "data") == "" {
		return nil, errs.E(errs.Invalid, "pdfdoc.bad_value", err, "element", "qr", "attribute", "data")
	}
	size = min(size, ctx.width)
	dx := ctx.offset(size)
	module := size / float64(code.Size+2*quiet)
	return []unit{{h: size, draw: func(p *press, x, y float64) {
		p.ts.canvas.fillRect(x+dx, y, size, size, gray(1)) // no watermark shines through
		x, y = x+dx+quiet*module, y+quiet*module
		for row := range code.Size {
			for col := 0; col < code.Size; col++ {
				from := col
				for col < code.Size && code.Black(col, row) {
					col++
				}
				if col > from { // rows overlap by a hair, or viewers show white seams between them
					p.ts.canvas.fillRect(x+float64(from)*module, y+float64(row)*module, float64(col-from)*module, module+0.02, Ink{})
				}
			}
		}
	}}}, nil
}

func (l *layout) signature(n *html.Node, ctx context) ([]unit, error) {
	name := attr(n, "name")
	if name == "" || len(name) > 64 {
		return nil, errs.E(errs.Invalid, "pdfdoc.bad_value", nil, "element", n.Data, "attribute", "name")
	}
	if l.names[name] {
		return nil, errs.E(errs.Invalid, "pdfdoc.box_twice", nil, "name", name)
	}
	l.names[name] = true
	w, err := number(n, "w", 70, 160)
	if err != nil {
		return nil, err
	}
	h, err := number(n, "h", 30, 200)
	if err != nil {
		return nil, err
	}
	w = min(w, ctx.width)
	dx := ctx.offset(w)
	var label []unit
	if s := attr(n, "label"); s != "" {
		f := &flow{text: inline{ts: l.ts}}
		f.text.add(i18n.NFC(s), style{size: sizeSmall, italic: true, muted: true})
		l.flush(f, context{width: w, align: center})
		label = f.units
	}
	top := height(label)
	return []unit{{h: top + h, gap: ctx.gap / 2, draw: func(p *press, x, y float64) {
		drawAll(p, label, x+dx, y)
		p.box(name, x+dx, y+top, w, h)
	}}}, nil
}
