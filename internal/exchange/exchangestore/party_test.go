package exchangestore

import (
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

func TestOfParty(t *testing.T) {
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Module(t, "exchange", sub, func(t *testing.T, db *storage.DB) {
		s := &Store{DB: db}
		at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
		var rows []exchange.Message
		for i, m := range []exchange.Message{
			{Client: "VN/GOV/H36/onestop", Service: "VN/GOV/G01/population/person"},
			{Client: "VN/GOV/H37/onestop", Service: "VN/GOV/G01/population/person"},
			{Client: "VN/GOV/G01/population", Service: "VN/GOV/H36/onestop/notices"},
			{Client: "VN/GOV/G01/population", Service: "VN/GOV/H36/onestop2/notices"},
			{Client: "VN/GOV/X14/office", Service: "VN/GOV/G01/population/person", Delegator: "VN/GOV/H36"},
			{Client: "VN/GOV/X14/office", Service: "VN/GOV/G05/office/person", ServiceDelegator: "VN/GOV/H36"},
			{Client: "VN/GOV/H36/onestop", Service: "VN/GOV/G01/population/person"},
		} {
			m.Role, m.RequestID, m.ExchangeID, m.Outcome = exchange.RoleProvider, fmt.Sprint("r", i), fmt.Sprint("x", i), "ok"
			m.At, m.Recorded = at.Add(time.Duration(i/2)*time.Second), at
			rows = append(rows, m)
		}
		if err := s.Record(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		get := func(q exchange.PartyQuery) (ids []string) {
			t.Helper()
			if q.Limit == 0 {
				q.Limit = 100
			}
			got, err := s.OfParty(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range got {
				ids = append(ids, m.ExchangeID)
			}
			return ids
		}
		me := exchange.PartyQuery{Subsystem: "VN/GOV/H36/onestop", Member: "VN/GOV/H36"}
		with := func(edit func(*exchange.PartyQuery)) exchange.PartyQuery { q := me; edit(&q); return q }
		for _, tt := range []struct {
			name string
			q    exchange.PartyQuery
			want []string
		}{
			{"own", me, []string{"x0", "x2", "x4", "x5", "x6"}},
			{"only as itself", with(func(q *exchange.PartyQuery) { q.Member = "" }), []string{"x0", "x2", "x6"}},
			{"others", exchange.PartyQuery{Subsystem: "VN/GOV/G99/office", Member: "VN/GOV/G99"}, nil},
			{"nobody", exchange.PartyQuery{}, nil},
			{"another subsystem of the member", with(func(q *exchange.PartyQuery) { q.Subsystem = "VN/GOV/H36/onestop2" }), []string{"x3", "x4", "x5"}},
			{"one", with(func(q *exchange.PartyQuery) { q.ExchangeID = "x2" }), []string{"x2"}},
			{"one of others", with(func(q *exchange.PartyQuery) { q.ExchangeID = "x1" }), nil},
			{"a span", with(func(q *exchange.PartyQuery) { q.From, q.To = at.Add(time.Second), at.Add(2*time.Second) }), []string{"x2"}},
			{"the beginning", with(func(q *exchange.PartyQuery) { q.Limit = 2 }), []string{"x0", "x2"}},
			{"the rest", with(func(q *exchange.PartyQuery) {
				q.After = exchange.PartyPosition{At: at.Add(2 * time.Second).UnixMicro(), RequestID: "r4", Role: exchange.RoleProvider}
			}), []string{"x5", "x6"}},
		} {
			if got := get(tt.q); !slices.Equal(got, tt.want) {
				t.Errorf("%s = %q; want %q", tt.name, got, tt.want)
			}
		}
	})
}
