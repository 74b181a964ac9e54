package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"truc/cmd/truc/internal/nodeclient"
	"truc/internal/app"
	"truc/internal/backup"
	"truc/internal/directory"
	"truc/internal/i18n"
)

const backupUsage = `usage: truc backup COMMAND
  truc backup key -o FILE                make a key that opens backups; keep the file elsewhere, and copy the line it
                                         prints into backup.recipients of the node
  truc backup create                     have a node that runs make a backup now
  truc backup list                       list the backups of a node that runs
  truc backup verify FILE [-signer FINGERPRINT] [-key FILE]
                                         check that a backup is whole; with the key, that all of it can be read
  truc backup restore FILE -key FILE -signer FINGERPRINT -dir DIR [-config FILE] [-db postgres://…] [-node ID]
                                         make a data folder of a backup, in an empty folder
`

// backupState is the answer of the operations of backups.
type backupState struct {
	Running, Failed bool
	Signer          string
	Items           []app.Backup
}

func backupCommand(ctx context.Context, s streams, args []string) error {
	commands := map[string]func(context.Context, streams, *flag.FlagSet, []string) error{
		"key": backupKey, "create": backupCreate, "list": backupCreate, "verify": backupVerify, "restore": backupRestore,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(s.err, backupUsage)
		return errUsage
	}
	fs := flag.NewFlagSet("backup "+args[0], flag.ContinueOnError)
	fs.SetOutput(s.err)
	fs.Usage = func() { fmt.Fprint(s.err, backupUsage); fs.PrintDefaults() }
	return commands[args[0]](ctx, s, fs, args[1:])
}

// parseAround parses flags that stand before, between and behind the words, which it returns.
func parseAround(fs *flag.FlagSet, args []string, want int) ([]string, error) {
	var words []string
	for left := args; ; {
		if err := fs.Parse(left); err != nil {
			return nil, errUsageOr(err)
		}
		if fs.NArg() == 0 {
			break
		}
		words, left = append(words, fs.Arg(0)), fs.Args()[1:]
	}
	if len(words) != want {
		fs.Usage()
		return nil, errUsage
	}
	return words, nil
}

func backupKey(_ context.Context, s streams, fs *flag.FlagSet, args []string) error {
	out := fs.String("o", "", "the file that receives the key; it must not be there")
	if _, err := parseAround(fs, args, 0); err != nil {
		return err
	}
	if *out == "" {
		fs.Usage()
		return errUsage
	}
	id, err := backup.NewIdentity()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(*out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the user's own file
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "# opens backups of Truc; recipient: %s\n%s\n", id.Recipient(), id)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, id.Recipient())
	return err
}

// backupCreate is create and list.
func backupCreate(ctx context.Context, s streams, fs *flag.FlagSet, args []string) error {
	node := nodeclient.Flags(fs, s.getenv)
	if _, err := parseAround(fs, args, 0); err != nil {
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
	const at = "/api/exchange/backups"
	var before, st backupState
	if err := c.Do(ctx, http.MethodGet, at, nil, &before); err != nil {
		return err
	}
	if strings.HasSuffix(fs.Name(), "list") {
		w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
		for _, b := range before.Items {
			fmt.Fprintf(w, "%s\t%s\t%d\n", b.Name, i18n.DateTime(b.At), b.Bytes)
		}
		return w.Flush()
	}
	if err := c.Do(ctx, http.MethodPost, at, struct{}{}, &st); err != nil {
		return err
	}
	for st.Running {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		if err := c.Do(ctx, http.MethodGet, at, nil, &st); err != nil {
			return err
		}
	}
	if st.Failed || len(st.Items) == 0 || slices.Contains(before.Items, st.Items[0]) {
		return errors.New(p.cat.T(p.lang, "cmd.backup.failed"))
	}
	p.say("cmd.backup.made", "file", st.Items[0].Name, "bytes", st.Items[0].Bytes)
	p.say("cmd.backup.signer", "signer", st.Signer)
	return nil
}

// backupFile is a file that is open, with the key that opens its contents if one was named.
type backupFile struct {
	*os.File
	size int64
	key  *backup.Identity
}

func openBackup(path, key string) (f backupFile, err error) {
	if key != "" {
		text, err := os.ReadFile(key) //nolint:gosec // the user's own file
		if err != nil {
			return f, err
		}
		if f.key, err = backup.ParseIdentity(string(text)); err != nil {
			return f, fmt.Errorf("%s: %w", key, err)
		}
	}
	if f.File, err = os.Open(path); err != nil { //nolint:gosec // the user's own file
		return f, err
	}
	st, err := f.Stat()
	if err != nil {
		return f, errors.Join(err, f.Close())
	}
	f.size = st.Size()
	return f, nil
}

func backupVerify(ctx context.Context, s streams, fs *flag.FlagSet, args []string) error {
	signer := fs.String("signer", "", "fingerprint of the key that must have signed")
	key := fs.String("key", "", "file with the key that opens the backup")
	words, err := parseAround(fs, args, 1)
	if err != nil {
		return err
	}
	p, err := newSpeaker(s)
	if err != nil {
		return err
	}
	f, err := openBackup(words[0], *key)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	h, parts, err := app.VerifyBackup(ctx, f, f.size, *signer, f.key)
	if err != nil {
		return p.fault(err)
	}
	p.say("cmd.backup.whole", "node", h.Node, "at", i18n.DateTime(h.Time()), "release", h.Release)
	p.say("cmd.backup.signer", "signer", directory.FingerprintText(h.SignerID()))
	if *signer == "" {
		p.say("cmd.backup.not_compared")
	}
	if f.key != nil {
		p.say("cmd.backup.readable", "n", parts)
	}
	return nil
}

func backupRestore(ctx context.Context, s streams, fs *flag.FlagSet, args []string) error {
	opt := app.RestoreOptions{Now: func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }}
	key := fs.String("key", "", "file with the key that opens the backup")
	fs.StringVar(&opt.Signer, "signer", "", "fingerprint of the key that must have signed, as the directory shows it")
	fs.StringVar(&opt.Node, "node", "", "server id whose backup it must be, such as VN/GOV/H36/node1")
	fs.StringVar(&opt.Dir, "dir", "", "folder that becomes the data folder; empty or missing")
	fs.StringVar(&opt.Config, "config", "", "where the configuration is written; default truc.toml in -dir")
	fs.StringVar(&opt.DB, "db", s.getenv("TRUC_DB"), "address of an empty database, for a backup of PostgreSQL (TRUC_DB)")
	words, err := parseAround(fs, args, 1)
	if err != nil {
		return err
	}
	if *key == "" || opt.Dir == "" {
		fs.Usage()
		return errUsage
	}
	p, err := newSpeaker(s)
	if err != nil {
		return err
	}
	f, err := openBackup(words[0], *key)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	opt.File, opt.Size, opt.Identity = f, f.size, f.key
	done, err := app.RestoreBackup(ctx, opt)
	if err != nil {
		return p.fault(err)
	}
	p.say("cmd.backup.restored", "node", done.Node, "at", i18n.DateTime(done.MadeAt), "dir", opt.Dir)
	p.say("cmd.backup.epoch", "epoch", done.Epoch, "exchange", done.Logs["exchange"], "audit", done.Logs["audit"])
	p.say("cmd.backup.next", "config", done.Config)
	return nil
}
