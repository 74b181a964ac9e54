package translog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"truc/internal/errs"
)

// Minimum returns the index of the first entry that has not been pruned.
func (l *Log) Minimum() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pruned
}

// Pruned returns the signed statement about what was pruned and why, or nil when nothing was; see [VerifyPruned].
func (l *Log) Pruned() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.pruneNote)
}

// Prune removes the payloads of all closed segments that end at or below limit. Their hashes stay, so every proof about
// any entry goes on; [Log.Entry] answers [ErrPruned]. Before anything goes, a signed statement of the new minimum and
// of the policy is on the disk, so that what is missing by policy can be told from what was taken away. It returns the
// new minimum.
func (l *Log) Prune(limit int64, policy string) (minimum int64, err error) {
	defer errs.Wrap(&err, "prune")
	if policy == "" || strings.ContainsAny(policy, "\r\n") || len(policy) > 1024 {
		return 0, errors.New("a policy is one line of text")
	}
	l.tidyMu.Lock()
	defer l.tidyMu.Unlock()
	signed, err := l.signUpTo(limit)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return l.pruned, err
	}
	minimum = l.pruned
	for _, s := range l.segments[:len(l.segments)-1] {
		if s.end > min(limit, signed) {
			break
		}
		minimum = s.end
	}
	if minimum == l.pruned {
		return minimum, nil
	}
	text := fmt.Sprintf("%s\n%s\n%d\n%d\n%s\n", pruneDomain, l.opt.Origin, minimum, l.opt.Now().Unix(), policy)
	msg, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		return l.pruned, err
	}
	if err := l.hashes.Sync(); err != nil { // they can no longer be computed from the entries
		return l.pruned, err
	}
	if err := writeFileDurable(l.opt.Dir, prunedName, msg, l.opt.NoSync); err != nil {
		return l.pruned, err
	}
	l.pruned, l.pruneNote = minimum, msg
	return minimum, l.finishPrune()
}

// signUpTo returns the size of the signed tree, and signs a larger one first when it ends below limit. Open believes the
// stored hashes of entries that are gone only below a signed size, so nothing beyond it may be pruned.
func (l *Log) signUpTo(limit int64) (int64, error) {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	if l.signedSize < limit {
		if _, err := l.checkpointLocked(); err != nil {
			return 0, err
		}
	}
	return l.signedSize, nil
}

// finishPrune removes what the statement says is gone.
func (l *Log) finishPrune() error {
	for len(l.segments) > 1 && l.segments[1].first <= l.pruned {
		s := l.segments[0]
		if !l.readOnly {
			if s.stub != nil {
				if err := removeIfThere(filepath.Join(l.opt.ArchiveDir, s.stub.file)); err != nil {
					return err
				}
				if err := removeIfThere(filepath.Join(l.opt.Dir, segmentName(s.first)+stubSuffix)); err != nil {
					return err
				}
			}
			if err := removeIfThere(filepath.Join(l.opt.Dir, segmentName(s.first))); err != nil {
				return err
			}
		}
		l.segments = l.segments[1:]
	}
	if l.readOnly {
		return nil
	}
	return syncDir(l.opt.Dir, l.opt.NoSync)
}

func (l *Log) loadPruned() error {
	msg, err := os.ReadFile(filepath.Join(l.opt.Dir, prunedName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, vkey := range slices.Concat([]string{l.vkey}, l.opt.PreviousKeys, l.opt.Continues) {
		if p, err := VerifyPruned(msg, vkey); err == nil {
			l.pruned, l.pruneNote = p.Minimum, msg
			return nil
		}
	}
	return fmt.Errorf("%w: statement of what was pruned", ErrDamaged)
}

// PruneStatement is what a log says about entries it no longer holds.
type PruneStatement struct {
	Origin string
	// Minimum is the index of the first entry that is still there, At the Unix time of the statement.
	Minimum, At int64
	// Policy is the rule under which the entries were removed.
	Policy string
}

// VerifyPruned checks a signed statement of pruning against the key of the log.
func VerifyPruned(msg []byte, vkey string) (p PruneStatement, err error) {
	if len(msg) > maxNote {
		return p, ErrNote
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return p, fmt.Errorf("%w: verifier key: %w", ErrNote, err)
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrNote, err)
	}
	f := strings.Split(n.Text, "\n")
	if len(f) != 6 || f[0] != pruneDomain || f[1] != v.Name() || f[5] != "" {
		return p, fmt.Errorf("%w: not a statement of pruning", ErrNote)
	}
	p.Origin, p.Policy = f[1], f[4]
	if p.Minimum, err = parseDecimal(f[2]); err == nil {
		p.At, err = parseDecimal(f[3])
	}
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrNote, err)
	}
	return p, nil
}
