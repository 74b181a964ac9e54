package receipt

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/pki"
	"truc/internal/sign"
)

const node = "VN/GOV/G22/node1"

var at = time.Date(2026, 11, 22, 3, 4, 5, 678901000, time.UTC)

func fact() Fact {
	return Fact{
		Event: Delivered, DocID: "5b0c7a1e", Copy: "77aa", DocumentID: "H36,2026/11/22,08/UBND-VP", Kind: "edoc", SHA256: strings.Repeat("ab", 32), From: "H36", To: []string{"G98"},
		At: at, Journal: strings.Repeat("0f", 32),
	}
}

// bench is a node's key, a directory that names it, and a time-stamp authority.
type bench struct {
	key       crypto.Signer
	directory json.RawMessage
	revoked   bool
	tsa       *sign.TSA
	ca        *pki.DocumentCA
}

func newBench(t testing.TB, alg pki.Alg) *bench {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.LoadOrCreateDocumentCA(dir, "development", pki.DocumentSubject{Name: "Test", Agency: "Test"}, at)
	if err != nil {
		t.Fatal(err)
	}
	key, cert, err := ca.LoadOrIssue(dir, "tsa", pki.TSAUse, pki.DocumentSubject{Name: "Test TSA", Agency: "Test"}, at, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{ca: ca, tsa: &sign.TSA{Identity: sign.Identity{Signer: key, Cert: cert}, Now: func() time.Time { return at.Add(time.Second) }}}
	if b.key, err = pki.GenerateKey(alg); err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(b.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	b.directory = json.RawMessage(`{"document":{"key":"` + base64.StdEncoding.EncodeToString(spki) + `"},"signatures":[]}`)
	return b
}

func (b *bench) kid() string { return pki.KeyID(b.key.Public()) }

func (b *bench) trust() Trust {
	return Trust{Now: at.Add(time.Hour), Keys: func(d json.RawMessage) (func(string) (Key, error), error) {
		if !bytes.Equal(d, b.directory) {
			return nil, errors.New("not signed by this network")
		}
		return func(kid string) (Key, error) {
			if kid != b.kid() {
				return Key{}, errors.New("unknown")
			}
			return Key{Node: node, Public: b.key.Public(), Revoked: b.revoked}, nil
		}, nil
	}}
}

// memory is the smallest honest store.
type memory struct {
	list    []Issued
	batches []Batch
}

func (m *memory) Add(_ context.Context, _ Tx, r Issued) (int64, bool, error) {
	for _, o := range m.list {
		if o.DocID == r.DocID && o.Copy == r.Copy && o.Event == r.Event {
			return 0, false, nil
		}
	}
	r.ID = int64(len(m.list) + 1)
	m.list = append(m.list, r)
	return r.ID, true, nil
}

func (m *memory) Of(_ context.Context, docID, copyID string) (out []Issued, _ error) {
	for _, r := range m.list {
		if r.DocID == docID && (copyID == "" || r.Copy == copyID) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m *memory) Get(_ context.Context, id int64) (Issued, error) {
	if id < 1 || id > int64(len(m.list)) {
		return Issued{}, errs.E(errs.NotFound, "receipt.unknown", nil)
	}
	return m.list[id-1], nil
}

func (m *memory) Unstamped(_ context.Context, limit int) (out []Issued, _ error) {
	for _, r := range m.list {
		if r.Batch == 0 && len(out) < limit {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m *memory) Waiting(ctx context.Context) (int64, time.Time, error) {
	l, err := m.Unstamped(ctx, len(m.list))
	if len(l) == 0 {
		return 0, time.Time{}, err
	}
	return int64(len(l)), l[0].At, err
}

func (m *memory) PutBatch(_ context.Context, b Batch, ids []int64) error {
	b.ID = int64(len(m.batches) + 1)
	m.batches = append(m.batches, b)
	for i, id := range ids {
		m.list[id-1].Batch, m.list[id-1].Index = b.ID, int64(i)
	}
	return nil
}

func (m *memory) Batch(_ context.Context, id int64) (Batch, error) { return m.batches[id-1], nil }

func (m *memory) Leaves(_ context.Context, batch int64) (out [][]byte, _ error) {
	for _, r := range m.list {
		if r.Batch == batch {
			out = append(out, r.JWS)
		}
	}
	return out, nil
}

func (b *bench) service(authorities ...Authority) *Service {
	return &Service{
		Store: &memory{}, Node: node, Key: func() (crypto.Signer, string) { return b.key, b.kid() },
		Directory: func() (int64, []byte) { return 7, b.directory }, DirectoryAt: func(int64) []byte { return b.directory },
		Authorities: authorities, Now: func() time.Time { return at },
	}
}

func (b *bench) authority() Authority {
	return Authority{Client: b.tsa, Roots: pki.EncodePEM(b.ca.Cert())}
}

// file issues n receipts, stamps them and returns the file of one.
func (b *bench) file(t testing.TB, n, which int) []byte {
	t.Helper()
	s := b.service(b.authority())
	for i := range n {
		f := fact()
		f.DocID += string(rune('a' + i))
		if _, err := s.Issue(t.Context(), nil, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.StampAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	file, err := s.File(t.Context(), int64(which+1))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestReceiptOfEachEventVerifies(t *testing.T) {
	for _, alg := range []pki.Alg{pki.Ed25519, pki.P256} {
		b := newBench(t, alg)
		s := b.service(b.authority())
		for _, e := range events {
			f := fact()
			f.Event = e
			if _, err := s.Issue(t.Context(), nil, f); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.Of(t.Context(), fact().DocID, "")
		if err != nil || len(list) != len(events) {
			t.Fatalf("Of = %d receipts, %v", len(list), err)
		}
		for i, e := range events {
			file, err := s.File(t.Context(), list[i].ID)
			if err != nil {
				t.Fatal(err)
			}
			rep, err := Verify(file, b.trust())
			if err != nil || !rep.Pending || rep.Event != e || rep.Issuer != node || !rep.At.Equal(at) {
				t.Fatalf("before the stamp: %+v, %v", rep, err)
			}
		}
		if n, err := s.Stamp(t.Context()); err != nil || n != len(events) {
			t.Fatalf("Stamp = %d, %v", n, err)
		}
		for i, e := range events {
			file, err := s.File(t.Context(), list[i].ID)
			if err != nil {
				t.Fatal(err)
			}
			trust := b.trust()
			trust.TSARoots = b.ca.Pool()
			rep, err := Verify(file, trust)
			want := fact()
			want.Event = e
			if err != nil || rep.Pending || rep.OwnRoots || !reflect.DeepEqual(rep.Fact, want) || !rep.StampedAt.Equal(at.Add(time.Second).Truncate(time.Second)) {
				t.Errorf("%s: %+v, %v", e, rep, err)
			}
		}
	}
}

func TestEveryChangedByteFails(t *testing.T) {
	b := newBench(t, pki.Ed25519)
	file := b.file(t, 5, 2)
	if _, err := Verify(file, b.trust()); err != nil {
		t.Fatal(err)
	}
	for i := range file {
		bad := bytes.Clone(file)
		bad[i] ^= 1 << (i % 8)
		if rep, err := Verify(bad, b.trust()); err == nil {
			t.Fatalf("byte %d changed, and it verifies: %+v", i, rep)
		}
	}
}

// TestForgedFiles changes a part and writes the file anew, so that only signatures can tell.
func TestForgedFiles(t *testing.T) {
	b, other := newBench(t, pki.Ed25519), newBench(t, pki.Ed25519)
	good, err := Parse(b.file(t, 5, 2))
	if err != nil {
		t.Fatal(err)
	}
	neighbour, err := Parse(b.file(t, 5, 3))
	if err != nil {
		t.Fatal(err)
	}
	resigned := func(key crypto.Signer, kid, issuer string, f Fact) []byte {
		j, err := Sign(key, kid, issuer, f)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	later := fact()
	later.At = later.At.Add(time.Hour)
	for _, c := range []struct {
		name, want string
		change     func(f *File)
	}{
		{"another receipt under this stamp", "receipt.stamp_wrong", func(f *File) { f.JWS = neighbour.JWS }},
		{"another place", "receipt.stamp_wrong", func(f *File) { f.Stamp.Index = 3 }},
		{"a longer path", "receipt.stamp_wrong", func(f *File) { f.Stamp.Path = append(f.Stamp.Path, f.Stamp.Path[0]) }},
		{"a shorter path", "receipt.stamp_wrong", func(f *File) { f.Stamp.Path = f.Stamp.Path[1:] }},
		{"another size", "receipt.stamp_wrong", func(f *File) { f.Stamp.Size = 6 }},
		{"a token that is none", "receipt.stamp_wrong", func(f *File) { f.Stamp.Token = []byte{0x30, 0} }},
		{"roots of another authority", "receipt.stamp_wrong", func(f *File) { f.Stamp.Roots = string(pki.EncodePEM(other.ca.Cert())) }},
		{"no roots", "receipt.stamp_wrong", func(f *File) { f.Stamp.Roots = "" }},
		{"a directory of somebody else", "receipt.directory_not_trusted", func(f *File) { f.Directory = other.directory }},
		{"signed by a stranger", "receipt.key_unknown", func(f *File) { f.JWS = resigned(other.key, other.kid(), node, fact()) }},
		{"signed by a stranger under our key's name", "receipt.signature_wrong", func(f *File) { f.JWS = resigned(other.key, b.kid(), node, fact()) }},
		{"another node's name", "receipt.key_unknown", func(f *File) { f.JWS = resigned(b.key, b.kid(), "VN/GOV/H36/node1", fact()) }},
		{"a receipt younger than its stamp", "receipt.stamp_wrong", func(f *File) {
			f.JWS, f.Stamp = resigned(b.key, b.kid(), node, later), nil
			f.Stamp = alone(t, b, f.JWS)
		}},
		{"not three parts", "receipt.unreadable", func(f *File) { f.JWS = []byte("a.b") }},
		{"no algorithm", "receipt.unreadable", func(f *File) {
			head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + b.kid() + `","typ":"` + typ + `"}`))
			f.JWS = []byte(head + f.jwsFromDot())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := good
			stamp := *good.Stamp
			stamp.Path = slices.Clone(stamp.Path)
			f.Stamp = &stamp
			c.change(&f)
			file, err := f.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			rep, err := Verify(file, b.trust())
			if key, _ := errs.KeyOf(err); key != c.want || !errs.Is(err, errs.Invalid) {
				t.Errorf("Verify = %+v, %v; want %s", rep, err, c.want)
			}
		})
	}
}

func (f *File) jwsFromDot() string { return string(f.JWS[bytes.IndexByte(f.JWS, '.'):]) }

// alone stamps one JWS by itself.
func alone(t *testing.T, b *bench, j []byte) *Stamp {
	t.Helper()
	s := b.service(b.authority())
	if _, _, err := s.Store.Add(t.Context(), nil, Issued{Fact: fact(), JWS: j}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stamp(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := s.Store.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.stampOf(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestBatchesOfAnySize(t *testing.T) {
	b := newBench(t, pki.Ed25519)
	for _, n := range []int{1, 2, 3, 4, 7, 8, 9} {
		for i := range n {
			if _, err := Verify(b.file(t, n, i), b.trust()); err != nil {
				t.Errorf("%d of %d: %v", i, n, err)
			}
		}
	}
}

// away is an authority that does not answer for a while.
type away struct {
	sign.Timestamper
	failures int
}

func (a *away) Timestamp(ctx context.Context, digest []byte) ([]byte, error) {
	if a.failures > 0 {
		a.failures--
		return nil, errs.E(errs.Unavailable, "sign.tsa_unavailable", nil)
	}
	return a.Timestamper.Timestamp(ctx, digest)
}

func TestStampsArePendingWhileAuthoritiesAreAway(t *testing.T) {
	b := newBench(t, pki.Ed25519)
	s := b.service(Authority{Client: &away{Timestamper: b.tsa, failures: 1}, Roots: pki.EncodePEM(b.ca.Cert())})
	if _, err := s.Issue(t.Context(), nil, fact()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stamp(t.Context()); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("Stamp = %v; want unavailable", err)
	}
	if n, oldest, err := s.Store.Waiting(t.Context()); n != 1 || !oldest.Equal(at) || err != nil {
		t.Fatalf("Waiting = %d %v %v", n, oldest, err)
	}
	before, err := s.File(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Stamp(t.Context()); n != 1 || err != nil {
		t.Fatalf("Stamp = %d, %v", n, err)
	}
	after, err := s.File(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range [][]byte{before, after} {
		if _, err := Verify(f, b.trust()); err != nil {
			t.Error(err)
		}
	}
	if bytes.Equal(before, after) {
		t.Error("the stamp is not in the file")
	}
}

func TestOneReceiptPerEvent(t *testing.T) {
	b := newBench(t, pki.Ed25519)
	s := b.service()
	for range 3 {
		if _, err := s.Issue(t.Context(), nil, fact()); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.Of(t.Context(), fact().DocID, ""); len(list) != 1 || err != nil {
		t.Errorf("Of = %d receipts, %v; want 1", len(list), err)
	}
}

func TestKeysOutsideTheirTimeAndRevoked(t *testing.T) {
	b := newBench(t, pki.Ed25519)
	file := b.file(t, 1, 0)
	b.revoked = true
	if rep, err := Verify(file, b.trust()); err != nil || !rep.Revoked {
		t.Errorf("a revoked key must be shown: %+v, %v", rep, err)
	}
	trust := b.trust()
	find := trust.Keys
	trust.Keys = func(d json.RawMessage) (func(string) (Key, error), error) {
		f, err := find(d)
		return func(kid string) (Key, error) {
			k, err := f(kid)
			k.NotBefore = at.Add(time.Minute)
			return k, err
		}, err
	}
	if _, err := Verify(file, trust); !errs.Is(err, errs.Invalid) {
		t.Errorf("a key before its time: %v", err)
	}
}

func TestSignRefuses(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(p384, "k", node, fact()); err == nil {
		t.Error("signed with a key that no node can have")
	}
	for name, f := range map[string]func(f *Fact){
		"event": func(f *Fact) { f.Event = "lost" }, "digest": func(f *Fact) { f.SHA256 = "AB" }, "kind": func(f *Fact) { f.Kind = "" },
		"id": func(f *Fact) { f.DocID = "" }, "control": func(f *Fact) { f.Reason = "a\x00" }, "journal": func(f *Fact) { f.Journal = "x" },
		"long": func(f *Fact) { f.DocumentID = strings.Repeat("x", 600) },
	} {
		bad := fact()
		f(&bad)
		if _, err := Sign(key, "k", node, bad); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func FuzzVerify(f *testing.F) {
	b := newBench(f, pki.Ed25519)
	file := b.file(f, 3, 1)
	f.Add(file)
	f.Add([]byte(`{"format":"truc-document-receipt-v1","jws":"a.b.c","directory":{},"seal":""}`))
	f.Add([]byte("{\n\"format\":\"truc-document-receipt-v1\",\n\"stamp\":{\"index\":-1}}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		rep, err := Verify(in, b.trust())
		if err == nil && !bytes.Equal(in, file) {
			t.Fatalf("accepted: %+v", rep)
		}
		if p, err := Parse(in); err == nil {
			if again, err := p.Marshal(); err != nil || !bytes.Equal(again, in) {
				t.Fatal("not its own spelling")
			}
		}
	})
}
