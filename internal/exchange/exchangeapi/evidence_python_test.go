package exchangeapi

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"truc/internal/exchange"
	"truc/internal/pki"
)

// pythonVerdicts has the verifier in Python judge packages, by name; its trust is the keys of the nodes.
func (p *pair) pythonVerdicts(t *testing.T, packages map[string][]byte) map[string]string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, b := range packages {
		write("p/"+name, b)
	}
	keys := map[string]any{"log " + p.consumer.id: p.consumer.log.VerifierKey(), "log " + p.provider.id: p.provider.log.VerifierKey()}
	for id, k := range p.net.keys {
		spki, err := x509.MarshalPKIXPublicKey(k.Public)
		if err != nil {
			t.Fatal(err)
		}
		keys[id] = map[string]string{"server": k.ServerID, "spki": base64.StdEncoding.EncodeToString(spki)}
	}
	kb, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join("..", "..", "..", "docs", "verify_evidence.py")
	out, err := exec.CommandContext(t.Context(), "python3", "-c", pythonAll, script, filepath.Join(dir, "p"), write("keys.json", kb), write("tsa.pem", nil)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	verdicts := map[string]string{}
	for l := range strings.Lines(string(out)) {
		name, verdict, _ := strings.Cut(strings.TrimSpace(l), " ")
		verdicts[name] = verdict
	}
	if len(verdicts) != len(packages) {
		t.Fatalf("%d answers for %d packages\n%s", len(verdicts), len(packages), out)
	}
	return verdicts
}

// The verifier in Python agrees about exchanges whose bodies streamed, in both directions, of both nodes and with both
// kinds of keys; about each part that was changed; and about packages without the entry that vouches for the body.
func TestPythonVerifiesStreams(t *testing.T) {
	for _, alg := range []pki.Alg{pki.Ed25519, pki.P256} {
		p := newPairOf(t, alg)
		p.streams(t, exchange.Offering{})
		const size = exchange.StreamThreshold + 1000
		up := p.fileCall(t, "POST", "/up")
		up.BodyReader, up.Length = &pattern{n: size}, size
		sent, err := p.consumer.Call(t.Context(), up)
		if err != nil {
			t.Fatal(err)
		}
		down := p.fileCall(t, "GET", "/"+strconv.Itoa(size))
		down.Stream = true
		got, err := p.consumer.Call(t.Context(), down)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, got.BodyReader); err != nil || n != size {
			t.Fatalf("%d bytes, %v", n, err)
		}
		_ = got.BodyReader.Close()
		packages, want := map[string][]byte{}, map[string]string{}
		for way, id := range map[string]string{"up": sent.ExchangeID, "down": got.ExchangeID} {
			p.settled(t, id, 1)
			for who, n := range map[string]*testNode{"consumer": p.consumer, "provider": p.provider} {
				pkg, err := n.Evidence(t.Context(), id, exchange.EvidenceOptions{Persons: true})
				if err != nil {
					t.Fatal(err)
				}
				name := way + "-" + who
				packages[name], want[name] = pkg, "valid"
				for file, b := range files(t, pkg) {
					if !strings.HasPrefix(file, "entries/") || alg != pki.Ed25519 || who != "consumer" {
						continue // the slow and plain arithmetic in Python is not what is tested
					}
					for i := 3; i < len(b); i += max(1, len(b)/3) {
						bad := files(t, pkg)
						bad[file] = bytes.Clone(b)
						bad[file][i] ^= 1
						changed := name + "-" + strings.ReplaceAll(file, "/", "_") + "-" + strconv.Itoa(i)
						packages[changed], want[changed] = pack(t, bad), "invalid"
					}
				}
				cut := name + "-cut"
				want[cut] = "incomplete"
				packages[cut] = rewrite(t, pkg, func(file string, data []byte) []byte {
					if file != "manifest.json" {
						return data
					}
					return dropBodies(t, data, pkg)
				})
			}
		}
		for name, verdict := range p.pythonVerdicts(t, packages) {
			if !strings.HasPrefix(verdict, want[name]) {
				t.Errorf("%v: %s: python says %q; want %s", alg, name, verdict, want[name])
			}
			r, err := exchange.VerifyEvidence(packages[name], p.trust())
			if ok := err == nil && r.OK; ok != (want[name] == "valid") {
				t.Errorf("%v: %s: verified %v, %v", alg, name, ok, err)
			}
		}
	}
}

// An attempt that nobody answered does not count against an exchange that another attempt brought to an answer, and is no
// proof where there was none; the verifier in Python sees it the same way.
func TestEvidenceOfAttempts(t *testing.T) {
	p := newPair(t)
	way := p.consumer.carrier.next
	call := func(id string, lost bool) {
		t.Helper()
		p.consumer.carrier.next = way
		if lost {
			p.consumer.carrier.next = carrierFunc(func(context.Context, exchange.Peer, *exchange.WireRequest) (*exchange.WireResponse, error) {
				return nil, errors.New("the connection broke after the request was sent")
			})
		}
		c := query(t)
		c.ID, c.Method = id, http.MethodPost // which is not repeated by itself
		if _, err := p.consumer.Call(t.Context(), c); (err != nil) != lost {
			t.Fatalf("%s: %v", id, err)
		}
	}
	call("lost", true)
	call("again", true)
	call("again", false)
	call("before", false)
	call("before", true)
	packages, want := map[string][]byte{}, map[string]string{"lost": "incomplete", "again": "valid", "before": "valid"}
	for id := range want {
		pkg, err := p.consumer.Evidence(t.Context(), id, exchange.EvidenceOptions{Persons: true})
		if err != nil {
			t.Fatal(err)
		}
		packages[id] = pkg
		r, err := exchange.VerifyEvidence(pkg, p.trust())
		if err != nil || r.OK != (want[id] == "valid") {
			t.Errorf("%s: %+v, %v", id, r, err)
		}
	}
	for id, verdict := range p.pythonVerdicts(t, packages) {
		if !strings.HasPrefix(verdict, want[id]) {
			t.Errorf("%s: python says %q, want %s", id, verdict, want[id])
		}
	}
}
