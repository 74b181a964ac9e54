package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"truc/cmd/truc/internal/nodeclient"
)

const rulesUsage = `usage: truc rules COMMAND [flags], at a node that runs; it wants an operator's key with the role service
  truc rules list                      what is allowed, where each rule comes from, and the id of those managed here
  truc rules add CONSUMER SERVICE      let a subsystem, group:subsystem/name or global:name call subsystem/service
      -methods GET,POST  -path PATTERN  -purposes A,B  -basis TEXT
  truc rules remove ID
`

const groupsUsage = `usage: truc groups COMMAND [flags], at a node that runs; it wants an operator's key with the role service
  truc groups list
  truc groups save CODE NAME [SUBSYSTEM...]  add the group, or replace its name and members
  truc groups remove CODE
`

const rulesPath, groupsPath = "/api/exchange/rules", "/api/exchange/groups"

// wordsAmongFlags parses flags that may stand before, between and behind words, and returns the words.
func wordsAmongFlags(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for left := args; ; {
		if err := fs.Parse(left); err != nil {
			return nil, errUsageOr(err)
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest, left = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
}

func rulesCommand(ctx context.Context, s streams, args []string) error {
	arguments := map[string]int{"list": 0, "add": 2, "remove": 1}
	fs := flag.NewFlagSet("rules", flag.ContinueOnError)
	fs.SetOutput(s.err)
	node := nodeclient.Flags(fs, s.getenv)
	var methods, path, purposes, basis string
	if len(args) > 0 && args[0] == "add" {
		fs.StringVar(&methods, "methods", "", "HTTP methods, separated by commas; none means all")
		fs.StringVar(&path, "path", "", "path pattern; none means everything")
		fs.StringVar(&purposes, "purposes", "", "codes of purposes, separated by commas; none means any")
		fs.StringVar(&basis, "basis", "", "the legal basis")
	}
	rest, c, err := commandAtNode(s, fs, node, args, rulesUsage, func(act string, n int) bool { want, ok := arguments[act]; return ok && n == want })
	if err != nil {
		return err
	}
	switch args[0] {
	case "add":
		var made struct{ ID string }
		in := map[string]any{"consumer": rest[0], "service": rest[1], "methods": fields(methods), "path": path, "activities": fields(purposes), "basis": basis}
		if err := c.Do(ctx, http.MethodPost, rulesPath, in, &made); err != nil {
			return err
		}
		fmt.Fprintln(s.out, made.ID)
		return nil
	case "remove":
		return c.Do(ctx, http.MethodDelete, rulesPath+"/"+url.PathEscape(rest[0]), nil, nil)
	}
	var list struct {
		Items []struct {
			ID, Origin, Consumer, Service, Path, Basis string
			Methods, Activities                        []string
		}
	}
	if err := c.Do(ctx, http.MethodGet, rulesPath, nil, &list); err != nil {
		return err
	}
	for _, r := range list.Items {
		from := r.Origin
		if r.ID != "" {
			from = r.ID
		}
		line := fmt.Sprintf("%s  %s -> %s  %s %s  %s  %s", from, r.Consumer, r.Service, orStar(strings.Join(r.Methods, ",")), orStar(r.Path), strings.Join(r.Activities, ","), r.Basis)
		fmt.Fprintln(s.out, strings.TrimSpace(line))
	}
	return nil
}

func orStar(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// commandAtNode reads a command's words and makes its client; ok says whether an act takes so many words.
func commandAtNode(s streams, fs *flag.FlagSet, node *nodeclient.Options, args []string, usage string, ok func(act string, n int) bool) ([]string, *nodeclient.Client, error) {
	if len(args) == 0 {
		fmt.Fprint(s.err, usage)
		return nil, nil, errUsage
	}
	rest, err := wordsAmongFlags(fs, args[1:])
	if err != nil {
		return nil, nil, err
	}
	if !ok(args[0], len(rest)) {
		fmt.Fprint(s.err, usage)
		return nil, nil, errUsage
	}
	c, err := node.Client()
	return rest, c, err
}

func groupsCommand(ctx context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("groups", flag.ContinueOnError)
	fs.SetOutput(s.err)
	node := nodeclient.Flags(fs, s.getenv)
	rest, c, err := commandAtNode(s, fs, node, args, groupsUsage, func(act string, n int) bool {
		return act == "list" && n == 0 || act == "save" && n >= 2 || act == "remove" && n == 1
	})
	if err != nil {
		return err
	}
	one := func() string {
		subsystem, name, _ := strings.Cut(rest[0], "/")
		return groupsPath + "/" + url.PathEscape(subsystem) + "/" + url.PathEscape(name)
	}
	switch args[0] {
	case "save":
		return c.Do(ctx, http.MethodPut, one(), map[string]any{"name": rest[1], "members": append([]string{}, rest[2:]...)}, nil)
	case "remove":
		return c.Do(ctx, http.MethodDelete, one(), nil, nil)
	}
	var list struct {
		Items []struct {
			Code, Name string
			Members    []string
		}
	}
	if err := c.Do(ctx, http.MethodGet, groupsPath, nil, &list); err != nil {
		return err
	}
	for _, g := range list.Items {
		fmt.Fprintf(s.out, "%s  %s  %s\n", g.Code, g.Name, strings.Join(g.Members, " "))
	}
	return nil
}
