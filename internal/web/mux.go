package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web/ui"
)

// HandlerFunc is a handler that returns its failure instead of writing it. A handler that returned an error
// must not have written anything.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// ErrorPages renders the page of a failed request; [*ui.Renderer] is the implementation.
type ErrorPages interface {
	RenderError(w http.ResponseWriter, r *http.Request, kind errs.Kind, status int, key string, args ...any) error
}

// Options configures a [Mux]. The zero value serves interfaces without pages and logs nowhere.
type Options struct {
	// Log receives one line for each failed request that no access log covers. Default: discard.
	Log *slog.Logger
	// Renderer draws error pages. Without one, errors of pages are plain text.
	Renderer ErrorPages
	// Lang holds the messages. Pages made by [ui.NewPage] below this mux take their texts from it.
	Lang *i18n.Catalogue
	// Around, when set, is put around the handler of every page: it sees who asks, what the handler returns, and what it
	// writes.
	Around func(HandlerFunc) HandlerFunc
}

// Mux routes requests by the patterns of [http.ServeMux] to handlers that return errors.
type Mux struct {
	mux *http.ServeMux
	opt Options
	// pages are the patterns of pages, guarded those that [Mux.HandleFor] registered with their operations.
	pages   []string
	guarded map[string][]string
}

// NewMux returns an empty multiplexer.
func NewMux(opt Options) *Mux {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Mux{mux: http.NewServeMux(), opt: opt}
}

// Handle registers a page: its errors become error pages.
func (m *Mux) Handle(pattern string, h HandlerFunc) {
	if m.opt.Around != nil {
		h = m.opt.Around(h)
	}
	m.pages = append(m.pages, pattern)
	m.mux.Handle(pattern, m.wrap(h, m.FailPage))
}

// HandleFor registers a page for officers who may use all these operations of the management interface: one table says
// who may do something, by a key or on a page.
func (m *Mux) HandleFor(pattern string, h HandlerFunc, operations ...string) {
	if m.guarded == nil {
		m.guarded = map[string][]string{}
	}
	m.guarded[pattern] = operations
	m.Handle(pattern, RequirePermission(h, operations...))
}

// Pages returns the patterns of all pages with the operations that guard them, none where they are guarded otherwise.
func (m *Mux) Pages() map[string][]string {
	out := make(map[string][]string, len(m.pages))
	for _, p := range m.pages {
		out[p] = m.guarded[p]
	}
	return out
}

// HandleAPI registers an interface for machines: its errors become application/problem+json.
func (m *Mux) HandleAPI(pattern string, h HandlerFunc) { m.mux.Handle(pattern, m.wrap(h, m.FailAPI)) }

// Mount registers a plain handler, which answers for its own errors.
func (m *Mux) Mount(pattern string, h http.Handler) {
	m.mux.Handle(pattern, m.wrap(func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}, m.Fail))
}

// ServeHTTP implements [http.Handler]. A request that no pattern matches gets the same error pages as any other.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, pattern := m.mux.Handler(r)
	if pattern != "" {
		m.mux.ServeHTTP(w, r)
		return
	}
	// ServeMux alone knows whether another method would have matched: ask it, and keep only what it says.
	probe := &probeWriter{header: http.Header{}, status: http.StatusNotFound}
	h.ServeHTTP(probe, r)
	r = r.WithContext(ui.WithCatalogue(r.Context(), m.opt.Lang))
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		m.Fail(w, r, &statusError{status: probe.status, err: errs.E(errs.Invalid, "error.method", nil)})
		return
	}
	m.Fail(w, r, errs.E(errs.NotFound, "error.not_found", nil))
}

type probeWriter struct {
	header http.Header
	status int
}

func (p *probeWriter) Header() http.Header         { return p.header }
func (p *probeWriter) Write(b []byte) (int, error) { return len(b), nil }
func (p *probeWriter) WriteHeader(status int)      { p.status = status }

// statusError gives an error a status other than that of its kind: 405 is the only one.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// StatusOf returns the HTTP status that err is answered with.
func StatusOf(err error) int {
	if se, ok := errors.AsType[*statusError](err); ok {
		return se.status
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	return errs.KindOf(err).Status()
}

func (m *Mux) wrap(h HandlerFunc, fail func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec := recordOf(r.Context()); rec != nil {
			rec.pattern = r.Pattern
		}
		r = r.WithContext(ui.WithCatalogue(r.Context(), m.opt.Lang))
		tw := &trackWriter{ResponseWriter: w}
		defer recovered(r, func(err error) {
			if tw.wrote {
				// Half an answer is out: cutting the connection is the only honest signal left.
				m.note(r, err, http.StatusInternalServerError)
				panic(http.ErrAbortHandler)
			}
			clearHeaders(w)
			fail(w, r, err)
		})
		if err := h(tw, r); err != nil {
			if tw.wrote {
				m.note(r, fmt.Errorf("after the answer began: %w", err), http.StatusInternalServerError)
				return
			}
			clearHeaders(w)
			fail(w, r, err)
		}
	})
}

// recovered turns a panic into an error; use it as a deferred call.
func recovered(r *http.Request, then func(error)) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	if rec := recordOf(r.Context()); rec != nil {
		rec.stack = string(debug.Stack())
	}
	then(errs.E(errs.Internal, "error.internal", fmt.Errorf("panic: %v", v)))
}

// clearHeaders drops what a failed handler had prepared for its answer.
func clearHeaders(w http.ResponseWriter) {
	for _, h := range []string{"Content-Length", "Content-Type", "Content-Disposition", "Content-Encoding", "Etag", "Last-Modified", "Location"} {
		w.Header().Del(h)
	}
}

// Fail answers with a page or a problem document, whichever the client asked for.
func (m *Mux) Fail(w http.ResponseWriter, r *http.Request, err error) {
	accept := r.Header.Get("Accept")
	if strings.Contains(accept, "json") && !strings.Contains(accept, "text/html") {
		m.FailAPI(w, r, err)
		return
	}
	m.FailPage(w, r, err)
}

// FailPage logs err and answers with an error page.
func (m *Mux) FailPage(w http.ResponseWriter, r *http.Request, err error) {
	status := StatusOf(err)
	m.note(r, err, status)
	key, args := messageOf(err)
	if m.opt.Renderer != nil {
		rerr := m.opt.Renderer.RenderError(w, r, kindOf(err), status, key, args...)
		if rerr == nil {
			return
		}
		m.opt.Log.LogAttrs(r.Context(), slog.LevelError, "error page failed", slog.Any("error", rerr))
	}
	text := key
	if m.opt.Lang != nil {
		text = m.opt.Lang.T(reqctx.Lang(r.Context()), key, args...)
	}
	http.Error(w, text+"\n"+reqctx.RequestID(r.Context()), status)
}

// note records a failure for the access log, or logs it when there is none, so that it is logged once.
func (m *Mux) note(r *http.Request, err error, status int) {
	if rec := recordOf(r.Context()); rec != nil {
		rec.err = err
		return
	}
	m.opt.Log.LogAttrs(r.Context(), levelOf(status), "request failed", slog.String("method", r.Method),
		slog.String("pattern", r.Pattern), slog.Int("status", status),
		slog.String("request_id", reqctx.RequestID(r.Context())), slog.Any("error", err))
}

func kindOf(err error) errs.Kind {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errs.TooLarge
	}
	return errs.KindOf(err)
}

// messageOf returns the message to show for err, which for errors of other packages says no more than their kind.
func messageOf(err error) (key string, args []any) {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return "error.too_large", nil
	}
	if errors.Is(err, context.DeadlineExceeded) && errs.KindOf(err) == errs.Internal {
		return "error.internal", nil
	}
	return errs.KeyOf(err)
}

func levelOf(status int) slog.Level {
	switch {
	case status == http.StatusServiceUnavailable:
		return slog.LevelWarn
	case status >= 500:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// SeeOther answers 303: the outcome of a POST is always a page of its own.
func SeeOther(w http.ResponseWriter, r *http.Request, url string) error {
	http.Redirect(w, r, url, http.StatusSeeOther) //nolint:gosec // callers pass what they built, or SafeNext
	return nil
}
