package exchangestore

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"truc/internal/exchange"
	"truc/internal/storage"
)

// OfParty implements [exchange.PartyStore].
func (s *Store) OfParty(ctx context.Context, q exchange.PartyQuery) ([]exchange.Message, error) {
	f := partFilter{
		clock: byArrival(), from: max(storage.Micros(q.From), q.After.At), end: math.MaxInt64,
		needs: set(colClient, colService, colDelegator, colServiceDelegator, colRequestID, colRole),
		keep: func(m *exchange.Message) bool {
			return q.Subsystem != "" && (m.Client == q.Subsystem || strings.HasPrefix(m.Service, q.Subsystem+"/")) ||
				q.Member != "" && (m.Delegator == q.Member || m.ServiceDelegator == q.Member)
		},
	}
	if !q.To.IsZero() {
		f.end = storage.Micros(q.To)
	}
	if p := q.After; p.RequestID != "" {
		party := f.keep
		f.keep = func(m *exchange.Message) bool {
			return party(m) && cmp.Or(cmp.Compare(storage.Micros(m.At), p.At), cmp.Compare(m.RequestID, p.RequestID), cmp.Compare(m.Role, p.Role)) > 0
		}
	}
	inOrder := func(a, b exchange.Message) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.RequestID, b.RequestID), cmp.Compare(a.Role, b.Role))
	}
	var out []exchange.Message
	var err error
	if q.ExchangeID != "" {
		var seqs []int64
		if seqs, err = lookUp(ctx, s.DB, q.ExchangeID); err != nil {
			return nil, err
		}
		out, err = s.found(ctx, seqs, math.MaxInt, func(m *exchange.Message) bool {
			at := storage.Micros(m.At)
			return m.ExchangeID == q.ExchangeID && at >= f.from && at < f.end && f.keep(m)
		})
		slices.SortFunc(out, inOrder)
		return out[:min(len(out), q.Limit)], err
	}
	err = s.parts(ctx, f, allColumns, func(ms []exchange.Message) error {
		slices.SortFunc(ms, inOrder)
		if out = append(out, ms[:min(len(ms), q.Limit-len(out))]...); len(out) >= q.Limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}
