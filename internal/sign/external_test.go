package sign

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"truc/internal/pki"
)

// expected is what a file should look like to others.
type expected struct {
	signatures         int
	stamped, longTerm  bool
	documentTimestamps int  // after the signatures
	pss                bool // which mutool 1.21 does not know
}

// TestExternalVerifiers runs independent programs over our signatures: pdfsig (NSS), mutool, qpdf and openssl must accept
// them, and must refuse them after one changed byte.
func TestExternalVerifiers(t *testing.T) {
	need(t, "certutil", "pdfsig", "mutool", "qpdf", "openssl")
	for _, alg := range []pki.Alg{pki.P256, pki.RSA2048, pki.P384} {
		b := newBench(t, alg)
		for name, pdf := range inputs(t) {
			t.Run(string(alg)+"/"+name+"/B-B", func(t *testing.T) {
				checkExternally(t, b, b.sign(t, pdf, PDFOptions{Identity: b.person}), expected{signatures: 1})
			})
			t.Run(string(alg)+"/"+name+"/person and agency B-T", func(t *testing.T) {
				checkExternally(t, b, b.personThenAgency(t, pdf), expected{signatures: 2, stamped: true})
			})
			t.Run(string(alg)+"/"+name+"/person and agency B-LT", func(t *testing.T) {
				checkExternally(t, b, b.extend(t, b.personThenAgency(t, pdf)), expected{signatures: 2, stamped: true, longTerm: true})
			})
			t.Run(string(alg)+"/"+name+"/raised from B-B", func(t *testing.T) {
				bb := b.sign(t, b.sign(t, pdf, PDFOptions{Identity: b.person}), PDFOptions{Identity: b.agency})
				raised, err := RaisePDF(context.Background(), bb, b.tsa, b.extendOptions())
				if err != nil {
					t.Fatal(err)
				}
				checkExternally(t, b, raised, expected{signatures: 2, longTerm: true, documentTimestamps: 1})
			})
		}
	}
	b := newBench(t, pki.RSA2048)
	b.person.PSS, b.agency.PSS = true, true
	t.Run("RSASSA-PSS", func(t *testing.T) {
		signed := b.extend(t, b.personThenAgency(t, samplePDF(t)))
		if diff := cmp.Diff([]seen{extendedLT, extendedLT}, verify(t, signed, b.verifyOptions())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		checkExternally(t, b, signed, expected{signatures: 2, stamped: true, longTerm: true, pss: true})
	})
}

func checkExternally(t *testing.T, b *bench, signed []byte, want expected) {
	dir := t.TempDir()
	writeFile(t, dir, "ca.pem", certsPEM(b.ca.Cert()))
	writeFile(t, dir, "tsa.pem", certsPEM(b.tsa.Identity.Cert))
	writeFile(t, dir, "signed.pdf", signed)
	if err := os.Mkdir(filepath.Join(dir, "nss"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "certutil", "-N", "-d", "sql:nss", "--empty-password")
	run(t, dir, "certutil", "-A", "-d", "sql:nss", "-n", "ca", "-t", "CT,C,C", "-i", "ca.pem")

	out := run(t, dir, "pdfsig", "-nssdir", "sql:nss", "signed.pdf")
	for _, text := range []string{"Signature Type: ETSI.CAdES.detached", "Signature Validation: Signature is Valid.", "Certificate Validation: Certificate is Trusted."} {
		if got := strings.Count(out, text); got != want.signatures {
			t.Errorf("pdfsig says %q %d times, want %d:\n%s", text, got, want.signatures, out)
		}
	}
	wantNone(t, out, "Digest Mismatch")
	if want.longTerm { // the evidence comes after the last signature, so none speaks for the whole file
		wantText(t, out, "Not total document signed")
	} else {
		wantText(t, out, "Total document signed")
	}
	wantText(t, run(t, dir, "pdfsig", "-nssdir", "sql:nss", "-dump", "signed.pdf"), "exit status 0")

	out = run(t, dir, "mutool", "sign", "-v", "signed.pdf")
	edited, unchanged := want.signatures-1, 1
	if want.longTerm {
		edited, unchanged = want.signatures, 0
	}
	if want.documentTimestamps == 0 && !want.pss { // mutool does not know time-stamps over the file
		for text, count := range map[string]int{"The document is unchanged since signing.": unchanged, "valid but there have been edits since signing.": edited} {
			if got := strings.Count(out, text); got != count {
				t.Errorf("mutool says %q %d times; want %d:\n%s", text, got, count, out)
			}
		}
		wantNone(t, out, "Signature invalidated")
	}
	out = run(t, dir, "qpdf", "--check", "signed.pdf")
	wantText(t, out, "No syntax or stream encoding errors found", "exit status 0")
	wantNone(t, strings.ToLower(out), "warning")
	checkParts(t, b, dir, signed, want)

	writeFile(t, dir, "changed.pdf", flip(signed, 20)) // in the first, signed, bytes
	out = run(t, dir, "pdfsig", "-nssdir", "sql:nss", "changed.pdf")
	wantText(t, out, "Digest Mismatch")
	wantNone(t, out, "Signature is Valid")
	if out = run(t, dir, "mutool", "sign", "-v", "changed.pdf"); want.pss {
		return
	}
	wantText(t, out, "Signature invalidated by change to document")
	wantNone(t, out, "unchanged since signing", "valid but there have been edits")
}

// checkParts takes the file apart and gives each part to openssl.
func checkParts(t *testing.T, b *bench, dir string, signed []byte, want expected) {
	ranges, values := signedParts(t, signed)
	if len(ranges) != want.signatures+want.documentTimestamps {
		t.Fatalf("%d signatures found; want %d", len(ranges), want.signatures+want.documentTimestamps)
	}
	ts := []string{"ts", "-verify", "-token_in", "-in", "sig.tst", "-CAfile", "ca.pem", "-untrusted", "tsa.pem", "-data"}
	for i := range ranges[:want.signatures] {
		sig := fmt.Sprintf("signed.pdf.sig%d", i)
		content := filepath.Base(writeFile(t, dir, fmt.Sprintf("ranges%d.bin", i), ranges[i]))
		cms := []string{"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", sig, "-CAfile", "ca.pem", "-purpose", "any", "-out", os.DevNull, "-content"}
		wantText(t, run(t, dir, "openssl", append(cms, content)...), "CAdES Verification successful", "exit status 0")
		out := run(t, dir, "openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", sig)
		wantText(t, out, "signingCertificateV2")
		wantNone(t, out, "signingTime")
		writeFile(t, dir, "changed.bin", flip(ranges[i], 100))
		wantText(t, run(t, dir, "openssl", append(cms, "changed.bin")...), "CAdES Verification failure", "exit status 4")

		m, err := parseCMS(values[i])
		if err != nil {
			t.Fatal(err)
		}
		token := m.signers[0].unsigned[oidTimeStampToken.String()]
		if (token != nil) != want.stamped {
			t.Errorf("signature %d has a time-stamp: %v; want %v", i, token != nil, want.stamped)
		}
		if token != nil {
			writeFile(t, dir, "sig.tst", token)
			writeFile(t, dir, "sigvalue.bin", m.signers[0].signature)
			wantText(t, run(t, dir, "openssl", append(ts, "sigvalue.bin")...), "Verification: OK")
		}
	}
	for i := want.signatures; i < len(ranges); i++ {
		writeFile(t, dir, "sig.tst", values[i])
		writeFile(t, dir, "covered.bin", ranges[i])
		wantText(t, run(t, dir, "openssl", append(ts, "covered.bin")...), "Verification: OK")
		writeFile(t, dir, "covered.bin", flip(ranges[i], 100))
		wantText(t, run(t, dir, "openssl", append(ts, "covered.bin")...), "Verification: FAILED")
	}
	if want.longTerm {
		checkEvidence(t, b, dir, signed)
	}
}

// checkEvidence gives what the security store holds to openssl: a good answer for every certificate in it.
func checkEvidence(t *testing.T, b *bench, dir string, signed []byte) {
	t.Helper()
	f, err := openPDF(signed)
	if err != nil {
		t.Fatal(err)
	}
	store, err := f.securityStore()
	if err != nil {
		t.Fatal(err)
	}
	if len(store.certs) != 3 || len(store.ocsps) != 3 { // person, agency, time-stamp service
		t.Fatalf("%d certificates and %d answers in the store; want 3 of each", len(store.certs), len(store.ocsps))
	}
	for i, cert := range store.certs {
		writeFile(t, dir, "person.pem", certsPEM(cert))
		writeFile(t, dir, "person.ocsp", store.ocsps[i])
		out := run(t, dir, "openssl", "ocsp", "-respin", "person.ocsp", "-issuer", "ca.pem", "-cert", "person.pem", "-CAfile", "ca.pem", "-no_nonce")
		wantText(t, out, "Response verify OK", "person.pem: good")
		der := bytes.Clone(store.ocsps[i])
		at := bytes.Index(der, cert.SerialNumber.Bytes())
		if at < 0 {
			t.Fatal("the answer does not name the certificate")
		}
		der[at+3] ^= 1
		writeFile(t, dir, "person.ocsp", der)
		wantNone(t, run(t, dir, "openssl", "ocsp", "-respin", "person.ocsp", "-issuer", "ca.pem", "-cert", "person.pem", "-CAfile", "ca.pem", "-no_nonce"), "Response verify OK")
	}
}

// signedParts returns, in order of signing, the signed bytes and the signature value of each signature.
func signedParts(t *testing.T, pdf []byte) (ranges, values [][]byte) {
	t.Helper()
	f, err := openPDF(pdf)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := f.signatureFields()
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fields {
		from, to, end, err := f.byteRange(fd.sig)
		if err != nil {
			t.Fatal(err)
		}
		value, err := hex.DecodeString(string(pdf[from+1 : to-1]))
		if err != nil {
			t.Fatal(err)
		}
		ranges = append(ranges, bytes.Join([][]byte{pdf[:from], pdf[to:end]}, nil))
		der, _, err := toDER(value)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, der)
	}
	return ranges, values
}

// TestTSAWithOpenSSL lets openssl ask our service and check its answer, and lets our client ask our service.
func TestTSAWithOpenSSL(t *testing.T) {
	need(t, "openssl")
	b := newBench(t, pki.P256)
	srv := httptest.NewServer(b.tsa)
	defer srv.Close()
	dir := t.TempDir()
	writeFile(t, dir, "ca.pem", certsPEM(b.ca.Cert()))
	writeFile(t, dir, "tsa.pem", certsPEM(b.tsa.Identity.Cert))
	writeFile(t, dir, "data.bin", []byte("dữ liệu"))
	for _, args := range [][]string{{"-sha256", "-cert"}, {"-sha512", "-cert"}, {"-sha256", "-no_nonce"}} {
		run(t, dir, "openssl", append([]string{"ts", "-query", "-data", "data.bin", "-out", "data.tsq"}, args...)...)
		query, err := os.ReadFile(filepath.Join(dir, "data.tsq"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.Post(srv.URL, queryType, bytes.NewReader(query))
		if err != nil {
			t.Fatal(err)
		}
		var reply bytes.Buffer
		reply.ReadFrom(res.Body)
		res.Body.Close()
		if got := res.Header.Get("Content-Type"); got != replyType {
			t.Errorf("Content-Type = %q", got)
		}
		writeFile(t, dir, "data.tsr", reply.Bytes())
		verify := []string{"ts", "-verify", "-in", "data.tsr", "-CAfile", "ca.pem", "-untrusted", "tsa.pem"}
		wantText(t, run(t, dir, "openssl", append(verify, "-queryfile", "data.tsq")...), "Verification: OK")
		wantText(t, run(t, dir, "openssl", append(verify, "-data", "data.bin")...), "Verification: OK")
		wantText(t, run(t, dir, "openssl", "ts", "-reply", "-in", "data.tsr", "-text"), "Status: Granted", "Accuracy: 0x01 seconds", "Ordering: no")
	}
	run(t, dir, "openssl", "ts", "-query", "-data", "data.bin", "-sha1", "-out", "sha1.tsq")
	query, err := os.ReadFile(filepath.Join(dir, "sha1.tsq"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "sha1.tsr", b.tsa.Respond(query))
	wantText(t, run(t, dir, "openssl", "ts", "-reply", "-in", "sha1.tsr", "-text"), "Status: Rejected", "unrecognized or unsupported algorithm identifier")
}

func TestDetachedWithOpenSSL(t *testing.T) {
	need(t, "openssl")
	b := newBench(t, pki.P256)
	data := []byte("một tệp bất kỳ\r\n")
	p7s, err := SignDetached(context.Background(), data, DetachedOptions{Identity: b.person, Timestamper: b.tsa})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, dir, "ca.pem", certsPEM(b.ca.Cert()))
	writeFile(t, dir, "data.p7s", p7s)
	writeFile(t, dir, "data.bin", data)
	args := []string{"cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "data.p7s", "-CAfile", "ca.pem", "-purpose", "any", "-out", os.DevNull, "-content", "data.bin"}
	wantText(t, run(t, dir, "openssl", args...), "CAdES Verification successful")
	writeFile(t, dir, "data.bin", flip(data, 3))
	wantText(t, run(t, dir, "openssl", args...), "CAdES Verification failure")
}

// TestAppearanceShows renders the signed page: the box must hold dark ink, and none before.
func TestAppearanceShows(t *testing.T) {
	need(t, "pdftoppm")
	b := newBench(t, pki.P256)
	pdf := samplePDF(t)
	signed := b.personThenAgency(t, pdf)
	ink := func(name string, pdf []byte) int {
		dir := t.TempDir()
		writeFile(t, dir, "in.pdf", pdf)
		// The rectangle of personThenAgency on the last page, at 72 dpi, y from the top of A4 (842 points).
		out := run(t, dir, "pdftoppm", "-gray", "-r", "72", "-f", "2", "-l", "2", "-x", "340", "-y", "582", "-W", "180", "-H", "60", "in.pdf", "out")
		files, _ := filepath.Glob(filepath.Join(dir, "out*.pgm"))
		if len(files) != 1 {
			t.Fatalf("%s: no picture: %s", name, out)
		}
		pgm, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		dark := 0
		for _, c := range pgm[len(pgm)-180*60:] {
			if c < 128 {
				dark++
			}
		}
		return dark
	}
	if got := ink("unsigned", pdf); got != 0 {
		t.Errorf("unsigned page has %d dark pixels in the box", got)
	}
	if got := ink("signed", signed); got < 300 || got > 5000 {
		t.Errorf("signed page has %d dark pixels in the box; want text", got)
	}
}
