package exchangeapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/delivery"
	"truc/internal/orgcode"
)

// Messages is asynchronous delivery as programs use it; [delivery.Service] answers.
type Messages interface {
	Submit(ctx context.Context, m delivery.Message) (id string, err error)
	Status(ctx context.Context, sender, id string) (delivery.Outgoing, error)
	Next(ctx context.Context, service string) (delivery.Incoming, error)
	Leased(ctx context.Context, lease string) (delivery.Incoming, error)
	Ack(ctx context.Context, lease string, a delivery.Answer) error
	Reject(ctx context.Context, lease, reason string) error
}

// Async is the edge for messages (spec §4.10). Programs authenticate as at the X-Road edge.
//
//	POST /a1/{service}{path}                      202 with Location /a1/messages/{id}; also PUT, PATCH, DELETE
//	… /r1/{service}{path}, Prefer: respond-async  the same
//	GET  /a1/messages/{id}                        what became of it
//	GET  /a1/inbox?service={service}              the next message under a lease, or 204
//	POST /a1/inbox/{lease}/ack, …/reject          the end of a lease; a body of ack is the answer to the sender
type Async struct {
	Edge     *Edge
	Messages Messages
}

// Wrap answers the addresses of messages and gives the rest to next. It must be outside of any router.
func (a *Async) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, query, _ := strings.Cut(r.RequestURI, "?")
		r1 := strings.HasPrefix(path, "/r1/") && wantsAsync(r)
		if !r1 && !strings.HasPrefix(path, "/a1/") {
			next.ServeHTTP(w, r)
			return
		}
		r = a.Edge.known(r)
		var err error
		switch {
		case r1:
			err = a.submit(w, r, "r1")
		case strings.HasPrefix(path, "/a1/messages/"):
			err = a.status(w, r, strings.TrimPrefix(path, "/a1/messages/"))
		case path == "/a1/inbox":
			err = a.lease(w, r, query)
		case strings.HasPrefix(path, "/a1/inbox/"):
			err = a.endLease(w, r, strings.TrimPrefix(path, "/a1/inbox/"))
		default:
			err = a.submit(w, r, "a1")
		}
		if err != nil {
			a.Edge.fail(w, r, asFault(err))
		}
	})
}

// wantsAsync reads the preference of RFC 7240 §4.1; for a request that asks and changes nothing it has no meaning.
func wantsAsync(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return false
	}
	for _, v := range r.Header.Values("Prefer") {
		for p := range strings.SplitSeq(v, ",") {
			name, _, _ := strings.Cut(p, ";")
			if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
				return true
			}
		}
	}
	return false
}

// asFault puts our errors into X-Road's vocabulary.
func asFault(err error) error {
	if _, ok := errors.AsType[*exchange.Fault](err); ok {
		return err
	}
	switch errs.KindOf(err) {
	case errs.Invalid:
		return exchange.NewFault("client.", "bad_request", err)
	case errs.TooLarge:
		return exchange.NewFault("client.", "invalid_body", err, "megabytes", delivery.MaxBody>>20)
	case errs.NotFound:
		return exchange.NewFault("client.", "not_found", err)
	case errs.Conflict:
		return exchange.NewFault("client.", "message_id_reused", err)
	case errs.Denied:
		return exchange.NewFault("server.clientproxy.", "ssl_authentication_failed", err)
	default:
		return exchange.NewFault("server.clientproxy.", "internal_error", err)
	}
}

// client authenticates the program and returns the subsystem it speaks for.
func (a *Async) client(r *http.Request) (orgcode.Subsystem, error) {
	return a.Edge.authenticate(r)
}

func (a *Async) submit(w http.ResponseWriter, r *http.Request, prefix string) error {
	t, err := exchange.ParseTarget(prefix, r.RequestURI)
	if err != nil {
		return exchange.NewFault("client.", "bad_request", err)
	}
	from, err := a.client(r)
	if err != nil {
		return err
	}
	if len(r.Header.Values(exchange.HeaderParty)) > 0 {
		return exchange.NewFault("server.clientproxy.", "access_denied", errors.New("a message is not sent for another party"))
	}
	m := delivery.Message{
		From: from, To: t.Service, Method: r.Method, Path: t.Path.String(), Query: t.Query, ContentType: r.Header.Get("Content-Type"),
		ID: last(r.Header.Values(exchange.HeaderID)), UserID: last(r.Header.Values(exchange.HeaderUserID)), Dossier: last(r.Header.Values(exchange.HeaderIssue)),
		OrderKey: last(r.Header.Values(delivery.HeaderOrderKey)),
	}
	m.Activity, m.Basis = exchange.ParsePurpose(r.Header.Get(exchange.HeaderPurpose))
	if v := last(r.Header.Values(delivery.HeaderExpires)); v != "" {
		if m.Expires, err = time.Parse(time.RFC3339, v); err != nil {
			return exchange.NewFault("client.", "bad_request", err)
		}
	}
	if m.Body, err = readAll(http.MaxBytesReader(w, r.Body, delivery.MaxBody), r.ContentLength); err != nil {
		return exchange.NewFault("client.", "invalid_body", err, "megabytes", delivery.MaxBody>>20)
	}
	id, err := a.Messages.Submit(r.Context(), m)
	if err != nil {
		return err
	}
	if prefix == "r1" {
		w.Header().Set("Preference-Applied", "respond-async")
	}
	w.Header().Set("Location", "/a1/messages/"+url.PathEscape(id))
	return writeReply(w, http.StatusAccepted, messageStatus{ID: id, State: delivery.Queued})
}

// messageStatus is the status resource. Personal data are not in it.
type messageStatus struct {
	ID       string         `json:"id"`
	State    delivery.State `json:"state"`
	Service  string         `json:"service,omitempty"`
	Attempts int            `json:"attempts,omitempty"`
	Created  time.Time      `json:"created,omitzero"`
	Expires  time.Time      `json:"expires,omitzero"`
	Sent     time.Time      `json:"sent,omitzero"`
	Accepted time.Time      `json:"accepted,omitzero"`
	Done     time.Time      `json:"done,omitzero"`
	Error    string         `json:"error,omitempty"`
	// Answer is the service's, when it gave one.
	Answer *messageAnswer `json:"answer,omitempty"`
}

type messageAnswer struct {
	Status      int    `json:"status"`
	ContentType string `json:"contentType,omitempty"`
	Body        []byte `json:"body"`
}

func (a *Async) status(w http.ResponseWriter, r *http.Request, escaped string) error {
	id, err := url.PathUnescape(escaped)
	if err != nil || r.Method != http.MethodGet {
		return exchange.NewFault("client.", "bad_request", err)
	}
	from, err := a.client(r)
	if err != nil {
		return err
	}
	m, err := a.Messages.Status(r.Context(), from.String(), id)
	if err != nil {
		return err
	}
	st := messageStatus{
		ID: m.ID, State: m.State, Service: m.To.String(), Attempts: m.Attempts, Created: m.Created, Expires: m.Expires, Sent: m.SentAt, Accepted: m.Taken, Done: m.Done,
		Error: m.Error,
	}
	if m.State == delivery.Answered || m.State == delivery.Dead && m.Status != 0 {
		st.Answer = &messageAnswer{Status: m.Status, ContentType: m.AnswerType, Body: m.Answer}
	}
	return writeReply(w, http.StatusOK, st)
}

func (a *Async) lease(w http.ResponseWriter, r *http.Request, query string) error {
	q, err := url.ParseQuery(query)
	if err != nil || r.Method != http.MethodGet {
		return exchange.NewFault("client.", "bad_request", err)
	}
	from, err := a.client(r)
	if err != nil {
		return err
	}
	service, err := orgcode.ParseService(q.Get("service"))
	if err != nil {
		return exchange.NewFault("client.", "bad_request", err)
	}
	if service.Owner() != from {
		return exchange.NewFault("server.clientproxy.", "access_denied", errors.New("the inbox is of another subsystem"))
	}
	in, err := a.Messages.Next(r.Context(), service.String())
	if errs.Is(err, errs.NotFound) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	h := w.Header()
	for name, v := range map[string]string{
		delivery.HeaderLease: in.Lease, exchange.HeaderClient: in.Sender, exchange.HeaderID: in.ID, exchange.HeaderPurpose: in.Purpose,
		exchange.HeaderIssue: in.Dossier, exchange.HeaderUserID: in.UserID, delivery.HeaderOrderKey: in.OrderKey, "Content-Type": in.ContentType,
		"Truc-Method": in.Method, "Truc-Path": in.Path, "Truc-Query": in.Query, "Truc-Lease-Until": in.LeasedUntil.UTC().Format(time.RFC3339),
	} {
		if v != "" {
			h.Set(name, v)
		}
	}
	if in.ContentType == "" {
		h["Content-Type"] = nil
	}
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(in.Body)
	return nil
}

func (a *Async) endLease(w http.ResponseWriter, r *http.Request, rest string) error {
	lease, verb, _ := strings.Cut(rest, "/")
	if r.Method != http.MethodPost || !slices.Contains([]string{"ack", "reject"}, verb) {
		return exchange.NewFault("client.", "bad_request", nil)
	}
	from, err := a.client(r)
	if err != nil {
		return err
	}
	in, err := a.Messages.Leased(r.Context(), lease)
	if err != nil {
		return err
	}
	if service, err := orgcode.ParseService(in.Service); err != nil || service.Owner() != from {
		return errs.E(errs.NotFound, "delivery.lease_unknown", err) // a lease of another's is not there
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, 1<<20), r.ContentLength)
	if err != nil {
		return exchange.NewFault("client.", "invalid_body", err, "megabytes", 1)
	}
	if verb == "ack" {
		err = a.Messages.Ack(r.Context(), lease, delivery.Answer{Status: http.StatusOK, ContentType: r.Header.Get("Content-Type"), Body: body})
	} else {
		err = a.Messages.Reject(r.Context(), lease, string(body))
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func writeReply(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
	return nil
}
