package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"truc/cmd/truc/internal/benchexchange"
)

// exchangePart is the hidden word by which the benchmark starts its processes.
const exchangePart = "exchange-part"

func benchExchange(ctx context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("bench exchange", flag.ContinueOnError)
	fs.SetOutput(s.err)
	opt := benchexchange.Options{Concurrency: []int{1, 16, 64}, Body: 1000, SampleEvery: 10 * time.Second, Now: time.Now, Log: s.err}
	fs.DurationVar(&opt.Duration, "duration", 20*time.Second, "time measured for each pair at each number of clients")
	fs.IntVar(&opt.Rounds, "rounds", 5, "turns into which the duration is cut")
	fs.Func("concurrency", "numbers of clients, with commas (default 1,16,64)", func(v string) (err error) {
		opt.Concurrency, err = numbers(v)
		return err
	})
	fs.Func("body", "size of each request and answer, such as 500, 1k or 1m (default 1k)", func(v string) (err error) {
		opt.Body, err = bytesOf(v)
		return err
	})
	fs.DurationVar(&opt.Soak, "soak", 0, "keep the nodes busy for this long as well, and watch what they hold")
	fs.IntVar(&opt.SoakClients, "soak-clients", 16, "number of clients of the soak")
	dir := fs.String("dir", "", "folder for the temporary files; it decides which disk is measured")
	fs.StringVar(&opt.Profile, "cpuprofile", "", "folder for processor profiles of the two nodes")
	asJSON := fs.Bool("json", false, "write JSON")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	if fs.NArg() > 0 || opt.Duration <= 0 || opt.Rounds < 1 || opt.Soak < 0 || opt.SoakClients < 1 {
		fmt.Fprintln(s.err, "truc bench exchange: durations, rounds and clients are above nought, and there are no other words")
		return errUsage
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	opt.Command = []string{exe, "bench", exchangePart}
	if opt.Dir, err = os.MkdirTemp(*dir, "truc-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(opt.Dir) }()
	if opt.Profile != "" {
		if err := os.MkdirAll(opt.Profile, 0o700); err != nil {
			return err
		}
	}
	report, err := benchexchange.Run(ctx, opt)
	if err != nil {
		return err
	}
	if !*asJSON {
		return report.Print(s.out)
	}
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(report)
}

// numbers reads "1,16,64".
func numbers(s string) (out []int, err error) {
	for v := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil || n < 1 || n > 10_000 {
			return nil, errors.New("not a list of numbers of clients")
		}
		out = append(out, n)
	}
	return out, nil
}

// bytesOf reads "500", "1k" (1,000) or "1m" (1,000,000).
func bytesOf(s string) (int, error) {
	digits, factor := strings.ToLower(s), 1
	if d, ok := strings.CutSuffix(digits, "k"); ok {
		digits, factor = d, 1000
	} else if d, ok := strings.CutSuffix(digits, "m"); ok {
		digits, factor = d, 1_000_000
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n*factor < 2 || n*factor > 16_000_000 {
		return 0, errors.New("not a size from 2 bytes to 16m")
	}
	return n * factor, nil
}
