package sign

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"truc/internal/pki"
)

// fill lays out a signature field with a value that somebody else makes over the two parts around it.
func fill(t *testing.T, pdf []byte, dict func(reserve int) pdfDict, value func(before, after []byte) []byte) []byte {
	t.Helper()
	f, err := openPDF(pdf)
	if err != nil {
		t.Fatal(err)
	}
	out, err := appendSignature(f, dict, nil, 16<<10, func(a, b []byte) ([]byte, error) { return value(a, b), nil })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func form(name string) func(int) pdfDict {
	return func(reserve int) pdfDict {
		return append(pdfDict{{"Type", pdfName("Sig")}}, signaturePlaces(name, reserve)...)
	}
}

// writeIdentity stores key and certificate for openssl.
func writeIdentity(t *testing.T, dir string, id Identity) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(id.Signer)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "key.der", der)
	writeFile(t, dir, "cert.pem", certsPEM(id.Cert))
	wantText(t, run(t, dir, "openssl", "pkcs8", "-inform", "DER", "-in", "key.der", "-nocrypt", "-out", "key.pem"), "exit status 0")
}

// TestSignedByOpenSSL checks signatures that openssl made, in the forms that others use: with a signing time, in BER, with
// other digests and paddings, without attributes, and with what no longer protects anything.
func TestSignedByOpenSSL(t *testing.T) {
	need(t, "openssl")
	b := newBench(t, pki.RSA2048)
	dir := t.TempDir()
	writeIdentity(t, dir, b.person)
	for _, c := range []struct {
		name, form string
		args       []string
		want       State
		verdict    string
	}{
		{"older form", subFilterPKCS7, nil, Valid, "sign.verdict.valid"},
		{"older form, CAdES attributes", subFilterPKCS7, []string{"-cades"}, Valid, "sign.verdict.valid"},
		{"our form", subFilterCAdES, []string{"-cades"}, Valid, "sign.verdict.valid"},
		{"our form without the certificate's name", subFilterCAdES, nil, Broken, "sign.verdict.broken"},
		{"SHA-512", subFilterPKCS7, []string{"-md", "sha512"}, Valid, "sign.verdict.valid"},
		{"RSASSA-PSS", subFilterPKCS7, []string{"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:20"}, Valid, "sign.verdict.valid"},
		{"without attributes", subFilterPKCS7, []string{"-noattr"}, Valid, "sign.verdict.valid"},
		{"named by key", subFilterPKCS7, []string{"-keyid"}, Valid, "sign.verdict.valid"},
		{"without certificate", subFilterPKCS7, []string{"-nocerts"}, Broken, "sign.verdict.broken"},
		{"SHA-1", subFilterPKCS7, []string{"-md", "sha1"}, NotChecked, "sign.verdict.weak"},
		{"MD5", subFilterPKCS7, []string{"-md", "md5"}, NotChecked, "sign.verdict.weak"},
		{"RSASSA-PSS with SHA-1 as mask", subFilterPKCS7, []string{"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha1"}, NotChecked, "sign.verdict.weak"},
		{"SHA-1 over the file", "adbe.pkcs7.sha1", nil, NotChecked, "sign.verdict.not_checked"},
	} {
		for _, stream := range []bool{false, true} {
			name := c.name
			if stream {
				name += " in BER"
			}
			t.Run(name, func(t *testing.T) {
				signed := fill(t, samplePDF(t), form(c.form), func(before, after []byte) []byte {
					writeFile(t, dir, "content.bin", bytes.Join([][]byte{before, after}, nil))
					args := append([]string{"cms", "-sign", "-binary", "-in", "content.bin", "-signer", "cert.pem", "-inkey", "key.pem", "-outform", "DER", "-out", "sig.der"}, c.args...)
					wantText(t, run(t, dir, "openssl", args...), "exit status 0")
					der, err := os.ReadFile(filepath.Join(dir, "sig.der"))
					if err != nil {
						t.Fatal(err)
					}
					if stream {
						der = indefinite(t, der)
					}
					return der
				})
				reports, err := VerifyPDF(signed, b.extendOptions())
				if err != nil || len(reports) != 1 {
					t.Fatalf("%v, %v", reports, err)
				}
				if r := reports[0]; r.State != c.want || r.Verdict.Key != c.verdict {
					t.Errorf("state %v, %s (%v); want %v, %s", r.State, r.Verdict.Key, r.Problem, c.want, c.verdict)
				}
				for _, r := range must(VerifyPDF(flip(signed, 20), b.extendOptions())) {
					if r.Integrity || r.State == Valid {
						t.Errorf("after a changed byte: %+v", r)
					}
				}
			})
		}
	}
}

func must(r []Report, _ error) []Report { return r }

// indefinite writes the outer elements of a DER structure with the indefinite length, as streaming libraries do.
func indefinite(t *testing.T, der []byte) []byte {
	t.Helper()
	in := cryptobyte.String(der)
	var info, explicit, sd, oid cryptobyte.String
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1Element(&oid, cbasn1.OBJECT_IDENTIFIER) || !info.ReadASN1(&explicit, tagCtx0) || !explicit.ReadASN1(&sd, cbasn1.SEQUENCE) {
		t.Fatal("not a SignedData")
	}
	end := []byte{0, 0}
	return bytes.Join([][]byte{{0x30, 0x80}, oid, {0xa0, 0x80}, {0x30, 0x80}, sd, end, end, end}, nil)
}

// TestSignedByPDFSig checks a file that poppler signed with a key in an NSS database.
func TestSignedByPDFSig(t *testing.T) {
	need(t, "openssl", "certutil", "pk12util", "pdfsig")
	b := newBench(t, pki.RSA2048)
	dir := t.TempDir()
	writeIdentity(t, dir, b.person)
	writeFile(t, dir, "in.pdf", samplePDF(t))
	writeFile(t, dir, "ca.pem", certsPEM(b.ca.Cert()))
	if err := os.Mkdir(filepath.Join(dir, "nss"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"openssl", "pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem", "-name", "person", "-out", "person.p12", "-passout", "pass:x"},
		{"certutil", "-N", "-d", "sql:nss", "--empty-password"},
		{"certutil", "-A", "-d", "sql:nss", "-n", "ca", "-t", "CT,C,C", "-i", "ca.pem"},
		{"pk12util", "-i", "person.p12", "-d", "sql:nss", "-W", "x", "-K", ""},
		{"pdfsig", "-nssdir", "sql:nss", "-add-signature", "-nick", "person", "-digest", "SHA256", "in.pdf", "out.pdf"},
	} {
		wantText(t, run(t, dir, args[0], args[1:]...), "exit status 0")
	}
	signed, err := os.ReadFile(filepath.Join(dir, "out.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	reports, err := VerifyPDF(signed, b.extendOptions())
	if err != nil || len(reports) != 1 {
		t.Fatalf("%v, %v", reports, err)
	}
	r := reports[0]
	if r.State != Valid || r.SubFilter != subFilterPKCS7 || r.Signer != "Nguyễn Văn An" || r.Coverage != CoverWhole || r.TimeSource != TimeClaimed {
		t.Errorf("report %+v (%v)", r, r.Problem)
	}
	// Ours comes on top of theirs, and both stay good.
	both := b.extend(t, b.sign(t, signed, PDFOptions{Identity: b.agency, Timestamper: b.tsa}))
	got := verify(t, both, b.verifyOptions())
	if len(got) != 2 || got[0].State != Valid || got[1] != extendedLT {
		t.Errorf("with ours: %+v", got)
	}
	out := run(t, dir, "pdfsig", "-nssdir", "sql:nss", writeFile(t, dir, "both.pdf", both))
	if strings.Count(out, "Signature is Valid") != 2 {
		t.Errorf("pdfsig on both:\n%s", out)
	}
	for _, r := range must(VerifyPDF(flip(both, 20), b.extendOptions())) {
		if r.State == Valid {
			t.Errorf("after a changed byte: %+v", r)
		}
	}
}

// TestBareSignature checks the form with a bare RSA signature beside its certificate (ISO 32000-1 §12.8.3.2).
func TestBareSignature(t *testing.T) {
	b := newBench(t, pki.RSA2048)
	key := b.person.Signer.(*rsa.PrivateKey)
	sign := func(hash crypto.Hash, cert any) []byte {
		return fill(t, samplePDF(t), func(reserve int) pdfDict { return append(form(subFilterX509)(reserve), pdfEntry{"Cert", cert}) }, func(before, after []byte) []byte {
			content := bytes.Join([][]byte{before, after}, nil)
			s256, s1 := sha256.Sum256(content), sha1.Sum(content)
			digest := s256[:]
			if hash == crypto.SHA1 {
				digest = s1[:]
			}
			value, err := rsa.SignPKCS1v15(rand.Reader, key, hash, digest)
			if err != nil {
				t.Fatal(err)
			}
			octets := cryptobyte.NewBuilder(nil)
			octets.AddASN1OctetString(value)
			return octets.BytesOrPanic()
		})
	}
	raw := b.person.Cert.Raw
	for _, c := range []struct {
		name    string
		pdf     []byte
		want    State
		verdict string
	}{
		{"SHA-256", sign(crypto.SHA256, pdfStr(raw)), Valid, "sign.verdict.valid"},
		{"list of certificates", sign(crypto.SHA256, pdfArray{pdfStr(raw), pdfStr(b.ca.Cert().Raw)}), Valid, "sign.verdict.valid"},
		{"SHA-1", sign(crypto.SHA1, pdfStr(raw)), NotChecked, "sign.verdict.weak"},
		{"another's certificate", sign(crypto.SHA256, pdfStr(b.agency.Cert.Raw)), Broken, "sign.verdict.broken"},
		{"no certificate", sign(crypto.SHA256, pdfArray{}), Broken, "sign.verdict.broken"},
		{"changed", flip(sign(crypto.SHA256, pdfStr(raw)), 20), Broken, "sign.verdict.broken"},
	} {
		r := must(VerifyPDF(c.pdf, b.extendOptions()))
		if len(r) != 1 || r[0].State != c.want || r[0].Verdict.Key != c.verdict {
			t.Errorf("%s: %+v; want %v", c.name, r, c.want)
		}
	}
}

// TestSmallAndWrongKeys: RSA below 2048 bits signs nothing, and certificates for machines do not sign documents.
func TestSmallAndWrongKeys(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, pki.P256)
	if _, err := b.ca.Issue(small.Public(), pki.PersonUse, pki.DocumentSubject{Name: "x"}, b.now, 1e9); keyOf(err) != "pki.key_alg_unknown" {
		t.Errorf("a certificate for a small key: %v", err)
	}
	machine := b.identity(t, pki.P256, pki.OCSPUse, pki.DocumentSubject{Name: "OCSP"})
	signed := b.sign(t, samplePDF(t), PDFOptions{Identity: machine})
	if got := verify(t, signed, b.extendOptions()); got[0].State != Untrusted || got[0].Verdict != "sign.verdict.purpose" {
		t.Errorf("signed by a responder's key: %+v", got)
	}
}

func TestToDER(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"DER stays", "3003020105", "3003020105"},
		{"indefinite", "30800201050000", "3003020105"},
		{"indefinite inside definite", "300730800201050000", "30053003020105"},
		{"string in pieces", "248004020102040103" + "0000", "0403010203"},
		{"rest is left", "0201050000", "020105"},
		{"no end", "3080020105", ""},
		{"primitive with indefinite length", "04800000", ""},
		{"piece of another kind", "248002010500" + "00", ""},
		{"cut off", "3005020105", ""},
		{"empty", "", ""},
		{"too deep", strings.Repeat("3080", 60), ""},
	} {
		in, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		der, used, err := toDER(in)
		if got := hex.EncodeToString(der); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %s, %d, %v; want %s", c.name, got, used, err, c.want)
		}
	}
	long := append([]byte{0x30, 0x80, 0x04, 0x82, 1, 0}, make([]byte, 256)...) // the same length in both forms
	long = append(long, 0, 0)
	der, used, err := toDER(long)
	if err != nil || used != len(long) || der[1] != 0x82 {
		t.Errorf("same length: % x…, %d, %v", der[:4], used, err)
	}
}
