package edxml

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

func (x *writer) manifest(m *Message) {
	x.open("edXMLBody", "")
	x.open("edXMLManifest", ` version="1.0"`)
	for i, a := range m.Attachments {
		x.open("Reference", "")
		x.text("ContentId", "cid:"+idOf(i, a))
		x.text("ContentType", sentType(a.Name))
		x.text("Description", a.Description)
		x.text("AttachmentName", a.Name)
		x.close("Reference")
	}
	x.close("edXMLManifest")
	x.close("edXMLBody")
}

func idOf(i int, a Attachment) string {
	if id := contentID(a.ContentID); id != "" {
		return id
	}
	return "a" + strconv.Itoa(i+1)
}

// sentType returns the content type by the rule of the vendor's builder. What it calls application/zip travels in an
// archive of one entry, except a file that is an archive itself.
func sentType(name string) string {
	switch ext := extension(name); ext {
	case "pdf", "doc", "docx", "zip":
		return "application/" + ext
	}
	return "application/zip"
}

func (x *writer) files(m *Message) error {
	if len(m.Attachments) == 0 {
		return x.err
	}
	x.line("<AttachmentEncoded>")
	for i, a := range m.Attachments {
		x.depth = 2
		x.line("<Attachment>")
		x.depth++
		x.line("<ContentId>", x.escape("cid:"+idOf(i, a)), "</ContentId>")
		x.line("<AttachmentName>", x.escape(a.Name), "</AttachmentName>")
		x.line("<Description>", x.escape(a.Description), "</Description>")
		x.line("<ContentType>", sentType(a.Name), "</ContentType>")
		x.indent()
		x.raw(`<edXML:ContentTransferEncoded xmlns:edXML="`, Namespace, `">`)
		if x.err != nil {
			return x.err
		}
		if err := x.file(i, a); err != nil {
			return err
		}
		x.raw("</edXML:ContentTransferEncoded>\r\n")
		x.depth--
		x.line("</Attachment>")
		x.depth--
	}
	x.line("</AttachmentEncoded>")
	return x.err
}

// file writes the content of an attachment.
func (x *writer) file(i int, a Attachment) (err error) {
	f, err := a.Open()
	if err != nil {
		return fmt.Errorf("edxml: open attachment %d: %w", i+1, err)
	}
	defer func() {
		if e := f.Close(); e != nil && err == nil {
			err = fmt.Errorf("edxml: close attachment %d: %w", i+1, e)
		}
	}()
	enc := &encoder{w: x.w}
	var r io.Reader = f
	h := sha256.New()
	if a.SHA256 != "" {
		r = io.TeeReader(f, h)
	}
	var size int64
	if sentType(a.Name) == "application/zip" && extension(a.Name) != "zip" {
		size, err = packed(enc, r, i, a)
	} else {
		size, err = io.CopyBuffer(onlyWriter{enc}, r, make([]byte, copyBlock))
	}
	if err == nil {
		err = enc.flush()
	}
	if err != nil {
		return fmt.Errorf("edxml: write attachment %d: %w", i+1, err)
	}
	if a.Size > 0 && size != a.Size || a.SHA256 != "" && !strings.EqualFold(hex.EncodeToString(h.Sum(nil)), a.SHA256) {
		return fileError("M", pathContent, "file_differs", i+1)
	}
	return nil
}

// encoder writes base64 in large blocks.
type encoder struct {
	w    io.Writer
	n    int
	raw  [copyBlock]byte
	text [copyBlock / 3 * 4]byte
}

// Write implements io.Writer.
func (e *encoder) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if e.n == len(e.raw) {
			if err := e.flush(); err != nil {
				return total - len(p), err
			}
		}
		n := copy(e.raw[e.n:], p)
		e.n += n
		p = p[n:]
	}
	return total, nil
}

// flush writes what has gathered; only the last block may have padding.
func (e *encoder) flush() error {
	text := e.text[:base64.StdEncoding.EncodedLen(e.n)]
	base64.StdEncoding.Encode(text, e.raw[:e.n])
	e.n = 0
	_, err := e.w.Write(text)
	return err
}

// onlyWriter hides ReadFrom, so that blocks have the size we choose.
type onlyWriter struct{ io.Writer }

// packed writes an archive with the file as its only entry. The entry's name is made of the attachment's, in the form that
// builders use, so that the bytes are the same each time.
func packed(w io.Writer, r io.Reader, i int, a Attachment) (int64, error) {
	sum := sha256.Sum256([]byte(idOf(i, a) + "\x00" + a.Name))
	u := hex.EncodeToString(sum[:16])
	z := zip.NewWriter(w)
	entry, err := z.Create(u[:8] + "-" + u[8:12] + "-8" + u[13:16] + "-a" + u[17:20] + "-" + u[20:] + "." + extension(a.Name))
	if err != nil {
		return 0, err
	}
	n, err := io.CopyBuffer(onlyWriter{entry}, r, make([]byte, copyBlock))
	if err != nil {
		return n, err
	}
	return n, z.Close()
}
