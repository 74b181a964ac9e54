// Package registersapi offers registers behind the exchange. The exchange has authenticated, authorised and logged a
// call before it arrives here, and says who calls through reqctx.Caller; without it every answer is a refusal.
//
// A call is read strictly (limited size, known members only, text in NFC), handed to the engine, and answered as JSON
// or as a problem document with "code" and "invalidParams". No value of a request is repeated in an error or a log.
package registersapi

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/registers"
	"truc/internal/reqctx"
	"truc/internal/web"
)

// API makes the handlers of a node's registers. Service and Log are needed; Usage for the usage service.
type API struct {
	Service *registers.Service
	Usage   registers.UsageLog
	// Represents reports whether one person may see another's usage (parents, guardians). Nil: nobody may.
	Represents func(who, whom string) bool
	Log        *slog.Logger
	// Text turns a message key into a sentence; nil leaves details out.
	Text func(lang, key string, args ...any) string
	Now  func() time.Time
}

// maxBody bounds a request; the largest legitimate one is below 4 KiB.
const maxBody = 64 << 10

type handler func(w http.ResponseWriter, r *http.Request) error

func (a *API) handle(mux *http.ServeMux, pattern string, h handler) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := h(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// Records returns the handler of a service that reads one register: POST /query, /match and /verify.
func (a *API) Records(register string) http.Handler {
	mux := http.NewServeMux()
	a.handle(mux, "POST /query", func(w http.ResponseWriter, r *http.Request) error { return a.query(w, r, register) })
	a.handle(mux, "POST /match", func(w http.ResponseWriter, r *http.Request) error { return a.match(w, r, register) })
	a.handle(mux, "POST /verify", func(w http.ResponseWriter, r *http.Request) error { return a.verify(w, r, register) })
	a.handle(mux, "/", notFound)
	return mux
}

func notFound(http.ResponseWriter, *http.Request) error {
	return errs.E(errs.NotFound, "registers.operation_unknown", nil)
}

// reader is the caller as the engine sees it.
func reader(r *http.Request) registers.Reader {
	c := reqctx.CallerOf(r.Context())
	return registers.Reader{
		Subsystem: c.Subsystem, Agency: c.Agency, AgencyName: c.Name, UserID: c.UserID, Activity: c.Activity, Basis: c.Basis,
		Dossier: c.Dossier, ExchangeID: c.ExchangeID, RequestID: c.RequestID,
	}
}

func (a *API) query(w http.ResponseWriter, r *http.Request, register string) error {
	b, err := readBody(r)
	if err != nil {
		return err
	}
	q, err := parseQuery(b)
	if err != nil {
		return err
	}
	ans, err := a.Service.Query(r.Context(), register, reader(r), q)
	if err != nil {
		return err
	}
	records := make([]json.RawMessage, 0, len(ans.Records))
	for _, v := range ans.Records {
		doc, err := v.Canonical()
		if err != nil {
			return err
		}
		records = append(records, doc)
	}
	if len(ans.Delivered) > 0 {
		w.Header().Set("Truc-Delivered", strings.Join(ans.Delivered, ","))
	}
	return web.WriteJSON(w, http.StatusOK, struct {
		Type    string            `json:"type"`
		Records []json.RawMessage `json:"records"`
	}{q.Type, records})
}

type mismatch struct {
	AttributeName string `json:"attributeName"`
	ErrorCode     int    `json:"errorCode"`
}

func (a *API) match(w http.ResponseWriter, r *http.Request, register string) error {
	b, err := readBody(r)
	if err != nil {
		return err
	}
	sel, attributes, err := parseMatch(b)
	if err != nil {
		return err
	}
	found, err := a.Service.Match(r.Context(), register, reader(r), sel, attributes)
	if err != nil {
		return err
	}
	out := make([]mismatch, 0, len(found))
	for _, m := range found {
		out = append(out, mismatch{AttributeName: m.Attribute, ErrorCode: m.Code})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (a *API) verify(w http.ResponseWriter, r *http.Request, register string) error {
	b, err := readBody(r)
	if err != nil {
		return err
	}
	sel, conditions, err := parseVerify(b)
	if err != nil {
		return err
	}
	ok, err := a.Service.Verify(r.Context(), register, reader(r), sel, conditions)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, ok)
}

type invalidParam struct {
	Name   string `json:"name"`
	Code   string `json:"code"`
	Reason string `json:"reason,omitempty"`
}

// problem is the problem document of the exchange with the faulty members named.
type problem struct {
	web.Problem
	InvalidParams []invalidParam `json:"invalidParams,omitempty"`
}

// fail logs what an operator must know and answers with a problem document.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = errs.E(errs.TooLarge, "registers.body_too_large", err)
	}
	kind := errs.KindOf(err)
	key, args := errs.KeyOf(err)
	level := slog.LevelInfo
	if kind == errs.Internal || kind == errs.Unavailable {
		level = slog.LevelError
	}
	caller := reqctx.CallerOf(ctx)
	a.Log.LogAttrs(ctx, level, "register call refused", slog.String("code", key), slog.String("kind", kind.String()),
		slog.String("subsystem", caller.Subsystem), slog.String("exchange_id", caller.ExchangeID), slog.Any("error", err))
	p := problem{Problem: web.Problem{
		Type: "about:blank", Title: http.StatusText(kind.Status()), Status: kind.Status(), Code: key, Kind: kind.String(),
		Instance: reqctx.RequestID(ctx),
	}}
	lang := reqctx.Lang(ctx)
	if a.Text != nil {
		p.Detail = a.Text(lang, key, args...)
	}
	if faults, ok := errors.AsType[*registers.ParamError](err); ok {
		for _, f := range faults.Params {
			q := invalidParam{Name: f.Name, Code: f.Code}
			if a.Text != nil {
				q.Reason = a.Text(lang, "registers.param_"+f.Code)
			}
			p.InvalidParams = append(p.InvalidParams, q)
		}
	}
	doc, err := json.Marshal(p)
	if err != nil {
		doc = []byte(`{"status":500}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(doc)
}
