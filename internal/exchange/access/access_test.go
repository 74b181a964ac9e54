package access_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/access"
	"truc/internal/exchange/exchangestore"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// process is a process of a node.
type process struct {
	*access.Service
	rules []exchange.Rule
}

type fixture struct {
	db       *storage.DB
	audited  []string
	auditErr error
	version  int64
	groups   map[string][]string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{db: storagetest.OpenSQLite(t), version: 1, groups: map[string][]string{"provinces": {"VN/GOV/H36/onestop"}}}
	sub, err := fs.Sub(exchangestore.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Migrate(t.Context(), f.db, "exchange", sub, time.Now()); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) start(t *testing.T) *process {
	t.Helper()
	p := &process{}
	p.Service = &access.Service{
		Store: &exchangestore.Store{DB: f.db}, Instance: "VN", Subsystems: func() []string { return []string{"population"} }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Config:   []exchange.Rule{{Consumer: "global:provinces", Service: "population/levels"}},
		SetRules: func(r []exchange.Rule) error { p.rules = r; return exchange.CheckRules(r) },
		Global:   func() (int64, map[string][]string) { return f.version, f.groups },
		Audit: func(_ context.Context, actor, action, object string) error {
			f.audited = append(f.audited, actor+" "+action+" "+object)
			return f.auditErr
		},
	}
	if err := p.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func lan(ctx context.Context) context.Context {
	return reqctx.WithPrincipal(ctx, reqctx.Principal{Kind: reqctx.Officer, ID: "lan"})
}

// in says what is in force: each rule with the members of its group.
func (p *process) in() string {
	var out []string
	for _, r := range p.rules {
		out = append(out, r.Consumer+">"+r.Service+"="+strings.Join(r.Members, ","))
	}
	return strings.Join(out, " ")
}

// X2, X5, X6: rules of the configuration, of published services and of operators hold together, groups mean their members
// of this moment, and another process of the node follows at its next look.
func TestRulesAreMergedAndFollowed(t *testing.T) {
	f := newFixture(t)
	a, b := f.start(t), f.start(t)
	ctx := lan(t.Context())
	if err := a.SaveGroup(ctx, access.Group{Code: "population/partners", Name: "Đối tác", Members: []string{"VN/GOV/H57/onestop", "VN/GOV/H57/onestop"}}); err != nil {
		t.Fatal(err)
	}
	id, err := a.AddRule(ctx, exchange.Rule{Consumer: "group:population/partners", Service: "population/person", Methods: []string{"GET"}, Path: "/v1/*"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetPublished([]exchange.Rule{{Consumer: "VN/GOV/H30/x", Service: "population/map"}}); err != nil {
		t.Fatal(err)
	}
	const config, managed = "global:provinces>population/levels=VN/GOV/H36/onestop", "group:population/partners>population/person=VN/GOV/H57/onestop"
	if want := config + " VN/GOV/H30/x>population/map= " + managed; a.in() != want {
		t.Errorf("in force: %s; want %s", a.in(), want)
	}
	look := func(want string) {
		t.Helper()
		if err := b.Sync(ctx); err != nil || b.in() != want {
			t.Errorf("the other process: %v, %s; want %s", err, b.in(), want)
		}
	}
	look(config + " " + managed)
	if err := a.SaveGroup(ctx, access.Group{Code: "population/partners", Name: "Đối tác"}); err != nil {
		t.Fatal(err)
	}
	look(config + " group:population/partners>population/person=")
	f.version, f.groups = 2, map[string][]string{"provinces": {}}
	look("global:provinces>population/levels= group:population/partners>population/person=")
	if err := a.RemoveGroup(ctx, "population/partners"); errs.KindOf(err) != errs.Conflict {
		t.Errorf("removing a group in use: %v", err)
	}
	if err := a.RemoveRule(ctx, id); err != nil {
		t.Fatal(err)
	}
	look("global:provinces>population/levels=")
	list, err := a.Rules(ctx)
	if err != nil || len(list) != 2 || list[0].Origin != access.Configured || list[1].Origin != access.Published {
		t.Errorf("list: %v, %v", list, err)
	}
	want := []string{
		"lan exchange.group.save population/partners: VN/GOV/H57/onestop", "lan exchange.rule.add group:population/partners → population/person GET /v1/*",
		"lan exchange.group.save population/partners:", "lan exchange.group.remove population/partners", "lan exchange.group.remove.failed population/partners",
		"lan exchange.rule.remove " + id,
	}
	for i := range f.audited {
		f.audited[i] = strings.TrimSpace(f.audited[i])
	}
	if !slices.Equal(f.audited, want) {
		t.Errorf("audited %q\nwant %q", f.audited, want)
	}
}

func TestNoChangeWithoutAudit(t *testing.T) {
	f := newFixture(t)
	p := f.start(t)
	ctx := lan(t.Context())
	id, err := p.AddRule(ctx, exchange.Rule{Consumer: "VN/GOV/*/onestop", Service: "population/person"})
	if err != nil {
		t.Fatal(err)
	}
	before := p.in()
	f.auditErr = errors.New("the audit log is full")
	_, err = p.AddRule(ctx, exchange.Rule{Consumer: "VN/GOV/H36/onestop", Service: "population/person"})
	for what, err := range map[string]error{
		"add": err, "remove": p.RemoveRule(ctx, id), "save": p.SaveGroup(ctx, access.Group{Code: "population/a", Name: "A"}), "remove group": p.RemoveGroup(ctx, "population/a"),
	} {
		if err == nil {
			t.Errorf("%s went on without audit", what)
		}
	}
	if groups, err := p.Groups(ctx); err != nil || len(groups) != 0 {
		t.Errorf("groups: %v, %v", groups, err)
	}
	if p.in() != before {
		t.Errorf("in force: %s; want %s", p.in(), before)
	}
}

func TestAddRuleRefuses(t *testing.T) {
	f := newFixture(t)
	p := f.start(t)
	good := exchange.Rule{Consumer: "VN/GOV/H36/onestop", Service: "population/person", Methods: []string{"GET"}, Path: "/v1/*", Activities: []string{"prefill"}, Basis: "Điều 1"}
	for _, tt := range []struct {
		edit  func(*exchange.Rule)
		field string
	}{
		{func(r *exchange.Rule) { r.Consumer = "" }, "consumer"},
		{func(r *exchange.Rule) { r.Consumer = "VN/GOV/H36" }, "consumer"},
		{func(r *exchange.Rule) { r.Consumer = "VN/GOV/H36/*" }, "consumer"},
		{func(r *exchange.Rule) { r.Consumer = "XX/GOV/H36/onestop" }, "consumer"},
		{func(r *exchange.Rule) { r.Consumer = "group:population/nobody" }, "consumer"},
		{func(r *exchange.Rule) { r.Consumer = "group:other/partners" }, "consumer"},
		{func(r *exchange.Rule) { r.Consumer = "global:nobody" }, "consumer"},
		{func(r *exchange.Rule) { r.Consumer = "global:../x" }, "consumer"},
		{func(r *exchange.Rule) { r.Service = "other/person" }, "service"},
		{func(r *exchange.Rule) { r.Service = "population" }, "service"},
		{func(r *exchange.Rule) { r.Service = "population/a/b" }, "service"},
		{func(r *exchange.Rule) { r.Methods = []string{"get"} }, "methods"},
		{func(r *exchange.Rule) { r.Path = "v1" }, "path"},
		{func(r *exchange.Rule) { r.Path = "/a?b" }, "path"},
		{func(r *exchange.Rule) { r.Path = "/a b" }, "path"},
		{func(r *exchange.Rule) { r.Activities = []string{"a b"} }, "activities"},
		{func(r *exchange.Rule) { r.Basis = strings.Repeat("ă", 501) }, "basis"},
		{func(r *exchange.Rule) { r.Basis = "\xff" }, "basis"},
	} {
		r := good
		tt.edit(&r)
		_, err := p.AddRule(lan(t.Context()), r)
		var faults access.Faults
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Field != tt.field || errs.KindOf(err) != errs.Invalid {
			t.Errorf("%+v: %v; want a fault of %s", r, err, tt.field)
		}
	}
	if len(f.audited) != 0 {
		t.Errorf("audited: %q", f.audited)
	}
	if _, err := p.AddRule(lan(t.Context()), good); err != nil {
		t.Fatal(err)
	}
	if _, err := p.AddRule(lan(t.Context()), good); errs.KindOf(err) != errs.Conflict {
		t.Errorf("the same rule again: %v", err)
	}
	for field, g := range map[string]access.Group{
		"code": {Code: "other/a", Name: "A"}, "name": {Code: "population/a"}, "members": {Code: "population/a", Name: "A", Members: []string{"VN/GOV/*/onestop"}},
	} {
		var faults access.Faults
		if err := p.SaveGroup(lan(t.Context()), g); !errors.As(err, &faults) || faults[0].Field != field {
			t.Errorf("%+v: %v; want a fault of %s", g, err, field)
		}
	}
}
