package benchexchange

import (
	"io"
	"time"

	"truc/cmd/truc/internal/host"
)

// Options say what to measure.
type Options struct {
	// Duration is the time measured for each pair at each number of clients; it is cut into Rounds turns.
	Duration time.Duration
	Rounds   int
	// Concurrency lists numbers of clients; each keeps one connection and sends one request after the other.
	Concurrency []int
	// Body is the size in bytes of each request and each answer.
	Body int
	// Soak, when set, also keeps the Truc pair busy for this long with SoakClients and samples each SampleEvery.
	Soak        time.Duration
	SoakClients int
	SampleEvery time.Duration
	// Dir is an existing folder for keys, logs and databases; it decides which disk is measured.
	Dir string
	// Profile, when set, is an existing folder for processor profiles of the nodes.
	Profile string
	// Command starts a part: this program and the words that lead to [Part].
	Command []string
	// Now is the real clock.
	Now func() time.Time
	// Log is where the parts' own log lines go; several write to it at once.
	Log io.Writer
}

// Report is what a run found. Programs read it as JSON: fields may be added, not changed.
type Report struct {
	Machine host.Machine `json:"machine"`
	// Seconds were measured for each pair at each level, in so many Rounds.
	Seconds   float64  `json:"seconds"`
	Rounds    int      `json:"rounds"`
	BodyBytes int      `json:"body_bytes"`
	Real      []string `json:"real"`
	NotReal   []string `json:"not_real"`
	Levels    []Level  `json:"levels"`
	Soak      *Soak    `json:"soak,omitempty"`
	// LogBytesPerExchange and IndexBytesPerExchange are what one node keeps of an exchange.
	LogBytesPerExchange   float64 `json:"log_bytes_per_exchange"`
	IndexBytesPerExchange float64 `json:"index_bytes_per_exchange"`
}

// Level is what was found with one number of clients. Figures are medians over the rounds.
type Level struct {
	Concurrency int `json:"concurrency"`
	Ratio
	Truc Pair `json:"truc"`
	Bare Pair `json:"bare"`
	// Each is the Truc pair with a signature for each message alone instead of shared ones.
	Each struct {
		Ratio
		Pair
	} `json:"one_signature_each"`
}

// Ratio is the processor time of a Truc pair for an exchange over that of the bare pair: the median over the rounds and
// the extremes.
type Ratio struct {
	CPURatio    float64 `json:"cpu_ratio"`
	CPURatioMin float64 `json:"cpu_ratio_min"`
	CPURatioMax float64 `json:"cpu_ratio_max"`
}

// Pair is one of the two chains.
type Pair struct {
	Exchanges         int     `json:"exchanges"`
	Errors            int     `json:"errors"`
	FirstError        string  `json:"first_error,omitempty"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	P50               float64 `json:"p50_ms"`
	P99               float64 `json:"p99_ms"`
	// CPU is user and system time for an exchange, both processes together, in µs.
	CPU      float64 `json:"cpu_us"`
	Consumer Process `json:"consumer"`
	Provider Process `json:"provider"`
	// BackEndCPU and ClientCPU are what the parts around the pair took, in µs an exchange.
	BackEndCPU float64 `json:"back_end_cpu_us"`
	ClientCPU  float64 `json:"client_cpu_us"`
}

// Process is one process of a pair. All but the time are the most that was seen at the end of a round.
type Process struct {
	CPU        float64 `json:"cpu_us"`
	RSSBytes   int64   `json:"rss_bytes"`
	OpenFiles  int64   `json:"open_files"`
	Goroutines int64   `json:"goroutines"`
}

// Soak is what the nodes held over a long time.
type Soak struct {
	Seconds           float64 `json:"seconds"`
	Concurrency       int     `json:"concurrency"`
	Exchanges         int     `json:"exchanges"`
	Errors            int     `json:"errors"`
	FirstError        string  `json:"first_error,omitempty"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	Samples           int     `json:"samples"`
	Series            []Trend `json:"series"`
}

// Trend is one measure of one process over the soak.
type Trend struct {
	Process string  `json:"process"`
	Measure string  `json:"measure"`
	First   float64 `json:"first"`
	Last    float64 `json:"last"`
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	// SlopePerMinute is of the line that fits the samples best, without the first fifth of them; in it pools and
	// caches fill.
	SlopePerMinute float64 `json:"slope_per_minute"`
	// Values are all samples, in order.
	Values []float64 `json:"values"`
}
