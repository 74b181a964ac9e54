package exchangeapi

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/reqctx"
)

func faultOf(t *testing.T, err error) *exchange.Fault {
	t.Helper()
	f, ok := errors.AsType[*exchange.Fault](err)
	if !ok {
		t.Fatalf("error %v is not a fault", err)
	}
	return f
}

func wantFault(t *testing.T, err error, typ string, kind errs.Kind) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %s", typ)
	}
	if f := faultOf(t, err); f.Type != typ || !errs.Is(err, kind) {
		t.Errorf("fault %s of kind %v; want %s of kind %v (%v)", f.Type, errs.KindOf(err), typ, kind, err)
	}
}

// entries reads the whole log of a node.
func (n *testNode) entries(t *testing.T) []exchange.Entry {
	t.Helper()
	var out []exchange.Entry
	for i := range n.log.Size() {
		b, err := n.log.Entry(i)
		if err != nil {
			t.Fatal(err)
		}
		var e exchange.Entry
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// E2E-01, E2E-06, LOG-IN-01/02: a message in, an answer out, both logs agreeing.
func TestCallIsAnsweredAndLoggedOnBothSides(t *testing.T) {
	p := newPair(t)
	ans, err := p.consumer.Call(t.Context(), query(t))
	if err != nil {
		t.Fatal(err)
	}
	if ans.Status != 200 || string(ans.Body) != `{"path":"/query"}` || ans.Header.Get("Content-Type") != "application/json" {
		t.Errorf("answer = %d %s %v", ans.Status, ans.Body, ans.Header)
	}
	c := reqctx.CallerOf(p.got[0].Context())
	want := reqctx.Caller{
		Subsystem: "VN/GOV/H36/onestop", Member: "VN/GOV/H36", Agency: "H36", Name: "Lâm Đồng", Service: "VN/GOV/G01/population/person",
		ExchangeID: ans.ExchangeID, RequestID: ans.RequestID, UserID: "VN099204000123", Activity: "prefill", Basis: "Điều 15 Nghị định 224/2026/NĐ-CP", Dossier: "H36.14-261121-0001",
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("caller (-want +got):\n%s", d)
	}
	a, b := p.consumer.entries(t), p.provider.entries(t)
	if len(a) != 2 || len(b) != 2 {
		t.Fatalf("logs have %d and %d entries, want 2 and 2", len(a), len(b))
	}
	for i := range a {
		if a[i].Base != b[i].Base || a[i].Signature != b[i].Signature || a[i].ExchangeID != b[i].ExchangeID || a[i].RequestDigest != b[i].RequestDigest || a[i].ResponseDigest != b[i].ResponseDigest {
			t.Errorf("entry %d differs:\n%+v\n%+v", i, a[i], b[i])
		}
	}
	for _, n := range []*testNode{p.consumer, p.provider} {
		for i := range n.log.Size() {
			raw, _ := n.log.Entry(i)
			if bytes.Contains(raw, []byte("099204000123")) {
				t.Errorf("log of %s holds the person's id in clear: %s", n.id, raw)
			}
		}
		if err := n.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		rows, err := n.store.ByExchange(t.Context(), ans.ExchangeID)
		if err != nil || len(rows) != 1 || rows[0].Outcome != "ok" || rows[0].RequestIndex != 0 || rows[0].ResponseIndex != 1 {
			t.Errorf("index of %s = %+v, %v", n.id, rows, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	deny := "server.serverproxy.access_denied"
	for _, tt := range []struct {
		name string
		edit func(*exchange.Call)
		typ  string
		kind errs.Kind
	}{
		{"CALL-IN-07 outside method", func(c *exchange.Call) { c.Method = "PUT" }, deny, errs.Denied},
		{"CALL-IN-07 outside path", func(c *exchange.Call) { c.Path = "/other" }, deny, errs.Denied},
		{"CALL-IN-08 outside purpose", func(c *exchange.Call) { c.Activity = "curiosity" }, deny, errs.Denied},
		{"no purpose at all", func(c *exchange.Call) { c.Activity, c.Basis, c.Dossier = "", "", "" }, "server.serverproxy.purpose_required", errs.Invalid},
		{"activity without basis or dossier", func(c *exchange.Call) { c.Basis, c.Dossier = "", "" }, "server.serverproxy.purpose_required", errs.Invalid},
		{"unknown service", func(c *exchange.Call) { c.To.Code = "nothing" }, "server.serverproxy.unknown_service", errs.NotFound},
		{"unknown member", func(c *exchange.Call) { c.To.Member = "G99" }, "server.clientproxy.unknown_member", errs.NotFound},
		{"foreign subsystem", func(c *exchange.Call) { c.From.Code = "other" }, "server.clientproxy.ssl_authentication_failed", errs.Unauthenticated},
		{"traversal", func(c *exchange.Call) { c.Path = "/query/%2e%2e/admin" }, "client.bad_request", errs.Invalid},
		{"header injection", func(c *exchange.Call) { c.Dossier = "x\r\nX-Road-Client: VN/GOV/G01/population" }, "client.bad_request", errs.Invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			c := query(t)
			tt.edit(&c)
			_, err := p.consumer.Call(t.Context(), c)
			wantFault(t, err, tt.typ, tt.kind)
			if len(p.got) != 0 {
				t.Error("the service was called")
			}
		})
	}
}

// A refusal is evidence too: signed by the provider, in both logs.
func TestRefusalIsSignedAndLogged(t *testing.T) {
	p := newPair(t)
	c := query(t)
	c.Activity, c.Basis, c.Dossier = "", "", ""
	_, err := p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.serverproxy.purpose_required", errs.Invalid)
	if key, _ := errs.KeyOf(err); key != "exchange.purpose_required" {
		t.Errorf("key = %s", key)
	}
	a, b := p.consumer.entries(t), p.provider.entries(t)
	if len(a) != 2 || len(b) != 2 || a[1].Signature == "" || a[1].Signature != b[1].Signature || a[1].Outcome != "server.serverproxy.purpose_required" {
		t.Errorf("entries:\n%+v\n%+v", a, b)
	}
}

func TestTampering(t *testing.T) {
	const badAnswer, badRequest = "server.clientproxy.signature_verification", "server.serverproxy.signature_verification"
	for _, tt := range []struct {
		name string
		req  func(*exchange.WireRequest)
		resp func(*exchange.WireRequest, *exchange.WireResponse) *exchange.WireResponse
		typ  string
	}{
		// A changed request makes an honest provider refuse; its refusal is bound to what it received, so where that
		// is not what was sent the consumer cannot accept even the refusal.
		{"request body", func(r *exchange.WireRequest) { r.Body = []byte("{}") }, nil, badRequest},
		{"request purpose", func(r *exchange.WireRequest) { r.Header.Set("Truc-Purpose", "prefill;other") }, nil, badRequest},
		{"request purpose removed", func(r *exchange.WireRequest) { r.Header.Del("Truc-Purpose") }, nil, badRequest},
		{"request person added twice", func(r *exchange.WireRequest) { r.Header.Add("X-Road-Userid", "VN1") }, nil, badRequest},
		{"request dossier", func(r *exchange.WireRequest) { r.Header.Set("X-Road-Issue", "other") }, nil, badRequest},
		{"request unsigned", func(r *exchange.WireRequest) { r.Header.Del("Signature") }, nil, badAnswer},
		{"request digest", func(r *exchange.WireRequest) { r.Header.Set("Content-Digest", exchange.ContentDigest([]byte("{}"))) }, nil, badAnswer},
		{"request path", func(r *exchange.WireRequest) { r.TargetURI += "/x" }, nil, badAnswer},
		{"response body", nil, func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
			r.Body = []byte(`{"path":"/forged"}`)
			return r
		}, badAnswer},
		{"response body and digest", nil, func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
			r.Body = []byte(`{"path":"/forged"}`)
			r.Header.Set("Content-Digest", exchange.ContentDigest(r.Body))
			return r
		}, badAnswer},
		{"response status", nil, func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
			r.Status = 404
			return r
		}, badAnswer},
		{"response error added", nil, func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
			r.Header.Set("X-Road-Error", "server.serverproxy.access_denied")
			return r
		}, badAnswer},
		{"response unsigned", nil, func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
			r.Header.Del("Signature-Input")
			return r
		}, badAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t)
			p.consumer.carrier.req, p.consumer.carrier.resp = tt.req, tt.resp
			_, err := p.consumer.Call(t.Context(), query(t))
			wantFault(t, err, tt.typ, errs.Unavailable)
			if tt.req != nil && len(p.got) != 0 {
				t.Error("the service was called")
			}
		})
	}
}

func TestReplayedResponseIsRefused(t *testing.T) {
	p := newPair(t)
	var first *exchange.WireResponse
	p.consumer.carrier.resp = func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
		if first == nil {
			first = &exchange.WireResponse{Status: r.Status, Header: r.Header.Clone(), Body: bytes.Clone(r.Body)}
			return r
		}
		return first
	}
	c := query(t)
	c.ID = "VN-retry"
	if _, err := p.consumer.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	_, err := p.consumer.Call(t.Context(), c) // the same exchange id, so that only the binding to the request can tell
	wantFault(t, err, "server.clientproxy.signature_verification", errs.Unavailable)
}

func TestReplayedRequestIsRefused(t *testing.T) {
	p := newPair(t)
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	peer := p.net.peers[p.provider.id]
	resp, err := p.consumer.carrier.next.Carry(t.Context(), peer, p.consumer.carrier.last)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("X-Road-Error"); got != "server.serverproxy.replayed_message" || resp.Status != http.StatusConflict {
		t.Errorf("second delivery: %d %s", resp.Status, got)
	}
	if len(p.got) != 1 {
		t.Errorf("the service was called %d times", len(p.got))
	}
}

func TestProviderDown(t *testing.T) {
	p := newPair(t)
	p.provider.stop()
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.network_error", errs.Unavailable)
	if e := p.consumer.entries(t); len(e) != 2 || e[1].Outcome != "server.clientproxy.network_error" {
		t.Errorf("entries = %+v", e)
	}
}

func TestRevokedKey(t *testing.T) {
	p := newPair(t)
	p.net.revoke(p.consumer.keyID)
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.signature_verification", errs.Unavailable)

	p = newPair(t)
	p.net.revoke(p.provider.keyID)
	_, err = p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.signature_verification", errs.Unavailable)
}

// A node with a good certificate and key may still not speak for a subsystem of somebody else.
func TestUnknownConsumer(t *testing.T) {
	p := newPair(t)
	p.net.mu.Lock()
	p.net.subs[p.consumer.id] = []string{"VN/GOV/H36/else"}
	p.net.mu.Unlock()
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.ssl_authentication_failed", errs.Unauthenticated)

	// A TLS key that the directory does not list fails before a byte is sent.
	p = newPair(t)
	p.net.mu.Lock()
	peer := p.net.peers[p.provider.id]
	peer.TLSKeyID = "other"
	p.net.peers[p.provider.id] = peer
	p.net.mu.Unlock()
	_, err = p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.network_error", errs.Unavailable)
}

// LOG-IN-05, LOG-OUT-05: no evidence, no exchange.
func TestLogFailureRefuses(t *testing.T) {
	p := newPair(t)
	p.provider.failing.set(true)
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.logging_failed", errs.Unavailable)
	if key, _ := errs.KeyOf(err); key != "exchange.cannot_log" {
		t.Errorf("key = %s", key)
	}
	p.provider.failing.set(false)
	p.consumer.failing.set(true)
	_, err = p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.logging_failed", errs.Unavailable)
	if len(p.got) != 0 {
		t.Error("the service was called")
	}
	// The consumer's log fails between request and answer: the answer exists but nobody sees it.
	p.consumer.failing.set(false)
	p.consumer.carrier.resp = func(_ *exchange.WireRequest, r *exchange.WireResponse) *exchange.WireResponse {
		p.consumer.failing.set(true)
		return r
	}
	_, err = p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.clientproxy.logging_failed", errs.Unavailable)
}

func TestExpiredDirectoryStops(t *testing.T) {
	p := newPair(t)
	p.net.mu.Lock()
	p.net.level = "expired"
	p.net.mu.Unlock()
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.global_conf_outdated", errs.Unavailable)
}

// A node that calls its own service signs and logs all the same.
func TestOwnService(t *testing.T) {
	p := newPair(t)
	if err := p.provider.SetRules([]exchange.Rule{{Consumer: "VN/GOV/G01/population", Service: "population/person"}}); err != nil {
		t.Fatal(err)
	}
	c := query(t)
	c.From.Member, c.From.Code = "G01", "population"
	if _, err := p.provider.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if e := p.provider.entries(t); len(e) != 4 {
		t.Errorf("the log has %d entries, want 4", len(e))
	}
}

// The backend receives exactly the string that rules were matched on (spec D12).
func TestPathIsForwardedUnchanged(t *testing.T) {
	p := newPair(t)
	for _, path := range []string{"", "/", "/a/", "/a/%20b", "/a/%C4%91/x;y=1", "/a/b%2Cc", "/%7e"} {
		c := query(t)
		c.Method, c.Path, c.Query, c.Body, c.To = "GET", path, "a=%2F..&b", nil, service(t, "VN/GOV/G01/population/open")
		if _, err := p.consumer.Call(t.Context(), c); err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		want, err := exchange.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		got := p.got[len(p.got)-1]
		if raw := want.String(); got.URL.EscapedPath() != raw && (raw != "" || got.URL.EscapedPath() != "/") || got.URL.RawQuery != c.Query {
			t.Errorf("backend got %s?%s for %q", got.URL.EscapedPath(), got.URL.RawQuery, path)
		}
	}
}

func (p *pair) trust() exchange.Trust {
	return exchange.Trust{Key: p.net.Key, LogKey: func(server string) (string, error) {
		for _, n := range []*testNode{p.consumer, p.provider} {
			if n.id == server {
				return n.log.VerifierKey(), nil
			}
		}
		return "", errors.New("unknown node")
	}}
}

func TestEvidence(t *testing.T) {
	p := newPair(t)
	ans, err := p.consumer.Call(t.Context(), query(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*testNode{p.consumer, p.provider} {
		pkg, err := n.Evidence(t.Context(), ans.ExchangeID, exchange.EvidenceOptions{Persons: true})
		if err != nil {
			t.Fatal(err)
		}
		r, err := exchange.VerifyEvidence(pkg, p.trust())
		if err != nil || !r.OK || len(r.Entries) != 2 {
			t.Fatalf("report of %s: %+v, %v", n.id, r, err)
		}
		// Each entry with one field changed must fail.
		for _, old := range []string{"prefill", "POST", "H36/onestop", "population/person", "H36.14-261121-0001", `"status":200`, "sha-256"} {
			bad := rewrite(t, pkg, func(name string, data []byte) []byte {
				if !strings.HasPrefix(name, "entries/") {
					return data
				}
				return bytes.Replace(data, []byte(old), []byte(strings.Repeat("9", len(old))), 1)
			})
			if r, err := exchange.VerifyEvidence(bad, p.trust()); err == nil && r.OK {
				t.Errorf("a package with %q changed passes", old)
			}
		}
		// Without the person's id the request's signature cannot be judged, and the package must say so.
		pkg, err = n.Evidence(t.Context(), ans.ExchangeID, exchange.EvidenceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r, err = exchange.VerifyEvidence(pkg, p.trust())
		if err != nil || r.OK || r.Entries[0].Signature != exchange.NotProvided || r.Entries[1].Signature != exchange.Good {
			t.Errorf("report without persons: %+v, %v", r, err)
		}
	}
	if _, err := p.consumer.Evidence(t.Context(), "nothing", exchange.EvidenceOptions{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("evidence of nothing: %v", err)
	}
}

func rewrite(t *testing.T, pkg []byte, f func(name string, data []byte) []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(pkg), int64(len(pkg)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, file := range r.File {
		rc, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(rc)
		_ = rc.Close()
		if err != nil {
			t.Fatal(err)
		}
		fw, err := w.Create(file.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fw.Write(f(file.Name, data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReindex(t *testing.T) {
	p := newPair(t)
	ans, err := p.consumer.Call(t.Context(), query(t))
	if err != nil {
		t.Fatal(err)
	}
	// The process dies before the queue is written; the next start finds the exchange in the log.
	if err := p.provider.Reindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := p.provider.store.ByExchange(t.Context(), ans.ExchangeID)
	if err != nil || len(rows) != 1 || rows[0].Status != 200 || rows[0].ResponseIndex != 1 || rows[0].Path != "/query" {
		t.Errorf("rows = %+v, %v", rows, err)
	}
}

func TestMetadata(t *testing.T) {
	p := newPair(t)
	for _, tt := range []struct{ code, query, want string }{
		{"listMethods", "", `{"service":[{"object_type":"SERVICE","xroad_instance":"VN","member_class":"GOV","member_code":"G01","subsystem_code":"population","service_code":"open","service_type":"REST","endpoint_list":[{"method":"GET","path":"/a/*"}]},{"object_type":"SERVICE","xroad_instance":"VN","member_class":"GOV","member_code":"G01","subsystem_code":"population","service_code":"person","service_type":"OPENAPI","endpoint_list":[{"method":"*","path":"**"}]}]}`},
		{"allowedMethods", "", `{"service":[{"object_type":"SERVICE","xroad_instance":"VN","member_class":"GOV","member_code":"G01","subsystem_code":"population","service_code":"open","service_type":"REST","endpoint_list":[{"method":"*","path":"**"}]},{"object_type":"SERVICE","xroad_instance":"VN","member_class":"GOV","member_code":"G01","subsystem_code":"population","service_code":"person","service_type":"OPENAPI","endpoint_list":[{"method":"POST","path":"/query"}]}]}`},
		{"getOpenAPI", "serviceCode=person", `{"openapi":"3.1.0"}`},
	} {
		c := query(t)
		c.To.Code, c.Method, c.Path, c.Query, c.Body = tt.code, "GET", "", tt.query, nil
		ans, err := p.consumer.Call(t.Context(), c)
		if err != nil {
			t.Errorf("%s: %v", tt.code, err)
		} else if string(ans.Body) != tt.want {
			t.Errorf("%s = %s; want %s", tt.code, ans.Body, tt.want)
		}
	}
	c := query(t)
	c.To.Code, c.Method, c.Path, c.Query, c.Body = "getOpenAPI", "GET", "", "serviceCode=open", nil
	_, err := p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.serverproxy.service_type", errs.Invalid)
}

// D17: calls share a connection. One peer of this trade once opened one a request and died of it.
func TestConnectionIsShared(t *testing.T) {
	p := newPair(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := p.provider.conns.Load(); n > 4 {
		t.Errorf("80 calls opened %d connections", n)
	}
	if a, b := p.consumer.log.Size(), p.provider.log.Size(); a != 160 || b != 160 {
		t.Errorf("logs have %d and %d entries, want 160", a, b)
	}
}

func TestProbe(t *testing.T) {
	p := newPair(t)
	steps := p.consumer.Probe(t.Context(), "VN/GOV/G01")
	if len(steps) != 4 {
		t.Fatalf("steps = %+v", steps)
	}
	for _, s := range steps {
		if !s.OK {
			t.Errorf("step %+v", s)
		}
	}
	p.provider.failing.set(true)
	if s := p.consumer.Probe(t.Context(), "VN/GOV/G01"); len(s) != 4 || s[3].OK || s[3].Key != "exchange.cannot_log" {
		t.Errorf("steps with a broken log = %+v", s)
	}
	p.provider.stop()
	if s := p.consumer.Probe(t.Context(), "VN/GOV/G01"); len(s) != 2 || s[1].OK || s[1].Key != "exchange.peer_unreachable" {
		t.Errorf("steps with the node away = %+v", s)
	}
	if s := p.consumer.Probe(t.Context(), "VN/GOV/G99"); len(s) != 1 || s[0].OK {
		t.Errorf("steps to nobody = %+v", s)
	}
}
