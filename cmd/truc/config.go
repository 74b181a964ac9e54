package main

import (
	"context"
	"flag"
	"fmt"

	"truc/internal/app"
)

func configCommand(_ context.Context, s streams, args []string) error {
	if len(args) == 0 || args[0] != "check" && args[0] != "print" {
		fmt.Fprintln(s.err, "usage: truc config check|print -config FILE")
		return errUsage
	}
	fs := flag.NewFlagSet("config", flag.ContinueOnError)
	fs.SetOutput(s.err)
	path := fs.String("config", "truc.toml", "configuration file")
	if err := fs.Parse(args[1:]); err != nil {
		return errUsageOr(err)
	}
	cfg, err := app.LoadConfig(*path)
	if err != nil {
		return err
	}
	if args[0] == "print" {
		_, err = fmt.Fprint(s.out, cfg.Print())
		return err
	}
	_, err = fmt.Fprintln(s.out, "The configuration has no faults.")
	return err
}

// versionText is set when a release is built: -ldflags "-X main.versionText=…".
var versionText = "development"

func version(_ context.Context, s streams, _ []string) error {
	_, err := fmt.Fprintln(s.out, "truc "+versionText)
	return err
}
