package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// errGone is the cause when the program, or whoever reads an answer, went away.
var errGone = errors.New("the reader went away")

// timing returns the context of a call. A call whose answer may stream ends in two steps: the deadline is for its
// beginning.
func (x *exchangeState) timing(ctx context.Context, c Call) (_ context.Context, begun, cancel func(), f *Fault) {
	timeout := c.Timeout
	if timeout <= 0 {
		if timeout = defaultTimeout; x.upload {
			timeout = uploadTimeout
		}
	}
	if !c.Deadline.IsZero() { // never extended, only ever shortened
		if timeout = min(timeout, c.Deadline.Sub(x.s.now())); timeout <= 0 {
			return nil, nil, nil, x.fault(atConsumer, "deadline_exceeded", errors.New("the deadline had passed when the call came"))
		}
	}
	if c.Stream {
		ctx, begun, cancel = withHeadDeadline(ctx, timeout)
		return ctx, begun, cancel, nil
	}
	ctx, stop := context.WithTimeout(ctx, timeout)
	return ctx, func() {}, stop, nil
}

// attach puts the body of a streamed request behind its signed head.
func (x *exchangeState) attach(ctx context.Context, req *WireRequest, head signed) {
	entry, at := x.entry, x.msg
	src, keep := req.Stream, x.keepStream(directionRequestBody)
	x.out = newOutBody(src.Body, src.Length, !x.s.opt.NoRequestHash, func(digest string, size int64) (http.Header, int64, error) {
		trailer, sig, err := x.s.signTrailer(head, digest, x.s.now())
		if err != nil {
			return nil, -1, err
		}
		kept, err := keep.commit()
		if err != nil {
			return nil, -1, fmt.Errorf("%w: %w", errKeep, err)
		}
		i, err := x.s.logBody(ctx, entry, bodyEntry{direction: directionRequestBody, outcome: "ok", digest: digest, size: size, sig: sig, kept: kept}, false)
		if err != nil {
			return nil, -1, fmt.Errorf("log of %s: %w", at.RequestID, err)
		}
		return trailer, i, nil
	})
	x.out.keep = keep
	req.Stream = &Stream{Body: x.out, Length: src.Length, Trailer: x.out.Trailer}
}

// uploaded notes how far the request's body came when the answer was there, or was not.
func (x *exchangeState) uploaded(ctx context.Context) {
	if x.out == nil {
		return
	}
	digest, size, index := x.out.sent()
	if digest == "" {
		x.out.forget()
	}
	x.msg.RequestSize, x.msg.RequestBodyIndex = size, index
	if digest != "" {
		x.entry.RequestDigest = digest
		return
	}
	x.msg.RequestBodyIndex = x.logCut(ctx, directionRequestBody, atConsumer+"body_unread", size)
}

// checkRequestDigest compares what the provider says it received with what was sent: an answer to half a request must
// not pass for one to the whole, except when it says itself that it fails.
func (x *exchangeState) checkRequestDigest(resp *WireResponse, refusal bool) error {
	got := resp.Header.Get(HeaderRequestDigest)
	switch {
	case refusal && resp.Stream != nil:
		return errors.New("a refusal streams")
	case refusal && got == "":
		return nil
	case x.out == nil && got != "":
		return errors.New("the answer names a digest that was not asked for")
	case x.out == nil:
		return nil
	}
	digest, _, _ := x.out.sent()
	if got == "" && resp.Status >= http.StatusBadRequest {
		x.entry.RequestDigest = digestPending // so the answer's entry says what was signed
		return nil
	}
	if digest == "" || got != digest {
		return errors.New("the answer is to another body than the one that was sent")
	}
	return nil
}

// receiveStream turns a streamed answer into a reader, or into memory for a caller that did not ask for one.
func (x *exchangeState) receiveStream(ctx context.Context, resp *WireResponse, head signed, a *Answer) (*Answer, *Fault) {
	s := x.s
	if !s.streams.take() {
		_ = resp.Stream.Body.Close()
		x.logCut(ctx, directionResponseBody, atConsumer+"quota_exceeded", 0)
		return nil, x.fault(atConsumer, "quota_exceeded", errors.New("too many bodies are streaming"))
	}
	var failed *Fault
	keep := x.keepStream(directionResponseBody)
	body := newInBody(resp.Stream, false, nil, func(digest string, size int64, cause error) error {
		sig, err := signed{}, cause
		if err == nil {
			sig, err = s.verifyTrailer(head, x.peer.ServerID, resp.Stream.Trailer(), digest, s.now())
		}
		x.msg.ResponseSize = size
		if err == nil {
			// The consumer's entry of the answer is on the disk before its last byte is released (spec D24).
			var kept string
			if kept, err = keep.commit(); err == nil {
				x.msg.ResponseBodyIndex, err = s.logBody(ctx, x.entry, bodyEntry{
					direction: directionResponseBody, outcome: "ok", digest: digest, size: size, status: resp.Status, sig: sig, kept: kept,
				}, true)
			}
			if err == nil {
				return nil
			}
			failed = x.loggingFailed(err)
			return failed
		}
		failed = x.fault(atConsumer, cutCode(ctx, cause), err, "peer", x.peer.Member)
		if errors.Is(err, errKeep) {
			failed = x.loggingFailed(err)
		}
		x.msg.Outcome, x.cut = failed.Type, failed
		x.msg.ResponseBodyIndex = x.logCut(ctx, directionResponseBody, failed.Type, size)
		return failed
	})
	body.keep = keep
	x.ends.Add(1)
	r := &answerBody{in: body, src: resp.Stream.Body, end: sync.OnceFunc(func() {
		_ = resp.Stream.Body.Close()
		s.streams.release()
		x.ends.Done()
	})}
	if x.want {
		a.BodyReader, a.Length = r, resp.Stream.Length
		return a, nil
	}
	defer func() { _ = r.Close() }()
	whole, taken, more, err := s.opt.Budget.Read(r, resp.Stream.Length, MaxBody)
	defer s.opt.Budget.Release(taken)
	switch {
	case failed != nil:
		return nil, failed
	case errors.Is(err, ErrBudget):
		return nil, x.fault(atConsumer, "quota_exceeded", err)
	case err != nil:
		return nil, x.fault(atConsumer, "network_error", err, "peer", x.peer.Member)
	case more:
		return nil, x.fault(atConsumer, "invalid_body", errAnswerTooLarge, "megabytes", MaxBody>>20)
	}
	a.Body = whole
	return a, nil
}

// cutCode names what ended a body early; with no cause it ended well, but was not the signed one.
func cutCode(ctx context.Context, cause error) string {
	switch {
	case cause == nil, errors.Is(cause, errLength):
		return "signature_verification.digest_mismatch"
	case errors.Is(cause, errGone):
		return "io_error"
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return "deadline_exceeded"
	}
	return "network_error"
}

// answerBody is the body of a streamed answer in the hands of a caller.
type answerBody struct {
	in  *inBody
	src io.Closer
	end func()
}

// Read implements [io.Reader]. io.EOF means that the body is the signed one and is logged; any other error that it must not
// be used.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

// Close implements [io.Closer]. A body that was not read to its end is logged as such.
func (b *answerBody) Close() error {
	_ = b.src.Close() // first, because it wakes a reader
	b.in.abandon(errGone)
	b.end()
	return nil
}

// finishLater has the index told about a call once its streams have ended.
func (x *exchangeState) finishLater(cancel func()) {
	go func() {
		x.ends.Wait()
		cancel()
		x.end(x.cut)
		x.s.index.put(x.msg)
	}()
}

// carryLocal hands a request to this very node in a way that lets the answer stream.
func (s *Service) carryLocal(ctx context.Context, in *WireRequest) (*WireResponse, error) {
	head := make(chan *WireResponse, 1)
	pipe := NewPipe(func(resp *WireResponse) { head <- resp })
	go func() {
		resp := s.ReceiveStream(ctx, in, pipe)
		switch {
		case resp == nil: // it went through the pipe
		case !resp.Abort:
			resp.Release()
			head <- resp
		case !pipe.Abort():
			head <- nil
		}
	}()
	select {
	case resp := <-head:
		if resp == nil {
			return nil, errors.New("the exchange was cut")
		}
		return resp, nil
	case <-ctx.Done():
		go func() { // the head may still come; nobody reads what follows
			if resp := <-head; resp != nil && resp.Stream != nil {
				_ = resp.Stream.Body.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// Pipe is a [Sink] whose other end is a [WireResponse] with a stream.
type Pipe struct {
	deliver func(*WireResponse)
	begun   bool
	r       *io.PipeReader
	w       *io.PipeWriter
	trailer http.Header // set before w is closed
}

// NewPipe returns a pipe that hands over its other end when the answer begins.
func NewPipe(deliver func(*WireResponse)) *Pipe { return &Pipe{deliver: deliver} }

// Begin implements [Sink].
func (p *Pipe) Begin(status int, h http.Header, length int64) error {
	p.begun = true
	p.r, p.w = io.Pipe()
	p.deliver(&WireResponse{Status: status, Header: h, Stream: &Stream{Body: p.r, Length: length, Trailer: func() http.Header { return p.trailer }}})
	return nil
}

// Write implements [io.Writer].
func (p *Pipe) Write(b []byte) (int, error) { return p.w.Write(b) }

// Flush implements [Sink].
func (p *Pipe) Flush() {}

// End implements [Sink].
func (p *Pipe) End(trailer http.Header) error {
	p.trailer = trailer
	return p.w.Close()
}

// Abort ends the body without an end; false when there is none yet.
func (p *Pipe) Abort() bool {
	if p.begun {
		_ = p.w.CloseWithError(io.ErrUnexpectedEOF)
	}
	return p.begun
}
