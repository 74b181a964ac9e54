package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"truc/internal/documents/axisapi/vxptest"
)

// conformanceCommand asks an endpoint of the VXP protocol, ours or another's, what clients ask, and says where an answer would
// mislead them. It leaves nothing behind there. With the word exchange it asks an endpoint of X-Road REST instead.
func conformanceCommand(ctx context.Context, s streams, args []string) error {
	if len(args) > 0 && args[0] == "exchange" {
		return conformanceExchange(ctx, s, args[1:])
	}
	fs := flag.NewFlagSet("conformance", flag.ContinueOnError)
	fs.SetOutput(s.err)
	url := fs.String("url", "", "address of the endpoint, such as https://center.example/vxp")
	system := fs.String("system", "", "id of a system that is registered there")
	file := fs.String("secret-file", "", "file with its secret")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	if *url == "" || *system == "" || *file == "" || fs.NArg() > 0 {
		fmt.Fprintln(s.err, "usage: truc conformance -url URL -system ID -secret-file FILE")
		return errUsage
	}
	secret, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	bad := 0
	for _, f := range vxptest.Check(*url, *system, strings.TrimSpace(string(secret)), time.Now()) { //nolint:contextcheck // the model of the client knows none; each request has a deadline
		if f.Err == nil {
			fmt.Fprintf(s.out, "ok    %s\n", f.Check)
			continue
		}
		bad++
		fmt.Fprintf(s.out, "FAIL  %s: %v\n", f.Check, f.Err)
	}
	if bad > 0 {
		return errors.New("the endpoint is not as clients of VXP need it")
	}
	return nil
}
