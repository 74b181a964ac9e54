package edxml

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
)

const (
	copyBlock  = 48 << 10 // what a block of base64 decodes to
	spoolInMem = 1 << 20
	nameLength = 500 // bytes
)

// content takes the content of the attachment whose ContentTransferEncoded has just been opened.
func (p *parser) content() error {
	k := len(p.stack)
	if k < 3 || p.stack[k-2].name != "Attachment" || p.stack[k-3].name != "AttachmentEncoded" {
		return documentError("M", pathContent, "misplaced")
	}
	att := p.stack[k-2]
	if p.table == nil {
		p.table, p.buf, p.fileOf = newDecodeTable(), make([]byte, copyBlock), map[*node]int{}
	}
	if _, twice := p.fileOf[att]; twice {
		return documentError("R", pathContent, "twice")
	}
	i := len(p.files)
	if i >= p.limits.Attachments {
		return documentError("R", pathAttachment, "too_many", p.limits.Attachments)
	}
	var r io.Reader = &contentReader{src: p.src, table: p.table}
	if p.src.selfClosed() {
		r = bytes.NewReader(nil)
	}
	p.fileOf[att] = i
	p.files = append(p.files, Attachment{})
	if att.kid("AttachmentName") == nil || att.kid("ContentType") == nil {
		s := &spool{dir: p.opt.TempDir}
		p.waiting = s
		err := p.spool(s, r)
		if err != nil {
			s.remove()
			p.waiting = nil
		}
		return err
	}
	meta, err := p.meta(i, att)
	if err != nil {
		return err
	}
	p.files[i], err = p.store(i, meta, r)
	return err
}

// closeAttachment takes what the end of an element settles: a name or a type that stands behind the content.
func (p *parser) closeAttachment(att *node) error {
	i, ok := p.fileOf[att]
	if !ok {
		return fileError("N", pathContent, "missing")
	}
	if p.waiting == nil {
		p.files[i].Description = att.kid("Description").value()
		return nil
	}
	s := p.waiting
	p.waiting = nil
	defer s.remove()
	meta, err := p.meta(i, att)
	if err != nil {
		return err
	}
	r, err := s.reader()
	if err != nil {
		return p.fail(err, "read back attachment")
	}
	p.files[i], err = p.store(i, meta, r)
	return err
}

// meta says what the message tells about an attachment, from the manifest where the attachment itself is silent.
func (p *parser) meta(i int, att *node) (Attachment, error) {
	a := Attachment{
		ContentID: contentID(att.kid("ContentId").value()), Name: att.kid("AttachmentName").value(),
		Description: att.kid("Description").value(), ContentType: att.kid("ContentType").value(),
	}
	if a.Name == "" || a.ContentType == "" {
		ref := p.manifestEntry(a.ContentID, i)
		if a.Name == "" {
			a.Name = ref.kid("AttachmentName").value()
		}
		if a.ContentType == "" {
			a.ContentType = ref.kid("ContentType").value()
			p.noteFile(i, "no_content_type")
		}
	}
	if a.Name == "" {
		return a, fileError("N", pathAttachment+".AttachmentName", "missing")
	}
	if j := strings.LastIndexAny(a.Name, `/\`); j >= 0 {
		a.Name = strings.TrimSpace(a.Name[j+1:])
		p.noteFile(i, "name_with_path")
	}
	if a.Name == "" || a.Name == "." || a.Name == ".." || strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return a, fileError("M", pathAttachment+".AttachmentName", "bad_name")
	}
	switch n := len(a.Name); {
	case n > 2*nameLength:
		return a, fileError("R", pathAttachment+".AttachmentName", "too_long", nameLength)
	case n > nameLength:
		p.noteFile(i, "long", nameLength)
	}
	if !slices.Contains(p.types, extension(a.Name)) {
		return a, fileError("T", pathAttachment+".AttachmentName", "type_not_allowed", i+1, a.Name)
	}
	return a, nil
}

func (p *parser) noteFile(i int, key string, args ...any) {
	p.notes = append(p.notes, Note{Path: pathAttachment, Key: key, Args: args, Attachment: i + 1})
}

// manifestEntry returns the Reference that belongs to an attachment, by its id or else by its position.
func (p *parser) manifestEntry(id string, i int) *node {
	refs := p.manifest()
	for _, r := range refs {
		if id != "" && contentID(r.kid("ContentId").value()) == id {
			return r
		}
	}
	if i < len(refs) {
		return refs[i]
	}
	return nil
}

func (p *parser) manifest() []*node {
	m := p.root.kid("edXMLEnvelope").kid("edXMLBody").kid("edXMLManifest")
	if m == nil {
		return nil
	}
	var refs []*node
	for _, k := range m.kids {
		if k.name == "Reference" {
			refs = append(refs, k)
		}
	}
	return refs
}

// contentID takes away every leading "cid:": a known client puts one more in front each time it copies a message.
func contentID(s string) string {
	for {
		rest, found := strings.CutPrefix(s, "cid:")
		if !found {
			return s
		}
		s = strings.TrimSpace(rest)
	}
}

// extension returns the name's ending in lower case, without the dot.
func extension(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return ""
	}
	return strings.ToLower(name[i+1:])
}

// builderZipped reports whether the vendor's builder has packed the file: its reader unpacks on these terms.
func builderZipped(a Attachment) bool {
	return strings.EqualFold(a.ContentType, "application/zip") && extension(a.Name) != "zip"
}

// store checks and hashes the content of an attachment on its way to the sink.
func (p *parser) store(i int, a Attachment, r io.Reader) (_ Attachment, err error) {
	if builderZipped(a) {
		if r, err = newEntryReader(r, p.limits.Attachment); err != nil {
			return a, p.inFile(err)
		}
	}
	n, end, err := p.block(r)
	if err != nil {
		return a, err
	}
	if err := p.look(i, a, p.buf[:n]); err != nil {
		return a, err
	}
	var w io.WriteCloser
	if p.opt.Sink != nil {
		if w, err = p.opt.Sink(i, a); err != nil {
			return a, p.fail(err, "open a place for attachment")
		}
		defer func() {
			if err != nil {
				discard(w)
			}
		}()
	}
	h := sha256.New()
	var tail *zipTail
	if extension(a.Name) == "zip" {
		tail = &zipTail{}
	}
	for {
		block := p.buf[:n]
		if a.Size += int64(n); a.Size > p.limits.Attachment {
			return a, fileError("R", pathContent, "file_too_large", i+1, p.limits.Attachment)
		}
		h.Write(block)
		if tail != nil {
			tail.write(block)
		}
		if w != nil {
			if _, err := w.Write(block); err != nil {
				return a, p.fail(err, "write attachment")
			}
		}
		if end {
			break
		}
		if n, end, err = p.block(r); err != nil {
			return a, err
		}
	}
	if tail != nil {
		if err := tail.check(p.limits.Attachment); err != nil {
			return a, err
		}
	}
	a.SHA256 = hex.EncodeToString(h.Sum(nil))
	if w != nil {
		if err := w.Close(); err != nil {
			w = nil
			return a, p.fail(err, "finish attachment")
		}
	}
	return a, nil
}

// block fills the buffer; end says that nothing follows.
func (p *parser) block(r io.Reader) (n int, end bool, err error) {
	n, err = io.ReadFull(r, p.buf)
	if err == nil {
		return n, false, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && p.src.failed == nil {
		return n, true, nil
	}
	return n, false, p.inFile(err)
}

// inFile tells a refusal from a failure of the reader below.
func (p *parser) inFile(err error) error {
	if p.src.failed != nil {
		return p.src.failed
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return p.fail(err, "read attachment")
}

func discard(w io.WriteCloser) {
	if w == nil {
		return
	}
	if d, ok := w.(interface{ Discard() error }); ok {
		_ = d.Discard() // the message is refused anyway, for a reason that matters more
		return
	}
	_ = w.Close()
}

// look judges a file by how it begins.
func (p *parser) look(i int, a Attachment, head []byte) error {
	if executable(head) {
		return fileError("T", pathContent, "executable", i+1, a.Name)
	}
	if looksLike(extension(a.Name), head) {
		return nil
	}
	if p.opt.Strict {
		return fileError("T", pathContent, "content_unlike_name", i+1, a.Name)
	}
	p.noteFile(i, "content_unlike_name", i+1, a.Name)
	return nil
}

// spool keeps the bytes of an attachment whose name comes later: in memory at first, then in a file.
type spool struct {
	dir  string
	mem  []byte
	file *os.File
}

func (p *parser) spool(s *spool, r io.Reader) error {
	var size int64
	for {
		n, end, err := p.block(r)
		if err != nil {
			return err
		}
		if size += int64(n); size > p.limits.Attachment {
			return fileError("R", pathContent, "file_too_large", len(p.files), p.limits.Attachment)
		}
		if err := s.write(p.buf[:n]); err != nil {
			return p.fail(err, "put attachment aside")
		}
		if end {
			return nil
		}
	}
}

func (s *spool) write(b []byte) error {
	if s.file == nil && len(s.mem)+len(b) <= spoolInMem {
		s.mem = append(s.mem, b...)
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "edxml-*")
		if err != nil {
			return err
		}
		s.file = f
		if _, err := f.Write(s.mem); err != nil {
			return err
		}
		s.mem = nil
	}
	_, err := s.file.Write(b)
	return err
}

func (s *spool) reader() (io.Reader, error) {
	if s.file == nil {
		return bytes.NewReader(s.mem), nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return s.file, err
}

func (s *spool) remove() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}
