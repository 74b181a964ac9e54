package translog

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// memoryWitness is a store in memory.
type memoryWitness struct {
	mu   sync.Mutex
	m    map[string]Witnessed
	race func() // runs once before the next Advance
}

func (s *memoryWitness) Witnessed(_ context.Context, origin string) (Witnessed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[origin], nil
}

func (s *memoryWitness) Advance(_ context.Context, origin string, prev, next Witnessed) (bool, error) {
	if f := s.race; f != nil {
		s.race = nil
		f()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[origin] != prev {
		return false, nil
	}
	s.m[origin] = next
	return true, nil
}

func newWitness(t *testing.T, l *Log) (*Witness, *memoryWitness, *[]string) {
	t.Helper()
	c, err := NewCosigner("truc/VN/G22/witness", testKey(9))
	if err != nil {
		t.Fatal(err)
	}
	s := &memoryWitness{m: map[string]Witnessed{}}
	var told []string
	return &Witness{
		Signer: c, Store: s, Now: l.opt.Now,
		LogKey: func(o string) (string, bool) { return l.VerifierKey(), o == origin },
		Inconsistent: func(_ context.Context, o string, _ Witnessed, _ []byte) {
			told = append(told, o)
		},
	}, s, &told
}

func mustCheckpoint(t *testing.T, l *Log) []byte {
	t.Helper()
	b, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func consistency(t *testing.T, l *Log, older, newer int64) []tlog.Hash {
	t.Helper()
	p, err := l.Consistency(older, newer)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWitnessAnswers(t *testing.T) {
	l := mustOpen(t, testOptions(t.TempDir()))
	fill(t, l, 3)
	three := mustCheckpoint(t, l)
	fill(t, l, 4)
	seven := mustCheckpoint(t, l)
	fork := mustOpen(t, testOptions(t.TempDir())) // same name and key, another history
	for i := range 7 {
		if _, err := fork.Append(t.Context(), entry(100+i)); err != nil {
			t.Fatal(err)
		}
	}
	forked := mustCheckpoint(t, fork)
	strangerOpt := testOptions(t.TempDir())
	strangerOpt.Origin = "truc/VN/XX/test"
	stranger := mustCheckpoint(t, mustOpen(t, strangerOpt))
	otherKey := testOptions(t.TempDir())
	otherKey.Key = testKey(5)
	unsigned := mustCheckpoint(t, mustOpen(t, otherKey))

	w, s, told := newWitness(t, l)
	for _, tt := range []struct {
		name   string
		req    AddCheckpoint
		status int
		body   string
		told   int
	}{
		{"unknown log", AddCheckpoint{Note: stranger}, 404, "", 0},
		{"not signed by the log", AddCheckpoint{Note: unsigned}, 403, "", 0},
		{"old above the checkpoint", AddCheckpoint{Old: 4, Note: three}, 400, "", 0},
		{"old above what was cosigned", AddCheckpoint{Old: 3, Note: seven}, 409, "0\n", 0},
		{"a proof where none is needed", AddCheckpoint{Proof: consistency(t, l, 3, 7), Note: three}, 422, "", 0},
		{"first", AddCheckpoint{Note: three}, 200, "", 0},
		{"again", AddCheckpoint{Old: 3, Note: three}, 200, "", 0},
		{"old below what was cosigned", AddCheckpoint{Note: seven}, 409, "3\n", 0},
		{"no proof", AddCheckpoint{Old: 3, Note: seven}, 422, "", 1},
		{"another history", AddCheckpoint{Old: 3, Proof: consistency(t, fork, 3, 7), Note: forked}, 422, "", 2},
		{"growth", AddCheckpoint{Old: 3, Proof: consistency(t, l, 3, 7), Note: seven}, 200, "", 2},
		{"same size, another root", AddCheckpoint{Old: 7, Note: forked}, 409, "7\n", 3},
		{"back", AddCheckpoint{Old: 3, Note: three}, 409, "7\n", 3},
	} {
		got, err := w.AddCheckpoint(t.Context(), tt.req.Marshal())
		if err != nil || got.Status != tt.status || len(*told) != tt.told || tt.status == 409 && (string(got.Body) != tt.body || got.Type != "text/x.tlog.size") {
			t.Fatalf("%s: %d %q %q, %v, %d inconsistencies; want %d %q, %d", tt.name, got.Status, got.Body, got.Type, err, len(*told), tt.status, tt.body, tt.told)
		}
		if tt.status != 200 {
			continue
		}
		cosigned, err := AddCosignatures(tt.req.Note, got.Body, w.Signer.VerifierKey())
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		at, err := VerifyCosignature(cosigned, w.Signer.VerifierKey())
		if err != nil || !at.Equal(l.opt.Now()) {
			t.Errorf("%s: cosignature at %v, %v", tt.name, at, err)
		}
		if _, err := VerifyCheckpoint(cosigned, l.VerifierKey()); err != nil {
			t.Errorf("%s: cosigned checkpoint: %v", tt.name, err)
		}
		if again, err := AddCosignatures(cosigned, got.Body, w.Signer.VerifierKey()); err != nil || !bytes.Equal(again, cosigned) {
			t.Errorf("%s: the same cosignature twice: %v", tt.name, err)
		}
		if bare, err := StripCosignatures(cosigned, l.VerifierKey()); err != nil || !bytes.Equal(bare, tt.req.Note) {
			t.Errorf("%s: stripped: %q, %v", tt.name, bare, err)
		}
	}
	// Two requests at once: one wins, the other hears of it.
	fill(t, l, 2)
	nine := mustCheckpoint(t, l)
	fill(t, l, 1)
	ten := mustCheckpoint(t, l)
	s.race = func() {
		if got, err := w.AddCheckpoint(t.Context(), AddCheckpoint{Old: 7, Proof: consistency(t, l, 7, 10), Note: ten}.Marshal()); err != nil || got.Status != 200 {
			t.Errorf("the faster one: %d, %v", got.Status, err)
		}
	}
	got, err := w.AddCheckpoint(t.Context(), AddCheckpoint{Old: 7, Proof: consistency(t, l, 7, 9), Note: nine}.Marshal())
	if err != nil || got.Status != 409 || string(got.Body) != "10\n" {
		t.Errorf("the slower one: %d %q, %v", got.Status, got.Body, err)
	}
	for _, bad := range []string{"", "old", "old 1", "old -1\n\nx", "old 01\n\nx", "old 1\nxx\n\nnote", "new 1\n\nx", "old 1\n\n", "old 1\n" + strings.Repeat(tlog.Hash{}.String()+"\n", 64) + "\nnote"} {
		if got, err := w.AddCheckpoint(t.Context(), []byte(bad)); err != nil || got.Status != 400 {
			t.Errorf("body %q: %d, %v; want 400", bad, got.Status, err)
		}
	}
}

func TestCosignatureIsChecked(t *testing.T) {
	l := mustOpen(t, testOptions(t.TempDir()))
	fill(t, l, 3)
	msg := mustCheckpoint(t, l)
	w, _, _ := newWitness(t, l)
	got, err := w.AddCheckpoint(t.Context(), AddCheckpoint{Note: msg}.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	vkey := w.Signer.VerifierKey()
	cosigned, err := AddCosignatures(msg, got.Body, vkey)
	if err != nil {
		t.Fatal(err)
	}
	own, line := bytes.Index(msg, []byte("\n\n"))+2, len(cosigned)-len(got.Body)
	for i := range cosigned {
		if i >= own && i < line { // the log's own signature is not the witness's business
			continue
		}
		bad := bytes.Clone(cosigned)
		bad[i] ^= 1
		if _, err := VerifyCosignature(bad, vkey); err == nil {
			t.Errorf("byte %d (%q) changed: the cosignature still holds", i, cosigned[i])
		}
	}
	if _, err := VerifyCosignature(msg, vkey); err == nil {
		t.Error("a checkpoint without a cosignature passes")
	}
	other, _ := NewCosigner("truc/VN/G22/witness", testKey(8))
	if _, err := VerifyCosignature(cosigned, other.VerifierKey()); err == nil {
		t.Error("another witness's key passes")
	}
	if _, err := AddCosignatures(msg, []byte(other.Cosign("other text\n", time.Unix(1, 0))), other.VerifierKey()); err == nil {
		t.Error("a cosignature over another text is taken")
	}
	// Known answer: key id and message as in C2SP tlog-cosignature, made by hand here.
	pub := testKey(9).Public().(ed25519.PublicKey)
	text := string(msg[:bytes.Index(msg, []byte("\n\n"))+1])
	_, lines, err := splitNote(cosigned)
	if err != nil {
		t.Fatal(err)
	}
	_, sig, err := parseSignatureLine(lines[len(lines)-1])
	if err != nil || !ed25519.Verify(pub, []byte("cosignature/v1\ntime 1795248000\n"+text), sig[12:]) {
		t.Errorf("the cosignature is not over the message of the specification: %v, now %d", err, l.opt.Now().Unix())
	}
	for _, bad := range []string{"", "a+b", "a+00000000+AAAA", strings.Replace(vkey, "+B", "+A", 1), " " + vkey} {
		if _, err := parseWitnessKey(bad); err == nil {
			t.Errorf("key %q is taken", bad)
		}
	}
}

func FuzzParseAddCheckpoint(f *testing.F) {
	f.Add([]byte("old 3\n" + tlog.Hash{}.String() + "\n\ntruc/VN/H36/test\n3\n" + tlog.Hash{}.String() + "\n\n\u2014 x AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAddCheckpoint(b)
		if err == nil && !bytes.Equal(a.Marshal(), b) {
			t.Errorf("read %q as %+v", b, a)
		}
		w := &Witness{LogKey: func(string) (string, bool) { return "", true }}
		if got, err := w.AddCheckpoint(t.Context(), b); err != nil || got.Status < 400 {
			t.Errorf("unsigned request: %d, %v", got.Status, err)
		}
	})
}

func FuzzCosignature(f *testing.F) {
	c, _ := NewCosigner("w", testKey(3))
	f.Add([]byte("o\n1\n" + tlog.Hash{}.String() + "\n\n" + c.Cosign("o\n1\n"+tlog.Hash{}.String()+"\n", time.Unix(5, 0))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := VerifyCosignature(b, c.VerifierKey()); err != nil {
			return
		}
		if !bytes.Contains(b, []byte("w ")) {
			t.Errorf("%q passes", b)
		}
	})
}
