package publication

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/openapi"
	"truc/internal/i18n"
	"truc/internal/reqctx"
)

// Service publishes. All fields are needed unless said otherwise.
type Service struct {
	Store  Store
	Drafts Drafts
	Host   Host
	// Member is "VN/GOV/G05".
	Member string
	// SetRules replaces the rules that published services bring; they hold from the next request on.
	SetRules func([]exchange.Rule) error
	// Announce tells the directory that the list of services has changed; it must not wait for the center.
	Announce func()
	// Audit records an act before it happens; when it fails, so does the act.
	Audit func(ctx context.Context, actor, action, object string) error
	// Identity is the node's certificate for back ends that ask for one; nil when there is none.
	Identity func() (*tls.Certificate, error)
	Fetcher  *Fetcher
	Now      func() time.Time
	Log      *slog.Logger

	// roots replaces the operating system's authorities in tests.
	roots *x509.CertPool

	mu      sync.Mutex // guards all below and keeps changes in order
	changes int64
	running map[string]*running
}

// running is a service as it is offered now.
type running struct {
	Published
	proxy *proxy
}

func notFound() error { return errs.E(errs.NotFound, "exchange.publish.unknown", nil) }

// Sync offers what the store holds, if that changed since the last time. It is called at the start, after every act, and
// every second, because another process of this node may have acted.
func (s *Service) Sync(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.end(); err != nil {
		return err
	}
	n, err := s.Store.PublicationChanges(ctx)
	if err != nil || s.running != nil && n == s.changes {
		return err
	}
	list, err := s.Store.Publications(ctx)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(p Published) bool { return p.Ended(s.Now()) })
	now := map[string]*running{}
	var rules []exchange.Rule
	catalogue := s.running == nil || len(list) != len(s.running)
	for _, p := range list {
		before := s.running[p.Code]
		r, err := s.offer(p, before)
		if err != nil { // one bad row must not stop the others
			s.Log.ErrorContext(ctx, "a published service cannot be offered", slog.String("service", p.Code), slog.Any("error", err))
			continue
		}
		catalogue = catalogue || before == nil || inCatalogue(before.Published) != inCatalogue(p)
		now[p.Code], rules = r, append(rules, p.rules()...)
	}
	for code, r := range s.running {
		if now[code] == nil {
			s.Host.Withdraw(code)
			r.proxy.transport.CloseIdleConnections()
			catalogue = true
		}
	}
	first := s.running == nil
	s.running, s.changes = now, n
	if err := s.SetRules(rules); err != nil {
		return err
	}
	if catalogue && !first { // at the start the node tells everything at once
		s.Announce()
	}
	return nil
}

// offer puts a service in place; a back end whose parameters did not change keeps its connections.
func (s *Service) offer(p Published, before *running) (*running, error) {
	r := &running{Published: p}
	if before != nil && before.Version == p.Version {
		return before, nil
	}
	if before != nil && before.Backend == p.Backend {
		r.proxy = before.proxy
	} else {
		var err error
		if r.proxy, err = newProxy(p.Backend, connector{identity: s.Identity, now: s.Now, roots: s.roots}); err != nil {
			return nil, err
		}
	}
	o, err := p.offering(s.Member)
	if err != nil {
		return nil, err
	}
	if err := s.Host.Put(p.Code, o, r.proxy); err != nil {
		return nil, err
	}
	if before != nil && before.proxy != r.proxy {
		before.proxy.transport.CloseIdleConnections()
	}
	return r, nil
}

// catalogueEntry is what the directory knows of a service.
type catalogueEntry struct {
	kind, vi, en, aboutVI, aboutEN string
	public, personal               bool
	ends                           time.Time
}

func inCatalogue(p Published) catalogueEntry {
	return catalogueEntry{p.Kind, p.Name["vi"], p.Name["en"], p.About["vi"], p.About["en"], p.Public, p.Personal, p.EndsAt}
}

// List returns the published services, sorted by code.
func (s *Service) List(ctx context.Context) ([]Published, error) { return s.Store.Publications(ctx) }

// Get returns one; NotFound when there is none.
func (s *Service) Get(ctx context.Context, code string) (*Published, error) {
	list, err := s.Store.Publications(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if p.Code == code {
			return &p, nil
		}
	}
	return nil, notFound()
}

// audit records an act by whoever the context names.
func (s *Service) audit(ctx context.Context, action, object string) error {
	actor := reqctx.PrincipalOf(ctx).ID
	if actor == "" {
		actor = "system"
	}
	return s.Audit(ctx, actor, "exchange.service."+action, object)
}

// act records an act and does it; when it fails, that is recorded too.
func (s *Service) act(ctx context.Context, action, object string, do func() error) error {
	if err := s.audit(ctx, action, object); err != nil {
		return err
	}
	err := do()
	if err != nil {
		err = errors.Join(err, s.audit(context.WithoutCancel(ctx), action+".failed", object))
	}
	return err
}

// Propose keeps a document for its confirmation and returns its draft. Code is the service to refresh, or empty. When
// address is set, the document is fetched from there.
func (s *Service) Propose(ctx context.Context, code, address string, doc []byte) (*Draft, error) {
	if code != "" {
		if err := s.editable(ctx, code); err != nil {
			return nil, err
		}
	}
	if address != "" {
		if err := s.act(ctx, "fetch", address, func() (err error) {
			doc, err = s.Fetcher.Fetch(ctx, address)
			return err
		}); err != nil {
			return nil, err
		}
	}
	if _, err := openapi.Parse(doc); err != nil {
		return nil, err
	}
	d := &Draft{ID: rand.Text(), Code: code, Document: doc, Source: address, CreatedAt: s.Now(), CreatedBy: reqctx.PrincipalOf(ctx).ID}
	return d, s.Drafts.KeepDraft(ctx, d, s.Now().Add(-24*time.Hour))
}

// Draft returns a draft with its document read.
func (s *Service) Draft(ctx context.Context, id string) (*Draft, *openapi.Document, error) {
	d, err := s.Drafts.Draft(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	doc, err := openapi.Parse(d.Document)
	return d, doc, err
}

// Publish publishes a new service. With a draft its document is the description; without, p says kind and endpoints.
func (s *Service) Publish(ctx context.Context, p Published, draft string) error {
	if draft != "" {
		d, err := s.Drafts.Draft(ctx, draft)
		if err != nil {
			return err
		}
		if err := p.describe(d.Document, d.Source); err != nil {
			return err
		}
	} else if p.Document == nil {
		p.Kind = KindREST
	}
	if err := s.checkNew(&p); err != nil {
		return err
	}
	s.stamp(ctx, &p)
	if err := s.act(ctx, "publish", p.Code, func() error { return s.Store.AddPublication(ctx, &p) }); err != nil {
		return err
	}
	if draft != "" {
		if err := s.Drafts.DropDraft(ctx, draft); err != nil {
			s.Log.WarnContext(ctx, "a draft was not removed", slog.Any("error", err)) // it goes after a day
		}
	}
	return s.Sync(ctx)
}

func (s *Service) stamp(ctx context.Context, p *Published) {
	p.ChangedAt, p.ChangedBy = s.Now(), reqctx.PrincipalOf(ctx).ID
}

func (s *Service) checkNew(p *Published) error {
	var f Faults
	err := p.Check()
	if list, ok := errorsAs(err); ok {
		f = list
	}
	switch {
	case slices.ContainsFunc(f, func(x Fault) bool { return x.Field == "code" }):
	case s.Host.CheckOffer(p.Code) != nil:
		f.add("code", "code")
	case slices.ContainsFunc(s.Host.Offers(), func(o exchange.Offered) bool { return o.ID.String() == s.Member+"/"+p.Code }):
		f.add("code", "code_taken")
	}
	return f.orNil()
}

func errorsAs(err error) (Faults, bool) {
	f, ok := err.(Faults) //nolint:errorlint // Check returns it bare
	return f, ok
}

// editable refuses what the configuration declares.
func (s *Service) editable(ctx context.Context, code string) error {
	p, err := s.Get(ctx, code)
	if err == nil && p.Declared {
		return errs.E(errs.Conflict, "exchange.publish.declared", nil)
	}
	return err
}

// change is every act on a service that is there: edit it, check it, record the act, save, put in force.
func (s *Service) change(ctx context.Context, action, code string, edit func(*Published) error) error {
	p, err := s.Get(ctx, code)
	if err != nil {
		return err
	}
	if err := edit(p); err != nil {
		return err
	}
	if err := p.Check(); err != nil {
		return err
	}
	s.stamp(ctx, p)
	if err := s.act(ctx, action, code, func() error { return s.Store.SavePublication(ctx, p) }); err != nil {
		return err
	}
	return s.Sync(ctx)
}

// changeOwn is change for what the configuration does not say.
func (s *Service) changeOwn(ctx context.Context, action, code string, edit func(*Published) error) error {
	if err := s.editable(ctx, code); err != nil {
		return err
	}
	return s.change(ctx, action, code, edit)
}

// Parameters are what an operator edits of a service.
type Parameters struct {
	Name, About      i18n.Text
	Personal, Public bool
	Bodies           string
	Backend          Backend
	// Verify and AsyncOnly stay as they are when nil.
	Verify    *string
	AsyncOnly *bool
	// SameHost applies times and TLS to every published service at the same host ("apply to all").
	SameHost bool
}

// Edit changes the parameters of a service. Its CA and its address are kept when the new ones are empty.
func (s *Service) Edit(ctx context.Context, code string, n Parameters) error {
	var host string
	err := s.changeOwn(ctx, "edit", code, func(p *Published) error {
		if n.Backend.URL == "" {
			n.Backend.URL = p.Backend.URL
		}
		p.Name, p.About, p.Personal, p.Public, p.Bodies, p.Backend = n.Name, n.About, n.Personal, n.Public, n.Bodies, n.Backend
		if n.Verify != nil {
			p.Verify = *n.Verify
		}
		if n.AsyncOnly != nil {
			p.AsyncOnly = *n.AsyncOnly
		}
		if u, err := p.Backend.parse(); err == nil {
			host = u.Host
		}
		return nil
	})
	if err != nil || !n.SameHost {
		return err
	}
	list, err := s.List(ctx)
	if err != nil {
		return err
	}
	for _, p := range list {
		u, err := p.Backend.parse()
		if err != nil || u.Host != host || p.Code == code || p.Declared {
			continue
		}
		if err := s.changeOwn(ctx, "edit", p.Code, func(p *Published) error {
			b := n.Backend
			b.URL = p.Backend.URL
			p.Backend = b
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// Compare tells what a draft would change.
func (s *Service) Compare(ctx context.Context, d *Draft) ([]openapi.Change, []Right, error) {
	p, err := s.Get(ctx, d.Code)
	if err != nil {
		return nil, nil, err
	}
	to, err := openapi.Parse(d.Document)
	if err != nil {
		return nil, nil, err
	}
	var changes []openapi.Change
	if p.Kind == KindOpenAPI {
		from, err := openapi.Parse(p.Document)
		if err != nil {
			return nil, nil, err
		}
		changes = openapi.Compare(from, to)
	}
	after := *p
	if err := after.describe(d.Document, d.Source); err != nil {
		return nil, nil, err
	}
	var lost []Right
	for _, r := range p.Rights {
		if !after.grants(r) {
			lost = append(lost, r)
		}
	}
	return changes, lost, nil
}

// Refresh confirms a draft: the service has its description from now on. Base is the version that the differences were
// shown for; Conflict when the service has changed since.
func (s *Service) Refresh(ctx context.Context, code, draft string, base int64) error {
	d, err := s.Drafts.Draft(ctx, draft)
	if err != nil {
		return err
	}
	if d.Code == "" || d.Code != code {
		return errs.E(errs.NotFound, "exchange.publish.draft_unknown", nil)
	}
	if err := s.changeOwn(ctx, "refresh", d.Code, func(p *Published) error {
		if p.Version != base {
			return errs.E(errs.Conflict, "exchange.publish.changed", nil)
		}
		return p.describe(d.Document, d.Source)
	}); err != nil {
		return err
	}
	return s.Drafts.DropDraft(ctx, draft)
}

// Discard drops a draft.
func (s *Service) Discard(ctx context.Context, draft string) error {
	return s.Drafts.DropDraft(ctx, draft)
}

// Disable switches a service off; callers are told the notice, which must not be empty.
func (s *Service) Disable(ctx context.Context, code, notice string) error {
	notice = strings.Join(strings.Fields(notice), " ")
	if notice == "" {
		return Faults{{Field: "notice", Key: "exchange.publish.fault.notice_missing"}}
	}
	return s.change(ctx, "disable", code, func(p *Published) error { p.Disabled, p.Notice = true, notice; return nil })
}

// Enable switches it on again.
func (s *Service) Enable(ctx context.Context, code string) error {
	return s.change(ctx, "enable", code, func(p *Published) error { p.Disabled, p.Notice = false, ""; return nil })
}

// Delete ends the publication with its rights.
func (s *Service) Delete(ctx context.Context, code string) error {
	if err := s.editable(ctx, code); err != nil {
		return err
	}
	if err := s.act(ctx, "delete", code, func() error { return s.Store.DeletePublication(ctx, code) }); err != nil {
		return err
	}
	return s.Sync(ctx)
}

// TestBackend tries to reach a service's back end, step by step.
func (s *Service) TestBackend(ctx context.Context, code string) ([]Step, error) {
	p, err := s.Get(ctx, code)
	if err != nil {
		return nil, err
	}
	if err := s.audit(ctx, "test", code); err != nil {
		return nil, err
	}
	x, err := newProxy(p.Backend, connector{identity: s.Identity, now: s.Now, roots: s.roots})
	if err != nil {
		return nil, errs.E(errs.Invalid, "exchange.publish.fault.backend", err)
	}
	defer x.transport.CloseIdleConnections()
	return x.test(ctx, s.Now), nil
}
