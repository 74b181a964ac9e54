package exchange

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// serviceTime bounds the service by the caller's deadline and by what its owner allows, whichever is shorter.
func (x *exchangeState) serviceTime(ctx context.Context, req *WireRequest) (context.Context, func(), *Fault) {
	left := x.offering.Timeout
	if ms, err := strconv.ParseInt(req.Header.Get(HeaderDeadline), 10, 64); err == nil {
		given := time.UnixMilli(ms).Sub(x.s.now())
		if given <= 0 {
			return nil, nil, x.fault(atProvider, "deadline_exceeded", nil)
		}
		if left == 0 || given < left {
			left = given
		}
	}
	switch {
	case left == 0:
		ctx, cancel := context.WithCancel(ctx)
		return ctx, cancel, nil
	case x.sink == nil:
		ctx, cancel := context.WithTimeout(ctx, left)
		return ctx, cancel, nil
	}
	ctx, begun, cancel := withHeadDeadline(ctx, left)
	x.begun = begun
	return ctx, cancel, nil
}

// streamIn gives a streamed body to the request of the service.
func (x *exchangeState) streamIn(ctx context.Context, req *WireRequest, hr *http.Request) *Fault {
	if req.Stream == nil {
		return nil
	}
	if !x.s.streams.take() {
		return x.fault(atProvider, "quota_exceeded", errors.New("too many bodies are streaming"))
	}
	in := x.incoming(ctx, req)
	hr.Body, hr.GetBody, hr.ContentLength = in, nil, req.Stream.Length
	if x.offering.Verify != VerifyBefore {
		return nil
	}
	sp, err := newSpool(x.s.opt.SpoolDir)
	if err == nil {
		x.spool = sp
		_, err = sp.fill(in)
	}
	switch {
	case x.cut != nil:
		x.streamDone()
		return x.cut
	case err != nil:
		x.streamDone()
		return x.fault(atProvider, "io_error", err)
	}
	hr.Body, hr.ContentLength = sp, sp.size
	return nil
}

// streamDone lets go of what a streamed request held.
func (x *exchangeState) streamDone() {
	if x.in == nil || x.released {
		return
	}
	x.released = true
	x.s.streams.release()
	if x.spool != nil {
		_ = x.spool.Close()
	}
	x.in.abandon(errUnread)
}

// newRecorder returns what the service writes to.
func (x *exchangeState) newRecorder(ctx context.Context, req *WireRequest, r1 string) *recorder {
	rec := newRecorder()
	rec.bare, rec.budget = req.Method == http.MethodHead, x.s.opt.Budget
	if x.sink != nil {
		rec.start = func() (*outgoing, *Fault) { return x.beginAnswer(ctx, req, r1, rec) }
	}
	return rec
}

// streamedOut ends an answer that went through the sink.
func (x *exchangeState) streamedOut(rec *recorder, err error) (*WireResponse, *Fault) {
	if err == nil && rec.failed != nil {
		err = rec.failed.err
	}
	rec.out.end(err)
	return nil, x.cut
}

// streamFault is what prevented streaming, in either direction.
func (x *exchangeState) streamFault(rec *recorder) *Fault {
	if x.cut != nil {
		return x.cut
	}
	return rec.refused
}
