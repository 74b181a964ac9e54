package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"truc/internal/app"
	"truc/internal/directory/directoryapi"
	"truc/internal/directory/directoryclient"
	"truc/internal/i18n"
)

// directoryFlags are the words of truc directory.
type directoryFlags struct {
	config, center, operatorFile                                     string
	member, name, nameEN, unit, server, node, key, reason, fp, group string
	hours                                                            int
	approval, yes, off                                               bool
}

const directoryUsage = `usage: truc directory COMMAND [flags], at the center of the network
  members                                list members and nodes with their states
  pending                                list join requests with the fingerprints of their keys
  add-member -member H36 -name NAME      add an agency
  token -member VN/GOV/H36 -server node1 make a join token (-approval: its join waits for you)
  approve -node ID [-fingerprint HEX]    admit a node that waits
  decline -node ID -reason TEXT          refuse it
  revoke -node ID | -key ID -reason TEXT end a node, or one old key of it
  disable|enable -node ID                take a node out of use for a time
  group -group CODE -name NAME MEMBER …  write a global group; -off deletes it
  policy [-approval] [-off]              demand an operator's approval of every join, or stop demanding it
`

func directoryCommand(ctx context.Context, s streams, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(s.err, directoryUsage)
		return errUsage
	}
	fs := flag.NewFlagSet("directory", flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() { fmt.Fprint(s.err, directoryUsage); fs.PrintDefaults() }
	var f directoryFlags
	fs.StringVar(&f.config, "config", "truc.toml", "configuration file of the center; its data folder holds the operator's token")
	fs.StringVar(&f.center, "center", "", "address of the center; default the one in the configuration")
	fs.StringVar(&f.operatorFile, "operator-token-file", "", "file with the operator's token, when it is not the center's own; TRUC_OPERATOR_TOKEN works too")
	fs.StringVar(&f.member, "member", "", "member: a code such as H36 to add, an identifier such as VN/GOV/H36 for a token")
	fs.StringVar(&f.name, "name", "", "name in Vietnamese")
	fs.StringVar(&f.nameEN, "name-en", "", "name in English")
	fs.StringVar(&f.unit, "unit", "", "administrative unit of a local authority")
	fs.StringVar(&f.server, "server", "node1", "name of the new node")
	fs.IntVar(&f.hours, "hours", 72, "life of a token")
	fs.StringVar(&f.node, "node", "", "identifier of a node, such as VN/GOV/H36/node1")
	fs.StringVar(&f.key, "key", "", "id of a key")
	fs.StringVar(&f.reason, "reason", "", "reason, which the node is told")
	fs.StringVar(&f.fp, "fingerprint", "", "beginning of the signing key's fingerprint as it was read to you, 8 digits at least")
	fs.StringVar(&f.group, "group", "", "code of a global group")
	fs.BoolVar(&f.approval, "approval", false, "a join waits for an operator")
	fs.BoolVar(&f.yes, "yes", false, "the fingerprints were compared: do not ask")
	fs.BoolVar(&f.off, "off", false, "delete or switch off")
	if err := fs.Parse(args[1:]); err != nil {
		return errUsageOr(err)
	}
	p, err := newSpeaker(s)
	if err != nil {
		return err
	}
	op, err := operatorOf(f, s.getenv("TRUC_OPERATOR_TOKEN"))
	if err != nil {
		return err
	}
	c := &centerCLI{speaker: p, op: op, f: f, in: os.Stdin}
	return p.fault(c.run(ctx, args[0], fs.Args()))
}

// operatorOf finds the center and the operator's token.
func operatorOf(f directoryFlags, token string) (*directoryclient.Operator, error) {
	op := &directoryclient.Operator{Client: directoryclient.Client{URL: f.center}, Token: token}
	path := f.operatorFile
	if path == "" && token == "" || f.center == "" {
		cfg, err := app.LoadConfig(f.config)
		if err != nil {
			return nil, err
		}
		if op.URL == "" {
			op.URL = cfg.Web.URL
		}
		if path == "" && token == "" {
			path = filepath.Join(cfg.DataDir, "keys", app.OperatorTokenFile)
		}
	}
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		op.Token = strings.TrimSpace(string(b))
	}
	return op, nil
}

// centerCLI acts at the center for its operator.
type centerCLI struct {
	speaker
	op *directoryclient.Operator
	f  directoryFlags
	in io.Reader
}

func (c *centerCLI) run(ctx context.Context, command string, rest []string) error {
	f := c.f
	act := directoryapi.Act{Node: f.node, Reason: f.reason}
	done := "cmd.directory.done"
	switch command {
	case "members", "pending":
		var o directoryapi.Overview
		if err := c.op.Call(ctx, nil, &o); err != nil {
			return err
		}
		if command == "members" {
			return c.members(o)
		}
		c.pending(o.Pending)
		return nil
	case "add-member":
		act = directoryapi.Act{Do: "member", Member: f.member, Name: f.name, NameEN: f.nameEN, Unit: f.unit}
	case "token":
		act = directoryapi.Act{Do: "token", Member: f.member, Server: f.server, Hours: f.hours, Approval: f.approval}
	case "approve", "decline":
		return c.decide(ctx, command)
	case "revoke":
		if act.Do = "revoke-node"; f.key != "" {
			act.Do, act.KeyID = "revoke-key", f.key
		}
		if f.reason == "" {
			return c.wrong("cmd.directory.reason_missing")
		}
	case "disable", "enable":
		act.Do = command
	case "group":
		if act = (directoryapi.Act{Do: "group", Group: f.group, Name: f.name, NameEN: f.nameEN, Members: rest}); f.off {
			act = directoryapi.Act{Do: "group-delete", Group: f.group}
		}
	case "policy":
		var o directoryapi.Overview
		if err := c.op.Call(ctx, nil, &o); err != nil {
			return err
		}
		o.Policy.Approval = f.approval && !f.off
		act = directoryapi.Act{Do: "policy", Policy: &o.Policy}
	default:
		fmt.Fprint(c.err, directoryUsage)
		return errUsage
	}
	var out directoryapi.Acted
	if err := c.op.Call(ctx, act, &out); err != nil {
		return err
	}
	if out.Token != "" {
		fmt.Fprintln(c.out, out.Token) // and nothing else, so that it can be sent into a file
		return nil
	}
	c.say(done)
	return nil
}

func (c *centerCLI) wrong(key string) error {
	fmt.Fprintln(c.err, c.cat.T(c.lang, key))
	return errUsage
}

func (c *centerCLI) members(o directoryapi.Overview) error {
	w := tabwriter.NewWriter(c.out, 2, 4, 2, ' ', 0)
	for _, m := range o.Members {
		id := m.ID(o.Instance)
		fmt.Fprintf(w, "%s\t%s\n", id, m.Name.In(c.lang))
		for _, n := range o.Nodes {
			if !strings.HasPrefix(n.ID, id+"/") {
				continue
			}
			days := int(time.Until(n.CertificateEnds).Hours() / 24)
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", n.ID, c.cat.T(c.lang, "directory.standing."+string(n.State)), n.LinkURL,
				c.cat.T(c.lang, "cmd.directory.node", "days", days, "seen", i18n.DateTime(n.LastSeen)))
		}
	}
	return w.Flush()
}

func (c *centerCLI) pending(list []directoryapi.PendingOverview) {
	if len(list) == 0 {
		c.say("cmd.directory.none_pending")
		return
	}
	for _, p := range list {
		c.say("cmd.directory.pending", "node", p.Node, "url", p.LinkURL, "at", i18n.DateTime(p.FiledAt))
		fmt.Fprintf(c.out, "  %s\n", strings.Join(p.Subsystems, " "))
		c.say("cmd.join.fingerprint_tls", "fingerprint", p.TLSFingerprint)
		c.say("cmd.join.fingerprint_signing", "fingerprint", p.SigningFingerprint)
	}
}

// decide shows the request again and lets the operator confirm what he or she heard by telephone; what is approved is
// exactly what was shown.
func (c *centerCLI) decide(ctx context.Context, what string) error {
	var o directoryapi.Overview
	if err := c.op.Call(ctx, nil, &o); err != nil {
		return err
	}
	var p *directoryapi.PendingOverview
	for i := range o.Pending {
		if o.Pending[i].Node == c.f.node {
			p = &o.Pending[i]
		}
	}
	if p == nil {
		return c.wrong("directory.join_unknown")
	}
	if what == "decline" {
		if c.f.reason == "" {
			return c.wrong("cmd.directory.reason_missing")
		}
	} else if ok, err := c.compared(p); !ok {
		return err
	}
	act := directoryapi.Act{Do: what, TokenID: p.TokenID, Digest: p.Digest, Reason: c.f.reason}
	if err := c.op.Call(ctx, act, new(directoryapi.Acted)); err != nil {
		return err
	}
	c.say("cmd.directory.done")
	return nil
}

// compared reports whether the operator vouches for the keys: by the digits heard, by -yes, or by answering.
func (c *centerCLI) compared(p *directoryapi.PendingOverview) (bool, error) {
	if c.f.fp != "" {
		heard := strings.ToLower(strings.ReplaceAll(c.f.fp, " ", ""))
		if len(heard) < 8 || !strings.HasPrefix(strings.ReplaceAll(p.SigningFingerprint, " ", ""), heard) {
			return false, c.wrong("cmd.directory.fingerprint_differs")
		}
		return true, nil
	}
	c.pending([]directoryapi.PendingOverview{*p})
	if c.f.yes {
		return true, nil
	}
	c.say("cmd.directory.compare")
	answer, err := bufio.NewReader(io.LimitReader(c.in, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "yes" && a != "có" {
		return false, c.wrong("cmd.directory.not_approved")
	}
	return true, nil
}
