package sign

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// errChanged says that a later update touched more than signatures.
var errChanged = errors.New("the document was changed after signing")

func changed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errChanged, fmt.Sprintf(format, args...))
}

// changesSince compares the version of the file that ends at end, the one that was signed, with the whole file,
// and returns an error unless only these were added: signature fields with their values, a document security
// store, and the file information. It looks at objects, not at the shape of updates, so what a reader would
// show decides.
func (f *pdfFile) changesSince(end int, fd pdfSigField) error {
	old, err := openPDF(f.data[:end])
	if err != nil {
		return changed("the signed version cannot be read: %v", err)
	}
	// The signature must have been there when it was made, not been pointed at the old bytes later.
	fields, err := old.signatureFields()
	if err != nil || !slices.ContainsFunc(fields, func(o pdfSigField) bool { return o.name == fd.name && reflect.DeepEqual(o.sig, fd.sig) }) {
		return changed("the signed version does not hold this signature")
	}
	if f.start < end {
		return changed("bytes without a cross-reference follow") // some readers would go looking in them
	}
	oldRoot, oldCat, err := old.catalog()
	if err != nil {
		return err
	}
	root, cat, err := f.catalog()
	if err != nil {
		return err
	}
	if root != oldRoot {
		return changed("another catalog")
	}
	d := pdfDiff{old: old, new: f, root: root.num}
	if ref, ok := f.trailer.get("Info").(pdfRef); ok && f.trailer.get("Info") == old.trailer.get("Info") {
		d.info = ref.num
	}
	if err := d.form(oldCat, cat); err != nil {
		return err
	}
	for num, x := range old.xref {
		if x.kind == 0 || f.xref[num] == x {
			continue
		}
		if err := d.object(num); err != nil {
			return err
		}
	}
	return d.dangling()
}

type pdfDiff struct {
	old, new   *pdfFile
	root, info int
	formRef    int // of the form, 0 when it is inside the catalog or was absent
	fieldsRef  int // of the form's list of fields, 0 when it is inside the form
	added      []pdfRef
	store      map[int]bool // objects that serve the document security store alone; nil until asked for
}

// form checks that the new form is the old one with more signature fields.
func (d *pdfDiff) form(oldCat, cat pdfDict) error {
	if ref, ok := oldCat.get("AcroForm").(pdfRef); ok {
		d.formRef = ref.num
	}
	oldForm, err := d.old.dict(oldCat.get("AcroForm"))
	if err != nil {
		return err
	}
	form, err := d.new.dict(cat.get("AcroForm"))
	if err != nil {
		return err
	}
	if ref, ok := oldForm.get("Fields").(pdfRef); ok {
		d.fieldsRef = ref.num
	}
	if !sameExcept(oldForm, form, "Fields", "SigFlags") {
		return changed("the form")
	}
	if d.added, err = d.extended(oldForm.get("Fields"), form.get("Fields")); err != nil {
		return err
	}
	for _, ref := range d.added {
		v, err := d.new.dict(ref)
		if err != nil {
			return err
		}
		sig, err := d.new.dict(v.get("V"))
		if err != nil {
			return err
		}
		if v.get("FT") != pdfName("Sig") || v.get("Kids") != nil || sig.get("ByteRange") == nil {
			return changed("a form field that is not a signature")
		}
		if _, existed := d.old.xref[ref.num]; existed {
			return changed("an old object used as a signature field")
		}
	}
	return nil
}

// extended checks that the new list begins with the old one and returns the references after it.
func (d *pdfDiff) extended(oldList, newList any) ([]pdfRef, error) {
	was, err := d.old.array(oldList)
	if err != nil {
		return nil, err
	}
	is, err := d.new.array(newList)
	if err != nil {
		return nil, err
	}
	if len(is) < len(was) || (len(was) > 0 && !reflect.DeepEqual(was, is[:len(was)])) {
		return nil, changed("a list of fields or annotations")
	}
	var refs []pdfRef
	for _, v := range is[len(was):] {
		ref, ok := v.(pdfRef)
		if !ok {
			return nil, changed("a list of fields or annotations")
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// object decides about an object that the old version had and that was written again.
func (d *pdfDiff) object(num int) error {
	was, err := d.old.object(num)
	if err != nil {
		return err
	}
	is, err := d.new.object(num)
	if err != nil {
		return err
	}
	if samePDF(was, is) || num == d.formRef {
		return nil // the form's own changes were checked before
	}
	if num == d.fieldsRef {
		return d.annots(was, is)
	}
	if d.inStore(num) {
		return nil
	}
	a, ok1 := was.(pdfDict)
	b, ok2 := is.(pdfDict)
	switch {
	case !ok1 || !ok2:
		if _, list := was.(pdfArray); list && d.isAnnots(num) {
			return d.annots(was, is)
		}
	case num == d.info && plain(a) && plain(b):
		return nil
	case num == d.root:
		if sameExcept(a, b, "AcroForm", "DSS", "Extensions", "Version") {
			return nil
		}
	case a.get("Type") == pdfName("Page") && sameExcept(a, b, "Annots"):
		return d.annots(a.get("Annots"), b.get("Annots"))
	case a.get("FT") == pdfName("Sig") && a.get("V") == nil && sameExcept(a, b, "V", "AP", "M"):
		return nil // an empty signature field was filled
	}
	return changed("object %d", num)
}

// inStore reports whether an object of the old version belongs to the document security store and to nothing else, so
// that writing it again cannot change what a reader shows.
func (d *pdfDiff) inStore(num int) bool {
	if d.store == nil {
		d.store = map[int]bool{}
		_, cat, err := d.old.catalog()
		if err != nil || cat.get("DSS") == nil {
			return false
		}
		elsewhere := map[int]bool{d.root: true}
		rest := slices.DeleteFunc(slices.Clone(cat), func(e pdfEntry) bool { return e.key == "DSS" })
		if !d.old.reach(rest, elsewhere) || !d.old.reach(d.old.trailer.get("Info"), elsewhere) || !d.old.reach(cat.get("DSS"), d.store) {
			d.store = map[int]bool{}
			return false
		}
		for n := range elsewhere {
			delete(d.store, n)
		}
	}
	return d.store[num]
}

// reach adds the numbers of all objects that can be reached from v, and reports whether all could be read.
func (f *pdfFile) reach(v any, seen map[int]bool) bool {
	todo := []any{v}
	for len(todo) > 0 {
		v, todo = todo[len(todo)-1], todo[:len(todo)-1]
		switch v := v.(type) {
		case pdfRef:
			if seen[v.num] {
				continue
			}
			seen[v.num] = true
			o, err := f.object(v.num)
			if err != nil {
				return false
			}
			todo = append(todo, o)
		case pdfArray:
			todo = append(todo, v...)
		case pdfDict:
			for _, e := range v {
				todo = append(todo, e.val)
			}
		case pdfStream:
			todo = append(todo, v.dict)
		}
	}
	return true
}

// plain reports whether a dictionary holds simple values only, as file information does. One that serves as
// something else at the same time, such as the resources of a page, does not.
func plain(d pdfDict) bool {
	return !slices.ContainsFunc(d, func(e pdfEntry) bool {
		switch e.val.(type) {
		case pdfStr, pdfRaw, pdfName:
			return false
		}
		return true
	})
}

// dangling finds an object that the old version mentions but did not have, and that exists now: a way to
// prepare a document so that its look changes with an update that seems only to add.
func (d *pdfDiff) dangling() error {
	var err error
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case pdfRef:
			if d.old.xref[v.num].kind == 0 && d.new.xref[v.num].kind != 0 {
				err = changed("object %d was defined later", v.num)
			}
		case pdfArray:
			for _, e := range v {
				walk(e)
			}
		case pdfDict:
			for _, e := range v {
				walk(e.val)
			}
		case pdfStream:
			walk(v.dict)
		}
	}
	for num, x := range d.old.xref {
		if x.kind == 0 {
			continue
		}
		v, e := d.old.object(num)
		if e != nil {
			return changed("object %d cannot be read: %v", num, e)
		}
		if walk(v); err != nil {
			return err
		}
	}
	return nil
}

// annots checks that a page gained nothing but the signature fields that were found in the form.
func (d *pdfDiff) annots(was, is any) error {
	refs, err := d.extended(was, is)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if !slices.Contains(d.added, ref) {
			return changed("an annotation that is not a signature")
		}
	}
	return nil
}

// isAnnots reports whether the object is the list of annotations of a page of the old version.
func (d *pdfDiff) isAnnots(num int) bool {
	for n := range d.old.xref {
		v, err := d.old.object(n)
		if err != nil {
			continue
		}
		if p, ok := v.(pdfDict); ok && p.get("Type") == pdfName("Page") {
			if ref, ok := p.get("Annots").(pdfRef); ok && ref.num == num {
				return true
			}
		}
	}
	return false
}

func samePDF(a, b any) bool {
	x, ok1 := a.(pdfStream)
	y, ok2 := b.(pdfStream)
	if ok1 && ok2 {
		return bytes.Equal(x.raw, y.raw) && sameExcept(x.dict, y.dict)
	}
	p, ok1 := a.(pdfDict)
	q, ok2 := b.(pdfDict)
	if ok1 && ok2 {
		return sameExcept(p, q)
	}
	return reflect.DeepEqual(a, b)
}

// sameExcept compares two dictionaries regardless of the order of keys and of the keys named.
func sameExcept(a, b pdfDict, except ...pdfName) bool {
	keep := func(d pdfDict) map[pdfName]any {
		m := map[pdfName]any{}
		for _, e := range d {
			if !slices.Contains(except, e.key) {
				m[e.key] = e.val
			}
		}
		return m
	}
	return reflect.DeepEqual(keep(a), keep(b))
}
