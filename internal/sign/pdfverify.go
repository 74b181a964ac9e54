package sign

import (
	"bytes"
	"cmp"
	"crypto"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of the checker.
const (
	maxSignatures = 64
	maxFields     = 10_000
)

// VerifyPDF checks every signature of a PDF, in the order in which they were made. It returns no report for a
// file without signatures and an [errs.Invalid] error for one that cannot be read.
func VerifyPDF(pdf []byte, opt VerifyOptions) ([]Report, error) {
	f, err := openPDF(pdf)
	if err != nil {
		return nil, err
	}
	fields, err := f.signatureFields()
	if err != nil {
		return nil, pdfFault(err)
	}
	type ranked struct {
		Report
		end int
	}
	var all []ranked
	for _, fd := range fields {
		r, end := f.check(fd, opt)
		all = append(all, ranked{r, end})
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(a.end, b.end) })
	reports := make([]Report, len(all))
	for i, r := range all {
		reports[i] = r.Report
		reports[i].Order = i + 1
	}
	return reports, nil
}

// pdfSigField is a signature field with a value.
type pdfSigField struct {
	name string
	sig  pdfDict
	err  error // why the value cannot be read
}

// signatureFields lists the signed signature fields of the form, walking the field tree.
func (f *pdfFile) signatureFields() ([]pdfSigField, error) {
	_, cat, err := f.catalog()
	if err != nil {
		return nil, err
	}
	form, err := f.dict(cat.get("AcroForm"))
	if err != nil {
		return nil, err
	}
	top, err := f.array(form.get("Fields"))
	if err != nil {
		return nil, err
	}
	var out []pdfSigField
	visited := 0
	var walk func(list pdfArray, prefix string, ft any, depth int) error
	walk = func(list pdfArray, prefix string, ft any, depth int) error {
		for _, v := range list {
			if visited++; visited > maxFields || depth > maxPDFDepth {
				return fmt.Errorf("%w: too many form fields", errPDFSyntax)
			}
			d, err := f.dict(v)
			if err != nil {
				return err
			}
			name := prefix
			if t := textOf(d.get("T")); t != "" {
				name = strings.TrimPrefix(prefix+"."+t, ".")
			}
			typ := ft // the type is inherited (ISO 32000-1 §12.7.3.1)
			if own := d.get("FT"); own != nil {
				typ = own
			}
			kids, err := f.array(d.get("Kids"))
			if err != nil {
				return err
			}
			if err := walk(kids, name, typ, depth+1); err != nil {
				return err
			}
			if typ != pdfName("Sig") || d.get("V") == nil {
				continue
			}
			sig, err := f.dict(d.get("V"))
			if sig == nil && err == nil {
				continue
			}
			if out = append(out, pdfSigField{name: name, sig: sig, err: err}); len(out) > maxSignatures {
				return fmt.Errorf("%w: too many signatures", errPDFSyntax)
			}
		}
		return nil
	}
	return out, walk(top, "", nil, 0)
}

// check makes the report of one signature and tells where its range ends.
func (f *pdfFile) check(fd pdfSigField, opt VerifyOptions) (Report, int) {
	r := Report{Field: fd.name, Reason: textOf(fd.sig.get("Reason")), Location: textOf(fd.sig.get("Location"))}
	if sub, ok := fd.sig.get("SubFilter").(pdfName); ok {
		r.SubFilter = string(sub)
	}
	if fd.err != nil {
		r.fail(fd.err)
		return r, len(f.data)
	}
	strict := r.SubFilter == subFilterCAdES
	if !strict && r.SubFilter != "adbe.pkcs7.detached" {
		r.State, r.Verdict = NotChecked, Message{Key: "sign.verdict.not_checked", Args: []any{"form", r.SubFilter}}
		return r, len(f.data)
	}
	from, to, end, err := f.byteRange(fd.sig)
	if err != nil {
		r.fail(err)
		return r, len(f.data)
	}
	if t, ok := parsePDFDate(textOf(fd.sig.get("M"))); ok {
		r.Time, r.TimeSource = t, TimeClaimed
	}
	contents := fd.sig.get("Contents").(pdfStr) // byteRange has checked it
	der := contents[:derLength(contents)]
	if len(bytes.TrimRight(contents[len(der):], "\x00")) != 0 {
		r.fail(errCMS) // bytes hidden behind the signature value
		return r, end
	}
	r.checkCMS(der, hashRanges(f.data[:from], f.data[to:end]), strict, opt)
	r.Coverage = CoverWhole
	if end == len(f.data) || !r.Integrity {
		return r, end
	}
	r.Coverage = CoverExtended
	if err := f.changesSince(end, fd); err != nil {
		r.Coverage = CoverChanged
		if r.State == Valid {
			r.State, r.Problem = Changed, err
			r.Verdict = Message{Key: "sign.verdict.changed", Args: []any{"signer", r.Signer, "agency", r.Agency}}
		} else {
			r.note("sign.note.changed")
		}
	} else {
		r.note("sign.note.extended")
	}
	return r, end
}

func hashRanges(a, b []byte) func(crypto.Hash) []byte { return hashBytes(a, b) }

// byteRange reads /ByteRange and insists that it leaves out exactly the signature value: anything more is room
// for a forger.
func (f *pdfFile) byteRange(sig pdfDict) (from, to, end int, err error) {
	bad := func(why string) (int, int, int, error) {
		return 0, 0, 0, fmt.Errorf("%w: ByteRange %s", errPDFSyntax, why)
	}
	list, err := f.array(sig.get("ByteRange"))
	if err != nil || len(list) != 4 {
		return bad("is not of four numbers")
	}
	var n [4]int
	for i, v := range list {
		var ok bool
		if n[i], ok = pdfInt(v); !ok || n[i] < 0 || n[i] > len(f.data) {
			return bad("leaves the file")
		}
	}
	from, to, end = n[1], n[2], n[2]+n[3]
	if n[0] != 0 || from < 1 || to < from+2 || end > len(f.data) {
		return bad("leaves the file")
	}
	contents, ok := sig.get("Contents").(pdfStr)
	gap := f.data[from:to]
	if !ok || gap[0] != '<' || gap[len(gap)-1] != '>' || !bytes.EqualFold(gap[1:len(gap)-1], hex.AppendEncode(nil, contents)) {
		return bad("does not leave out exactly the signature value")
	}
	return from, to, end, nil
}

// parsePDFDate reads D:YYYYMMDDHHmmSSOHH'mm' (ISO 32000-1 §7.9.4) with seconds and zone.
func parsePDFDate(s string) (time.Time, bool) {
	s = strings.TrimSuffix(strings.ReplaceAll(strings.TrimPrefix(s, "D:"), "'", ""), "'")
	for _, layout := range []string{"20060102150405-0700", "20060102150405Z0000", "20060102150405Z", "20060102150405-07"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
