package exchangestore

import (
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/access"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

func TestAccess(t *testing.T) {
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Module(t, "exchange", sub, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		s := &Store{DB: db}
		at := time.Date(2026, 11, 22, 1, 2, 3, 4000, time.UTC)
		group := access.Group{Code: "population/partners", Name: "Đối tác", Members: []string{"VN/GOV/H36/onestop", "VN/GOV/H57/onestop"}, ChangedAt: at, ChangedBy: "lan"}
		empty := access.Group{Code: "population/empty", Name: "Trống", ChangedAt: at, ChangedBy: "lan"}
		rule := access.Rule{Rule: exchange.Rule{
			Consumer: "group:population/partners", Service: "population/person", Methods: []string{"GET", "POST"}, Path: "/v1/*", Activities: []string{"a", "b"}, Basis: "Điều 1",
		}, Origin: access.Managed, ID: "r1", CreatedAt: at, CreatedBy: "lan"}
		kind := func(what string, err error, want errs.Kind) {
			t.Helper()
			if err == nil || errs.KindOf(err) != want {
				t.Errorf("%s: %v; want %v", what, err, want)
			}
		}
		kind("a rule for no group", s.AddAccessRule(ctx, &rule), errs.Conflict)
		for _, g := range []*access.Group{&group, &empty} {
			if err := s.SaveAccessGroup(ctx, g); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AddAccessRule(ctx, &rule); err != nil {
			t.Fatal(err)
		}
		again := rule
		again.ID = "r2"
		kind("the same rule again", s.AddAccessRule(ctx, &again), errs.Conflict)
		kind("removing a group in use", s.RemoveAccessGroup(ctx, group.Code), errs.Conflict)
		group.Members = []string{"VN/GOV/H57/onestop"}
		if err := s.SaveAccessGroup(ctx, &group); err != nil {
			t.Fatal(err)
		}
		groups, err := s.AccessGroups(ctx)
		if d := cmp.Diff([]access.Group{empty, group}, groups); err != nil || d != "" {
			t.Errorf("groups: %v (-want +got):\n%s", err, d)
		}
		rules, err := s.AccessRules(ctx)
		if d := cmp.Diff([]access.Rule{rule}, rules); err != nil || d != "" {
			t.Errorf("rules: %v (-want +got):\n%s", err, d)
		}
		n, err := s.AccessChanges(ctx)
		if err != nil || n != 4 { // refused changes are not counted
			t.Errorf("changes = %d, %v; want 4", n, err)
		}
		kind("removing no rule", s.RemoveAccessRule(ctx, "r2"), errs.NotFound)
		if err := s.RemoveAccessRule(ctx, "r1"); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveAccessGroup(ctx, group.Code); err != nil {
			t.Fatal(err)
		}
		kind("removing no group", s.RemoveAccessGroup(ctx, group.Code), errs.NotFound)
		if groups, err := s.AccessGroups(ctx); err != nil || len(groups) != 1 {
			t.Errorf("after removing: %v, %v", groups, err)
		}
	})
}
