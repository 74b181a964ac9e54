package auditstore

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/audit"
	"truc/internal/outbox"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/translog"
)

const (
	anna = "099204000123"
	binh = "099180000456"
	chi  = "099199000789"
)

var errRefused = errors.New("the disk refuses")

// node is one node's audit: a database, a log and keys that outlive the service.
type node struct {
	t    testing.TB
	db   *storage.DB
	dir  string
	mu   sync.Mutex
	now  time.Time
	tlog *translog.Log
	log  *logFake
	st   *storeFake
	*audit.Service
}

func each(t *testing.T, f func(t *testing.T, n *node)) {
	t.Helper()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) { f(t, newNode(t, db)) })
}

func newNode(t testing.TB, db *storage.DB) *node {
	t.Helper()
	for name, all := range map[string]fs.FS{"audit": Migrations, "outbox": outbox.Migrations} {
		sub, err := fs.Sub(all, "migrations")
		if err != nil {
			t.Fatal(err)
		}
		if err := storage.Migrate(context.Background(), db, name, sub, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	n := &node{t: t, db: db, dir: t.TempDir(), now: time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)}
	n.restart()
	t.Cleanup(func() { _ = n.tlog.Close() })
	return n
}

// restart is a process that ends without tidying up and begins again.
func (n *node) restart() {
	n.t.Helper()
	if n.tlog != nil {
		_ = n.tlog.Close()
	}
	var err error
	n.tlog, err = translog.Open(translog.Options{
		Dir: n.dir + "/log", Origin: "truc/VN/G01/audit", Key: ed25519.NewKeyFromSeed(make([]byte, 32)), Now: n.time, NoSync: true,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.log = &logFake{Log: n.tlog}
	n.st = &storeFake{Store: &Store{DB: n.db}}
	n.Service = &audit.Service{Store: n.st, Log: n.log, Keys: audit.FileKeys{Dir: n.dir + "/keys"}, Now: n.time}
}

// time is a clock that moves by a second with each look.
func (n *node) time() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = n.now.Add(time.Second)
	return n.now
}

func access(subject, dossier string) audit.Access {
	return audit.Access{
		SubjectID: subject, Agency: "H36", AgencyName: "UBND tỉnh Lâm Đồng", Subsystem: "VN/GOV/H36/onestop", Register: "population",
		Activity: "prefill", Purpose: "registers.purpose.prefill", LegalBasis: "Điều 15", Dossier: dossier, Fields: []string{"name"},
		Kind: audit.Query, ExchangeID: "x-" + dossier, RequestID: "r-" + dossier,
	}
}

func (n *node) record(accesses ...audit.Access) {
	n.t.Helper()
	if err := n.RecordAccess(context.Background(), accesses...); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) dossiers(subject string) string {
	n.t.Helper()
	lines, total, err := n.Usage(context.Background(), subject, time.Time{}, time.Time{}, 0, audit.MaxPage)
	if err != nil || total != len(lines) {
		n.t.Fatalf("Usage: %d lines, total %d, %v", len(lines), total, err)
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.Dossier
	}
	return strings.Join(out, " ")
}

// check verifies the promise of the module: every line is in the log once, its receipt verifies, and each
// person's chain is whole.
func (n *node) check(subjects ...string) {
	n.t.Helper()
	ctx := context.Background()
	lastHash := map[[16]byte][32]byte{}
	leaves := map[int64]bool{}
	for i := range n.tlog.Size() {
		b, err := n.tlog.Entry(i)
		if err != nil {
			n.t.Fatal(err)
		}
		l, err := audit.ParseLeaf(b)
		if err != nil {
			n.t.Fatalf("entry %d: %v", i, err)
		}
		if leaves[l.Seq] {
			n.t.Errorf("leaf %d is in the log twice", l.Seq)
		}
		leaves[l.Seq] = true
		if l.Tag == ([16]byte{}) {
			continue
		}
		if l.Prev != lastHash[l.Tag] {
			n.t.Errorf("the chain of leaf %d at %d is broken", l.Seq, i)
		}
		lastHash[l.Tag] = l.Hash()
	}
	for _, subject := range subjects {
		lines, _, err := n.Usage(ctx, subject, time.Time{}, time.Time{}, 0, audit.MaxPage)
		if err != nil {
			n.t.Fatal(err)
		}
		for _, l := range lines {
			zip, err := n.Receipt(ctx, subject, l.LineID)
			if err != nil {
				n.t.Fatalf("receipt of line %s: %v", l.LineID, err)
			}
			rep, err := audit.VerifyReceipt(zip, audit.VerifyOptions{TrustedVKeys: []string{n.tlog.VerifierKey()}})
			if err != nil || !rep.KeyTrusted || len(rep.Lines) != 1 || rep.Lines[0].Dossier != l.Dossier || rep.Lines[0].Index != l.LogIndex {
				n.t.Errorf("receipt of line %s: %+v, %v", l.LineID, rep, err)
			}
		}
	}
}

// logFake refuses on demand.
type logFake struct {
	*translog.Log
	mu                         sync.Mutex
	failAppend, failWait, hang bool
}

func (l *logFake) set(f func(l *logFake)) { l.mu.Lock(); defer l.mu.Unlock(); f(l) }

func (l *logFake) AppendNoWait(entries ...[]byte) (int64, func(context.Context) error, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failAppend {
		return 0, nil, errRefused
	}
	i, wait, err := l.Log.AppendNoWait(entries...)
	if l.failWait && err == nil {
		return i, func(context.Context) error { return errRefused }, nil
	}
	if l.hang && err == nil {
		return i, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, nil
	}
	return i, wait, err
}

// storeFake refuses on demand, before the transaction or after it.
type storeFake struct {
	*Store
	mu                    sync.Mutex
	failBefore, failAfter bool
}

func (s *storeFake) set(f func(s *storeFake)) { s.mu.Lock(); defer s.mu.Unlock(); f(s) }

func (s *storeFake) Write(ctx context.Context, f func(w audit.Writer) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failBefore {
		return errRefused
	}
	err := s.Store.Write(ctx, f)
	if err == nil && s.failAfter {
		return errRefused // committed, but the answer was lost
	}
	return err
}
