package exchange

import (
	"bytes"
	"errors"
	"net/http"
)

// recorder keeps what a service writes until it has been signed and logged; nothing may leave before.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	// tooLarge is set when the service wrote more than [MaxBody]; a shortened answer must never be signed.
	tooLarge bool
	// failed is set when the service could not be reached.
	failed *failure
}

var errAnswerTooLarge = errors.New("the answer is too large")

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
	if r.body.Len()+len(b) > MaxBody {
		r.tooLarge = true
		return 0, errAnswerTooLarge
	}
	return r.body.Write(b)
}
