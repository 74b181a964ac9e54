package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"

	"truc/cmd/truc/internal/nodeclient"
)

// evidenceLog is truc evidence files, archive, prune and verify-log: a running node keeps its own logs in order, because it
// alone writes to them, and records that it did.
func evidenceLog(ctx context.Context, s streams, verb string, args []string) error {
	fs := flag.NewFlagSet("evidence "+verb, flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() { fmt.Fprint(s.err, evidenceUsage) }
	node := nodeclient.Flags(fs, s.getenv)
	log := fs.String("log", "exchange", "exchange or audit")
	keep := fs.Int("keep", -1, "archive: how many closed files stay; default as configured")
	days := fs.Int("older-than-days", 0, "prune: the age of entries")
	policy := fs.String("policy", "", "prune: the rule under which they are removed")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	if fs.NArg() > 0 || *log != "exchange" && *log != "audit" || verb == "prune" && (*days < 1 || *policy == "") {
		fmt.Fprint(s.err, evidenceUsage)
		return errUsage
	}
	c, err := node.Client()
	if err != nil {
		return err
	}
	path := "/api/exchange/logs/" + *log + "/"
	switch verb {
	case "archive":
		var out struct{ Moved int }
		in := map[string]any{}
		if *keep >= 0 {
			in["keep"] = *keep
		}
		if err := c.Do(ctx, http.MethodPost, path+"archive", in, &out); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%d files were moved to the archive\n", out.Moved)
		return nil
	case "prune":
		var out struct{ Minimum int64 }
		if err := c.Do(ctx, http.MethodPost, path+"prune", map[string]any{"older_than_days": *days, "policy": *policy}, &out); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "entries from %d on are there\n", out.Minimum)
		return nil
	case "verify-log":
		var out struct {
			Entries int64
			Good    bool
			Fault   string
		}
		if err := c.Do(ctx, http.MethodPost, path+"verify", nil, &out); err != nil {
			return err
		}
		if !out.Good {
			return errors.New(out.Fault)
		}
		fmt.Fprintf(s.out, "%d entries and their tree are as they were signed\n", out.Entries)
		return nil
	}
	var out struct {
		Origin        string
		Size, Minimum int64
		Closed        []struct {
			First, End, Bytes int64
			Archived          bool
		}
	}
	if err := c.Do(ctx, http.MethodGet, path+"files", nil, &out); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %d entries, from %d on\n", out.Origin, out.Size, out.Minimum)
	for _, f := range out.Closed {
		where := "here"
		if f.Archived {
			where = "archived"
		}
		fmt.Fprintf(s.out, "  %d to %d  %d bytes  %s\n", f.First, f.End-1, f.Bytes, where)
	}
	return nil
}
