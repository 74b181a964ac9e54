package exchange

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"truc/internal/orgcode"
	"truc/internal/reqctx"
	"truc/internal/telemetry"
)

// Receive handles a request that came over the link: verify, judge, log, call the service, log, sign. It always
// returns a response; a refusal is signed like an answer as soon as there is a request signature to bind it to.
//
// A streamed request is cut, with [WireResponse.Abort], when its body is not the signed one.
func (s *Service) Receive(ctx context.Context, req *WireRequest) *WireResponse {
	return s.ReceiveStream(ctx, req, nil)
}

// ReceiveStream is [Service.Receive] with an answer that may stream: then it goes through the sink, and the result is
// nil.
func (s *Service) ReceiveStream(ctx context.Context, req *WireRequest, sink Sink) *WireResponse {
	x := &exchangeState{s: s, role: RoleProvider, faultID: NewUUID(), started: s.now(), sink: sink, begun: func() {}}
	x.msg = Message{
		Role: RoleProvider, At: x.started, Outcome: "ok", RequestIndex: -1, ResponseIndex: -1, Method: req.Method,
		RequestBodyIndex: -1, ResponseBodyIndex: -1,
		RequestSize: int64(len(req.Body)), ExchangeID: req.Header.Get(HeaderID), RequestID: req.Header.Get(HeaderRequestID),
	}
	x.begin(ctx, req.Header)
	resp, f := x.receive(ctx, req)
	switch {
	case x.cut != nil:
		resp = x.aborted(ctx)
	case f != nil:
		resp = x.refuse(ctx, req, f)
	}
	x.end(f)
	if x.logged {
		s.index.put(x.msg)
	}
	if resp != nil {
		resp.budget, resp.taken = s.opt.Budget, x.taken
	}
	return resp
}

func (x *exchangeState) receive(ctx context.Context, req *WireRequest) (*WireResponse, *Fault) {
	s := x.s
	if len(req.Body) > MaxBody {
		return nil, x.fault(atProvider, "invalid_body", nil, "megabytes", MaxBody>>20)
	}
	target, client, f := x.parse(req)
	if f != nil {
		return nil, f
	}
	sig, f := x.authenticate(req, client)
	if f != nil {
		return nil, f
	}
	x.lap(phaseVerify)
	x.msg.Peer = x.peer.ServerID
	if f := x.room(); f != nil { // before the request id is taken, so that it may be repeated
		return nil, f
	}
	if f := x.canSign(); f != nil {
		return nil, f
	}
	switch s.replay.add(x.msg.RequestID, takenUntil(sig.created), s.now()) {
	case replayNew:
	case replaySeen:
		return nil, x.fault(atProvider, "replayed_message", nil)
	case replayFull:
		return nil, x.fault(atProvider, "quota_exceeded", errors.New("the replay set is full"))
	}
	x.msg.Client, x.head = client.String(), sig
	// From here on the sender is known, so its request and our refusal both become evidence.
	if f := x.logRequest(ctx, req, sig, true); f != nil {
		return nil, f
	}
	x.lap(phaseLog)
	h, f := x.authorise(req, target, client)
	if f == nil && !slices.Contains(reservedCodes, target.Service.Code) { // metadata says nothing that needs a decision
		f = x.decide(ctx, req, target, client)
	}
	if f != nil {
		return nil, f
	}
	if f := x.keepBody(directionRequest, req.Header, req.Body); f != nil {
		return nil, f
	}
	resp, f := x.guarded(ctx, req, target, client, h)
	if f != nil || resp == nil {
		return nil, f
	}
	return x.finish(ctx, req, resp, "ok")
}

// parse reads identifiers and path; nothing is revealed about services yet.
func (x *exchangeState) parse(req *WireRequest) (Target, orgcode.Subsystem, *Fault) {
	bad := func(err error) (Target, orgcode.Subsystem, *Fault) {
		return Target{}, orgcode.Subsystem{}, x.fault(atProvider, "bad_request", err)
	}
	if !slices.Contains(methods, req.Method) {
		return Target{}, orgcode.Subsystem{}, x.fault(atProvider, "invalid_http_method", nil)
	}
	path, err := targetOf(req.TargetURI)
	if err != nil {
		return bad(err)
	}
	t, err := ParseTarget("x1", path)
	if err != nil {
		return bad(err)
	}
	if t.String("x1") != path {
		return bad(errors.New("the target is not in canonical form")) // a peer signs the canonical form only
	}
	x.msg.Service, x.msg.Path = t.Service.String(), maskDigits(t.Path.String())
	for _, h := range hopHeaders {
		if h != "Host" && h != "Content-Length" && h != "User-Agent" && len(req.Header.Values(h)) > 0 {
			return bad(fmt.Errorf("header %s does not cross the link", h))
		}
	}
	client, err := orgcode.ParseSubsystem(req.Header.Get(HeaderClient))
	if err != nil {
		return Target{}, client, x.fault(atProvider, "invalid_client_identifier", err)
	}
	if x.msg.ExchangeID == "" || x.msg.RequestID == "" || len(x.msg.ExchangeID) > 256 || len(x.msg.RequestID) > 64 {
		return Target{}, client, x.fault(atProvider, "missing_header", nil)
	}
	x.native = req.Header.Get(HeaderMode) == ModeNative
	x.msg.Activity, _ = ParsePurpose(req.Header.Get(HeaderPurpose))
	x.msg.Dossier = req.Header.Get(HeaderIssue)
	if err := x.parseGrant(req, client); err != nil {
		return bad(err)
	}
	return t, client, nil
}

// authenticate ties four things together: the channel key, the node it belongs to, the subsystem that node may speak
// for, and the signing key of that same node.
func (x *exchangeState) authenticate(req *WireRequest, client orgcode.Subsystem) (signed, *Fault) {
	s := x.s
	if s.opt.Directory.State().Level == "expired" {
		return signed{}, x.fault(atProvider, "global_conf_outdated", nil)
	}
	if !req.PeerUntil.IsZero() && x.started.After(req.PeerUntil) {
		return signed{}, x.fault(atProvider, "ssl_authentication_failed", fmt.Errorf("the channel's certificate ended at %v", req.PeerUntil))
	}
	hosts := s.opt.Directory.Hosts(client)
	i := slices.IndexFunc(hosts, func(p Peer) bool { return p.AcceptsTLS(req.PeerKeyID) })
	if i < 0 || req.PeerKeyID == "" {
		return signed{}, x.fault(atProvider, "ssl_authentication_failed", fmt.Errorf("the channel's key does not belong to a node of %s", client))
	}
	x.peer = hosts[i]
	if len(x.peer.Lacks) > 0 {
		return signed{}, x.tooOld(atProvider, codeConsumerOld, x.peer.Lacks)
	}
	sig, err := sigMessage{req: req, header: req.Header}.verify(req.Body, func(id string) (crypto.PublicKey, error) {
		return s.keyOf(id, x.peer.ServerID)
	}, &s.roots, s.now())
	if err != nil {
		return signed{}, x.fault(atProvider, signatureCode(err), err)
	}
	x.shared, x.reqSig = sig.shared(), ":"+sig.text+":"
	return sig, nil
}

// authorise finds the service and applies the rules and the demand for a purpose. Metadata services have no rules
// of their own: what they tell depends on the caller.
func (x *exchangeState) authorise(req *WireRequest, t Target, client orgcode.Subsystem) (http.Handler, *Fault) {
	s := x.s
	if t.Service.Owner().MemberID() != s.member || !s.Hosts(t.Service.Owner()) {
		return nil, x.fault(atProvider, "unknown_service", nil, "service", t.Service.String())
	}
	if slices.Contains(reservedCodes, t.Service.Code) {
		h, code := s.metadata(t, client, x.msg.Method)
		if code != "" {
			return nil, x.fault(atProvider, code, nil, "service", t.Service.String())
		}
		return h, nil
	}
	o, ok := s.offered(t.Service)
	s.mu.RLock()
	rules := s.rules
	s.mu.RUnlock()
	if !ok {
		return nil, x.fault(atProvider, "unknown_service", nil, "service", t.Service.String())
	}
	if x.native && !o.Public && !rules.reaches(client, t.Service) {
		// A native program learns no more than that it cannot use it (spec D7).
		return nil, x.fault(atProvider, "unknown_service", errors.New("no rule names the caller"), "service", t.Service.String())
	}
	allowed, activityOnly := rules.allows(client, t.Service, x.msg.Method, t.Path.Decoded(), x.msg.Activity)
	if !allowed && !activityOnly {
		return nil, x.fault(atProvider, "access_denied", nil, "service", t.Service.String())
	}
	if o.Personal && (x.msg.Activity == "" || x.msg.Dossier == "" && x.entry.Basis == "") {
		return nil, x.fault(atProvider, "purpose_required", nil, "service", t.Service.String())
	}
	if !allowed {
		return nil, x.fault(atProvider, "access_denied", errors.New("the activity is not one the rule names"), "service", t.Service.String())
	}
	if f := x.checkGrant(req, t, client, o); f != nil {
		return nil, f
	}
	if f := x.inMaintenance(); f != nil {
		return nil, f
	}
	if o.Disabled { // only now: whoever may not call does not learn this either (spec §2.7)
		return nil, x.disabled(o)
	}
	if o.AsyncOnly && req.Header.Get(HeaderMessage) == "" {
		return nil, x.fault(atProvider, "asynchronous_only", nil, "service", t.Service.String())
	}
	x.offering = o.Offering
	return s.asynchronous(t.Service, o.handler), nil
}

// dispatch calls the service behind the exchange.
func (x *exchangeState) dispatch(ctx context.Context, req *WireRequest, t Target, client orgcode.Subsystem, h http.Handler) (*WireResponse, *Fault) {
	ctx, cancel, f := x.serviceTime(ctx, req)
	if f != nil {
		return nil, f
	}
	defer cancel()
	ctx = WithTarget(reqctx.WithRequestID(ctx, x.msg.RequestID), t)
	ctx = reqctx.WithPrincipal(ctx, reqctx.Principal{Kind: reqctx.System, ID: client.String()})
	ctx = reqctx.WithCaller(ctx, reqctx.Caller{
		Subsystem: client.String(), Member: client.MemberID(), Agency: client.Member, Name: x.s.memberName(client.MemberID(), "vi"),
		Service: t.Service.String(), ExchangeID: x.msg.ExchangeID, RequestID: x.msg.RequestID, UserID: req.Header.Get(HeaderUserID),
		Activity: x.msg.Activity, Basis: x.entry.Basis, Dossier: x.msg.Dossier, Grant: x.msg.Grant, Delegator: x.msg.Delegator,
	})
	hr, err := http.NewRequestWithContext(ctx, req.Method, "http://service.internal/", bytes.NewReader(req.Body))
	if err != nil {
		return nil, x.fault(atProvider, "bad_request", err)
	}
	path, raw := t.Path.Decoded(), t.Path.String()
	if path == "" {
		path, raw = "/", "/" // a handler always sees a path; X-Road's empty one is the service itself
	}
	hr.URL = &url.URL{Path: path, RawPath: raw, RawQuery: t.Query}
	hr.RequestURI = raw
	hr.Header = endToEnd(req.Header)
	for _, name := range []string{HeaderClient, HeaderID, HeaderRequestID, HeaderIssue, HeaderUserID, HeaderPurpose, HeaderParty} {
		if v := req.Header.Get(name); v != "" {
			hr.Header.Set(name, v)
		}
	}
	hr = hr.WithContext(telemetry.WithTrace(ctx, x.sending(hr.Header)))
	r1 := "/r1" + strings.TrimPrefix(t.String("x1"), "/x1")
	if f := x.streamIn(ctx, req, hr); f != nil {
		return nil, f
	}
	defer x.streamDone()
	rec := x.newRecorder(ctx, req, r1)
	err = x.serve(ctx, h, rec, hr)
	x.arrived(phaseBackend)
	if rec.out != nil {
		return x.streamedOut(rec, err)
	}
	defer func() { x.taken = rec.taken }()
	if f := x.streamFault(rec); f != nil {
		return nil, f
	}
	if err != nil {
		return nil, x.fault(atProvider, "service_failed.internal_error", err, "service", t.Service.String())
	}
	if rec.failed != nil {
		return nil, x.fault(atProvider, rec.failed.code, rec.failed.err, "service", t.Service.String())
	}
	if rec.tooLarge {
		return nil, x.fault(atProvider, "service_failed.invalid_body", errAnswerTooLarge, "service", t.Service.String())
	}
	if ctx.Err() != nil {
		return nil, x.fault(atProvider, "deadline_exceeded", ctx.Err())
	}
	rec.WriteHeader(http.StatusOK)
	if f := x.settle(rec.status); f != nil {
		return nil, f
	}
	if rec.bodyless() {
		rec.body.Reset() // HTTP carries no body here, so none may be signed
	}
	resp := &WireResponse{Status: rec.status, Header: endToEnd(rec.header), Body: rec.body.Bytes()}
	if hash := x.requestHash(req, r1); hash != "" {
		resp.Header.Set(HeaderHash, hash)
	}
	return resp, nil
}

// serve runs the handler; a panic in a service is that service's failure, not the node's.
func (x *exchangeState) serve(ctx context.Context, h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			x.s.opt.Logger.ErrorContext(ctx, "service panicked", slog.String("service", x.msg.Service), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = errors.New("the service panicked")
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// signAnswer completes and signs the head of an answer.
func (x *exchangeState) signAnswer(req *WireRequest, resp *WireResponse) (signed, *Fault) {
	s := x.s
	resp.Header.Set(HeaderID, x.msg.ExchangeID)
	resp.Header.Set(HeaderClient, req.Header.Get(HeaderClient))
	resp.Header.Set(HeaderService, x.msg.Service)
	resp.Header.Set(HeaderRequestID, x.msg.RequestID)
	resp.Header.Set(HeaderLevel, s.opt.Directory.State().Level)
	if x.in != nil && x.in.whole() {
		resp.Header.Set(HeaderRequestDigest, x.entry.RequestDigest)
	}
	sig, err := sigMessage{req: req, resp: resp, header: resp.Header, reqSig: x.reqSig}.sign(resp.Body, s.signer.Load(), x.shared, s.now())
	if err != nil {
		return signed{}, x.cannotSign(atProvider, err)
	}
	return sig, nil
}

// finish signs and logs a response before it leaves.
func (x *exchangeState) finish(ctx context.Context, req *WireRequest, resp *WireResponse, outcome string) (*WireResponse, *Fault) {
	sig, f := x.signAnswer(req, resp)
	if f != nil {
		return nil, f
	}
	x.lap(phaseSign)
	x.msg.Status, x.msg.ResponseSize, x.msg.Outcome = resp.Status, int64(len(resp.Body)), outcome
	if f := x.logResponse(ctx, resp, sig, outcome, false); f != nil {
		return nil, f
	}
	x.lap(phaseLog)
	return resp, nil
}

// refuse turns a fault into a response: signed and logged when the sender was known, plain when even signing fails.
func (x *exchangeState) refuse(ctx context.Context, req *WireRequest, f *Fault) *WireResponse {
	x.s.opt.Logger.WarnContext(ctx, "exchange refused", slog.String("fault", f.Type), slog.String("fault_id", f.ID),
		slog.String("service", x.msg.Service), slog.String("client", x.msg.Client), slog.String("peer", x.peer.ServerID), slog.String("cause", f.err.Error()))
	resp := &WireResponse{Status: f.Status(true), Header: http.Header{}, Body: f.JSON()}
	resp.Header.Set("Content-Type", "application/json;charset=utf-8")
	resp.Header.Set(HeaderError, f.Type)
	setRetryAfter(resp.Header, f.RetryAfter)
	x.msg.Outcome = f.Type
	if req.Header.Get("Signature") == "" || x.msg.Service == "" {
		return resp
	}
	if x.logged && f.Code() != "logging_failed" {
		if signedResp, f2 := x.finish(ctx, req, resp, f.Type); f2 == nil {
			return signedResp
		}
		// The refusal could not be logged. It gives nothing away, so it is sent all the same, signed.
	}
	for name, v := range map[string]string{HeaderID: x.msg.ExchangeID, HeaderService: x.msg.Service, HeaderRequestID: x.msg.RequestID} {
		resp.Header.Set(name, v)
	}
	if _, err := (sigMessage{req: req, resp: resp, header: resp.Header, reqSig: x.reqSig}).sign(resp.Body, x.s.signer.Load(), x.shared, x.s.now()); err != nil {
		resp.Header.Del("Signature")
	}
	return resp
}

// memberNames are the names of one version of the directory, by member.
type memberNames struct {
	version int64
	names   map[string]map[string]string
}

// memberName looks a name up. The list of members is long, so it is asked for once in each version of the directory.
func (s *Service) memberName(id, lang string) string {
	version := s.opt.Directory.State().Version // asked before the names, which can then only be newer
	known := s.names.Load()
	if known == nil || known.version != version {
		known = &memberNames{version: version, names: map[string]map[string]string{}}
		for _, m := range s.opt.Directory.Members() {
			known.names[m.ID] = m.Name
		}
		if len(known.names) > 0 { // an expired directory lists nobody, and may become fresh again
			s.names.Store(known)
		}
	}
	return known.names[id][lang]
}
