package sign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// subFilterCAdES is the PAdES baseline form (ETSI EN 319 142-1 §5.3).
const subFilterCAdES = "ETSI.CAdES.detached"

// The forms of others that we check.
const (
	subFilterTimestamp = "ETSI.RFC3161" // a time-stamp over the file (ETSI EN 319 142-1 §5.4.3)
	subFilterPKCS7     = "adbe.pkcs7.detached"
	subFilterX509      = "adbe.x509.rsa_sha1" // despite its name with any digest (ISO 32000-1 Table 257)
)

// defaultReserve is the room for the signature value in bytes: three times a signature with a time-stamp.
const defaultReserve = 8 << 10

// byteRangeWidth keeps the place for four numbers that are known only when the file is laid out.
const byteRangeWidth = len("[0 0000000000 0000000000 0000000000]")

// PDFOptions says who signs a PDF and how.
type PDFOptions struct {
	Identity Identity
	Name     string // of the signer; "" takes the certificate's
	Reason   string
	Location string
	// Time is the claimed time of signing; the time-stamp is what proves one.
	Time time.Time
	// Timestamper makes the signature B-T; nil leaves it at B-B.
	Timestamper Timestamper
	// TimestampOptional lets the signature leave at B-B when every time-stamp service is away.
	TimestampOptional bool
	// Appearance draws the signature on a page; nil makes an invisible one.
	Appearance *Appearance
	// Reserve is the room kept for the signature value in bytes; 0 means 8 KiB. It grows by itself.
	Reserve int
}

// SignPDF appends an approval signature (PAdES B-B or B-T) to a PDF and returns the new file, which begins with
// the old one unchanged, so earlier signatures stay valid. Encrypted, hybrid and broken files, and files whose
// author forbade changes, are [errs.Invalid] errors; a missing time-stamp is [errs.Unavailable].
func SignPDF(ctx context.Context, pdf []byte, opt PDFOptions) (signed []byte, err error) {
	defer errs.Wrap(&err, "sign PDF")
	if opt.Time.IsZero() {
		return nil, errs.E(errs.Internal, "sign.identity", errors.New("no time of signing"))
	}
	f, err := openPDF(pdf)
	if err != nil {
		return nil, err
	}
	reserve := opt.Reserve
	if reserve <= 0 {
		reserve = defaultReserve
	}
	dict := func(reserve int) pdfDict { return signatureDict(opt, reserve) }
	return appendSignature(f, dict, opt.Appearance, reserve, func(a, b []byte) ([]byte, error) {
		return buildCMS(opt.Identity, cmsContent{typ: oidData, digest: hashBytes(a, b), stamp: opt.stamp(ctx)})
	})
}

// appendSignature lays out an update with a signature field whose value has the given dictionary, and fills in what value
// returns for the two parts of the file around it.
func appendSignature(f *pdfFile, dict func(reserve int) pdfDict, look *Appearance, reserve int, value func(before, after []byte) ([]byte, error)) ([]byte, error) {
	for range 3 {
		u, sig, err := prepareSignature(f, dict(reserve), look)
		if err != nil {
			return nil, pdfFault(err)
		}
		out, offsets := u.write()
		from, to, err := fillByteRange(out, offsets[sig.num], reserve)
		if err != nil {
			return nil, err
		}
		cms, err := value(out[:from], out[to:])
		if err != nil {
			return nil, err
		}
		if len(cms) <= reserve {
			hex.Encode(out[from+1:], cms)
			return out, nil
		}
		reserve = len(cms) + 1024 // a time-stamp with a long chain: lay the file out again
	}
	return nil, errs.E(errs.Internal, "sign.pdf_broken", errors.New("the signature value keeps growing"))
}

// pdfFault gives syntax faults found while laying out the file the key for people.
func pdfFault(err error) error {
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	return errs.E(errs.Invalid, "sign.pdf_broken", err)
}

func (opt PDFOptions) stamp(ctx context.Context) func([]byte) ([]byte, error) {
	return stampWith(ctx, opt.Timestamper, opt.TimestampOptional)
}

// stampWith asks for a time-stamp over a signature value (CAdES signature-time-stamp).
func stampWith(ctx context.Context, ts Timestamper, optional bool) func([]byte) ([]byte, error) {
	if ts == nil {
		return nil
	}
	return func(sig []byte) ([]byte, error) {
		sum := sha256.Sum256(sig)
		token, err := ts.Timestamp(ctx, sum[:])
		if err != nil && optional && ctx.Err() == nil {
			return nil, nil
		}
		return token, err
	}
}

// prepareSignature makes the update with an empty signature value and returns the signature's reference.
func prepareSignature(f *pdfFile, dict pdfDict, look *Appearance) (*pdfUpdate, pdfRef, error) {
	rootRef, cat, err := f.catalog()
	if err != nil {
		return nil, pdfRef{}, err
	}
	if err := refuseLocked(f, cat); err != nil {
		return nil, pdfRef{}, err
	}
	pageNo, rect := 1, [4]float64{}
	if look != nil {
		pageNo, rect = look.Page, look.Rect
	}
	pageRef, page, err := f.page(pageNo)
	if err != nil {
		return nil, pdfRef{}, err
	}
	u := newPDFUpdate(f)
	sig := u.add(dict)
	name, form, err := nextField(f, cat)
	if err != nil {
		return nil, pdfRef{}, err
	}
	widget := pdfDict{
		{"Type", pdfName("Annot")},
		{"Subtype", pdfName("Widget")},
		{"FT", pdfName("Sig")},
		{"T", pdfText(name)},
		{"V", sig},
		{"P", pageRef},
		{"F", 132},
		{"Rect", pdfRect(rect)}, // F: print, locked
	}
	if look != nil {
		ap, err := look.draw(u)
		if err != nil {
			return nil, pdfRef{}, err
		}
		widget = append(widget, pdfEntry{"AP", pdfDict{{"N", ap}}})
		if len(look.Lines) > 0 { // the picture has no text; a screen reader reads this
			widget = append(widget, pdfEntry{"TU", pdfText(norm.NFC.String(strings.Join(look.Lines, ", ")))})
		}
	}
	field := u.add(widget)
	if err := u.extend(page, pageRef, "Annots", field); err != nil {
		return nil, pdfRef{}, err
	}
	return u, sig, u.addField(rootRef, cat, form, field)
}

func signatureDict(opt PDFOptions, reserve int) pdfDict {
	d := append(pdfDict{{"Type", pdfName("Sig")}}, signaturePlaces(subFilterCAdES, reserve)...)
	d = append(d, pdfEntry{"M", pdfStr(opt.Time.In(i18n.Zone).Format("D:20060102150405-07'00'"))})
	name := opt.Name
	if name == "" && opt.Identity.Cert != nil {
		name = opt.Identity.Cert.Subject.CommonName
	}
	for _, e := range []struct{ key, text string }{{"Name", name}, {"Reason", opt.Reason}, {"Location", opt.Location}} {
		if e.text != "" {
			d = append(d, pdfEntry{pdfName(e.key), pdfText(norm.NFC.String(e.text))})
		}
	}
	return d
}

// signaturePlaces are the entries that every signature has, with room for what is known last.
func signaturePlaces(form string, reserve int) pdfDict {
	return pdfDict{
		{"Filter", pdfName("Adobe.PPKLite")},
		{"SubFilter", pdfName(form)},
		{"ByteRange", pdfRaw("[" + strings.Repeat(" ", byteRangeWidth-2) + "]")},
		{"Contents", pdfRaw("<" + strings.Repeat("0", 2*reserve) + ">")},
	}
}

// fillByteRange writes the final range into the laid-out file: all of it except the signature value with its
// angle brackets. It returns where that begins and ends.
func fillByteRange(out []byte, at, reserve int) (from, to int, err error) {
	br := bytes.Index(out[at:], []byte("/ByteRange ["))
	ct := bytes.Index(out[at:], []byte("/Contents <"))
	if br < 0 || ct < 0 {
		return 0, 0, errors.New("sign: signature dictionary without placeholders") // cannot happen: we wrote it
	}
	from = at + ct + len("/Contents ")
	to = from + 2*reserve + 2
	text := fmt.Sprintf("[0 %d %d %d", from, to, len(out)-to)
	copy(out[at+br+len("/ByteRange "):], text) // the placeholder's blanks and bracket follow
	return from, to, nil
}

// refuseLocked refuses a file whose author's certification allows no changes (ISO 32000-1 §12.8.2.2, P = 1).
func refuseLocked(f *pdfFile, cat pdfDict) error {
	perms, err := f.dict(cat.get("Perms"))
	if err != nil {
		return err
	}
	sig, err := f.dict(perms.get("DocMDP"))
	if err != nil || sig == nil {
		return err
	}
	refs, err := f.array(sig.get("Reference"))
	if err != nil {
		return err
	}
	for _, r := range refs {
		d, err := f.dict(r)
		if err != nil {
			return err
		}
		params, err := f.dict(d.get("TransformParams"))
		if err != nil {
			return err
		}
		if p, _ := pdfInt(params.get("P")); p == 1 {
			return errs.E(errs.Invalid, "sign.pdf_locked", nil)
		}
	}
	return nil
}

// nextField returns an unused name for a signature field, and the form as it is.
func nextField(f *pdfFile, cat pdfDict) (string, pdfDict, error) {
	form, err := f.dict(cat.get("AcroForm"))
	if err != nil {
		return "", nil, err
	}
	fields, err := f.array(form.get("Fields"))
	if err != nil {
		return "", nil, err
	}
	used := map[string]bool{}
	for _, v := range fields {
		d, err := f.dict(v)
		if err != nil {
			return "", nil, err
		}
		used[textOf(d.get("T"))] = true
	}
	for n := 1; ; n++ {
		if name := fmt.Sprintf("Signature%d", n); !used[name] {
			return name, form, nil
		}
	}
}

// extend appends ref to the array d[key] of the object owner, wherever the array is kept.
func (u *pdfUpdate) extend(d pdfDict, owner pdfRef, key pdfName, ref pdfRef) error {
	old, err := u.f.array(d.get(key))
	if err != nil {
		return err
	}
	list := append(slices.Clone(old), ref)
	if at, ok := d.get(key).(pdfRef); ok && old != nil {
		u.set(at, list)
		return nil
	}
	u.set(owner, d.with(key, list))
	return nil
}

// addField enters a field into the form and rewrites the catalog only when it must change.
func (u *pdfUpdate) addField(rootRef pdfRef, cat, form pdfDict, field pdfRef) error {
	newCat := cat
	if version := versionOf(u.f.data, cat); version < "1.7" {
		newCat = newCat.with("Version", pdfName("1.7")) // signatures of this kind and transparency need it
	}
	formRef, indirect := cat.get("AcroForm").(pdfRef)
	if form == nil {
		formRef, indirect = u.reserve(), true
		newCat = newCat.with("AcroForm", formRef)
	}
	form = form.with("SigFlags", pdfRaw("3")) // signatures exist, append only
	fields, err := u.f.array(form.get("Fields"))
	if err != nil {
		return err
	}
	fields = append(slices.Clone(fields), field)
	if at, ok := form.get("Fields").(pdfRef); ok {
		u.set(at, fields)
	} else {
		form = form.with("Fields", fields)
	}
	if indirect {
		u.set(formRef, form)
	} else {
		newCat = newCat.with("AcroForm", form)
	}
	if !indirect || len(newCat) != len(cat) || versionOf(u.f.data, cat) < "1.7" {
		u.set(rootRef, newCat)
	}
	return nil
}

// versionOf is the higher of the header's and the catalog's version. "1.10" does not exist, so text compares.
func versionOf(data []byte, cat pdfDict) string {
	v := ""
	if len(data) >= 8 {
		v = string(data[5:8])
	}
	if c, ok := cat.get("Version").(pdfName); ok {
		v = max(v, string(c))
	}
	return v
}

func pdfRect(r [4]float64) pdfArray {
	a := make(pdfArray, len(r))
	for i, v := range r {
		a[i] = pdfRaw(fmt.Sprintf("%.2f", v))
	}
	return a
}
