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

	"truc/cmd/truc/internal/benchdocuments"
)

// documentsPart is the hidden word by which the benchmark starts its processes.
const documentsPart = "documents-part"

func benchDocuments(ctx context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("bench documents", flag.ContinueOnError)
	fs.SetOutput(s.err)
	opt := benchdocuments.Options{Size: 1 << 20, Receivers: []int{1, 50}, SameSize: 20 << 20, Now: time.Now, Log: s.err}
	fs.Func("size", "size of each document's attachment, such as 500KB, 1MB or 20MB, of 1,024 to a step (default 1MB)", func(v string) (err error) {
		opt.Size, err = attachmentSize(v)
		return err
	})
	fs.Func("receivers", "numbers of receivers, with commas (default 1,50)", func(v string) (err error) {
		opt.Receivers, err = numbers(v)
		return err
	})
	fs.IntVar(&opt.Documents, "documents", 0, "documents in a round; 0 takes as many as make a hundred copies")
	fs.IntVar(&opt.Rounds, "rounds", 5, "rounds, by turns with the bare work")
	fs.IntVar(&opt.Workers, "workers", 2, "documents in work side by side")
	fs.IntVar(&opt.Same, "same", 95, "receivers of one large document, of which one copy may be stored; 0 leaves that out")
	fs.Func("same-size", "size of that document's attachment (default 20MB)", func(v string) (err error) {
		opt.SameSize, err = attachmentSize(v)
		return err
	})
	dir := fs.String("dir", "", "folder for the temporary files; it decides which disk is measured")
	fs.StringVar(&opt.Profile, "cpuprofile", "", "folder for a processor profile of the hub")
	asJSON := fs.Bool("json", false, "write JSON")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	if fs.NArg() > 0 || opt.Documents < 0 || opt.Rounds < 1 || opt.Workers < 1 || opt.Same < 0 || opt.Same > 500 {
		fmt.Fprintln(s.err, "truc bench documents: rounds and workers are above nought, -same is at most 500, and there are no other words")
		return errUsage
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	opt.Command = []string{exe, "bench", documentsPart}
	if opt.Dir, err = os.MkdirTemp(*dir, "truc-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(opt.Dir) }()
	if opt.Profile != "" {
		if err := os.MkdirAll(opt.Profile, 0o700); err != nil {
			return err
		}
	}
	report, err := benchdocuments.Run(ctx, opt)
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

// attachmentSize reads "1MB" as 1,048,576.
func attachmentSize(s string) (int, error) {
	digits, shift := strings.TrimSuffix(strings.ToUpper(s), "B"), 0
	if d, ok := strings.CutSuffix(digits, "K"); ok {
		digits, shift = d, 10
	} else if d, ok := strings.CutSuffix(digits, "M"); ok {
		digits, shift = d, 20
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > 375<<20>>shift || n<<shift < 16 {
		return 0, errors.New("not a size from 16 bytes to 375MB")
	}
	return n << shift, nil
}
