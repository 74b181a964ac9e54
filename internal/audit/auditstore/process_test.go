package auditstore

import (
	"crypto/ed25519"
	"io/fs"
	"sync"
	"testing"
	"time"

	"truc/internal/audit"
	"truc/internal/errs"
	"truc/internal/outbox"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/translog"
)

// process is one of several on a database, with a log of its own; they share the keys of the years.
type process struct {
	t    *testing.T
	name string
	db   *storage.DB
	dir  string
	keys string
	now  func() time.Time
	tlog *translog.Log
	log  *logFake
	*audit.Service
}

func (p *process) start() error {
	p.t.Helper()
	if p.tlog != nil {
		_ = p.tlog.Close()
	}
	var err error
	p.tlog, err = translog.Open(translog.Options{Dir: p.dir, Origin: "truc/" + p.name + "/audit", Key: ed25519.NewKeyFromSeed(make([]byte, 32)), Now: p.now, NoSync: true})
	if err != nil {
		p.t.Fatal(err)
	}
	p.log = &logFake{Log: p.tlog}
	p.Service = &audit.Service{Store: &Store{DB: p.db, Process: p.name}, Log: p.log, Keys: audit.FileKeys{Dir: p.keys}, Now: p.now}
	return p.Start(p.t.Context())
}

// Several processes on one database record in logs of their own: none takes the leaves of another for its own, after a
// crash neither, and those of before the processes had names stay with the log that has them.
func TestProcessesOnOneDatabase(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		for name, all := range map[string]fs.FS{"audit": Migrations, "outbox": outbox.Migrations} {
			sub, err := fs.Sub(all, "migrations")
			if err != nil {
				t.Fatal(err)
			}
			if err := storage.Migrate(t.Context(), db, name, sub, time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}
		keys, now := t.TempDir(), func() time.Time { return time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC) }
		one := &process{t: t, db: db, dir: t.TempDir(), keys: keys, now: now} // of a release that knew one process
		if err := one.start(); err != nil {
			t.Fatal(err)
		}
		record := func(p *process, dossiers ...string) {
			t.Helper()
			for _, d := range dossiers {
				if err := p.RecordAccess(t.Context(), access(anna, d)); err != nil {
					t.Fatal(err)
				}
			}
		}
		record(one, "old1", "old2", "old3")
		one.name = "VN/GOV/H36/node1"
		two := &process{t: t, name: "VN/GOV/H36/node2", db: db, dir: t.TempDir(), keys: keys, now: now}
		_ = one.tlog.Close()
		one.tlog = nil
		if err := two.start(); err != nil { // it comes first, and its empty log claims nothing
			t.Fatal(err)
		}
		record(two, "two1")
		if err := one.start(); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, p := range []*process{one, two} {
			for range 4 {
				wg.Go(func() {
					for range 5 {
						if err := p.RecordAccess(t.Context(), access(binh, p.name)); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		wg.Wait()
		// One fails between database and log; the other starts meanwhile and leaves alone what is not its own.
		two.log.set(func(l *logFake) { l.failAppend = true })
		if err := two.RecordAccess(t.Context(), access(anna, "crashed")); err == nil {
			t.Fatal("it was recorded without a log")
		}
		for _, p := range []*process{one, two, one, two} {
			if err := p.start(); err != nil {
				t.Fatalf("%s does not start: %v", p.name, err)
			}
			record(p, p.name)
		}
		wantLog(t, one, 3+20+2)
		wantLog(t, two, 1+20+1+2)
		receipts(t, one, two)
	})
}

// wantLog holds a log to a number of leaves, each there once.
func wantLog(t *testing.T, p *process, want int64) {
	t.Helper()
	seen := map[int64]bool{}
	for i := range p.tlog.Size() {
		b, err := p.tlog.Entry(i)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := audit.ParseLeaf(b)
		if err != nil || seen[leaf.Seq] {
			t.Errorf("%s: entry %d: %v, there twice: %v", p.name, i, err, seen[leaf.Seq])
		}
		seen[leaf.Seq] = true
	}
	if p.tlog.Size() != want {
		t.Errorf("the log of %s holds %d entries, want %d", p.name, p.tlog.Size(), want)
	}
}

// receipts asks each process for the receipt of each line: the one whose log has it gives it, the other says so.
func receipts(t *testing.T, one, two *process) {
	t.Helper()
	for _, subject := range []string{anna, binh} {
		lines, total, err := one.Usage(t.Context(), subject, time.Time{}, time.Time{}, 0, audit.MaxPage)
		if err != nil || total == 0 {
			t.Fatalf("%d lines, %v", total, err)
		}
		for _, l := range lines {
			given := 0
			for _, p := range []*process{one, two} {
				b, err := p.Receipt(t.Context(), subject, l.LineID)
				if err != nil {
					if key, _ := errs.KeyOf(err); key != "audit.other_process" {
						t.Errorf("%s of %s: %v", l.LineID, p.name, err)
					}
					continue
				}
				given++
				rep, err := audit.VerifyReceipt(b, audit.VerifyOptions{TrustedVKeys: []string{p.tlog.VerifierKey()}})
				if err != nil || !rep.KeyTrusted || len(rep.Lines) != 1 || rep.Lines[0].Dossier != l.Dossier {
					t.Errorf("the receipt of %s by %s: %+v, %v", l.LineID, p.name, rep, err)
				}
			}
			if given != 1 {
				t.Errorf("%d processes gave a receipt for line %s (%s)", given, l.LineID, l.Dossier)
			}
		}
	}
}
