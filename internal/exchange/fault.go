package exchange

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"truc/internal/errs"
)

// Fault is a failure of the exchange itself, in the vocabulary of X-Road (spec §2.6): a prefix that says where, a
// code that says what. It unwraps to an [errs.Error].
type Fault struct {
	// Type is "server.serverproxy.access_denied".
	Type string
	// ID is the key to the log line.
	ID string
	// Hop is the node or part that refused, as far as known.
	Hop string
	// Notice is what the owner of a disabled service tells its callers.
	Notice string
	// RetryAfter is when to ask again, if that is known.
	RetryAfter time.Duration
	err        *errs.Error
}

// Prefixes of fault types.
const (
	atClient   = "client."
	atConsumer = "server.clientproxy."
	atProvider = "server.serverproxy."
)

// Codes of a node that lacks what the network's policy demands: of the one that asks, which is X-Road's name for it, and of
// the one that is asked, which X-Road has none for.
const (
	codeConsumerOld = "client_proxy_version_not_supported"
	codeProviderOld = "server_proxy_version_not_supported"
)

type faultCode struct {
	kind   errs.Kind
	status int // native mode, spec §2.6
	key    string
}

// faultCodes maps the codes this release uses to a kind, a native status and a message.
var faultCodes = map[string]faultCode{
	"bad_request":               {errs.Invalid, 400, "exchange.bad_request"},
	"missing_header":            {errs.Invalid, 400, "exchange.missing_header"},
	"target_too_long":           {errs.Invalid, 414, "exchange.bad_request"},
	"invalid_client_identifier": {errs.Invalid, 400, "exchange.bad_request"},
	"invalid_http_method":       {errs.Invalid, 405, "exchange.bad_request"},
	"invalid_security_server":   {errs.Invalid, 400, "exchange.bad_request"},
	"service_type":              {errs.Invalid, 400, "exchange.no_openapi"},
	"asynchronous_only":         {errs.Invalid, 400, "exchange.asynchronous_only"},
	"purpose_required":          {errs.Invalid, 400, "exchange.purpose_required"},
	"ssl_authentication_failed": {errs.Unauthenticated, 401, "exchange.not_authenticated"},
	"access_denied":             {errs.Denied, 403, "exchange.access_denied"},
	"no_agreement":              {errs.Denied, 403, "exchange.no_agreement"},
	"agreement_expired":         {errs.Denied, 403, "exchange.agreement_expired"},
	codeConsumerOld:             {errs.Denied, 403, "exchange.release.consumer"},
	codeProviderOld:             {errs.Unavailable, 503, "exchange.release.provider"},
	"unknown_member":            {errs.NotFound, 404, "exchange.member_unknown"},
	"unknown_service":           {errs.NotFound, 404, "exchange.service_unknown"},
	"invalid_body":              {errs.TooLarge, 413, "exchange.body_too_large"},
	"not_found":                 {errs.NotFound, 404, "delivery.message_unknown"},
	"message_id_reused":         {errs.Conflict, 409, "delivery.id_reused"},
	"replayed_message":          {errs.Conflict, 409, "exchange.replayed"},
	"quota_exceeded":            {errs.Limited, 429, "exchange.busy"},
	"io_error":                  {errs.Unavailable, 500, "exchange.stream_broken"},
	"body_unread":               {errs.Unavailable, 502, "exchange.stream_broken"},
	"internal_error":            {errs.Internal, 500, "error.internal"},
	"network_error":             {errs.Unavailable, 502, "exchange.peer_unreachable"},
	"deadline_exceeded":         {errs.Unavailable, 504, "exchange.too_slow"},
	"circuit_open":              {errs.Unavailable, 503, "exchange.circuit_open"},
	"service_failed":            {errs.Unavailable, 502, "exchange.service_failed"},
	"signature_verification":    {errs.Unavailable, 502, "exchange.signature_wrong"},
	codeClock:                   {errs.Unavailable, 502, "exchange.clock_differs"},
	"inconsistent_response":     {errs.Unavailable, 502, "exchange.response_mismatch"},
	"logging_failed":            {errs.Unavailable, 503, "exchange.cannot_log"},
	"timestamping_failed":       {errs.Unavailable, 503, "exchange.timestamp_late"},
	"global_conf_outdated":      {errs.Unavailable, 503, "exchange.directory_expired"},
	"cannot_sign":               {errs.Unavailable, 503, "exchange.cannot_sign"},
	"maintenance_mode":          {errs.Unavailable, 503, "exchange.maintenance"},
	"service_disabled":          {errs.Unavailable, 503, "exchange.service_disabled"},
}

// lookupFault finds what is known of a code, or of the wrapper that it begins with.
func lookupFault(code string) (c faultCode, ok bool) {
	if c, ok = faultCodes[code]; ok {
		return c, true
	}
	head, _, _ := strings.Cut(code, ".")
	c, ok = faultCodes[head]
	return c, ok
}

// newFault makes a fault of a code at a place.
func newFault(prefix, code, hop, id string, cause error, args ...any) *Fault {
	c, ok := lookupFault(code)
	if !ok {
		c = faultCodes["internal_error"]
	}
	return &Fault{Type: prefix + code, ID: id, Hop: hop, err: errs.E(c.kind, c.key, cause, args...)}
}

// Error is for logs.
func (f *Fault) Error() string { return f.Type + " " + f.ID + ": " + f.err.Error() }

// Unwrap returns the [errs.Error].
func (f *Fault) Unwrap() error { return f.err }

// Code returns the type without its prefix.
func (f *Fault) Code() string { return codeOf(f.Type) }

func codeOf(typ string) string {
	for _, p := range []string{atConsumer, atProvider, atClient} {
		if rest, ok := strings.CutPrefix(typ, p); ok {
			return rest
		}
	}
	return typ
}

// Status returns the native HTTP status, or in X-Road's compatibility mode 500 for "server." and 400 otherwise.
func (f *Fault) Status(native bool) int {
	if !native {
		if strings.HasPrefix(f.Type, "server.") {
			return http.StatusInternalServerError
		}
		return http.StatusBadRequest
	}
	head, _, _ := strings.Cut(f.Code(), ".")
	if c, ok := faultCodes[head]; ok {
		return c.status
	}
	return http.StatusInternalServerError
}

// faultBody is what a refusal carries, in X-Road's order of members.
type faultBody struct {
	Type    string `json:"type"`
	Message string `json:"message"`
	Detail  string `json:"detail"`
}

// Message is a short English sentence for programs; people see the message of the key.
func (f *Fault) Message() string {
	m := strings.ReplaceAll(strings.ReplaceAll(f.Code(), "_", " "), ".", ": ")
	if f.Notice != "" {
		m += ": " + f.Notice
	}
	return m
}

// JSON returns the body of a refusal.
func (f *Fault) JSON() []byte {
	b, err := json.Marshal(faultBody{Type: f.Type, Message: f.Message(), Detail: f.ID})
	if err != nil {
		return []byte(`{}`) // three strings always marshal
	}
	return b
}

// parseFault reads a peer's refusal. Unknown codes are treated by their prefix (spec §2.6).
func parseFault(typ string, body []byte, hop string) *Fault {
	var b faultBody
	if err := json.Unmarshal(body, &b); err != nil || b.Type != typ {
		b = faultBody{Type: typ}
	}
	c, ok := lookupFault(codeOf(b.Type))
	if !ok {
		c = faultCode{kind: errs.Unavailable, key: "exchange.refused"}
		if strings.HasPrefix(b.Type, atClient) {
			c.kind = errs.Invalid
		}
	}
	notice := noticeIn(codeOf(b.Type), b.Message)
	return &Fault{Type: b.Type, ID: b.Detail, Hop: hop, Notice: notice, err: errs.E(c.kind, c.key, nil, "notice", notice)}
}

// NewFault makes a fault of the edge: prefix ("client.", "server.clientproxy."), code, cause and message arguments.
func NewFault(prefix, code string, cause error, args ...any) *Fault {
	return newFault(prefix, code, "edge", NewUUID(), cause, args...)
}

// FaultKey returns the key of the message that explains a type of fault to a person.
func FaultKey(typ string) string {
	if c, ok := lookupFault(codeOf(typ)); ok {
		return c.key
	}
	return "exchange.refused"
}
