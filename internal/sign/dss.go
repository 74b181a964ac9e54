package sign

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/pki"
)

// clockTolerance is how far the clocks of others may be ahead of ours.
const clockTolerance = 5 * time.Minute

// The lists of a document security store (ETSI EN 319 142-1 §5.4.2.2).
const (
	dssCerts pdfName = "Certs"
	dssOCSPs pdfName = "OCSPs"
	dssCRLs  pdfName = "CRLs"
)

// securityStore reads the document security store.
func (f *pdfFile) securityStore() (e evidence, err error) {
	_, cat, err := f.catalog()
	if err != nil {
		return e, err
	}
	dss, err := f.dict(cat.get("DSS"))
	if err != nil || dss == nil {
		return e, err
	}
	certs, err := f.dssList(dss, dssCerts)
	if err != nil {
		return e, err
	}
	for _, der := range certs {
		if c, err := x509.ParseCertificate(der); err == nil {
			e.certs = append(e.certs, c)
		}
	}
	if e.ocsps, err = f.dssList(dss, dssOCSPs); err != nil {
		return e, err
	}
	e.crls, err = f.dssList(dss, dssCRLs)
	return e, err
}

func (f *pdfFile) dssList(dss pdfDict, key pdfName) (out [][]byte, err error) {
	list, err := f.array(dss.get(key))
	if err != nil {
		return nil, err
	}
	for _, v := range list[:min(len(list), maxEvidence)] {
		v, err := f.resolve(v)
		if err != nil {
			return nil, err
		}
		st, ok := v.(pdfStream)
		if !ok {
			continue
		}
		b, err := f.decode(st)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// ExtendPDF adds to a signed PDF what is needed to check its signatures in years to come, when authorities answer no
// more (PAdES B-LT): the certificates of signers and time-stamp services and what their authorities say about
// revocation now, in a document security store. It is an incremental update, and returns the file as it is when
// nothing is missing. Signatures that do not lead to a trusted root are passed over. A file without signatures that do
// is an [errs.Invalid] error; an authority that cannot be asked is [errs.Unavailable].
func ExtendPDF(pdf []byte, opt VerifyOptions) (extended []byte, err error) {
	defer errs.Wrap(&err, "extend PDF")
	reports, c, f, err := verifyPDF(pdf, opt)
	if err != nil {
		return nil, err
	}
	own := &collector{c: c}
	for _, r := range reports {
		if r.Chain == nil {
			continue
		}
		at := opt.Now()
		if r.TimeSource == TimeStamped {
			at = r.Time
		}
		if err := own.collect(r.Chain, at); err != nil {
			return nil, err
		}
		if r.Timestamp != nil {
			if err := own.collect(r.Timestamp.Chain, r.Timestamp.Time); err != nil {
				return nil, err
			}
		}
	}
	if !own.any {
		return nil, errs.E(errs.Invalid, "sign.nothing_to_extend", nil)
	}
	if own.empty() {
		return pdf, nil
	}
	out, err := own.write(f)
	if err != nil {
		return nil, pdfFault(err)
	}
	return out, nil
}

// collector gathers what a security store lacks.
type collector struct {
	c     *checker
	any   bool
	certs []*x509.Certificate
	found evidence
}

func (o *collector) empty() bool {
	return len(o.certs)+len(o.found.ocsps)+len(o.found.crls) == 0
}

// collect adds the certificates of a chain below the root, and a statement about each that the file does not have.
func (o *collector) collect(chain []*x509.Certificate, at time.Time) error {
	o.any = true
	for i := range len(chain) - 1 {
		cert, issuer := chain[i], chain[i+1]
		if !slices.ContainsFunc(slices.Concat(o.c.store.certs, o.certs), cert.Equal) {
			o.certs = append(o.certs, cert)
		}
		known := evidence{ocsps: slices.Concat(o.c.store.ocsps, o.found.ocsps), crls: slices.Concat(o.c.store.crls, o.found.crls)}
		if _, ok := o.c.inFile(cert, issuer, at, known); ok {
			continue
		}
		if o.c.opt.Revocation == nil {
			return errs.E(errs.Unavailable, "pki.status_unavailable", errors.New("nobody to ask"))
		}
		e, err := o.c.opt.Revocation.Evidence(cert, issuer)
		if err != nil {
			return err
		}
		st, err := pki.ReadEvidence(e, cert, issuer)
		if err != nil || !o.c.holds(st, cert, at) {
			return errs.E(errs.Unavailable, "pki.status_unavailable", errors.Join(err, errors.New("the statement does not hold for the time of signing")))
		}
		if e.OCSP != nil {
			o.found.ocsps = append(o.found.ocsps, e.OCSP)
		} else {
			o.found.crls = append(o.found.crls, e.CRL)
		}
	}
	return nil
}

// write appends the update. The store's dictionary is a new object each time, so that no object that a signature covers
// changes except the catalog.
func (o *collector) write(f *pdfFile) ([]byte, error) {
	rootRef, cat, err := f.catalog()
	if err != nil {
		return nil, err
	}
	dss, err := f.dict(cat.get("DSS"))
	if err != nil {
		return nil, err
	}
	u := newPDFUpdate(f)
	if dss == nil {
		dss = pdfDict{{"Type", pdfName("DSS")}}
	}
	var certs [][]byte
	for _, c := range o.certs {
		certs = append(certs, c.Raw)
	}
	for _, part := range []struct {
		key   pdfName
		items [][]byte
	}{{dssCerts, certs}, {dssOCSPs, o.found.ocsps}, {dssCRLs, o.found.crls}} {
		if len(part.items) == 0 {
			continue
		}
		list, err := f.array(dss.get(part.key))
		if err != nil {
			return nil, err
		}
		list = slices.Clone(list)
		for _, der := range part.items {
			list = append(list, u.add(pdfStream{raw: der}))
		}
		dss = dss.with(part.key, list)
	}
	cat = cat.with("DSS", u.add(dss))
	ext, err := f.dict(cat.get("Extensions"))
	if err != nil {
		return nil, err
	}
	if ext.get("ESIC") == nil { // ETSI EN 319 142-1 §5.6
		cat = cat.with("Extensions", ext.with("ESIC", pdfDict{{"BaseVersion", pdfName("1.7")}, {"ExtensionLevel", 2}}))
	}
	u.set(rootRef, cat)
	out, _ := u.write()
	return out, nil
}

// StampPDF appends a time-stamp over the whole file (ETSI EN 319 142-1 §5.4.3). It proves that every signature before it
// existed, also those made while no time-stamp service could be reached, and changes no earlier byte.
func StampPDF(ctx context.Context, pdf []byte, ts Timestamper) (stamped []byte, err error) {
	defer errs.Wrap(&err, "time-stamp PDF")
	f, err := openPDF(pdf)
	if err != nil {
		return nil, err
	}
	dict := func(reserve int) pdfDict {
		return append(pdfDict{{"Type", pdfName("DocTimeStamp")}}, signaturePlaces(subFilterTimestamp, reserve)...)
	}
	return appendSignature(f, dict, nil, defaultReserve, func(a, b []byte) ([]byte, error) {
		return ts.Timestamp(ctx, hashBytes(a, b)(crypto.SHA256))
	})
}

// RaisePDF brings a signed PDF as far as it can: signatures whose time nothing proves yet get a time-stamp over the file,
// then everything is added that [ExtendPDF] adds. It is safe to repeat, and returns the file as it is when nothing is
// missing. Errors are those of [StampPDF] and [ExtendPDF].
func RaisePDF(ctx context.Context, pdf []byte, ts Timestamper, opt VerifyOptions) (raised []byte, err error) {
	reports, err := VerifyPDF(pdf, opt)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(reports, func(r Report) bool { return r.State == Valid && r.TimeSource != TimeStamped && !r.DocumentTimestamp }) {
		if pdf, err = StampPDF(ctx, pdf, ts); err != nil {
			return nil, err
		}
	}
	return ExtendPDF(pdf, opt)
}
