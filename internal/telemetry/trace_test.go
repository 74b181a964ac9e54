package telemetry

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestParseParent(t *testing.T) {
	for _, c := range []struct {
		in   string
		want bool
	}{
		{parent, true},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true},
		{"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future", true},
		{"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
		{"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what", false},
		{parent + "-x", false}, // version 00 ends there
		{"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
		{"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false},
		{"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
		{"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
		{"00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01", false},
		{"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
		{"", false},
	} {
		got, ok := ParseParent(c.in)
		if ok != c.want || ok && got.TraceID() != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("ParseParent(%q) = %v, %v; want %v", c.in, got, ok, c.want)
		}
	}
}

func FuzzParseParent(f *testing.F) {
	f.Add(parent)
	f.Add("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x")
	f.Fuzz(func(t *testing.T, s string) {
		tr, ok := ParseParent(s)
		if !ok {
			return
		}
		again, ok := ParseParent(tr.Parent())
		if !ok || again != tr {
			t.Errorf("%q was read as %v and written as %q", s, tr, tr.Parent())
		}
		if s[:2] == "00" && s[3:52] != tr.Parent()[3:52] {
			t.Errorf("%q was written as %q", s, tr.Parent())
		}
	})
}

func TestHeaders(t *testing.T) {
	h := http.Header{HeaderParent: {parent}, HeaderState: {"a=1", "b=2"}}
	tr := FromHeader(h)
	if tr.Parent() != parent || tr.State != "a=1,b=2" {
		t.Errorf("FromHeader = %v", tr)
	}
	child := tr.Child()
	if child.ID != tr.ID || child.Span == tr.Span || !child.Sampled || child.State != tr.State {
		t.Errorf("Child = %v of %v", child, tr)
	}
	child.SetHeader(h)
	if got := FromHeader(h); got != child {
		t.Errorf("written and read = %v; want %v", got, child)
	}
	for name, h := range map[string]http.Header{
		"two parents": {HeaderParent: {parent, parent}}, "none": {}, "state alone": {HeaderState: {"a=1"}},
	} {
		if FromHeader(h).Valid() {
			t.Errorf("%s gave a trace", name)
		}
	}
	for name, state := range map[string]string{"long": strings.Repeat("a", 600), "line end": "a=1\r\nX: y"} {
		if got := FromHeader(http.Header{HeaderParent: {parent}, HeaderState: {state}}); got.State != "" || !got.Valid() {
			t.Errorf("%s: %v; want the trace without its state", name, got)
		}
	}
	(Trace{}).SetHeader(h)
	if len(h) != 0 {
		t.Errorf("no trace left %v", h)
	}
	if got := TraceOf(WithTrace(t.Context(), tr)); got != tr || TraceOf(t.Context()).Valid() {
		t.Errorf("TraceOf = %v", got)
	}
	if a, b := NewTrace(true), NewTrace(false); a.ID == b.ID || !a.Valid() || !a.Sampled || b.Sampled {
		t.Errorf("new traces %v and %v", a, b)
	}
}

// collector is a small OTLP/HTTP collector that accepts nothing but what the JSON form of
// opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest allows.
type collector struct {
	t     *testing.T
	mu    sync.Mutex
	spans []map[string]any
	fail  bool
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
		c.t.Errorf("%s %s %s", r.Method, r.URL, r.Header.Get("Content-Type"))
	}
	b, _ := io.ReadAll(r.Body)
	var req map[string]any
	if err := json.Unmarshal(b, &req); err != nil {
		c.t.Error(err)
	}
	c.names(req, "resourceSpans")
	for _, rs := range list(req["resourceSpans"]) {
		c.names(rs, "resource", "scopeSpans")
		for _, ss := range list(rs["scopeSpans"]) {
			c.names(ss, "scope", "spans")
			for _, s := range list(ss["spans"]) {
				c.span(s)
				c.spans = append(c.spans, s)
			}
		}
	}
	_, _ = io.WriteString(w, `{"partialSuccess":{}}`)
}

var (
	hexTrace = regexp.MustCompile(`^[0-9a-f]{32}$`)
	hexSpan  = regexp.MustCompile(`^[0-9a-f]{16}$`)
	nanos    = regexp.MustCompile(`^[0-9]{19}$`)
)

func (c *collector) span(s map[string]any) {
	c.names(s, "traceId", "spanId", "traceState", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status")
	text := func(name string) string { v, _ := s[name].(string); return v }
	kind, _ := s["kind"].(float64)
	if !hexTrace.MatchString(text("traceId")) || !hexSpan.MatchString(text("spanId")) || text("parentSpanId") != "" && !hexSpan.MatchString(text("parentSpanId")) ||
		!nanos.MatchString(text("startTimeUnixNano")) || !nanos.MatchString(text("endTimeUnixNano")) || kind < 1 || kind > 5 || text("name") == "" {
		c.t.Errorf("span %v", s)
	}
	for _, a := range list(s["attributes"]) {
		c.names(a, "key", "value")
		v, _ := a["value"].(map[string]any)
		c.names(v, "stringValue")
	}
}

func (c *collector) names(m map[string]any, allowed ...string) {
	for n := range m {
		if !slices.Contains(allowed, n) {
			c.t.Errorf("a member %q is not of OTLP; allowed are %v", n, allowed)
		}
	}
}

func list(v any) []map[string]any {
	var out []map[string]any
	items, _ := v.([]any)
	for _, i := range items {
		m, _ := i.(map[string]any)
		out = append(out, m)
	}
	return out
}

func TestExporter(t *testing.T) {
	c := &collector{t: t}
	srv := httptest.NewServer(c)
	defer srv.Close()
	e := &Exporter{Endpoint: srv.URL + "/v1/traces", Service: "truc", Instance: "VN/GOV/G01/node1", Client: srv.Client(), Pause: time.Hour}
	at := time.Unix(1_790_000_000, 1)
	tr, _ := ParseParent(parent)
	up := tr.Span
	tr = tr.Child()
	e.Put(Span{
		Trace: tr, Parent: up, Name: "exchange.call", Kind: SpanClient, Start: at, End: at.Add(time.Millisecond),
		Attributes: [][2]string{{"truc.service", "x"}, {"truc.empty", ""}}, Fault: "server.clientproxy.network_error",
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	cancel() // the end sends what waits
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(c.spans) != 1 {
		t.Fatalf("collected %v", c.spans)
	}
	s := c.spans[0]
	if s["traceId"] != "0af7651916cd43dd8448eb211c80319c" || s["parentSpanId"] != "b7ad6b7169203331" || s["startTimeUnixNano"] != "1790000000000000001" ||
		s["kind"] != 3.0 || len(list(s["attributes"])) != 1 {
		t.Errorf("span = %v", s)
	}
	if status, _ := s["status"].(map[string]any); status["code"] != 2.0 || status["message"] != "server.clientproxy.network_error" {
		t.Errorf("status = %v", s["status"])
	}
}

func TestExporterIsBounded(t *testing.T) {
	c := &collector{t: t, fail: true}
	srv := httptest.NewServer(c)
	defer srv.Close()
	e := &Exporter{Endpoint: srv.URL + "/v1/traces", Client: srv.Client()}
	span := Span{Trace: NewTrace(true), Name: "x", Kind: SpanServer, Start: time.Unix(1_790_000_000, 0), End: time.Unix(1_790_000_000, 0)}
	for range maxQueuedSpans + 5 {
		e.Put(span)
	}
	e.Flush(t.Context())
	if sent, dropped, failed := e.Counts(); sent != 0 || dropped != 5 || failed != maxQueuedSpans {
		t.Errorf("sent %d, dropped %d, failed %d; want 0, 5, %d", sent, dropped, failed, maxQueuedSpans)
	}
	c.mu.Lock()
	c.fail = false
	c.mu.Unlock()
	e.Put(span, span)
	e.Flush(t.Context())
	if sent, _, _ := e.Counts(); sent != 2 {
		t.Errorf("after the collector came back %d were sent; want 2", sent)
	}
	var none *Exporter
	none.Put(span) // an exporter that is off takes nothing and does not fail
}
