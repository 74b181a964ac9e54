package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// command is a subcommand.
type command struct {
	name, args, about string
	run               func(ctx context.Context, s streams, args []string) error
}

func commands() []command {
	return []command{
		{"serve", "-config FILE", "run one node", serve},
		{"join", "-token-file FILE [-center URL] [-data-dir DIR]", "make this machine a node of a network", joinCommand},
		{"leave", "-reason TEXT|-status|-withdraw", "have a node that runs ask the center to let it go", leaveCommand},
		{"directory", "members|pending|token|approve|decline|revoke …", "act as the operator of a center that runs", directoryCommand},
		{"keys", "status|rotate|maintenance|seal|unseal", "look after the keys and the state of a node", keysCommand},
		{"demo", "[-once] [-dir DIR] [-nodes N] [-db postgres://…]", "run a small country of nodes and say what to try", demoCommand},
		{"services", "publish FILE|list|set|rights|refresh|disable|delete …", "publish services of own systems at a running node", servicesCommand},
		{"documents", "list|get ID|status ID|send ID -as ACCOUNT", "work with the official documents of a running node", documentsCommand},
		{"queue", "list|replay|drop|resume|unsubscribe", "see and move messages on their way at a running node", queueCommand},
		{"agreements", "list|show|propose FILE|accept|reject|revoke", "agree with other members at a running node", agreementsCommand},
		{"records", "list PARTNER|evidence PARTNER ID|compare PARTNER", "read a partner's log of exchanges with a running node, and hold it against this one's", recordsCommand},
		{"rules", "list|add CONSUMER SERVICE|remove ID", "see and change who may call what at a running node", rulesCommand},
		{"groups", "list|save CODE NAME [SUBSYSTEM...]|remove CODE", "keep groups of subsystems that rules may name", groupsCommand},
		{"procedure", "test DIR", "check a procedure bundle, with file and line", procedure},
		{"verify", "FILE [-key VKEY]", "check a receipt, an evidence package or a signed PDF offline", verify},
		{"alarms", "list|test", "see what is not well at a running node, and try the ways out", alarmsCommand},
		{"backup", "key|create|list|verify|restore", "back a node up, and put a backup back", backupCommand},
		{"conformance", "-url URL -system ID -secret-file FILE | exchange -url URL …", "check an endpoint of VXP or of X-Road REST, ours or another's", conformanceCommand},
		{"evidence", "export ID -o FILE | compare DIR DIR", "fetch the proof of an exchange, or compare two nodes' logs", evidence},
		{"bench", "dossiers|exchange [-json]", "measure", bench},
		{"config", "check|print -config FILE", "check or show a configuration", configCommand},
		{"version", "", "say which version this is", version},
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	s := streams{out: stdout, err: stderr, getenv: getenv}
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(stdout)
		return nil
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, s, args[1:])
		}
	}
	fmt.Fprintf(stderr, "truc: there is no command %q\n\n", args[0])
	usage(stderr)
	return errUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "truc: an e-government platform in one binary\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  truc %-58s %s\n", strings.TrimSpace(c.name+" "+c.args), c.about)
	}
	fmt.Fprint(w, "\nEvery command takes -h.\n")
}

// newLogger writes JSON lines to w.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}
