package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"truc/cmd/truc/internal/nodeclient"
)

const queueUsage = `usage: truc queue COMMAND [flags], at a node that runs; it wants an operator's key with the role system
  truc queue list                what waits to be delivered, what was put aside, and subscriptions
  truc queue replay out|in SEQ   deliver a message that was put aside again
  truc queue drop out|in SEQ     give it up
  truc queue resume ID           go on with a subscription that stalled
  truc queue unsubscribe ID      end a subscription of another system
`

// queueList is the answer of the operation listLetters.
type queueList struct {
	Waiting []struct {
		Peer, State string
		Count       int64
		Oldest      time.Time
	}
	Dead []struct {
		Side, ID, From, To, Error string
		Seq                       int64
	}
	Subscriptions []struct {
		ID, Service, Type, Subscriber, State, Error string
		Position                                    int64
	}
}

func queueCommand(ctx context.Context, s streams, args []string) error {
	arguments := map[string]int{"list": 0, "replay": 2, "drop": 2, "resume": 1, "unsubscribe": 1}
	if len(args) == 0 {
		fmt.Fprint(s.err, queueUsage)
		return errUsage
	}
	n, ok := arguments[args[0]]
	if !ok {
		fmt.Fprint(s.err, queueUsage)
		return errUsage
	}
	fs := flag.NewFlagSet("queue "+args[0], flag.ContinueOnError)
	fs.SetOutput(s.err)
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
	if len(w) == n && n == 2 {
		if _, err := strconv.ParseInt(w[1], 10, 64); err != nil || w[0] != "out" && w[0] != "in" {
			n = -1
		}
	}
	if len(w) != n {
		fmt.Fprint(s.err, queueUsage)
		return errUsage
	}
	c, err := node.Client()
	if err != nil {
		return err
	}
	switch n {
	case 0:
		return queueShow(ctx, s, c)
	case 1:
		return c.Do(ctx, http.MethodPost, "/api/exchange/subscriptions/"+url.PathEscape(w[0])+"/"+args[0], nil, nil)
	}
	return c.Do(ctx, http.MethodPost, "/api/exchange/queue/"+w[0]+"/"+w[1]+"/"+args[0], nil, nil)
}

func queueShow(ctx context.Context, s streams, c *nodeclient.Client) error {
	var q queueList
	if err := c.Do(ctx, http.MethodGet, "/api/exchange/queue/letters", nil, &q); err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 2, 4, 2, ' ', 0)
	for _, x := range q.Waiting {
		fmt.Fprintf(w, "waits\t%s\t%s\t%d\tsince %s\n", x.Peer, x.State, x.Count, x.Oldest.Format(time.RFC3339))
	}
	for _, x := range q.Dead {
		fmt.Fprintf(w, "aside\t%s %d\t%s\t%s -> %s\t%s\n", x.Side, x.Seq, x.ID, x.From, x.To, x.Error)
	}
	for _, x := range q.Subscriptions {
		fmt.Fprintf(w, "subscription\t%s\t%s\t%s %s -> %s\tat %d %s\n", x.ID, x.State, x.Service, x.Type, x.Subscriber, x.Position, x.Error)
	}
	if len(q.Waiting)+len(q.Dead)+len(q.Subscriptions) == 0 {
		fmt.Fprintln(w, "Nothing waits, nothing was put aside, nobody subscribes.")
	}
	return w.Flush()
}
