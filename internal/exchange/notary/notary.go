// Package notary has the checkpoints of a node's logs confirmed by others: witnesses cosign that the log only grew (C2SP
// tlog-witness, spec §4.6), and a time-stamp authority says by when a tree existed (RFC 3161, spec §4.7). Because the tree
// only grows, one cosignature or token covers every entry before it: there is no backlog to work off after an outage.
//
// It knows logs and checkpoints, not what the entries mean. A failing witness or authority never stops anything; how long
// a log has gone without is shown by [Notary.State]. A witness that refuses a proof has proof of two histories: that is an
// incident for the administrator.
package notary

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/errs"
	"truc/internal/sign"
	"truc/internal/translog"
)

// Log is a log whose checkpoints are confirmed; *translog.Log is one.
type Log interface {
	Origin() string
	VerifierKey() string
	// Size is the number of entries, Checkpoint a signed note about all that are on the disk.
	Size() int64
	Checkpoint() ([]byte, error)
	Consistency(older, newer int64) ([]tlog.Hash, error)
}

// WitnessPeer is a witness that may be asked.
type WitnessPeer struct {
	// Node is its identifier, Key the verifier key of its cosignatures, URL the prefix of add-checkpoint.
	Node, Key, URL string
}

// Courier brings an add-checkpoint request to a witness. An error means that there was no answer.
type Courier interface {
	AddCheckpoint(ctx context.Context, w WitnessPeer, body []byte) (translog.WitnessAnswer, error)
}

// Row is a checkpoint with what others said about it.
type Row struct {
	Origin string
	Size   int64
	// Note is the checkpoint with its cosignatures, Witnesses their number.
	Note      []byte
	Witnesses int
	At        time.Time
	// Token is the RFC 3161 token over the note as the log alone signed it; nil when there is none. Authority says who
	// gave it, StampedAt what time it states.
	Token     []byte
	Authority string
	StampedAt time.Time
}

// Incident kinds.
const (
	// Fork: a witness was shown two histories of this log, or this node as a witness saw two of another's.
	Fork = "fork"
	// Rollback: a witness has cosigned a larger tree than this log has now.
	Rollback = "rollback"
	// Damage: the entries of a log are not those that its tree was made of.
	Damage = "damage"
)

// Incident is something that must not happen; it is kept until a person has looked.
type Incident struct {
	Kind, Origin, Peer string
	Detail             string
	First, Last        time.Time
	Count              int64
}

// Store keeps checkpoints and incidents.
type Store interface {
	// SaveCheckpoint adds a row or replaces note, witnesses, token of one that is there.
	SaveCheckpoint(ctx context.Context, r Row) error
	// Latest returns the newest row of a log; NotFound when there is none.
	Latest(ctx context.Context, origin string) (Row, error)
	// LatestStamped returns the newest row with a token; NotFound when there is none.
	LatestStamped(ctx context.Context, origin string) (Row, error)
	// StampedSince returns the times of the tokens that an authority gave for a log from a time on.
	StampedSince(ctx context.Context, origin, authority string, since time.Time) ([]time.Time, error)
	// Covering returns the first row with a token whose tree holds the entry; NotFound when there is none.
	Covering(ctx context.Context, origin string, index int64) (Row, error)
	// Thin removes rows without a token that are older than before, except the newest.
	Thin(ctx context.Context, origin string, before time.Time) error
	// Report adds an incident, or counts one more of the same kind, log and peer.
	Report(ctx context.Context, i Incident) error
	// Incidents lists them, the newest first.
	Incidents(ctx context.Context) ([]Incident, error)
}

// Authority is a time-stamp authority.
type Authority struct {
	Name   string
	Client sign.Timestamper
	// Roots are the PEM certificates that the authority's certificate leads to, for evidence packages.
	Roots []byte
	// Allowance bounds the tokens that are taken of it; nil does not.
	Allowance *Allowance
}

// Notary confirms the checkpoints of one log. It is safe for concurrent use.
type Notary struct {
	Log   Log
	Store Store
	// Witnesses lists the witnesses that may be asked now, the preferred first; Want is how many shall cosign.
	Witnesses func() []WitnessPeer
	Want      int
	Courier   Courier
	// Authorities are asked in order until one answers.
	Authorities []Authority
	// Every is the time between time-stamps, Round that between rounds of the witnesses.
	Every, Round time.Duration
	Now          func() time.Time
	Logger       *slog.Logger

	round sync.Mutex // one round of witnesses at a time
	stamp sync.Mutex // one time-stamp at a time

	mu        sync.Mutex // guards all below
	known     map[string]int64
	witnessed progress
	stamped   progress
	failed    map[string]string // by witness or authority: the last error
}

// progress tells how far a log is confirmed.
type progress struct {
	size  int64
	at    time.Time // when that size was confirmed
	since time.Time // since when there is something unconfirmed; zero when there is nothing
}

// RootsOf returns the PEM certificates of an authority by its name; nil when it is no longer configured.
func (n *Notary) RootsOf(authority string) []byte {
	for _, a := range n.Authorities {
		if a.Name == authority {
			return a.Roots
		}
	}
	return nil
}

// Confirmed returns the newest checkpoint that was cosigned or time-stamped and holds entry i; NotFound when there is
// none.
func (n *Notary) Confirmed(ctx context.Context, i int64) (Row, error) {
	r, err := n.Covering(ctx, i)
	if !errs.Is(err, errs.NotFound) {
		return r, err
	}
	r, err = n.Store.Latest(ctx, n.Log.Origin())
	if err == nil && (r.Size <= i || r.Witnesses == 0) {
		err = errs.E(errs.NotFound, "exchange.checkpoint_none", nil)
	}
	return r, err
}

// State is how far a log is confirmed.
type State struct {
	Origin string
	Size   int64
	// WitnessedSize and StampedSize are the sizes of the newest trees that enough witnesses cosigned and that were
	// time-stamped; the times are when.
	WitnessedSize, StampedSize int64
	WitnessedAt, StampedAt     time.Time
	// Unwitnessed and Untimestamped say for how long there have been entries that are not covered.
	Unwitnessed, Untimestamped time.Duration
	// Failures are the last errors by witness or authority.
	Failures map[string]string
	Want     int
}

// Start reads where the log stood before the process began.
func (n *Notary) Start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known, n.failed = map[string]int64{}, map[string]string{}
	if err := n.countTaken(ctx); err != nil {
		return err
	}
	now := n.Now()
	for p, load := range map[*progress]func(context.Context, string) (Row, error){&n.witnessed: n.Store.Latest, &n.stamped: n.Store.LatestStamped} {
		r, err := load(ctx, n.Log.Origin())
		switch {
		case errs.Is(err, errs.NotFound):
		case err != nil:
			return err
		case p == &n.stamped:
			p.size, p.at = r.Size, r.StampedAt
		case r.Witnesses >= n.Want:
			p.size, p.at = r.Size, r.At
		}
		p.see(n.Log.Size(), now)
		if !p.since.IsZero() && !p.at.IsZero() {
			p.since = p.at // something came after it, at the earliest at once
		}
	}
	return nil
}

// see notes that the log has a size.
func (p *progress) see(size int64, now time.Time) {
	if size > p.size && p.since.IsZero() {
		p.since = now
	}
}

// reach notes that a size is confirmed.
func (p *progress) reach(size, total int64, now time.Time) {
	if size < p.size {
		return
	}
	p.size, p.at, p.since = size, now, time.Time{}
	p.see(total, now)
}

func (p *progress) waiting(now time.Time) time.Duration {
	if p.since.IsZero() {
		return 0
	}
	return max(0, now.Sub(p.since))
}

// State tells how far the log is confirmed.
func (n *Notary) State() State {
	size, now := n.Log.Size(), n.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.witnessed.see(size, now)
	n.stamped.see(size, now)
	s := State{
		Origin: n.Log.Origin(), Size: size, Want: n.Want, WitnessedSize: n.witnessed.size, WitnessedAt: n.witnessed.at, StampedSize: n.stamped.size, StampedAt: n.stamped.at,
		Unwitnessed: n.witnessed.waiting(now), Untimestamped: n.stamped.waiting(now), Failures: map[string]string{},
	}
	maps.Copy(s.Failures, n.failed)
	return s
}

func (n *Notary) outcome(ctx context.Context, who string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		delete(n.failed, who)
		return
	}
	if n.failed[who] == "" { // said once, not every few seconds
		n.Logger.WarnContext(ctx, "checkpoint was not confirmed", slog.String("log", n.Log.Origin()), slog.String("by", who), slog.String("error", err.Error()))
	}
	n.failed[who] = err.Error()
}

// Run asks witnesses and authorities until ctx ends.
func (n *Notary) Run(ctx context.Context) error {
	witnesses, stamps := time.NewTicker(n.Round), time.NewTicker(n.Every)
	defer witnesses.Stop()
	defer stamps.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-witnesses.C:
			err = n.Cosign(ctx)
		case <-stamps.C:
			err = n.Stamp(ctx)
		}
		if err != nil && ctx.Err() == nil {
			n.Logger.WarnContext(ctx, "checkpoint cannot be confirmed", slog.String("log", n.Log.Origin()), slog.String("error", err.Error()))
		}
	}
}

// Cosign has the witnesses cosign a checkpoint of the log as it is now, unless enough have. That witnesses are away is
// not an error; it shows in [Notary.State].
func (n *Notary) Cosign(ctx context.Context) (err error) {
	defer errs.Wrap(&err, "witness %s", n.Log.Origin())
	n.round.Lock()
	defer n.round.Unlock()
	n.State() // notes the size
	n.mu.Lock()
	done := n.witnessed.size == n.Log.Size()
	n.mu.Unlock()
	if done {
		return nil
	}
	row, err := n.checkpoint(ctx)
	if err != nil || row.Size == 0 {
		return err
	}
	asked := 0
	for _, w := range n.Witnesses() {
		if row.Witnesses >= n.Want || ctx.Err() != nil {
			break
		}
		if _, err := translog.VerifyCosignature(row.Note, w.Key); err == nil {
			continue // it is counted already
		}
		asked++
		cosigned, err := n.ask(ctx, w, row)
		n.outcome(ctx, w.Node, err)
		if err != nil {
			continue
		}
		row.Note = cosigned
		row.Witnesses++
	}
	if asked > 0 {
		if err := n.save(ctx, row); err != nil {
			return err
		}
	}
	if row.Witnesses >= n.Want && n.Want > 0 {
		n.mu.Lock()
		n.witnessed.reach(row.Size, n.Log.Size(), n.Now())
		n.mu.Unlock()
	}
	return n.Store.Thin(ctx, n.Log.Origin(), n.Now().Add(-time.Hour))
}

// checkpoint returns the row of the log's newest checkpoint, with the cosignatures that it has.
func (n *Notary) checkpoint(ctx context.Context) (Row, error) {
	msg, err := n.Log.Checkpoint()
	if err != nil {
		return Row{}, err
	}
	c, err := translog.VerifyCheckpoint(msg, n.Log.VerifierKey())
	if err != nil {
		return Row{}, err
	}
	row := Row{Origin: n.Log.Origin(), Size: c.Size, Note: msg, At: n.Now()}
	if have, err := n.Store.Latest(ctx, row.Origin); err == nil && have.Size == c.Size {
		if bare, err := translog.StripCosignatures(have.Note, n.Log.VerifierKey()); err == nil && string(bare) == string(msg) {
			return have, nil
		}
	} else if err != nil && !errs.Is(err, errs.NotFound) {
		return Row{}, err
	}
	return row, nil
}

// save keeps what a row gained, together with what another task may have added to it meanwhile.
func (n *Notary) save(ctx context.Context, r Row) error { return n.Store.SaveCheckpoint(ctx, r) }

// ask sends a checkpoint to a witness and returns it with the cosignature. A witness that remembers another size says so
// once, and is asked again from there.
func (n *Notary) ask(ctx context.Context, w WitnessPeer, row Row) ([]byte, error) {
	n.mu.Lock()
	old := n.known[w.Node]
	n.mu.Unlock()
	for range 2 {
		if old > row.Size {
			return nil, n.incident(ctx, Rollback, w, fmt.Sprintf("the witness has cosigned %d entries, the log has %d", old, row.Size))
		}
		proof, err := n.Log.Consistency(old, row.Size)
		if err != nil {
			return nil, err
		}
		bare, err := translog.StripCosignatures(row.Note, n.Log.VerifierKey())
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		a, err := n.Courier.AddCheckpoint(ctx, w, translog.AddCheckpoint{Old: old, Proof: proof, Note: bare}.Marshal())
		cancel()
		if err != nil {
			return nil, err
		}
		switch a.Status {
		case http.StatusOK:
			cosigned, err := translog.AddCosignatures(row.Note, a.Body, w.Key)
			if err == nil {
				n.mu.Lock()
				n.known[w.Node] = row.Size
				n.mu.Unlock()
			}
			return cosigned, err
		case http.StatusConflict:
			size, err := strconv.ParseInt(strings.TrimSuffix(string(a.Body), "\n"), 10, 64)
			if err != nil || size < 0 {
				return nil, errors.New("the witness's conflict names no size")
			}
			if size == old && size == row.Size {
				return nil, n.incident(ctx, Fork, w, fmt.Sprintf("the witness has cosigned another tree of %d entries", size))
			}
			old = size
		case http.StatusUnprocessableEntity:
			return nil, n.incident(ctx, Fork, w, fmt.Sprintf("the witness found that the tree of %d entries does not continue that of %d", row.Size, old))
		default:
			return nil, fmt.Errorf("the witness answers %d", a.Status)
		}
	}
	return nil, errors.New("the witness changes its mind about the size")
}

func (n *Notary) incident(ctx context.Context, kind string, w WitnessPeer, detail string) error {
	now := n.Now()
	n.Logger.ErrorContext(ctx, "a witness contradicts the log", slog.String("log", n.Log.Origin()), slog.String("witness", w.Node), slog.String("detail", detail))
	err := n.Store.Report(ctx, Incident{Kind: kind, Origin: n.Log.Origin(), Peer: w.Node, Detail: detail, First: now, Last: now, Count: 1})
	return errors.Join(errors.New(detail), err)
}

// Stamp time-stamps the log as it is now, unless its newest tree has a token. Unavailable when no authority answers.
func (n *Notary) Stamp(ctx context.Context) (err error) {
	defer errs.Wrap(&err, "time-stamp %s", n.Log.Origin())
	n.stamp.Lock()
	defer n.stamp.Unlock()
	n.State() // notes the size
	n.mu.Lock()
	done := n.stamped.size == n.Log.Size() && n.stamped.size > 0
	n.mu.Unlock()
	if done || n.Log.Size() == 0 {
		return nil
	}
	row, err := n.checkpoint(ctx)
	if err != nil || row.Size == 0 {
		return err
	}
	bare, err := translog.StripCosignatures(row.Note, n.Log.VerifierKey())
	if err != nil {
		return err
	}
	digest := sha256.Sum256(bare)
	err = errs.E(errs.Unavailable, "sign.tsa_unavailable", errors.New("no time-stamp authority is configured"))
	for _, a := range n.Authorities {
		var token []byte
		if token, err = n.askAuthority(ctx, a, digest[:]); err != nil {
			continue
		}
		row.Token, row.Authority = token, a.Name
		if row.StampedAt, err = sign.TimestampTime(token); err != nil {
			continue
		}
		if err := n.save(ctx, row); err != nil {
			return err
		}
		n.mu.Lock()
		n.stamped.reach(row.Size, n.Log.Size(), n.Now())
		n.mu.Unlock()
		return nil
	}
	return err
}

var errAllowance = errors.New("the tokens that may be taken of it in a day are used up")

func (n *Notary) askAuthority(ctx context.Context, a Authority, digest []byte) ([]byte, error) {
	now := n.Now()
	if !a.Allowance.take(now) {
		n.outcome(ctx, a.Name, errAllowance)
		return nil, errs.E(errs.Unavailable, "sign.tsa_unavailable", errAllowance)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	token, err := a.Client.Timestamp(ctx, digest)
	if err != nil {
		a.Allowance.giveBack(now)
	}
	n.outcome(ctx, a.Name, err)
	return token, err
}

// Covering returns the first time-stamped checkpoint whose tree holds entry i; when there is none yet it asks for a
// time-stamp now. NotFound when no authority answers either.
func (n *Notary) Covering(ctx context.Context, i int64) (Row, error) {
	r, err := n.Store.Covering(ctx, n.Log.Origin(), i)
	if !errs.Is(err, errs.NotFound) {
		return r, err
	}
	if err := n.Cosign(ctx); err != nil {
		return Row{}, err
	}
	if err := n.Stamp(ctx); err != nil {
		if errs.Is(err, errs.Unavailable) {
			return Row{}, errs.E(errs.NotFound, "exchange.evidence_untimestamped", err)
		}
		return Row{}, err
	}
	return n.Store.Covering(ctx, n.Log.Origin(), i)
}
