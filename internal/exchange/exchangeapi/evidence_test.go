package exchangeapi

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/bodylog"
	"truc/internal/exchange/exchangestore"
	"truc/internal/exchange/notary"
	"truc/internal/pki"
	"truc/internal/sign"
	"truc/internal/translog"
)

// confirmedPair is a pair whose consumer has witnesses, a time-stamp authority and bodies.
type confirmedPair struct {
	*pair
	notary *notary.Notary
	roots  *x509.CertPool
	keys   []exchange.WitnessKey
	bodies *bodylog.Log
}

func newConfirmedPair(t *testing.T) *confirmedPair {
	t.Helper()
	c := &confirmedPair{pair: newPair(t), bodies: &bodylog.Log{Dir: t.TempDir(), Seal: bytes.Repeat([]byte{9}, 32), Now: time.Now}}
	t.Cleanup(func() { _ = c.bodies.Close() })
	ca, err := pki.LoadOrCreateDocumentCA(t.TempDir(), "development", pki.DocumentSubject{Name: "test"}, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	key, cert, err := ca.LoadOrIssue(t.TempDir(), "tsa", pki.TSAUse, pki.DocumentSubject{Name: "tsa"}, time.Now().Add(-time.Hour), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c.roots = x509.NewCertPool()
	c.roots.AddCert(ca.Cert())
	witnesses := courierOf{}
	var peers []notary.WitnessPeer
	for _, name := range []string{"VN/GOV/G15/node1", "VN/GOV/G22/node1"} {
		_, wk, _ := ed25519.GenerateKey(nil)
		cosigner, err := translog.NewCosigner("truc/"+name+"/witness", wk)
		if err != nil {
			t.Fatal(err)
		}
		witnesses[name] = &translog.Witness{
			Signer: cosigner, Store: &exchangestore.Notary{DB: openDB(t), Now: time.Now}, Now: time.Now,
			LogKey: func(string) (string, bool) { return c.consumer.log.VerifierKey(), true },
		}
		peers = append(peers, notary.WitnessPeer{Node: name, Key: cosigner.VerifierKey()})
		c.keys = append(c.keys, exchange.WitnessKey{Node: name, Key: cosigner.VerifierKey()})
	}
	c.notary = &notary.Notary{
		Log: c.consumer.log, Store: &exchangestore.Notary{DB: c.consumer.store.DB, Now: time.Now}, Want: 2, Courier: witnesses, Now: time.Now,
		Witnesses: func() []notary.WitnessPeer { return peers }, Logger: slog.New(slog.DiscardHandler),
		Authorities: []notary.Authority{{Name: "test", Client: &sign.TSA{Identity: sign.Identity{Signer: key, Cert: cert}, Now: time.Now}, Roots: pki.EncodePEM(ca.Cert())}},
	}
	if err := c.notary.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.consumer.SetSources(exchange.EvidenceSources{
		Notary: c.notary, Witnesses: func() []exchange.WitnessKey { return c.keys },
		Directory: func(v int64) []byte { return []byte(`{"version":` + string('0'+byte(v)) + `}`) },
	})
	err = c.consumer.SetBodies(&exchange.BodyPolicy{Log: c.bodies, Default: exchange.BodyDigest, Services: map[string]exchange.BodyMode{"VN/GOV/G01/population/person": exchange.BodyFull}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type courierOf map[string]*translog.Witness

func (w courierOf) AddCheckpoint(ctx context.Context, p notary.WitnessPeer, body []byte) (translog.WitnessAnswer, error) {
	return w[p.Node].AddCheckpoint(ctx, body)
}

func (c *confirmedPair) trust() exchange.Trust {
	tr := c.pair.trust()
	tr.TSARoots, tr.Now = c.roots, time.Now()
	tr.Witness = func(w exchange.WitnessKey) bool { return w == c.keys[0] || w == c.keys[1] }
	tr.KeyAt = func(version int64, id string) (exchange.Key, bool, error) {
		k, err := c.net.Key(id)
		return k, version == 7, err
	}
	return tr
}

// export makes an exchange and its package.
func (c *confirmedPair) export(t *testing.T, opt exchange.EvidenceOptions) (id string, pkg []byte) {
	t.Helper()
	call := query(t)
	ans, err := c.consumer.Call(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err = c.consumer.Evidence(t.Context(), ans.ExchangeID, opt)
	if err != nil {
		t.Fatal(err)
	}
	return ans.ExchangeID, pkg
}

func TestConfirmedEvidence(t *testing.T) {
	c := newConfirmedPair(t)
	for range 3 { // entries of others before and after
		if _, err := c.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
	}
	_, pkg := c.export(t, exchange.EvidenceOptions{Persons: true, Bodies: true})
	r, err := exchange.VerifyEvidence(pkg, c.trust())
	if err != nil || !r.OK || len(r.Entries) != 2 {
		t.Fatalf("report = %+v, %v", r, err)
	}
	for _, e := range r.Entries {
		for _, v := range e.Verdicts() {
			if v.Verdict != exchange.Good {
				t.Errorf("entry %d: %s is %s (%s)", e.Index, v.Name, v.Verdict, e.Reason)
			}
		}
		if len(e.WitnessedBy) != 2 || e.Before.Before(e.At.Add(-time.Second)) {
			t.Errorf("entry %d: by %v, before %v, made %v", e.Index, e.WitnessedBy, e.Before, e.At)
		}
	}
	// A package can be made without an authority; then it says so and proves the rest.
	c.notary.Authorities = nil
	if err := c.consumer.SetBodies(nil); err != nil {
		t.Fatal(err)
	}
	ans, err := c.consumer.Call(t.Context(), query(t))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := c.consumer.Evidence(t.Context(), ans.ExchangeID, exchange.EvidenceOptions{Persons: true, Bodies: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err = exchange.VerifyEvidence(bare, c.trust())
	if err != nil || !r.OK || r.Entries[0].Timestamp != exchange.NotProvided || r.Entries[0].Witnesses != exchange.Good || r.Entries[0].Body != exchange.NotProvided {
		t.Errorf("without an authority: %+v, %v", r, err)
	}
	// Another network's authority or witness is not believed.
	other := c.trust()
	other.TSARoots = x509.NewCertPool()
	if r, err := exchange.VerifyEvidence(pkg, other); err != nil || r.OK || r.Entries[0].Timestamp != exchange.Bad {
		t.Errorf("foreign authority: %+v, %v", r, err)
	}
	other = c.trust()
	other.Witness = func(exchange.WitnessKey) bool { return false }
	if r, err := exchange.VerifyEvidence(pkg, other); err != nil || r.OK || r.Entries[0].Witnesses != exchange.Bad {
		t.Errorf("foreign witness: %+v, %v", r, err)
	}
}

// files unpacks a package; pack writes one whose manifest fits the files, as a forger would.
func files(t *testing.T, pkg []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(pkg), int64(len(pkg)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name], err = io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func pack(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(files["manifest.json"], &m); err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	put := func(name string, b []byte) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(b)
	}
	for name, b := range files {
		if name != "manifest.json" {
			sum := sha256.Sum256(b)
			sums[name] = hex.EncodeToString(sum[:])
			put(name, b)
		}
	}
	m["files"] = sums
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	put("manifest.json", b)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// tampered returns packages in which one thing was changed, by name: every byte of every file with the manifest as it
// was, and what a forger can do who mends the manifest.
func (c *confirmedPair) tampered(t *testing.T, pkg []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	all := files(t, pkg)
	with := func(name string, b []byte) map[string][]byte {
		m := map[string][]byte{}
		maps.Copy(m, all)
		m[name] = b
		return m
	}
	for name, b := range all {
		switch {
		case name == "README.txt", name == "manifest.json", name == "directory.json", strings.HasPrefix(name, "directory/"), strings.HasPrefix(name, "tsa/"):
			continue // not evidence by itself; what leads to it is checked with the keys of the test
		}
		if strings.HasSuffix(name, ".tst") {
			continue // package sign tests its fields; what no signature covers, such as further certificates, may change
		}
		step := max(1, len(b)/60)
		for i := step / 2; i < len(b); i += step {
			bad := bytes.Clone(b)
			bad[i] ^= 1
			out[name+"@"+string(rune('0'+i%10))+hex.EncodeToString([]byte{byte(i >> 8), byte(i)})] = pack(t, with(name, bad))
		}
	}
	manifest := func(name, old, now string) {
		t.Helper()
		b := bytes.Replace(all["manifest.json"], []byte(old), []byte(now), 1)
		if bytes.Equal(b, all["manifest.json"]) {
			t.Fatalf("%s: %q is not in the manifest", name, old)
		}
		out["manifest: "+name] = pack(t, with("manifest.json", b))
	}
	manifest("person", "VN099204000123", "VN099204000124")
	manifest("exchange", `"exchange_id": "VN-`, `"exchange_id": "XX-`)
	manifest("node", `"node": "VN/GOV/H36/node1"`, `"node": "VN/GOV/G01/node1"`)
	manifest("index", `"index": 6`, `"index": 5`)
	manifest("no entries", `"entries": [`, `"entries": [], "x": [`)
	manifest("witness key", c.keys[0].Key, c.keys[1].Key[:len(c.keys[1].Key)-3]+"AA=")
	out["a file the manifest does not name"] = zipOf(t, with("more", []byte("x")))
	token := all["checkpoints/8.tst"]
	if token == nil {
		t.Fatalf("the package has no token: %v", len(all))
	}
	bad := bytes.Clone(token)
	bad[len(bad)-5] ^= 1 // in the signature
	out["token signature"] = pack(t, with("checkpoints/8.tst", bad))
	return out
}

func zipOf(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for name, b := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(b)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

const pythonAll = `
import importlib.util, json, os, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
spec = importlib.util.spec_from_file_location("v", sys.argv[1]); v = importlib.util.module_from_spec(spec); spec.loader.exec_module(v)
keys = json.load(open(sys.argv[3])); tsa = open(sys.argv[4], "rb").read()
for name in sorted(os.listdir(sys.argv[2])):
    try:
        ok, report = v.verify(open(os.path.join(sys.argv[2], name), "rb").read(), keys, tsa)
        print(name, "valid" if ok else "incomplete")
    except Exception as e:
        print(name, "invalid", type(e).__name__, str(e).replace("\n", " "))
`

// TestTamperedEvidence changes packages in every place and gives them to both verifiers: the product's, and the one in
// Python that shares no code with it.
func TestTamperedEvidence(t *testing.T) {
	c := newConfirmedPair(t)
	for range 3 {
		if _, err := c.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
	}
	_, pkg := c.export(t, exchange.EvidenceOptions{Persons: true, Bodies: true})
	bad := c.tampered(t, pkg)
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
	write("p/good", pkg)
	for name, b := range bad {
		if r, err := exchange.VerifyEvidence(b, c.trust()); err == nil && r.OK {
			t.Errorf("%s: still passes: %+v", name, r)
		}
		write("p/"+hex.EncodeToString([]byte(name)), b)
	}
	if len(bad) < 300 {
		t.Errorf("only %d changes were tried", len(bad))
	}
	keys := map[string]any{"log " + c.consumer.id: c.consumer.log.VerifierKey()}
	for id, k := range c.net.keys {
		spki, err := x509.MarshalPKIXPublicKey(k.Public)
		if err != nil {
			t.Fatal(err)
		}
		keys[id] = map[string]string{"server": k.ServerID, "spki": base64.StdEncoding.EncodeToString(spki)}
	}
	kb, _ := json.Marshal(keys)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is missing: ", err)
	}
	script := filepath.Join("..", "..", "..", "docs", "verify_evidence.py")
	out, err := exec.CommandContext(t.Context(), python, "-c", pythonAll, script, filepath.Join(dir, "p"), write("keys.json", kb), write("tsa.pem", files(t, pkg)["tsa/roots.pem"])).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(bad)+1 {
		t.Fatalf("%d answers for %d packages\n%s", len(lines), len(bad)+1, out)
	}
	for _, l := range lines {
		name, verdict, _ := strings.Cut(l, " ")
		if name == "good" && verdict != "valid" || name != "good" && !strings.HasPrefix(verdict, "invalid") {
			raw, _ := hex.DecodeString(name)
			t.Errorf("python says of %s %s: %s", name, raw, verdict)
		}
	}
}

// TestOpenSSLVerifiesTheTimestamp runs the command that the package's README gives.
func TestOpenSSLVerifiesTheTimestamp(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is missing: ", err)
	}
	c := newConfirmedPair(t)
	_, pkg := c.export(t, exchange.EvidenceOptions{})
	dir := t.TempDir()
	var command string
	for name, b := range files(t, pkg) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "README.txt" {
			_, command, _ = strings.Cut(string(b), "openssl ts -verify")
			command, _, _ = strings.Cut(command, "\n")
		}
	}
	args := strings.Fields("ts -verify" + strings.ReplaceAll(command, "/S.", "/2."))
	run := func() ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), openssl, args...)
		cmd.Dir = dir
		return cmd.CombinedOutput()
	}
	if out, err := run(); err != nil || !bytes.Contains(out, []byte("Verification: OK")) {
		t.Errorf("%v: %v\n%s", args, err, out)
	}
	path := filepath.Join(dir, "checkpoints", "2.stamped")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[3] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(); err == nil {
		t.Errorf("a changed checkpoint passes: %s", out)
	}
}

// A body is kept only where the policy says so, on either side; and where it must be kept and cannot, there is no exchange.
func TestBodyPolicy(t *testing.T) {
	c := newConfirmedPair(t)
	const service = "VN/GOV/G01/population/person"
	for _, tt := range []struct {
		name     string
		def, set exchange.BodyMode
		want     exchange.Verdict
	}{
		{"nothing said", exchange.BodyDigest, "", exchange.NotProvided},
		{"full for all", exchange.BodyFull, "", exchange.Good},
		{"full for this one", exchange.BodyDigest, exchange.BodyFull, exchange.Good},
		{"digest for this one", exchange.BodyFull, exchange.BodyDigest, exchange.NotProvided},
		{"off for this one", exchange.BodyFull, exchange.BodyOff, exchange.NotProvided},
		{"off for all but this one", exchange.BodyOff, exchange.BodyFull, exchange.Good},
	} {
		p := &exchange.BodyPolicy{Log: c.bodies, Default: tt.def, Services: map[string]exchange.BodyMode{}}
		if tt.set != "" {
			p.Services[service] = tt.set
		}
		if err := c.consumer.SetBodies(p); err != nil {
			t.Fatal(err)
		}
		_, pkg := c.export(t, exchange.EvidenceOptions{Persons: true, Bodies: true})
		r, err := exchange.VerifyEvidence(pkg, c.trust())
		if err != nil || !r.OK || r.Entries[0].Body != tt.want || r.Entries[1].Body != tt.want {
			t.Errorf("%s: %+v, %v; want %s", tt.name, r, err, tt.want)
		}
	}
	// For all exchanges of a subsystem, as the one who asks and as the one who answers; what is said of a service counts more.
	const asks, answers = "VN/GOV/H36/onestop", "VN/GOV/G01/population"
	for _, tt := range []struct {
		name       string
		role       string
		def        exchange.BodyMode
		subsystems map[string]exchange.BodyMode
		service    exchange.BodyMode
		want       bool
	}{
		{"who asks", exchange.RoleConsumer, exchange.BodyDigest, map[string]exchange.BodyMode{asks: exchange.BodyFull}, "", true},
		{"who asks, off", exchange.RoleConsumer, exchange.BodyFull, map[string]exchange.BodyMode{asks: exchange.BodyOff}, "", false},
		{"off for all but this one", exchange.RoleConsumer, exchange.BodyOff, map[string]exchange.BodyMode{asks: exchange.BodyFull}, "", true},
		{"another subsystem", exchange.RoleConsumer, exchange.BodyDigest, map[string]exchange.BodyMode{asks + "2": exchange.BodyFull, answers: exchange.BodyFull}, "", false},
		{"the service goes before", exchange.RoleConsumer, exchange.BodyDigest, map[string]exchange.BodyMode{asks: exchange.BodyFull}, exchange.BodyDigest, false},
		{"who answers", exchange.RoleProvider, exchange.BodyDigest, map[string]exchange.BodyMode{answers: exchange.BodyFull}, "", true},
		{"who answers, another", exchange.RoleProvider, exchange.BodyDigest, map[string]exchange.BodyMode{asks: exchange.BodyFull}, "", false},
	} {
		none := &exchange.BodyPolicy{Log: c.bodies, Default: exchange.BodyDigest}
		p := &exchange.BodyPolicy{Log: c.bodies, Default: tt.def, Subsystems: tt.subsystems}
		if tt.service != "" {
			p.Services = map[string]exchange.BodyMode{service: tt.service}
		}
		policies := map[string]*exchange.BodyPolicy{exchange.RoleConsumer: none, exchange.RoleProvider: none}
		policies[tt.role] = p
		if err := errors.Join(c.consumer.SetBodies(policies[exchange.RoleConsumer]), c.provider.SetBodies(policies[exchange.RoleProvider])); err != nil {
			t.Fatal(err)
		}
		ans, err := c.consumer.Call(t.Context(), query(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, direction := range []string{"request", "response"} {
			kept := map[string]bool{}
			for _, role := range []string{exchange.RoleConsumer, exchange.RoleProvider} {
				r, err := c.bodies.Open(t.Context(), bodylog.Name{Role: role, Direction: direction, RequestID: ans.RequestID}, time.Now())
				if err == nil {
					kept[role] = true
					r.Close()
				} else if !errs.Is(err, errs.NotFound) {
					t.Fatal(err)
				}
			}
			if kept[tt.role] != tt.want || len(kept) > 1 {
				t.Errorf("%s: the %s was kept by %v; want %v by the %s", tt.name, direction, kept, tt.want, tt.role)
			}
		}
	}
	if err := c.consumer.SetBodies(&exchange.BodyPolicy{Log: c.bodies, Default: exchange.BodyFull, Subsystems: map[string]exchange.BodyMode{asks: "sometimes"}}); err == nil {
		t.Error("an unknown mode of a subsystem was taken")
	}
	if err := c.consumer.SetBodies(&exchange.BodyPolicy{Log: c.bodies, Default: "sometimes"}); err == nil {
		t.Error("an unknown mode was taken")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := &bodylog.Log{Dir: filepath.Join(file, "below"), Seal: make([]byte, 32), Now: time.Now}
	if err := c.provider.SetBodies(&exchange.BodyPolicy{Log: broken, Default: exchange.BodyFull}); err != nil {
		t.Fatal(err)
	}
	got := len(c.got)
	_, err := c.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.logging_failed", errs.Unavailable)
	if len(c.got) != got {
		t.Error("the service was called although the body could not be kept")
	}
}
