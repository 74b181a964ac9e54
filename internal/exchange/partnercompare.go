package exchange

import (
	"context"
	"net/url"
	"time"

	"truc/internal/errs"
	"truc/internal/orgcode"
)

// Kinds of a [PartnerDifference].
const (
	// MissingThere: this node's log shows an exchange of which the partner's holds nothing.
	MissingThere = "missing_there"
	// MissingHere: the partner's log shows an exchange of which this node's holds nothing.
	MissingHere = "missing_here"
	// RequestDiffers and AnswerDiffers: both logs hold it, with another digest or signature.
	RequestDiffers = "request_differs"
	AnswerDiffers  = "answer_differs"
)

// PartnerDifference is one exchange about which two logs do not agree.
type PartnerDifference struct {
	Kind       string    `json:"kind" enum:"missing_there,missing_here,request_differs,answer_differs"`
	Node       string    `json:"node" doc:"the partner's"`
	ExchangeID string    `json:"exchange_id"`
	RequestID  string    `json:"request_id"`
	Service    string    `json:"service"`
	At         time.Time `json:"at"`
}

// PartnerComparison is the outcome of [PartyRecords.Compare].
type PartnerComparison struct {
	// From and To are the span that was compared.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// More says that there was too much for one comparison: it ends at To, and the next begins there.
	More bool `json:"more" doc:"there was too much for one comparison: the next begins at to"`
	// Nodes are the partner's that answered.
	Nodes []string `json:"nodes"`
	// Agreed counts the exchanges that both logs hold alike.
	Agreed      int                 `json:"agreed"`
	Differences []PartnerDifference `json:"differences" doc:"at most a thousand"`
	// Unprovable counts exchanges of the span that one side has removed under its retention policy.
	Unprovable int `json:"unprovable" doc:"exchanges whose entries one side has removed under its retention policy"`
}

const (
	// maxCompared bounds what one comparison holds in memory, per side.
	maxCompared = 10_000
	// maxPartnerPages bounds how long a partner may keep this node busy.
	maxPartnerPages = 400
	// maxPartnerDifferences bounds what it tells, and how often it asks again.
	maxPartnerDifferences = 1000
	// compareMargin is by how much the clocks of two nodes and the way between them may set apart when each of them says
	// that an exchange began: twice the age at which a request is refused.
	compareMargin = 2 * freshness
)

// comparer compares with one node for one subsystem.
type comparer struct {
	p      *PartyRecords
	out    *PartnerComparison
	node   partnerNode
	sub    orgcode.Subsystem
	mine   map[[2]string]PartyRecord // by role and request id
	theirs map[[2]string]PartyRecord
	pruned int64 // up to here one side has no entries any more
}

// Compare holds this node's log against those of a partner, over the exchange, and says which exchanges one side lacks or
// has otherwise. Exchanges of the last minute are left out, because they may be on their way, and so are refusals
// that one side alone has noted: a request that is not let in leaves no entry there. With several nodes of the partner
// each is compared with what went to or came from it.
func (p *PartyRecords) Compare(ctx context.Context, partner string, from, to time.Time) (*PartnerComparison, error) {
	if latest := p.Now().Add(-RecordsWithheld).Truncate(time.Second); to.IsZero() || to.After(latest) {
		to = latest
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	if !from.Before(to) {
		return nil, errs.E(errs.Invalid, "exchange.partner.span", nil)
	}
	nodes, err := p.nodes(partner)
	if err != nil {
		return nil, err
	}
	out := &PartnerComparison{From: from.UTC(), To: to.UTC(), Nodes: []string{}, Differences: []PartnerDifference{}}
	var all []*comparer
	for _, n := range nodes {
		out.Nodes = append(out.Nodes, n.id)
		for _, own := range p.Service.opt.Subsystems {
			sub, err := orgcode.ParseSubsystem(own)
			if err != nil {
				return nil, err
			}
			c := &comparer{p: p, out: out, node: n, sub: sub}
			if err := c.read(ctx); err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	for _, c := range all { // only now is it known how far all of them could be read
		if err := c.compare(ctx); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// read takes both sides of the span into memory; of the partner's a little more, because its clock is another.
func (c *comparer) read(ctx context.Context) (err error) {
	out := c.out
	own := func(cursor string) (PartyPage, error) {
		after, err := ParsePartyPosition(cursor)
		if err != nil {
			return PartyPage{}, err
		}
		return c.p.Own(ctx, PartyQuery{Subsystem: c.sub.String(), From: out.From.Add(-compareMargin), To: out.To.Add(compareMargin), After: after})
	}
	if c.mine, err = c.collect(own, func(r PartyRecord) bool { return r.Peer == c.node.id }); err != nil {
		return err
	}
	theirs := func(cursor string) (PartyPage, error) {
		return c.p.pageOf(ctx, c.sub, c.node, out.From.Add(-compareMargin), out.To.Add(compareMargin), cursor)
	}
	c.theirs, err = c.collect(theirs, func(r PartyRecord) bool { return r.Peer == c.p.Service.opt.ServerID && c.party(r) })
	return err
}

// party leaves out what the partner tells this member as a delegator: the subsystem took no part itself.
func (c *comparer) party(r PartyRecord) bool {
	return r.Client == c.sub.String() || ownerOf(r.Service) == c.sub.String()
}

// collect reads pages until the end. Where there is too much, the span ends where reading did.
func (c *comparer) collect(page func(cursor string) (PartyPage, error), keep func(PartyRecord) bool) (map[[2]string]PartyRecord, error) {
	out := map[[2]string]PartyRecord{}
	cursor := ""
	for range maxPartnerPages {
		p, err := page(cursor)
		if err != nil {
			return nil, err
		}
		c.pruned = max(c.pruned, p.PrunedUntil)
		for _, r := range p.Records {
			if keep(r) {
				out[[2]string{r.Role, r.RequestID}] = r
			}
		}
		next, err := ParsePartyPosition(p.Next)
		if err != nil {
			return nil, err
		}
		if cursor = p.Next; cursor == "" {
			return out, nil
		}
		if end := time.UnixMicro(next.At).Add(-compareMargin).UTC().Truncate(time.Second); len(out) >= maxCompared && end.Before(c.out.To) {
			if !c.out.From.Before(end) {
				return nil, errs.E(errs.Invalid, "exchange.partner.too_many", nil)
			}
			c.out.To, c.out.More = end, true
			return out, nil
		}
	}
	return nil, errs.E(errs.Invalid, "exchange.partner.too_many", nil)
}

func (c *comparer) compare(ctx context.Context) error {
	for key, m := range c.mine {
		if !c.within(m) {
			continue
		}
		t, ok := c.theirs[otherSide(key)]
		if !ok && m.Outcome == "ok" {
			var err error
			if t, ok, err = c.again(ctx, m); err != nil {
				return err
			}
		}
		switch {
		case !ok && m.Outcome == "ok":
			c.differ(MissingThere, m)
		case ok:
			c.judge(m, t)
		}
	}
	for key, t := range c.theirs {
		if _, ok := c.mine[otherSide(key)]; ok || t.Outcome != "ok" || !c.within(t) {
			continue
		}
		here, err := c.here(ctx, t)
		if err != nil {
			return err
		}
		if !here {
			c.differ(MissingHere, t)
		}
	}
	return nil
}

// within reports whether a record lies in the span, and counts those that cannot be compared any more.
func (c *comparer) within(r PartyRecord) bool {
	at := time.UnixMicro(r.At)
	if at.Before(c.out.From) || !at.Before(c.out.To) {
		return false
	}
	if c.pruned > 0 && r.At <= c.pruned+compareMargin.Microseconds() {
		c.out.Unprovable++
		return false
	}
	return true
}

func otherSide(key [2]string) [2]string {
	if key[0] == RoleConsumer {
		return [2]string{RoleProvider, key[1]}
	}
	return [2]string{RoleConsumer, key[1]}
}

// judge compares what both hold. An answer that never reached the consumer is no contradiction.
func (c *comparer) judge(m, t PartyRecord) {
	switch {
	case !sameBody(m.RequestDigest, t.RequestDigest) || m.RequestSignature != t.RequestSignature || m.Service != t.Service || m.Client != t.Client:
		c.differ(RequestDiffers, m)
	case m.Outcome == "ok" && t.Outcome == "ok" && (!sameBody(m.ResponseDigest, t.ResponseDigest) || m.ResponseSignature != t.ResponseSignature || m.Status != t.Status):
		c.differ(AnswerDiffers, m)
	default:
		c.out.Agreed++
	}
}

// sameBody compares digests; a side that was killed while a body streamed knows none.
func sameBody(a, b string) bool { return a == b || a == digestPending || b == digestPending }

// again asks for one exchange by its id, whenever the partner thinks that it was.
func (c *comparer) again(ctx context.Context, m PartyRecord) (PartyRecord, bool, error) {
	if len(c.out.Differences) >= maxPartnerDifferences {
		return PartyRecord{}, false, nil
	}
	page, err := c.p.list(ctx, c.sub, c.node, url.Values{"id": {m.ExchangeID}})
	if err != nil {
		return PartyRecord{}, false, err
	}
	for _, r := range page.Records {
		if r.RequestID == m.RequestID && r.Role != m.Role {
			return r, true, nil
		}
	}
	return PartyRecord{}, false, nil
}

// here looks for an exchange of the partner's in this node's own index, whenever it was.
func (c *comparer) here(ctx context.Context, t PartyRecord) (bool, error) {
	page, err := c.p.Own(ctx, PartyQuery{Subsystem: c.sub.String(), ExchangeID: t.ExchangeID})
	if err != nil {
		return false, err
	}
	for _, m := range page.Records {
		if m.RequestID == t.RequestID && m.Role != t.Role {
			c.judge(m, t)
			return true, nil
		}
	}
	return page.PrunedUntil > 0, nil
}

func (c *comparer) differ(kind string, r PartyRecord) {
	if len(c.out.Differences) < maxPartnerDifferences {
		c.out.Differences = append(c.out.Differences, PartnerDifference{
			Kind: kind, Node: c.node.id, ExchangeID: r.ExchangeID, RequestID: r.RequestID, Service: r.Service, At: time.UnixMicro(r.At).UTC(),
		})
	}
}
