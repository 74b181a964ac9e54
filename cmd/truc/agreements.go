package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"truc/cmd/truc/internal/nodeclient"
)

const agreementsUsage = `usage: truc agreements COMMAND [flags], at a node that runs; it wants an operator's key with the role service
  truc agreements list
  truc agreements show HASH             the text as it was signed, and what was said about it
  truc agreements propose FILE          complete the draft (JSON), sign it and send it to the other parties
  truc agreements accept HASH           sign for this node's member
  truc agreements reject HASH REASON    refuse a proposal
  truc agreements revoke HASH REASON    end an agreement; it holds here at once
`

const agreementsPath = "/api/exchange/agreements"

// agreementItem is an agreement as the node tells it; see the operation listAgreements.
type agreementItem struct {
	Content  string          `json:"content_hash"`
	State    string          `json:"state"`
	Parties  []string        `json:"parties"`
	Waiting  []string        `json:"waiting"`
	NotAfter int64           `json:"not_after"`
	Grants   []string        `json:"grant_hashes"`
	Document json.RawMessage `json:"document"`
	// Statements are shown as they are.
	Statements []struct {
		Type     string `json:"type"`
		Member   string `json:"member"`
		Reason   string `json:"reason"`
		SignedAt int64  `json:"signed_at"`
	} `json:"statements"`
}

func agreementsCommand(ctx context.Context, s streams, args []string) error {
	arguments := map[string]int{"list": 0, "show": 1, "propose": 1, "accept": 1, "reject": 2, "revoke": 2}
	if len(args) == 0 {
		fmt.Fprint(s.err, agreementsUsage)
		return errUsage
	}
	want, ok := arguments[args[0]]
	if !ok {
		fmt.Fprint(s.err, agreementsUsage)
		return errUsage
	}
	fs := flag.NewFlagSet("agreements "+args[0], flag.ContinueOnError)
	fs.SetOutput(s.err)
	node := nodeclient.Flags(fs, s.getenv)
	var rest []string
	for left := args[1:]; ; { // flags may stand before, between and behind the words
		if err := fs.Parse(left); err != nil {
			return errUsageOr(err)
		}
		if fs.NArg() == 0 {
			break
		}
		rest, left = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
	if len(rest) != want {
		fmt.Fprint(s.err, agreementsUsage)
		return errUsage
	}
	c, err := node.Client()
	if err != nil {
		return err
	}
	do := func(method, path string, in, out any) error { return c.Do(ctx, method, path, in, out) }
	switch args[0] {
	case "list":
		return agreementsList(s, do)
	case "show":
		return agreementsShow(s, do, rest[0])
	case "propose":
		draft, err := os.ReadFile(rest[0]) //nolint:gosec // the file the operator names
		if err != nil {
			return err
		}
		var made struct {
			Content string `json:"content_hash"`
		}
		if err := do(http.MethodPost, agreementsPath, json.RawMessage(draft), &made); err != nil {
			return err
		}
		fmt.Fprintln(s.out, made.Content)
		return nil
	}
	var in any
	if want == 2 {
		in = map[string]string{"reason": rest[1]}
	}
	return do(http.MethodPost, agreementsPath+"/"+url.PathEscape(rest[0])+"/"+args[0], in, nil)
}

func agreementsList(s streams, do func(method, path string, in, out any) error) error {
	var list struct{ Items []agreementItem }
	if err := do(http.MethodGet, agreementsPath, nil, &list); err != nil {
		return err
	}
	for _, a := range list.Items {
		state := a.State
		if len(a.Waiting) > 0 && state == "proposed" {
			state += ", waits for " + strings.Join(a.Waiting, " ")
		}
		fmt.Fprintf(s.out, "%s  until %s  %s  %s\n", a.Content, time.Unix(a.NotAfter, 0).UTC().Format(time.DateOnly), strings.Join(a.Parties, " "), state)
	}
	return nil
}

func agreementsShow(s streams, do func(method, path string, in, out any) error, content string) error {
	var a agreementItem
	if err := do(http.MethodGet, agreementsPath+"/"+url.PathEscape(content), nil, &a); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, a.Document, "", "  "); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s  %s\n%s\n", a.Content, a.State, text.Bytes())
	for i, h := range a.Grants {
		fmt.Fprintf(s.out, "grant %d  %s\n", i+1, h)
	}
	for _, st := range a.Statements {
		fmt.Fprintf(s.out, "%s  %s  %s  %s\n", time.Unix(st.SignedAt, 0).UTC().Format(time.RFC3339), st.Member, st.Type, st.Reason)
	}
	return nil
}
