// Package reqctx carries what belongs to one request through a context: its id, the language and who asks.
// It carries nothing that a function needs in order to be right.
package reqctx

import (
	"context"
	"log/slog"
	"slices"
)

type key int

const (
	keyRequestID key = iota
	keyLang
	keyPrincipal
	keyCaller
)

// PrincipalKind tells the audiences apart.
type PrincipalKind string

// The kinds of principal.
const (
	Citizen PrincipalKind = "citizen"
	Officer PrincipalKind = "officer"
	System  PrincipalKind = "system" // another node, or this node's own jobs
)

// Principal is who acts in a request. The zero value is nobody.
type Principal struct {
	Kind PrincipalKind
	// ID is the 12-digit personal number of a citizen ("số định danh cá nhân"), the account name of an
	// officer, or the subsystem identifier of a machine. It is personal data: never log it.
	ID   string
	Name string
	// Agency is the code of the officer's agency or unit, such as "H36.14"; empty for citizens.
	Agency string
	// Roles are those of the officer at this node, such as "reception", "officer", "head", "admin".
	Roles []string
	// Level is the identification level of a citizen, 1 or 2 (Decree 69/2024).
	Level int
	// Session is an opaque id of the sign-in, fit for logs.
	Session string
}

// Anonymous reports whether nobody is signed in.
func (p Principal) Anonymous() bool { return p.Kind == "" }

// Has reports whether the principal holds the role.
func (p Principal) Has(role string) bool { return slices.Contains(p.Roles, role) }

// LogValue keeps personal data out of logs.
func (p Principal) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", string(p.Kind)), slog.String("session", p.Session), slog.String("agency", p.Agency))
}

// WithRequestID returns a context that carries the request id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, keyRequestID, id)
}

// RequestID returns the request id, or "".
func RequestID(ctx context.Context) string { s, _ := ctx.Value(keyRequestID).(string); return s }

// WithLang returns a context that carries the language of the answer, "vi" or "en".
func WithLang(ctx context.Context, lang string) context.Context {
	return context.WithValue(ctx, keyLang, lang)
}

// Lang returns the language of the answer; Vietnamese when none was set.
func Lang(ctx context.Context) string {
	if s, ok := ctx.Value(keyLang).(string); ok && s != "" {
		return s
	}
	return "vi"
}

// WithPrincipal returns a context that carries who asks.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, keyPrincipal, p)
}

// PrincipalOf returns who asks; the zero Principal is nobody.
func PrincipalOf(ctx context.Context) Principal {
	p, _ := ctx.Value(keyPrincipal).(Principal)
	return p
}

// Caller is the other side of a call that arrived over the exchange. The exchange fills it after it has
// verified and logged the request; the services behind it (registers, dossiers) read it.
type Caller struct {
	// Subsystem calls, such as "VN/GOV/H36/onestop"; Member is its owner, "VN/GOV/H36".
	Subsystem, Member string
	// Agency is the code of the member, such as "H36"; Name is its name in the directory.
	Agency, Name string
	// Service is the five-segment identifier that was called.
	Service string
	// ExchangeID is the X-Road-Id, RequestID the fresh id of this exchange (x-road-request-id).
	ExchangeID, RequestID string
	// UserID is X-Road-UserId: the person on whose behalf, such as "VN099204000123". Personal data.
	UserID string
	// Activity names the processing activity, Basis the legal basis, Dossier the case (X-Road-Issue).
	Activity, Basis, Dossier string
	// Grant is the hash of the grant under which the call was let in, Delegator the member on whose behalf it was made.
	Grant, Delegator string
}

// Anonymous reports whether the request did not come over the exchange.
func (c Caller) Anonymous() bool { return c.Subsystem == "" }

// WithCaller returns a context that carries the calling subsystem.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, keyCaller, c)
}

// CallerOf returns the calling subsystem; the zero Caller when the request did not come over the exchange.
func CallerOf(ctx context.Context) Caller { c, _ := ctx.Value(keyCaller).(Caller); return c }
