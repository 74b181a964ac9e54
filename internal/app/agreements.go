package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/agreement"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangepage"
	"truc/internal/exchange/exchangestore"
	"truc/internal/orgcode"
	"truc/internal/outbox"
	"truc/internal/storage"
)

// Values of [ExchangeConfig.Agreements].
const (
	agreementsOff      = "off"
	agreementsRequired = "required"
)

// grantRequired decides whether a call of a service needs a grant: by the configuration of the service, else by that of the
// node or the policy of the network.
func (n *Node) grantRequired(service orgcode.Service) bool {
	if len(n.cfg.Exchange.AgreementsFor) > 0 {
		for _, name := range []string{service.String(), service.Subsystem + "/" + service.Code} {
			if v, ok := n.cfg.Exchange.AgreementsFor[name]; ok {
				return v == agreementsRequired
			}
		}
	}
	if n.cfg.Exchange.Agreements == agreementsRequired {
		return true
	}
	doc := n.follower.Document()
	return doc != nil && doc.Policy.Agreements
}

// untimestamped is how long the exchange's log has been without a time-stamp.
func (n *Node) untimestamped() time.Duration {
	for _, no := range n.notaries {
		if no.Log == n.evidence {
			return no.State().Untimestamped
		}
	}
	return 0
}

// checkAgreements finds what is wrong with the configuration of agreements.
func (c *Config) checkAgreements() []error {
	var faults []error
	check := func(name, v string) {
		if v != "" && v != agreementsOff && v != agreementsRequired {
			faults = append(faults, fmt.Errorf("%s: %q is neither %q nor %q", name, v, agreementsOff, agreementsRequired))
		}
	}
	check("exchange.agreements", c.Exchange.Agreements)
	for service, v := range c.Exchange.AgreementsFor {
		check("exchange.agreements_for."+service, v)
		if strings.Count(service, "/") != 1 && strings.Count(service, "/") != 4 {
			faults = append(faults, fmt.Errorf("exchange.agreements_for: %q is neither subsystem/service nor a full identifier", service))
		}
	}
	if m := c.Exchange.CenterMember; m != "" && !agreement.IsMember(m) {
		faults = append(faults, fmt.Errorf("exchange.center_member: %q is no member such as VN/GOV/G22", m))
	}
	return faults
}

// startAgreements opens the agreements of this node's member and puts them into force.
func (n *Node) startAgreements(ctx context.Context) error {
	terms, err := readTerms(n.cfg.Exchange.Terms, n.cfg.Instance)
	if err != nil {
		return err
	}
	n.agreements = &exchange.Agreements{
		Service: n.exchange, Store: &exchangestore.AgreementStore{DB: n.db, Now: n.now, Wake: n.relay.Wake}, Instance: n.cfg.Instance, Member: n.cfg.MemberID(),
		Keys: agreementKeys{directoryView{n.follower}}, KeysOf: n.signingKeysOf, Center: n.centerMember, Left: n.hasLeft, Terms: terms, Audit: n.act, Now: n.now, Log: n.log,
		Changed: func() { // what waited for an agreement may try again
			select {
			case n.directoryNews <- struct{}{}:
			default:
			}
		},
	}
	if err := n.agreements.Load(ctx); err != nil {
		return err
	}
	n.exchange.Reserve(exchange.ServiceAgreements, n.agreements)
	n.relay.Handlers[exchangestore.TopicAgreement] = func(ctx context.Context, m outbox.Message) error {
		var d exchange.AgreementDelivery
		if err := json.Unmarshal(m.Payload, &d); err != nil {
			return outbox.Permanent(err)
		}
		err := n.agreements.Deliver(ctx, d)
		switch errs.KindOf(err) {
		case errs.Invalid, errs.Denied, errs.Conflict, errs.TooLarge:
			return outbox.Permanent(err)
		default:
			return err
		}
	}
	n.every("exchange.agreements.left", time.Second, n.endOfLeavers())
	if len(terms) > 0 {
		n.background("exchange.agreements", n.proposeTerms)
	}
	if n.db.Engine() == storage.Postgres { // another process of this node may have changed something
		n.every("exchange.agreements.sync", time.Second, n.agreements.Sync)
	}
	if err := (&exchangeapi.ManageAgreements{Agreements: n.agreements}).Declare(n.manage); err != nil {
		return err
	}
	pages := &exchangepage.AgreementPages{Agreements: n.agreements, Renderer: n.renderer, MemberName: n.memberName, Now: n.now}
	return pages.Mount(n.mux)
}

// proposeTerms proposes what the configuration holds as soon as the other sides are in the directory, and looks again
// from time to time, because an agreement ends.
func (n *Node) proposeTerms(ctx context.Context) error {
	pause := 250 * time.Millisecond
	for {
		left, err := n.agreements.ProposeOwn(ctx)
		if err != nil && ctx.Err() == nil {
			n.log.WarnContext(ctx, "an agreement of the configuration could not be proposed", slog.Any("error", err))
		}
		switch {
		case left > 0 || err != nil:
			pause = min(2*pause, 30*time.Second)
		default:
			pause = 10 * time.Minute
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// readTerms reads the agreements of the configuration.
func readTerms(paths []string, instance string) ([]agreement.Document, error) {
	var out []agreement.Document
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("exchange.terms: %w", err)
		}
		d, err := agreement.DecodeDraft(b)
		if err != nil {
			return nil, fmt.Errorf("exchange.terms: %s: %w", p, err)
		}
		if d.Instance == "" {
			d.Instance = instance
		}
		out = append(out, *d)
	}
	return out, nil
}

// centerMember is the member that keeps the directory, as far as this node knows.
func (n *Node) centerMember() string {
	if n.cfg.Directory.Center {
		return n.cfg.MemberID()
	}
	return n.cfg.Exchange.CenterMember
}

// memberName is a member as people know it.
func (n *Node) memberName(id, lang string) string {
	doc := n.follower.Document()
	if doc == nil {
		return id
	}
	m, ok := doc.Member(id)
	if !ok {
		return id
	}
	return m.Name.In(lang)
}

// signingKeysOf returns the keys with which the nodes of a subsystem may sign now.
func (n *Node) signingKeysOf(subsystem string) []string {
	doc := n.follower.Document()
	if doc == nil {
		return nil
	}
	now := n.now().Unix()
	var out []string
	for _, node := range doc.NodesOf(subsystem) {
		for _, k := range node.Keys {
			if !doc.IsRevoked(k.KeyID) && (k.NotBefore == 0 || k.NotBefore <= now) && (k.NotAfter == 0 || now < k.NotAfter) {
				out = append(out, k.KeyID)
			}
		}
	}
	return out
}

// agreementKeys meets agreement.Keys with the node's copy of the directory.
type agreementKeys struct{ directory directoryView }

// SigningKey implements [agreement.Keys].
func (a agreementKeys) SigningKey(id string) (agreement.Key, error) {
	k, err := a.directory.Key(id)
	if err != nil {
		return agreement.Key{}, err
	}
	i := strings.LastIndexByte(k.ServerID, '/')
	if i < 0 {
		return agreement.Key{}, errors.New("the key belongs to no node")
	}
	return agreement.Key{Public: k.Public, Member: k.ServerID[:i], NotBefore: k.NotBefore, NotAfter: k.NotAfter, Revoked: k.Revoked}, nil
}

// Succeeds implements [agreement.Keys].
func (a agreementKeys) Succeeds(newID, oldID string) bool {
	doc := a.directory.follower.Document()
	return doc != nil && doc.Succeeds(newID, oldID)
}
