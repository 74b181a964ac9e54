// Package telemetry counts and traces: metrics in Prometheus' text format, the trace context of W3C (traceparent and
// tracestate), and an exporter of spans by OTLP over HTTP.
//
// Metrics live in a [Registry], never in package variables, because several nodes may run in one process. A series is a
// few atomic words; finding it by its labels costs one map look-up, so that callers keep what [CounterVec.With] gave
// where they can. Label values come from closed sets; should they not, a metric stops at a number of series and counts
// the rest together.
//
// A [Trace] is carried in a context and in headers from hop to hop. Spans are handed to an [Exporter], which sends them
// in batches and drops them rather than wait.
//
// The package knows no other of ours, and reads no clock that it was not given.
package telemetry
