// Package errs holds the one error type that crosses package and process borders.
//
// An [Error] keeps three things apart so that the compiler guards the difference: Kind decides the HTTP
// status, Key is the message catalogue key that is safe to show to a person, and Err is the cause, which
// goes to the log and nowhere else. errs knows nothing about HTTP handlers, languages or storage.
package errs

import (
	"errors"
	"fmt"
	"net/http"
)

// Kind says what went wrong in terms a caller can act on. Kinds are append-only: their names cross the wire.
type Kind int

// The kinds, with the HTTP status each maps to.
const (
	Internal        Kind = iota // 500, a fault of ours
	Invalid                     // 400, the request is wrong and will stay wrong
	Denied                      // 403, known but not allowed
	NotFound                    // 404
	Conflict                    // 409, not in this state, or it exists already
	Unavailable                 // 503, try again later
	Unauthenticated             // 401, sign in first
	TooLarge                    // 413
	Limited                     // 429
)

var kindNames = [...]string{"internal", "invalid", "denied", "not_found", "conflict", "unavailable", "unauthenticated", "too_large", "limited"}

var kindStatus = [...]int{
	http.StatusInternalServerError, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict,
	http.StatusServiceUnavailable, http.StatusUnauthorized, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests,
}

// String returns the wire name of k.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return kindNames[Internal]
	}
	return kindNames[k]
}

// Status returns the HTTP status that k maps to.
func (k Kind) Status() int {
	if k < 0 || int(k) >= len(kindStatus) {
		return http.StatusInternalServerError
	}
	return kindStatus[k]
}

// KindOfStatus returns the kind that best describes an HTTP status received from another node.
func KindOfStatus(status int) Kind {
	for k, s := range kindStatus {
		if s == status {
			return Kind(k)
		}
	}
	switch {
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		return Unavailable
	case status >= 400 && status < 500:
		return Invalid
	}
	return Internal
}

// Error is a failure with a message that may be shown (Key, Args) and a cause that may not (Err).
type Error struct {
	Kind Kind
	// Key names a message in the catalogue, such as "exchange.peer_unknown".
	Key string
	// Args are name, value pairs for the placeholders of the message. They are shown to people: no secrets,
	// no personal data of somebody else.
	Args []any
	// Err is the cause. It is logged, never shown.
	Err error
}

// E makes an error of a kind with a message key and a cause, which may be nil.
func E(kind Kind, key string, err error, args ...any) *Error {
	return &Error{Kind: kind, Key: key, Args: args, Err: err}
}

// Error implements error; the text is for logs.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Key
	}
	return e.Key + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first [Error] in the chain of err, or Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// KeyOf returns the message key and arguments of the first [Error] in the chain of err, or "error.internal".
func KeyOf(err error) (key string, args []any) {
	if e, ok := errors.AsType[*Error](err); ok && e.Key != "" {
		return e.Key, e.Args
	}
	return "error.internal", nil
}

// Is reports whether err is of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Wrap adds context to *errp when it is not nil. Use it as the first deferred call of a function of several
// steps: defer errs.Wrap(&err, "send %q", id).
func Wrap(errp *error, format string, args ...any) {
	if *errp != nil {
		*errp = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *errp)
	}
}
