package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"time"

	"truc/cmd/truc/internal/nodeclient"
	"truc/internal/directory"
	"truc/internal/i18n"
)

const keysUsage = `usage: truc keys COMMAND [-config truc.toml], on the machine of a node that runs
  status                        show the certificate and the fingerprints of the keys
  rotate [-tls] [-alg p256]     change the signing key, or the channel key, with overlap
  maintenance [NOTICE …]        refuse calls with a notice; without one, end it
and of one that does not run:
  seal [-passphrase-stdin]      encrypt its key files with the passphrase that [keys] names, or that is typed in
  unseal [-passphrase-stdin]    put them back into plain files
`

// keysCommand rules this machine's own node.
func keysCommand(ctx context.Context, s streams, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(s.err, keysUsage)
		return errUsage
	}
	if args[0] == "seal" || args[0] == "unseal" {
		return sealCommand(s, args[0] == "unseal", args[1:]) //nolint:contextcheck // the program that tells a passphrase has its own limit of time
	}
	fs := flag.NewFlagSet("keys", flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() { fmt.Fprint(s.err, keysUsage); fs.PrintDefaults() }
	node := nodeclient.Flags(fs, s.getenv)
	tls := fs.Bool("tls", false, "the channel key instead of the signing key")
	alg := fs.String("alg", "", "kind of the new signing key: ed25519 or p256; default the kind it has")
	if err := fs.Parse(args[1:]); err != nil {
		return errUsageOr(err)
	}
	p, err := newSpeaker(s)
	if err != nil {
		return err
	}
	c, err := node.Client()
	if err != nil {
		return err
	}
	const own = "/api/directory/own"
	switch args[0] {
	case "status":
		var st directory.KeyStatus
		if err := c.Do(ctx, http.MethodGet, own, nil, &st); err != nil {
			return err
		}
		p.keyStatus(st)
		return nil
	case "rotate":
		path, in := own+"/signing-key", map[string]string{}
		if *alg != "" {
			in["alg"] = *alg
		}
		if *tls {
			path = own + "/tls-key"
		}
		var out struct{ From time.Time }
		if err := c.Do(ctx, http.MethodPost, path, in, &out); err != nil {
			return err
		}
		p.say("cmd.keys.announced", "from", i18n.DateTime(out.From))
		return nil
	case "maintenance":
		if err := c.Do(ctx, http.MethodPut, own+"/maintenance", map[string]string{"notice": strings.Join(fs.Args(), " ")}, nil); err != nil {
			return err
		}
		p.say("cmd.directory.done")
		return nil
	default:
		fmt.Fprint(s.err, keysUsage)
		return errUsage
	}
}

func (p speaker) keyStatus(st directory.KeyStatus) {
	p.say("cmd.keys.certificate", "until", i18n.DateTime(st.Certificate.NotAfter), "days", st.Certificate.Days)
	if st.Certificate.Alarm != directory.NoAlarm {
		p.say("directory.alarm." + string(st.Certificate.Alarm))
	}
	p.say("cmd.join.fingerprint_tls", "fingerprint", st.TLS)
	p.say("cmd.join.fingerprint_signing", "fingerprint", st.Signing+" ("+st.Alg+")")
	if st.TLSLabel != "" {
		p.say("cmd.keys.channel_device", "label", st.TLSLabel)
	}
	if st.SigningLabel != "" {
		p.say("cmd.keys.signing_device", "label", st.SigningLabel)
	}
	if !st.NextTLS.IsZero() {
		p.say("cmd.keys.next_tls", "from", i18n.DateTime(st.NextTLS))
	}
	if !st.NextSigning.IsZero() {
		p.say("cmd.keys.next_signing", "from", i18n.DateTime(st.NextSigning))
	}
	if st.Maintenance != "" {
		p.say("directory.maintenance.now", "notice", st.Maintenance)
	}
}
