package sign

import (
	"bytes"
	"context"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/pki"
)

var (
	extendedLT = seen{Valid, CoverExtended, "B-LT", TimeStamped, "sign.verdict.valid"}
	goodBB     = seen{Valid, CoverWhole, "B-B", TimeClaimed, "sign.verdict.valid"}
)

func notes(r Report) (keys []string) {
	for _, n := range r.Notes {
		keys = append(keys, n.Key)
	}
	return keys
}

// TestExtendPDF carries both chains' evidence into the file; it holds for years, while nobody is asked.
func TestExtendPDF(t *testing.T) {
	b := newBench(t, pki.P256)
	years := b.verifyOptions()
	years.Now = func() time.Time { return b.now.AddDate(5, 0, 0) }
	for name, pdf := range inputs(t) {
		t.Run(name, func(t *testing.T) {
			lt := b.extend(t, b.personThenAgency(t, pdf))
			want := []seen{extendedLT, extendedLT}
			if diff := cmp.Diff(want, verify(t, lt, b.verifyOptions())); diff != "" {
				t.Errorf("after signing (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, verify(t, lt, years)); diff != "" {
				t.Errorf("five years later (-want +got):\n%s", diff)
			}
			if again := b.extend(t, lt); !bytes.Equal(again, lt) {
				t.Error("a second time something was added")
			}
			reports, err := VerifyPDF(lt, years)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range reports {
				if r.Revocation.State != NotRevoked || !r.Revocation.Embedded || !slices.Contains(notes(r), "sign.note.not_revoked") || slices.Contains(notes(r), "sign.note.revocation_unchecked") {
					t.Errorf("revocation %+v, notes %v", r.Revocation, notes(r))
				}
			}
		})
	}
}

// TestExtendPDFPerSignature extends after each signature; the second finds most of it there.
func TestExtendPDFPerSignature(t *testing.T) {
	b := newBench(t, pki.P256)
	first := b.extend(t, b.sign(t, samplePDF(t), PDFOptions{Identity: b.person, Timestamper: b.tsa}))
	both := b.extend(t, b.sign(t, first, PDFOptions{Identity: b.agency, Timestamper: b.tsa}))
	if diff := cmp.Diff([]seen{extendedLT, extendedLT}, verify(t, both, b.verifyOptions())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f, err := openPDF(both)
	if err != nil {
		t.Fatal(err)
	}
	store, err := f.securityStore()
	if err != nil || len(store.certs) != 3 || len(store.ocsps) != 3 { // person, agency, time-stamp service
		t.Errorf("store holds %d certificates and %d answers, %v; want 3 and 3", len(store.certs), len(store.ocsps), err)
	}
}

func TestExtendPDFWithList(t *testing.T) {
	b := newBench(t, pki.P256)
	opt := b.extendOptions()
	opt.Revocation = listSource{b.status}
	lt, err := ExtendPDF(b.personThenAgency(t, samplePDF(t)), opt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]seen{extendedLT, extendedLT}, verify(t, lt, b.verifyOptions())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f, _ := openPDF(lt)
	if store, _ := f.securityStore(); len(store.crls) != 1 {
		t.Errorf("%d lists in the store; one is enough for all", len(store.crls))
	}
}

// listSource answers with the list of revoked certificates.
type listSource struct{ r *pki.Responder }

func (s listSource) Evidence(*x509.Certificate, *x509.Certificate) (pki.Evidence, error) {
	der, err := s.r.CRL()
	return pki.Evidence{CRL: der}, err
}

// away is an authority that cannot be asked.
type away struct{}

func (away) Evidence(*x509.Certificate, *x509.Certificate) (pki.Evidence, error) {
	return pki.Evidence{}, errs.E(errs.Unavailable, "pki.status_unavailable", nil)
}

func TestExtendPDFRefuses(t *testing.T) {
	b, stranger := newBench(t, pki.P256), newBench(t, pki.P256)
	signed := b.personThenAgency(t, samplePDF(t))
	closed := b.extendOptions()
	closed.Revocation = away{}
	foreign := stranger.extendOptions()
	for _, c := range []struct {
		name string
		pdf  []byte
		opt  VerifyOptions
		want string
	}{
		{"unsigned", samplePDF(t), b.extendOptions(), "sign.nothing_to_extend"},
		{"nobody trusted", signed, foreign, "sign.nothing_to_extend"},
		{"authority away", signed, closed, "pki.status_unavailable"},
		{"nobody to ask", signed, b.verifyOptions(), "pki.status_unavailable"},
		{"no PDF", []byte("x"), b.extendOptions(), "sign.pdf_not"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ExtendPDF(c.pdf, c.opt); keyOf(err) != c.want {
				t.Errorf("err = %v; want %s", err, c.want)
			}
		})
	}
}

func TestRevocationInVerdict(t *testing.T) {
	type result struct {
		State      State
		Verdict    string
		Revocation RevocationState
	}
	before := result{Revoked, "sign.verdict.revoked", RevokedBefore}
	after := result{Valid, "sign.verdict.valid", RevokedAfter}
	good := result{Valid, "sign.verdict.valid", NotRevoked}
	hour := time.Hour
	for _, c := range []struct {
		name    string
		stamped bool
		revoked time.Duration // from the time of signing; 0 for never
		extend  bool          // before the revocation
		ask     bool
		want    result
	}{
		{"never revoked", true, 0, false, true, good},
		{"nobody asked", true, hour, false, false, result{Valid, "sign.verdict.valid", RevocationUnchecked}},
		{"revoked before, stamped", true, -hour, false, true, before},
		{"revoked before, claimed", false, -hour, false, true, before},
		{"revoked after, stamped", true, hour, false, true, after},
		{"revoked after, only claimed", false, hour, false, true, before},
		{"revoked after, evidence in the file", true, hour, true, false, good},
		{"never revoked, only claimed", false, 0, false, true, good},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, pki.P256)
			opt := PDFOptions{Identity: b.person}
			if c.stamped {
				opt.Timestamper = b.tsa
			}
			pdf := b.sign(t, samplePDF(t), opt)
			signedAt := b.now
			if c.extend {
				pdf = b.extend(t, pdf)
			}
			b.now = b.now.Add(3 * hour)
			if c.revoked != 0 {
				if err := b.ca.Revoke(b.person.Cert.SerialNumber, signedAt.Add(c.revoked), pki.ReasonKeyCompromise); err != nil {
					t.Fatal(err)
				}
			}
			vo := b.verifyOptions()
			if c.ask {
				vo = b.extendOptions()
			}
			reports, err := VerifyPDF(pdf, vo)
			if err != nil || len(reports) != 1 {
				t.Fatalf("%v, %v", reports, err)
			}
			r := reports[0]
			if diff := cmp.Diff(c.want, result{r.State, r.Verdict.Key, r.Revocation.State}); diff != "" || !r.Integrity {
				t.Errorf("integrity %v (-want +got):\n%s", r.Integrity, diff)
			}
		})
	}
}

// TestRevokedTimestampService: after a stolen key no token of the service proves anything, after a planned end the earlier
// ones do (RFC 3161 §4).
func TestRevokedTimestampService(t *testing.T) {
	for reason, want := range map[int]TimeSource{pki.ReasonKeyCompromise: TimeClaimed, pki.ReasonCessationOfOperation: TimeStamped} {
		b := newBench(t, pki.P256)
		pdf := b.sign(t, samplePDF(t), PDFOptions{Identity: b.person, Timestamper: b.tsa})
		b.now = b.now.Add(2 * time.Hour)
		if err := b.ca.Revoke(b.tsa.Identity.Cert.SerialNumber, b.now.Add(-time.Hour), reason); err != nil {
			t.Fatal(err)
		}
		reports, err := VerifyPDF(pdf, b.extendOptions())
		if err != nil || reports[0].TimeSource != want {
			t.Errorf("reason %d: time from %v, %v; want %v", reason, reports[0].TimeSource, err, want)
		}
	}
}

// TestStaleEvidence: answers made long before the signature, or from the future, say nothing about it.
func TestStaleEvidence(t *testing.T) {
	b := newBench(t, pki.P256)
	early := b.extend(t, b.sign(t, samplePDF(t), PDFOptions{Identity: b.person, Timestamper: b.tsa}))
	signedAt := b.now
	b.now = b.now.Add(100 * time.Hour) // the answers in the file hold for 24
	later := b.sign(t, early, PDFOptions{Identity: b.person, Timestamper: b.tsa})
	got := verify(t, later, b.verifyOptions())
	if diff := cmp.Diff([]seen{extendedLT, goodBT}, got); diff != "" {
		t.Errorf("old answers were taken for the second signature (-want +got):\n%s", diff)
	}
	b.now = signedAt.Add(-48 * time.Hour) // our clock stands before all of it
	reports, err := VerifyPDF(early, b.verifyOptions())
	if err != nil || reports[0].Level == "B-LT" {
		t.Errorf("evidence from the future: %+v, %v", reports, err)
	}
}

// TestRaisePDF: while no time-stamp service could be reached both signed at B-B; later one time-stamp over the file
// proves both, without touching a byte.
func TestRaisePDF(t *testing.T) {
	b := newBench(t, pki.P256)
	for name, pdf := range inputs(t) {
		t.Run(name, func(t *testing.T) {
			bb := b.sign(t, pdf, PDFOptions{Identity: b.person, Timestamper: failing{}, TimestampOptional: true})
			bb = b.sign(t, bb, PDFOptions{Identity: b.agency, Timestamper: failing{}, TimestampOptional: true})
			if diff := cmp.Diff([]seen{{Valid, CoverExtended, "B-B", TimeClaimed, "sign.verdict.valid"}, goodBB}, verify(t, bb, b.verifyOptions())); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if _, err := RaisePDF(context.Background(), bb, Timestampers{failing{}}, b.extendOptions()); errs.KindOf(err) != errs.Unavailable {
				t.Errorf("still away: %v; want unavailable", err)
			}
			raised, err := RaisePDF(context.Background(), bb, b.tsa, b.extendOptions())
			if err != nil || !bytes.HasPrefix(raised, bb) {
				t.Fatalf("RaisePDF: %v", err)
			}
			years := b.verifyOptions()
			years.Now = func() time.Time { return b.now.AddDate(5, 0, 0) }
			want := []seen{extendedLT, extendedLT, {Valid, CoverExtended, "B-LT", TimeStamped, "sign.verdict.timestamp"}}
			if diff := cmp.Diff(want, verify(t, raised, years)); diff != "" {
				t.Errorf("raised (-want +got):\n%s", diff)
			}
			again, err := RaisePDF(context.Background(), raised, failing{}, b.extendOptions())
			if err != nil || !bytes.Equal(again, raised) {
				t.Errorf("a second time something was added: %v", err)
			}
			reports, err := VerifyPDF(flip(raised, 20), b.verifyOptions())
			for _, r := range reports {
				if r.State == Valid {
					t.Errorf("changed byte: signature %d valid (%v)", r.Order, err)
				}
			}
		})
	}
}

// TestSecurityStoreUpdated: others write the store's own object again when they add to it; that is no change of the
// document, but anything else under the store's cover is.
func TestSecurityStoreUpdated(t *testing.T) {
	b := newBench(t, pki.P256)
	lt := b.extend(t, b.sign(t, samplePDF(t), PDFOptions{Identity: b.person, Timestamper: b.tsa}))
	base := b.sign(t, lt, PDFOptions{Identity: b.agency, Timestamper: b.tsa})
	f, err := openPDF(base)
	if err != nil {
		t.Fatal(err)
	}
	_, cat, err := f.catalog()
	if err != nil {
		t.Fatal(err)
	}
	ref := cat.get("DSS").(pdfRef)
	dss, _ := f.dict(ref)
	u := newPDFUpdate(f)
	u.set(ref, dss.with("CRLs", pdfArray{u.add(pdfStream{raw: []byte("x")})}))
	out, _ := u.write()
	if diff := cmp.Diff([]seen{extendedLT, extendedBT}, verify(t, out, b.verifyOptions())); diff != "" {
		t.Errorf("store written again (-want +got):\n%s", diff)
	}
	// An attacker hangs the page's content into the store before signing and replaces it afterwards.
	if f, err = openPDF(samplePDF(t)); err != nil {
		t.Fatal(err)
	}
	u = newPDFUpdate(f)
	_, page, _ := f.page(1)
	root, cat, _ := f.catalog()
	u.set(root, cat.with("DSS", u.add(pdfDict{{"Certs", pdfArray{page.get("Contents")}}})))
	prepared, _ := u.write()
	signed := b.sign(t, prepared, PDFOptions{Identity: b.person, Timestamper: b.tsa})
	if f, err = openPDF(signed); err != nil {
		t.Fatal(err)
	}
	u = newPDFUpdate(f)
	u.set(page.get("Contents").(pdfRef), pdfStream{raw: []byte("0 0 100 100 re f")})
	attacked, _ := u.write()
	if got := verify(t, attacked, b.verifyOptions()); got[0].State != Changed {
		t.Errorf("page content under the store's cover: %+v; want changed", got)
	}
}
