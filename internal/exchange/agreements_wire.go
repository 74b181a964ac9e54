package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"truc/internal/errs"
	"truc/internal/exchange/agreement"
	"truc/internal/orgcode"
	"truc/internal/reqctx"
)

// agreementNews is what travels between parties.
type agreementNews struct {
	Document   json.RawMessage       `json:"document"`
	Statements []agreement.Statement `json:"statements"`
}

// Deliver tells a party what this node knows, and learns what the party knows. An error that no repetition heals is
// Invalid, Denied or Conflict.
func (m *Agreements) Deliver(ctx context.Context, d AgreementDelivery) (err error) {
	defer errs.Wrap(&err, "deliver agreement %s to %s", d.Content, d.Member)
	a, err := m.Store.Agreement(ctx, d.Content)
	if err != nil {
		return err
	}
	body, err := json.Marshal(agreementNews{Document: a.Raw, Statements: a.Statements})
	if err != nil {
		return err
	}
	to, err := m.addressOf(d.Member)
	if err != nil {
		return err
	}
	from, err := orgcode.ParseSubsystem(m.Service.opt.Subsystems[0])
	if err != nil {
		return err
	}
	ans, err := m.Service.Call(ctx, Call{
		From: from, To: to, Method: http.MethodPost, Path: "/" + d.Content, Body: body, Header: http.Header{"Content-Type": {"application/json"}}, Activity: "agreement",
	})
	if err != nil {
		return err
	}
	if ans.Status != http.StatusOK {
		var p agreementProblem
		_ = json.Unmarshal(ans.Body, &p) // without a body the status says enough
		return errs.E(errs.KindOfStatus(ans.Status), "exchange.agreement.refused", fmt.Errorf("%s at %s", p.Code, p.Field), "member", d.Member)
	}
	var news agreementNews
	if err := json.Unmarshal(ans.Body, &news); err != nil {
		return errs.E(errs.Unavailable, "exchange.agreement.refused", err, "member", d.Member)
	}
	return m.learn(ctx, a, news.Statements)
}

// maxFetch bounds how many agreements are taken from a partner at once.
const maxFetch = 1000

// Fetch asks a member for the agreements with this one, and receives what is not known here.
func (m *Agreements) Fetch(ctx context.Context, member string) (err error) {
	defer errs.Wrap(&err, "fetch agreements from %s", member)
	var list struct {
		Agreements []agreementSummary `json:"agreements"`
	}
	if err := m.get(ctx, member, "/", &list); err != nil {
		return err
	}
	if len(list.Agreements) > maxFetch {
		list.Agreements = list.Agreements[:maxFetch]
	}
	for _, s := range list.Agreements {
		if _, err := m.Store.Agreement(ctx, s.Content); !errs.Is(err, errs.NotFound) {
			continue
		}
		if s.State != agreement.Proposed && s.State != agreement.Valid && s.State != agreement.Accepted || !agreement.IsHash(s.Content) {
			continue
		}
		var news agreementNews
		if err := m.get(ctx, member, "/"+s.Content, &news); err != nil {
			return err
		}
		if _, err := m.Receive(ctx, member, news.Document, news.Statements); err != nil {
			return err
		}
	}
	return nil
}

// get reads from the reserved service of a member.
func (m *Agreements) get(ctx context.Context, member, path string, v any) error {
	to, err := m.addressOf(member)
	if err != nil {
		return err
	}
	from, err := orgcode.ParseSubsystem(m.Service.opt.Subsystems[0])
	if err != nil {
		return err
	}
	ans, err := m.Service.Call(ctx, Call{From: from, To: to, Path: path, Activity: "agreement"})
	if err != nil {
		return err
	}
	if ans.Status != http.StatusOK {
		return errs.E(errs.KindOfStatus(ans.Status), "exchange.agreement.refused", fmt.Errorf("status %d", ans.Status), "member", member)
	}
	return json.Unmarshal(ans.Body, v)
}

// addressOf returns the reserved service of a member.
func (m *Agreements) addressOf(member string) (orgcode.Service, error) {
	for _, o := range m.Service.opt.Directory.Members() {
		if o.ID == member && len(o.Subsystems) > 0 {
			return orgcode.ParseService(o.Subsystems[0] + "/" + ServiceAgreements)
		}
	}
	return orgcode.Service{}, errs.E(errs.NotFound, "exchange.member_unknown", nil)
}

// Receive takes what another member says about an agreement. What is new and right is kept; one wrong statement refuses
// the whole message.
func (m *Agreements) Receive(ctx context.Context, from string, raw []byte, statements []agreement.Statement) (*agreement.Agreement, error) {
	a, err := m.Store.Agreement(ctx, agreement.ContentHash(raw))
	switch {
	case errs.Is(err, errs.NotFound):
		if a, err = m.receiveNew(ctx, from, raw); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(statements, func(s agreement.Statement) bool { return s.Member == from }) {
			return nil, errs.E(errs.Invalid, "exchange.agreement.fault.signature", errors.New("the sender has signed nothing"), "field", "statements")
		}
	case err != nil:
		return nil, err
	}
	if !a.IsParty(from) {
		return nil, errs.E(errs.Denied, "exchange.agreement.fault.not_party", nil, "field", "member")
	}
	if err := m.learn(ctx, a, statements); err != nil {
		return nil, err
	}
	if a, err = m.Store.Agreement(ctx, a.Content); err != nil {
		return nil, err
	}
	if st := m.status(a); st.State == agreement.Proposed && !slices.Contains(st.Signed, m.Member) && m.agreedTo(a) {
		if err := m.Accept(ctx, "system", a.Content); err != nil {
			// The proposal is kept; a person may look at it.
			m.Log.WarnContext(ctx, "an agreement of the configuration could not be accepted", slog.String("content", a.Content), slog.Any("error", err))
			return a, nil
		}
		return m.Store.Agreement(ctx, a.Content)
	}
	return a, nil
}

func (m *Agreements) receiveNew(ctx context.Context, from string, raw []byte) (*agreement.Agreement, error) {
	d, err := agreement.Decode(raw)
	if err != nil {
		return nil, agreementFault(err)
	}
	a, err := m.open(d)
	if err != nil {
		return nil, err
	}
	if !a.IsParty(from) {
		return nil, errs.E(errs.Denied, "exchange.agreement.fault.not_party", nil, "field", "member")
	}
	if !a.IsParty(m.Member) {
		return nil, errs.E(errs.Invalid, "exchange.agreement.fault.receiver", nil, "field", "grants")
	}
	all, err := m.Store.Agreements(ctx)
	if err != nil {
		return nil, err
	}
	open := 0
	for _, o := range all {
		if o.IsParty(from) && m.status(o).State == agreement.Proposed {
			open++
		}
	}
	if open >= maxOpen {
		return nil, errs.E(errs.Limited, "exchange.agreement.too_many", nil)
	}
	return a, nil
}

// learn checks statements of others and keeps the new ones. Of a party only the first acceptance and the first end count,
// so there are never more than two of each.
func (m *Agreements) learn(ctx context.Context, a *agreement.Agreement, statements []agreement.Statement) error {
	var add []agreement.Statement
	for _, s := range statements {
		same := func(o agreement.Statement) bool { return o.Member == s.Member && o.Type == s.Type }
		if slices.ContainsFunc(a.Statements, same) || slices.ContainsFunc(add, same) {
			continue
		}
		if err := a.Check(s, m.Keys, m.Now()); err != nil {
			return agreementFault(err)
		}
		if s.Member == m.Member {
			// Our own statement comes back although we do not have it: an older copy of our database is running. Its
			// signature is ours, so it holds.
			m.Log.WarnContext(ctx, "a partner knows a statement of this node that its store had lost", slog.String("content", a.Content))
		}
		add = append(add, s)
	}
	if len(add) == 0 {
		return nil
	}
	for _, s := range add {
		if err := m.Audit(ctx, "member:"+s.Member, "exchange.agreement."+s.Type+"_received", a.Content); err != nil {
			return err
		}
	}
	if err := m.Store.SaveAgreement(ctx, a, add, nil); err != nil {
		return err
	}
	return m.changed(ctx)
}

// agreementProblem is what a party answers when it refuses.
type agreementProblem struct {
	Code  string `json:"code"`
	Field string `json:"field"`
}

// agreementSummary is one line of a party's list.
type agreementSummary struct {
	Content string          `json:"content_hash"`
	State   agreement.State `json:"state"`
}

// ServeHTTP answers other members over the exchange: POST /{content hash} takes a document and statements and returns the
// statements this node knows; GET / lists the agreements in which the caller is a party, GET /{content hash} gives one of
// them; GET /publications lists what may be listed in the directory.
func (m *Agreements) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller := reqctx.CallerOf(r.Context())
	v, err := m.answer(r, caller.Member)
	if err != nil {
		key, args := errs.KeyOf(err)
		p := agreementProblem{Code: key}
		for i := 0; i+1 < len(args); i += 2 {
			if args[i] == "field" {
				p.Field, _ = args[i+1].(string)
			}
		}
		m.Log.WarnContext(r.Context(), "an agreement was refused", slog.String("member", caller.Member), slog.Any("error", err))
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		w.WriteHeader(errs.KindOf(err).Status())
		b, _ := json.Marshal(p) // two strings always marshal
		_, _ = w.Write(b)
		return
	}
	writeJSON(w, v)
}

func (m *Agreements) answer(r *http.Request, member string) (any, error) {
	ctx, content := r.Context(), strings.TrimPrefix(r.URL.Path, "/")
	if r.Method == http.MethodPost {
		var news agreementNews
		dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxNews))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&news); err != nil {
			return nil, errs.E(errs.Invalid, "exchange.agreement.fault.unreadable", err)
		}
		if agreement.ContentHash(news.Document) != content {
			return nil, errs.E(errs.Invalid, "exchange.agreement.fault.content", nil, "field", "content_hash")
		}
		a, err := m.Receive(ctx, member, news.Document, news.Statements)
		if err != nil {
			return nil, err
		}
		return agreementNews{Document: a.Raw, Statements: a.Statements}, nil
	}
	if r.Method != http.MethodGet {
		return nil, errs.E(errs.Invalid, "exchange.bad_request", nil)
	}
	switch content {
	case "":
		list, err := m.Store.Agreements(ctx)
		out := []agreementSummary{}
		for _, a := range list {
			if a.IsParty(member) {
				out = append(out, agreementSummary{a.Content, m.status(a).State})
			}
		}
		return map[string]any{"agreements": out}, err
	case "publications":
		return map[string]any{"services": notNil(m.Published())}, nil
	}
	a, err := m.Store.Agreement(ctx, content)
	if err == nil && !a.IsParty(member) {
		err = errs.E(errs.NotFound, "exchange.agreement.unknown", nil) // as if there were none
	}
	if err != nil {
		return nil, err
	}
	return agreementNews{Document: a.Raw, Statements: a.Statements}, nil
}

// Published returns the services that an agreement with the directory's member lets be listed now.
func (m *Agreements) Published() []string { return m.Service.permits.Load().Published(m.Now()) }

func notNil[E any](list []E) []E {
	if list == nil {
		return []E{}
	}
	return list
}
