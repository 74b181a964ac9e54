package exchangeapi

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/exchange"
	"truc/internal/orgcode"
)

// Caller is the consumer role; [exchange.Service] answers.
type Caller interface {
	Call(ctx context.Context, c exchange.Call) (*exchange.Answer, error)
	ClientList() []exchange.ClientEntry
	// Usable returns the fault of a node that may not exchange anything now.
	Usable() error
	// Hosts reports whether this node speaks for a subsystem.
	Hosts(sub orgcode.Subsystem) bool
}

// Edge speaks the X-Road message protocol for REST (r1) with programs of the own agency (spec §2).
type Edge struct {
	Service Caller
	// Keys knows the programs.
	Keys exchange.KeyStore
	// Instance names the network, for listClients.
	Instance string
	// MetadataPublic opens listClients and verificationconf to programs that do not say who they are, as X-Road does; for an
	// internal listener only (spec D9).
	MetadataPublic bool
	// ErrorCodes is [exchange.CodesSnake], or [exchange.CodesLegacy] for the names before X-Road 7.8; empty is snake. A
	// client record may say otherwise.
	ErrorCodes string
	// Native makes every answer use native statuses; a program asks for them with "Truc-Mode: native".
	Native bool
	// OpenClients are subsystems for which programs need not prove who they are. It has an effect only on connections from
	// this machine, to a listener that only this machine reaches.
	OpenClients []string
	// Proofs checks the proofs of bound tokens; without it there are none.
	Proofs *exchange.Proofs
	// HTTPS is set when programs reach a listener without TLS by https, through a proxy.
	HTTPS bool
	// Evidence gives out evidence for /asic; without it the address is not there.
	Evidence EvidenceSource
	// Budget bounds the bodies held in memory; nil bounds nothing.
	Budget *exchange.Budget
	// Idle is how long a body that streams may stand still before it is cut; 0 is a minute.
	Idle time.Duration
	// Now is the clock, for the dates of certificates and for deadlines; nil refuses programs with certificates, and
	// requests with a deadline.
	Now func() time.Time
	Log *slog.Logger
}

// HashKey returns the form in which an API key is kept.
func HashKey(secret string) string { return exchange.HashKey(secret) }

// Wrap answers the edge's addresses and gives the rest to next. It must be outside of any router.
func (e *Edge) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.claims(r.RequestURI) {
			e.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (e *Edge) claims(target string) bool {
	if len(target) > 3 && target[:2] == "/r" && target[2] >= '0' && target[2] <= '9' && target[3] == '/' {
		return true
	}
	switch path, _, _ := strings.Cut(target, "?"); path {
	case "/listClients":
		return true
	case "/asic", "/verificationconf":
		return e.Evidence != nil
	}
	return false
}

// ServeHTTP implements [http.Handler].
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path, query, _ := strings.Cut(r.RequestURI, "?"); {
	case path == "/listClients":
		e.listClients(w, r, query)
	case path == "/asic" && e.Evidence != nil:
		e.asic(w, r, query)
	case path == "/verificationconf" && e.Evidence != nil:
		e.verificationConf(w, r)
	case !e.claims(r.RequestURI):
		http.Error(w, "not found", http.StatusNotFound)
	default:
		e.exchange(w, r)
	}
}

// exchange carries one request.
func (e *Edge) exchange(w http.ResponseWriter, r *http.Request) {
	r = e.known(r)
	up := &upload{w: w, r: r, budget: e.Budget, idle: e.Idle}
	defer up.done()
	a, c, err := e.call(r.Context(), up) //nolint:contextcheck // r carries it
	if err != nil {
		e.fail(w, r, err)
		return
	}
	h := w.Header()
	maps.Copy(h, a.Header)
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = nil // net/http would guess one
	}
	// X-Road writes these names in lower case and in this order; the order is lost in net/http.
	h["x-road-id"] = []string{a.ExchangeID}
	h["x-road-client"] = []string{escapeID(c.From.String())}
	h["x-road-service"] = []string{escapeID(c.To.String())}
	h["x-road-request-id"] = []string{a.RequestID}
	if a.Hash != "" {
		h["x-road-request-hash"] = []string{a.Hash}
	}
	if a.BodyReader != nil {
		streamAnswer(w, a, e.Idle)
		return
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// escapeID writes an identifier as X-Road does: each segment percent-encoded but for the characters that a path may hold
// (pchar of RFC 3986 §3.3).
func escapeID(id string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		switch {
		case c == '/', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~!$&'()*+,;=:@", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// last is X-Road's rule for a repeated header.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return strings.TrimSpace(values[len(values)-1])
}

// clientOf reads X-Road-Client.
func clientOf(r *http.Request) (orgcode.Subsystem, error) {
	raw := last(r.Header.Values(exchange.HeaderClient))
	if raw == "" {
		return orgcode.Subsystem{}, exchange.NewFault("client.", "missing_header", errors.New("X-Road-Client"))
	}
	plain, err := exchange.ParseID(raw)
	if err != nil {
		return orgcode.Subsystem{}, exchange.NewFault("client.", "invalid_client_identifier", err)
	}
	sub, err := orgcode.ParseSubsystem(plain)
	if err == nil {
		return sub, nil
	}
	if p := strings.Split(plain, "/"); len(p) == 3 {
		if m, err := orgcode.ParseSubsystem(plain + "/x"); err == nil {
			m.Code = "" // a bare member: well-formed, but no local subsystem (spec D11)
			return m, nil
		}
	}
	return orgcode.Subsystem{}, exchange.NewFault("client.", "invalid_client_identifier", err)
}

// methods are those of the protocol (spec §2.1).
var methods = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}

// call checks in the order of spec §2.7: configuration, identifiers, registered client, authentication; the rest is the
// service's.
func (e *Edge) call(ctx context.Context, up *upload) (*exchange.Answer, exchange.Call, error) {
	c, err := e.prepare(up.r)
	if err != nil {
		return nil, c, err
	}
	if err := up.read(&c); err != nil {
		return nil, c, err
	}
	a, err := e.Service.Call(ctx, c)
	return a, c, err
}

// prepare makes the call of a request, without its body.
func (e *Edge) prepare(r *http.Request) (exchange.Call, error) {
	if err := e.Service.Usable(); err != nil {
		return exchange.Call{}, err
	}
	c, err := e.parse(r)
	if err != nil {
		return c, err
	}
	if c.From, err = e.authenticate(r); err != nil {
		return c, err
	}
	c.Header = onward(r.Header, identityOf(r).used)
	return c, nil
}

// parse reads everything about a request that needs no knowledge of who asks.
func (e *Edge) parse(r *http.Request) (exchange.Call, error) {
	bad := func(cause error) (exchange.Call, error) {
		return exchange.Call{}, exchange.NewFault("client.", "bad_request", cause)
	}
	if !strings.HasPrefix(r.RequestURI, "/r1/") {
		return bad(errors.New("only version r1 is spoken"))
	}
	t, err := exchange.ParseTarget("r1", r.RequestURI)
	switch {
	case errors.Is(err, exchange.ErrTargetTooLong):
		return exchange.Call{}, exchange.NewFault("client.", "target_too_long", err)
	case err != nil:
		return bad(err)
	case !slices.Contains(methods, r.Method):
		return exchange.Call{}, exchange.NewFault("client.", "invalid_http_method", nil)
	}
	c := exchange.Call{
		To: t.Service, Method: r.Method, Path: t.Path.String(), Query: t.Query, Native: e.native(r),
		ID: last(r.Header.Values(exchange.HeaderID)), UserID: last(r.Header.Values(exchange.HeaderUserID)), Dossier: last(r.Header.Values(exchange.HeaderIssue)),
	}
	if len(c.ID) > maxMessageID {
		return bad(errors.New("X-Road-Id is too long"))
	}
	c.Activity, c.Basis = exchange.ParsePurpose(last(r.Header.Values(exchange.HeaderPurpose)))
	if raw := last(r.Header.Values(exchange.HeaderServer)); raw != "" {
		// A server is named like a subsystem: four segments.
		plain, err := exchange.ParseID(raw)
		if err == nil {
			_, err = orgcode.ParseSubsystem(plain)
		}
		if err != nil {
			return c, exchange.NewFault("client.", "invalid_security_server", err)
		}
		c.Server = plain
	}
	if c.Party, err = parseParty(last(r.Header.Values(exchange.HeaderParty))); err != nil {
		return bad(err)
	}
	if raw := last(r.Header.Values(exchange.HeaderDeadline)); raw != "" {
		ms, err := strconv.ParseInt(raw, 10, 64)
		if err != nil || e.Now == nil {
			return bad(errors.New("Truc-Deadline is no time in milliseconds"))
		}
		if c.Timeout = time.UnixMilli(ms).Sub(e.Now()); c.Timeout <= 0 {
			return c, exchange.NewFault("server.clientproxy.", "deadline_exceeded", errors.New("the deadline had passed"))
		}
		c.Timeout = min(c.Timeout, exchange.MaxTimeout)
	}
	return c, nil
}

// maxMessageID is the longest X-Road-Id that providers take.
const maxMessageID = 256

// parseParty reads X-Road-Represented-Party: "[class/]code" (spec §2.2). Whether the party is believed is the grants' business.
func parseParty(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	plain, err := exchange.ParseID(raw)
	if err != nil {
		return "", err
	}
	switch strings.Count(plain, "/") {
	case 0:
		_, err = orgcode.ParseSubsystem("x/x/x/" + plain)
	case 1:
		_, err = orgcode.ParseSubsystem("x/x/" + plain)
	default:
		err = errors.New("a represented party has at most two segments")
	}
	return plain, err
}

// onward copies the headers that travel on: not those that proved who asks, and of ours only what the call says itself (spec
// §4.2). What belongs to one connection only, the exchange drops.
func onward(h http.Header, used []string) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		switch {
		case strings.HasPrefix(name, "Truc-"), slices.Contains(used, name):
		case (name == "X-Api-Key" || name == "Authorization") && slices.ContainsFunc(values, isOurs):
		case name == exchange.HeaderServer:
			out[name] = []string{last(values)}
		default:
			out[name] = values
		}
	}
	return out
}

// isOurs reports whether a credential was made by a node, and so must not travel.
func isOurs(v string) bool {
	return strings.Contains(v, "truc_key_") || strings.Contains(v, "truc_dpop_")
}
