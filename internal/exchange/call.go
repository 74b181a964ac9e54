package exchange

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange/agreement"
	"truc/internal/orgcode"
)

const defaultTimeout = 30 * time.Second

var methods = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}

// hopHeaders are removed in both directions (spec §2.2).
var hopHeaders = []string{
	"Transfer-Encoding", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Upgrade",
	"Connection", "User-Agent", "Host", "Content-Length", "Server", "Expect",
}

// ownHeaders are set by the nodes, here in the spelling of net/http; what a program or a service sends under these names
// is dropped.
var ownHeaders = canonicalKeys(
	HeaderClient, HeaderID, HeaderUserID, HeaderIssue, HeaderRequestID, HeaderHash, HeaderError, HeaderService,
	HeaderPurpose, HeaderDeadline, HeaderGrant, HeaderParty, HeaderLevel, HeaderMode, HeaderBody, HeaderRequestDigest,
	"Content-Digest", "Signature", "Signature-Input",
)

func canonicalKeys(names ...string) []string {
	for i, n := range names {
		names[i] = http.CanonicalHeaderKey(n)
	}
	return names
}

// exchangeState follows one exchange through one node.
type exchangeState struct {
	s       *Service
	role    string
	faultID string
	started time.Time
	msg     Message
	entry   Entry
	peer    Peer
	logged  bool   // a request entry exists
	shared  bool   // the request had a shared signature, so the answer may have one
	reqSig  string // the request's signature as the answer covers it
	// path is the decoded service path, permit the grant under which a request was let in, if any.
	path   string
	permit *agreement.Permit
	obs    observation
	native bool // the program asked for native statuses

	// want says that the caller takes an answer that streams, upload that its request does; out is its body.
	want, upload bool
	out          *outBody
	begun        func()         // the answer has begun
	ends         sync.WaitGroup // the streams that outlive the call
	// Of the provider: the signature of the request's head, its streamed body, where an answer may stream to, what the
	// service is, the limits that let the call in, and why the exchange must be cut.
	head     signed
	in       *inBody
	spool    *spool
	sink     Sink
	offering Offering
	adm      *admission
	cut      *Fault
	released bool
	taken    int64 // of the budget, for the answer
}

func (x *exchangeState) fault(prefix, code string, cause error, args ...any) *Fault {
	return newFault(prefix, code, x.s.opt.ServerID, x.faultID, cause, args...)
}

// Call carries a request to its service and returns the verified, logged answer. A failure of the exchange is a
// [*Fault] in the chain: Unavailable when the peer cannot be reached, Denied when it refuses, and so on.
func (s *Service) Call(ctx context.Context, c Call) (*Answer, error) {
	x := &exchangeState{s: s, role: RoleConsumer, faultID: NewUUID(), started: s.now(), want: c.Stream}
	x.msg = Message{Role: RoleConsumer, At: x.started, Outcome: "ok", RequestIndex: -1, ResponseIndex: -1, RequestBodyIndex: -1, ResponseBodyIndex: -1}
	x.begin(ctx, c.Header)
	ans, f := x.call(ctx, c)
	if ans != nil && ans.BodyReader != nil {
		return ans, nil // it goes on; the rest is told when it ends
	}
	if f != nil {
		x.msg.Outcome = f.Type
		s.opt.Logger.WarnContext(ctx, "exchange failed", slog.String("fault", f.Type), slog.String("fault_id", f.ID), slog.String("hop", f.Hop),
			slog.String("service", x.msg.Service), slog.String("client", x.msg.Client), slog.String("cause", f.err.Error()))
	}
	x.end(f)
	if x.logged || x.msg.RequestID != "" { // what never left is shown to the administrator all the same
		s.index.put(x.msg)
	}
	if f != nil {
		return nil, f
	}
	return ans, nil
}

func (x *exchangeState) call(ctx context.Context, c Call) (*Answer, *Fault) {
	s := x.s
	req, f := x.prepare(c)
	if f != nil {
		return nil, f
	}
	if !s.Hosts(c.From) {
		return nil, x.fault(atConsumer, "ssl_authentication_failed", fmt.Errorf("this node does not host %s", c.From))
	}
	if f := x.room(); f != nil {
		return nil, f
	}
	ctx, begun, cancel, f := x.timing(ctx, c)
	if f != nil {
		return nil, f
	}
	x.begun = begun
	if d, ok := ctx.Deadline(); ok {
		// The context may run on the wall clock while Now is injected, so the rest is counted, not the instant.
		req.Header.Set(HeaderDeadline, strconv.FormatInt(s.now().Add(time.Until(d)).UnixMilli(), 10))
	}
	ans, f := x.ask(ctx, c, req)
	if ans != nil && ans.BodyReader != nil {
		x.begun()
		x.finishLater(cancel)
		return ans, nil
	}
	cancel()
	return ans, f
}

// ask finds the nodes to ask and asks.
func (x *exchangeState) ask(ctx context.Context, c Call, req *WireRequest) (*Answer, *Fault) {
	peers, f := x.candidates(c)
	if f != nil {
		return nil, f
	}
	if f := x.chooseGrant(c, req); f != nil {
		return nil, f
	}
	if x.upload {
		if !x.s.streams.take() {
			return nil, x.fault(atConsumer, "quota_exceeded", errors.New("too many bodies are streaming"))
		}
		defer x.s.streams.release()
	}
	return x.attempts(ctx, req, peers)
}

// prepare checks a call and writes the request as far as the peer does not matter; TargetURI lacks the authority.
func (x *exchangeState) prepare(c Call) (*WireRequest, *Fault) {
	if c.Method == "" {
		c.Method = http.MethodGet
	}
	x.msg.Client, x.msg.Service, x.msg.Method = c.From.String(), c.To.String(), c.Method
	x.msg.Activity, x.msg.Dossier = c.Activity, c.Dossier
	if !slices.Contains(methods, c.Method) {
		return nil, x.fault(atClient, "invalid_http_method", nil)
	}
	target := "/x1/" + c.To.String() + c.Path
	if c.Query != "" {
		target += "?" + c.Query
	}
	t, err := ParseTarget("x1", target)
	if err != nil {
		return nil, x.fault(atClient, "bad_request", err)
	}
	x.path, x.msg.Path = t.Path.Decoded(), maskDigits(t.Path.String())
	if c.BodyReader == nil && len(c.Body) > StreamThreshold {
		c.BodyReader, c.Length = bytes.NewReader(c.Body), int64(len(c.Body))
	}
	if c.ID == "" {
		c.ID = c.To.Instance + "-" + NewUUID()
	}
	req := &WireRequest{Method: c.Method, TargetURI: t.String("x1"), Header: endToEnd(c.Header), Body: c.Body}
	if x.upload = c.BodyReader != nil; x.upload {
		req.Body, req.Stream = nil, &Stream{Body: io.NopCloser(c.BodyReader), Length: c.Length}
		req.Header.Set(HeaderBody, bodyStream)
		c.Body = nil
	}
	x.msg.ExchangeID, x.msg.RequestID, x.msg.RequestSize = c.ID, NewUUID(), int64(len(c.Body))
	for _, h := range [][2]string{
		{HeaderClient, c.From.String()},
		{HeaderID, c.ID},
		{HeaderRequestID, x.msg.RequestID},
		{HeaderUserID, c.UserID},
		{HeaderIssue, c.Dossier},
		{HeaderPurpose, purposeField(c.Activity, c.Basis)},
	} {
		if h[1] == "" {
			continue
		}
		if !cleanField(h[1]) {
			return nil, x.fault(atClient, "bad_request", fmt.Errorf("header %s holds a control character or is too long", h[0]))
		}
		req.Header.Set(h[0], h[1])
	}
	if c.Native {
		req.Header.Set(HeaderMode, ModeNative)
	}
	return req, nil
}

// answer verifies, logs and unpacks what came back.
func (x *exchangeState) answer(ctx context.Context, req *WireRequest, resp *WireResponse) (*Answer, *Fault) {
	s := x.s
	x.msg.Status, x.msg.ResponseSize = resp.Status, int64(len(resp.Body))
	sig, err := sigMessage{req: req, resp: resp, header: resp.Header, reqSig: x.reqSig}.verify(resp.Body, func(id string) (crypto.PublicKey, error) {
		return s.keyOf(id, x.peer.ServerID)
	}, &s.roots, s.now())
	if f := unableToSign(resp, x.peer.ServerID); err != nil && f != nil {
		x.logFailure(ctx, f)
		return nil, f
	}
	if err != nil {
		f := x.fault(atConsumer, signatureCode(err), err, "peer", x.peer.Member)
		if off, ok := errors.AsType[*clockError](err); ok { // the channel has shown who the peer is
			s.clocks.note(x.peer.ServerID, off.created, x.msg.RequestOut, x.msg.ResponseIn)
		}
		x.logFailure(ctx, f)
		return nil, f
	}
	if c := resp.Header.Get(HeaderClient); c != "" && c != x.msg.Client || resp.Header.Get(HeaderID) != x.msg.ExchangeID || resp.Header.Get(HeaderService) != x.msg.Service || resp.Header.Get(HeaderRequestID) != x.msg.RequestID {
		f := x.fault(atConsumer, "inconsistent_response", errors.New("the answer names another exchange"), "peer", x.peer.Member)
		x.logFailure(ctx, f)
		return nil, f
	}
	if h := resp.Header.Get(HeaderHash); h != "" && !s.opt.NoRequestHash && h != x.requestHash(req, x.r1Target(req)) {
		f := x.fault(atConsumer, "inconsistent_response", errors.New("the answer is to a request with another hash"), "peer", x.peer.Member)
		x.logFailure(ctx, f)
		return nil, f
	}
	x.lap(phaseVerify)
	s.clocks.note(x.peer.ServerID, sig.created, x.msg.RequestOut, x.msg.ResponseIn)
	outcome := "ok"
	typ := resp.Header.Get(HeaderError)
	if typ != "" {
		outcome = typ
	}
	if err := x.checkRequestDigest(resp, typ != ""); err != nil {
		f := x.fault(atConsumer, "inconsistent_response", err, "peer", x.peer.Member)
		x.logFailure(ctx, f)
		return nil, f
	}
	if f := x.logResponse(ctx, resp, sig, outcome, resp.Stream == nil); f != nil {
		return nil, f
	}
	x.lap(phaseLog)
	if typ != "" {
		f := parseFault(typ, resp.Body, x.peer.ServerID)
		f.RetryAfter = retryAfterOf(resp.Header)
		return nil, f
	}
	a := &Answer{
		Status: resp.Status, Header: endToEnd(resp.Header), Body: resp.Body, ExchangeID: x.msg.ExchangeID, RequestID: x.msg.RequestID,
		Hash: resp.Header.Get(HeaderHash), Length: int64(len(resp.Body)),
	}
	if s.opt.NoRequestHash {
		a.Hash = "" // nobody has looked whether it is right
	}
	if resp.Stream != nil {
		return x.receiveStream(ctx, resp, sig, a)
	}
	return a, nil
}

// r1Target returns the target of a request in its /r1/ form, over which X-Road's request hash is.
func (x *exchangeState) r1Target(req *WireRequest) string {
	path, err := targetOf(req.TargetURI)
	if err != nil {
		return "" // it was made here, so it can be read; and no hash is over nothing
	}
	return "/r1" + strings.TrimPrefix(path, "/x1")
}

// providers returns the nodes to ask. Metadata services are in no catalogue: every node of the subsystem has them.
func (s *Service) providers(to orgcode.Service) ([]Peer, error) {
	if !slices.Contains(reservedCodes, to.Code) {
		return s.opt.Directory.Providers(to)
	}
	peers := s.opt.Directory.Hosts(to.Owner())
	if len(peers) == 0 {
		return nil, errs.E(errs.NotFound, "exchange.member_unknown", nil)
	}
	return peers, nil
}

// carry sends to a peer, or hands the request to this very node: then only the network is left out.
func (s *Service) carry(ctx context.Context, p Peer, req *WireRequest, streams bool) (*WireResponse, error) {
	if p.ServerID != s.opt.ServerID {
		return s.opt.Carrier.Carry(ctx, p, req)
	}
	in := &WireRequest{Method: req.Method, TargetURI: req.TargetURI, Header: req.Header.Clone(), Body: req.Body, Stream: req.Stream, PeerKeyID: p.TLSKeyID}
	if streams {
		return s.carryLocal(ctx, in)
	}
	resp := s.Receive(ctx, in)
	resp.Release()
	return resp, nil
}

// prepareWay opens the way to a peer and reports whether a request to it may have a shared signature.
func (s *Service) prepareWay(ctx context.Context, p Peer) (shares bool, err error) {
	if p.ServerID == s.opt.ServerID {
		return !s.opt.OneSignatureEach, nil
	}
	c, ok := s.opt.Carrier.(SharingCarrier)
	if !ok {
		return false, nil
	}
	shares, err = c.Prepare(ctx, p)
	return shares && !s.opt.OneSignatureEach, err
}

// keyOf finds a signing key of a node that may sign now.
func (s *Service) keyOf(id, serverID string) (crypto.PublicKey, error) {
	k, err := s.opt.Directory.Key(id)
	if err != nil {
		return nil, err
	}
	now := s.now()
	switch {
	case k.Revoked:
		return nil, fmt.Errorf("key %s is revoked", id)
	case serverID != "" && k.ServerID != serverID:
		return nil, fmt.Errorf("key %s belongs to %s, not to %s", id, k.ServerID, serverID)
	case !k.NotBefore.IsZero() && now.Before(k.NotBefore), !k.NotAfter.IsZero() && now.After(k.NotAfter):
		return nil, fmt.Errorf("key %s is not valid now", id)
	}
	return k.Public, nil
}

func (x *exchangeState) directoryFault(err error) *Fault {
	switch key, _ := errs.KeyOf(err); {
	case errs.Is(err, errs.Unavailable):
		return x.fault(atConsumer, "global_conf_outdated", err)
	case key == "exchange.service_unknown":
		return x.fault(atConsumer, "unknown_service", err, "service", x.msg.Service)
	default:
		return x.fault(atConsumer, "unknown_member", err, "service", x.msg.Service)
	}
}

// endToEnd copies headers without those of one hop and those the nodes set.
func endToEnd(h http.Header) http.Header {
	out := make(http.Header, len(h)+len(ownHeaders)/2) // most of our own are set next
	n := 0
	for _, values := range h {
		n += len(values)
	}
	all := make([]string, 0, n) // one array for all values; each gets its part of it, with no room to grow into the next
	for name, values := range h {
		name = http.CanonicalHeaderKey(name)
		switch {
		case slices.Contains(hopHeaders, name), slices.Contains(ownHeaders, name):
		case out[name] != nil: // a handler wrote it in two spellings
			out[name] = append(out[name], values...)
		default:
			from := len(all)
			all = append(all, values...)
			out[name] = all[from:len(all):len(all)]
		}
	}
	return out
}

// purposeField writes "activity;basis". The basis is percent-encoded, because legal texts are named in Vietnamese and
// header fields are ASCII.
func purposeField(activity, basis string) string {
	if activity == "" && basis == "" {
		return ""
	}
	return url.QueryEscape(activity) + ";" + url.QueryEscape(basis)
}

// ParsePurpose reads a Truc-Purpose field; a basis in plain UTF-8 is taken as it is.
func ParsePurpose(s string) (activity, basis string) {
	activity, basis, _ = strings.Cut(s, ";")
	return unescape(strings.TrimSpace(activity)), unescape(strings.TrimSpace(basis))
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// cleanField reports whether a value fits on one header line of ASCII or UTF-8 text.
func cleanField(s string) bool {
	if len(s) > 1024 || strings.TrimSpace(s) != s {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\uFFFD' })
}

// NewUUID returns a random UUID (RFC 9562 version 4).
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var out [36]byte
	hex.Encode(out[:], b[:4])
	hex.Encode(out[9:], b[4:6])
	hex.Encode(out[14:], b[6:8])
	hex.Encode(out[19:], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
