package paper

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Limits on a template that an agency uploads.
const (
	MaxTemplate     = 8 << 20  // bytes of the file
	maxUnpacked     = 64 << 20 // bytes of all its parts
	maxTemplateFile = 512      // parts
	maxNodes        = 400_000
	maxDepth        = 200
)

// Template is a form of an agency's own: a DOCX file with content controls (ECMA-376 part 1, §17.5.2), whose tags say what
// stands where. Text that Word has split into pieces stays whole, since a control is replaced as one.
type Template struct {
	parts []docxPart
	tags  []string
}

// docxPart is a file of the package; tree is set for those that hold text of the document.
type docxPart struct {
	name string
	raw  []byte
	tree *node
}

// Values fill a template: texts by tag, and rows for controls that surround rows of a table.
type Values struct {
	Text map[string]string
	Rows map[string][]map[string]string
}

// node is an element, or text when it has no name. Names keep their prefixes, so that what is not ours is written as it was.
type node struct {
	name     string
	attrs    []xml.Attr
	text     string
	kids     []*node
	wordName string // the name without prefix when the element is of WordprocessingML
}

// OpenTemplate reads a template. A file with macros, with parts from the network, or that is larger than the limits when
// unpacked is refused.
//
// Errors, errs.Invalid: paper.template_broken, paper.template_macros, paper.template_external, paper.template_no_fields;
// errs.TooLarge: paper.template_large.
func OpenTemplate(file []byte) (*Template, error) {
	if len(file) > MaxTemplate {
		return nil, errs.E(errs.TooLarge, "paper.template_large", nil)
	}
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, errs.E(errs.Invalid, "paper.template_broken", err)
	}
	if len(z.File) > maxTemplateFile {
		return nil, errs.E(errs.TooLarge, "paper.template_large", nil)
	}
	t := &Template{}
	left := int64(maxUnpacked)
	seen := map[string]bool{}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		if clean := path.Clean(f.Name); clean != f.Name || strings.HasPrefix(clean, "/") || strings.HasPrefix(clean, "..") || strings.ContainsAny(clean, "\\:\x00") || seen[strings.ToLower(clean)] {
			return nil, errs.E(errs.Invalid, "paper.template_broken", fmt.Errorf("part %q", f.Name))
		}
		seen[strings.ToLower(f.Name)] = true
		if strings.HasSuffix(strings.ToLower(f.Name), "vbaproject.bin") {
			return nil, errs.E(errs.Invalid, "paper.template_macros", nil)
		}
		p := docxPart{name: f.Name}
		if p.raw, err = unpack(f, left); err != nil {
			return nil, err
		}
		left -= int64(len(p.raw))
		if err := p.inspect(); err != nil {
			return nil, err
		}
		t.parts = append(t.parts, p)
	}
	found := map[string]bool{}
	hasText := false
	for _, p := range t.parts {
		if p.tree != nil {
			hasText = hasText || p.name == "word/document.xml"
			p.tree.each(func(n *node) {
				if tag := n.tag(); tag != "" {
					found[tag] = true
				}
			})
		}
	}
	if !hasText || !seen["[content_types].xml"] {
		return nil, errs.E(errs.Invalid, "paper.template_broken", errors.New("not a DOCX file"))
	}
	if len(found) == 0 {
		return nil, errs.E(errs.Invalid, "paper.template_no_fields", nil)
	}
	for tag := range found {
		t.tags = append(t.tags, tag)
	}
	slices.Sort(t.tags)
	return t, nil
}

func unpack(f *zip.File, left int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, errs.E(errs.Invalid, "paper.template_broken", err)
	}
	defer func() { _ = r.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(r, left+1))
	if err != nil {
		return nil, errs.E(errs.Invalid, "paper.template_broken", err)
	}
	if int64(len(b)) > left {
		return nil, errs.E(errs.TooLarge, "paper.template_large", nil)
	}
	return b, nil
}

// inspect parses the parts that hold text, and looks at what the others point to.
func (p *docxPart) inspect() (err error) {
	base := path.Base(p.name)
	switch {
	case strings.HasSuffix(p.name, ".rels"):
		tree, err := parseXML(p.raw)
		if err != nil {
			return err
		}
		external := false
		tree.each(func(n *node) {
			// Links in the text are for whoever clicks them; a picture or a template from the network is fetched by opening.
			if strings.EqualFold(n.attr("TargetMode"), "External") && !strings.HasSuffix(n.attr("Type"), "/hyperlink") {
				external = true
			}
		})
		if external {
			return errs.E(errs.Invalid, "paper.template_external", nil)
		}
	case p.name == "word/document.xml", path.Dir(p.name) == "word" && strings.HasSuffix(base, ".xml") && (strings.HasPrefix(base, "header") || strings.HasPrefix(base, "footer")):
		p.tree, err = parseXML(p.raw)
	}
	return err
}

// Tags are the fields of the template in order of the alphabet.
func (t *Template) Tags() []string { return slices.Clone(t.tags) }

// Fill writes the template with values in its controls. A line feed in a value begins a new paragraph where the control holds
// paragraphs, else a new line. Controls stay, so that the file can be edited and filled on.
//
// Errors: paper.template_tag (errs.Invalid) for a field of the template that has no value.
func (t *Template) Fill(v Values) ([]byte, error) {
	var unknown []string
	for _, tag := range t.tags {
		_, isText := v.Text[tag]
		_, isRows := v.Rows[tag]
		inRow := false
		for _, rows := range v.Rows {
			for _, r := range rows {
				if _, ok := r[tag]; ok {
					inRow = true
				}
			}
		}
		if !isText && !isRows && !inRow && !t.rowsAreEmpty(tag, v) {
			unknown = append(unknown, tag)
		}
	}
	if len(unknown) > 0 {
		return nil, errs.E(errs.Invalid, "paper.template_tag", nil, "tags", strings.Join(unknown[:min(len(unknown), 10)], ", "))
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, p := range t.parts {
		raw := p.raw
		if p.tree != nil {
			var out bytes.Buffer
			out.WriteString(xmlHead)
			p.tree.fill(v, v.Text).write(&out)
			raw = out.Bytes()
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: p.name, Method: zip.Deflate})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(raw); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// rowsAreEmpty reports whether the tag stands inside a control for rows of which there are none: then nobody can know it.
func (t *Template) rowsAreEmpty(tag string, v Values) bool {
	inside := false
	for _, p := range t.parts {
		if p.tree == nil {
			continue
		}
		p.tree.each(func(n *node) {
			if rows, ok := v.Rows[n.tag()]; ok && n.tag() != "" && len(rows) == 0 {
				n.each(func(m *node) { inside = inside || m.tag() == tag })
			}
		})
	}
	return inside
}

// parseXML reads a part. There is no document type and no entity: none is needed, and both are ways to attack a reader.
func parseXML(raw []byte) (*node, error) {
	broken := func(err error) error { return errs.E(errs.Invalid, "paper.template_broken", err) }
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))))
	root := &node{}
	stack := []*node{root}
	count := 0
	for {
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, broken(err)
		}
		top := stack[len(stack)-1]
		if count++; count > maxNodes || len(stack) > maxDepth {
			return nil, errs.E(errs.TooLarge, "paper.template_large", nil)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			n := &node{name: joined(e.Name), attrs: slices.Clone(e.Attr)}
			top.kids = append(top.kids, n)
			stack = append(stack, n)
		case xml.EndElement:
			if len(stack) < 2 || top.name != joined(e.Name) {
				return nil, broken(fmt.Errorf("</%s> closes <%s>", joined(e.Name), top.name))
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 1 {
				top.kids = append(top.kids, &node{text: string(e)})
			} else if len(bytes.TrimSpace(e)) > 0 {
				return nil, broken(errors.New("text outside of the root"))
			}
		case xml.Directive:
			return nil, broken(errors.New("a document type"))
		case xml.ProcInst, xml.Comment:
		}
	}
	if len(stack) != 1 || len(root.kids) != 1 {
		return nil, broken(errors.New("no root, or more than one"))
	}
	root.kids[0].resolve(map[string]string{})
	return root.kids[0], nil
}

func joined(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

// strictWordML is the namespace of the strict form of the format.
const strictWordML = "http://purl.oclc.org/ooxml/wordprocessingml/main"

// resolve finds the elements of WordprocessingML, whatever their prefix is.
func (n *node) resolve(scope map[string]string) {
	if n.name == "" {
		return
	}
	own, copied := scope, false
	for _, a := range n.attrs {
		prefix, isDefault := a.Name.Local, a.Name.Space == "" && a.Name.Local == "xmlns"
		if a.Name.Space != "xmlns" && !isDefault {
			continue
		}
		if isDefault {
			prefix = ""
		}
		if !copied {
			own, copied = maps.Clone(own), true
		}
		own[prefix] = a.Value
	}
	prefix, local := "", n.name
	if p, l, ok := strings.Cut(n.name, ":"); ok {
		prefix, local = p, l
	}
	if ns := own[prefix]; ns == wordML || ns == strictWordML {
		n.wordName = local
	}
	for _, k := range n.kids {
		k.resolve(own)
	}
}

// each calls do for the element and all within.
func (n *node) each(do func(*node)) {
	if n.name == "" {
		return
	}
	do(n)
	for _, k := range n.kids {
		k.each(do)
	}
}

func (n *node) attr(local string) string {
	for _, a := range n.attrs {
		if a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// child is the first child of WordprocessingML with a name.
func (n *node) child(name string) *node {
	for _, k := range n.kids {
		if k.wordName == name {
			return k
		}
	}
	return nil
}

// tag is the tag of a content control, "" for other elements.
func (n *node) tag() string {
	if n.wordName != "sdt" {
		return ""
	}
	if pr := n.child("sdtPr"); pr != nil {
		if t := pr.child("tag"); t != nil {
			return i18n.NFC(strings.TrimSpace(t.attr("val")))
		}
	}
	return ""
}

func (n *node) write(b *bytes.Buffer) {
	if n.name == "" {
		_ = xml.EscapeText(b, []byte(n.text)) // a Buffer does not fail
		return
	}
	b.WriteByte('<')
	b.WriteString(n.name)
	for _, a := range n.attrs {
		b.WriteByte(' ')
		b.WriteString(joined(a.Name))
		b.WriteString(`="`)
		_ = xml.EscapeText(b, []byte(a.Value)) // a Buffer does not fail
		b.WriteByte('"')
	}
	if len(n.kids) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	for _, k := range n.kids {
		k.write(b)
	}
	b.WriteString("</" + n.name + ">")
}
