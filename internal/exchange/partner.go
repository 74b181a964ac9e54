package exchange

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/orgcode"
)

// partnerNode is a node of another member, and a subsystem under which it can be asked.
type partnerNode struct {
	id      string
	service orgcode.Service
}

// nodes finds the nodes that are meant by a member ("VN/GOV/G01") or a node ("VN/GOV/G01/node1"), in order of their ids.
func (p *PartyRecords) nodes(partner string) ([]partnerNode, error) {
	member := partner
	if strings.Count(partner, "/") == 3 {
		member = ownerOf(partner)
	}
	var out []partnerNode
	for _, m := range p.Service.opt.Directory.Members() {
		if m.ID != member {
			continue
		}
		for _, sub := range m.Subsystems {
			to, err := orgcode.ParseService(sub + "/" + ServiceRecords)
			if err != nil {
				return nil, err
			}
			for _, peer := range p.Service.opt.Directory.Hosts(to.Owner()) {
				known := slices.ContainsFunc(out, func(n partnerNode) bool { return n.id == peer.ServerID })
				if !known && peer.ServerID != p.Service.opt.ServerID && (partner == member || partner == peer.ServerID) {
					out = append(out, partnerNode{peer.ServerID, to})
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, errs.E(errs.NotFound, "exchange.member_unknown", nil)
	}
	slices.SortFunc(out, func(a, b partnerNode) int { return cmp.Compare(a.id, b.id) })
	return out, nil
}

// speaker returns the subsystem of this node that asks: the one that is named, or the first.
func (p *PartyRecords) speaker(as string) (orgcode.Subsystem, error) {
	own := p.Service.opt.Subsystems
	if len(own) == 0 || as != "" && !slices.Contains(own, as) {
		return orgcode.Subsystem{}, errs.E(errs.Invalid, "exchange.partner.own", nil)
	}
	return orgcode.ParseSubsystem(cmp.Or(as, own[0]))
}

// partnerSays are the refusals of partners that people are told in their own words.
var partnerSays = []string{"exchange.evidence_none", "exchange.evidence_pruned", "exchange.partner.busy"}

// ask reads from the reserved service of a partner's node.
func (p *PartyRecords) ask(ctx context.Context, from orgcode.Subsystem, n partnerNode, path string, q url.Values) (*Answer, error) {
	ans, err := p.Service.Call(ctx, Call{From: from, To: n.service, Server: n.id, Path: path, Query: q.Encode(), Activity: "records"})
	if err != nil {
		return nil, err
	}
	if ans.Status != 200 {
		var problem agreementProblem
		_ = json.Unmarshal(ans.Body, &problem) // without a body the status says enough
		if slices.Contains(partnerSays, problem.Code) {
			return nil, errs.E(errs.KindOfStatus(ans.Status), problem.Code, nil)
		}
		return nil, errs.E(errs.KindOfStatus(ans.Status), "exchange.partner.refused", fmt.Errorf("%d %s", ans.Status, problem.Code), "node", n.id)
	}
	return ans, nil
}

// Of reads a page of what a partner's log holds of the exchanges of a subsystem of this node; as is the subsystem, "" the
// first. Partner is a member or one of its nodes. Next of a page is given as the cursor of the next call.
func (p *PartyRecords) Of(ctx context.Context, as, partner string, from, to time.Time, cursor string) (PartyPage, error) {
	sub, err := p.speaker(as)
	if err != nil {
		return PartyPage{}, err
	}
	nodes, err := p.nodes(partner)
	if err != nil {
		return PartyPage{}, err
	}
	at, rest := 0, ""
	if cursor != "" {
		id, after, ok := strings.Cut(cursor, "@")
		at = slices.IndexFunc(nodes, func(n partnerNode) bool { return n.id == id })
		if !ok || at < 0 {
			return PartyPage{}, errs.E(errs.Invalid, "exchange.partner.cursor", nil)
		}
		rest = after
	}
	page, err := p.pageOf(ctx, sub, nodes[at], from, to, rest)
	switch {
	case err != nil:
		return PartyPage{}, err
	case page.Next != "":
		page.Next = nodes[at].id + "@" + page.Next
	case at+1 < len(nodes):
		page.Next = nodes[at+1].id + "@"
	}
	return page, nil
}

// pageOf asks one node.
func (p *PartyRecords) pageOf(ctx context.Context, sub orgcode.Subsystem, n partnerNode, from, to time.Time, cursor string) (PartyPage, error) {
	q := url.Values{"cursor": {cursor}}
	for name, t := range map[string]time.Time{"from": from, "to": to} {
		if !t.IsZero() {
			q.Set(name, strconv.FormatInt(t.Unix(), 10))
		}
	}
	return p.list(ctx, sub, n, q)
}

func (p *PartyRecords) list(ctx context.Context, sub orgcode.Subsystem, n partnerNode, q url.Values) (PartyPage, error) {
	var page PartyPage
	ans, err := p.ask(ctx, sub, n, "/list", q)
	if err != nil {
		return page, err
	}
	return decodePartyPage(ans.Body, n.id)
}

// decodePartyPage reads what a node answers, and refuses what it cannot have been asked for.
func decodePartyPage(b []byte, node string) (PartyPage, error) {
	var page PartyPage
	if err := json.Unmarshal(b, &page); err != nil {
		return page, errs.E(errs.Unavailable, "exchange.partner.refused", err, "node", node)
	}
	_, err := ParsePartyPosition(page.Next)
	if err != nil || len(page.Records) > partyPage || slices.ContainsFunc(page.Records, func(r PartyRecord) bool {
		return r.Node != node || r.RequestID == "" || r.Role != RoleConsumer && r.Role != RoleProvider
	}) {
		return PartyPage{}, errs.E(errs.Unavailable, "exchange.partner.refused", err, "node", node)
	}
	return page, nil
}

// EvidenceOf fetches the evidence package that a partner has of an exchange: what its log holds, with its proofs. With
// several nodes the first that knows the exchange answers.
func (p *PartyRecords) EvidenceOf(ctx context.Context, as, partner, exchangeID string, persons bool) ([]byte, error) {
	sub, err := p.speaker(as)
	if err != nil {
		return nil, err
	}
	nodes, err := p.nodes(partner)
	if err != nil {
		return nil, err
	}
	q := url.Values{"id": {exchangeID}, "persons": {strconv.FormatBool(persons)}}
	for _, n := range nodes {
		ans, e := p.ask(ctx, sub, n, "/evidence", q)
		if e == nil {
			return ans.Body, nil
		}
		if err == nil || !errs.Is(e, errs.NotFound) {
			err = e
		}
	}
	return nil, err
}
