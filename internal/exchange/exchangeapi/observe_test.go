package exchangeapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/telemetry"
)

// TestTraceCrossesNodes follows a trace from the program that began it through both nodes to the service behind, each
// with a span of its own, and finds its id in all four log entries.
func TestTraceCrossesNodes(t *testing.T) {
	p := newPair(t)
	const began = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	c := query(t)
	c.Header.Set("traceparent", began)
	c.Header.Set("tracestate", "vendor=1")
	if _, err := p.consumer.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	carried := p.consumer.carrier.last.Header
	behind := p.got[0].Header
	inCtx := telemetry.TraceOf(p.got[0].Context())
	hops := map[string]bool{began: true}
	for where, h := range map[string]http.Header{"link": carried, "service": behind} {
		tr := telemetry.FromHeader(h)
		if tr.TraceID() != "0af7651916cd43dd8448eb211c80319c" || !tr.Sampled || tr.State != "vendor=1" || hops[tr.Parent()] {
			t.Errorf("%s: trace %s %q; want the same trace with a span of its own", where, tr.Parent(), tr.State)
		}
		hops[tr.Parent()] = true
		if strings.Contains(h.Get("Signature-Input"), "traceparent") {
			t.Errorf("%s: the trace is signed: %s", where, h.Get("Signature-Input"))
		}
	}
	if inCtx.Parent() != behind.Get("traceparent") {
		t.Errorf("the service's context has %s, its headers %s", inCtx.Parent(), behind.Get("traceparent"))
	}
	for name, node := range map[string]*testNode{"consumer": p.consumer, "provider": p.provider} {
		for i := range int64(2) {
			b, err := node.log.Entry(i)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(b, []byte(`"trace_id":"0af7651916cd43dd8448eb211c80319c"`)) {
				t.Errorf("%s entry %d holds another trace: %s", name, i, b)
			}
		}
	}
	// Without a trace one begins here; a malformed one is not passed on.
	p.got = nil
	c = query(t)
	c.Header.Set("traceparent", "00-zz")
	if _, err := p.consumer.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if tr := telemetry.FromHeader(p.got[0].Header); !tr.Valid() || tr.Sampled {
		t.Errorf("a new trace = %v; want one that is not sampled, for nobody collects", tr)
	}
}

// TestSpansReachACollector exports the spans of both nodes and finds the provider's below the consumer's link.
func TestSpansReachACollector(t *testing.T) {
	p := newPair(t)
	type span struct{ TraceID, SpanID, ParentSpanID, Name string }
	var mu sync.Mutex
	var spans []span
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var req struct {
			ResourceSpans []struct{ ScopeSpans []struct{ Spans []span } }
		}
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, rs := range req.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				spans = append(spans, ss.Spans...)
			}
		}
	}))
	defer collector.Close()
	opt := p.consumer.options
	opt.Metrics, opt.Spans = nil, &telemetry.Exporter{Endpoint: collector.URL + "/v1/traces", Service: "truc", Client: collector.Client()}
	var err error
	if p.consumer.Service, err = exchange.New(opt); err != nil {
		t.Fatal(err)
	}
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	opt.Spans.Flush(t.Context())
	byName := map[string]span{}
	for _, s := range spans {
		byName[s.Name] = s
		if s.TraceID != spans[0].TraceID || s.Name != "exchange call" && s.ParentSpanID != spans[0].SpanID {
			t.Errorf("span %+v does not hang below %+v", s, spans[0])
		}
	}
	for _, name := range []string{"exchange call", "edge", "sign", "log_wait", "link", "verify"} {
		if byName[name].SpanID == "" {
			t.Errorf("there is no span %q in %+v", name, spans)
		}
	}
	if carried := p.consumer.carrier.last.Header.Get("traceparent"); !strings.Contains(carried, byName["link"].SpanID) || !strings.HasSuffix(carried, "-01") {
		t.Errorf("the peer's parent is %s; want the span of the link, sampled", carried)
	}
}

// TestRecords checks what monitoring is told of an exchange that went well and of one that was refused, on both sides.
func TestRecords(t *testing.T) {
	p := newPair(t)
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	refused := query(t)
	refused.Path = "/other"
	if _, err := p.consumer.Call(t.Context(), refused); err == nil {
		t.Fatal("the call outside of the rules passed")
	}
	for _, c := range []struct {
		node *testNode
		typ  string
	}{{p.consumer, "Client"}, {p.provider, "Producer"}} {
		rows, err := c.node.all(t)
		if err != nil || len(rows) != 2 {
			t.Fatalf("%s: %d rows, %v", c.typ, len(rows), err)
		}
		good, bad := rows[0], rows[1]
		if good.SecurityServerType != c.typ || !good.Succeeded || good.StatusCode != http.StatusOK || good.Outcome != "ok" || good.ClientMemberCode != "H36" ||
			good.ClientSubsystemCode != "onestop" || good.ServiceSubsystemCode != "population" || good.ServiceCode != "person" || good.RestMethod != "POST" ||
			good.RequestSize != 21 || good.ResponseSize != 17 || good.Purpose != "prefill" || good.TraceID == "" || good.XRequestID == "" || good.FaultCode != "" {
			t.Errorf("%s: record %+v", c.typ, good)
		}
		if good.RequestInTS > good.RequestOutTS || good.RequestOutTS > good.ResponseInTS || good.ResponseInTS > good.ResponseOutTS || good.RequestInTS == 0 {
			t.Errorf("%s: the four times are %d %d %d %d", c.typ, good.RequestInTS, good.RequestOutTS, good.ResponseInTS, good.ResponseOutTS)
		}
		if (good.RestPath != "") != (c.typ == "Producer") {
			t.Errorf("%s: restPath %q; it is the producer's only", c.typ, good.RestPath)
		}
		if bad.Succeeded || bad.FaultCode != "server.serverproxy.access_denied" || !strings.Contains(bad.FaultString, "access denied") || bad.Outcome != bad.FaultCode {
			t.Errorf("%s: refused %+v", c.typ, bad)
		}
		if (bad.ResponseInTS == 0) != (c.typ == "Producer") {
			t.Errorf("%s: responseInTs = %d; the service was not called", c.typ, bad.ResponseInTS)
		}
		b, _ := json.Marshal(rows)
		if bytes.Contains(b, []byte("099204000123")) {
			t.Errorf("%s: a person's number is in the records", c.typ)
		}
	}
	a, _ := p.consumer.all(t)
	b, _ := p.provider.all(t)
	if a[0].TraceID != b[0].TraceID || a[0].XRequestID != b[0].XRequestID || a[1].FaultString != b[1].FaultString {
		t.Error("the two sides tell of another trace, request or fault")
	}
	if len(exchange.RecordFields()) != 46 || !slices.Contains(exchange.RecordFields(), "serviceSecurityServerAddress") {
		t.Errorf("fields = %v; want 39 of X-Road and 7 of ours", exchange.RecordFields())
	}
}

// all returns the records of a node, told as soon as they are there.
func (n *testNode) all(t *testing.T) (out []exchange.Record, err error) {
	t.Helper()
	n.ahead.Store(int64(2 * exchange.RecordsWithheld))
	defer n.ahead.Store(0)
	page, err := n.RecordPage(t.Context(), exchange.RecordQuery{})
	if err != nil {
		return nil, err
	}
	return out, n.Records(t.Context(), page, func(r exchange.Record) error { out = append(out, r); return nil })
}

// TestRecordsAreWithheldAndPaged checks the last minute, the span and who sees whose.
func TestRecordsAreWithheldAndPaged(t *testing.T) {
	p := newPair(t)
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	ask := func(q exchange.RecordQuery) (n int, next int64) {
		t.Helper()
		page, err := p.provider.RecordPage(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.provider.Records(t.Context(), page, func(exchange.Record) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n, page.Next
	}
	if n, next := ask(exchange.RecordQuery{}); n != 0 || next == 0 {
		t.Errorf("the last minute told %d records, next %d; want none and where to go on", n, next)
	}
	p.provider.ahead.Store(int64(2 * exchange.RecordsWithheld))
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		q    exchange.RecordQuery
		want int
	}{
		"all":               {exchange.RecordQuery{}, 1},
		"from later":        {exchange.RecordQuery{From: now + 30}, 0},
		"until earlier":     {exchange.RecordQuery{To: now - 30}, 0},
		"its client":        {exchange.RecordQuery{Client: "VN/GOV/H36/onestop"}, 1},
		"the owner":         {exchange.RecordQuery{Client: "VN/GOV/G01/population"}, 1},
		"another":           {exchange.RecordQuery{Client: "VN/GOV/H36/one"}, 0},
		"beginning alike":   {exchange.RecordQuery{Client: "VN/GOV/G01/pop"}, 0},
		"older than kept":   {exchange.RecordQuery{Kept: time.Minute}, 0},
		"a span of seconds": {exchange.RecordQuery{From: now - 60, To: now + 60}, 1},
	} {
		if n, _ := ask(c.q); n != c.want {
			t.Errorf("%s: %d records; want %d", name, n, c.want)
		}
	}
	if _, err := p.provider.RecordPage(t.Context(), exchange.RecordQuery{From: 9, To: 8}); err == nil {
		t.Error("a span that ends before it begins was accepted")
	}
}

// TestMetricsAndHealth counts what both sides did.
func TestMetricsAndHealth(t *testing.T) {
	p := newPair(t)
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	refused := query(t)
	refused.Path = "/other"
	_, _ = p.consumer.Call(t.Context(), refused)
	unknown := query(t)
	unknown.To = service(t, "VN/GOV/G01/population/no-such-thing")
	_, _ = p.consumer.Call(t.Context(), unknown)
	for _, c := range []struct {
		node *testNode
		want []string
	}{
		{p.consumer, []string{
			`truc_exchange_requests_total{role="consumer",service="VN/GOV/G01/population/person",outcome="ok"} 1`,
			`truc_exchange_requests_total{role="consumer",service="VN/GOV/G01/population/person",outcome="access_denied"} 1`,
			`truc_exchange_requests_total{role="consumer",service="",outcome="unknown_service"} 1`,
			`truc_exchange_phase_seconds_count{role="consumer",phase="link"} 3`,
			`truc_exchange_in_flight{role="consumer"} 0`,
			`truc_exchange_body_bytes_total{role="consumer",direction="request"} 63`,
		}},
		{p.provider, []string{
			`truc_exchange_requests_total{role="provider",service="VN/GOV/G01/population/person",outcome="ok"} 1`,
			`truc_exchange_requests_total{role="provider",service="",outcome="unknown_service"} 1`,
			`truc_exchange_phase_seconds_count{role="provider",phase="backend"} 1`,
			`truc_exchange_duration_seconds_count{role="provider"} 3`,
		}},
	} {
		var b bytes.Buffer
		if err := c.node.registry.Write(&b); err != nil {
			t.Fatal(err)
		}
		for _, w := range c.want {
			if !strings.Contains(b.String(), w+"\n") {
				t.Errorf("%s: no line %s in\n%s", c.node.id, w, b.String())
			}
		}
		if strings.Contains(b.String(), "no-such-thing") || strings.Contains(b.String(), "099204000123") {
			t.Errorf("%s: a name of a caller's making is in the figures", c.node.id)
		}
		h := c.node.Health()
		if len(h) != 1 || h[0].Service != "VN/GOV/G01/population/person" || h[0].Successes != 1 || h[0].Failures != 1 || h[0].LastSuccess.IsZero() || h[0].LastFailure.IsZero() ||
			h[0].RequestSize != (exchange.Spread{Min: 21, Mean: 21, Max: 21}) || h[0].Duration.Min <= 0 {
			t.Errorf("%s: health %+v", c.node.id, h)
		}
		c.node.ahead.Store(int64(exchange.HealthSpan + time.Minute))
		if h := c.node.Health(); h[0].Successes != 0 || h[0].LastSuccess.IsZero() {
			t.Errorf("%s: after the span health is %+v; want no counts, but the last times", c.node.id, h)
		}
		c.node.ahead.Store(0)
	}
}

// TestUnsentCallsAreIndexed shows an administrator also the calls that never left the node.
func TestUnsentCallsAreIndexed(t *testing.T) {
	p := newPair(t)
	c := query(t)
	c.To = service(t, "VN/GOV/Z99/nothing/here")
	_, err := p.consumer.Call(t.Context(), c)
	if err == nil {
		t.Fatal("a call to nobody was answered")
	}
	if err := p.consumer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := p.consumer.store.Recent(t.Context(), exchange.Filter{Faults: true})
	if err != nil || len(rows) != 1 || rows[0].RequestIndex != -1 || rows[0].FaultID == "" {
		t.Fatalf("rows = %+v, %v", rows, err)
	}
	if found, err := p.consumer.store.Recent(t.Context(), exchange.Filter{FaultID: rows[0].FaultID}); err != nil || len(found) != 1 {
		t.Errorf("by fault id: %+v, %v", found, err)
	}
}
