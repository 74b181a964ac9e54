package exchange

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// StreamThreshold is the largest body that is held in memory, signed with its digest and passed on whole (spec D21).
// A larger one, or one of unknown length that turns out larger, streams: the head is signed first, and the fields after
// the body carry its digest under a second signature.
const StreamThreshold = 256 << 10

// Header fields of streams. Both are signed.
const (
	// HeaderBody says "stream" when the digest comes after the body.
	HeaderBody = "Truc-Body"
	// HeaderRequestDigest of an answer is the digest of a streamed request that arrived whole.
	HeaderRequestDigest = "Truc-Request-Digest"

	bodyStream = "stream"
	// digestPending stands in a log entry for the digest of a body that was still on its way.
	digestPending = "pending"
)

const (
	// uploadTimeout bounds a call with a streamed request that names no time.
	uploadTimeout = time.Hour
	// longestStream bounds a streamed answer once it has begun.
	longestStream = time.Hour
	// streamBlock is how much is read at once. A receiver holds one block back until it knows that the body is good.
	streamBlock = 32 << 10
)

// MaxStreams is how many bodies may stream through a process at a time. More are refused: each holds buffers of the
// network, and their sum must stay bounded (spec D33).
const MaxStreams = 48

// Stream is a body that is read while it arrives.
type Stream struct {
	Body io.ReadCloser
	// Length is the announced length, -1 when it is not known. Nobody signed it.
	Length int64
	// Trailer returns the fields after the body, once Body has returned io.EOF.
	Trailer func() http.Header
}

// Sink takes an answer that streams. [Link] of exchangeapi writes it to the network.
type Sink interface {
	// Begin sends the head; length is -1 when it is not known.
	Begin(status int, h http.Header, length int64) error
	io.Writer
	// Flush sends what was written.
	Flush()
	// End sends the fields after the body.
	End(trailer http.Header) error
}

// isStream reports whether a message says that its digest comes later.
func isStream(h http.Header) bool { return len(h[HeaderBody]) > 0 }

// digestIn is the Content-Digest for the log.
func digestIn(h http.Header) string {
	if isStream(h) {
		return digestPending
	}
	return h.Get("Content-Digest")
}

// headContext ends at a deadline unless the answer has begun by then: a deadline says how long to wait for an answer,
// not how large it may be.
type headContext struct {
	context.Context
	at time.Time
}

// Deadline implements [context.Context].
func (c headContext) Deadline() (time.Time, bool) { return c.at, !c.at.IsZero() }

// withHeadDeadline returns a context that ends after d, or [longestStream] after begun was called.
func withHeadDeadline(parent context.Context, d time.Duration) (ctx context.Context, begun, cancel func()) {
	timed, stop := context.WithTimeout(parent, d)
	at, _ := timed.Deadline()
	stop()
	inner, end := context.WithCancelCause(parent)
	timer := time.AfterFunc(d, func() { end(context.DeadlineExceeded) })
	begun = sync.OnceFunc(func() {
		if timer.Stop() {
			timer.Reset(longestStream)
		}
	})
	return headContext{inner, at}, begun, func() { timer.Stop(); end(context.Canceled) }
}

// streamSlots counts the bodies that stream.
type streamSlots struct {
	mu sync.Mutex // guards n
	n  int
}

func (s *streamSlots) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n >= MaxStreams {
		return false
	}
	s.n++
	return true
}

func (s *streamSlots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n--
}
