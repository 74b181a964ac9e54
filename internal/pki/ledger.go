package pki

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
)

// Revocation says when and why a certificate was withdrawn. Reason is a CRLReason of RFC 5280 §5.3.1.
type Revocation struct {
	At     time.Time
	Reason int
}

// Reasons of revocation (RFC 5280 §5.3.1).
const (
	ReasonUnspecified          = 0
	ReasonKeyCompromise        = 1
	ReasonCACompromise         = 2
	ReasonAffiliationChanged   = 3
	ReasonSuperseded           = 4
	ReasonCessationOfOperation = 5
	reasonUnused               = 7
	reasonLast                 = 10
)

const (
	issuedFile  = "issued.txt"
	revokedFile = "revoked.json"
)

// ledger is what the development authority issued (issued.txt, a serial number a line) and withdrew (revoked.json).
// Several processes may use one folder: a number that is not found is looked for on the disk again.
type ledger struct {
	dir     string
	mu      sync.Mutex
	issued  map[string]bool
	revoked map[string]Revocation
	seen    time.Time // when revoked.json was last changed, as far as we have read it
}

type revokedEntry struct {
	Serial string `json:"serial"`
	At     int64  `json:"at"` // Unix seconds
	Reason int    `json:"reason"`
}

func (l *ledger) load() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reload()
}

// reload reads both files; l.mu is held.
func (l *ledger) reload() error {
	issued, revoked := map[string]bool{}, map[string]Revocation{}
	b, err := os.ReadFile(filepath.Join(l.dir, issuedFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(b)) {
		issued[strings.TrimSpace(line)] = true
	}
	if info, err := os.Stat(filepath.Join(l.dir, revokedFile)); err == nil {
		l.seen = info.ModTime()
	}
	b, err = os.ReadFile(filepath.Join(l.dir, revokedFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		var list []revokedEntry
		if err := json.Unmarshal(b, &list); err != nil {
			return errs.E(errs.Invalid, "pki.ledger_unreadable", err, "file", revokedFile)
		}
		for _, e := range list {
			revoked[e.Serial] = Revocation{At: time.Unix(e.At, 0).UTC(), Reason: e.Reason}
		}
	}
	l.issued, l.revoked = issued, revoked
	return nil
}

func serialText(n *big.Int) string { return n.Text(16) }

func (l *ledger) noteIssued(serial *big.Int) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := serialText(serial)
	if l.issued[s] {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(l.dir, issuedFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// One write of a short line: lines of two processes do not mix (O_APPEND).
	_, err = f.WriteString(s + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		l.issued[s] = true
	}
	return err
}

func (l *ledger) wasIssued(serial *big.Int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := serialText(serial)
	if !l.issued[s] {
		_ = l.reload() // another process may have issued it; if the disk fails, it stays unknown
	}
	return l.issued[s]
}

func (l *ledger) revocation(serial *big.Int) (Revocation, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh()
	r, ok := l.revoked[serialText(serial)]
	return r, ok
}

func (l *ledger) all() map[string]Revocation {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh()
	return maps.Clone(l.revoked)
}

// refresh reads again what another process changed; if the disk fails, the last known state stands. l.mu is held.
func (l *ledger) refresh() {
	if info, err := os.Stat(filepath.Join(l.dir, revokedFile)); err == nil && !info.ModTime().Equal(l.seen) {
		_ = l.reload()
	}
}

// Revoke withdraws a certificate as of at, for good: revoking it again changes nothing. It is durable when the call
// returns. A certificate that this authority did not issue is an [errs.NotFound] error.
func (d *DocumentCA) Revoke(serial *big.Int, at time.Time, reason int) (err error) {
	defer errs.Wrap(&err, "revoke certificate")
	if reason < 0 || reason > reasonLast || reason == reasonUnused {
		return errs.E(errs.Invalid, "pki.revocation_reason", fmt.Errorf("reason %d", reason))
	}
	if !d.book.wasIssued(serial) {
		return errs.E(errs.NotFound, "pki.not_issued", nil)
	}
	l := &d.book
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.reload(); err != nil {
		return err
	}
	if _, done := l.revoked[serialText(serial)]; done {
		return nil
	}
	l.revoked[serialText(serial)] = Revocation{At: at.UTC().Truncate(time.Second), Reason: reason}
	var list []revokedEntry
	for s, r := range l.revoked {
		list = append(list, revokedEntry{Serial: s, At: r.At.Unix(), Reason: r.Reason})
	}
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(l.dir, revokedFile), append(b, '\n'))
}

// replaceFile writes a file atomically and durably, in place of an older one.
func replaceFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it has its final name by then
	if _, err := bytes.NewReader(content).WriteTo(tmp); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
