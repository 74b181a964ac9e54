package telemetry

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// sampleOf is a sample of the exposition format.
type sampleOf struct {
	name   string
	labels map[string]string
	value  float64
}

var sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? (\S+)$`)

// parseExposition is a strict reader of the text exposition format 0.0.4: it demands what a scraper may rely on.
func parseExposition(text string) (map[string]string, []sampleOf, error) {
	kinds, seen := map[string]string{}, map[string]bool{}
	var samples []sampleOf
	current, helped := "", ""
	if text != "" && !strings.HasSuffix(text, "\n") {
		return nil, nil, fmt.Errorf("the last line has no end")
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "# HELP "):
			helped, _, _ = strings.Cut(line[7:], " ")
		case strings.HasPrefix(line, "# TYPE "):
			name, kind, _ := strings.Cut(line[7:], " ")
			if kinds[name] != "" || name != helped || !slices.Contains([]string{"counter", "gauge", "histogram"}, kind) {
				return nil, nil, fmt.Errorf("%q: twice, without help, or of an unknown kind", line)
			}
			kinds[name], current = kind, name
		default:
			m := sampleLine.FindStringSubmatch(line)
			if m == nil {
				return nil, nil, fmt.Errorf("%q is no sample", line)
			}
			base := m[1]
			if kinds[current] == "histogram" {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					base = strings.TrimSuffix(base, suffix)
				}
			}
			if base != current {
				return nil, nil, fmt.Errorf("%q does not belong to %s", line, current)
			}
			labels, err := parseLabels(m[3])
			if err != nil {
				return nil, nil, fmt.Errorf("%q: %w", line, err)
			}
			v, err := strconv.ParseFloat(m[4], 64)
			if err != nil {
				return nil, nil, err
			}
			key := m[1] + m[2]
			if seen[key] {
				return nil, nil, fmt.Errorf("%q stands twice", key)
			}
			seen[key] = true
			samples = append(samples, sampleOf{m[1], labels, v})
		}
	}
	return kinds, samples, nil
}

func parseLabels(s string) (map[string]string, error) {
	out := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, `="`)
		if !ok || !labelName.MatchString(name) {
			return nil, fmt.Errorf("label %q", s)
		}
		var v strings.Builder
		i := 0
		for ; i < len(rest) && rest[i] != '"'; i++ {
			if rest[i] != '\\' {
				v.WriteByte(rest[i])
				continue
			}
			i++
			if i == len(rest) {
				return nil, fmt.Errorf("escape at the end")
			}
			c, known := map[byte]byte{'\\': '\\', '"': '"', 'n': '\n'}[rest[i]]
			if !known {
				return nil, fmt.Errorf("escape %q", rest[i])
			}
			v.WriteByte(c)
		}
		if i == len(rest) {
			return nil, fmt.Errorf("value without end")
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("label %s twice", name)
		}
		out[name] = v.String()
		s = strings.TrimPrefix(rest[i+1:], ",")
	}
	return out, nil
}

func exposition(t *testing.T, r *Registry) (string, map[string]string, []sampleOf) {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	kinds, samples, err := parseExposition(b.String())
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	return b.String(), kinds, samples
}

func TestExposition(t *testing.T) {
	var r Registry
	c := r.Counter("t_requests_total", "How many.\nAnd \\ more.", "role", "service")
	c.With("consumer", "VN/GOV/G01/x\"y\\z\nw\xff").Add(3)
	c.With("provider", "").Inc()
	g := r.Gauge("t_load", "Load.")
	g.With().Set(math.Inf(1))
	h := r.Histogram("t_seconds", "Duration.", []float64{0.1, 1, 10}, "phase")
	for _, v := range []float64{0.05, 0.1, 0.5, 99} {
		h.With("sign").Observe(v)
	}
	r.Collect("t_age_seconds", "Age.", "gauge", []string{"of"}, func(emit func(float64, ...string)) { emit(1.5, "b"); emit(2, "a") })
	r.Counter("t_unused_total", "Never counted.", "x")
	text, kinds, samples := exposition(t, &r)
	want := `# HELP t_age_seconds Age.
# TYPE t_age_seconds gauge
t_age_seconds{of="a"} 2
t_age_seconds{of="b"} 1.5
# HELP t_load Load.
# TYPE t_load gauge
t_load +Inf
# HELP t_requests_total How many.\nAnd \\ more.
# TYPE t_requests_total counter
t_requests_total{role="consumer",service="VN/GOV/G01/x\"y\\z\nw` + "\uFFFD" + `"} 3
t_requests_total{role="provider",service=""} 1
# HELP t_seconds Duration.
# TYPE t_seconds histogram
t_seconds_bucket{phase="sign",le="0.1"} 2
t_seconds_bucket{phase="sign",le="1"} 3
t_seconds_bucket{phase="sign",le="10"} 3
t_seconds_bucket{phase="sign",le="+Inf"} 4
t_seconds_sum{phase="sign"} 99.65
t_seconds_count{phase="sign"} 4
`
	if text != want {
		t.Errorf("exposition:\n%s\nwant:\n%s", text, want)
	}
	if kinds["t_seconds"] != "histogram" || len(samples) != 11 {
		t.Errorf("kinds %v, %d samples", kinds, len(samples))
	}
}

// TestStrictReader shows that the reader of the tests refuses what a scraper would.
func TestStrictReader(t *testing.T) {
	for _, bad := range []string{
		"a 1", "# TYPE a gauge\na 1\n", "# HELP a x\n# TYPE a gauge\nb 1\n", "# HELP a x\n# TYPE a gauge\na{b=\"c} 1\n", "# HELP a x\n# TYPE a gauge\na 1\na 2\n",
		"# HELP a x\n# TYPE a gauge\na{1b=\"c\"} 1\n", "# HELP a x\n# TYPE a gauge\na one\n", "# HELP a x\n# TYPE a summary\na 1\n", "# HELP a x\n# TYPE a gauge\na{b=\"\\x\"} 1\n",
	} {
		if _, _, err := parseExposition(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestSeriesAreBounded(t *testing.T) {
	var r Registry
	c := r.Counter("t_total", "x", "a")
	for i := range 3 * maxSeries {
		c.With(strconv.Itoa(i)).Inc()
	}
	_, _, samples := exposition(t, &r)
	var sum float64
	for _, s := range samples {
		sum += s.value
	}
	if len(samples) != maxSeries+1 || sum != 3*maxSeries {
		t.Errorf("%d series with a sum of %v; want %d and %d", len(samples), sum, maxSeries+1, 3*maxSeries)
	}
}

func TestConcurrentCounts(t *testing.T) {
	var r Registry
	c, h := r.Counter("t_total", "x", "a"), r.Histogram("t_s", "x", []float64{1}, "a")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 1000 {
				c.With(strconv.Itoa(i % 2)).Inc()
				h.With("x").Observe(0.5)
			}
		})
	}
	for range 20 {
		exposition(t, &r) // a reading in between must be well formed, whatever it catches
	}
	wg.Wait()
	if got := c.With("0").Value() + c.With("1").Value(); got != 8000 {
		t.Errorf("counted %d; want 8000", got)
	}
	_, _, samples := exposition(t, &r)
	for _, s := range samples {
		if s.name == "t_s_sum" && s.value != 4000 {
			t.Errorf("sum = %v; want 4000", s.value)
		}
	}
}

func TestProcess(t *testing.T) {
	var r Registry
	r.Process(time.Unix(1_790_000_000, 500_000_000))
	_, _, samples := exposition(t, &r)
	got := map[string]float64{}
	for _, s := range samples {
		got[s.name] = s.value
	}
	if got["process_start_time_seconds"] != 1_790_000_000.5 || got["go_goroutines"] < 2 || got["go_memstats_sys_bytes"] <= 0 {
		t.Errorf("process figures = %v", got)
	}
	if open, limit, ok := Descriptors(); ok && (open < 3 || limit < 0 || got["process_open_fds"] < 3 || got["process_resident_memory_bytes"] < 1<<20) {
		t.Errorf("descriptors %d of %d, figures %v", open, limit, got)
	}
}

func TestMistakesPanic(t *testing.T) {
	for name, f := range map[string]func(r *Registry){
		"bad name":     func(r *Registry) { r.Counter("9a", "x") },
		"bad label":    func(r *Registry) { r.Counter("a", "x", "__b") },
		"twice":        func(r *Registry) { r.Counter("a", "x"); r.Gauge("a", "x") },
		"label counts": func(r *Registry) { r.Counter("a", "x", "b").With() },
		"no buckets":   func(r *Registry) { r.Histogram("a", "x", nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			f(new(Registry))
		}()
	}
}

func BenchmarkObserve(b *testing.B) {
	var r Registry
	c, h := r.Counter("t_total", "x", "role", "service", "outcome"), r.Histogram("t_s", "x", []float64{.0005, .001, .005, .01, .05, .1, .5, 1, 5}, "phase")
	b.ReportAllocs()
	for b.Loop() {
		c.With("consumer", "VN/GOV/G01/population/person", "ok").Inc()
		h.With("sign").Observe(0.002)
	}
}
