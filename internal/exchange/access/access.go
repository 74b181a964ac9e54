// Package access keeps the access rules and the local groups that operators manage while the node runs, and puts all rules
// of the node into force: those of the configuration, those that published services bring, and its own (spec D11, §3.2).
//
//	a := &access.Service{Store: store, Host: exchangeService, Config: cfg.Rules, Global: …, …}
//	err := a.Sync(ctx) // at the start and every second
//	err = a.AddRule(ctx, exchange.Rule{Consumer: "group:population/partners", Service: "population/person"})
package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/orgcode"
	"truc/internal/reqctx"
)

// Bounds of what operators may enter.
const (
	MaxRules   = 2000
	MaxGroups  = 500
	MaxMembers = 1000
	maxText    = 500
)

// Origin says where a rule comes from.
type Origin string

// Origins of rules; only managed ones can be removed here.
const (
	Configured Origin = "configuration"
	Published  Origin = "publication"
	Managed    Origin = "managed"
)

// Rule is a rule in force.
type Rule struct {
	exchange.Rule
	Origin Origin
	// ID, CreatedAt and CreatedBy are of managed rules.
	ID        string
	CreatedAt time.Time
	CreatedBy string
}

// Group is a local group: subsystems to which rules for the services of one subsystem may give rights together.
type Group struct {
	// Code is "population/partners": the subsystem whose services the group is for, and a name.
	Code string
	Name string
	// Members are subsystem identifiers, sorted.
	Members   []string
	ChangedAt time.Time
	ChangedBy string
}

// Store keeps managed rules and groups. Each change raises a count, so that other processes of the node see that there was
// one.
type Store interface {
	// AccessRules returns the managed rules, oldest first.
	AccessRules(ctx context.Context) ([]Rule, error)
	// AddAccessRule keeps a rule; Conflict when there is one for the same consumer, service, methods and path.
	AddAccessRule(ctx context.Context, r *Rule) error
	// RemoveAccessRule removes one; NotFound when there is none.
	RemoveAccessRule(ctx context.Context, id string) error
	// AccessGroups returns the groups with their members, sorted by code.
	AccessGroups(ctx context.Context) ([]Group, error)
	// SaveAccessGroup adds a group or replaces it.
	SaveAccessGroup(ctx context.Context, g *Group) error
	// RemoveAccessGroup removes one; NotFound when there is none, Conflict while a managed rule names it.
	RemoveAccessGroup(ctx context.Context, code string) error
	// AccessChanges is the count of changes.
	AccessChanges(ctx context.Context) (int64, error)
}

// Service manages rules. All fields are needed.
type Service struct {
	Store Store
	// Config are the rules of the configuration.
	Config []exchange.Rule
	// SetRules puts rules into force, from the next request on.
	SetRules func([]exchange.Rule) error
	// Global returns the version of the directory's document and the members of its groups by code.
	Global func() (version int64, groups map[string][]string)
	// Instance is "VN". Subsystems are the codes of the node's own systems, which rules may be about.
	Instance   string
	Subsystems func() []string
	// Audit records an act before it happens; when it fails, so does the act.
	Audit func(ctx context.Context, actor, action, object string) error
	Now   func() time.Time
	Log   *slog.Logger

	mu        sync.Mutex // guards all below and keeps changes in order
	published []exchange.Rule
	managed   []Rule
	groups    []Group
	loaded    bool
	changes   int64
	directory int64
}

// Sync puts into force what the store, the configuration, publications and the directory say, if anything changed. It is
// called at the start, after every act, and every second, because another process of this node may have acted.
func (s *Service) Sync(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.Store.AccessChanges(ctx)
	if err != nil {
		return err
	}
	version, global := s.Global()
	if s.loaded && n == s.changes && version == s.directory {
		return nil
	}
	if !s.loaded || n != s.changes {
		rules, err := s.Store.AccessRules(ctx)
		if err != nil {
			return err
		}
		groups, err := s.Store.AccessGroups(ctx)
		if err != nil {
			return err
		}
		s.managed, s.groups = rules, groups
	}
	if err := s.compile(ctx, global); err != nil {
		return err
	}
	s.loaded, s.changes, s.directory = true, n, version
	return nil
}

// SetPublished replaces the rules that published services bring.
func (s *Service) SetPublished(rules []exchange.Rule) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published = slices.Clone(rules)
	_, global := s.Global()
	return s.compile(context.Background(), global)
}

// compile puts the rules into force. A managed rule that cannot be read must not stop the others: it is left out, which
// refuses what it would allow.
func (s *Service) compile(ctx context.Context, global map[string][]string) error {
	members := make(map[string][]string, len(s.groups)+len(global))
	for _, g := range s.groups {
		members[exchange.LocalGroup+g.Code] = g.Members
	}
	for code, m := range global {
		members[exchange.GlobalGroup+code] = m
	}
	all := slices.Concat(s.Config, s.published)
	for _, r := range s.managed {
		if err := exchange.CheckRules([]exchange.Rule{r.Rule}); err != nil {
			s.Log.ErrorContext(ctx, "an access rule cannot be read and is left out", slog.String("rule", r.ID), slog.Any("error", err))
			continue
		}
		all = append(all, r.Rule)
	}
	for i := range all {
		all[i].Members = members[all[i].Consumer]
	}
	return s.SetRules(all)
}

// Rules lists all rules with where they come from: configuration, publications, then managed ones.
func (s *Service) Rules(ctx context.Context) ([]Rule, error) {
	if err := s.Sync(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Rule, 0, len(s.Config)+len(s.published)+len(s.managed))
	for _, r := range s.Config {
		out = append(out, Rule{Rule: r, Origin: Configured})
	}
	for _, r := range s.published {
		out = append(out, Rule{Rule: r, Origin: Published})
	}
	return append(out, s.managed...), nil
}

// Groups lists the local groups.
func (s *Service) Groups(ctx context.Context) ([]Group, error) { return s.Store.AccessGroups(ctx) }

// act records an act, does it and puts it into force; when it fails, that is recorded too.
func (s *Service) act(ctx context.Context, action, object string, do func() error) error {
	actor := reqctx.PrincipalOf(ctx).ID
	if actor == "" {
		actor = "system"
	}
	if err := s.Audit(ctx, actor, action, object); err != nil {
		return err
	}
	if err := do(); err != nil {
		return errors.Join(err, s.Audit(context.WithoutCancel(ctx), actor, action+".failed", object))
	}
	return s.Sync(ctx)
}

// Fault is what is wrong with one field of a rule or group; Key is its message.
type Fault struct{ Field, Key string }

// Faults are all of them. They are an error of kind Invalid.
type Faults []Fault

// Error implements error.
func (f Faults) Error() string {
	parts := make([]string, len(f))
	for i, x := range f {
		parts[i] = x.Field + ": " + x.Key
	}
	return strings.Join(parts, ", ")
}

// Unwrap returns the first as an [errs.Error].
func (f Faults) Unwrap() error {
	if len(f) == 0 {
		return nil
	}
	return errs.E(errs.Invalid, f[0].Key, nil)
}

var methods = []string{"*", http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodHead, http.MethodPatch, http.MethodTrace}

// segment is the form of codes (spec D1).
var segment = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// AddRule adds a managed rule; it holds from the next request on. Faults say what must be mended.
func (s *Service) AddRule(ctx context.Context, r exchange.Rule) (string, error) {
	r.Consumer, r.Service, r.Path, r.Basis = strings.TrimSpace(r.Consumer), strings.TrimSpace(r.Service), strings.TrimSpace(r.Path), strings.TrimSpace(r.Basis)
	if r.Path == "" {
		r.Path = "**"
	}
	if slices.Contains(r.Methods, "*") {
		r.Methods = nil
	}
	slices.Sort(r.Methods)
	r.Methods = slices.Compact(r.Methods)
	if err := s.checkRule(ctx, r); err != nil {
		return "", err
	}
	rule := Rule{Rule: r, Origin: Managed, ID: strings.ToLower(rand.Text()), CreatedAt: s.Now(), CreatedBy: reqctx.PrincipalOf(ctx).ID}
	rule.Members = nil
	object := strings.TrimSpace(fmt.Sprintf("%s → %s %s %s %s", r.Consumer, r.Service, strings.Join(r.Methods, ","), r.Path, strings.Join(r.Activities, ",")))
	err := s.act(ctx, "exchange.rule.add", object, func() error { return s.Store.AddAccessRule(ctx, &rule) })
	return rule.ID, err
}

func (s *Service) checkRule(ctx context.Context, r exchange.Rule) error {
	var f Faults
	const key = "exchange.access.fault."
	own, _, ok := strings.Cut(r.Service, "/")
	service := ok && strings.Count(r.Service, "/") == 1 && segment.MatchString(own) && segment.MatchString(r.Service[len(own)+1:]) && slices.Contains(s.Subsystems(), own)
	if !service {
		f = append(f, Fault{"service", key + "service"})
	}
	switch code, local := strings.CutPrefix(r.Consumer, exchange.LocalGroup); {
	case len(r.Consumer) > 300 || exchange.CheckRules([]exchange.Rule{{Consumer: r.Consumer, Service: or(service, r.Service, "a/b")}}) != nil:
		f = append(f, Fault{"consumer", key + "consumer"})
	case local:
		groups, err := s.Store.AccessGroups(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(groups, func(g Group) bool { return g.Code == code }) {
			f = append(f, Fault{"consumer", key + "group_unknown"})
		}
	case strings.HasPrefix(r.Consumer, exchange.GlobalGroup):
		if _, groups := s.Global(); groups[strings.TrimPrefix(r.Consumer, exchange.GlobalGroup)] == nil {
			f = append(f, Fault{"consumer", key + "group_unknown"})
		}
	case !strings.HasPrefix(r.Consumer, s.Instance+"/"):
		f = append(f, Fault{"consumer", key + "consumer"})
	}
	if slices.ContainsFunc(r.Methods, func(m string) bool { return !slices.Contains(methods, m) }) {
		f = append(f, Fault{"methods", key + "methods"})
	}
	if len(r.Path) > 1000 || r.Path != "**" && !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, "?# \t\r\n") ||
		exchange.CheckRules([]exchange.Rule{{Consumer: s.Instance + "/*/*/a", Service: "a/b", Path: r.Path}}) != nil {
		f = append(f, Fault{"path", key + "path"})
	}
	if len(r.Activities) > 50 || slices.ContainsFunc(r.Activities, func(a string) bool { return !segment.MatchString(a) }) {
		f = append(f, Fault{"activities", key + "activities"})
	}
	if !text(r.Basis) {
		f = append(f, Fault{"basis", key + "basis"})
	}
	if len(f) > 0 {
		return f
	}
	rules, err := s.Store.AccessRules(ctx)
	if err == nil && len(rules) >= MaxRules {
		return errs.E(errs.Conflict, "exchange.access.too_many", nil)
	}
	return err
}

func or(ok bool, a, b string) string {
	if ok {
		return a
	}
	return b
}

func text(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxText && !strings.ContainsRune(s, 0)
}

// RemoveRule takes a managed rule away; who called by it is refused from the next request on.
func (s *Service) RemoveRule(ctx context.Context, id string) error {
	if len(id) > 64 {
		return errs.E(errs.NotFound, "exchange.access.rule_unknown", nil)
	}
	return s.act(ctx, "exchange.rule.remove", id, func() error { return s.Store.RemoveAccessRule(ctx, id) })
}

// SaveGroup adds a local group or replaces it; rules that name it mean the new members from the next request on.
func (s *Service) SaveGroup(ctx context.Context, g Group) error {
	const key = "exchange.access.fault."
	var f Faults
	g.Code, g.Name = strings.TrimSpace(g.Code), strings.TrimSpace(g.Name)
	own, name, _ := strings.Cut(g.Code, "/")
	if !slices.Contains(s.Subsystems(), own) || !segment.MatchString(name) {
		f = append(f, Fault{"code", key + "code"})
	}
	if g.Name == "" || !text(g.Name) {
		f = append(f, Fault{"name", key + "name"})
	}
	g.Members = slices.Clone(g.Members)
	slices.Sort(g.Members)
	g.Members = slices.Compact(g.Members)
	if len(g.Members) > MaxMembers || slices.ContainsFunc(g.Members, func(m string) bool {
		sub, err := orgcode.ParseSubsystem(m)
		return err != nil || sub.Instance != s.Instance
	}) {
		f = append(f, Fault{"members", key + "members"})
	}
	if len(f) > 0 {
		return f
	}
	groups, err := s.Store.AccessGroups(ctx)
	if err != nil {
		return err
	}
	if len(groups) >= MaxGroups && !slices.ContainsFunc(groups, func(x Group) bool { return x.Code == g.Code }) {
		return errs.E(errs.Conflict, "exchange.access.too_many", nil)
	}
	g.ChangedAt, g.ChangedBy = s.Now(), reqctx.PrincipalOf(ctx).ID
	return s.act(ctx, "exchange.group.save", g.Code+": "+strings.Join(g.Members, " "), func() error { return s.Store.SaveAccessGroup(ctx, &g) })
}

// RemoveGroup removes a local group that no managed rule names.
func (s *Service) RemoveGroup(ctx context.Context, code string) error {
	if len(code) > 129 {
		return errs.E(errs.NotFound, "exchange.access.group_unknown", nil)
	}
	return s.act(ctx, "exchange.group.remove", code, func() error { return s.Store.RemoveAccessGroup(ctx, code) })
}
