package exchangestore

import (
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/agreement"
	"truc/internal/outbox"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

func TestAgreements(t *testing.T) {
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	queue, err := fs.Sub(outbox.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Module(t, "exchange", sub, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
		if err := storage.Migrate(ctx, db, "outbox", queue, now); err != nil {
			t.Fatal(err)
		}
		woken := 0
		s := &AgreementStore{DB: db, Now: func() time.Time { return now }, Wake: func() { woken++ }}
		open := func(iv, service string) *agreement.Agreement {
			d := agreement.Document{IV: iv, Instance: "VN", Grants: []agreement.Grant{{Type: agreement.Publish, Service: agreement.Service{ID: service}}}}
			raw, err := d.Encode()
			if err != nil {
				t.Fatal(err)
			}
			a, err := agreement.Open(raw, "VN/GOV/G22")
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		a := open("1", "VN/GOV/G01/population/person")
		st := agreement.Statement{Type: agreement.Accept, Content: a.Content, Member: "VN/GOV/G01", SignedAt: 7, Signature: "x"}
		to := []exchange.AgreementDelivery{{ID: "d1", Content: a.Content, Member: "VN/GOV/G22"}}
		for range 2 { // what is there already is no fault
			if err := s.SaveAgreement(ctx, a, []agreement.Statement{st}, to); err != nil {
				t.Fatal(err)
			}
		}
		v1, err := s.AgreementVersion(ctx)
		if err != nil || v1 == 0 || woken != 2 {
			t.Fatalf("version %d, woken %d, %v", v1, woken, err)
		}
		again := st
		again.Signature = "y" // the first of a kind counts
		second := agreement.Statement{Type: agreement.Revoke, Content: a.Content, Member: "VN/GOV/G22", SignedAt: 9}
		if err := s.SaveAgreement(ctx, a, []agreement.Statement{again, second}, nil); err != nil {
			t.Fatal(err)
		}
		got, err := s.Agreement(ctx, a.Content)
		if err != nil {
			t.Fatal(err)
		}
		want := *a
		want.Statements = []agreement.Statement{st, second}
		if d := cmp.Diff(&want, got); d != "" {
			t.Errorf("agreement (-want +got):\n%s", d)
		}
		if v2, err := s.AgreementVersion(ctx); err != nil || v2 <= v1 {
			t.Errorf("version %d after %d, %v", v2, v1, err)
		}
		b := open("2", "VN/GOV/G01/population/usage")
		if err := s.SaveAgreement(ctx, b, nil, nil); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Agreements(ctx); err != nil || len(list) != 2 || list[0].Content != b.Content || len(list[1].Statements) != 2 {
			t.Errorf("Agreements = %+v, %v", list, err)
		}
		if err := s.SaveAgreement(ctx, open("2", "VN/GOV/G01/population/other"), nil, nil); !errs.Is(err, errs.Conflict) {
			t.Errorf("AGR-SUBMIT-12 an iv used twice: %v", err)
		}
		if _, err := s.Agreement(ctx, "sha-256:none"); !errs.Is(err, errs.NotFound) {
			t.Errorf("an unknown agreement: %v", err)
		}
		if look, err := outbox.Look(ctx, db); err != nil || look.Waiting != 1 {
			t.Errorf("outbox = %+v, %v", look, err)
		}
	})
}
