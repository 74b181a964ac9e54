package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"truc/internal/audit"
	"truc/internal/errs"
	"truc/internal/identity"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/web/manage"
)

// The acts of signing in. An attempt that failed is the act with [failedSuffix].
const (
	actSignIn       = "identity.sign_in"
	actSignOut      = "identity.sign_out"
	actSessionEnded = "identity.session.ended"
	actOperator     = "identity.operator.sign_in"
)

const (
	// strangersAnHour bounds what somebody who is nobody can write into the audit log; the rest is counted.
	strangersAnHour = 60
	// operatorSession is how long a key's use counts as one sign-in: keys have no sessions.
	operatorSession = 12 * time.Hour
	// stranger is the actor of an attempt by nobody that the node knows.
	stranger = "anonymous"
)

// signIns remember which keys were used lately, and how many attempts of strangers were recorded.
type signIns struct {
	mu        sync.Mutex // guards what follows
	used      map[string]time.Time
	window    time.Time
	strange   int
	uncounted int
}

// recordSignIn makes an officer's sign-in, its refusal and its end acts, in the transaction that stores the event.
// Citizens are not in this log: what they see of themselves is their own history.
func (n *Node) recordSignIn(ctx context.Context, tx *storage.Tx, e identity.Event) error {
	if n.audit == nil || e.Principal != reqctx.Officer {
		return nil
	}
	act := audit.Entry{Actor: e.Subject, Object: e.Session}
	switch e.Kind {
	case identity.SignedIn:
		act.Action = actSignIn
	case identity.SignedOut:
		act.Action = actSignOut
	case identity.Refused:
		act.Action, act.Object = actSignIn+failedSuffix, e.Reason
	default:
		act.Action = actSessionEnded
	}
	if act.Actor == "" || strings.ContainsRune(act.Actor, 0) {
		act.Actor = stranger
	}
	return n.audit.Act(ctx, tx, act)
}

// recordFailedSignIn records an attempt of which the provider's answer did not say who it was. Everybody can make such
// attempts, so they are recorded up to a number an hour and counted beyond it.
func (n *Node) recordFailedSignIn(ctx context.Context, kind reqctx.PrincipalKind, fault error) {
	if kind != reqctx.Officer {
		return
	}
	key, _ := errs.KeyOf(fault)
	n.recordStranger(ctx, actSignIn+failedSuffix, key)
}

func (n *Node) recordStranger(ctx context.Context, action, object string) {
	if n.audit == nil {
		return
	}
	ok, before := n.signIns.admit(n.now())
	ctx = context.WithoutCancel(ctx) // the visitor may be gone
	var err error
	if before > 0 {
		err = n.act(ctx, stranger, actSignIn+".more", strconv.Itoa(before))
	}
	if ok {
		err = errors.Join(err, n.act(ctx, stranger, action, object))
	}
	if err != nil {
		n.log.ErrorContext(ctx, "a failed sign-in cannot be recorded", slog.Any("error", err))
	}
}

// admit reports whether one more attempt is recorded, and how many of the hour before were not.
func (s *signIns) admit(now time.Time) (ok bool, before int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.window) >= time.Hour || now.Before(s.window) {
		s.window, s.strange, before, s.uncounted = now, 0, s.uncounted, 0
	}
	if s.strange >= strangersAnHour {
		s.uncounted++
		return false, before
	}
	s.strange++
	return true, before
}

// recordOperator records the first use of an operator's key in [operatorSession], before it opens anything, and that an
// unknown key was tried. Each act by the key is recorded by itself.
func (n *Node) recordOperator(ctx context.Context, by manage.Operator, err error) error {
	switch {
	case n.audit == nil:
		return err
	case errs.Is(err, errs.Unauthenticated) || errs.Is(err, errs.Denied) || errs.Is(err, errs.NotFound):
		key, _ := errs.KeyOf(err)
		n.recordStranger(ctx, actOperator+failedSuffix, key)
		return err
	case err != nil:
		return err
	case slices.Contains(by.Roles, manage.Program): // systems, which do not sign in
		return nil
	}
	if !n.signIns.first(by.ID, n.now()) {
		return nil
	}
	if err := n.act(ctx, by.Actor(), actOperator, by.Label); err != nil {
		n.signIns.forget(by.ID)
		return err
	}
	return nil
}

// first reports whether a key was not used for so long that its use is a sign-in, and notes the use.
func (s *signIns) first(id string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.used[id]
	if s.used == nil {
		s.used = map[string]time.Time{}
	}
	if ok && now.Sub(last) < operatorSession && !now.Before(last) {
		return false
	}
	s.used[id] = now
	return true
}

func (s *signIns) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.used, id)
}
