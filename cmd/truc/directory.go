package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"truc/cmd/truc/internal/nodeclient"
	"truc/internal/directory"
	"truc/internal/directory/directoryapi"
	"truc/internal/i18n"
)

// directoryFlags are the words of truc directory.
type directoryFlags struct {
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
  leaves                                 list requests to leave
  approve-leave -node ID                 let a node go that asked to leave
  decline-leave -node ID -reason TEXT    keep it
  revoke -node ID | -key ID -reason TEXT end a node, or one old key of it
  disable|enable -node ID                take a node out of use for a time
  group -group CODE -name NAME MEMBER …  write a global group; -off deletes it
  delete-token ID                        take back a token that was not used
  subsystem -name NAME ID                name a subsystem; -off takes it out of use
  require [CAPABILITY …]                 demand of every node's release what it can do on the link; nothing demands nothing
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
	node := nodeclient.Flags(fs, s.getenv)
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
	client, err := node.Client()
	if err != nil {
		return err
	}
	c := &centerCLI{speaker: p, client: client, f: f, in: os.Stdin}
	return c.run(ctx, args[0], fs.Args())
}

// centerCLI acts at the center for its operator.
type centerCLI struct {
	speaker
	client *nodeclient.Client
	f      directoryFlags
	in     io.Reader
}

const directoryAPI = "/api/directory"

func (c *centerCLI) overview(ctx context.Context) (o directoryapi.Overview, err error) {
	return o, c.client.Do(ctx, http.MethodGet, directoryAPI, nil, &o)
}

func (c *centerCLI) run(ctx context.Context, command string, rest []string) error {
	f := c.f
	switch command {
	case "members", "pending":
		o, err := c.overview(ctx)
		if err != nil {
			return err
		}
		if command == "members" {
			return c.members(o)
		}
		c.pending(o.Pending)
		return nil
	case "add-member":
		return c.act(ctx, http.MethodPost, "/members", map[string]any{"code": f.member, "name": f.name, "name_en": f.nameEN, "unit": f.unit})
	case "token":
		return c.token(ctx)
	case "delete-token":
		return c.act(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(rest1(rest)), nil)
	case "approve", "decline":
		return c.decide(ctx, command)
	case "revoke":
		path := "/nodes/" + f.node + "/revoke"
		if f.key != "" {
			path = "/keys/" + url.PathEscape(f.key) + "/revoke"
		}
		if f.reason == "" {
			return c.wrong("cmd.directory.reason_missing")
		}
		return c.act(ctx, http.MethodPost, path, map[string]any{"reason": f.reason})
	case "leaves":
		return c.leaves(ctx)
	case "approve-leave":
		return c.act(ctx, http.MethodPost, "/nodes/"+f.node+"/leave/approve", nil)
	case "decline-leave":
		if f.reason == "" {
			return c.wrong("cmd.directory.reason_missing")
		}
		return c.act(ctx, http.MethodPost, "/nodes/"+f.node+"/leave/decline", map[string]any{"reason": f.reason})
	case "disable", "enable":
		return c.act(ctx, http.MethodPost, "/nodes/"+f.node+"/"+command, nil)
	case "subsystem":
		state := directory.Registered
		if f.off {
			state = directory.Disabled
		}
		return c.act(ctx, http.MethodPut, "/subsystems/"+rest1(rest), map[string]any{"name": f.name, "name_en": f.nameEN, "state": state})
	case "group":
		path := "/groups/" + url.PathEscape(f.group)
		if f.off {
			return c.act(ctx, http.MethodDelete, path, nil)
		}
		return c.act(ctx, http.MethodPut, path, map[string]any{"name": f.name, "name_en": f.nameEN, "members": append([]string{}, rest...)})
	case "policy":
		o, err := c.overview(ctx)
		if err != nil {
			return err
		}
		o.Policy.Approval = f.approval && !f.off
		return c.act(ctx, http.MethodPut, "/policy", o.Policy)
	case "require":
		o, err := c.overview(ctx)
		if err != nil {
			return err
		}
		o.Policy.Requires = rest
		return c.act(ctx, http.MethodPut, "/policy", o.Policy)
	default:
		fmt.Fprint(c.err, directoryUsage)
		return errUsage
	}
}

func rest1(rest []string) string {
	if len(rest) != 1 {
		return "-" // the center knows nothing of that name
	}
	return rest[0]
}

// act asks for one act and says that it was done.
func (c *centerCLI) act(ctx context.Context, method, path string, in any) error {
	if err := c.client.Do(ctx, method, directoryAPI+path, in, nil); err != nil {
		return err
	}
	c.say("cmd.directory.done")
	return nil
}

// token prints the secret and nothing else, so that it can be sent into a file.
func (c *centerCLI) token(ctx context.Context) error {
	var made struct{ Token string }
	in := map[string]any{"member": c.f.member, "server": c.f.server, "hours": c.f.hours, "approval": c.f.approval}
	if err := c.client.Do(ctx, http.MethodPost, directoryAPI+"/tokens", in, &made); err != nil {
		return err
	}
	fmt.Fprintln(c.out, made.Token)
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
		fmt.Fprintf(w, "%s\t%s\t%s\n", id, m.Name.In(c.lang), c.cat.T(c.lang, "directory.standing."+string(m.State)))
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

// leaves lists who asked to leave.
func (c *centerCLI) leaves(ctx context.Context) error {
	o, err := c.overview(ctx)
	if err != nil {
		return err
	}
	if len(o.Leaves) == 0 {
		c.say("cmd.directory.none_leaving")
	}
	for _, l := range o.Leaves {
		c.say("cmd.directory.leave", "node", l.Node, "reason", l.Reason, "at", i18n.DateTime(l.FiledAt))
		if l.Whole {
			fmt.Fprintf(c.out, "  %s\n", c.cat.T(c.lang, "cmd.directory.whole", "member", l.Member))
		}
	}
	return nil
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
	o, err := c.overview(ctx)
	if err != nil {
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
	in := map[string]any{"digest": p.Digest}
	if what == "decline" {
		if c.f.reason == "" {
			return c.wrong("cmd.directory.reason_missing")
		}
		in = map[string]any{"reason": c.f.reason}
	} else if ok, err := c.compared(p); !ok {
		return err
	}
	return c.act(ctx, http.MethodPost, "/joins/"+url.PathEscape(p.TokenID)+"/"+what, in)
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
