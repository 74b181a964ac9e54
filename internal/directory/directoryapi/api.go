// Package directoryapi serves the center's directory to nodes on the public listener.
//
// It may run over plain HTTP: documents are signed, requests are signed, and the secret of a join token never
// travels. HTTPS in production adds privacy, not trust.
package directoryapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/web"
)

// HeaderCurrent carries the center's signed word that a document is its newest; HeaderPoll a node's sign of life.
const (
	HeaderCurrent = "Truc-Directory-Current"
	HeaderPoll    = "Truc-Directory-Poll"
)

// API serves a center.
type API struct {
	Center directory.CenterAPI
	// Limiter slows down whoever asks for signatures too often; nil does not.
	Limiter *web.Limiter
}

// NewLimiter bounds requests per client to what a few dozen nodes behind one address need.
func NewLimiter(now func() time.Time) *web.Limiter {
	return web.NewLimiter(now, 10*time.Millisecond, 1000, 10_000)
}

// Mount registers the routes. They are open to everybody: what they tell is public, what they accept is signed.
func (a *API) Mount(m *web.Mux) {
	m.HandleAPI("GET /directory/v1/document", a.limit(a.document))
	m.HandleAPI("POST /directory/v1/join", a.limit(a.join))
	m.HandleAPI("POST /directory/v1/renew", a.limit(a.renew))
	m.HandleAPI("POST /directory/v1/services", a.limit(a.signed(a.Center.Publish)))
	m.HandleAPI("POST /directory/v1/leave", a.limit(a.leave))
	m.HandleAPI("POST /directory/v1/key", a.limit(a.signed(a.Center.ChangeKey)))
}

func (a *API) limit(h web.HandlerFunc) web.HandlerFunc {
	if a.Limiter == nil {
		return h
	}
	return a.Limiter.Limit(h)
}

// document answers with the newest document, or 304 when the caller has it. A node that says "Prefer: wait=N" (RFC 7240,
// section 4.3) is answered when there is another version, or after N seconds; Preference-Applied says that it was held.
func (a *API) document(w http.ResponseWriter, r *http.Request) error {
	hash := strings.Trim(strings.TrimPrefix(r.Header.Get("If-None-Match"), "W/"), `"`)
	poll, h := r.Header.Get(HeaderPoll), w.Header()
	var env []byte
	var cur directory.Current
	var err error
	if c, ok := a.Center.(directory.Awaiter); ok {
		var waited bool
		wait := preferredWait(r.Header)
		env, cur, waited, err = c.Await(r.Context(), hash, poll, wait)
		if waited {
			h.Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
		}
	} else {
		env, cur, err = a.Center.Document(r.Context(), hash, poll)
	}
	if err != nil {
		if r.Context().Err() != nil {
			return nil //nolint:nilerr // who asked is gone, which is no fault and can be told to nobody
		}
		return err
	}
	h.Set("ETag", `"`+cur.Hash+`"`)
	h.Set(HeaderCurrent, cur.String())
	h.Set("Cache-Control", "no-cache")
	if env == nil {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "application/json")
	_, err = w.Write(env) //nolint:gosec // JSON for another node
	return err
}

// preferredWait reads the preference "wait", whole seconds up to [directory.LongestWait]; 0 when there is none that can
// be read.
func preferredWait(h http.Header) time.Duration {
	for _, line := range h.Values("Prefer") {
		for p := range strings.SplitSeq(line, ",") {
			p, _, _ = strings.Cut(p, ";")
			name, value, ok := strings.Cut(p, "=")
			if !ok || !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 16)
			if err != nil {
				return 0
			}
			return min(time.Duration(n)*time.Second, directory.LongestWait)
		}
	}
	return 0
}

func (a *API) join(w http.ResponseWriter, r *http.Request) error {
	req, err := readSigned(w, r)
	if err != nil {
		return err
	}
	reply, err := a.Center.Join(r.Context(), req)
	if err != nil {
		return err
	}
	return writeReply(w, reply)
}

func (a *API) renew(w http.ResponseWriter, r *http.Request) error {
	req, err := readSigned(w, r)
	if err != nil {
		return err
	}
	reply, err := a.Center.Renew(r.Context(), req)
	if err != nil {
		return err
	}
	return writeReply(w, reply)
}

// leave takes a node's wish to leave: 202 while an operator has to decide.
func (a *API) leave(w http.ResponseWriter, r *http.Request) error {
	req, err := readSigned(w, r)
	if err != nil {
		return err
	}
	l, err := a.Center.Leave(r.Context(), req)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	status := http.StatusOK
	if l.State == directory.Deleting {
		status = http.StatusAccepted
	}
	return web.WriteJSON(w, status, l)
}

func writeReply(w http.ResponseWriter, reply *directory.Reply) error {
	b, err := reply.Marshal()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if reply.Pending {
		w.WriteHeader(http.StatusAccepted)
	}
	_, err = w.Write(b)
	return err
}

// signed handles a request that is answered with the new document.
func (a *API) signed(do func(context.Context, directory.Signed) ([]byte, error)) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		req, err := readSigned(w, r)
		if err != nil {
			return err
		}
		env, err := do(r.Context(), req)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		_, err = w.Write(env)
		return err
	}
}

func readSigned(w http.ResponseWriter, r *http.Request) (directory.Signed, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, directory.MaxRequest))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return directory.Signed{}, errs.E(errs.TooLarge, "directory.request_too_large", err)
	}
	if err != nil {
		return directory.Signed{}, errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	return directory.ParseSigned(b)
}
