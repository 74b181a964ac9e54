package benchexchange

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const actAsPart = "act-as-part"

// TestMain lets the test binary be the parts too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == actAsPart {
		if err := Part(context.Background(), os.Stdin, os.Stdout, os.Stderr, time.Now); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// safeBuffer takes what several processes say.
type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestRun looks at the shape of a report, never at a speed.
func TestRun(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var log safeBuffer
	report, err := Run(t.Context(), Options{
		Duration: 300 * time.Millisecond, Rounds: 2, Concurrency: []int{1, 4}, Body: 1000, Dir: t.TempDir(), Now: time.Now, Log: &log,
		Soak: 300 * time.Millisecond, SoakClients: 2, SampleEvery: 100 * time.Millisecond, Command: []string{exe, actAsPart},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	type process struct {
		CPU        float64 `json:"cpu_us"`
		RSS        int64   `json:"rss_bytes"`
		Files      int64   `json:"open_files"`
		Goroutines int64   `json:"goroutines"`
	}
	type pair struct {
		Exchanges          int
		Errors             *int
		FirstError         string  `json:"first_error"`
		PerSecond          float64 `json:"requests_per_second"`
		P50                float64 `json:"p50_ms"`
		P99                float64 `json:"p99_ms"`
		CPU                float64 `json:"cpu_us"`
		Consumer, Provider process
	}
	var got struct {
		BodyBytes     int `json:"body_bytes"`
		Real, NotReal []string
		Levels        []struct {
			Concurrency int
			CPURatio    float64 `json:"cpu_ratio"`
			Truc, Bare  pair
			Each        pair `json:"one_signature_each"`
		}
		Soak struct {
			Samples, Errors int
			Series          []struct {
				Process, Measure string
				Values           []float64
			}
		}
		LogBytes float64 `json:"log_bytes_per_exchange"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.BodyBytes != 1000 || len(got.Levels) != 2 || got.Levels[0].Concurrency != 1 || got.Levels[1].Concurrency != 4 || got.LogBytes < 1000 {
		t.Fatalf("report = %s", b)
	}
	for _, l := range got.Levels {
		if l.CPURatio <= 0 {
			t.Errorf("%d clients: cpu_ratio = %v", l.Concurrency, l.CPURatio)
		}
		for name, p := range map[string]pair{"truc": l.Truc, "bare": l.Bare, "each": l.Each} {
			if p.Errors == nil || *p.Errors != 0 || p.Exchanges == 0 || p.PerSecond <= 0 || p.P50 <= 0 || p.P99 < p.P50 || p.CPU <= 0 {
				t.Errorf("%d clients: %s = %+v\n%s", l.Concurrency, name, p, &log)
			}
			for _, x := range []process{p.Consumer, p.Provider} {
				if x.CPU <= 0 || x.RSS <= 0 || x.Files <= 0 || x.Goroutines <= 0 {
					t.Errorf("%d clients: %s has a process %+v", l.Concurrency, name, x)
				}
			}
		}
	}
	if got.Soak.Errors != 0 || got.Soak.Samples == 0 || len(got.Soak.Series) != 12 {
		t.Errorf("soak = %+v", got.Soak)
	}
	for _, x := range got.Soak.Series {
		if len(x.Values) != got.Soak.Samples || slices.Min(x.Values) <= 0 && x.Measure != "heap_live_bytes" { // no collection may have run
			t.Errorf("%s, %s: %v", x.Process, x.Measure, x.Values)
		}
	}
	var table bytes.Buffer
	if err := report.Print(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Not real:", "cpu_ratio", "p99 ms", "slope/min"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, &table)
		}
	}
}

func TestSlope(t *testing.T) {
	if got := slope([]float64{0, 1, 2, 3}, []float64{5, 7, 9, 11}); got < 1.999 || got > 2.001 {
		t.Errorf("slope = %v, want 2", got)
	}
	if got := slope([]float64{1}, []float64{5}); got != 0 {
		t.Errorf("slope of a point = %v", got)
	}
}
