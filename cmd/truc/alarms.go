package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"truc/cmd/truc/internal/nodeclient"
	"truc/internal/i18n"
)

const alarmsUsage = `usage: truc alarms COMMAND [flags], at a node that runs; it wants an operator's key with the role system
  truc alarms list     what is not well, and whether people were told
  truc alarms test     send a test message through every channel now
`

func alarmsCommand(ctx context.Context, s streams, args []string) error {
	if len(args) == 0 || args[0] != "list" && args[0] != "test" {
		fmt.Fprint(s.err, alarmsUsage)
		return errUsage
	}
	fs := flag.NewFlagSet("alarms "+args[0], flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() { fmt.Fprint(s.err, alarmsUsage); fs.PrintDefaults() }
	node := nodeclient.Flags(fs, s.getenv)
	if _, err := parseAround(fs, args[1:], 0); err != nil {
		return err
	}
	p, err := newSpeaker(s)
	if err != nil {
		return err
	}
	c, err := node.Client()
	if err != nil {
		return err
	}
	if args[0] == "test" {
		return p.testAlarms(ctx, c)
	}
	var out struct {
		Channels []string
		Items    []struct {
			Name, Light, Text string
			Since, Told       time.Time
		}
	}
	if err := c.Do(ctx, http.MethodGet, "/api/exchange/alarms", nil, &out); err != nil {
		return err
	}
	p.say("cmd.alarms.channels", "channels", strings.Join(out.Channels, ", "))
	if len(out.Items) == 0 {
		p.say("cmd.alarms.none")
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	for _, i := range out.Items {
		told := "-"
		if i.Told.Year() > 1 {
			told = i18n.DateTime(i.Told)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", i.Light, i.Name, i18n.DateTime(i.Since), told, i.Text)
	}
	return w.Flush()
}

func (p speaker) testAlarms(ctx context.Context, c *nodeclient.Client) error {
	var out struct {
		Items []struct {
			Channel, Fault string
			Sent           bool
		}
	}
	if err := c.Do(ctx, http.MethodPost, "/api/exchange/alarms/test", struct{}{}, &out); err != nil {
		return err
	}
	var failed error
	for _, r := range out.Items {
		if r.Sent {
			p.say("cmd.alarms.sent", "channel", r.Channel)
			continue
		}
		failed = errors.Join(failed, errors.New(p.cat.T(p.lang, "cmd.alarms.failed", "channel", r.Channel, "fault", r.Fault)))
	}
	return failed
}
