package exchange

import (
	"context"
	"errors"
	"strings"

	"truc/internal/telemetry"
)

// attempts asks one node, and another where that is safe (spec D18).
func (x *exchangeState) attempts(ctx context.Context, req *WireRequest, peers []Peer) (*Answer, *Fault) {
	var tried []string
	var last *Fault
	for {
		peer, release, f := x.choose(peers, tried)
		if f != nil {
			if last == nil {
				last = f
			}
			return nil, last
		}
		if tried = append(tried, peer.ServerID); last != nil {
			x.again(last)
			req.Header.Set(HeaderRequestID, x.msg.RequestID)
		}
		this := req
		if len(peers) > 1 { // the request is kept as it was before it was signed
			this = &WireRequest{Method: req.Method, TargetURI: req.TargetURI, Header: req.Header.Clone(), Body: req.Body, Stream: req.Stream}
		}
		ans, f, more := x.tryPeer(ctx, this, peer, release)
		if f == nil {
			return ans, nil
		}
		if !more || len(tried) == len(peers) || len(tried) == maxAttempts {
			return nil, f
		}
		last = f
	}
}

// tryPeer asks a node, reports how it did, and says whether another may be asked after a failure.
func (x *exchangeState) tryPeer(ctx context.Context, req *WireRequest, peer Peer, release func(verdict)) (_ *Answer, _ *Fault, more bool) {
	v := undecided
	defer func() { release(v) }()
	ans, f := x.attempt(ctx, req, peer)
	if f == nil {
		v = healthy
		return ans, nil, false
	}
	v, more = x.judge(req, f, ctx.Err() != nil)
	return nil, f, more
}

// attempt asks one node.
func (x *exchangeState) attempt(ctx context.Context, req *WireRequest, peer Peer) (*Answer, *Fault) {
	s := x.s
	x.peer = peer
	req.TargetURI = strings.TrimSuffix(peer.URL, "/") + req.TargetURI
	req.PeerKeyID = ""
	x.msg.Peer = peer.ServerID
	shares, unreachable := s.prepareWay(ctx, x.peer)
	x.lap(phaseEdge)
	sig, err := sigMessage{req: req, header: req.Header}.sign(req.Body, s.signer.Load(), shares, s.now())
	if err != nil {
		return nil, x.cannotSign(atConsumer, err)
	}
	x.reqSig = ":" + sig.text + ":"
	x.lap(phaseSign)
	if f := x.logRequest(ctx, req, sig, false); f != nil {
		return nil, f
	}
	if f := x.keepBody(directionRequest, req.Header, req.Body); f != nil {
		return nil, f
	}
	x.lap(phaseLog)
	ctx = telemetry.WithTrace(ctx, x.sending(req.Header))
	if req.Stream != nil {
		x.attach(ctx, req, sig)
	}
	resp, err := (*WireResponse)(nil), unreachable
	if err == nil { // an attempt that failed before anything was sent is evidence too
		resp, err = s.carry(ctx, peer, req, x.want || x.upload)
		x.arrived(phaseLink)
	}
	x.uploaded(ctx)
	if err != nil {
		f := x.fault(atConsumer, x.carryCode(ctx), err, "peer", peer.Member)
		if x.out != nil && errors.Is(x.out.sourceFault(), errKeep) {
			f = x.loggingFailed(x.out.sourceFault())
		}
		x.logFailure(ctx, f)
		return nil, f
	}
	return x.answer(ctx, req, resp)
}

// carryCode names why no answer came.
func (x *exchangeState) carryCode(ctx context.Context) string {
	switch {
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return "deadline_exceeded"
	case ctx.Err() != nil:
		return "deadline_exceeded" // the caller gave up, which to the other side is the same
	case x.out != nil && x.out.sourceFault() != nil:
		return "io_error"
	}
	return "network_error"
}
