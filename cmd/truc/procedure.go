package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"truc/internal/services/bundle"
)

func procedure(_ context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("procedure", flag.ContinueOnError)
	fs.SetOutput(s.err)
	lang := fs.String("lang", "vi", "language of the messages: vi or en")
	if len(args) == 0 || args[0] != "test" {
		fmt.Fprintln(s.err, "usage: truc procedure test [-lang vi|en] DIR …")
		return errUsage
	}
	if err := fs.Parse(args[1:]); err != nil {
		return errUsageOr(err)
	}
	if fs.NArg() == 0 {
		fmt.Fprintln(s.err, "usage: truc procedure test [-lang vi|en] DIR …")
		return errUsage
	}
	good := true
	for _, dir := range fs.Args() {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("%s is no folder", dir)
		}
		if !bundle.TestReport(s.out, os.DirFS(dir), *lang) {
			good = false
		}
	}
	if !good {
		return errors.New("the procedure must not be published")
	}
	return nil
}
