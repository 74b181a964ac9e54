package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"truc/internal/app"
)

func serve(ctx context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(s.err)
	path := fs.String("config", "truc.toml", "configuration file")
	db := fs.String("db", "", "database address; overrides the file")
	mods := fs.String("modules", "", "modules to run, separated by commas: "+strings.Join(app.Modules(), ", "))
	verbose := fs.Bool("v", false, "log what is only for developers")
	stdin := fs.Bool("passphrase-stdin", false, "read the passphrase that seals the node's keys from the standard input")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	cfg, err := app.LoadConfig(*path)
	if err != nil {
		return err
	}
	if err := openingKeys(s, cfg, *stdin, os.Stdin); err != nil {
		return err
	}
	if v := s.getenv("TRUC_DB"); v != "" {
		cfg.DB = v
	}
	if *db != "" {
		cfg.DB = *db
	}
	if *mods != "" {
		cfg.Modules = strings.Split(*mods, ",")
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	if s.getenv("GOGC") == "" {
		debug.SetGCPercent(app.CollectorPercent)
	}
	node, err := app.Start(ctx, app.Options{Config: cfg, Log: newLogger(s.err, level).With(slog.String("member", cfg.Member)), Release: versionText})
	if err != nil {
		p, perr := newSpeaker(s)
		if perr != nil {
			return err
		}
		return p.fault(err)
	}
	fmt.Fprintf(s.out, "%s: %s\n", cfg.Member, cfg.Web.URL)
	return node.Run(ctx)
}

func errUsageOr(err error) error {
	if err == flag.ErrHelp { //nolint:errorlint // the flag package returns it as it is
		return err
	}
	return errUsage
}
