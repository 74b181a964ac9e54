package exchange

import (
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"truc/internal/exchange/agreement"
	"truc/internal/orgcode"
	"truc/internal/telemetry"
)

// Options are what a [Service] is made of. All fields are needed unless said otherwise.
type Options struct {
	// ServerID is this node, "VN/GOV/H36/node1".
	ServerID string
	// Subsystems are those this node hosts, "VN/GOV/H36/onestop".
	Subsystems []string
	// Signing is the key, Ed25519 or P-256, that the directory names for this node; see [Service.UseKey].
	Signing   crypto.Signer
	Directory Directory
	Carrier   Carrier
	Log       Log
	Store     Store
	// RequireGrant decides which services need a grant besides a rule (spec D11); nil is none.
	RequireGrant Required
	// Untimestamped tells how long the log has been without a time-stamp; nil is never. Grants may bound it (spec D29).
	Untimestamped func() time.Duration
	// Seal is a 32-byte key that hides person ids inside log entries (spec §4.5). Losing it makes those ids, and so
	// the signatures that cover them, unverifiable; that is also how they are erased.
	Seal []byte
	// GrantLimits returns what a grant allows of a service, for the grant whose hash the request names; nil when nothing
	// is granted by agreements.
	GrantLimits func(consumer orgcode.Subsystem, service orgcode.Service, grant string) Limits
	// Budget bounds the bodies held in memory, of this service and of what stands around it; nil bounds nothing.
	Budget *Budget
	// SpoolDir is where large requests wait until they are verified, encrypted; empty is the system's place for
	// temporary files.
	SpoolDir string
	// Zone is where days begin for daily limits; nil is UTC.
	Zone *time.Location
	// OneSignatureEach makes this node sign each request by itself instead of together with others of the same moment
	// (ADR 0014). Answers follow the request.
	OneSignatureEach bool
	// Space bounds how full the disk of the log may become; nil bounds nothing.
	Space *Space
	// Decider, when set, is asked about each request for a service of this node that everything else allows.
	Decider Decider
	// NoRequestHash leaves X-Road's request hash out: as provider it is not told, as consumer not looked at (spec D4). What
	// binds an answer to its request is the signature.
	NoRequestHash bool
	// ListAll makes listMethods name every service of a subsystem to every member, as X-Road does, instead of the public
	// ones and those that a rule opens to the caller (spec D9).
	ListAll bool
	Now     func() time.Time
	// Logger is where faults go that have no one to return to.
	Logger *slog.Logger
	// Metrics counts; figures that nobody reads when nil.
	Metrics *Metrics
	// Spans receives the spans of exchanges; nil records none.
	Spans *telemetry.Exporter
}

// Service is a node's exchange: both roles. It is safe for concurrent use.
type Service struct {
	opt     Options
	signer  atomic.Pointer[signatory]
	roots   signatureMemory
	writer  *logWriter
	member  string
	seal    sealer
	replay  *replaySet
	index   indexQueue
	metrics *Metrics
	health  healthTable
	clocks  clockTable
	names   atomic.Pointer[memberNames]
	limits  atomic.Pointer[limitSet]
	usage   *limiter
	// streams counts bodies that stream.
	streams streamSlots
	// peers chooses among nodes, backends watches the services behind this one.
	peers    peerTable
	backends breakers
	// permits is what is agreed; it is replaced whole, so that a request asks without a lock.
	permits atomic.Pointer[agreement.Snapshot]

	sources atomic.Pointer[EvidenceSources]
	// maintenance is the notice to callers; empty or nil in normal operation.
	maintenance atomic.Pointer[string]
	bodies      atomic.Pointer[BodyPolicy]

	mu     sync.RWMutex // guards offers, rules and inbox
	offers map[string]offer
	rules  *ruleSet
	inbox  Inbox
	meta   map[string]http.Handler // reserved services that others answer
}

type offer struct {
	Offered
	handler http.Handler
}

// New checks the options and returns a service that refuses everything until rules and offers are set.
func New(opt Options) (*Service, error) {
	signer, err := newSignatory(opt.Signing)
	if err != nil {
		return nil, fmt.Errorf("exchange: %w", err)
	}
	i := strings.LastIndexByte(opt.ServerID, '/')
	if strings.Count(opt.ServerID, "/") != 3 {
		return nil, fmt.Errorf("exchange: server id %q has not four segments", opt.ServerID)
	}
	for _, sub := range opt.Subsystems {
		p, err := orgcode.ParseSubsystem(sub)
		if err != nil {
			return nil, fmt.Errorf("exchange: %w", err)
		}
		if p.MemberID() != opt.ServerID[:i] {
			return nil, fmt.Errorf("exchange: subsystem %s is not one of member %s", sub, opt.ServerID[:i])
		}
	}
	if opt.Directory == nil || opt.Carrier == nil || opt.Log == nil || opt.Store == nil || opt.Now == nil || opt.Logger == nil {
		return nil, errors.New("exchange: options are incomplete")
	}
	seal, err := newSealer(opt.Seal)
	if err != nil {
		return nil, err
	}
	if opt.Metrics == nil {
		opt.Metrics = NewMetrics(new(telemetry.Registry))
	}
	s := &Service{
		opt: opt, metrics: opt.Metrics, member: opt.ServerID[:i], seal: seal, offers: map[string]offer{},
		replay: newReplaySet(2*freshness, maxReplay), rules: &ruleSet{}, usage: newLimiter(opt.Zone, maxLimited), writer: newLogWriter(opt.Log),
	}
	s.signer.Store(signer)
	return s, nil
}

// ServerID returns this node's identifier.
func (s *Service) ServerID() string { return s.opt.ServerID }

// Usable returns the fault of a node that may not exchange anything now, because its copy of the directory has expired. It is
// asked before anything else about a request is judged (spec §2.7).
func (s *Service) Usable() error {
	if s.opt.Directory.State().Level == "expired" {
		return newFault(atConsumer, "global_conf_outdated", s.opt.ServerID, NewUUID(), nil)
	}
	return nil
}

// Subsystems returns those that this node speaks for.
func (s *Service) Subsystems() []string { return slices.Clone(s.opt.Subsystems) }

// Hosts reports whether this node speaks for a subsystem.
func (s *Service) Hosts(sub orgcode.Subsystem) bool {
	return slices.Contains(s.opt.Subsystems, sub.String())
}

// reservedCodes are metadata services (X-Road); no agency may offer a service under these names.
var reservedCodes = []string{
	"listClients", "listMethods", "allowedMethods", "getOpenAPI", "getWsdl",
	"getSecurityServerOperationalData", "getSecurityServerHealthData", "getSecurityServerMetrics",
	EventsCode, ServiceAgreements, ServiceRecords,
}

// Reserve answers a reserved service of every subsystem of this node. It needs no rule and no grant; the handler decides by
// the caller in reqctx what to tell.
func (s *Service) Reserve(code string, h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.meta == nil {
		s.meta = map[string]http.Handler{}
	}
	s.meta[code] = h
}

// Offer registers a handler for a service of this node; code is "population/person". The handler sees the
// service path as its URL path and the caller in reqctx.
func (s *Service) Offer(code string, o Offering, h http.Handler) error {
	id, err := s.offerable(code, o)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, dup := s.offers[id.String()]; dup {
		return fmt.Errorf("exchange: service %s is offered twice", id)
	}
	s.offers[id.String()] = offer{Offered: Offered{ID: id, Offering: o}, handler: h}
	return nil
}

func (o *offer) ended(now time.Time) bool { return !o.EndsAt.IsZero() && !now.Before(o.EndsAt) }

// Offers lists what this node offers, sorted by identifier.
func (s *Service) Offers() []Offered {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Offered, 0, len(s.offers))
	now := s.now()
	for _, o := range s.offers {
		if !o.ended(now) {
			out = append(out, o.Offered)
		}
	}
	slices.SortFunc(out, func(a, b Offered) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	return out
}

// SetRules replaces the access rules; they hold from the next request on. A rule that cannot be read refuses them all.
func (s *Service) SetRules(rules []Rule) error {
	rs, err := compileRules(rules)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = rs
	return nil
}

// Rules returns the access rules in force.
func (s *Service) Rules() []Rule {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.rules.rules)
}

func (s *Service) offered(id orgcode.Service) (offer, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.offers[id.String()]
	if ok && o.ended(s.now()) {
		return offer{}, false
	}
	return o, ok
}

func (s *Service) now() time.Time { return s.opt.Now().UTC().Truncate(time.Microsecond) }
