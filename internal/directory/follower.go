package directory

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/pki"
)

// Level says how far an ageing copy of the document may be trusted (spec D29).
type Level string

// The levels, by the time since the center last confirmed the document.
const (
	Fresh    Level = "fresh"    // up to 10 minutes
	Stale    Level = "stale"    // up to 24 hours: warn
	Degraded Level = "degraded" // up to 7 days: what is known goes on, nothing new
	Expired  Level = "expired"  // stop
)

// FollowerOptions are what a node needs to follow the directory.
type FollowerOptions struct {
	// Dir keeps the document; it is made when missing.
	Dir    string
	Center CenterAPI
	// NodeID and Signing let the node send signs of life; both may be empty.
	NodeID   string
	Signing  crypto.Signer
	Interval time.Duration // between pulls, default 30 s
	// Wait is how long [Follower.Run] lets a center that is an [Awaiter] hold a request, at most [LongestWait]; 0 asks
	// without waiting.
	Wait time.Duration
	// Jitter shortens the pause before a retry, so that a center that comes back is not asked by all in one instant; nil
	// leaves it as it is.
	Jitter func(time.Duration) time.Duration
	Now    func() time.Time
	Log    *slog.Logger
	// OnChange is called with each new document, one call at a time.
	OnChange func(*Document)
}

// Follower keeps a verified copy of the document and brings it up to date. It is safe for concurrent use.
type Follower struct {
	opt FollowerOptions

	pull sync.Mutex // one pull at a time

	mu        sync.RWMutex // guards all below
	doc       *Document
	raw       []byte
	envelope  []byte
	anchor    Anchor
	confirmed time.Time
	lastErr   error
	attempted time.Time
}

// Lacks is what the network's policy demands and this node, by the document, has not told that it can do.
func (f *Follower) Lacks() []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.doc == nil || len(f.doc.Policy.Requires) == 0 {
		return nil
	}
	n, ok := f.doc.Node(f.opt.NodeID)
	if !ok {
		return nil
	}
	return f.doc.Lacks(&n)
}

// Now is the follower's clock.
func (f *Follower) Now() time.Time { return f.opt.Now() }

// followed is what lies in directory.state.json beside the envelope.
type followed struct {
	Instance  string   `json:"instance"`
	KeyIDs    []string `json:"key_ids"`
	Confirmed int64    `json:"confirmed"`
}

const (
	envelopeFile = "directory.json"
	stateFile    = "directory.state.json"
)

// OpenFollower reads the copy in opt.Dir. On the first start it needs the anchor of a join token or of the center
// itself; later the anchor on disk counts and the argument is not looked at.
func OpenFollower(opt FollowerOptions, first Anchor) (f *Follower, err error) {
	defer errs.Wrap(&err, "directory copy in %s", opt.Dir)
	if opt.Interval == 0 {
		opt.Interval = 30 * time.Second
	}
	f = &Follower{opt: opt, anchor: first}
	b, err := os.ReadFile(filepath.Join(opt.Dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		if len(first.KeyIDs) == 0 {
			return nil, errs.E(errs.Unavailable, "directory.not_joined", nil)
		}
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	var st followed
	if err := json.Unmarshal(b, &st); err != nil {
		return nil, err
	}
	f.anchor = Anchor{Instance: st.Instance, KeyIDs: st.KeyIDs}
	f.confirmed = time.Unix(st.Confirmed, 0).UTC()
	env, err := os.ReadFile(filepath.Join(opt.Dir, envelopeFile))
	if err != nil {
		return nil, err
	}
	if f.doc, f.raw, err = f.anchor.Open(env); err != nil {
		return nil, err
	}
	f.envelope, f.anchor = env, f.doc.Anchor()
	return f, nil
}

// Document returns the newest verified document, nil before the first. It is shared: do not alter it.
func (f *Follower) Document() *Document {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.doc
}

// Envelope returns the signed bytes of [Follower.Document].
func (f *Follower) Envelope() []byte {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.envelope
}

// Status is the state of the copy, for health and pages.
type Status struct {
	Level   Level
	Version int64
	Nodes   int
	// Confirmed is when the center last said, signed, that this is its newest.
	Confirmed time.Time
	ExpiresAt time.Time
	// Fault is why the last pull failed, nil when it did not.
	Fault error
}

// Status returns the state of the copy.
func (f *Follower) Status() Status {
	f.mu.RLock()
	defer f.mu.RUnlock()
	st := Status{Level: Expired, Confirmed: f.confirmed, Fault: f.lastErr}
	if f.doc == nil {
		return st
	}
	st.Version, st.Nodes, st.ExpiresAt = f.doc.Version, len(f.doc.Nodes), time.Unix(f.doc.ExpiresAt, 0).UTC()
	now := f.opt.Now()
	switch age := now.Sub(f.confirmed); {
	case now.After(st.ExpiresAt) || age > Lifetime:
		if f.doc.Policy.ContinueExpired {
			st.Level = Degraded
		}
	case age <= 10*time.Minute:
		st.Level = Fresh
	case age <= 24*time.Hour:
		st.Level = Stale
	default:
		st.Level = Degraded
	}
	return st
}

// Accept takes an envelope that came with a reply of the center, under the same rules as a pull, except that one
// older than the copy is left aside without a fault: a pull may have overtaken the reply. The time of issue counts as
// confirmation.
func (f *Follower) Accept(env []byte) error {
	f.pull.Lock()
	defer f.pull.Unlock()
	err := f.accept(env)
	if errors.Is(err, errOlder) {
		return nil
	}
	return err
}

var errOlder = errors.New("the document is older than the copy")

func (f *Follower) accept(env []byte) error {
	f.mu.RLock()
	anchor, old, oldRaw := f.anchor, f.doc, f.raw
	f.mu.RUnlock()
	doc, raw, err := anchor.Open(env)
	if err != nil {
		return errs.E(errs.Denied, "directory.document_refused", err)
	}
	if f.opt.Now().Unix() > doc.ExpiresAt {
		return errs.E(errs.Denied, "directory.document_expired", nil)
	}
	if old != nil {
		switch {
		case doc.Version < old.Version:
			return errs.E(errs.Denied, "directory.document_older", errOlder)
		case doc.Version == old.Version && Hash(raw) != Hash(oldRaw):
			// Two documents of one version, both signed: the center, or whoever holds its key, tells two stories.
			return errs.E(errs.Denied, "directory.document_forked", nil)
		case doc.Version == old.Version+1 && doc.Prev != Hash(oldRaw):
			return errs.E(errs.Denied, "directory.document_forked", nil)
		}
	}
	confirmed := time.Unix(doc.IssuedAt, 0).UTC()
	f.mu.Lock()
	if f.confirmed.After(confirmed) {
		confirmed = f.confirmed
	}
	f.mu.Unlock()
	if err := f.save(env, doc.Anchor(), confirmed); err != nil {
		return err
	}
	f.mu.Lock()
	changed := f.doc == nil || f.doc.Version != doc.Version
	f.doc, f.raw, f.envelope, f.anchor, f.confirmed = doc, raw, env, doc.Anchor(), confirmed
	f.mu.Unlock()
	if changed && f.opt.OnChange != nil {
		f.opt.OnChange(doc)
	}
	return nil
}

// Refresh pulls once.
func (f *Follower) Refresh(ctx context.Context) error {
	f.pull.Lock()
	defer f.pull.Unlock()
	return f.refresh(ctx)
}

// RefreshSoon pulls unless one was tried in the last few seconds; for a peer or key that the copy does not know.
func (f *Follower) RefreshSoon(ctx context.Context) error {
	f.pull.Lock()
	defer f.pull.Unlock()
	f.mu.RLock()
	recent := f.opt.Now().Sub(f.attempted) < 5*time.Second
	f.mu.RUnlock()
	if recent {
		return nil
	}
	return f.refresh(ctx)
}

func (f *Follower) refresh(ctx context.Context) (err error) {
	defer func() { f.note(err) }()
	hash, poll := f.question(ctx)
	env, cur, err := f.opt.Center.Document(ctx, hash, poll)
	if err != nil {
		return err
	}
	return f.settle(hash, env, cur)
}

func (f *Follower) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastErr, f.attempted = err, f.opt.Now()
}

// question is what a pull says: the hash of the copy, and the node's sign of life.
func (f *Follower) question(ctx context.Context) (hash, poll string) {
	f.mu.RLock()
	if f.raw != nil {
		hash = Hash(f.raw)
	}
	f.mu.RUnlock()
	if signing := f.signing(); f.opt.NodeID != "" && signing != nil {
		var err error
		if poll, err = NewPoll(f.opt.NodeID, signing, f.opt.Now()); err != nil { // a key in a device may be away: the node goes on reading
			f.opt.Log.DebugContext(ctx, "no sign of life without the signing key", slog.String("error", err.Error()))
		}
	}
	return hash, poll
}

// settle takes the answer to a question about the copy with this hash. While the question was held the copy may have
// moved on by a reply of the center: an answer that is behind it is then no fault.
func (f *Follower) settle(asked string, env []byte, cur Current) error {
	if env != nil {
		if err := f.accept(env); err != nil {
			if errors.Is(err, errOlder) && f.movedFrom(asked) {
				return nil
			}
			return err
		}
	} else if f.movedFrom(asked) {
		return nil
	}
	return f.confirm(cur)
}

func (f *Follower) movedFrom(hash string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.raw != nil && Hash(f.raw) != hash
}

// confirm believes the center's statement that the copy is its newest, when it is signed and about this very copy.
func (f *Follower) confirm(cur Current) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.doc == nil || cur.Hash != Hash(f.raw) {
		return errs.E(errs.Denied, "directory.document_refused", errors.New("the center's statement is about another document"))
	}
	at, err := cur.verify(f.doc)
	if err != nil {
		return errs.E(errs.Denied, "directory.document_refused", err)
	}
	if now := f.opt.Now().UTC(); at.After(now) {
		at = now // a center whose clock is ahead cannot make a copy fresher than now
	}
	if !at.After(f.confirmed) {
		return nil
	}
	// The disk copy of this time may lag a minute; after a restart the level is then at worst too strict.
	if at.Sub(f.confirmed) >= time.Minute {
		if err := f.save(nil, f.anchor, at); err != nil {
			return err
		}
	}
	f.confirmed = at
	return nil
}

// save keeps the copy on disk; the envelope first, so that the state never speaks of a document that is not there.
func (f *Follower) save(env []byte, a Anchor, confirmed time.Time) error {
	if err := os.MkdirAll(f.opt.Dir, 0o700); err != nil {
		return err
	}
	if env != nil {
		if err := replaceFile(filepath.Join(f.opt.Dir, envelopeFile), env); err != nil {
			return err
		}
	}
	b, err := json.Marshal(followed{Instance: a.Instance, KeyIDs: a.KeyIDs, Confirmed: confirmed.Unix()})
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(f.opt.Dir, stateFile), b)
}

func replaceFile(path string, b []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // fails after the rename, as it should
	_, werr := tmp.Write(b)
	if err := errors.Join(werr, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Join joins the network: it asks the center with a token and returns the node's certificate, after checking it
// against the signed document. The follower then holds that document. While an operator of the center has yet to
// decide the answer is Unavailable, directory.join_pending: ask again with the same keys.
func (f *Follower) Join(ctx context.Context, t Token, k Keys, p Profile) (certPEM []byte, err error) {
	req, err := NewJoin(t, k, p, f.opt.Now())
	if err != nil {
		return nil, err
	}
	reply, err := f.opt.Center.Join(ctx, req)
	if err != nil {
		return nil, err
	}
	if reply.Pending {
		return nil, errs.E(errs.Unavailable, "directory.join_pending", nil)
	}
	return f.take(reply, t.Node, k)
}

// RenewIfDue asks for a new certificate when two thirds of the life of certPEM are over, and returns it; nil when
// there is nothing to do.
func (f *Follower) RenewIfDue(ctx context.Context, certPEM []byte, node string, k Keys) ([]byte, error) {
	certs, err := pki.DecodePEM(certPEM)
	if err != nil {
		return nil, err
	}
	life := certs[0].NotAfter.Sub(certs[0].NotBefore)
	if f.opt.Now().Before(certs[0].NotBefore.Add(life * 2 / 3)) {
		return nil, nil
	}
	return f.renew(ctx, node, k)
}

// renew asks the center for a certificate for these keys and keeps the document that comes with it.
func (f *Follower) renew(ctx context.Context, node string, k Keys) (certPEM []byte, err error) {
	req, err := NewRenewal(f.instance(), node, k, f.opt.Now())
	if err != nil {
		return nil, err
	}
	reply, err := f.opt.Center.Renew(ctx, req)
	if err != nil {
		return nil, err
	}
	return f.take(reply, node, k)
}

// Publish tells the center what the node offers.
func (f *Follower) Publish(ctx context.Context, node string, k Keys, p Profile) error {
	req, err := NewServicesUpdate(f.instance(), node, k, p, f.opt.Now())
	if err != nil {
		return err
	}
	env, err := f.opt.Center.Publish(ctx, req)
	if err != nil {
		return err
	}
	return f.Accept(env)
}

func (f *Follower) instance() string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.anchor.Instance
}

// take believes a certificate only when the signed document names it for this node and the key is ours.
func (f *Follower) take(reply *Reply, node string, k Keys) ([]byte, error) {
	if err := f.Accept(reply.Envelope); err != nil {
		return nil, err
	}
	certs, err := pki.DecodePEM([]byte(reply.Certificate))
	if err != nil {
		return nil, err
	}
	n, ok := f.Document().Node(node)
	if !ok || n.Certificate != pki.Fingerprint(certs[0]) || n.TLSKeyID != pki.KeyID(k.TLS.Public()) || pki.KeyID(certs[0].PublicKey) != n.TLSKeyID {
		return nil, errs.E(errs.Denied, "directory.reply_refused", nil)
	}
	return []byte(reply.Certificate), nil
}
