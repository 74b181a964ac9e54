package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"truc/cmd/truc/internal/demo"
	"truc/internal/storage"
)

// TestStory runs what `truc demo -once` runs: the whole main job through the interfaces of people and nodes.
func TestStory(t *testing.T) {
	noFaults(t, shared.get(t))
}

// TestPostgres runs the story on the other engine, each node with a database of its own.
func TestPostgres(t *testing.T) {
	server := os.Getenv("TRUC_TEST_POSTGRES")
	if server == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("TRUC_TEST_POSTGRES is not set: both engines are production engines")
		}
		t.Skip("TRUC_TEST_POSTGRES is not set")
	}
	if testing.Short() {
		t.Skip("starts a network")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dropDatabases(t, server)
	t.Cleanup(func() { dropDatabases(t, server) })
	var out safeBuffer
	n, err := startNetwork(demo.Options{Dir: t.TempDir(), BasePort: portsPostgres, DB: server, DBPrefix: databasePrefix}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	defer n.Stop()
	tale, err := tell(ctx, n, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	noFaults(t, n)
	n.Stop()
	checkLedgers(t, n, tale)
}

// databasePrefix keeps the databases of the test apart from those of a demonstration that runs on the same server.
const databasePrefix = "truc_system_test_"

// dropDatabases removes the databases of the test.
func dropDatabases(t *testing.T, server string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	db, err := storage.Open(ctx, server, storage.Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, id := range []string{"G22", "G01", "G15", "H36", "H57"} {
		if _, err := db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+databasePrefix+strings.ToLower(id)+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	}
}
