package sign

import (
	"bytes"
	"context"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/pki"
)

// bench is a development authority with a person, an agency and a time-stamp service. Its certificates are
// valid today, because the external programs look at the clock.
type bench struct {
	dir            string
	ca             *pki.DocumentCA
	person, agency Identity
	tsa            *TSA
	status         *pki.Responder
	font           []byte
	now            time.Time
}

func newBench(tb testing.TB, alg pki.Alg) *bench {
	tb.Helper()
	b := &bench{dir: tb.TempDir(), now: time.Now().UTC().Truncate(time.Second)}
	var err error
	b.ca, err = pki.LoadOrCreateDocumentCA(b.dir, "test", pki.DocumentSubject{Name: "Truc Document CA"}, b.now)
	if err != nil {
		tb.Fatal(err)
	}
	if b.status, err = b.ca.Responder(b.dir, func() time.Time { return b.now }); err != nil {
		tb.Fatal(err)
	}
	b.person = b.identity(tb, alg, pki.PersonUse, pki.DocumentSubject{Name: "Nguyễn Văn An", Title: "Chủ tịch", Agency: "UBND tỉnh Lâm Đồng", Code: "H36"})
	b.agency = b.identity(tb, alg, pki.SealUse, pki.DocumentSubject{Name: "UBND tỉnh Lâm Đồng", Agency: "UBND tỉnh Lâm Đồng", Code: "H36"})
	b.tsa = &TSA{Identity: b.identity(tb, alg, pki.TSAUse, pki.DocumentSubject{Name: "Truc TSA"}), Now: func() time.Time { return b.now }}
	if b.font, err = os.ReadFile("../pdfdoc/fonts/Tinos-Regular.ttf"); err != nil {
		tb.Fatal(err)
	}
	return b
}

func (b *bench) identity(tb testing.TB, alg pki.Alg, use pki.DocumentUse, s pki.DocumentSubject) Identity {
	tb.Helper()
	key, err := pki.GenerateKey(alg)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := b.ca.Issue(key.Public(), use, s, b.now, 365*24*time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	return Identity{Signer: key, Cert: cert}
}

func (b *bench) verifyOptions() VerifyOptions {
	return VerifyOptions{Roots: b.ca.Pool(), TSARoots: b.ca.Pool(), Now: func() time.Time { return b.now }}
}

func (b *bench) sign(tb testing.TB, pdf []byte, opt PDFOptions) []byte {
	tb.Helper()
	opt.Time = b.now
	out, err := SignPDF(context.Background(), pdf, opt)
	if err != nil {
		tb.Fatalf("SignPDF: %v", err)
	}
	if !bytes.HasPrefix(out, pdf) {
		tb.Fatalf("SignPDF changed earlier bytes")
	}
	return out
}

// extendOptions are verifyOptions with somebody to ask about revocation.
func (b *bench) extendOptions() VerifyOptions {
	opt := b.verifyOptions()
	opt.Revocation = b.status
	return opt
}

func (b *bench) extend(tb testing.TB, pdf []byte) []byte {
	tb.Helper()
	out, err := ExtendPDF(pdf, b.extendOptions())
	if err != nil {
		tb.Fatalf("ExtendPDF: %v", err)
	}
	if !bytes.HasPrefix(out, pdf) {
		tb.Fatal("ExtendPDF changed earlier bytes")
	}
	return out
}

// personThenAgency signs twice, visibly, at B-T.
func (b *bench) personThenAgency(tb testing.TB, pdf []byte) []byte {
	tb.Helper()
	pdf = b.sign(tb, pdf, PDFOptions{
		Identity: b.person, Reason: "Phê duyệt", Location: "Đà Lạt", Timestamper: b.tsa,
		Appearance: &Appearance{Page: -1, Rect: [4]float64{340, 200, 520, 260}, Lines: []string{"Người ký: Nguyễn Văn An", "Chức vụ: Chủ tịch", "Thời gian ký: " + b.now.Format(time.RFC3339)}, FontTTF: b.font, Border: true},
	})
	return b.sign(tb, pdf, PDFOptions{Identity: b.agency, Timestamper: b.tsa})
}

// samplePDF has two pages of Vietnamese text in an embedded font, with a table of cross references. It was written by fpdf, so
// that what is signed here is not only what `pdfdoc` writes.
func samplePDF(tb testing.TB) []byte {
	tb.Helper()
	pdf, err := os.ReadFile("testdata/table.pdf")
	if err != nil {
		tb.Fatal(err)
	}
	return pdf
}

// inputs are the kinds of file we must be able to sign.
func inputs(tb testing.TB) map[string][]byte {
	tb.Helper()
	streams, err := os.ReadFile("testdata/objstm.pdf")
	if err != nil {
		tb.Fatal(err)
	}
	return map[string][]byte{"table": samplePDF(tb), "stream": streams}
}

// need skips a test when a program is missing at a desk; in CI it must be there.
func need(tb testing.TB, programs ...string) {
	tb.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				tb.Fatal(err)
			}
			tb.Skip(err)
		}
	}
}

// run returns what a program printed; pdfsig and mutool exit 0 even for a broken signature, so text is what counts.
func run(tb testing.TB, dir, name string, args ...string) string {
	tb.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out) + "\n[" + name + ": " + errText(err) + "]"
}

func errText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func wantText(tb testing.TB, out string, want ...string) {
	tb.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			tb.Errorf("no %q in:\n%s", w, out)
		}
	}
}

func wantNone(tb testing.TB, out string, not ...string) {
	tb.Helper()
	for _, w := range not {
		if strings.Contains(out, w) {
			tb.Errorf("%q in:\n%s", w, out)
		}
	}
}

func writeFile(tb testing.TB, dir, name string, b []byte) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func keyOf(err error) string {
	if err == nil {
		return ""
	}
	key, _ := errs.KeyOf(err)
	return key
}

func certsPEM(certs ...*x509.Certificate) []byte { return pki.EncodePEM(certs...) }

// flip returns a copy with one bit changed at the given place.
func flip(b []byte, at int) []byte {
	out := bytes.Clone(b)
	out[at] ^= 1
	return out
}
