package app

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"truc/internal/exchange"
)

// EvidenceConfig is how the logs of this node are kept and who confirms them.
type EvidenceConfig struct {
	// SegmentMiB is the size in MiB at which a file of a log is closed and the next begun; default 64.
	SegmentMiB int `toml:"segment_mib"`
	// ArchiveDir is a folder, perhaps on another disk, to which closed files are moved; they stay readable. Each log has
	// a folder of its name in it. Empty: nothing is moved.
	ArchiveDir string `toml:"archive_dir"`
	// ArchiveKeep is how many closed files stay in the data folder; default 4.
	ArchiveKeep int `toml:"archive_keep"`
	// Uncompressed moves files as they are; by default they are compressed with gzip.
	Uncompressed bool `toml:"uncompressed"`
	// ArchiveEncrypt encrypts the files that are moved, each under a key of its own, which is sealed with
	// keys/exchange-seal.key: without that key the archive cannot be read, so it belongs into the backup of the node, and not
	// beside the archive. Files that were moved before stay as they are.
	ArchiveEncrypt bool `toml:"archive_encrypt"`
	// RetentionDays is after how many days entries of the exchange log are removed, whole files at a time; 0 keeps them
	// for ever. Their hashes stay, so that every proof goes on. The signed statement of what was removed carries Policy.
	RetentionDays int `toml:"retention_days"`
	// Policy names the rule under which entries are removed, such as "Quyết định 12/QĐ-UBND, lưu 10 năm". Required with
	// RetentionDays.
	Policy string `toml:"policy"`
	// Bodies says whether this node keeps the bodies of messages, as the one who asks and as the one who answers: "digest"
	// (default) keeps none, for digests are always in the log; "full" keeps them encrypted; "off" also overrules services
	// that ask for "full".
	Bodies string `toml:"bodies"`
	// BodyServices sets it for single services: "VN/GOV/G01/population/person" = "full".
	BodyServices map[string]exchange.BodyMode `toml:"body_services"`
	// BodySubsystems sets it for all exchanges of single subsystems of this node, whether they ask or answer:
	// "VN/GOV/H36/onestop" = "full". What BodyServices says of a service goes before it.
	BodySubsystems map[string]exchange.BodyMode `toml:"body_subsystems"`
	// BodyMaxMiB is the longest body in MiB that is kept of those that stream, because they are larger than 256 KiB or of unknown
	// length; of a longer one the digest alone is kept, and the log says so. Default 1024. Two times ReserveMiB stay free
	// in any case.
	BodyMaxMiB int `toml:"body_max_mib"`
	// BodyRetentionDays is after how many days kept bodies are erased, keys first; default 90.
	BodyRetentionDays int `toml:"body_retention_days"`
	// ReserveMiB is the free space in MiB, on the disk of the logs, below which no exchange may begin: what cannot be logged
	// does not happen, and what is under way still has to be logged to its end. Default 256.
	ReserveMiB int `toml:"reserve_mib"`
	// Witnesses is how many other nodes shall cosign each checkpoint; default 2.
	Witnesses int `toml:"witnesses"`
	// WitnessSeconds is the time between checkpoints shown to witnesses while the log grows; default 5.
	WitnessSeconds int `toml:"witness_seconds"`
}

// TimestampConfig names the time-stamp authorities (RFC 3161) that say by when a checkpoint existed.
type TimestampConfig struct {
	// Authorities are asked in order until one answers. Development without any uses a built-in one whose certificate
	// says that it is for tests; production without any goes without time-stamps and shows it.
	Authorities []AuthorityConfig `toml:"authorities"`
	// EverySeconds is the time between time-stamps while the log grows, 1 to 3600; default 60.
	EverySeconds int `toml:"every_seconds"`
	// Order is in which order authorities are asked by what a token costs: "free_first", "paid_first", "only_free" or
	// "only_paid"; default as they are written.
	Order string `toml:"order"`
}

// AuthorityConfig is one time-stamp authority.
type AuthorityConfig struct {
	// Name is shown to administrators; default the host of URL.
	Name string `toml:"name"`
	// URL is where queries are posted, such as "https://tsa.example.vn/".
	URL string `toml:"url"`
	// Roots is a PEM file with the certificates its certificate must lead to.
	Roots string `toml:"roots"`
	// Paid says that its tokens cost money.
	Paid bool `toml:"paid"`
	// PerDay is how many tokens of it the logs of this node may take in 24 hours; then the next authority is asked, and
	// without one the logs wait, which is shown. 0 sets no limit.
	PerDay int `toml:"per_day"`
}

func (c *EvidenceConfig) segmentSize() int64 { return int64(orInt(c.SegmentMiB, 64)) << 20 }

func (c *EvidenceConfig) round() time.Duration {
	return time.Duration(orInt(c.WitnessSeconds, 5)) * time.Second
}

func (c *TimestampConfig) every() time.Duration {
	return time.Duration(orInt(c.EverySeconds, 60)) * time.Second
}

func orInt(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

// checkEvidence returns the faults of both sections.
func (c *Config) checkEvidence() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	e := &c.Evidence
	if e.SegmentMiB < 0 || e.SegmentMiB > 4096 {
		bad("evidence.segment_mib: %d is not between 1 and 4096", e.SegmentMiB)
	}
	if e.ReserveMiB < 0 {
		bad("evidence.reserve_mib: %d is negative", e.ReserveMiB)
	}
	if e.ArchiveKeep < 0 || e.RetentionDays < 0 || e.Witnesses < 0 || e.Witnesses > 16 || e.WitnessSeconds < 0 {
		bad("evidence: a number is negative, or witnesses is above 16")
	}
	if e.Bodies != "" && !exchange.BodyMode(e.Bodies).Valid() || e.BodyRetentionDays < 0 || e.BodyMaxMiB < 0 {
		bad("evidence.bodies: %q is none of digest, full, off, or body_retention_days or body_max_mib is negative", e.Bodies)
	}
	for service, m := range e.BodyServices {
		if !m.Valid() {
			bad("evidence.body_services: %s: %q is none of digest, full, off", service, m)
		}
	}
	for subsystem, m := range e.BodySubsystems {
		if !slices.ContainsFunc(c.subsystems(), func(own string) bool { return own == subsystem }) || !m.Valid() {
			bad("evidence.body_subsystems: %q is no subsystem of this node, or %q none of digest, full, off", subsystem, m)
		}
	}
	if e.RetentionDays > 0 && e.Policy == "" {
		bad("evidence.policy: name the rule under which entries are removed after %d days", e.RetentionDays)
	}
	if s := c.Timestamp.EverySeconds; s < 0 || s > 3600 {
		bad("timestamp.every_seconds: %d is not between 1 and 3600", s)
	}
	if !slices.Contains([]string{"", "free_first", "paid_first", "only_free", "only_paid"}, c.Timestamp.Order) {
		bad("timestamp.order: %q is none of free_first, paid_first, only_free, only_paid", c.Timestamp.Order)
	}
	for i, a := range c.Timestamp.Authorities {
		if u, err := url.Parse(a.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			bad("timestamp.authorities %d: %q is no address", i+1, a.URL)
		}
		if a.PerDay < 0 {
			bad("timestamp.authorities %d: per_day is negative", i+1)
		}
		if a.Roots == "" {
			bad("timestamp.authorities %d: roots names the PEM file of the authority's root", i+1)
		}
	}
	return faults
}

// ordered returns the authorities in the order in which they are asked.
func (c *TimestampConfig) ordered() []AuthorityConfig {
	out := slices.Clone(c.Authorities)
	first := func(paid bool) {
		slices.SortStableFunc(out, func(a, b AuthorityConfig) int {
			switch a.Paid {
			case b.Paid:
				return 0
			case paid:
				return -1
			}
			return 1
		})
	}
	switch c.Order {
	case "free_first":
		first(false)
	case "paid_first":
		first(true)
	case "only_free":
		out = slices.DeleteFunc(out, func(a AuthorityConfig) bool { return a.Paid })
	case "only_paid":
		out = slices.DeleteFunc(out, func(a AuthorityConfig) bool { return !a.Paid })
	}
	return out
}
