package oversight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"truc/internal/errs"
)

const (
	// atOnce bounds how many agencies are asked at the same time.
	atOnce = 8
	// callTimeout bounds one question; an agency that is away must not hold up the round.
	callTimeout = 10 * time.Second
	activity    = "oversight"
	basis       = "Điều 19 Nghị định 224/2026/NĐ-CP"
)

// Pull makes sure that every agency tells its facts, which come by themselves from then on ([Service.Take]), and asks for
// what it offers. An agency that does not answer is recorded as silent and stops nobody else; the error is about our own
// store only.
func (s *Service) Pull(ctx context.Context) (err error) {
	defer errs.Wrap(&err, "pull facts")
	health, err := s.Store.Health(ctx)
	if err != nil {
		return err
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		all  []error
		slot = make(chan struct{}, atOnce)
	)
	for _, a := range s.Agencies() {
		wg.Go(func() {
			select {
			case slot <- struct{}{}:
				defer func() { <-slot }()
			case <-ctx.Done():
				return
			}
			if err := s.pullAgency(ctx, a, health[a.Code]); err != nil {
				mu.Lock()
				all = append(all, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil // the node is going down; nobody is silent because of that
	}
	return errors.Join(all...)
}

// pullAgency brings one agency up to date and records how it went. Its error is one of the store.
func (s *Service) pullAgency(ctx context.Context, a Agency, h Health) error {
	fault, err := s.ask(ctx, a)
	if err != nil || ctx.Err() != nil {
		return err
	}
	if fault == nil {
		if h.Silent() {
			s.Log.InfoContext(ctx, "an agency answers again", slog.String("agency", a.Code), slog.Time("silent_since", h.FailedSince))
		}
		return s.Store.Answered(ctx, a.Code, s.Now())
	}
	if !h.Silent() {
		s.Log.WarnContext(ctx, "an agency does not tell its facts", slog.String("agency", a.Code), slog.Any("error", fault))
	}
	key, _ := errs.KeyOf(fault)
	return s.Store.Failed(ctx, a.Code, key, s.Now())
}

// ask makes sure that an agency's facts come, and takes what it offers. fault is the agency's or the network's, err is ours.
func (s *Service) ask(ctx context.Context, a Agency) (fault, err error) {
	if a.FactsService != "" {
		if err := s.Feed.Follow(ctx, a.FactsService, activity, basis); err != nil {
			return err, nil
		}
	}
	if refused, ok := s.refused.Load(a.Code); ok {
		if fault, ok := refused.(error); ok {
			return fault, nil
		}
	}
	if a.DossierService == "" {
		return nil, nil
	}
	body, fault := s.call(ctx, a.DossierService, "/catalogue", "")
	if fault != nil {
		return fault, nil
	}
	offers, fault := ParseCatalogue(body)
	if fault != nil {
		return fault, nil
	}
	return nil, s.Store.PutOffers(ctx, a.Code, offers)
}

// Take keeps facts that an agency told, in the transaction behind store. Facts that cannot be are refused for good (Invalid),
// and the agency counts as silent until it tells better ones.
func (s *Service) Take(ctx context.Context, store Appender, agency string, facts []json.RawMessage) error {
	var parsed []Fact
	body, err := json.Marshal(facts)
	if err == nil {
		parsed, err = ParseFacts(agency, body, s.Now())
	}
	if err != nil {
		err = errs.E(errs.Unavailable, "oversight.garbled", err)
		s.refused.Store(agency, err)
		return errs.E(errs.Invalid, "oversight.garbled", err)
	}
	s.refused.Delete(agency)
	return store.Append(ctx, agency, parsed)
}

func (s *Service) call(ctx context.Context, to, path, query string) ([]byte, error) {
	answer, err := s.Exchange.Call(ctx, ExchangeCall{
		To: to, Method: "GET", Path: path, Query: query, Activity: activity, Basis: basis, Timeout: callTimeout,
	})
	if err != nil {
		return nil, err
	}
	if answer.Status != 200 {
		return nil, errs.E(errs.KindOfStatus(answer.Status), "oversight.refused", fmt.Errorf("status %d", answer.Status))
	}
	return answer.Body, nil
}
