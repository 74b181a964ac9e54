package sign

import (
	"bytes"
	"errors"
	"fmt"

	"truc/internal/errs"
)

// Limits of the PDF reader.
const (
	maxPDFSections = 4096     // cross-reference sections, that is updates
	maxPDFDecoded  = 64 << 20 // decompressed bytes of one file's cross-reference and object streams
	maxPDFObjects  = 8 << 20
	maxPDFPages    = 100_000
	maxPDFResolve  = 32
)

// pdfXref says where an object is: at an offset (kind 1) or as the nth of an object stream (kind 2). Kind 0 is
// a free entry, which hides older ones.
type pdfXref struct {
	kind, off, gen int // for kind 2: off is the stream's number, gen the index in it
}

// pdfFile reads the objects of one PDF file. It handles classic cross-reference tables and cross-reference
// streams; hybrid and encrypted files are refused, because two readers may see two documents in the first and
// we cannot append to the second. It is not safe for concurrent use.
type pdfFile struct {
	data    []byte
	xref    map[int]pdfXref
	trailer pdfDict // newest
	start   int     // offset of the newest section
	streams bool    // the newest section is a stream
	size    int     // one more than the highest object number
	cache   map[int]any
	objStms map[int]map[int]any // stream number → index → object
	decoded int
	depth   int
}

// openPDF reads the cross-reference sections. Errors are [errs.Invalid] with a key that tells a person which
// kind of file it is.
func openPDF(data []byte) (*pdfFile, error) {
	if !bytes.HasPrefix(data, []byte("%PDF-")) {
		return nil, errs.E(errs.Invalid, "sign.pdf_not", nil)
	}
	f := &pdfFile{data: data, xref: map[int]pdfXref{}, cache: map[int]any{}, objStms: map[int]map[int]any{}}
	if err := f.readSections(); err != nil {
		if _, key := errors.AsType[*errs.Error](err); key {
			return nil, err
		}
		return nil, errs.E(errs.Invalid, "sign.pdf_broken", err)
	}
	return f, nil
}

func (f *pdfFile) readSections() error {
	tail := f.data[max(0, len(f.data)-2048):]
	at := bytes.LastIndex(tail, []byte("startxref"))
	if at < 0 {
		return fmt.Errorf("%w: no startxref", errPDFSyntax)
	}
	l := &pdfLexer{b: tail, pos: at + len("startxref")}
	off, ok := l.int()
	if !ok {
		return l.syntax("startxref without offset")
	}
	f.start = off
	seen := map[int]bool{}
	for n := 0; ; n++ {
		if seen[off] || n >= maxPDFSections {
			return fmt.Errorf("%w: cross-reference sections form a loop", errPDFSyntax)
		}
		seen[off] = true
		trailer, stream, err := f.readSection(off)
		if err != nil {
			return err
		}
		if n == 0 {
			f.trailer, f.streams = trailer, stream
		}
		if trailer.get("Encrypt") != nil {
			return errs.E(errs.Invalid, "sign.pdf_encrypted", nil)
		}
		if trailer.get("XRefStm") != nil {
			return errs.E(errs.Invalid, "sign.pdf_hybrid", nil)
		}
		if size, ok := pdfInt(trailer.get("Size")); ok && size < maxPDFObjects {
			f.size = max(f.size, size)
		}
		prev := trailer.get("Prev")
		if prev == nil {
			break
		}
		if off, ok = pdfInt(prev); !ok {
			return fmt.Errorf("%w: bad Prev", errPDFSyntax)
		}
	}
	for num := range f.xref {
		f.size = max(f.size, num+1)
	}
	return nil
}

func (f *pdfFile) readSection(off int) (pdfDict, bool, error) {
	if off < 0 || off >= len(f.data) {
		return nil, false, fmt.Errorf("%w: cross-reference outside the file", errPDFSyntax)
	}
	l := &pdfLexer{b: f.data, pos: off}
	if l.keyword("xref") {
		d, err := f.readTable(l)
		return d, false, err
	}
	d, err := f.readXrefStream(l)
	return d, true, err
}

func (f *pdfFile) readTable(l *pdfLexer) (pdfDict, error) {
	for !l.keyword("trailer") {
		first, ok1 := l.int()
		count, ok2 := l.int()
		if !ok1 || !ok2 || first > maxPDFObjects {
			return nil, l.syntax("bad cross-reference table")
		}
		for i := range count {
			off, ok1 := l.int()
			gen, ok2 := l.int()
			if !ok1 || !ok2 || first+i > maxPDFObjects {
				return nil, l.syntax("bad cross-reference entry")
			}
			switch {
			case l.keyword("n"):
				f.note(first+i, pdfXref{kind: 1, off: off, gen: gen})
			case l.keyword("f"):
				f.note(first+i, pdfXref{})
			default:
				return nil, l.syntax("bad cross-reference entry")
			}
		}
	}
	v, err := l.object()
	if err != nil {
		return nil, err
	}
	d, ok := v.(pdfDict)
	if !ok {
		return nil, l.syntax("trailer is not a dictionary")
	}
	return d, nil
}

// note records an entry unless a newer section did.
func (f *pdfFile) note(num int, x pdfXref) {
	if _, newer := f.xref[num]; !newer {
		f.xref[num] = x
	}
}

func (f *pdfFile) readXrefStream(l *pdfLexer) (pdfDict, error) {
	_, ok1 := l.int()
	_, ok2 := l.int()
	if !ok1 || !ok2 || !l.keyword("obj") {
		return nil, l.syntax("no cross-reference section")
	}
	v, err := f.body(l)
	if err != nil {
		return nil, err
	}
	st, ok := v.(pdfStream)
	if !ok || st.dict.get("Type") != pdfName("XRef") {
		return nil, l.syntax("not a cross-reference stream")
	}
	rows, err := f.decode(st)
	if err != nil {
		return nil, err
	}
	var w [3]int
	ws, _ := st.dict.get("W").(pdfArray)
	if len(ws) != 3 {
		return nil, l.syntax("bad W")
	}
	for i := range w {
		if w[i], ok = pdfInt(ws[i]); !ok || w[i] < 0 || w[i] > 8 {
			return nil, l.syntax("bad W")
		}
	}
	size, _ := pdfInt(st.dict.get("Size"))
	index, _ := st.dict.get("Index").(pdfArray)
	if index == nil {
		index = pdfArray{pdfRaw("0"), pdfRaw(fmt.Sprint(size))}
	}
	row := w[0] + w[1] + w[2]
	if row == 0 || len(index)%2 != 0 {
		return nil, l.syntax("bad cross-reference stream")
	}
	for i := 0; i < len(index); i += 2 {
		first, ok1 := pdfInt(index[i])
		count, ok2 := pdfInt(index[i+1])
		if !ok1 || !ok2 || first < 0 || first > maxPDFObjects || count < 0 || count > len(rows)/row {
			return nil, l.syntax("bad Index")
		}
		for j := range count {
			f.note(first+j, xrefRow(rows[j*row:(j+1)*row], w))
		}
		rows = rows[count*row:]
	}
	return st.dict, nil
}

func xrefRow(row []byte, w [3]int) pdfXref {
	field := func(n int) (v int) {
		for _, c := range row[:n] {
			v = v<<8 | int(c)
		}
		row = row[n:]
		return v
	}
	kind := 1 // the default when the first field has width 0 (ISO 32000-1 Table 17)
	if w[0] > 0 {
		kind = field(w[0])
	}
	x := pdfXref{kind: kind, off: field(w[1]), gen: field(w[2])}
	if x.kind != 1 && x.kind != 2 {
		return pdfXref{}
	}
	return x
}

// body reads what follows "n g obj": an object, or a stream when its keyword comes next.
func (f *pdfFile) body(l *pdfLexer) (any, error) {
	v, err := l.object()
	if err != nil {
		return nil, err
	}
	d, ok := v.(pdfDict)
	if !ok || !l.keyword("stream") {
		return v, nil
	}
	if bytes.HasPrefix(l.b[l.pos:], []byte("\r\n")) {
		l.pos += 2
	} else if l.pos < len(l.b) && l.b[l.pos] == '\n' {
		l.pos++
	}
	lv, err := f.resolve(d.get("Length"))
	if err != nil {
		return nil, err
	}
	n, ok := pdfInt(lv)
	if !ok || n < 0 || n > len(l.b)-l.pos {
		return nil, l.syntax("bad stream length")
	}
	raw := l.b[l.pos : l.pos+n]
	l.pos += n
	if !l.keyword("endstream") {
		return nil, l.syntax("stream length does not meet endstream")
	}
	return pdfStream{dict: d, raw: raw}, nil
}

// object returns the newest version of an object, nil for one that is free or absent (ISO 32000-1 §7.3.10).
func (f *pdfFile) object(num int) (any, error) {
	if v, ok := f.cache[num]; ok {
		return v, nil
	}
	if f.depth++; f.depth > maxPDFResolve {
		return nil, fmt.Errorf("%w: references nest too deep", errPDFSyntax)
	}
	defer func() { f.depth-- }()
	var v any
	var err error
	switch x := f.xref[num]; x.kind {
	case 1:
		v, err = f.objectAt(num, x)
	case 2:
		v, err = f.objectIn(num, x)
	}
	if err != nil {
		return nil, err
	}
	f.cache[num] = v
	return v, nil
}

func (f *pdfFile) objectAt(num int, x pdfXref) (any, error) {
	if x.off < 0 || x.off >= len(f.data) {
		return nil, fmt.Errorf("%w: object %d outside the file", errPDFSyntax, num)
	}
	l := &pdfLexer{b: f.data, pos: x.off}
	n, ok1 := l.int()
	_, ok2 := l.int()
	if !ok1 || !ok2 || n != num || !l.keyword("obj") {
		return nil, fmt.Errorf("%w: object %d is not where the table says", errPDFSyntax, num)
	}
	return f.body(l)
}

func (f *pdfFile) objectIn(num int, x pdfXref) (any, error) {
	objs, ok := f.objStms[x.off]
	if !ok {
		if f.xref[x.off].kind != 1 {
			return nil, fmt.Errorf("%w: object stream %d inside another", errPDFSyntax, x.off)
		}
		v, err := f.object(x.off)
		if err != nil {
			return nil, err
		}
		st, ok := v.(pdfStream)
		if !ok || st.dict.get("Type") != pdfName("ObjStm") {
			return nil, fmt.Errorf("%w: %d is not an object stream", errPDFSyntax, x.off)
		}
		if objs, err = f.readObjStm(st); err != nil {
			return nil, err
		}
		f.objStms[x.off] = objs
	}
	return objs[num], nil
}

// readObjStm reads all objects of an object stream, by number.
func (f *pdfFile) readObjStm(st pdfStream) (map[int]any, error) {
	b, err := f.decode(st)
	if err != nil {
		return nil, err
	}
	n, ok1 := pdfInt(st.dict.get("N"))
	first, ok2 := pdfInt(st.dict.get("First"))
	if !ok1 || !ok2 || n < 0 || n > len(b) || first < 0 || first > len(b) {
		return nil, fmt.Errorf("%w: bad object stream", errPDFSyntax)
	}
	head := &pdfLexer{b: b[:first]}
	objs := map[int]any{}
	for range n {
		num, ok1 := head.int()
		off, ok2 := head.int()
		if !ok1 || !ok2 || off > len(b)-first {
			return nil, fmt.Errorf("%w: bad object stream", errPDFSyntax)
		}
		if _, dup := objs[num]; dup {
			return nil, fmt.Errorf("%w: object %d twice in a stream", errPDFSyntax, num)
		}
		l := &pdfLexer{b: b, pos: first + off}
		if objs[num], err = l.object(); err != nil {
			return nil, err
		}
	}
	return objs, nil
}

// resolve follows references until it meets something else.
func (f *pdfFile) resolve(v any) (any, error) {
	for range maxPDFResolve {
		ref, ok := v.(pdfRef)
		if !ok {
			return v, nil
		}
		var err error
		if v, err = f.object(ref.num); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: references form a loop", errPDFSyntax)
}

// dict resolves v to a dictionary, nil when it is absent.
func (f *pdfFile) dict(v any) (pdfDict, error) {
	v, err := f.resolve(v)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case pdfDict:
		return v, nil
	case pdfStream:
		return v.dict, nil
	case pdfRaw:
		if v == "null" {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("%w: dictionary expected", errPDFSyntax)
}

// array resolves v to an array, nil when it is absent.
func (f *pdfFile) array(v any) (pdfArray, error) {
	v, err := f.resolve(v)
	if err != nil || v == nil || v == pdfRaw("null") {
		return nil, err
	}
	a, ok := v.(pdfArray)
	if !ok {
		return nil, fmt.Errorf("%w: array expected", errPDFSyntax)
	}
	return a, nil
}

// catalog returns the document catalog and its reference.
func (f *pdfFile) catalog() (pdfRef, pdfDict, error) {
	ref, ok := f.trailer.get("Root").(pdfRef)
	if !ok {
		return ref, nil, fmt.Errorf("%w: no Root", errPDFSyntax)
	}
	d, err := f.dict(ref)
	if err == nil && d == nil {
		err = fmt.Errorf("%w: no catalog", errPDFSyntax)
	}
	return ref, d, err
}

// page returns the nth page, counted from 1; n = -1 is the last.
func (f *pdfFile) page(n int) (ref pdfRef, page pdfDict, err error) {
	_, cat, err := f.catalog()
	if err != nil {
		return ref, nil, err
	}
	count := 0
	var walk func(v any, depth int) (bool, error)
	walk = func(v any, depth int) (bool, error) {
		r, ok := v.(pdfRef)
		if !ok || depth > maxPDFDepth || count > maxPDFPages {
			return false, fmt.Errorf("%w: bad page tree", errPDFSyntax)
		}
		d, err := f.dict(r)
		if err != nil {
			return false, err
		}
		kids, err := f.array(d.get("Kids"))
		if err != nil {
			return false, err
		}
		if kids == nil {
			count++
			ref, page = r, d
			return count == n, nil
		}
		for _, k := range kids {
			if found, err := walk(k, depth+1); found || err != nil {
				return found, err
			}
		}
		return false, nil
	}
	found, err := walk(cat.get("Pages"), 0)
	if err != nil {
		return ref, nil, err
	}
	if !found && (n != -1 || page == nil) {
		return ref, nil, errs.E(errs.Invalid, "sign.pdf_no_page", nil, "page", n)
	}
	return ref, page, nil
}
