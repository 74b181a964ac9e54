package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"truc/cmd/truc/internal/nodeclient"
	"truc/internal/i18n"
)

const servicesUsage = `truc services: services of the agency's own systems, published by a running node

  truc services list
  truc services publish FILE -code SUBSYSTEM/SERVICE -backend URL [-name TEXT] [-ca-pem FILE] [-plain-http] [-public] [-personal]
  truc services refresh CODE FILE [-yes]     show what changes, ask, and put the new description in force
  truc services disable CODE NOTICE          callers are told the notice
  truc services enable CODE
  truc services test CODE                    try to reach the back end, step by step
  truc services rights CODE [-add|-remove SUBSYSTEM] [-method M -path P] [-activities A,B] [-basis TEXT]
  truc services set CODE [-name TEXT] [-backend URL] [-ca-pem FILE] [-timeout SECONDS] [-bodies full|digest|off] [-verify stream|before_forward] [-async-only] [-public] [-personal]
  truc services end CODE DAY|never           the last day (2027-06-30) on which it is published; then it is in no listing and refuses calls
  truc services delete CODE                  end the service with its rights

Instead of FILE an address (https://…) may be given: the node fetches it.
`

// published is a service as the node tells it; see the operation listPublications.
type published struct {
	Code     string            `json:"code"`
	Kind     string            `json:"kind"`
	Name     map[string]string `json:"name"`
	Disabled bool              `json:"disabled"`
	EndsAt   time.Time         `json:"ends_at"`
	Notice   string            `json:"notice"`
	Backend  struct {
		URL string `json:"url"`
	} `json:"backend"`
	Endpoints []struct {
		Method, Path string
	} `json:"endpoints"`
}

func servicesCommand(ctx context.Context, s streams, args []string) error {
	if len(args) == 0 || args[0] == "-h" {
		fmt.Fprint(s.err, servicesUsage)
		return errUsage
	}
	acts := map[string]func(context.Context, streams, *flag.FlagSet, *nodeclient.Options, []string) error{
		"list": servicesList, "publish": servicesPublish, "refresh": servicesRefresh, "disable": servicesSwitch, "enable": servicesSwitch, "test": servicesTest,
		"delete": servicesDelete, "rights": servicesRights, "set": servicesSet, "end": servicesEnd,
	}
	act, ok := acts[args[0]]
	if !ok {
		fmt.Fprint(s.err, servicesUsage)
		return errUsage
	}
	fs := flag.NewFlagSet("services "+args[0], flag.ContinueOnError)
	fs.SetOutput(s.err)
	return act(ctx, s, fs, nodeclient.Flags(fs, s.getenv), args[1:])
}

// wordsAndNode returns the words of [words] and the node they are for.
func wordsAndNode(s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string, n int) ([]string, *nodeclient.Client, error) {
	w, err := words(s, fs, args, n)
	if err != nil {
		return nil, nil, err
	}
	c, err := node.Client()
	return w, c, err
}

// words parses flags that stand before, between or behind the words, and returns the words, of which there must be n.
func words(s streams, fs *flag.FlagSet, args []string, n int) ([]string, error) {
	var out []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, errUsageOr(err)
		}
		if fs.NArg() == 0 {
			break
		}
		out, args = append(out, fs.Arg(0)), fs.Args()[1:]
	}
	if len(out) != n {
		fmt.Fprint(s.err, servicesUsage)
		return nil, errUsage
	}
	return out, nil
}

func servicesList(ctx context.Context, s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string) error {
	if _, err := words(s, fs, args, 0); err != nil {
		return err
	}
	c, err := node.Client()
	if err != nil {
		return err
	}
	var list struct{ Items []published }
	if err := c.Do(ctx, http.MethodGet, "/api/exchange/publications", nil, &list); err != nil {
		return err
	}
	for _, p := range list.Items {
		state := "on"
		if p.Disabled {
			state = "off: " + p.Notice
		}
		if !p.EndsAt.IsZero() {
			state += ", until " + p.EndsAt.Add(-time.Second).In(i18n.Zone).Format(time.DateOnly)
		}
		fmt.Fprintf(s.out, "%s  %s  %d endpoints  %s  %s\n", p.Code, p.Kind, len(p.Endpoints), p.Backend.URL, state)
	}
	return nil
}

// source fills in the document of a file, or the address it is to be fetched from.
func source(in map[string]any, from string) error {
	if strings.HasPrefix(from, "https://") || strings.HasPrefix(from, "http://") {
		in["address"] = from
		return nil
	}
	b, err := os.ReadFile(from) //nolint:gosec // the file the operator names
	in["document"] = string(b)
	return err
}

func servicesPublish(ctx context.Context, s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string) error {
	code := fs.String("code", "", "subsystem and service, such as weather/stations")
	name := fs.String("name", "", "name in Vietnamese; the code if absent")
	backend := fs.String("backend", "", "address of the agency's own system")
	caPEM := fs.String("ca-pem", "", "PEM file of the authorities that sign the back end's certificate")
	plain := fs.Bool("plain-http", false, "allow http, inside the own network")
	public := fs.Bool("public", false, "show the service in the catalogue open to all")
	personal := fs.Bool("personal", false, "the service gives personal data: a call must state its purpose")
	w, c, err := wordsAndNode(s, fs, node, args, 1)
	if err != nil {
		return err
	}
	ca := ""
	if *caPEM != "" {
		b, err := os.ReadFile(*caPEM) //nolint:gosec // the file the operator names
		if err != nil {
			return err
		}
		ca = string(b)
	}
	if *name == "" {
		*name = *code
	}
	in := map[string]any{
		"code": *code, "name": map[string]string{"vi": *name}, "public": *public, "personal": *personal,
		"backend": map[string]any{"url": *backend, "ca": ca, "plain_http": *plain},
	}
	if err := source(in, w[0]); err != nil {
		return err
	}
	var p published
	if err := c.Do(ctx, http.MethodPost, "/api/exchange/publications", in, &p); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is published with %d endpoints. Nobody may call it until a right is given.\n", p.Code, len(p.Endpoints))
	for _, e := range p.Endpoints {
		fmt.Fprintf(s.out, "  %s %s\n", e.Method, e.Path)
	}
	return nil
}

func servicesRefresh(ctx context.Context, s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string) error {
	yes := fs.Bool("yes", false, "do not ask")
	w, c, err := wordsAndNode(s, fs, node, args, 2)
	if err != nil {
		return err
	}
	in := map[string]any{}
	if err := source(in, w[1]); err != nil {
		return err
	}
	at := "/api/exchange/publications/" + w[0]
	var p struct {
		Draft   string `json:"draft"`
		Version int64  `json:"version"`
		Changes []struct {
			Where, Text string
			Breaking    bool
		} `json:"changes"`
		LostRights []struct{ Consumer, Method, Path string } `json:"lost_rights"`
	}
	if err := c.Do(ctx, http.MethodPost, at+"/drafts", in, &p); err != nil {
		return err
	}
	for _, ch := range p.Changes {
		mark := " "
		if ch.Breaking {
			mark = "!"
		}
		fmt.Fprintf(s.out, "%s %s: %s\n", mark, ch.Where, ch.Text)
	}
	for _, r := range p.LostRights {
		fmt.Fprintf(s.out, "! right ends: %s %s %s\n", r.Consumer, r.Method, r.Path)
	}
	if len(p.Changes) == 0 {
		fmt.Fprintln(s.out, "Nothing that programs would notice changes.")
	}
	if !*yes {
		fmt.Fprint(s.out, "Put it in force? (yes) ")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil || strings.TrimSpace(line) != "yes" {
			return errors.New("nothing was changed")
		}
	}
	if err := c.Do(ctx, http.MethodPost, at+"/refresh", map[string]any{"draft": p.Draft, "version": p.Version}, nil); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s has its new description.\n", w[0])
	return nil
}

func servicesSwitch(ctx context.Context, s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string) error {
	off := strings.HasSuffix(fs.Name(), "disable")
	n, in, act := 1, map[string]any{}, "/enable"
	if off {
		n, act = 2, "/disable"
	}
	w, err := words(s, fs, args, n)
	if err != nil {
		return err
	}
	c, err := node.Client()
	if err != nil {
		return err
	}
	if off {
		in["notice"] = w[1]
	}
	if err := c.Do(ctx, http.MethodPost, "/api/exchange/publications/"+w[0]+act, in, nil); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %sd\n", w[0], strings.TrimPrefix(act, "/"))
	return nil
}

func servicesTest(ctx context.Context, s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string) error {
	w, c, err := wordsAndNode(s, fs, node, args, 1)
	if err != nil {
		return err
	}
	var steps struct {
		Items []struct {
			Name, Text string
			OK         bool
			MS         int64
		}
	}
	if err := c.Do(ctx, http.MethodPost, "/api/exchange/publications/"+w[0]+"/test", map[string]any{}, &steps); err != nil {
		return err
	}
	failed := false
	for _, st := range steps.Items {
		mark := "ok    "
		if !st.OK {
			mark, failed = "FAILED", true
		}
		fmt.Fprintf(s.out, "%s %-4s %4d ms  %s\n", mark, st.Name, st.MS, st.Text)
	}
	if failed {
		return errors.New("the back end cannot be reached")
	}
	return nil
}
