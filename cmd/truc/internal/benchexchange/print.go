package benchexchange

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	t := &strings.Builder{}
	fmt.Fprintf(t, "Exchanges with bodies of %d bytes, %.3g s a pair and level in %d turns; %s/%s, %d × %s, %s\n", r.BodyBytes, r.Seconds, r.Rounds,
		r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, r.Machine.CPU, r.Machine.Go)
	fmt.Fprintf(t, "Real: %s.\nNot real: %s.\n", strings.Join(r.Real, "; "), strings.Join(r.NotReal, "; "))
	fmt.Fprintf(t, "A node keeps %.0f bytes of log and %.0f bytes of index of an exchange.\n", r.LogBytesPerExchange, r.IndexBytesPerExchange)
	for i := range r.Levels {
		l := &r.Levels[i]
		fmt.Fprintf(t, "\n%d clients\tcpu_ratio %.2f\t(%.2f to %.2f)\n", l.Concurrency, l.CPURatio, l.CPURatioMin, l.CPURatioMax)
		fmt.Fprintf(t, "\tone signature each %.2f\t(%.2f to %.2f)\n", l.Each.CPURatio, l.Each.CPURatioMin, l.Each.CPURatioMax)
		fmt.Fprint(t, "  pair\trequests/s\tp50 ms\tp99 ms\terrors\tCPU µs\tconsumer\tprovider\tback end\tclients\tRSS MiB\tfiles\tgoroutines\n")
		for _, x := range []struct {
			name string
			p    *Pair
		}{{"truc", &l.Truc}, {"each", &l.Each.Pair}, {"bare", &l.Bare}} {
			p := x.p
			fmt.Fprintf(t, "  %s\t%.0f\t%.2f\t%.2f\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t%d/%d\t%d/%d\n", x.name, p.RequestsPerSecond, p.P50, p.P99, p.Errors, p.CPU,
				p.Consumer.CPU, p.Provider.CPU, p.BackEndCPU, p.ClientCPU, mib(p.Consumer.RSSBytes)+"/"+mib(p.Provider.RSSBytes),
				p.Consumer.OpenFiles, p.Provider.OpenFiles, p.Consumer.Goroutines, p.Provider.Goroutines)
			if p.FirstError != "" {
				fmt.Fprintf(t, "  first error: %s\n", p.FirstError)
			}
		}
	}
	if s := r.Soak; s != nil {
		fmt.Fprintf(t, "\nsoak of %.0f s with %d clients: %d exchanges, %.0f/s, %d errors, %d samples\n", s.Seconds, s.Concurrency, s.Exchanges, s.RequestsPerSecond, s.Errors, s.Samples)
		fmt.Fprint(t, "  process\tmeasure\tfirst\tlast\tmin\tmax\tslope/min\n")
		for _, x := range s.Series {
			fmt.Fprintf(t, "  %s\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%+.1f\n", x.Process, x.Measure, x.First, x.Last, x.Min, x.Max, x.SlopePerMinute)
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(table, t.String()); err != nil {
		return err
	}
	return table.Flush()
}

func mib(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }
