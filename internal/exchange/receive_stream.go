package exchange

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// incoming is the streamed body of a request on the provider's side.
func (x *exchangeState) incoming(ctx context.Context, req *WireRequest) *inBody {
	s := x.s
	keep := x.keepStream(directionRequestBody)
	x.in = newInBody(req.Stream, !x.s.opt.NoRequestHash, func(n int) error { return x.pace(ctx, n) }, func(digest string, size int64, cause error) error {
		sig, err := signed{}, cause
		if err == nil {
			sig, err = s.verifyTrailer(x.head, x.peer.ServerID, req.Stream.Trailer(), digest, s.now())
		}
		x.msg.RequestSize = size
		if err == nil {
			// Like the request itself it is on the disk before the service has all of it.
			var kept string
			if kept, err = keep.commit(); err == nil {
				x.msg.RequestBodyIndex, err = s.logBody(ctx, x.entry, bodyEntry{direction: directionRequestBody, outcome: "ok", digest: digest, size: size, sig: sig, kept: kept}, true)
			}
			if err != nil {
				x.cut = x.loggingFailed(err)
				return x.cut
			}
			x.entry.RequestDigest = digest
			return nil
		}
		if errors.Is(err, errUnread) { // the service did not want it, which is its right
			x.msg.RequestBodyIndex = x.logCut(ctx, directionRequestBody, atProvider+"body_unread", size)
			return errUnread
		}
		x.cut = x.fault(atProvider, cutCode(ctx, cause), err)
		if errors.Is(err, errKeep) {
			x.cut = x.loggingFailed(err)
		}
		x.msg.RequestBodyIndex = x.logCut(ctx, directionRequestBody, x.cut.Type, size)
		return fmt.Errorf("%w: %w", errMismatch, err)
	})
	x.in.keep = keep
	return x.in
}

var errUnread = errors.New("the service answered before it had read the body")

// pace slows a stream down to the bytes a second its consumer may have.
func (x *exchangeState) pace(ctx context.Context, n int) error {
	now := x.s.now()
	x.adm.took(int64(n), now)
	wait := x.adm.debt(now)
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settle brings a streamed request to its end before the answer leaves: an answer says which body it is to. A service
// that refuses may do so without reading on.
func (x *exchangeState) settle(status int) *Fault {
	if x.in == nil {
		return nil
	}
	if status >= http.StatusBadRequest && !x.in.whole() && x.cut == nil {
		x.in.abandon(errUnread)
		if x.cut == nil {
			return nil
		}
	} else if err := x.in.drain(); err == nil {
		return nil
	}
	if x.cut == nil {
		x.cut = x.fault(atProvider, "io_error", errors.New("the request's body was not received"))
	}
	return x.cut
}

// requestHash is X-Road's request hash of this request, whose body may have streamed; empty when it did not do so whole.
func (x *exchangeState) requestHash(req *WireRequest, target string) string {
	if x.s.opt.NoRequestHash {
		return ""
	}
	var body interface {
		forHash() (sum []byte, empty, whole bool)
	}
	switch {
	case x.in != nil:
		body = x.in
	case x.out != nil:
		body = x.out
	default:
		return RequestHash(req.Method, target, req.Header, req.Body)
	}
	sum, empty, whole := body.forHash()
	if !whole {
		return ""
	}
	return requestHashSum(requestHead(req.Method, target, req.Header), sum, empty)
}

// outgoing is an answer that streams. The recorder of a service turns into one when the service writes more than is held
// in memory.
type outgoing struct {
	x    *exchangeState
	ctx  context.Context //nolint:containedctx // it lives as long as the one call of the service that writes
	sink Sink
	head signed
	hash hash.Hash
	n    int64
	err  error
	resp *WireResponse
	// announced is the length the service gave, -1 for none.
	announced int64
	keep      *keptStream
}

// beginAnswer signs, logs and sends the head of a streamed answer.
func (x *exchangeState) beginAnswer(ctx context.Context, req *WireRequest, target string, rec *recorder) (*outgoing, *Fault) {
	if f := x.settle(rec.status); f != nil {
		return nil, f
	}
	if x.in != nil && !x.in.whole() {
		return nil, x.fault(atProvider, "service_failed.invalid_body", errUnread) // a long refusal of a request half read
	}
	if !x.s.streams.take() {
		return nil, x.fault(atProvider, "quota_exceeded", errors.New("too many bodies are streaming"))
	}
	o := &outgoing{x: x, ctx: ctx, sink: x.sink, hash: sha256.New(), announced: -1, keep: x.keepStream(directionResponseBody)}
	if n, err := strconv.ParseInt(rec.header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		o.announced = n
	}
	o.resp = &WireResponse{Status: rec.status, Header: endToEnd(rec.header)}
	if hash := x.requestHash(req, target); hash != "" {
		o.resp.Header.Set(HeaderHash, hash)
	}
	o.resp.Header.Set(HeaderBody, bodyStream)
	head, f := x.signAnswer(req, o.resp)
	if f == nil {
		o.head = head
		x.msg.Status = o.resp.Status
		f = x.logResponse(ctx, o.resp, head, "ok", false)
	}
	if f == nil {
		if err := x.sink.Begin(o.resp.Status, o.resp.Header, o.announced); err != nil {
			f = x.fault(atProvider, "network_error", err)
		}
	}
	if f != nil {
		x.s.streams.release()
		return nil, f
	}
	x.begun()
	return o, nil
}

// Write implements [io.Writer]. An error stays: a service may overlook it, but what it wrote is then not the whole.
func (o *outgoing) Write(b []byte) (int, error) {
	if o.err == nil {
		o.err = o.write(b)
	}
	if o.err != nil {
		return 0, o.err
	}
	return len(b), nil
}

func (o *outgoing) write(b []byte) error {
	if o.announced >= 0 && o.n+int64(len(b)) > o.announced {
		return http.ErrContentLength
	}
	if err := context.Cause(o.ctx); err != nil {
		return err
	}
	o.hash.Write(b)
	o.n += int64(len(b))
	if err := o.keep.write(b); err != nil {
		return fmt.Errorf("%w: %w", errKeep, err)
	}
	if err := o.x.pace(o.ctx, len(b)); err != nil {
		return err
	}
	_, err := o.sink.Write(b)
	return err
}

// end completes the answer, or cuts it when the service failed; it reports whether it was completed.
func (o *outgoing) end(failed error) bool {
	x := o.x
	defer x.s.streams.release()
	if failed == nil {
		failed = o.err
	}
	if failed == nil && o.announced >= 0 && o.n != o.announced {
		failed = errLength
	}
	if failed == nil {
		failed = context.Cause(o.ctx)
	}
	x.msg.ResponseSize = o.n
	if failed == nil {
		digest := digestField(o.hash)
		trailer, sig, err := x.s.signTrailer(o.head, digest, x.s.now())
		var kept string
		if err == nil {
			kept, err = o.keep.commit()
		}
		if err == nil {
			x.msg.ResponseBodyIndex, err = x.s.logBody(o.ctx, x.entry, bodyEntry{
				direction: directionResponseBody, outcome: "ok", digest: digest, size: o.n, status: o.resp.Status, sig: sig, kept: kept,
			}, false)
		}
		if err == nil {
			err = o.sink.End(trailer)
		}
		if err == nil {
			return true
		}
		failed = err
	}
	_ = o.keep.discard() // what is left without an end cannot be read
	x.cut = x.fault(atProvider, "service_failed.io_error", failed, "service", x.msg.Service)
	if errors.Is(failed, errKeep) {
		x.cut = x.loggingFailed(failed)
	}
	x.msg.Outcome = x.cut.Type
	if x.msg.ResponseBodyIndex < 0 {
		x.msg.ResponseBodyIndex = x.logCut(o.ctx, directionResponseBody, x.cut.Type, o.n)
	}
	return false
}

// aborted ends an exchange without an answer: the connection's stream is reset, so that nobody takes half a message for
// a whole one (spec D21).
func (x *exchangeState) aborted(ctx context.Context) *WireResponse {
	x.s.opt.Logger.WarnContext(ctx, "exchange cut", slog.String("fault", x.cut.Type), slog.String("fault_id", x.cut.ID),
		slog.String("service", x.msg.Service), slog.String("client", x.msg.Client), slog.String("peer", x.peer.ServerID), slog.String("cause", x.cut.err.Error()))
	x.msg.Outcome = x.cut.Type
	return &WireResponse{Abort: true}
}
