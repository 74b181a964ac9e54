package exchange

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"truc/internal/orgcode"
)

// DecisionInput is what an external decision point is told about a request: never a body, the id of a person or a credential.
type DecisionInput struct {
	Method   string `json:"method"`
	Path     string `json:"path"`
	Consumer string `json:"consumer"`
	Service  string `json:"service"`
	// Purpose is the activity that was stated, Dossier the case, Grant the hash of the grant.
	Purpose string `json:"purpose"`
	Dossier string `json:"dossier"`
	Grant   string `json:"grant"`
	// Headers are those that may matter for a decision, by lower-case name.
	Headers map[string]string `json:"headers"`
}

// Decider is an external decision point. It may only take away: it is asked when rules, purpose and grant allow a request.
// An error counts as a refusal.
type Decider interface {
	Decide(ctx context.Context, in DecisionInput) (allow bool, err error)
}

// decisionHeaders are told to a decision point; others may hold credentials or personal data.
var decisionHeaders = []string{"Content-Type", "Accept", HeaderParty, HeaderMessage}

// decide asks the decision point, where there is one, about a request that everything else allows.
func (x *exchangeState) decide(ctx context.Context, req *WireRequest, t Target, client orgcode.Subsystem) *Fault {
	d := x.s.opt.Decider
	if d == nil {
		return nil
	}
	in := DecisionInput{
		Method: req.Method, Path: t.Path.Decoded(), Consumer: client.String(), Service: t.Service.String(),
		Purpose: x.msg.Activity, Dossier: x.msg.Dossier, Grant: x.msg.Grant, Headers: map[string]string{},
	}
	for _, name := range decisionHeaders {
		if v := req.Header.Get(name); v != "" {
			in.Headers[strings.ToLower(name)] = v
		}
	}
	allow, err := d.Decide(ctx, in)
	switch {
	case err != nil:
		return x.fault(atProvider, "access_denied", fmt.Errorf("the decision point: %w", err), "service", in.Service)
	case !allow:
		return x.fault(atProvider, "access_denied", errors.New("the decision point refused"), "service", in.Service)
	}
	return nil
}
