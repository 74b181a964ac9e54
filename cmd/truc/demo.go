package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"truc/cmd/truc/internal/demo"
)

func demoCommand(ctx context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.SetOutput(s.err)
	opt := demo.Options{}
	fs.StringVar(&opt.Dir, "dir", ".demo", "folder of the demonstration; it survives from run to run")
	fs.IntVar(&opt.Nodes, "nodes", 5, "5, 57 (today's 34 provinces) or 86 (the 63 provinces before July 2025)")
	fs.IntVar(&opt.BasePort, "ports-from", 7100, "first of the ports on 127.0.0.1")
	fs.StringVar(&opt.DB, "db", "", "postgres://… of a server where databases may be made; default SQLite")
	fs.IntVar(&opt.People, "people", 10_000, "size of the invented population")
	once := fs.Bool("once", false, "run the whole story through the HTTP interfaces, say each step, and end")
	empty := fs.Bool("empty", false, "file no dossiers to look at")
	measure := fs.Bool("measure", false, "print start time and memory, and end")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	if fs.NArg() > 0 || opt.Nodes < 5 || opt.Nodes > 86 {
		fmt.Fprintln(s.err, "truc demo: -nodes is 5, 57 or 86, and there are no other words")
		return errUsage
	}
	if *once {
		dir, err := os.MkdirTemp("", "truc-once-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a folder left over in /tmp does no harm
		if !flagGiven(fs, "dir") {
			opt.Dir = dir
		}
		if !flagGiven(fs, "ports-from") {
			opt.BasePort = 17100
		}
	}
	n, err := demo.Start(ctx, opt, s.out, newLogger(s.err, slog.LevelWarn))
	if err != nil {
		return err
	}
	defer n.Stop()
	switch {
	case *once:
		return n.Story(ctx, s.out)
	case *measure:
		n.Print(s.out)
		return nil
	}
	n.Print(s.out)
	if !*empty {
		switch filed, sent, err := n.Populate(ctx); {
		case err != nil && ctx.Err() == nil:
			fmt.Fprintf(s.err, "The dossiers and documents to look at could not all be made: %v\n", err)
		case filed+sent > 0:
			fmt.Fprintf(s.out, "Filed %d dossiers and wrote %d documents to look at.\n", filed, sent)
		}
	}
	<-ctx.Done()
	fmt.Fprintln(s.out, "\nStopping …")
	return nil
}

func flagGiven(fs *flag.FlagSet, name string) bool {
	given := false
	fs.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}
