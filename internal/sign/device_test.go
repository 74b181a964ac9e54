package sign

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/pki"
)

// signerProgram is the signer program with a SoftHSM token.
type signerProgram struct {
	t           *testing.T
	binary      string
	args, env   []string
	socket, pin string
	running     *exec.Cmd
	said        bytes.Buffer
}

// newSignerProgram builds signer/ and makes a token that holds the keys given by label.
func newSignerProgram(t *testing.T, keys map[string]Identity) *signerProgram {
	t.Helper()
	need(t, "softhsm2-util", "gcc", "go")
	modules, _ := filepath.Glob("/usr/lib/softhsm/libsofthsm2.so")
	if len(modules) == 0 {
		modules, _ = filepath.Glob("/usr/lib*/*/softhsm/libsofthsm2.so")
	}
	if len(modules) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("libsofthsm2.so was not found")
		}
		t.Skip("libsofthsm2.so was not found")
	}
	dir := t.TempDir()
	p := &signerProgram{t: t, binary: filepath.Join(dir, "truc-signer"), socket: filepath.Join(dir, "s"), pin: writeFile(t, dir, "pin", []byte("1234\n"))}
	build := exec.Command("go", "build", "-o", p.binary, ".")
	build.Dir = "../../signer"
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build signer: %v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := writeFile(t, dir, "softhsm2.conf", []byte("directories.tokendir = "+dir+"/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"))
	p.env = append(os.Environ(), "SOFTHSM2_CONF="+conf)
	util := func(args ...string) {
		t.Helper()
		cmd := exec.Command("softhsm2-util", args...)
		cmd.Env = p.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("softhsm2-util %v: %v\n%s", args, err, out)
		}
	}
	util("--init-token", "--free", "--label", "agency", "--so-pin", "87654321", "--pin", "1234")
	id := 0
	for label, identity := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(identity.Signer)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir, "key.der", der)
		wantText(t, run(t, dir, "openssl", "pkcs8", "-inform", "DER", "-in", "key.der", "-nocrypt", "-out", "key.pem"), "exit status 0")
		id++
		util("--import", filepath.Join(dir, "key.pem"), "--token", "agency", "--label", label, "--id", string(rune('a'+id))+"0", "--pin", "1234")
	}
	p.args = []string{"-module", modules[0], "-token", "agency", "-pin-file", p.pin, "-socket", p.socket}
	t.Cleanup(p.stop)
	return p
}

func (p *signerProgram) start() {
	p.t.Helper()
	p.running = exec.Command(p.binary, p.args...)
	p.running.Env, p.running.Stderr = p.env, &p.said
	if err := p.running.Start(); err != nil {
		p.t.Fatal(err)
	}
	for range 500 {
		if _, err := os.Stat(p.socket); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Fatal("the signer program did not open its socket")
}

func (p *signerProgram) stop() { p.end(syscall.SIGTERM) }

func (p *signerProgram) end(how syscall.Signal) {
	if p.running != nil {
		_ = p.running.Process.Signal(how)
		_ = p.running.Wait()
		p.running = nil
	}
}

// TestDeviceKeys signs with keys in a PKCS #11 token through the signer program; the result passes every outside check. While
// the program is away signing says so, and goes on when it is back, also after it was killed.
func TestDeviceKeys(t *testing.T) {
	need(t, "certutil", "pdfsig", "mutool", "qpdf", "openssl", "softhsm2-util", "gcc")
	for _, alg := range []pki.Alg{pki.RSA2048, pki.P256} {
		t.Run(string(alg), func(t *testing.T) {
			b := newBench(t, alg)
			p := newSignerProgram(t, map[string]Identity{"person": b.person, "seal": b.agency})
			if _, err := pki.NewRemoteSigner(context.Background(), p.socket, "person"); errs.KindOf(err) != errs.Unavailable {
				t.Errorf("before the start: %v; want unavailable", err)
			}
			p.start()
			for label, id := range map[string]*Identity{"person": &b.person, "seal": &b.agency} {
				remote, err := pki.NewRemoteSigner(context.Background(), p.socket, label)
				if err != nil {
					t.Fatal(err)
				}
				id.Signer = remote // from here on no key is in this process
			}
			signed := b.extend(t, b.personThenAgency(t, samplePDF(t)))
			if diff := cmp.Diff([]seen{extendedLT, extendedLT}, verify(t, signed, b.verifyOptions())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkExternally(t, b, signed, expected{signatures: 2, stamped: true, longTerm: true})
			if alg == pki.RSA2048 {
				b.person.PSS = true
				pss := b.sign(t, samplePDF(t), PDFOptions{Identity: b.person})
				if diff := cmp.Diff([]seen{goodBB}, verify(t, pss, b.verifyOptions())); diff != "" {
					t.Errorf("RSASSA-PSS (-want +got):\n%s", diff)
				}
			}
			if _, err := pki.NewRemoteSigner(context.Background(), p.socket, "nobody"); keyOf(err) != "pki.signer_no_key" {
				t.Errorf("a key that is not there: %v", err)
			}
			p.end(syscall.SIGKILL)
			if _, err := SignPDF(context.Background(), samplePDF(t), PDFOptions{Identity: b.person, Time: b.now}); keyOf(err) != "pki.signer_unavailable" || errs.KindOf(err) != errs.Unavailable {
				t.Errorf("the program is away: %v; want unavailable", err)
			}
			if err := os.Remove(p.socket); err != nil && !errors.Is(err, os.ErrNotExist) { // so that start waits for the new one
				t.Fatal(err)
			}
			p.start()
			b.sign(t, samplePDF(t), PDFOptions{Identity: b.person})
		})
	}
}

// TestDeviceWrongPIN: the program refuses to start and says neither PIN.
func TestDeviceWrongPIN(t *testing.T) {
	b := newBench(t, pki.P256)
	p := newSignerProgram(t, map[string]Identity{"person": b.person})
	if err := os.WriteFile(p.pin, []byte("9753\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(p.binary, p.args...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("started with a wrong PIN")
	}
	wantText(t, string(out), "does not let us in", "PIN")
	wantNone(t, string(out), "9753", "1234")
	if _, err := pki.NewRemoteSigner(context.Background(), p.socket, "person"); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("%v; want unavailable", err)
	}
}
