package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"truc/internal/exchange/exchangeapi/r1test"
)

const conformanceExchangeUsage = `usage: truc conformance exchange -url URL -client SUBSYSTEM -service SERVICE [flags]
  plays the named checks of the edge (R1-…) against any endpoint of X-Road REST, a node of ours or a security server
  -url URL             the address that programs of the agency use, such as http://127.0.0.1:8080
  -client SUBSYSTEM    who asks: VN/GOV/H36/onestop
  -service SERVICE     a service for the checks alone, which the client may call with every method and path: VN/GOV/G01/lab/suite
  -listen HOST:PORT    where the suite itself answers as that service; publish it there with the address http://HOST:PORT` + r1test.BackendPath + `
                       (without it what a service sees is not checked)
  -key-file FILE       the client's key at the node, where the connection alone does not say who asks
  -ca-file FILE        PEM of authorities to trust instead of the system's
  -all                 with the cases that are of Truc alone
  -json                one JSON object a line
Each case passes, fails, or is not applicable with the reason. Nothing is left behind at the endpoint but its log.
`

// conformanceExchange is truc conformance exchange.
func conformanceExchange(ctx context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("conformance exchange", flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() { fmt.Fprint(s.err, conformanceExchangeUsage) }
	address := fs.String("url", "", "address of the edge")
	client := fs.String("client", "", "subsystem that asks")
	service := fs.String("service", "", "service that is asked")
	listen := fs.String("listen", "", "where the suite answers as the service")
	keyFile := fs.String("key-file", "", "file with the client's key")
	caFile := fs.String("ca-file", "", "authorities to trust")
	all := fs.Bool("all", false, "with the cases of Truc alone")
	asJSON := fs.Bool("json", false, "one JSON object a line")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	if *address == "" || *client == "" || *service == "" || fs.NArg() > 0 {
		fmt.Fprint(s.err, conformanceExchangeUsage)
		return errUsage
	}
	u, err := url.Parse(*address)
	if err != nil {
		return err
	}
	t := r1test.Target{URL: u, Client: *client, Service: *service, All: *all, TLS: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}}
	if *keyFile != "" {
		b, err := os.ReadFile(*keyFile)
		if err != nil {
			return err
		}
		t.Key = strings.TrimSpace(string(b))
	}
	if *caFile != "" {
		b, err := os.ReadFile(*caFile)
		if err != nil {
			return err
		}
		t.TLS.RootCAs = x509.NewCertPool()
		if !t.TLS.RootCAs.AppendCertsFromPEM(b) {
			return fmt.Errorf("%s holds no certificate", *caFile)
		}
	}
	if *listen != "" {
		if t.Listener, err = new(net.ListenConfig).Listen(ctx, "tcp", *listen); err != nil {
			return err
		}
		defer t.Listener.Close() //nolint:errcheck // the suite has closed it, unless it did not begin
	}
	results, err := r1test.Run(ctx, t)
	if err != nil {
		return err
	}
	return conformanceReport(s, results, *asJSON)
}

func conformanceReport(s streams, results []r1test.Result, asJSON bool) error {
	count := map[string]int{}
	out := json.NewEncoder(s.out)
	out.SetEscapeHTML(false)
	for _, r := range results {
		count[r.Outcome]++
		if asJSON {
			if err := out.Encode(r); err != nil {
				return err
			}
			continue
		}
		switch r.Outcome {
		case r1test.Pass:
			fmt.Fprintf(s.out, "ok    %s\n", r.Name)
		case r1test.Fail:
			fmt.Fprintf(s.out, "FAIL  %s\n      %s\n", r.Name, strings.Join(r.Faults, "\n      "))
		default:
			if r.Check != "" { // the others are not asked for
				fmt.Fprintf(s.out, "n/a   %s: %s\n", r.Name, r.Why)
			}
		}
	}
	if !asJSON {
		fmt.Fprintf(s.out, "%d cases passed, %d failed, %d are not applicable\n", count[r1test.Pass], count[r1test.Fail], count[r1test.NotApplicable])
	}
	if count[r1test.Fail] > 0 {
		return errors.New("the endpoint is not as programs of X-Road REST need it")
	}
	return nil
}
