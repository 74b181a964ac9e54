package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"truc/cmd/truc/internal/demo"
	"truc/internal/documents/axis"
	"truc/internal/documents/axisstore"
	"truc/internal/storage"
)

// TestDocumentsBetweenProvinceAndVXP plays both ways: a system of the VXP protocol and a province with a desk send each other
// documents over the axis, and statuses and receipts come back.
func TestDocumentsBetweenProvinceAndVXP(t *testing.T) {
	documentStory(t, portsDocuments, nil)
}

// TestKillDuringDocuments kills the axis or a desk in each step, before, during and after: nothing is lost or doubled.
func TestKillDuringDocuments(t *testing.T) {
	nodes, phases := []string{"G22", "H36"}, []string{"during", "before", "after"}
	documentStory(t, portsDocumentsKill, func(step int) []strike {
		return []strike{
			{nodes[step%2], phases[step%3], 20 * time.Millisecond}, {nodes[(step+1)%2], "during", 150 * time.Millisecond},
		}
	})
}

func documentStory(t *testing.T, ports int, schedule func(step int) []strike) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a network")
	}
	var out safeBuffer
	n, err := startNetwork(demo.Options{Dir: t.TempDir(), BasePort: ports, People: 1000}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	defer n.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	tale, err := n.DocumentTale(&out)
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range tale.Steps {
		var strikes []strike
		if schedule != nil {
			strikes = schedule(i)
		}
		var timers []*time.Timer
		for _, s := range strikes {
			switch s.phase {
			case "before":
				err = n.Kill(s.node)
			case "during":
				timers = append(timers, time.AfterFunc(s.delay, func() { _ = n.Kill(s.node) }))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		begin := time.Now()
		first, err := insist(ctx, n, step)
		for _, timer := range timers {
			timer.Stop()
		}
		if err != nil {
			t.Fatalf("step %d, %s, %v: %v (at first: %v)\n%s", i+1, step.About, strikes, err, first, out.String())
		}
		for _, s := range strikes {
			if s.phase == "after" {
				if err := n.Kill(s.node); err != nil {
					t.Error(err)
				}
			}
		}
		t.Logf("%4.1f s  %v  %s; first answer: %v", time.Since(begin).Seconds(), strikes, step.About, first)
	}
	if err := n.Await(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Settled(ctx); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if schedule == nil {
		documentsByCommand(t, n)
	}
	n.Stop()
	checkAxis(t, n)
}

// documentsByCommand asks the desk of Lâm Đồng by `truc documents`.
func documentsByCommand(t *testing.T, n *demo.Network) {
	t.Helper()
	ask := func(args ...string) (string, error) {
		var out, errOut bytes.Buffer
		s := streams{out: &out, err: &errOut, getenv: func(string) string { return "" }}
		err := documentsCommand(t.Context(), s, append(args, "-config", filepath.Join(n.Dir("H36"), "truc.toml")))
		return out.String(), err
	}
	list, err := ask("list", "-out", "-as", "h36.vanthu", "-words", "phoi hop lien thong")
	if err != nil || strings.Count(list, "\n") != 1 || !strings.Contains(list, "/UBND-VP") {
		t.Fatalf("list: %v\n%s", err, list)
	}
	id := strings.Fields(list)[0]
	status, err := ask("status", id, "-as", "h36.vanthu")
	if err != nil || !strings.Contains(status, "G98") || !strings.Contains(status, "H57") || strings.Count(status, "receipt ") < 4 {
		t.Errorf("status: %v\n%s", err, status)
	}
	file := filepath.Join(t.TempDir(), "a.pdf")
	if _, err := ask("get", id, "-as", "h36.vanthu", "-o", file); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(b, []byte("%PDF-")) {
		t.Errorf("get: %v, %d bytes", err, len(b))
	}
	if _, err := ask("send", id, "-as", "h36.vanthu"); err == nil {
		t.Error("a document that was sent is sent again")
	}
	if _, err := ask("list", "-as", "h57.vanthu"); err == nil {
		t.Error("an officer of another agency is served")
	}
}

// insist is [patiently] for a schedule that may also strike while somebody waits for the nodes.
func insist(ctx context.Context, n *demo.Network, step demo.Step) (first, err error) {
	for range 6 {
		if err = step.Run(ctx); err == nil {
			return first, nil
		}
		if first == nil {
			first = err
		}
		for n.Await(ctx) != nil && ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond)
		}
	}
	return first, err
}

// checkAxis holds the databases against what was done: two documents, four copies, each shown once and all handed over; the
// journal's chain is whole and each hand-over has its receipt.
func checkAxis(t *testing.T, n *demo.Network) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	count := func(node, query string) (v int64) {
		db, err := storage.Open(ctx, n.DB(node), storage.Options{Readers: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRowContext(ctx, query).Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		node, about, query string
		want               int64
	}{
		{"G22", "documents at the axis", `SELECT COUNT(*) FROM axis_message WHERE kind = 'edoc'`, 2},
		{"G22", "their copies", `SELECT COUNT(*) FROM axis_copy WHERE kind = 'edoc'`, 4},
		{"G22", "copies that are not done", `SELECT COUNT(*) FROM axis_copy WHERE state <> 'done' AND party LIKE 'node:%'`, 0},
		{"G22", "receipts for accepted documents", `SELECT COUNT(*) FROM receipt_issued WHERE kind = 'edoc' AND event = 'accepted'`, 2},
		{"G22", "receipts for delivered documents", `SELECT COUNT(*) FROM receipt_issued WHERE kind = 'edoc' AND event = 'delivered'`, 4},
		{"H36", "documents that came to Lâm Đồng", `SELECT COUNT(*) FROM documents_document WHERE direction = 'in'`, 1},
		{"H36", "documents that left Lâm Đồng", `SELECT COUNT(*) FROM documents_document WHERE direction = 'out'`, 1},
		{"H57", "documents that came to Huế", `SELECT COUNT(*) FROM documents_document WHERE direction = 'in'`, 1},
	} {
		if got := count(c.node, c.query); got != c.want {
			t.Errorf("%s: %d; want %d", c.about, got, c.want)
		}
	}
	db, err := storage.Open(ctx, n.DB("G22"), storage.Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	hub := &axis.Hub{Store: &axisstore.Store{DB: db}, Now: time.Now}
	if _, err := hub.VerifyJournal(ctx, axis.Mark{}); err != nil {
		t.Error(err)
	}
}
