package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"truc/internal/directory"
	"truc/internal/directory/directoryclient"
	"truc/internal/errs"
	"truc/internal/pki"
)

// JoinStep is what [Join] reports: its name and what belongs to it.
type JoinStep struct {
	// Name is "keys", "unreachable", "center", "pending", "registered" or "already".
	Name string
	// URL of the center; Center is the fingerprint of the key that it proved to hold.
	URL, Center string
	// TLS and Signing are the fingerprints of the node's keys, to be compared by telephone.
	TLS, Signing string
	// Node, Version and CertificateEnds say what the node is part of now.
	Node            string
	Version         int64
	CertificateEnds time.Time
	// Err is why the center was not reached.
	Err error
}

// JoinOptions are what [Join] needs besides the configuration.
type JoinOptions struct {
	Token directory.Token
	Now   func() time.Time
	// Say is told each step once, in order.
	Say func(JoinStep)
	// Sleep waits between two questions; nil waits in real time. It returns when ctx ends.
	Sleep func(ctx context.Context, d time.Duration)
}

// Join makes the node of a configuration a part of the network: it makes keys, checks that the center holds the key that
// the token pins, proves possession, waits for an operator where one has to decide, and keeps the certificate and the
// directory in the data folder. It may be interrupted and repeated: the same keys ask again. What it returns is the
// document of the network.
func Join(ctx context.Context, cfg *Config, opt JoinOptions) (_ *directory.Document, err error) {
	if opt.Token.Node != cfg.ServerID() {
		return nil, errs.E(errs.Invalid, "directory.token_other_node", fmt.Errorf("the token is for %s, the configuration for %s", opt.Token.Node, cfg.ServerID()))
	}
	if opt.Sleep == nil {
		opt.Sleep = pause
	}
	release, err := lockKeys(cfg, syscall.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer release()
	store := cfg.keyStore() //nolint:contextcheck // the program that tells a passphrase has its own limit of time
	if store.Device != nil {
		defer store.Device.Close()
	}
	keys, err := loadKeys(ctx, cfg, store)
	if err != nil {
		return nil, err
	}
	step := JoinStep{
		URL: centerURL(cfg, opt.Token), Center: directory.FingerprintText(opt.Token.Anchor), Node: opt.Token.Node,
		TLS: directory.FingerprintText(pki.KeyID(keys.TLS.Public())), Signing: directory.FingerprintText(pki.KeyID(keys.Signing.Public())),
	}
	say := func(name string) { step.Name = name; opt.Say(step) }
	say("keys")
	client := &directoryclient.Client{URL: step.URL}
	f, err := directory.OpenFollower(directory.FollowerOptions{
		Dir: filepath.Join(cfg.DataDir, "directory"), Center: client, Now: opt.Now, Log: slog.New(slog.DiscardHandler),
	}, opt.Token.Trust())
	if err != nil {
		return nil, err
	}
	certPath := filepath.Join(cfg.DataDir, "keys", "node.pem")
	if _, err := os.Stat(certPath); err == nil && f.Document() != nil {
		say("already")
		return f.Document(), nil
	}
	j := joining{opt: opt, step: &step, say: say}
	err = j.until(ctx, func() error {
		env, _, err := client.Document(ctx, "", "")
		if err != nil {
			return err
		}
		if _, _, err := opt.Token.Trust().Open(env); err != nil {
			return errs.E(errs.Denied, "directory.document_refused", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	say("center")
	var cert []byte
	err = j.until(ctx, func() (err error) {
		cert, err = f.Join(ctx, opt.Token, keys, directory.Profile{LinkURL: cfg.Link.URL, Subsystems: cfg.subsystems()})
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := replaceFile(certPath, cert); err != nil {
		return nil, err
	}
	certs, err := pki.DecodePEM(cert)
	if err != nil {
		return nil, err
	}
	step.Version, step.CertificateEnds = f.Document().Version, certs[0].NotAfter
	say("registered")
	return f.Document(), nil
}

// joining asks the center until it has an answer that stays.
type joining struct {
	opt  JoinOptions
	step *JoinStep
	say  func(string)
	told string
}

// until repeats f while the center is out of reach or undecided, at first after a second, later every half minute.
func (j *joining) until(ctx context.Context, f func() error) error {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := f()
		if err == nil || !askAgain(err) {
			return err
		}
		key, _ := errs.KeyOf(err)
		name := "unreachable"
		if key == "directory.join_pending" {
			name = "pending"
		}
		if name != j.told {
			j.told, j.step.Err = name, err
			j.say(name)
			wait = time.Second
		}
		if ctx.Err() == nil {
			j.opt.Sleep(ctx, wait)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w (%w)", ctx.Err(), err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// ConfigForJoin is the configuration of a node that has none yet: who it is comes from the token.
func ConfigForJoin(token directory.Token, dataDir, webListen, webURL, linkListen, linkURL string) (*Config, error) {
	c := &Config{joining: true, DataDir: dataDir}
	if err := c.nameAfter(token.Node); err != nil {
		return nil, err
	}
	c.Web = WebConfig{Listen: webListen, URL: webURL}
	c.Link = LinkConfig{Listen: linkListen, URL: linkURL}
	c.fillDefaults()
	if faults := c.Check(); len(faults) > 0 {
		return nil, fmt.Errorf("the flags do not make a node: %w", faults[0])
	}
	return c, nil
}

// nameAfter takes instance, class, member and server from a node's identifier, "VN/GOV/H36/node1".
func (c *Config) nameAfter(node string) error {
	p := strings.Split(node, "/")
	if len(p) != 4 {
		return errs.E(errs.Invalid, "directory.token_malformed", nil)
	}
	c.Instance, c.Class, c.Member, c.Server = p[0], p[1], p[2], p[3]
	return nil
}
