package oversight

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"truc/internal/errs"
)

const (
	// atOnce bounds how many agencies are asked at the same time.
	atOnce = 8
	// callTimeout bounds one question; an agency that is away must not hold up the round.
	callTimeout = 10 * time.Second
	// pagesPerRound bounds how much one agency may tell in a round, so that a new one with a long history does not
	// keep the others' news from being asked for.
	pagesPerRound = 40

	activity = "oversight"
	basis    = "Điều 19 Nghị định 224/2026/NĐ-CP"
)

// Pull asks every agency for its new facts and for what it offers. An agency that does not answer is recorded as silent
// and stops nobody else; the error is about our own store only.
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
	fault, err := s.ask(ctx, a, h.LastSeq)
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

// ask takes what an agency tells. fault is the agency's or the network's, err is ours.
func (s *Service) ask(ctx context.Context, a Agency, after int64) (fault, err error) {
	for range pagesPerRound {
		if a.FactsService == "" {
			break
		}
		body, fault := s.call(ctx, a.FactsService, "/facts", "after="+strconv.FormatInt(after, 10))
		if fault != nil {
			return fault, nil
		}
		facts, fault := ParseFacts(a.Code, body, s.Now())
		if fault != nil {
			return fault, nil
		}
		if len(facts) == 0 {
			break
		}
		if err := s.Store.Append(ctx, a.Code, facts); err != nil {
			return nil, err
		}
		last := facts[len(facts)-1].Seq
		if len(facts) < PageSize {
			break
		}
		if last <= after {
			return errs.E(errs.Unavailable, "oversight.garbled", fmt.Errorf("no fact behind %d", after)), nil
		}
		after = last
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
