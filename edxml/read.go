package edxml

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	pathAttachment = "AttachmentEncoded.Attachment"
	pathContent    = pathAttachment + ".ContentTransferEncoded"
)

// ReadOptions says how a message is read.
type ReadOptions struct {
	Limits Limits
	// Types are the name endings of attachments that are taken, lower case, without the dot; nil stands for DefaultTypes.
	Types []string
	// Strict refuses an attachment whose content does not look like its name says, instead of noting it.
	Strict bool
	// Sink is asked, in the order of the attachments and from 0, where the bytes of a file go; nil hashes them and throws them away.
	// The writer is closed once, after the last byte. When reading fails before that and the writer has a method
	// Discard() error, that is called instead; a caller that gets an error from Read throws away what it took either way.
	Sink func(i int, a Attachment) (io.WriteCloser, error)
	// Now lets a date of issue be refused that lies in the future; the zero time leaves that check out.
	Now time.Time
	// TempDir is where an attachment waits whose name stands behind its content, as hardly anybody writes it; the
	// system's folder for temporary files when it is empty.
	TempDir string
}

// DefaultTypes returns the name endings of attachments that are taken when nothing else is said.
func DefaultTypes() []string {
	return []string{
		"pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "odp", "rtf", "txt", "csv", "xml", "json",
		"png", "jpg", "jpeg", "tif", "tiff", "zip", "p7s", "asice",
	}
}

// Read reads a message of r to its end. A refusal is an *Error; any other error comes from r or from the sink. When the
// message could be read and only its values are refused, it is returned beside the error.
func Read(r io.Reader, opt ReadOptions) (*Message, error) {
	p := &parser{opt: opt, limits: opt.Limits.withDefaults(), types: opt.Types}
	if p.types == nil {
		p.types = DefaultTypes()
	}
	p.src = newSource(r, p.limits)
	if err := p.src.start(); err != nil {
		return nil, err
	}
	if err := p.parse(); err != nil {
		return nil, err
	}
	m, err := p.message()
	if err != nil {
		return nil, err
	}
	if m.Notes = append(p.notes, longNotes(m)...); len(m.To) > p.limits.Receivers {
		return m, documentError("R", "MessageHeader.To", "too_many", p.limits.Receivers)
	}
	if errs := Validate(m, opt.Now); len(errs) > 0 {
		return m, errs[0]
	}
	return m, nil
}

// node is an element without the content of attachments.
type node struct {
	name, space string
	text        []byte
	kids        []*node
}

// value is the text of the element without blanks around it.
func (n *node) value() string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(string(n.text))
}

// kid returns the first child of that name, or nil.
func (n *node) kid(name string) *node {
	if n == nil {
		return nil
	}
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

type parser struct {
	opt    ReadOptions
	limits Limits
	types  []string
	src    *source
	table  *decodeTable
	buf    []byte // for copying; made with the first attachment

	root     *node
	stack    []*node
	elements int
	files    []Attachment // in the order of their elements
	fileOf   map[*node]int
	waiting  *spool // the content of the attachment that is open, while its name is not known
	notes    []Note
	failed   error // of the sink or of the folder for temporary files
}

func (p *parser) note(path, key string, args ...any) {
	p.notes = append(p.notes, Note{Path: path, Key: key, Args: args})
}

// parse reads all of the source into the tree below root, and attachments into their sinks.
func (p *parser) parse() error {
	dec := xml.NewDecoder(p.src)
	dec.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, documentError("M", "edXML", "encoding", charset)
	}
	for first := true; ; first = false {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) && p.src.failed == nil {
			if p.root == nil || len(p.stack) > 0 {
				return documentError("M", "edXML", "malformed")
			}
			return nil
		}
		if err != nil {
			return p.syntax(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			err = p.open(tok)
		case xml.EndElement:
			err = p.close()
		case xml.CharData:
			err = p.chars(tok)
		case xml.Directive:
			err = documentError("M", "edXML", "doctype")
		case xml.ProcInst:
			if tok.Target == "xml" && !first {
				err = documentError("M", "edXML", "malformed")
			}
		}
		if err != nil {
			return err
		}
	}
}

// syntax turns what the XML parser says into a refusal, unless reading failed for another reason.
func (p *parser) syntax(err error) error {
	if p.src.failed != nil {
		return p.src.failed
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	key := "malformed"
	if s, ok := errors.AsType[*xml.SyntaxError](err); ok && strings.Contains(s.Msg, "entity") {
		key = "entity"
	}
	return &Error{Code: CodeDocument, Path: "M.edXML", Key: key, Err: err}
}

func (p *parser) open(tok xml.StartElement) error {
	if p.root != nil && len(p.stack) == 0 {
		return documentError("M", "edXML", "malformed")
	}
	if p.elements++; p.elements > p.limits.Elements {
		return documentError("R", "edXML", "too_many_elements", p.limits.Elements)
	}
	if len(p.stack) >= p.limits.Depth {
		return documentError("R", "edXML", "too_deep", p.limits.Depth)
	}
	if len(tok.Attr) > p.limits.Attributes {
		return documentError("R", "edXML", "too_many_attributes", p.limits.Attributes)
	}
	for i, a := range tok.Attr {
		if slices.ContainsFunc(tok.Attr[:i], func(b xml.Attr) bool { return a.Name == b.Name }) {
			return documentError("M", "edXML", "malformed")
		}
	}
	n := &node{name: tok.Name.Local, space: tok.Name.Space}
	if p.root == nil {
		p.root = n
		if err := p.checkRoot(n); err != nil {
			return err
		}
	} else {
		parent := p.stack[len(p.stack)-1]
		parent.kids = append(parent.kids, n)
	}
	p.stack = append(p.stack, n)
	if n.name == "ContentTransferEncoded" {
		return p.content()
	}
	return nil
}

// checkRoot refuses the formats that came before 102:2016, by their name.
func (p *parser) checkRoot(n *node) error {
	switch {
	case n.space == "http://www.go.vn/eDoc" || n.space == "http://www.e-doc.vn/Schema/":
		return documentError("M", "edXML", "old_variant", n.name, n.space)
	case strings.EqualFold(n.name, "edXMLEnvelope"):
		return documentError("M", "edXML", "old_variant", n.name, n.space)
	case n.name != "edXML":
		return documentError("M", "edXML", "root", n.name)
	case n.space != Namespace:
		p.note("edXML", "namespace", n.space)
	}
	return nil
}

func (p *parser) close() error {
	n := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	if len(n.kids) > 0 {
		n.text = nil
	}
	if n.name == "Attachment" && len(p.stack) > 0 && p.stack[len(p.stack)-1].name == "AttachmentEncoded" {
		return p.closeAttachment(n)
	}
	return nil
}

func (p *parser) chars(text xml.CharData) error {
	if len(p.stack) == 0 {
		if strings.TrimSpace(string(text)) != "" {
			return documentError("M", "edXML", "malformed")
		}
		return nil
	}
	n := p.stack[len(p.stack)-1]
	n.text = append(n.text, text...)
	return nil
}

// fail marks an error that is not the sender's.
func (p *parser) fail(err error, doing string) error {
	p.failed = fmt.Errorf("edxml: %s: %w", doing, err)
	return p.failed
}
