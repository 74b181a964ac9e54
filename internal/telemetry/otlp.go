package telemetry

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// SpanKind is the kind of a span (opentelemetry.proto.trace.v1.Span.SpanKind).
type SpanKind int

// Kinds of spans.
const (
	SpanInternal SpanKind = 1
	SpanServer   SpanKind = 2
	SpanClient   SpanKind = 3
)

// Span is a finished stretch of work.
type Span struct {
	// Trace names the trace and the span; Parent is the span above, zero for none.
	Trace      Trace
	Parent     [8]byte
	Name       string
	Kind       SpanKind
	Start, End time.Time
	// Attributes are pairs of name and value; no personal data.
	Attributes [][2]string
	// Fault, when not empty, marks the span as failed.
	Fault string
}

// Exporter sends spans to a collector by OTLP over HTTP with JSON bodies (opentelemetry-proto, OTLP/HTTP). Fill the
// fields and call Run; without Run nothing is sent. It never blocks a caller: when the queue is full, spans are dropped
// and counted.
type Exporter struct {
	// Endpoint is the full address, such as "http://127.0.0.1:4318/v1/traces".
	Endpoint string
	// Service is service.name, Instance service.instance.id.
	Service, Instance string
	Client            *http.Client
	// Pause is how long spans are collected; 2 s when zero.
	Pause time.Duration

	mu      sync.Mutex // guards queue
	queue   []Span
	dropped atomic.Uint64
	failed  atomic.Uint64
	sent    atomic.Uint64
}

const (
	maxQueuedSpans = 8192
	maxBatchSpans  = 512
)

// Put queues spans. A nil exporter takes none.
func (e *Exporter) Put(spans ...Span) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue)+len(spans) > maxQueuedSpans {
		e.dropped.Add(uint64(len(spans)))
		return
	}
	e.queue = append(e.queue, spans...)
}

// Counts returns how many spans were sent, dropped for a full queue, and lost because the collector did not take them.
func (e *Exporter) Counts() (sent, dropped, failed uint64) {
	return e.sent.Load(), e.dropped.Load(), e.failed.Load()
}

// Run sends until ctx ends, and then once more what is left.
func (e *Exporter) Run(ctx context.Context) error {
	pause := e.Pause
	if pause <= 0 {
		pause = 2 * time.Second
	}
	t := time.NewTicker(pause)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			e.Flush(last)
			cancel()
			return nil
		case <-t.C:
			e.Flush(ctx)
		}
	}
}

// Flush sends what waits. Spans that the collector does not take are lost: a trace is worth less than a growing queue.
func (e *Exporter) Flush(ctx context.Context) {
	for {
		e.mu.Lock()
		n := min(len(e.queue), maxBatchSpans)
		batch := e.queue[:n:n]
		e.queue = e.queue[n:]
		if len(e.queue) == 0 {
			e.queue = nil
		}
		e.mu.Unlock()
		if n == 0 {
			return
		}
		if err := e.send(ctx, batch); err != nil {
			e.failed.Add(uint64(n))
			continue
		}
		e.sent.Add(uint64(n))
	}
}

func (e *Exporter) send(ctx context.Context, spans []Span) error {
	body, err := json.Marshal(e.payload(spans))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.Endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered %d", resp.StatusCode)
	}
	return nil
}

// The JSON form of ExportTraceServiceRequest: names in lowerCamelCase, ids in hex, 64-bit numbers as text.
type (
	otlpRequest struct {
		ResourceSpans []otlpResourceSpans `json:"resourceSpans"`
	}
	otlpResourceSpans struct {
		Resource   otlpResource     `json:"resource"`
		ScopeSpans []otlpScopeSpans `json:"scopeSpans"`
	}
	otlpResource struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpScopeSpans struct {
		Scope otlpScope  `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	otlpScope struct {
		Name string `json:"name"`
	}
	otlpSpan struct {
		TraceID           string          `json:"traceId"`
		SpanID            string          `json:"spanId"`
		TraceState        string          `json:"traceState,omitempty"`
		ParentSpanID      string          `json:"parentSpanId,omitempty"`
		Name              string          `json:"name"`
		Kind              SpanKind        `json:"kind"`
		StartTimeUnixNano string          `json:"startTimeUnixNano"`
		EndTimeUnixNano   string          `json:"endTimeUnixNano"`
		Attributes        []otlpAttribute `json:"attributes,omitempty"`
		Status            otlpStatus      `json:"status"`
	}
	otlpAttribute struct {
		Key   string    `json:"key"`
		Value otlpValue `json:"value"`
	}
	otlpValue struct {
		StringValue string `json:"stringValue"`
	}
	otlpStatus struct {
		Message string `json:"message,omitempty"`
		Code    int    `json:"code,omitempty"`
	}
)

const otlpStatusError = 2

func (e *Exporter) payload(spans []Span) otlpRequest {
	scope := otlpScopeSpans{Scope: otlpScope{Name: "truc"}, Spans: make([]otlpSpan, len(spans))}
	for i, s := range spans {
		o := otlpSpan{
			TraceID: hex.EncodeToString(s.Trace.ID[:]), SpanID: hex.EncodeToString(s.Trace.Span[:]), TraceState: s.Trace.State, Name: s.Name, Kind: s.Kind,
			StartTimeUnixNano: strconv.FormatInt(s.Start.UnixNano(), 10), EndTimeUnixNano: strconv.FormatInt(s.End.UnixNano(), 10), Attributes: attributes(s.Attributes),
		}
		if s.Parent != [8]byte{} {
			o.ParentSpanID = hex.EncodeToString(s.Parent[:])
		}
		if s.Fault != "" {
			o.Status = otlpStatus{Message: s.Fault, Code: otlpStatusError}
		}
		scope.Spans[i] = o
	}
	return otlpRequest{ResourceSpans: []otlpResourceSpans{{
		Resource:   otlpResource{Attributes: attributes([][2]string{{"service.name", e.Service}, {"service.instance.id", e.Instance}})},
		ScopeSpans: []otlpScopeSpans{scope},
	}}}
}

func attributes(pairs [][2]string) []otlpAttribute {
	var out []otlpAttribute
	for _, p := range pairs {
		if p[1] != "" {
			out = append(out, otlpAttribute{Key: p[0], Value: otlpValue{StringValue: p[1]}})
		}
	}
	return out
}
