package exchange

import (
	"bytes"
	"errors"
	"net/http"
)

// recorder keeps what a service writes until it has been signed and logged; nothing may leave before. When that grows
// beyond [StreamThreshold] it begins to stream, if the other side can take it.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	// bare is set for HEAD, whose answer has no body.
	bare bool
	// tooLarge is set when the service wrote more than [MaxBody]; a shortened answer must never be signed.
	tooLarge bool
	// failed is set when the service could not be reached.
	failed *failure

	budget *Budget
	taken  int64
	// start begins to stream; nil when the answer cannot.
	start func() (*outgoing, *Fault)
	out   *outgoing
	// refused is why streaming could not begin.
	refused *Fault
}

var (
	errAnswerTooLarge = errors.New("the answer is too large")
	errNoStream       = errors.New("the answer cannot be sent")
)

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

// Header implements [http.ResponseWriter].
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements [http.ResponseWriter]. Interim statuses have no meaning here.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
}

// Write implements [http.ResponseWriter].
func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	switch {
	case r.bodyless():
		return len(b), nil // HTTP carries no body here, so none may be signed
	case r.out != nil:
		return r.out.Write(b)
	case r.refused != nil:
		return 0, errNoStream
	}
	fits := r.body.Len()+len(b) <= StreamThreshold
	if fits || r.start == nil {
		if r.budget.Take(int64(len(b))) {
			r.taken += int64(len(b))
		} else {
			fits = false
		}
	}
	switch {
	case fits:
	case r.start != nil:
		return r.stream(b)
	case r.body.Len()+len(b) > MaxBody:
		r.tooLarge = true
		return 0, errAnswerTooLarge
	}
	return r.body.Write(b)
}

// stream sends what was kept, and from now on all.
func (r *recorder) stream(b []byte) (int, error) {
	if r.out, r.refused = r.start(); r.refused != nil {
		return 0, errNoStream
	}
	kept := r.body.Bytes()
	r.body = bytes.Buffer{}
	r.budget.Release(r.taken)
	r.taken = 0
	if len(kept) > 0 {
		if _, err := r.out.Write(kept); err != nil {
			return 0, err
		}
	}
	return r.out.Write(b)
}

// Flush implements [http.Flusher]: an answer that streams is sent on. A small one is not cut into pieces by it.
func (r *recorder) Flush() {
	if r.out != nil {
		r.out.sink.Flush()
	}
}

func (r *recorder) bodyless() bool {
	return r.bare || r.status == http.StatusNoContent || r.status == http.StatusNotModified
}
