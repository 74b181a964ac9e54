package benchdocuments

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"truc/cmd/truc/internal/host"
)

// Options say what to measure.
type Options struct {
	// Size is the size in bytes of the one attachment of each document.
	Size int
	// Receivers lists numbers of receivers of a document.
	Receivers []int
	// Documents are measured in each of so many Rounds, by Workers side by side; 0 takes as many as make a hundred copies.
	Documents, Rounds, Workers int
	// Same, if not 0, is a number of receivers of one document of SameSize, of which only one copy may be stored.
	Same, SameSize int
	// Dir is an existing folder for the blobs and the database; it decides which disk is measured.
	Dir string
	// Profile, when set, is an existing folder for a processor profile of the hub.
	Profile string
	// Command starts a part: this program and the words that lead to [Part].
	Command []string
	// Now is the real clock.
	Now func() time.Time
	// Log is where the parts' own log lines go.
	Log io.Writer
}

// Report is what a run found. Programs read it as JSON: fields may be added, not changed.
type Report struct {
	Machine host.Machine `json:"machine"`
	// AttachmentBytes is the size of the attachment, MessageBytes of the whole message on the wire.
	AttachmentBytes int      `json:"attachment_bytes"`
	MessageBytes    int      `json:"message_bytes"`
	Rounds          int      `json:"rounds"`
	Workers         int      `json:"workers"`
	Real            []string `json:"real"`
	NotReal         []string `json:"not_real"`
	Levels          []Level  `json:"levels"`
	Same            *Same    `json:"same,omitempty"`
}

// Level is what was found with one number of receivers. A document counts when it is done at every receiver and the
// status of each is done at the sender. Megabytes are a million bytes of messages taken in and handed out.
type Level struct {
	Receivers          int     `json:"receivers"`
	Documents          int     `json:"documents"`
	DocumentsPerSecond float64 `json:"documents_per_second"`
	CopiesPerSecond    float64 `json:"copies_per_second"`
	MBPerSecond        float64 `json:"mb_per_second"`
	// CPUms is processor time of the hub a document; CPUmsPerMB the same for each megabyte.
	CPUms        float64 `json:"cpu_ms_per_document"`
	CPUmsPerMB   float64 `json:"cpu_ms_per_mb"`
	PeakRSSBytes int64   `json:"peak_rss_bytes"`
	Steps        []Step  `json:"steps"`
	// BarePassMs is the time, and BarePassCPUms the processor time, of reading, decoding, hashing and writing one message.
	BarePassMs    float64 `json:"bare_pass_ms"`
	BarePassCPUms float64 `json:"bare_pass_cpu_ms"`
	// Ratio and CPURatio hold a document against the bare work once for each time its bytes are handed over: to the hub and to
	// each receiver. RatioOnce and CPURatioOnce hold it against the bare work once.
	Ratio        float64 `json:"ratio"`
	CPURatio     float64 `json:"cpu_ratio"`
	RatioOnce    float64 `json:"ratio_once"`
	CPURatioOnce float64 `json:"cpu_ratio_once"`
}

// Step is a call of a client.
type Step struct {
	Name  string  `json:"name"`
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
}

// Same is what was stored of one document to many receivers.
type Same struct {
	Receivers       int     `json:"receivers"`
	AttachmentBytes int     `json:"attachment_bytes"`
	MessageBytes    int64   `json:"message_bytes"`
	Seconds         float64 `json:"seconds"`
	// Files and Bytes are what the blob store holds when every receiver has its copy; the status messages are counted apart.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// RSSBytes is the memory of the hub before, PeakRSSBytes at most.
	RSSBytes     int64 `json:"rss_bytes"`
	PeakRSSBytes int64 `json:"peak_rss_bytes"`
}

const mib = 1 << 20

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	t := &strings.Builder{}
	fmt.Fprintf(t, "Documents with an attachment of %.2f MiB, %d rounds, %d side by side; %s/%s, %d × %s, %s\n",
		float64(r.AttachmentBytes)/mib, r.Rounds, r.Workers, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, r.Machine.CPU, r.Machine.Go)
	fmt.Fprintf(t, "Real: %s.\nNot real: %s.\n", strings.Join(r.Real, "; "), strings.Join(r.NotReal, "; "))
	for _, l := range r.Levels {
		fmt.Fprintf(t, "\n%d receivers\t%d documents\n", l.Receivers, l.Documents)
		fmt.Fprintf(t, "  documents\t%.2f/s\t%.1f copies/s, %.1f MB/s in and out\n", l.DocumentsPerSecond, l.CopiesPerSecond, l.MBPerSecond)
		fmt.Fprintf(t, "  processor\t%.1f ms\ta document, %.2f ms a megabyte\n", l.CPUms, l.CPUmsPerMB)
		fmt.Fprintf(t, "  memory\t%.1f MiB\tat most\n", float64(l.PeakRSSBytes)/mib)
		fmt.Fprintf(t, "  bare work\t%.2f ms\ta message, %.2f ms of processor time\n", l.BarePassMs, l.BarePassCPUms)
		fmt.Fprintf(t, "  ratio\t%.2f\tof time, %.2f of processor time, to the bare work at each handing over\n", l.Ratio, l.CPURatio)
		fmt.Fprintf(t, "  ratio once\t%.2f\tof time, %.2f of processor time, to the bare work once\n", l.RatioOnce, l.CPURatioOnce)
		fmt.Fprint(t, "  call\tcount\tp50 ms\tp99 ms\n")
		for _, s := range l.Steps {
			fmt.Fprintf(t, "  %s\t%d\t%.2f\t%.2f\n", s.Name, s.Count, s.P50, s.P99)
		}
	}
	if s := r.Same; s != nil {
		fmt.Fprintf(t, "\none document\t%.1f MiB\tto %d receivers in %.1f s: %d file of %.1f MiB stored, memory %.1f MiB before and at most %.1f MiB\n",
			float64(s.AttachmentBytes)/mib, s.Receivers, s.Seconds, s.Files, float64(s.Bytes)/mib, float64(s.RSSBytes)/mib, float64(s.PeakRSSBytes)/mib)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(table, t.String()); err != nil {
		return err
	}
	return table.Flush()
}
