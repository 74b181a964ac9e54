package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"time"

	"truc/cmd/truc/internal/benchdocuments"
	"truc/cmd/truc/internal/benchdossiers"
	"truc/cmd/truc/internal/benchexchange"
)

func bench(ctx context.Context, s streams, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "dossiers":
			return benchDossiers(ctx, s, args[1:])
		case "exchange":
			return benchExchange(ctx, s, args[1:])
		case "documents":
			return benchDocuments(ctx, s, args[1:])
		case documentsPart:
			return benchdocuments.Part(ctx, os.Stdin, s.out, s.err, time.Now)
		case exchangePart:
			return benchexchange.Part(ctx, os.Stdin, s.out, s.err, time.Now)
		}
	}
	fmt.Fprintln(s.err, "usage: truc bench dossiers [-n N] [-workers N] [-db postgres://…] [-json]\n"+
		"       truc bench exchange [-duration 20s] [-concurrency 1,16,64] [-body 1k] [-soak 10m] [-json]\n"+
		"       truc bench documents [-size 1MB] [-receivers 1,50] [-same 95] [-json]")
	return errUsage
}

func benchDossiers(ctx context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("bench dossiers", flag.ContinueOnError)
	fs.SetOutput(s.err)
	opt := benchdossiers.Options{Now: time.Now, Log: newLogger(s.err, slog.LevelWarn)}
	fs.IntVar(&opt.N, "n", 2000, "number of dossiers")
	fs.IntVar(&opt.Workers, "workers", 4, "dossiers in work side by side")
	fs.StringVar(&opt.DB, "db", "", "postgres://… of a server to measure besides SQLite; a schema is made there and dropped")
	fs.IntVar(&opt.Paper, "paper", 0, "size in bytes of a paper that comes with each filing")
	fs.StringVar(&opt.Dir, "dir", "", "folder for the temporary files; it decides which disk is measured")
	asJSON := fs.Bool("json", false, "write JSON")
	profile := fs.String("cpuprofile", "", "write a processor profile to this file")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	if fs.NArg() > 0 || opt.N < 1 || opt.Workers < 1 || opt.Paper < 0 {
		fmt.Fprintln(s.err, "truc bench dossiers: -n and -workers are at least 1, and there are no other words")
		return errUsage
	}
	dir, err := os.MkdirTemp(opt.Dir, "truc-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	opt.Dir = dir
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	report, err := benchdossiers.Run(ctx, opt)
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
