package directoryapi

import (
	"encoding/json"
	"net/http"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/web"
)

// OwnAPI is how the command line on a node's machine rules this very node.
type OwnAPI struct {
	Node directory.OwnNode
	// Token is the secret of the command line, in keys/operator.token.
	Token   string
	Limiter *web.Limiter
}

// OwnAct is one act on the node; which fields count depends on Do.
type OwnAct struct {
	// Do is "rotate-signing", "rotate-tls" or "maintenance".
	Do string `json:"do"`
	// Alg is the kind of the new signing key, "ed25519" or "p256"; empty keeps it.
	Alg string `json:"alg,omitempty"`
	// Notice begins maintenance, or ends it when it is empty.
	Notice string `json:"notice,omitempty"`
}

// OwnActed answers an act.
type OwnActed struct {
	// From is when a new key takes over.
	From time.Time `json:"from"`
}

// Mount registers the routes.
func (o *OwnAPI) Mount(m *web.Mux) {
	a := &API{Operator: o.Token, Limiter: o.Limiter}
	m.HandleAPI("GET /directory/v1/own", a.limit(a.operator(o.status)))
	m.HandleAPI("POST /directory/v1/own", a.limit(a.operator(o.act)))
}

func (o *OwnAPI) status(w http.ResponseWriter, _ *http.Request) error {
	st, err := o.Node.KeyStatus()
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, st)
}

func (o *OwnAPI) act(w http.ResponseWriter, r *http.Request) (err error) {
	var in OwnAct
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, directory.MaxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return errs.E(errs.Invalid, "directory.request_malformed", err)
	}
	var out OwnActed
	switch in.Do {
	case "rotate-signing":
		out.From, err = o.Node.RotateSigning(r.Context(), operatorActor, in.Alg)
	case "rotate-tls":
		out.From, err = o.Node.RotateTLS(r.Context(), operatorActor)
	case "maintenance":
		err = o.Node.SetMaintenance(r.Context(), operatorActor, in.Notice)
	default:
		err = errs.E(errs.Invalid, "directory.request_malformed", nil)
	}
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
