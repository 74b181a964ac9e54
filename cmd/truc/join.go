package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"truc/internal/app"
	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/lang"
)

// speaker writes to a person in his or her language.
type speaker struct {
	streams
	cat  *i18n.Catalogue
	lang string
}

// newSpeaker takes the language from LANG, as programs of a terminal do.
func newSpeaker(s streams) (speaker, error) {
	cat, err := i18n.Load(lang.FS)
	language := "en"
	if strings.HasPrefix(s.getenv("LANG"), "vi") {
		language = "vi"
	}
	return speaker{streams: s, cat: cat, lang: language}, err
}

func (p speaker) say(key string, args ...any) { fmt.Fprintln(p.out, p.cat.T(p.lang, key, args...)) }

// fault turns an error with a key into its sentence, followed by what lies behind it.
func (p speaker) fault(err error) error {
	if err == nil {
		return nil
	}
	key, args := errs.KeyOf(err)
	if key == "" || key == "error.internal" || !p.cat.Has(p.lang, key) {
		return err
	}
	return fmt.Errorf("%s (%w)", p.cat.T(p.lang, key, args...), err)
}

// joinFlags are the words of truc join.
type joinFlags struct {
	center, token, tokenFile, config, dataDir, webListen, webURL, linkListen, linkURL string
	wait                                                                              time.Duration
	passphraseStdin                                                                   bool
}

func joinCommand(ctx context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("join", flag.ContinueOnError)
	fs.SetOutput(s.err)
	var f joinFlags
	fs.StringVar(&f.center, "center", "", "address of the center, when it is not the one in the token")
	fs.StringVar(&f.token, "token", "", "the join token; other users of this machine may see it in the list of processes")
	fs.StringVar(&f.tokenFile, "token-file", "", "file with the join token, or - for the standard input; TRUC_JOIN_TOKEN works too")
	fs.StringVar(&f.config, "config", "truc.toml", "configuration file; it is written when there is none")
	fs.StringVar(&f.dataDir, "data-dir", "data", "folder for keys, logs and the database, when the file is written")
	fs.StringVar(&f.webListen, "web-listen", "127.0.0.1:7100", "host:port for people and programs, when the file is written")
	fs.StringVar(&f.webURL, "web-url", "", "address people use; default http:// and -web-listen")
	fs.StringVar(&f.linkListen, "link-listen", "127.0.0.1:7101", "host:port for other nodes, when the file is written")
	fs.StringVar(&f.linkURL, "link-url", "", "address at which other nodes reach this one; default https:// and -link-listen")
	fs.DurationVar(&f.wait, "wait", 0, "how long to wait for the center and its operator; 0 waits until interrupted")
	fs.BoolVar(&f.passphraseStdin, "passphrase-stdin", false, "read the passphrase that seals the node's keys from the standard input")
	if err := fs.Parse(args); err != nil {
		return errUsageOr(err)
	}
	if fs.NArg() > 0 {
		fmt.Fprintln(s.err, "usage: truc join -token-file FILE [-center URL] [-config truc.toml] [-data-dir DIR] [-link-listen HOST:PORT] [-link-url URL]")
		return errUsage
	}
	p, err := newSpeaker(s)
	if err != nil {
		return err
	}
	if f.wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.wait)
		defer cancel()
	}
	return p.fault(p.join(ctx, f))
}

func (p speaker) join(ctx context.Context, f joinFlags) error {
	token, err := p.readToken(f)
	if err != nil {
		return err
	}
	cfg, written, err := joinConfig(f, token)
	if err != nil {
		return err
	}
	if err := openingKeys(p.streams, cfg, f.passphraseStdin, os.Stdin); err != nil {
		return err
	}
	if f.center != "" {
		u, err := url.Parse(f.center)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return errs.E(errs.Invalid, "cmd.join.center_invalid", err)
		}
		if cfg.Directory.URL = strings.TrimSuffix(f.center, "/"); cfg.Directory.URL != token.Center {
			p.say("cmd.join.other_address", "given", cfg.Directory.URL, "token", token.Center)
		} else {
			cfg.Directory.URL = ""
		}
	}
	started := time.Now()
	doc, err := app.Join(ctx, cfg, app.JoinOptions{Token: token, Now: func() time.Time { return time.Now().UTC() }, Say: p.joinStep})
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		p.say("cmd.join.interrupted")
	}
	if err != nil {
		return err
	}
	if written {
		p.say("cmd.join.config_kept", "path", f.config)
		if cfg.Directory.URL != "" {
			p.say("cmd.join.config_url", "url", cfg.Directory.URL)
		}
	} else {
		if err := writeJoinConfig(f.config, cfg, doc); err != nil {
			return err
		}
		p.say("cmd.join.config_written", "path", f.config)
	}
	p.say("cmd.join.done", "seconds", int(time.Since(started).Seconds()), "command", "truc serve -config "+f.config)
	return nil
}

func (p speaker) joinStep(s app.JoinStep) {
	switch s.Name {
	case "keys":
		p.say("cmd.join.keys", "node", s.Node)
		p.say("cmd.join.fingerprint_tls", "fingerprint", s.TLS)
		p.say("cmd.join.fingerprint_signing", "fingerprint", s.Signing)
	case "unreachable":
		p.say("cmd.join.unreachable", "url", s.URL, "cause", s.Err.Error())
	case "center":
		p.say("cmd.join.center", "url", s.URL, "fingerprint", s.Center)
	case "pending":
		p.say("cmd.join.pending")
	case "already":
		p.say("cmd.join.already", "node", s.Node)
	case "registered":
		p.say("cmd.join.registered", "node", s.Node, "until", i18n.DateTime(s.CertificateEnds), "version", s.Version)
	}
}

// readToken takes the token from wherever it was given; only one place may hold it.
func (p speaker) readToken(f joinFlags) (directory.Token, error) {
	text, places := "", 0
	for _, given := range []string{f.token, p.getenv("TRUC_JOIN_TOKEN")} {
		if given != "" {
			text, places = given, places+1
		}
	}
	if f.tokenFile != "" {
		places++
		var b []byte
		var err error
		if f.tokenFile == "-" {
			b, err = io.ReadAll(io.LimitReader(os.Stdin, 64<<10))
		} else {
			b, err = os.ReadFile(f.tokenFile)
		}
		if err != nil {
			return directory.Token{}, err
		}
		text = string(b)
	}
	if places != 1 {
		return directory.Token{}, errs.E(errs.Invalid, "cmd.join.token_once", nil)
	}
	return directory.ParseToken(text)
}

// joinConfig reads the configuration, or makes one from the token and the flags when there is no file.
func joinConfig(f joinFlags, token directory.Token) (cfg *app.Config, written bool, err error) {
	if _, err := os.Stat(f.config); err == nil {
		cfg, err := app.LoadConfigToJoin(f.config)
		return cfg, true, err
	}
	for _, addr := range []string{f.webListen, f.linkListen} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, false, err
		}
	}
	dir, err := filepath.Abs(f.dataDir)
	if err != nil {
		return nil, false, err
	}
	cfg, err = app.ConfigForJoin(token, dir, f.webListen, strings.TrimSuffix(f.webURL, "/"), f.linkListen, strings.TrimSuffix(f.linkURL, "/"))
	return cfg, false, err
}

// writeJoinConfig writes a file that truc serve starts from, with the names that the directory has.
func writeJoinConfig(path string, cfg *app.Config, doc *directory.Document) error {
	name, unit := i18n.Text{}, ""
	if m, ok := doc.Member(cfg.MemberID()); ok {
		name, unit = m.Name, m.Unit
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Written by truc join. Every key is explained in docs/operators/configuration.md.")
	line("# Before this node serves people: env = \"production\", web.url with https, and a sign-in provider under [identity].")
	line("env      = %s", quote(cfg.Env))
	line("instance = %s", quote(cfg.Instance))
	line("class    = %s", quote(cfg.Class))
	line("member   = %s", quote(cfg.Member))
	line("server   = %s", quote(cfg.Server))
	line("name     = {vi = %s, en = %s}", quote(name.In("vi")), quote(name.In("en")))
	if unit != "" {
		line("unit     = %s", quote(unit))
	}
	line("data_dir = %s\n", quote(cfg.DataDir))
	line("[web]\nlisten = %s\nurl    = %s\n", quote(cfg.Web.Listen), quote(cfg.Web.URL))
	line("[link]\nlisten = %s\nurl    = %s", quote(cfg.Link.Listen), quote(cfg.Link.URL))
	if cfg.Directory.URL != "" {
		line("\n[directory]\nurl = %s", quote(cfg.Directory.URL))
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = out.WriteString(b.String())
	return errors.Join(err, out.Close())
}

// quote writes a TOML basic string; JSON's escapes are among TOML's.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSpace(b.String())
}
