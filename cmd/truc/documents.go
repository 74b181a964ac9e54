package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"truc/cmd/truc/internal/nodeclient"
)

const documentsUsage = `usage: truc documents COMMAND -as ACCOUNT [flags], at a node that runs; it wants an operator's key with the role
service, and acts as an officer of the desk: what the officer may not see or do, it may not either
  truc documents list [-out] [-words TEXT] [-state STATE]   incoming documents, or outgoing ones
  truc documents get ID -o FILE                             the file of a document
  truc documents status ID                                  where a document is at each receiver, and its receipts
  truc documents send ID                                    send a document that was issued
`

type documentsFlags struct {
	as, words, state, file string
	out                    bool
}

func documentsCommand(ctx context.Context, s streams, args []string) error {
	arguments := map[string]int{"list": 0, "get": 1, "status": 1, "send": 1}
	if len(args) == 0 {
		fmt.Fprint(s.err, documentsUsage)
		return errUsage
	}
	n, ok := arguments[args[0]]
	if !ok {
		fmt.Fprint(s.err, documentsUsage)
		return errUsage
	}
	var f documentsFlags
	fs := flag.NewFlagSet("documents "+args[0], flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.StringVar(&f.as, "as", "", "account of the officer on whose behalf")
	fs.BoolVar(&f.out, "out", false, "outgoing documents")
	fs.StringVar(&f.words, "words", "", "words to look for, accents may be left out")
	fs.StringVar(&f.state, "state", "", "only documents in this state")
	fs.StringVar(&f.file, "o", "", "file to write")
	node := nodeclient.Flags(fs, s.getenv)
	var w []string
	for left := args[1:]; ; { // flags may stand before, between and behind the words
		if err := fs.Parse(left); err != nil {
			return errUsageOr(err)
		}
		if fs.NArg() == 0 {
			break
		}
		w, left = append(w, fs.Arg(0)), fs.Args()[1:]
	}
	if len(w) != n || f.as == "" || args[0] == "get" && f.file == "" {
		fmt.Fprint(s.err, documentsUsage)
		return errUsage
	}
	c, err := node.Client()
	if err != nil {
		return err
	}
	as := "?as=" + url.QueryEscape(f.as)
	switch args[0] {
	case "list":
		return documentsList(ctx, s, c, f)
	case "status":
		return documentsStatus(ctx, s, c, "/api/documents/"+url.PathEscape(w[0])+"/status"+as)
	case "send":
		return c.Do(ctx, http.MethodPost, "/api/documents/"+url.PathEscape(w[0])+"/send"+as, nil, nil)
	}
	var content bytes.Buffer
	if err := c.Do(ctx, http.MethodGet, "/api/documents/"+url.PathEscape(w[0])+"/file"+as, nil, &content); err != nil {
		return err
	}
	if content.Len() == 0 {
		return errors.New("the node gave an empty file")
	}
	return os.WriteFile(f.file, content.Bytes(), 0o600)
}

func documentsList(ctx context.Context, s streams, c *nodeclient.Client, f documentsFlags) error {
	q := url.Values{"as": {f.as}, "direction": {"in"}}
	if f.out {
		q.Set("direction", "out")
	}
	for k, v := range map[string]string{"words": f.words, "state": f.state} {
		if v != "" {
			q.Set(k, v)
		}
	}
	var list struct {
		Documents []struct {
			ID, State, Number, Date, Subject, Party string
		}
	}
	if err := c.Do(ctx, http.MethodGet, "/api/documents?"+q.Encode(), nil, &list); err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 2, 4, 2, ' ', 0)
	for _, d := range list.Documents {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", d.ID, d.State, d.Number, d.Date, d.Party, d.Subject)
	}
	return w.Flush()
}

func documentsStatus(ctx context.Context, s streams, c *nodeclient.Client, path string) error {
	var st struct {
		State     string
		Receivers []struct {
			Code, Name, Status string
			Steps              []struct {
				Stage   string
				At      time.Time
				Seconds int64
			}
		}
		Receipts []struct {
			ID, Event string
			At        time.Time
			Stamped   bool
		}
	}
	if err := c.Do(ctx, http.MethodGet, path, nil, &st); err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 2, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s\n", st.State)
	for _, r := range st.Receivers {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.Code, r.Status, r.Name)
		for _, x := range r.Steps {
			if !x.At.IsZero() {
				fmt.Fprintf(w, "\t%s\t%s\t+%ds\n", x.Stage, x.At.Format(time.RFC3339), x.Seconds)
			}
		}
	}
	for _, r := range st.Receipts {
		fmt.Fprintf(w, "receipt %s\t%s\t%s\tstamped: %v\n", r.ID, r.Event, r.At.Format(time.RFC3339), r.Stamped)
	}
	return w.Flush()
}
