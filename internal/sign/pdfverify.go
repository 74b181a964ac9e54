package sign

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // only to tell old signatures from changed documents; nothing is accepted with it
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"truc/internal/i18n"
)

// Limits of the checker.
const (
	maxSignatures = 64
	maxFields     = 10_000
)

// VerifyPDF checks every signature of a PDF, in the order in which they were made. It returns no report for a
// file without signatures and an [errs.Invalid] error for one that cannot be read.
func VerifyPDF(pdf []byte, opt VerifyOptions) ([]Report, error) {
	reports, _, _, err := verifyPDF(pdf, opt)
	return reports, err
}

func verifyPDF(pdf []byte, opt VerifyOptions) ([]Report, *checker, *pdfFile, error) {
	f, err := openPDF(pdf)
	if err != nil {
		return nil, nil, nil, err
	}
	fields, err := f.signatureFields()
	if err != nil {
		return nil, nil, nil, pdfFault(err)
	}
	c := &checker{opt: opt}
	if c.store, err = f.securityStore(); err != nil {
		c.store = evidence{} // a broken store proves nothing, but takes nothing away from the signatures either
	}
	type ranked struct {
		Report
		end int
	}
	var all []ranked
	var stamps []fileStamp
	for _, fd := range fields { // time-stamps over the file first: the signatures lean on them
		if isTimestamp(fd) {
			r, end := c.checkStamp(f, fd)
			all = append(all, ranked{r, end})
			if r.State == Valid {
				stamps = append(stamps, fileStamp{end, r.Timestamp})
			}
		}
	}
	for _, fd := range fields {
		if !isTimestamp(fd) {
			r, end := c.check(f, fd, stamps)
			all = append(all, ranked{r, end})
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(a.end, b.end) })
	var reports []Report
	for i, r := range all {
		r.Order = i + 1
		reports = append(reports, r.Report)
	}
	return reports, c, f, nil
}

// fileStamp is a verified time-stamp over the first end bytes of a file.
type fileStamp struct {
	end  int
	info *TimestampInfo
}

func isTimestamp(fd pdfSigField) bool { return fd.sig.get("SubFilter") == pdfName(subFilterTimestamp) }

// earliest finds the earliest time-stamp over a file that already held a signature whose range ended at end.
func earliest(stamps []fileStamp, end int) (info *TimestampInfo) {
	for _, s := range stamps {
		if s.end > end && (info == nil || s.info.Time.Before(info.Time)) {
			info = s.info
		}
	}
	return info
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

// signed reads where a signature field stands and its value; the report says so when it cannot.
func (r *Report) signed(f *pdfFile, fd pdfSigField) (value []byte, from, to, end int, ok bool) {
	if fd.err != nil {
		r.fail(fd.err)
		return nil, 0, 0, len(f.data), false
	}
	from, to, end, err := f.byteRange(fd.sig)
	if err != nil {
		r.fail(err)
		return nil, 0, 0, len(f.data), false
	}
	contents := fd.sig.get("Contents").(pdfStr) // byteRange has checked it
	der, used, err := toDER(contents)
	if err != nil || len(bytes.TrimRight(contents[used:], "\x00")) != 0 { // bytes hidden behind the signature value
		r.fail(errCMS)
		return nil, 0, 0, end, false
	}
	return der, from, to, end, true
}

// check makes the report of one signature and tells where its range ends.
func (c *checker) check(f *pdfFile, fd pdfSigField, stamps []fileStamp) (Report, int) {
	r := Report{Field: fd.name, Reason: textOf(fd.sig.get("Reason")), Location: textOf(fd.sig.get("Location"))}
	if sub, ok := fd.sig.get("SubFilter").(pdfName); ok {
		r.SubFilter = string(sub)
	}
	if fd.err == nil && !slices.Contains([]string{subFilterCAdES, subFilterPKCS7, subFilterX509}, r.SubFilter) {
		r.State, r.Verdict = NotChecked, Message{Key: "sign.verdict.not_checked", Args: []any{"form", r.SubFilter}}
		return r, len(f.data)
	}
	der, from, to, end, ok := r.signed(f, fd)
	if !ok {
		return r, end
	}
	if t, ok := parsePDFDate(textOf(fd.sig.get("M"))); ok {
		r.Time, r.TimeSource = t, TimeClaimed
	}
	digest := hashBytes(f.data[:from], f.data[to:end])
	if r.SubFilter == subFilterX509 {
		c.checkRaw(&r, f, fd.sig, der, digest, earliest(stamps, end))
	} else {
		c.checkCMS(&r, der, digest, r.SubFilter == subFilterCAdES, earliest(stamps, end))
	}
	f.cover(&r, fd, end)
	return r, end
}

// checkStamp makes the report of a time-stamp over the file.
func (c *checker) checkStamp(f *pdfFile, fd pdfSigField) (Report, int) {
	r := Report{Field: fd.name, SubFilter: subFilterTimestamp, DocumentTimestamp: true}
	der, from, to, end, ok := r.signed(f, fd)
	if !ok {
		return r, end
	}
	digest := hashBytes(f.data[:from], f.data[to:end])
	m, err := parseCMS(der)
	if err != nil || len(m.signers) != 1 {
		r.fail(errToken)
		return r, end
	}
	r.identify(m.cert(&m.signers[0]))
	info, longTerm, err := c.token(der, digest, c.store.with(m, &m.signers[0]))
	args := []any{"signer", r.Signer}
	switch {
	case err == nil:
		r.Integrity, r.State, r.Chain = true, Valid, info.Chain
		r.Timestamp, r.Time, r.TimeSource = info, info.Time, TimeStamped
		r.Verdict = Message{Key: "sign.verdict.timestamp", Args: append(args, "time", i18n.DateTime(info.Time))}
		if longTerm {
			r.Level = "B-LT"
		}
	case errors.Is(err, errDigest), errors.Is(err, errSignature), errors.Is(err, errTokenImprint):
		r.fail(err)
		return r, end
	default: // by somebody whom we do not trust
		r.Integrity, r.State, r.Problem = true, Untrusted, err
		r.Verdict = Message{Key: "sign.verdict.untrusted", Args: append(args, "agency", r.Agency)}
		if errors.Is(err, errWeak) {
			r.fail(err)
		}
	}
	f.cover(&r, fd, end)
	return r, end
}

// checkRaw checks a bare RSA signature next to its certificate (ISO 32000-1 §12.8.3.2).
func (c *checker) checkRaw(r *Report, f *pdfFile, sig pdfDict, der []byte, digest func(crypto.Hash) []byte, proven *TimestampInfo) {
	v, err := f.resolve(sig.get("Cert"))
	if err != nil {
		r.fail(err)
		return
	}
	var certs []*x509.Certificate
	list, isList := v.(pdfArray)
	if !isList {
		list = pdfArray{v}
	}
	for _, v := range list[:min(len(list), maxCMSCerts)] {
		if v, err = f.resolve(v); err != nil {
			r.fail(err)
			return
		}
		if s, ok := v.(pdfStr); ok {
			if cert, err := x509.ParseCertificate(s); err == nil {
				certs = append(certs, cert)
			}
		}
	}
	if len(certs) == 0 {
		r.fail(errNoCert)
		return
	}
	r.identify(certs[0])
	if err := checkRawSignature(certs[0], der, digest); err != nil {
		r.fail(err)
		return
	}
	r.Integrity = true
	if proven != nil {
		r.Timestamp, r.Time, r.TimeSource = proven, proven.Time, TimeStamped
		r.note("sign.note.timestamp", "time", i18n.DateTime(proven.Time), "tsa", proven.Cert.Subject.CommonName)
	} else {
		r.note("sign.note.no_timestamp")
	}
	c.checkTrust(r, certs[0], slices.Concat(certs, c.store.certs), c.store)
}

func checkRawSignature(cert *x509.Certificate, der []byte, digest func(crypto.Hash) []byte) error {
	in := cryptobyte.String(der)
	var value cryptobyte.String
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || !in.ReadASN1(&value, cbasn1.OCTET_STRING) || !in.Empty() {
		return errCMS
	}
	if key.N.BitLen() < 2048 {
		return errWeak
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if rsa.VerifyPKCS1v15(key, h, digest(h), value) == nil {
			return nil
		}
	}
	// Whether it was good under SHA-1 does not matter any more, but it is not what a changed document looks like.
	if rsa.VerifyPKCS1v15(key, crypto.SHA1, digest(crypto.SHA1), value) == nil {
		return errWeak
	}
	return errSignature
}

// cover finds out what happened to the file after the range of a signature.
func (f *pdfFile) cover(r *Report, fd pdfSigField, end int) {
	r.Coverage = CoverWhole
	if end == len(f.data) || !r.Integrity {
		return
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
}

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
