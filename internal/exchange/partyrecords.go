package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/reqctx"
	"truc/internal/translog"
)

// ServiceRecords is the reserved service under which every subsystem of a node tells its partners what its log holds of
// the exchanges they were parties of (spec §3.6, LOG-READ). It needs no grant, but like every call it is signed and logged
// on both sides.
const ServiceRecords = "exchange-records"

const (
	// partyPage is how many records an answer holds at most.
	partyPage = 500
	// maxPartyReads bounds how many answers are being made at once, and for one member: they read the log.
	maxPartyReads, maxMemberReads = 8, 2
	// maxRecordID bounds an exchange id, as on the link.
	maxRecordID = 256
)

// PartyRecord is what a node's log holds of one exchange, as it is told to a party of it. Digests and signatures are
// those of the log's entries, so that two sides can be held against each other without a body or a person's id in it.
type PartyRecord struct {
	ExchangeID string `json:"exchange_id"`
	RequestID  string `json:"request_id" doc:"the same on both sides"`
	Role       string `json:"role" enum:"consumer,provider" doc:"of the node that tells"`
	Node       string `json:"node" doc:"that tells"`
	Peer       string `json:"peer" doc:"the other one"`
	Client     string `json:"client"`
	Service    string `json:"service"`
	Method     string `json:"method"`
	Path       string `json:"path" doc:"without long numbers"`
	Status     int    `json:"status"`
	Outcome    string `json:"outcome" doc:"ok or the type of a fault"`
	At         int64  `json:"at" doc:"Unix microseconds by the clock of the node that tells"`
	Activity   string `json:"activity,omitempty"`
	Dossier    string `json:"dossier,omitempty"`
	Grant      string `json:"grant,omitempty"`
	Delegator  string `json:"delegator,omitempty" doc:"member on whose behalf the call was made"`
	// ServiceDelegator is the member for whom the provider runs the service.
	ServiceDelegator  string `json:"service_delegator,omitempty" doc:"member for whom the provider runs the service"`
	RequestSize       int64  `json:"request_size"`
	ResponseSize      int64  `json:"response_size"`
	RequestDigest     string `json:"request_digest" doc:"Content-Digest"`
	RequestSignature  string `json:"request_signature"`
	ResponseDigest    string `json:"response_digest"`
	ResponseSignature string `json:"response_signature" doc:"empty when no signed answer came"`
}

// PartyPosition is where a page of records ended. It names nothing that the reader has not been told.
type PartyPosition struct {
	At              int64 // Unix microseconds
	RequestID, Role string
}

// String writes a position as it travels; the zero position is empty.
func (p PartyPosition) String() string {
	if p == (PartyPosition{}) {
		return ""
	}
	return strconv.FormatInt(p.At, 10) + "." + p.Role + "." + p.RequestID
}

// ParsePartyPosition reads what String wrote.
func ParsePartyPosition(s string) (p PartyPosition, err error) {
	if s == "" {
		return p, nil
	}
	at, rest, _ := strings.Cut(s, ".")
	role, id, ok := strings.Cut(rest, ".")
	if p.At, err = strconv.ParseInt(at, 10, 64); err != nil || !ok || role != RoleConsumer && role != RoleProvider || id == "" || len(s) > 200 {
		return PartyPosition{}, errs.E(errs.Invalid, "exchange.partner.cursor", err)
	}
	p.Role, p.RequestID = role, id
	return p, nil
}

// PartyQuery asks the index for the exchanges of one party, the oldest first.
type PartyQuery struct {
	// Subsystem is the party that called or was called, Member the one on whose behalf either was done.
	Subsystem, Member string
	// ExchangeID, when set, is the only exchange that is meant.
	ExchangeID string
	// From and To bound the time of arrival: not before From, before To. Zero is open.
	From, To time.Time
	After    PartyPosition
	Limit    int
}

// PartyStore is the part of the index that partners may look into.
type PartyStore interface {
	// OfParty returns rows by time, request id and role.
	OfParty(ctx context.Context, q PartyQuery) ([]Message, error)
}

// PartyRecords tells partners what this node's log holds of their exchanges, and asks partners the same.
type PartyRecords struct {
	Service *Service
	Store   PartyStore
	// Audit records an act before it happens; when it fails, so does the act.
	Audit func(ctx context.Context, actor, action, object string) error
	Now   func() time.Time
	Log   *slog.Logger

	mu      sync.Mutex // guards reading
	reading map[string]int
	total   int
}

// PartyPage is a page of records.
type PartyPage struct {
	Records []PartyRecord `json:"records"`
	// Next is where the next page begins; empty at the end.
	Next string `json:"next"`
	// PrunedUntil is the time (Unix microseconds) up to which exchanges of the span were removed from the log under the
	// retention policy; 0 for none. Nothing can be proved about those any more, so they are not told.
	PrunedUntil int64 `json:"pruned_until"`
}

// Own returns a page of what this node's own log holds.
func (p *PartyRecords) Own(ctx context.Context, q PartyQuery) (PartyPage, error) {
	if q.Limit <= 0 || q.Limit > partyPage {
		q.Limit = partyPage
	}
	out := PartyPage{Records: []PartyRecord{}}
	if err := p.Service.Flush(ctx); err != nil {
		return out, err
	}
	rows, err := p.Store.OfParty(ctx, q)
	if err != nil {
		return out, err
	}
	for _, m := range rows {
		r, err := p.Service.partyRecord(m)
		if errors.Is(err, translog.ErrPruned) {
			out.PrunedUntil = max(out.PrunedUntil, micros(m.At))
			continue
		}
		if err != nil {
			return out, err
		}
		out.Records = append(out.Records, r)
	}
	if len(rows) == q.Limit {
		last := rows[len(rows)-1]
		out.Next = PartyPosition{micros(last.At), last.RequestID, last.Role}.String()
	}
	return out, nil
}

// partyRecord reads the entries of a row.
func (s *Service) partyRecord(m Message) (PartyRecord, error) {
	r := PartyRecord{
		ExchangeID: m.ExchangeID, RequestID: m.RequestID, Role: m.Role, Node: s.opt.ServerID, Peer: m.Peer, Client: m.Client, Service: m.Service,
		Method: m.Method, Path: m.Path, Status: m.Status, Outcome: m.Outcome, At: micros(m.At), Activity: m.Activity, Dossier: m.Dossier, Grant: m.Grant,
		Delegator: m.Delegator, ServiceDelegator: m.ServiceDelegator, RequestSize: m.RequestSize, ResponseSize: m.ResponseSize,
	}
	own, err := s.ownEntries(&m, []int64{m.RequestIndex, m.RequestBodyIndex, m.ResponseIndex, m.ResponseBodyIndex})
	if err != nil {
		return r, err
	}
	if len(own) == 0 && max(m.RequestIndex, m.ResponseIndex) >= 0 {
		r.Node = "" // it is in the log of another process of this member
	}
	for _, i := range own {
		b, err := s.opt.Log.Entry(i)
		if err != nil {
			return r, err
		}
		e, err := decodeEntry(b)
		if err != nil {
			return r, err
		}
		switch e.Direction { // the entry about a body comes after that of its head, and knows the digest
		case directionRequest:
			r.RequestDigest, r.RequestSignature = e.RequestDigest, e.Signature
		case directionRequestBody:
			r.RequestDigest = e.RequestDigest
		case directionResponse:
			r.ResponseDigest, r.ResponseSignature = e.ResponseDigest, e.Signature
		case directionResponseBody:
			r.ResponseDigest = e.ResponseDigest
		}
	}
	return r, nil
}

// ServeHTTP answers partners over the exchange: GET /list gives a page of the caller's exchanges (from and to in Unix
// seconds, cursor, limit; or id for those with one X-Road-Id), GET /evidence?id= the evidence package of one. The caller
// is a party where its subsystem called or was called, or its member is one on whose behalf that was done; what others
// did does not exist for it.
func (p *PartyRecords) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller := reqctx.CallerOf(r.Context())
	if err := p.answer(w, r, caller); err != nil {
		key, _ := errs.KeyOf(err)
		if errs.KindOf(err) == errs.Internal {
			p.Log.WarnContext(r.Context(), "records could not be told to a partner", slog.String("member", caller.Member), slog.Any("error", err))
		}
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		w.WriteHeader(errs.KindOf(err).Status())
		b, _ := json.Marshal(agreementProblem{Code: key}) // two strings always marshal
		_, _ = w.Write(b)
	}
}

func (p *PartyRecords) answer(w http.ResponseWriter, r *http.Request, caller reqctx.Caller) error {
	if r.Method != http.MethodGet {
		return errs.E(errs.Invalid, "exchange.bad_request", nil)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errs.E(errs.Invalid, "exchange.bad_request", err)
	}
	done, ok := p.begin(caller.Member)
	if !ok {
		return errs.E(errs.Limited, "exchange.partner.busy", nil)
	}
	defer done()
	switch r.URL.Path {
	case "/list":
		q, err := partyQuery(query)
		if err != nil {
			return err
		}
		q.Subsystem, q.Member = caller.Subsystem, caller.Member
		page, err := p.Own(r.Context(), q)
		if err == nil {
			writeJSON(w, page)
		}
		return err
	case "/evidence":
		return p.evidence(w, r, caller, query)
	}
	return errs.E(errs.NotFound, "error.not_found", nil)
}

// begin counts an answer that is being made; done ends it.
func (p *PartyRecords) begin(member string) (done func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total >= maxPartyReads || p.reading[member] >= maxMemberReads {
		return nil, false
	}
	if p.reading == nil {
		p.reading = map[string]int{}
	}
	p.total++
	p.reading[member]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.total--
		if p.reading[member]--; p.reading[member] == 0 {
			delete(p.reading, member)
		}
	}, true
}

// partyQuery reads what a partner asks for.
func partyQuery(v url.Values) (q PartyQuery, err error) {
	number := func(name string, most int64) (int64, error) {
		s := v.Get(name)
		if s == "" {
			return 0, nil
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || n > most {
			return 0, errs.E(errs.Invalid, "exchange.partner.span", err)
		}
		return n, nil
	}
	const latest = 253402300799 // the last second of the year 9999
	from, err1 := number("from", latest)
	to, err2 := number("to", latest)
	limit, err3 := number("limit", partyPage)
	after, err4 := ParsePartyPosition(v.Get("cursor"))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return q, errs.E(errs.Invalid, "exchange.partner.span", err)
	}
	if to > 0 && to < from || len(v.Get("id")) > maxRecordID {
		return q, errs.E(errs.Invalid, "exchange.partner.span", nil)
	}
	q = PartyQuery{ExchangeID: v.Get("id"), After: after, Limit: int(limit)}
	if from > 0 {
		q.From = time.Unix(from, 0)
	}
	if to > 0 {
		q.To = time.Unix(to, 0)
	}
	return q, nil
}

// evidence hands an evidence package to a party. Ids of persons go only to the two that already exchanged them, and
// bodies to nobody: who sent or received one has it.
func (p *PartyRecords) evidence(w http.ResponseWriter, r *http.Request, caller reqctx.Caller, query url.Values) error {
	id, persons := query.Get("id"), query.Get("persons") == "true"
	if id == "" || len(id) > maxRecordID {
		return errs.E(errs.NotFound, "exchange.evidence_none", nil)
	}
	opt := EvidenceOptions{Party: caller.Subsystem, Persons: persons}
	rows, err := p.Store.OfParty(r.Context(), PartyQuery{Subsystem: caller.Subsystem, Member: caller.Member, ExchangeID: id, Limit: partyPage})
	if err == nil {
		rows = opt.keep(rows)
	}
	if err != nil || len(rows) == 0 {
		return errs.E(errs.NotFound, "exchange.evidence_none", err)
	}
	action := "exchange.evidence.export"
	if persons {
		action += "_persons"
	}
	if err := p.Audit(r.Context(), "member:"+caller.Member, action, id); err != nil {
		return err
	}
	b, err := p.Service.Evidence(r.Context(), id, opt)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	_, _ = w.Write(b) //nolint:gosec // a package of this node's own log, as the type says
	return nil
}
