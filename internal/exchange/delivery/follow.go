package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"truc/internal/errs"
	"truc/internal/orgcode"
)

// receiveEvents takes a challenge or a batch for a subsystem of this node, once, in one transaction with its effect.
func (s *Service) receiveEvents(w http.ResponseWriter, r *http.Request, in Incoming) {
	ctx := r.Context()
	var b Batch
	from, err := orgcode.ParseSubsystem(in.Sender)
	if json.Unmarshal(in.Body, &b) != nil || err != nil || len(b.Events) > batchEvents {
		writeError(w, http.StatusBadRequest, "batch")
		return
	}
	to, err := orgcode.ParseService(in.Service)
	service, errService := orgcode.ParseService(b.Service)
	if err != nil || errService != nil || service.Owner() != from { // nobody tells another's events
		writeError(w, http.StatusForbidden, "not_subscribed")
		return
	}
	err = s.Store.InTx(ctx, func(tx Tx) error {
		f, err := s.Store.FollowingOf(ctx, tx, to.Owner().String(), b.Service, b.Type)
		if err != nil {
			return err
		}
		in.State, in.Done, in.Body = Answered, s.Now(), nil
		if in.Answer, err = s.takeBatch(ctx, tx, to.Owner(), f, b); err != nil {
			return err
		}
		_, err = s.Store.AddIn(ctx, tx, in)
		return err
	})
	switch {
	case errs.Is(err, errs.NotFound), errs.Is(err, errs.Denied):
		writeError(w, http.StatusForbidden, "not_subscribed")
	case errs.Is(err, errs.Invalid):
		s.Log.WarnContext(ctx, "events were refused for good", slog.String("service", b.Service), slog.String("type", b.Type), slog.Any("error", err))
		writeError(w, http.StatusBadRequest, "batch")
	case err != nil:
		s.unavailable(w, r, err)
	default:
		writeAnswer(w, in.Answer)
	}
}

// takeBatch confirms a challenge, or gives events to whoever follows them and moves the cursor.
func (s *Service) takeBatch(ctx context.Context, tx Tx, by orgcode.Subsystem, f Following, b Batch) (Answer, error) {
	reply := map[string]any{"after": f.Position}
	f.Moved = s.Now()
	if b.Challenge != "" {
		if b.After > f.Position { // what lies between would be lost
			return Answer{}, errs.E(errs.Denied, "delivery.not_subscribed", nil)
		}
		f.State, f.Subscription, f.Position = "active", b.Subscription, b.After
		reply["challenge"], reply["after"] = b.Challenge, b.After
	} else {
		if f.State != "active" || f.Subscription != b.Subscription {
			return Answer{}, errs.E(errs.Denied, "delivery.not_subscribed", nil)
		}
		fresh := slices.DeleteFunc(slices.Clone(b.Events), func(e WireEvent) bool { return e.Seq <= f.Position })
		s.mu.Lock()
		hear := s.followers[by.Code+" "+b.Type]
		s.mu.Unlock()
		if hear == nil {
			return Answer{}, errors.New("nobody follows these events here any more")
		}
		if len(fresh) > 0 {
			if err := hear(ctx, tx, b.Service, fresh); err != nil {
				return Answer{}, err
			}
			f.Position = fresh[len(fresh)-1].Seq
		}
		reply["after"] = f.Position
	}
	if err := s.Store.PutFollowing(ctx, tx, f); err != nil {
		return Answer{}, err
	}
	body, err := json.Marshal(reply)
	return Answer{Status: http.StatusOK, ContentType: "application/json", Body: body}, err
}
