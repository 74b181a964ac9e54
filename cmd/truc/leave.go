package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"time"

	"truc/cmd/truc/internal/nodeclient"
	"truc/internal/directory"
	"truc/internal/i18n"
)

const leaveUsage = `usage: truc leave -reason TEXT [-member] [-config truc.toml], on the machine of a node that runs
  -member      the whole member leaves, with all its nodes
  -status      ask how it stands
  -withdraw    take the request back
`

// leaveCommand has this machine's node ask the center to let it go.
func leaveCommand(ctx context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("leave", flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() { fmt.Fprint(s.err, leaveUsage); fs.PrintDefaults() }
	node := nodeclient.Flags(fs, s.getenv)
	reason := fs.String("reason", "", "why, for the operator of the center")
	whole := fs.Bool("member", false, "the whole member leaves, with all its nodes")
	status := fs.Bool("status", false, "ask how it stands")
	withdraw := fs.Bool("withdraw", false, "take the request back")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	act := directory.LeaveAsk
	switch {
	case *status:
		act = directory.LeaveStatus
	case *withdraw:
		act = directory.LeaveWithdraw
	case *reason == "" || fs.NArg() > 0:
		fmt.Fprint(s.err, leaveUsage)
		return errUsage
	}
	p, err := newSpeaker(s)
	if err != nil {
		return err
	}
	c, err := node.Client()
	if err != nil {
		return err
	}
	var l directory.Leave
	in := map[string]any{"act": act, "reason": *reason, "whole": *whole}
	if err := c.Do(ctx, http.MethodPost, "/api/directory/own/leave", in, &l); err != nil {
		return err
	}
	p.leaveState(act, l)
	return nil
}

func (p speaker) leaveState(act string, l directory.Leave) {
	decided := i18n.DateTime(time.Unix(l.DecidedAt, 0))
	switch {
	case l.State == directory.Left:
		p.say("cmd.leave.left")
	case l.State == directory.Deleting && act == directory.LeaveAsk:
		p.say("cmd.leave.asked")
	case l.State == directory.Deleting:
		p.say("cmd.leave.waits", "at", i18n.DateTime(time.Unix(l.FiledAt, 0)))
	case l.State == directory.Failed:
		p.say("cmd.leave.declined", "at", decided, "reason", l.Answer)
	case act == directory.LeaveWithdraw:
		p.say("cmd.leave.withdrawn")
	default:
		p.say("cmd.leave.none")
	}
}
