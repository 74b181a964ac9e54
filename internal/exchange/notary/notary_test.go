package notary

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/pki"
	"truc/internal/sign"
	"truc/internal/translog"
)

// memory is a store in memory; exchangestore is tested against databases.
type memory struct {
	mu        sync.Mutex
	rows      map[int64]Row
	incidents []Incident
}

func (m *memory) SaveCheckpoint(_ context.Context, r Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.rows[r.Size]
	if old.Witnesses > r.Witnesses {
		r.Note, r.Witnesses = old.Note, old.Witnesses
	}
	if r.Token == nil {
		r.Token, r.Authority, r.StampedAt = old.Token, old.Authority, old.StampedAt
	}
	m.rows[r.Size] = r
	return nil
}

func (m *memory) find(newest bool, ok func(Row) bool) (Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var sizes []int64
	for s, r := range m.rows {
		if ok(r) {
			sizes = append(sizes, s)
		}
	}
	if len(sizes) == 0 {
		return Row{}, errs.E(errs.NotFound, "exchange.checkpoint_none", nil)
	}
	if newest {
		return m.rows[slices.Max(sizes)], nil
	}
	return m.rows[slices.Min(sizes)], nil
}

func (m *memory) Latest(context.Context, string) (Row, error) {
	return m.find(true, func(Row) bool { return true })
}

func (m *memory) LatestStamped(context.Context, string) (Row, error) {
	return m.find(true, func(r Row) bool { return r.Token != nil })
}

func (m *memory) StampedSince(_ context.Context, _, authority string, since time.Time) (out []time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rows {
		if r.Authority == authority && !r.StampedAt.Before(since) {
			out = append(out, r.StampedAt)
		}
	}
	return out, nil
}

func (m *memory) Covering(_ context.Context, _ string, i int64) (Row, error) {
	return m.find(false, func(r Row) bool { return r.Token != nil && r.Size > i })
}
func (m *memory) Thin(context.Context, string, time.Time) error { return nil }
func (m *memory) Report(_ context.Context, i Incident) error {
	m.incidents = append(m.incidents, i)
	return nil
}
func (m *memory) Incidents(context.Context) ([]Incident, error) { return m.incidents, nil }

// network is two witnesses and two authorities that can be away.
type network struct {
	witnesses map[string]*translog.Witness
	away      map[string]bool
}

type witnessMemory map[string]translog.Witnessed

func (m witnessMemory) Witnessed(_ context.Context, o string) (translog.Witnessed, error) {
	return m[o], nil
}

func (m witnessMemory) Advance(_ context.Context, o string, _, next translog.Witnessed) (bool, error) {
	m[o] = next
	return true, nil
}

func (n *network) AddCheckpoint(ctx context.Context, w WitnessPeer, body []byte) (translog.WitnessAnswer, error) {
	if n.away[w.Node] {
		return translog.WitnessAnswer{}, errors.New("connection refused")
	}
	return n.witnesses[w.Node].AddCheckpoint(ctx, body)
}

type switchable struct {
	sign.Timestamper
	n    *network
	name string
}

func (s switchable) Timestamp(ctx context.Context, digest []byte) ([]byte, error) {
	if s.n.away[s.name] {
		return nil, errs.E(errs.Unavailable, "sign.tsa_unavailable", nil)
	}
	return s.Timestamper.Timestamp(ctx, digest)
}

type fixture struct {
	*Notary
	net   *network
	log   *translog.Log
	store *memory
	clock *time.Time
	roots *x509.CertPool
	opt   translog.Options
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	clock := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	f := &fixture{clock: &clock, store: &memory{rows: map[int64]Row{}}, net: &network{witnesses: map[string]*translog.Witness{}, away: map[string]bool{}}}
	now := func() time.Time { return *f.clock }
	_, key, _ := ed25519.GenerateKey(nil)
	f.opt = translog.Options{Dir: t.TempDir(), Origin: "truc/VN/GOV/H36/node1/exchange", Key: key, Now: now, NoSync: true}
	var err error
	if f.log, err = translog.Open(f.opt); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.log.Close() })
	ca, err := pki.LoadOrCreateDocumentCA(t.TempDir(), "development", pki.DocumentSubject{Name: "test"}, clock)
	if err != nil {
		t.Fatal(err)
	}
	tsaKey, cert, err := ca.LoadOrIssue(t.TempDir(), "tsa", pki.TSAUse, pki.DocumentSubject{Name: "tsa"}, clock, 240*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	f.roots = x509.NewCertPool()
	f.roots.AddCert(ca.Cert())
	tsa := &sign.TSA{Identity: sign.Identity{Signer: tsaKey, Cert: cert}, Now: now}
	var peers []WitnessPeer
	for _, name := range []string{"w1", "w2", "w3"} {
		_, wk, _ := ed25519.GenerateKey(nil)
		c, err := translog.NewCosigner("truc/"+name, wk)
		if err != nil {
			t.Fatal(err)
		}
		f.net.witnesses[name] = &translog.Witness{Signer: c, Store: witnessMemory{}, Now: now, LogKey: func(string) (string, bool) { return f.log.VerifierKey(), true }}
		peers = append(peers, WitnessPeer{Node: name, Key: c.VerifierKey(), URL: "https://" + name})
	}
	f.Notary = &Notary{
		Log: f.log, Store: f.store, Want: 2, Witnesses: func() []WitnessPeer { return peers }, Courier: f.net, Now: now,
		Authorities: []Authority{{Name: "a1", Client: switchable{tsa, f.net, "a1"}}, {Name: "a2", Client: switchable{tsa, f.net, "a2"}}},
		Every:       time.Minute, Round: time.Second, Logger: slog.New(slog.DiscardHandler),
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// beside is another process with the same settings.
func (f *fixture) beside(log Log, store Store) *Notary {
	n := f.Notary
	return &Notary{Log: log, Store: store, Witnesses: n.Witnesses, Want: n.Want, Courier: n.Courier, Authorities: n.Authorities, Every: n.Every, Round: n.Round, Now: n.Now, Logger: n.Logger}
}

func (f *fixture) append(t *testing.T, text string) {
	t.Helper()
	if _, err := f.log.Append(t.Context(), []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) pass(d time.Duration) { *f.clock = f.clock.Add(d) }

func TestCosignAndStamp(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	if err := f.Cosign(ctx); err != nil || len(f.store.rows) != 0 {
		t.Fatalf("an empty log: %v, %d rows", err, len(f.store.rows))
	}
	f.append(t, "one")
	f.State()
	f.pass(10 * time.Second)
	if s := f.State(); s.Unwitnessed != 10*time.Second || s.Untimestamped != 10*time.Second {
		t.Errorf("state = %+v", s)
	}
	if err := f.Cosign(ctx); err != nil {
		t.Fatal(err)
	}
	if err := f.Stamp(ctx); err != nil {
		t.Fatal(err)
	}
	s := f.State()
	if s.WitnessedSize != 1 || s.StampedSize != 1 || s.Unwitnessed != 0 || s.Untimestamped != 0 || len(s.Failures) != 0 {
		t.Errorf("state = %+v", s)
	}
	row, err := f.Covering(ctx, 0)
	if err != nil || row.Size != 1 || row.Witnesses != 2 || row.Authority != "a1" || !row.StampedAt.Equal(*f.clock) {
		t.Fatalf("row = %+v, %v", row, err)
	}
	bare, err := translog.StripCosignatures(row.Note, f.log.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sign.VerifyTimestamp(row.Token, func(crypto.Hash) []byte { d := sha256.Sum256(bare); return d[:] }, f.roots, *f.clock); err != nil {
		t.Error(err)
	}
	for _, w := range f.Witnesses()[:2] {
		if _, err := translog.VerifyCosignature(row.Note, w.Key); err != nil {
			t.Error(err)
		}
	}
	// What is not covered yet is stamped on demand.
	f.append(t, "two")
	if row, err := f.Covering(ctx, 1); err != nil || row.Size != 2 || row.Witnesses != 2 {
		t.Errorf("on demand: %+v, %v", row, err)
	}
}

// The time-stamp authorities are away for a day: nothing stops, the backlog shows, and one token covers the whole day.
func TestAuthoritiesAwayForADay(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.append(t, "before")
	if err := f.Stamp(ctx); err != nil {
		t.Fatal(err)
	}
	f.net.away["a1"], f.net.away["a2"] = true, true
	for range 24 {
		f.append(t, "while away")
		if err := f.Stamp(ctx); !errs.Is(err, errs.Unavailable) {
			t.Fatalf("Stamp = %v, want Unavailable", err)
		}
		f.pass(time.Hour)
	}
	if s := f.State(); s.Untimestamped != 24*time.Hour || len(s.Failures) != 2 {
		t.Errorf("state = %+v", s)
	}
	if _, err := f.Covering(ctx, 5); !errs.Is(err, errs.NotFound) {
		t.Errorf("Covering = %v, want NotFound", err)
	}
	f.net.away["a2"] = false // the second of the list is back first
	if err := f.Stamp(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range f.log.Size() {
		row, err := f.Covering(ctx, i)
		if err != nil || i > 0 && (row.Size != 25 || row.Authority != "a2") {
			t.Errorf("entry %d: %+v, %v", i, row, err)
		}
	}
	if len(f.store.rows) > 25 {
		t.Errorf("%d rows", len(f.store.rows))
	}
	if s := f.State(); s.Untimestamped != 0 || s.Failures["a2"] != "" || s.Failures["a1"] == "" {
		t.Errorf("state = %+v", s)
	}
}

func TestWitnessesAway(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.net.away["w1"] = true
	f.append(t, "one")
	if err := f.Cosign(ctx); err != nil { // the third steps in
		t.Fatal(err)
	}
	if s := f.State(); s.WitnessedSize != 1 || s.Failures["w1"] == "" {
		t.Errorf("state = %+v", s)
	}
	f.net.away["w2"], f.net.away["w3"] = true, true
	f.append(t, "two")
	f.State()
	f.pass(time.Minute)
	if err := f.Cosign(ctx); err != nil {
		t.Fatal(err)
	}
	if s := f.State(); s.WitnessedSize != 1 || s.Unwitnessed != time.Minute {
		t.Errorf("state = %+v", s)
	}
	// A new process knows from the store how long it has been.
	again := f.beside(f.log, f.store)
	f.net.away = map[string]bool{}
	if err := again.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := again.Cosign(ctx); err != nil || again.State().WitnessedSize != 2 || len(f.store.incidents) != 0 {
		t.Errorf("after a restart: %v, %+v, %v", err, again.State(), f.store.incidents)
	}
}

func TestContradictionsAreIncidents(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int // of the log that was put in place of the witnessed one
		kind string
	}{{"put back to before", 2, Rollback}, {"another history of the same size", 3, Fork}, {"another history, longer", 5, Fork}} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			for range 3 {
				f.append(t, "true history")
			}
			if err := f.Cosign(t.Context()); err != nil {
				t.Fatal(err)
			}
			opt := f.opt
			opt.Dir = t.TempDir()
			other, err := translog.Open(opt)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			for range tt.size {
				if _, err := other.Append(t.Context(), []byte("another")); err != nil {
					t.Fatal(err)
				}
			}
			forged := f.beside(other, &memory{rows: map[int64]Row{}})
			if err := forged.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := forged.Cosign(t.Context()); err != nil {
				t.Fatal(err)
			}
			list, _ := forged.Store.Incidents(t.Context())
			// Two witnesses knew the log; the third cosigns what it is shown first, so two do not suffice.
			if len(list) != 2 || list[0].Kind != tt.kind || list[0].Peer != "w1" || forged.State().WitnessedSize != 0 {
				t.Errorf("incidents = %+v, state %+v", list, forged.State())
			}
			if !strings.HasPrefix(list[0].Detail, "the witness") {
				t.Errorf("detail = %q", list[0].Detail)
			}
		})
	}
}
