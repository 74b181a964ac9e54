package exchangestore

import (
	"io/fs"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// TestOperators follows a key from its making to its end.
func TestOperators(t *testing.T) {
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Module(t, "exchange", sub, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		now := time.Date(2026, 11, 22, 9, 0, 0, 5000, time.UTC)
		ops := &exchange.Operators{Store: &Store{DB: db}, Now: func() time.Time { return now }}
		for _, bad := range []struct {
			label string
			roles []string
		}{{" ", []string{"system"}}, {"ci", nil}, {"ci", []string{"root"}}} {
			if _, _, err := ops.Create(ctx, "an", bad.label, bad.roles); !errs.Is(err, errs.Invalid) {
				t.Errorf("Create(%q, %q) = %v; want invalid", bad.label, bad.roles, err)
			}
		}
		secret, k, err := ops.Create(ctx, "an", "giám sát", []string{"system", "observer", "system"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ops.Find(ctx, secret)
		if err != nil || got.ID != k.ID || len(got.Roles) != 2 || !got.CreatedAt.Equal(now) || got.CreatedBy != "an" {
			t.Errorf("Find = %+v, %v; want %+v", got, err, k)
		}
		for _, wrong := range []string{"", "truc_operator_", secret[:len(secret)-1], "truc_key_" + secret} {
			if _, err := ops.Find(ctx, wrong); !errs.Is(err, errs.Unauthenticated) {
				t.Errorf("Find of a wrong secret = %v; want unauthenticated", err)
			}
		}
		if err := ops.Revoke(ctx, k.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := ops.Find(ctx, secret); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("Find of a revoked key = %v; want unauthenticated", err)
		}
		if err := ops.Revoke(ctx, k.ID); !errs.Is(err, errs.NotFound) {
			t.Errorf("Revoke twice = %v; want not found", err)
		}
		if list, err := ops.List(ctx); err != nil || len(list) != 1 || !list[0].RevokedAt.Equal(now) {
			t.Errorf("List = %+v, %v; want the one, revoked", list, err)
		}
	})
}
