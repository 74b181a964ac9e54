package outbox_test

import (
	"io/fs"
	"testing"

	"truc/internal/outbox"
)

func mustSub(t *testing.T) fs.FS {
	t.Helper()
	sub, err := fs.Sub(outbox.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	return sub
}
