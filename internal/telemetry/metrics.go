package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// maxSeries bounds the series of one metric. What comes beyond is counted under the label value "other".
const maxSeries = 2000

const overflow = "other"

// Registry holds the metrics of one node. The zero value is ready. It is safe for concurrent use.
type Registry struct {
	mu       sync.Mutex // guards families
	families []*family
}

// family is one metric with all its series.
type family struct {
	name, help, kind string
	labels           []string
	buckets          []float64
	collect          func(emit func(v float64, values ...string))

	mu     sync.RWMutex // guards series
	series map[string]*series
}

// series is one combination of label values.
type series struct {
	values []string
	// bits holds a float64 for gauges, count a number for counters and histograms.
	count  atomic.Uint64
	bits   atomic.Uint64
	counts []atomic.Uint64 // by bucket, not cumulative
}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// add registers a family. A wrong or repeated name is a mistake of the programmer.
func (r *Registry) add(f *family) *family {
	if !metricName.MatchString(f.name) || slices.ContainsFunc(f.labels, func(l string) bool { return !labelName.MatchString(l) || strings.HasPrefix(l, "__") }) {
		panic("telemetry: bad name in metric " + f.name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.families, func(o *family) bool { return o.name == f.name }) {
		panic("telemetry: metric " + f.name + " is registered twice")
	}
	f.series = map[string]*series{}
	r.families = append(r.families, f)
	return f
}

// with finds or makes a series.
func (f *family) with(values []string) *series {
	if len(values) != len(f.labels) {
		panic(fmt.Sprintf("telemetry: %s has %d labels, not %d", f.name, len(f.labels), len(values)))
	}
	var key string
	if len(values) == 1 {
		key = values[0]
	} else {
		key = strings.Join(values, "\x00")
	}
	f.mu.RLock()
	s := f.series[key]
	f.mu.RUnlock()
	if s != nil {
		return s
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.series[key]; s != nil {
		return s
	}
	if len(f.series) >= maxSeries {
		values = slices.Repeat([]string{overflow}, len(values))
		key = strings.Join(values, "\x00")
		if s := f.series[key]; s != nil {
			return s
		}
	}
	s = &series{values: slices.Clone(values), counts: make([]atomic.Uint64, len(f.buckets)+1)}
	f.series[key] = s
	return s
}

// CounterVec is a number that only grows, by labels.
type CounterVec struct{ f *family }

// Counter is one series of a [CounterVec].
type Counter struct{ s *series }

// Counter registers a counter; its name ends in _total.
func (r *Registry) Counter(name, help string, labels ...string) *CounterVec {
	return &CounterVec{r.add(&family{name: name, help: help, kind: "counter", labels: labels})}
}

// With returns the series of label values, in the order of the labels.
func (c *CounterVec) With(values ...string) Counter { return Counter{c.f.with(values)} }

// Inc adds one.
func (c Counter) Inc() { c.s.count.Add(1) }

// Add adds n.
func (c Counter) Add(n uint64) { c.s.count.Add(n) }

// Value returns the count.
func (c Counter) Value() uint64 { return c.s.count.Load() }

// GaugeVec is a number that goes up and down, by labels.
type GaugeVec struct{ f *family }

// Gauge is one series of a [GaugeVec].
type Gauge struct{ s *series }

// Gauge registers a gauge.
func (r *Registry) Gauge(name, help string, labels ...string) *GaugeVec {
	return &GaugeVec{r.add(&family{name: name, help: help, kind: "gauge", labels: labels})}
}

// With returns the series of label values.
func (g *GaugeVec) With(values ...string) Gauge { return Gauge{g.f.with(values)} }

// Set sets the gauge.
func (g Gauge) Set(v float64) { g.s.bits.Store(math.Float64bits(v)) }

// Add changes the gauge by v.
func (g Gauge) Add(v float64) { addFloat(&g.s.bits, v) }

func addFloat(bits *atomic.Uint64, v float64) {
	for {
		old := bits.Load()
		if bits.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// Collect registers a metric whose values are asked for when it is read. kind is "gauge" or "counter".
func (r *Registry) Collect(name, help, kind string, labels []string, f func(emit func(v float64, values ...string))) {
	if kind != "gauge" && kind != "counter" {
		panic("telemetry: kind " + kind)
	}
	r.add(&family{name: name, help: help, kind: kind, labels: labels, collect: f})
}

// HistogramVec counts values in buckets, by labels.
type HistogramVec struct{ f *family }

// Histogram is one series of a [HistogramVec].
type Histogram struct {
	s       *series
	buckets []float64
}

// Histogram registers a histogram with upper bounds in rising order, without +Inf.
func (r *Registry) Histogram(name, help string, buckets []float64, labels ...string) *HistogramVec {
	if !slices.IsSorted(buckets) || len(buckets) == 0 {
		panic("telemetry: buckets of " + name)
	}
	return &HistogramVec{r.add(&family{name: name, help: help, kind: "histogram", labels: labels, buckets: buckets})}
}

// With returns the series of label values.
func (h *HistogramVec) With(values ...string) Histogram {
	return Histogram{s: h.f.with(values), buckets: h.f.buckets}
}

// Observe counts a value.
func (h Histogram) Observe(v float64) {
	i := 0
	for i < len(h.buckets) && v > h.buckets[i] {
		i++
	}
	h.s.counts[i].Add(1)
	addFloat(&h.s.bits, v)
}

// ContentType is the type of what [Registry.Write] writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Write writes all metrics in Prometheus' text exposition format 0.0.4, sorted by name and labels.
func (r *Registry) Write(w io.Writer) error {
	r.mu.Lock()
	families := slices.Clone(r.families)
	r.mu.Unlock()
	slices.SortFunc(families, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	for _, f := range families {
		f.write(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (f *family) write(b *bytes.Buffer) {
	var lines []string
	if f.collect != nil {
		f.collect(func(v float64, values ...string) {
			lines = append(lines, f.name+labelText(f.labels, values)+" "+number(v)+"\n")
		})
	} else {
		f.mu.RLock()
		for _, s := range f.series {
			lines = append(lines, f.line(s))
		}
		f.mu.RUnlock()
	}
	if len(lines) == 0 {
		return
	}
	slices.Sort(lines)
	b.WriteString("# HELP " + f.name + " " + strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(f.help) + "\n# TYPE " + f.name + " " + f.kind + "\n")
	for _, l := range lines {
		b.WriteString(l)
	}
}

// line is all samples of a series.
func (f *family) line(s *series) string {
	at := labelText(f.labels, s.values)
	switch f.kind {
	case "counter":
		return f.name + at + " " + strconv.FormatUint(s.count.Load(), 10) + "\n"
	case "gauge":
		return f.name + at + " " + number(math.Float64frombits(s.bits.Load())) + "\n"
	}
	var b strings.Builder
	labels := slices.Concat(f.labels, []string{"le"})
	values := slices.Concat(s.values, []string{""})
	var sum uint64
	for i := range s.counts {
		sum += s.counts[i].Load()
		values[len(values)-1] = "+Inf"
		if i < len(f.buckets) {
			values[len(values)-1] = number(f.buckets[i])
		}
		b.WriteString(f.name + "_bucket" + labelText(labels, values) + " " + strconv.FormatUint(sum, 10) + "\n")
	}
	b.WriteString(f.name + "_sum" + at + " " + number(math.Float64frombits(s.bits.Load())) + "\n")
	b.WriteString(f.name + "_count" + at + " " + strconv.FormatUint(sum, 10) + "\n") // the same sum, so that +Inf and count agree
	return b.String()
}

func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	case math.IsNaN(v):
		return "NaN"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func labelText(names, values []string) string {
	if len(names) == 0 {
		return ""
	}
	var b strings.Builder
	for i, n := range names {
		if i == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		b.WriteString(n + `="`)
		v := ""
		if i < len(values) {
			v = values[i]
		}
		for _, r := range v { // by rune, so that bytes that are no UTF-8 become U+FFFD
			switch r {
			case '\\':
				b.WriteString(`\\`)
			case '"':
				b.WriteString(`\"`)
			case '\n':
				b.WriteString(`\n`)
			default:
				b.WriteRune(r)
			}
		}
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}
