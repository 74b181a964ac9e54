package directoryclient

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"

	"truc/internal/errs"
)

// Operator acts at a running center in its operator's name.
type Operator struct {
	Client
	// Token is in the file keys/operator.token of the center's data folder.
	Token string
}

// Call asks the center, see [Operator.ask].
func (o *Operator) Call(ctx context.Context, in, out any) error {
	return o.ask(ctx, "/directory/v1/operator", in, out)
}

// Own asks a node about itself, see [Operator.ask].
func (o *Operator) Own(ctx context.Context, in, out any) error {
	return o.ask(ctx, "/directory/v1/own", in, out)
}

// ask sends what the operator wants done, or reads when in is nil, and decodes the answer into out. It refuses to send
// the token unprotected to another machine.
func (o *Operator) ask(ctx context.Context, path string, in, out any) error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" {
		return errs.E(errs.Invalid, "directory.center_unreachable", err)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errs.E(errs.Invalid, "directory.operator_plain", nil)
	}
	method, body := http.MethodGet, []byte(nil)
	if in != nil {
		method = http.MethodPost
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	a, err := o.do(ctx, method, path, body, func(h http.Header) { h.Set("Authorization", "Bearer "+o.Token) })
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return errs.E(errs.Unavailable, "directory.center_unreachable", err)
	}
	return nil
}
