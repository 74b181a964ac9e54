package axisstore_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/blobs"
	"truc/internal/documents/axis"
	"truc/internal/documents/axisstore"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// childDSN names the database in the child, whose working folder holds the payloads.
const childDSN = "TRUC_TEST_AXIS_CHILD"

// TestKilledHub starts a child that takes documents from many clients at once and prints each DocID that it answered with,
// kills it with SIGKILL in the middle, and wants every one of them whole, and nothing else half there; three times over.
func TestKilledHub(t *testing.T) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		child(t, dsn)
		return
	}
	for engine, dsn := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { t.Helper(); return "sqlite:" + t.TempDir() + "/node.db" },
		"postgres": func(t *testing.T) string { t.Helper(); return storagetest.PostgresURL(t) },
	} {
		t.Run(engine, func(t *testing.T) { kill(t, dsn(t)) })
	}
}

func kill(t *testing.T, dsn string) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(t.Context(), dsn, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	migrate(t, db)
	newCenter(t, db) // the agencies
	dir, answered := t.TempDir(), map[string]string{}
	for round := range 3 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKilledHub$")
		cmd.Env, cmd.Dir, cmd.Stderr = append(os.Environ(), childDSN+"="+dsn), dir, os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			docID, sha, ok := strings.Cut(lines.Text(), " ")
			if !ok || !blobs.ValidName(sha) {
				t.Fatalf("child said %q", lines.Text())
			}
			answered[docID] = sha
			if n == 20+15*round {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if db, err = storage.Open(t.Context(), dsn, storage.Options{}); err != nil {
			t.Fatal(err)
		}
		whole(t, db, dir, answered)
	}
	if len(answered) < 60 {
		t.Errorf("only %d were answered", len(answered))
	}
	_ = db.Close()
}

// whole checks what a killed hub left.
func whole(t *testing.T, db *storage.DB, dir string, answered map[string]string) {
	t.Helper()
	store, err := blobs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	hub := &axis.Hub{Store: &axisstore.Store{DB: db}, Blobs: store, Now: time.Now}
	if _, err := hub.VerifyJournal(t.Context(), axis.Mark{}); err != nil {
		t.Fatal(err)
	}
	copies := map[string]int{}
	for skip := 0; ; skip += 1000 {
		rows, err := hub.Sent(t.Context(), province, axis.SentQuery{Kind: axis.Document, Limit: 1000, Skip: skip})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			copies[r.Message]++
			if n, ok := store.Has(r.Payload.SHA256); !ok || n != r.Payload.Size {
				t.Fatalf("the payload of %s is not there", r.Message)
			}
		}
		if len(rows) < 1000 {
			break
		}
	}
	for id, n := range copies {
		if n != 2 {
			t.Errorf("%s has %d copies; want 2", id, n)
		}
	}
	for id, sha := range answered {
		m, err := hub.Store.Message(t.Context(), id)
		if err != nil || m.Payload.SHA256 != sha || copies[id] != 2 {
			t.Fatalf("%s was answered and is lost: %+v, %d copies, %v", id, m, copies[id], err)
		}
	}
	var messages, entries int
	for query, n := range map[string]*int{
		`SELECT COUNT(*) FROM axis_message`:                          &messages,
		`SELECT COUNT(*) FROM axis_journal WHERE event = 'accepted'`: &entries,
	} {
		if err := db.QueryRowContext(t.Context(), query).Scan(n); err != nil {
			t.Fatal(err)
		}
	}
	if messages != len(copies) || messages != entries {
		t.Errorf("%d messages, %d with copies, %d in the journal", messages, len(copies), entries)
	}
}

func child(t *testing.T, dsn string) {
	ctx := context.Background()
	db, err := storage.Open(ctx, dsn, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := blobs.Open(".")
	if err != nil {
		t.Fatal(err)
	}
	ports := &center{}
	hub := &axis.Hub{
		Store: &axisstore.Store{DB: db}, Blobs: store, Carrier: ports, Issuer: ports, Audit: ports, Secrecy: axis.DefaultSecrecy(), Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 10_000 {
				payload, err := store.Put(bytes.NewReader(write(t, letter(fmt.Sprintf("%d-%d-%d", os.Getpid()%100_000, w, i), "G98", "H36"))))
				if err != nil {
					return
				}
				a, err := hub.Submit(ctx, axis.Submission{Party: province, Kind: axis.Document, Payload: payload})
				if err != nil {
					return
				}
				out.Lock()
				fmt.Println(a.DocID, payload.SHA256)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}
