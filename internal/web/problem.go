package web

import (
	"encoding/json"
	"net/http"

	"truc/internal/errs"
	"truc/internal/reqctx"
)

// Problem is the problem document of RFC 9457 that interfaces answer with.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Code is the message key, stable for programs: "exchange.peer_unknown".
	Code string `json:"code"`
	// Kind is the name of the [errs.Kind], so that the next hop need not guess it from the status.
	Kind string `json:"kind"`
	// Instance is the request id.
	Instance string `json:"instance,omitempty"`
	// Hop names the machine on the way that failed, where there is more than one.
	Hop string `json:"hop,omitempty"`
}

// FailAPI logs err and answers with a problem document. It repeats nothing of the request.
func (m *Mux) FailAPI(w http.ResponseWriter, r *http.Request, err error) {
	status := StatusOf(err)
	m.note(r, err, status)
	key, args := messageOf(err)
	kind := kindOf(err)
	p := Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Code: key, Kind: kind.String(),
		Instance: reqctx.RequestID(r.Context()),
	}
	if m.opt.Lang != nil {
		lang := reqctx.Lang(r.Context())
		p.Title = m.opt.Lang.T(lang, "error."+kind.String()+".title")
		p.Detail = m.opt.Lang.T(lang, key, args...)
	}
	WriteProblem(w, p)
}

// WriteProblem writes p with its status.
func WriteProblem(w http.ResponseWriter, p Problem) {
	b, err := json.Marshal(p)
	if err != nil { // strings and an int always marshal
		b = []byte(`{"status":500}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	w.Write(append(b, '\n'))
}

// WriteJSON writes v as application/json. It marshals before it writes, so that a failure is a clean 500.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return errs.E(errs.Internal, "error.internal", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
	return nil
}
