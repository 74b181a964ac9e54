package benchdossiers

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	t := &strings.Builder{}
	fmt.Fprintf(t, "%d dossiers of procedure %s, %d side by side; %s/%s, %d × %s, %s\n", r.Dossiers, r.Procedure, r.Workers, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, r.Machine.CPU, r.Machine.Go)
	if r.PaperBytes > 0 {
		fmt.Fprintf(t, "Each filing came with a paper of %s.\n", size(float64(r.PaperBytes)))
	}
	fmt.Fprintf(t, "Real: %s.\nNot real: %s.\n", strings.Join(r.Real, "; "), strings.Join(r.NotReal, "; "))
	for i := range r.Engines {
		r.Engines[i].print(t)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(table, t.String()); err != nil {
		return err
	}
	return table.Flush()
}

func (e *Engine) print(w *strings.Builder) {
	fmt.Fprintf(w, "\n%s\t(%s)\n", e.Engine, e.Durability)
	fmt.Fprintf(w, "  dossiers\t%.1f/s\toutbox included; actions took %.1f s, the outbox %.1f s more\n", e.DossiersPerSecond, e.ActionsSeconds, e.DrainSeconds)
	fmt.Fprintf(w, "  processor\t%.1f ms\ta dossier, this process\n", e.CPUMsPerDossier)
	fmt.Fprintf(w, "  memory\t%s\tat most\n", size(float64(e.PeakRSSBytes)))
	fmt.Fprintf(w, "  stored\t%s\ta dossier in the database, and %s in the transparency log\n", size(e.DatabaseBytesPerDossier), size(e.LogBytesPerDossier))
	c := e.Commits
	fmt.Fprintf(w, "  commits\t%.1f\ta dossier: desk %.1f, relay %.1f, audit %.1f; log writes %.1f\n", c.Desk+c.Relay+c.Audit, c.Desk, c.Relay, c.Audit, c.Log)
	fmt.Fprintf(w, "  outbox\t%d\tmessages performed, %d of them notices; %d wait, %d put aside\n", e.Outbox.Performed, e.Outbox.Notices, e.Outbox.Waiting, e.Outbox.Dead)
	fmt.Fprint(w, "\n  action\tcount\tp50 ms\tp99 ms\tmax ms\n")
	for _, a := range e.Actions {
		fmt.Fprintf(w, "  %s\t%d\t%.1f\t%.1f\t%.1f\n", a.Name, a.Count, a.P50, a.P99, a.Max)
	}
	fmt.Fprint(w, "\n  table\trows\tbytes\t(a dossier, content only)\n")
	for _, s := range e.Tables {
		fmt.Fprintf(w, "  %s\t%.1f\t%.0f\n", s.Table, s.Rows, s.Bytes)
	}
	fmt.Fprint(w, "\n  baseline\tcommits\tdossiers/s\tratio\n")
	for _, b := range e.Baselines {
		fmt.Fprintf(w, "  %s\t%d\t%.1f\t%.1f\n", b.Name, b.CommitsPerDossier, b.DossiersPerSecond, b.Ratio)
	}
}

func size(n float64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", n/(1<<10))
	}
	return fmt.Sprintf("%.0f B", n)
}
