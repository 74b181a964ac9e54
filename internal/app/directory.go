package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"truc/internal/audit"
	"truc/internal/directory"
	"truc/internal/directory/directoryapi"
	"truc/internal/directory/directoryclient"
	"truc/internal/directory/directorypage"
	"truc/internal/directory/directorystore"
	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/i18n"
	"truc/internal/pki"
	"truc/internal/storage"
)

// subsystems that this node speaks for, by what it runs.
func (c *Config) subsystems() []string {
	var out []string
	add := func(code string) { out = append(out, c.Subsystem(code).String()) }
	if c.Portal.Enabled {
		add("portal")
	}
	if c.Oversight.Enabled {
		add("oversight")
	}
	if c.Desk.Enabled {
		add("onestop")
	}
	if c.Documents.Enabled || slices.Contains(c.Modules, "documents") {
		add("documents")
	}
	if c.Axis.Enabled || slices.Contains(c.Modules, "axis") {
		add("axis")
	}
	for id, r := range c.Registers {
		code := id
		for i, ch := range r.Service {
			if ch == '/' {
				code = r.Service[:i]
				break
			}
		}
		add(code)
	}
	for _, code := range c.Exchange.ownSystems() {
		if !slices.Contains(out, c.Subsystem(code).String()) {
			add(code)
		}
	}
	if len(out) == 0 {
		add("office")
	}
	return out
}

func (n *Node) startDirectory(ctx context.Context) error {
	keys, err := loadKeys(ctx, n.cfg, n.keystore)
	if err != nil {
		return err
	}
	n.keys = keys
	if n.cfg.Directory.Center {
		return n.startCenter(ctx)
	}
	var token directory.Token // none when truc join did its work
	if n.cfg.Directory.TokenFile != "" {
		raw, err := os.ReadFile(n.cfg.Directory.TokenFile)
		if err != nil {
			return fmt.Errorf("join token: %w", err)
		}
		if token, err = directory.ParseToken(string(raw)); err != nil {
			return err
		}
	}
	return n.follow(ctx, &directoryclient.Client{URL: centerURL(n.cfg, token)}, token)
}

// centerURL is where to ask: what the configuration says, else the token, else the copy of the directory. The address
// is not a matter of trust: what comes from there is signed.
func centerURL(c *Config, token directory.Token) string {
	if c.Directory.URL != "" {
		return c.Directory.URL
	}
	if token.Center != "" {
		return token.Center
	}
	env, err := os.ReadFile(filepath.Join(c.DataDir, "directory", "directory.json"))
	if err != nil {
		return ""
	}
	doc, err := directory.Peek(env)
	if err != nil {
		return ""
	}
	return doc.CenterURL
}

// tellDirectory records what changed in the network in the audit log, in the transaction of the change, and lets the
// center's own copy catch up at once.
func (n *Node) tellDirectory(ctx context.Context, tx *storage.Tx, e directory.Event) error {
	noteAct(ctx, e.Actor, e.Name, e.Object)
	tx.AfterCommit(func() {
		select {
		case n.directoryChanged <- struct{}{}:
		default:
		}
	})
	return n.audit.Act(ctx, tx, audit.Entry{Actor: e.Actor, Action: e.Name, Object: e.Object})
}

// startCenter opens the registry, makes members and invitations of the configuration, and lets the center's own node
// join like any other.
func (n *Node) startCenter(ctx context.Context) error {
	if err := n.migrate(ctx, "directory", directorystore.Migrations, "migrations"); err != nil {
		return err
	}
	key, err := n.keystore.LoadOrCreate(n.path("keys", "directory.key"), pki.Ed25519)
	if err != nil {
		return err
	}
	ca, err := n.keystore.LoadOrCreateCA(n.path("ca"), "Truc "+n.cfg.Instance, n.now())
	if err != nil {
		return err
	}
	n.center = &directory.Center{Capabilities: exchange.Capabilities(), Instance: n.cfg.Instance, URL: n.cfg.Web.URL, Key: key, CA: ca, Store: &directorystore.Store{DB: n.db, Tell: n.tellDirectory}, Now: n.now}
	if err := n.moveCenter(ctx); err != nil {
		return err
	}
	own := InviteConfig{Member: n.cfg.Member, Name: n.cfg.Name, Unit: n.cfg.Unit, Server: n.cfg.Server, TokenFile: n.path("join.token")}
	state, err := n.center.State(ctx)
	if err != nil {
		return err
	}
	for _, inv := range append([]InviteConfig{own}, n.cfg.Directory.Invite...) {
		if _, known := state.Members[n.cfg.Instance+"/"+n.cfg.Class+"/"+inv.Member]; known {
			if _, err := os.Stat(inv.TokenFile); err == nil {
				continue
			}
		}
		if err := n.invite(ctx, inv); err != nil {
			return err
		}
	}
	(&directoryapi.API{Center: n.center, Limiter: directoryapi.NewLimiter(n.now)}).Mount(n.mux)
	n.bypass = append(n.bypass, "POST /directory/v1/")
	if err := (&directoryapi.Manage{Center: n.center, Now: n.now}).Declare(n.manage); err != nil {
		return err
	}
	n.every("directory.refresh", time.Hour, n.center.Refresh)
	n.background("directory.watch", n.center.Watch)
	raw, err := os.ReadFile(own.TokenFile)
	if err != nil {
		return err
	}
	token, err := directory.ParseToken(string(raw))
	if err != nil {
		return err
	}
	return n.follow(ctx, n.center, token)
}

func (n *Node) invite(ctx context.Context, inv InviteConfig) error {
	member := directory.Member{Class: n.cfg.Class, Code: inv.Member, Name: i18n.Text{"vi": inv.Name.In("vi"), "en": inv.Name.In("en")}, Unit: inv.Unit}
	if err := n.center.AddMember(ctx, "system", member); err != nil {
		return err
	}
	server := inv.Server
	if server == "" {
		server = "node1"
	}
	return writeOnce(inv.TokenFile, func() (string, error) {
		return n.center.CreateToken(ctx, "system", member.ID(n.cfg.Instance), server, directory.TokenLifetime)
	})
}

// follow opens the node's copy of the directory, joins with the token at the first start, and keeps the copy and the
// certificate up to date.
func (n *Node) follow(ctx context.Context, center directory.CenterAPI, token directory.Token) error {
	f, err := directory.OpenFollower(directory.FollowerOptions{
		Dir: n.path("directory"), Center: center, NodeID: n.cfg.ServerID(), Signing: n.currentKeys().Signing, Interval: n.pullInterval(), Now: n.now, Log: n.log,
		Wait: directory.LongestWait, Jitter: jitter,
		OnChange: func(*directory.Document) {
			n.keepDirectory()
			select {
			case n.directoryNews <- struct{}{}:
			default:
			}
		},
	}, anchorOf(token))
	if err != nil {
		return err
	}
	n.follower = f
	if _, err := os.Stat(n.certPath()); errors.Is(err, os.ErrNotExist) {
		if token.ID == "" {
			return errs.E(errs.Unavailable, "directory.not_joined", nil)
		}
		if err := n.join(ctx, token); err != nil {
			return err
		}
	}
	n.background("directory.follow", f.Run)
	if n.cfg.Directory.Center {
		n.everyOr("directory.own", time.Minute, n.directoryChanged, f.Refresh)
	}
	n.every("directory.renew", time.Hour, n.renew)
	n.every("directory.keys", 10*time.Second, n.activateKeys)
	if err := (&directoryapi.ManageOwn{Node: n}).Declare(n.manage); err != nil {
		return err
	}
	pages := &directorypage.Pages{Center: n.center, Follower: f, Renderer: n.renderer, Now: n.now, Own: n}
	return pages.Mount(n.mux)
}

// anchorOf is what a token lets a node trust; nothing without one.
func anchorOf(token directory.Token) directory.Anchor {
	if token.ID == "" {
		return directory.Anchor{}
	}
	return token.Trust()
}

// jitter shortens a pause by up to a quarter.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/4+1) } //nolint:gosec // spreads load, keeps no secret

// pullInterval is how often the node asks for a new directory document where the center cannot tell it at once.
func (n *Node) pullInterval() time.Duration {
	if n.cfg.Env == "development" {
		return 3 * time.Second
	}
	return 30 * time.Second
}

func (n *Node) certPath() string { return n.path("keys", "node.pem") }

// join asks the center until it answers: a center that is still starting, or an operator who has yet to decide, is no
// reason to fail.
func (n *Node) join(ctx context.Context, token directory.Token) error {
	pause, told := 300*time.Millisecond, ""
	for {
		cert, err := n.follower.Join(ctx, token, n.currentKeys(), n.profile())
		if err == nil {
			return replaceFile(n.certPath(), cert)
		}
		if !askAgain(err) || ctx.Err() != nil {
			return fmt.Errorf("join the network at %s: %w", token.Center, err)
		}
		if key, _ := errs.KeyOf(err); key != told {
			n.log.WarnContext(ctx, "not joined yet; it will be tried again", slog.String("center", token.Center), slog.Any("error", err),
				slog.String("tls_key", directory.FingerprintText(pki.KeyID(n.keys.TLS.Public()))), slog.String("signing_key", directory.FingerprintText(pki.KeyID(n.keys.Signing.Public()))))
			told = key
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if told == "directory.join_pending" { // a person decides: no hurry
			pause = min(2*pause, 30*time.Second)
		}
	}
}

// askAgain reports whether the center may answer otherwise after a while.
func askAgain(err error) bool {
	kind := errs.KindOf(err)
	return kind == errs.Unavailable || kind == errs.Limited || kind == errs.Internal
}

// profile is what this node tells the directory about itself.
func (n *Node) profile() directory.Profile {
	p := directory.Profile{LinkURL: n.cfg.Link.URL, Subsystems: n.cfg.subsystems(), Maintenance: n.maintenance(), Capabilities: exchange.Capabilities()}
	if n.exchange != nil {
		for _, o := range n.exchange.Offers() {
			kind := "rest"
			if len(o.OpenAPI) > 0 {
				kind = "openapi"
			}
			ends := int64(0)
			if !o.EndsAt.IsZero() {
				ends = o.EndsAt.Unix()
			}
			p.Services = append(p.Services, directory.Service{
				EndsAt: ends, ID: o.ID.String(), Node: n.cfg.ServerID(), Name: i18n.Text(o.Name), Description: i18n.Text(o.Description), Kind: kind, Public: o.Public, Personal: o.Personal,
			})
		}
	}
	if n.evidence != nil {
		p.LogKey = n.evidence.VerifierKey()
	}
	if n.cosigner != nil {
		p.WitnessKey, p.WitnessURL = n.cosigner.VerifierKey(), n.cfg.Link.URL+"/witness"
	}
	if n.audit != nil {
		p.AuditKey = n.audit.Log.VerifierKey()
	}
	return p
}

func (n *Node) linkRoots() *x509.CertPool {
	if doc := n.follower.Document(); doc != nil {
		return doc.CAPool()
	}
	return x509.NewCertPool()
}

// acceptPeer lets a node in only with the key that the directory lists for it.
func (n *Node) acceptPeer(leaf *x509.Certificate) error {
	doc := n.follower.Document()
	if doc == nil {
		return errors.New("no directory")
	}
	id := pki.KeyID(leaf.PublicKey)
	if doc.IsRevoked(id) {
		return errors.New("the key was revoked")
	}
	if doc.Accepts(id) {
		return nil
	}
	// A node that has just joined may be ahead of our copy; the next try finds it.
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := n.follower.RefreshSoon(ctx); err == nil {
		if n.follower.Document().Accepts(id) {
			return nil
		}
	}
	return errors.New("the key is not in the directory")
}

func replaceFile(path string, content []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, content, 0o600); err != nil { //nolint:gosec // a file of the node
		return err
	}
	return os.Rename(tmp, path)
}
