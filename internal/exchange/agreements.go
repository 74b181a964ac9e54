package exchange

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange/agreement"
)

// ServiceAgreements is the reserved service under which every subsystem of a node takes what its partners say about
// agreements. It needs no grant, but like every call it is signed and logged on both sides.
const ServiceAgreements = "agreements"

// maxOpen is how many proposals of one member may wait for an answer here, so that nobody can fill the store.
const maxOpen = 200

// maxNews bounds a message between parties: a document and what was said about it.
const maxNews = agreement.MaxDocument*2 + 64<<10

// AgreementStore keeps agreements; nothing in it is ever changed or removed.
type AgreementStore interface {
	// SaveAgreement adds a document unless it is there, the statements that are not there yet, and the deliveries to
	// other parties, in one transaction. Conflict (exchange.agreement.iv_used) when another document has its iv.
	SaveAgreement(ctx context.Context, a *agreement.Agreement, add []agreement.Statement, deliver []AgreementDelivery) error
	// Agreement returns a document with its statements; NotFound when there is none.
	Agreement(ctx context.Context, content string) (*agreement.Agreement, error)
	// Agreements returns all of them, the newest first.
	Agreements(ctx context.Context) ([]*agreement.Agreement, error)
	// AgreementVersion grows with every change.
	AgreementVersion(ctx context.Context) (int64, error)
}

// AgreementDelivery tells another party what this node knows about an agreement.
type AgreementDelivery struct {
	// ID makes it idempotent.
	ID      string `json:"-"`
	Content string `json:"content"`
	Member  string `json:"member"`
}

// Agreements is what this node's member has agreed with others, and how it agrees: every act is recorded for audit, kept,
// in force here at once, and told to the other parties until they have heard it.
type Agreements struct {
	// Service carries messages to other parties and asks for permits.
	Service *Service
	Store   AgreementStore
	// Instance, Member are of this node.
	Instance, Member string
	// Keys is the directory. KeysOf returns the ids of the keys with which the nodes of a subsystem may sign now.
	Keys   agreement.Keys
	KeysOf func(subsystem string) []string
	// Center returns the member that keeps the directory, a party of publications; "" when it is not known.
	Center func() string
	// Left reports whether a member left the network, which ends its agreements; nil when none can.
	Left func(member string) bool
	// Terms are those that this node's owner agreed to in its configuration: a proposal with these terms is accepted
	// without asking anybody again.
	Terms []agreement.Document
	// Audit records an act before it happens.
	Audit func(ctx context.Context, actor, action, object string) error
	// Changed is called when something else is in force; it may be nil.
	Changed func()
	Now     func() time.Time
	Log     *slog.Logger

	mu      sync.Mutex // guards version, and that snapshots are made one after the other
	version int64
	waiting atomic.Int64
}

// AgreementView is an agreement as people and programs see it.
type AgreementView struct {
	*agreement.Agreement
	agreement.Status
}

// faultKinds sorts what may be wrong with a document or a statement.
func agreementFault(err error) error {
	f, ok := errors.AsType[*agreement.Fault](err)
	if !ok {
		return err
	}
	kind := errs.Invalid
	if strings.HasSuffix(f.Key, ".not_party") {
		kind = errs.Denied
	}
	return errs.E(kind, f.Key, err, "field", f.Field)
}

// Load puts what the store holds into force. Call it before the node serves, and again when keys were revoked.
func (m *Agreements) Load(ctx context.Context) (err error) {
	defer errs.Wrap(&err, "load agreements")
	m.mu.Lock()
	defer m.mu.Unlock()
	version, err := m.Store.AgreementVersion(ctx)
	if err != nil {
		return err
	}
	list, err := m.Store.Agreements(ctx)
	if err != nil {
		return err
	}
	inForce := slices.DeleteFunc(slices.Clone(list), func(a *agreement.Agreement) bool { return m.status(a).State == agreement.Ended })
	snap, err := agreement.Compile(inForce, m.Keys, m.Now())
	if err != nil {
		return err
	}
	if err := m.count(list); err != nil {
		return err
	}
	m.version = version
	m.Service.permits.Store(snap)
	return nil
}

// status is how an agreement stands, with what the directory says of its parties.
func (m *Agreements) status(a *agreement.Agreement) agreement.Status {
	st := a.Status(m.Now())
	if m.Left != nil && slices.ContainsFunc(a.Parties(), m.Left) {
		return st.Gone()
	}
	return st
}

// Reload puts into force what changed without a change of the agreements themselves, such as a party that left.
func (m *Agreements) Reload(ctx context.Context) error { return m.changed(ctx) }

// count counts the terms of the configuration that are not agreed yet.
func (m *Agreements) count(list []*agreement.Agreement) error {
	agreed := map[string]bool{}
	if len(m.Terms) > 0 {
		for _, a := range list {
			if s := m.status(a).State; s == agreement.Valid || s == agreement.Accepted {
				t, err := a.Document.Terms()
				if err != nil {
					return err
				}
				agreed[string(t)] = true
			}
		}
	}
	n := int64(0)
	for _, d := range m.Terms {
		t, err := d.Terms()
		if err != nil {
			return err
		}
		if !agreed[string(t)] {
			n++
		}
	}
	m.waiting.Store(n)
	return nil
}

// Waiting is how many terms of the configuration are not agreed yet.
func (m *Agreements) Waiting() int { return int(m.waiting.Load()) }

// Sync loads again when another process of this node has changed the store.
func (m *Agreements) Sync(ctx context.Context) error {
	version, err := m.Store.AgreementVersion(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	same := version == m.version
	m.mu.Unlock()
	if same {
		return nil
	}
	return m.changed(ctx)
}

// changed puts a change into force and tells who waits for it.
func (m *Agreements) changed(ctx context.Context) error {
	err := m.Load(ctx)
	if err == nil && m.Changed != nil {
		m.Changed()
	}
	return err
}

// List returns all agreements of this node, the newest first.
func (m *Agreements) List(ctx context.Context) ([]AgreementView, error) {
	list, err := m.Store.Agreements(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]AgreementView, len(list))
	for i, a := range list {
		out[i] = AgreementView{a, m.status(a)}
	}
	return out, nil
}

// Get returns one agreement by its content hash; NotFound when there is none.
func (m *Agreements) Get(ctx context.Context, content string) (AgreementView, error) {
	a, err := m.Store.Agreement(ctx, content)
	if err != nil {
		return AgreementView{}, err
	}
	return AgreementView{a, m.status(a)}, nil
}

// Propose completes a draft, signs it for this member and sends it to the other parties. It returns the content hash.
func (m *Agreements) Propose(ctx context.Context, actor string, draft []byte) (content string, err error) {
	d, err := agreement.DecodeDraft(draft)
	if err != nil {
		return "", agreementFault(err)
	}
	if d.Instance == "" {
		d.Instance = m.Instance
	}
	d.Fill(NewUUID(), m.Now(), m.KeysOf)
	a, err := m.open(d)
	if err != nil {
		return "", err
	}
	if !a.IsParty(m.Member) {
		return "", errs.E(errs.Invalid, "exchange.agreement.fault.receiver", nil, "field", "grants")
	}
	if err := m.checkKeys(a); err != nil {
		return "", err
	}
	return a.Content, m.say(ctx, actor, a, agreement.Accept, "", "exchange.agreement.submit")
}

// open checks a new document.
func (m *Agreements) open(d *agreement.Document) (*agreement.Agreement, error) {
	if err := d.Check(m.Instance, m.Now()); err != nil {
		return nil, agreementFault(err)
	}
	raw, err := d.Encode()
	if err != nil {
		return nil, err
	}
	center := m.Center()
	if t := d.Grants[0].Type; center == "" && (t == agreement.Publish || t == agreement.DelegatedPublish) {
		return nil, errs.E(errs.Unavailable, "exchange.agreement.center_unknown", nil)
	}
	a, err := agreement.Open(raw, center)
	return a, agreementFault(err)
}

// checkKeys demands of every grant that the keys it names are the consumer's: whoever signs a grant for keys that nobody
// knows would not know to whom he gives it.
func (m *Agreements) checkKeys(a *agreement.Agreement) error {
	for _, g := range a.Document.Grants {
		if g.Consumer == nil {
			continue
		}
		for _, t := range g.Consumer.KeyThumbprints {
			k, err := m.Keys.SigningKey(strings.TrimPrefix(t, agreement.HashAlg+":"))
			if err != nil || k.Revoked || k.Member != g.Caller() {
				return errs.E(errs.Invalid, "exchange.agreement.fault.consumer_key", err, "field", "key_thumbprints", "consumer", g.Consumer.Subsystem)
			}
		}
	}
	return nil
}

// Accept signs an agreement for this member.
func (m *Agreements) Accept(ctx context.Context, actor, content string) error {
	a, err := m.Store.Agreement(ctx, content)
	if err != nil {
		return err
	}
	st := m.status(a)
	if st.State != agreement.Proposed || slices.Contains(st.Signed, m.Member) {
		return errs.E(errs.Conflict, "exchange.agreement.not_open", nil)
	}
	if err := m.checkKeys(a); err != nil {
		return err
	}
	return m.say(ctx, actor, a, agreement.Accept, "", "exchange.agreement.accept")
}

// Reject refuses a proposal; it will never be in force.
func (m *Agreements) Reject(ctx context.Context, actor, content, reason string) error {
	return m.end(ctx, actor, content, reason, agreement.Reject, agreement.Proposed)
}

// Revoke ends an agreement that this member signed. It holds here from the next call on, whatever the others do.
func (m *Agreements) Revoke(ctx context.Context, actor, content, reason string) error {
	return m.end(ctx, actor, content, reason, agreement.Revoke, agreement.Proposed, agreement.Accepted, agreement.Valid)
}

func (m *Agreements) end(ctx context.Context, actor, content, reason, typ string, from ...agreement.State) error {
	a, err := m.Store.Agreement(ctx, content)
	if err != nil {
		return err
	}
	st := m.status(a)
	if !slices.Contains(from, st.State) || (typ == agreement.Revoke) != slices.Contains(st.Signed, m.Member) {
		return errs.E(errs.Conflict, "exchange.agreement.not_open", nil)
	}
	return m.say(ctx, actor, a, typ, reason, "exchange.agreement."+typ)
}

// say signs a statement of this member, records the act, keeps it, puts it into force and sends it out.
func (m *Agreements) say(ctx context.Context, actor string, a *agreement.Agreement, typ, reason, action string) error {
	signer := m.Service.signer.Load()
	s, err := agreement.Statement{
		Type: typ, Content: a.Content, Member: m.Member, KeyID: signer.keyID, Reason: reason, SignedAt: m.Now().Unix(),
	}.Sign(signer.key)
	if err != nil {
		return errs.E(errs.Unavailable, "exchange.cannot_sign", err)
	}
	if err := a.Check(s, m.Keys, m.Now()); err != nil {
		return agreementFault(err)
	}
	if err := m.Audit(ctx, actor, action, a.Content); err != nil {
		return err
	}
	var out []AgreementDelivery
	for _, p := range a.Parties() {
		if p != m.Member {
			out = append(out, AgreementDelivery{ID: "agreement:" + a.Content + ":" + typ + ":" + p, Content: a.Content, Member: p})
		}
	}
	if err := m.Store.SaveAgreement(ctx, a, []agreement.Statement{s}, out); err != nil {
		return err
	}
	return m.changed(ctx)
}

// agreedTo reports whether the configuration of this node holds the same terms.
func (m *Agreements) agreedTo(a *agreement.Agreement) bool {
	terms, err := a.Document.Terms()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(m.Terms, func(d agreement.Document) bool {
		t, err := d.Terms()
		return err == nil && string(t) == string(terms)
	})
}

// ProposeOwn proposes the terms of the configuration for which there is no agreement yet: those in which this member is
// the consumer of the first grant, so that the two sides of a network that is being set up do not propose the same twice.
// It returns how many have to wait, because the directory does not list all their parties yet.
func (m *Agreements) ProposeOwn(ctx context.Context) (left int, err error) {
	defer errs.Wrap(&err, "propose the agreements of the configuration")
	have := map[string]bool{}
	list, err := m.Store.Agreements(ctx)
	if err != nil {
		return 0, err
	}
	for _, a := range list {
		if s := m.status(a).State; s == agreement.Expired {
			continue
		}
		t, err := a.Document.Terms()
		if err != nil {
			return 0, err
		}
		have[string(t)] = true
	}
	var failed error
	for _, d := range m.Terms {
		t, err := d.Terms()
		if err != nil {
			return 0, err
		}
		if have[string(t)] {
			continue
		}
		if !m.known(&d) {
			left++
			continue
		}
		if p := m.proposer(&d); p != m.Member {
			// It may have proposed while this node was away, and will only try again after a pause.
			if err := m.Fetch(ctx, p); err != nil {
				m.Log.DebugContext(ctx, "a partner does not tell its agreements yet", slog.String("member", p), slog.Any("error", err))
			}
			left++
			continue
		}
		raw, err := d.Encode()
		if err != nil {
			return 0, err
		}
		if _, err := m.Propose(ctx, "system", raw); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return left, failed
}

// proposer is the consumer of the first grant: it knows its own key best. A publication is proposed by its provider.
func (m *Agreements) proposer(d *agreement.Document) string {
	if len(d.Grants) == 0 {
		return ""
	}
	if c := d.Grants[0].Caller(); c != "" {
		return c
	}
	return d.Grants[0].Provider()
}

// known reports whether the directory lists every party, and keys for every consumer that the terms leave open.
func (m *Agreements) known(d *agreement.Document) bool {
	for _, p := range d.Parties(m.Center()) {
		if _, err := m.addressOf(p); err != nil && p != m.Member {
			return false
		}
	}
	return !slices.ContainsFunc(d.Grants, func(g agreement.Grant) bool {
		return g.Consumer != nil && len(g.Consumer.KeyThumbprints) == 0 && len(m.KeysOf(g.Consumer.Subsystem)) == 0
	})
}
