package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"truc/cmd/truc/internal/nodeclient"
	"truc/internal/i18n"
)

const publicationsPath = "/api/exchange/publications"

func servicesDelete(ctx context.Context, s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string) error {
	w, c, err := wordsAndNode(s, fs, node, args, 1)
	if err != nil {
		return err
	}
	if err := c.Do(ctx, http.MethodDelete, publicationsPath+"/"+w[0], nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: deleted\n", w[0])
	return nil
}

// servicesEnd sets or takes away the last day of a publication, in Vietnamese time.
func servicesEnd(ctx context.Context, s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string) error {
	w, c, err := wordsAndNode(s, fs, node, args, 2)
	if err != nil {
		return err
	}
	at := int64(0)
	if w[1] != "never" {
		day, err := time.ParseInLocation(time.DateOnly, w[1], i18n.Zone)
		if err != nil {
			return fmt.Errorf("%q is neither a day such as 2027-06-30 nor never", w[1])
		}
		at = day.AddDate(0, 0, 1).Unix()
	}
	if err := c.Do(ctx, http.MethodPost, publicationsPath+"/"+w[0]+"/end", map[string]int64{"ends_at": at}, nil); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: ends %s\n", w[0], w[1])
	return nil
}

// servicesRights lists the rights to a service, or adds or removes one.
func servicesRights(ctx context.Context, s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string) error {
	add := fs.String("add", "", "subsystem that may call")
	remove := fs.String("remove", "", "subsystem whose right ends")
	method := fs.String("method", "*", "method of the endpoint; * is any")
	path := fs.String("path", "**", "path of the endpoint; ** is the whole service")
	activities := fs.String("activities", "", "purposes for which it may call, separated by commas; empty is all")
	basis := fs.String("basis", "", "legal basis")
	w, c, err := wordsAndNode(s, fs, node, args, 1)
	if err != nil {
		return err
	}
	at := publicationsPath + "/" + w[0]
	switch {
	case *add != "" && *remove != "":
		fmt.Fprintln(s.err, "truc services rights: -add or -remove, not both")
		return errUsage
	case *add != "":
		in := map[string]any{"consumer": *add, "method": *method, "path": *path, "basis": *basis}
		if *activities != "" {
			in["activities"] = strings.Split(*activities, ",")
		}
		err = c.Do(ctx, http.MethodPost, at+"/rights", in, nil)
	case *remove != "":
		err = c.Do(ctx, http.MethodPost, at+"/rights/remove", map[string]any{"consumer": *remove, "method": *method, "path": *path}, nil)
	}
	if err != nil {
		return err
	}
	var p struct {
		Rights []struct {
			Consumer, Method, Path, Basis string
			Activities                    []string
		}
	}
	if err := c.Do(ctx, http.MethodGet, at, nil, &p); err != nil {
		return err
	}
	for _, r := range p.Rights {
		fmt.Fprintf(s.out, "%s  %s %s  %s  %s\n", r.Consumer, r.Method, r.Path, strings.Join(r.Activities, ","), r.Basis)
	}
	if len(p.Rights) == 0 {
		fmt.Fprintln(s.out, "Nobody may call it.")
	}
	return nil
}

// servicesSet changes the parameters that are given and keeps the others.
func servicesSet(ctx context.Context, s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string) error {
	name := fs.String("name", "", "name in Vietnamese")
	backend := fs.String("backend", "", "address of the agency's own system")
	caPEM := fs.String("ca-pem", "", "PEM file of the authorities that sign the back end's certificate")
	serverName := fs.String("server-name", "", "name in the back end's certificate")
	seconds := fs.Int("timeout", 0, "seconds to wait for the back end")
	verify := fs.String("verify", "", "when the back end sees a large request: stream, or before_forward")
	bodies := fs.String("bodies", "", "what the log keeps of bodies: full, digest or off")
	flags := map[string]*bool{}
	for flagName, about := range map[string]string{
		"plain-http": "allow http, inside the own network", "public": "show the service in the catalogue open to all", "personal": "a call must state its purpose",
		"async-only": "the service takes messages alone",
	} {
		flags[flagName] = fs.Bool(flagName, false, about)
	}
	w, c, err := wordsAndNode(s, fs, node, args, 1)
	if err != nil {
		return err
	}
	// What the operation takes of what the service is; see editPublication.
	var p struct {
		Name     map[string]string `json:"name"`
		About    map[string]string `json:"about"`
		Personal bool              `json:"personal"`
		Public   bool              `json:"public"`
		Bodies   string            `json:"bodies"`
		Verify   string            `json:"verify"`
		Async    bool              `json:"async_only"`
		Backend  map[string]any    `json:"backend"`
	}
	at := publicationsPath + "/" + w[0]
	if err := c.Do(ctx, http.MethodGet, at, nil, &p); err != nil {
		return err
	}
	fs.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "name":
			if p.Name == nil {
				p.Name = map[string]string{}
			}
			p.Name["vi"] = *name
		case "backend":
			p.Backend["url"] = *backend
		case "server-name":
			p.Backend["server_name"] = *serverName
		case "timeout":
			p.Backend["timeout_seconds"] = *seconds
		case "bodies":
			p.Bodies = *bodies
		case "verify":
			p.Verify = *verify
		case "async-only":
			p.Async = *flags["async-only"]
		case "plain-http":
			p.Backend["plain_http"] = *flags["plain-http"]
		case "public":
			p.Public = *flags["public"]
		case "personal":
			p.Personal = *flags["personal"]
		}
	})
	if *caPEM != "" {
		ca, err := os.ReadFile(*caPEM) //nolint:gosec // the file the operator names
		if err != nil {
			return err
		}
		p.Backend["ca"] = string(ca)
	}
	if err := c.Do(ctx, http.MethodPut, at, p, nil); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: changed\n", w[0])
	return nil
}
