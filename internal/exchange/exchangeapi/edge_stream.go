package exchangeapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"truc/internal/exchange"
)

// upload is the body of a program's request at the edge.
type upload struct {
	w      http.ResponseWriter
	r      *http.Request
	budget *exchange.Budget
	idle   time.Duration // see [Edge]

	taken int64
	dog   *watchdog // of a body that streams
	rest  *endNoted
}

// endNoted remembers that a body was read to its end.
type endNoted struct {
	io.ReadCloser
	ended atomic.Bool
}

// Read implements [io.Reader].
func (e *endNoted) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil {
		e.ended.Store(true)
	}
	return n, err
}

// read puts the body into the call: small ones whole, others as a stream. The answer may stream in any case.
func (u *upload) read(c *exchange.Call) error {
	c.Stream = true
	length := u.r.ContentLength
	var begin []byte
	more := length > exchange.StreamThreshold
	if !more {
		var err error
		begin, u.taken, more, err = u.budget.Read(u.r.Body, length, exchange.StreamThreshold)
		switch {
		case errors.Is(err, exchange.ErrBudget):
			if u.r.ProtoMajor == 1 {
				u.w.Header().Set("Connection", "close") // net/http would otherwise wait for the rest before it answers
			}
			return exchange.NewFault("server.clientproxy.", "quota_exceeded", err)
		case err != nil:
			return exchange.NewFault("client.", "bad_request", fmt.Errorf("the body ended early: %w", err))
		case !more:
			c.Body = begin
			return nil
		}
	}
	rc := http.NewResponseController(u.w)
	_ = rc.SetReadDeadline(time.Time{}) // the server's limit is for small bodies
	_ = rc.SetWriteDeadline(time.Time{})
	u.dog = newWatchdog(u.idle, func() { _ = rc.SetReadDeadline(past) })
	u.rest = &endNoted{ReadCloser: watched{ReadCloser: u.r.Body, dog: u.dog}}
	c.BodyReader, c.Length = io.MultiReader(bytes.NewReader(begin), u.rest), length
	return nil
}

// done ends what the body held. A goroutine of the link may still wait for the program's next byte; net/http would wait for
// it in turn, so it is woken.
func (u *upload) done() {
	u.budget.Release(u.taken)
	if u.dog != nil {
		u.dog.stop()
		if u.rest.ended.Load() {
			return
		}
		_ = http.NewResponseController(u.w).SetReadDeadline(past)
	}
}

// streamAnswer passes a streamed answer on. Where it turns out not to be the signed one the connection is cut, so that no
// program takes it for whole.
func streamAnswer(w http.ResponseWriter, a *exchange.Answer, idle time.Duration) {
	defer a.BodyReader.Close()
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // it would end the request's context
	_ = rc.SetWriteDeadline(time.Time{})
	dog := newWatchdog(idle, func() { _ = rc.SetWriteDeadline(past) })
	defer dog.stop()
	if a.Length >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(a.Length, 10))
	}
	w.WriteHeader(a.Status)
	buf := make([]byte, streamStep)
	for {
		n, err := a.BodyReader.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				panic(http.ErrAbortHandler)
			}
			dog.move(n)
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			panic(http.ErrAbortHandler)
		}
	}
}
