package telemetry

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
)

// Trace is a place in a trace: which trace, and which span is the parent of what comes next (W3C Trace Context). The
// zero value is no trace.
type Trace struct {
	ID   [16]byte
	Span [8]byte
	// Sampled says that whoever is on the way should keep its spans.
	Sampled bool
	// State is tracestate, which is passed on as it came.
	State string
	// Arrived is when the request that brought the trace was there, in Unix microseconds; 0 for work inside the node.
	Arrived int64
}

// Headers of W3C Trace Context.
const (
	HeaderParent = "Traceparent"
	HeaderState  = "Tracestate"
)

// maxState is how long a tracestate is passed on (the recommendation asks for at least 512).
const maxState = 512

// Valid reports whether there is a trace.
func (t Trace) Valid() bool { return t.ID != [16]byte{} && t.Span != [8]byte{} }

// TraceID is the trace's id in hex, "" for none.
func (t Trace) TraceID() string {
	if !t.Valid() {
		return ""
	}
	return hex.EncodeToString(t.ID[:])
}

// NewTrace begins a trace. Its ids are random but not secret.
func NewTrace(sampled bool) Trace {
	t := Trace{Sampled: sampled}
	for t.ID == [16]byte{} {
		putUint64(t.ID[:8], rand.Uint64()) //nolint:gosec // ids of traces protect nothing
		putUint64(t.ID[8:], rand.Uint64()) //nolint:gosec // ids of traces protect nothing
	}
	t.Span = newSpan()
	return t
}

// Child returns the same trace with a new span.
func (t Trace) Child() Trace {
	t.Span, t.Arrived = newSpan(), 0
	return t
}

func newSpan() (s [8]byte) {
	for s == [8]byte{} {
		putUint64(s[:], rand.Uint64()) //nolint:gosec // ids of spans protect nothing
	}
	return s
}

func putUint64(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (8 * i) & 0xff)
	}
}

// Parent writes the traceparent field of version 00.
func (t Trace) Parent() string {
	if !t.Valid() {
		return ""
	}
	b := make([]byte, 0, 55)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, t.ID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, t.Span[:])
	if t.Sampled {
		return string(append(b, "-01"...))
	}
	return string(append(b, "-00"...))
}

// ParseParent reads a traceparent field. As the recommendation demands, a higher version is read as far as version 00
// goes, and anything malformed is no trace: whoever receives it begins a new one.
func ParseParent(s string) (Trace, bool) {
	var t Trace
	if len(s) < 55 || len(s) > 512 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return t, false
	}
	var version, flags [1]byte
	if !unhex(version[:], s[:2]) || version[0] == 0xff || !unhex(t.ID[:], s[3:35]) || !unhex(t.Span[:], s[36:52]) || !unhex(flags[:], s[53:55]) {
		return Trace{}, false
	}
	if len(s) > 55 && (version[0] == 0 || s[55] != '-') || !t.Valid() {
		return Trace{}, false
	}
	t.Sampled = flags[0]&1 != 0
	return t, true
}

// unhex decodes lower-case hex; upper case is not allowed here.
func unhex(dst []byte, s string) bool {
	for i := range len(s) {
		if c := s[i]; c < '0' || c > '9' && c < 'a' || c > 'f' {
			return false
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}

// FromHeader reads the trace of a request; the zero Trace when there is none.
func FromHeader(h http.Header) Trace {
	values := h[HeaderParent]
	if len(values) != 1 { // two parents are none
		return Trace{}
	}
	t, ok := ParseParent(values[0])
	if !ok {
		return Trace{}
	}
	t.State = cleanState(h[HeaderState])
	return t
}

// cleanState joins the fields of a tracestate and drops one that cannot be passed on.
func cleanState(values []string) string {
	s := strings.Join(values, ",")
	if len(s) > maxState || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}

// SetHeader writes the trace into headers, or takes one out that is not ours.
func (t Trace) SetHeader(h http.Header) {
	if !t.Valid() {
		delete(h, HeaderParent)
		delete(h, HeaderState)
		return
	}
	h[HeaderParent] = []string{t.Parent()}
	if t.State == "" {
		delete(h, HeaderState)
		return
	}
	h[HeaderState] = []string{t.State}
}

type traceKey struct{}

// WithTrace returns a context that carries a trace.
func WithTrace(ctx context.Context, t Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the trace of a context; the zero Trace when there is none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}
