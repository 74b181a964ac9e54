package exchangeapi

import (
	"slices"
	"testing"

	"truc/internal/exchange"
	"truc/internal/translog"
)

// prunedLog is a log whose first entries were removed under a policy.
type prunedLog struct {
	exchange.Log
	minimum int64
}

func (l prunedLog) Entry(i int64) ([]byte, error) {
	if i < l.minimum {
		return nil, translog.ErrPruned
	}
	return l.Log.Entry(i)
}

// A start finds in the log what the index lacks, although the beginning of the log is gone; what the index holds of that
// stays, and nothing is there twice.
func TestReindexPruned(t *testing.T) {
	p := newPair(t)
	var ids []string
	for range 3 {
		ans, err := p.consumer.Call(t.Context(), query(t))
		if err != nil {
			t.Fatal(err)
		}
		if ids = append(ids, ans.ExchangeID); len(ids) < 3 { // the last is not written any more
			if err := p.provider.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	opt := p.provider.options
	opt.Directory, opt.Log = p.net, prunedLog{opt.Log, 3} // in the middle of the second exchange
	for range 2 {
		again, err := exchange.New(opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Reindex(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, id := range ids {
			rows, err := p.provider.store.ByExchange(t.Context(), id)
			if err != nil || len(rows) != 1 || rows[0].RequestIndex != int64(2*i) || rows[0].ResponseIndex != int64(2*i+1) || rows[0].Status != 200 {
				t.Errorf("exchange %d: %+v, %v", i, rows, err)
			}
		}
	}
}

// Two processes share a database, each with a log of its own. One has the longer log; the other finds what it lacks all
// the same.
func TestReindexBesideLongerLog(t *testing.T) {
	p := newPair(t)
	ans, err := p.consumer.Call(t.Context(), query(t))
	if err != nil {
		t.Fatal(err)
	}
	other := exchange.Message{Role: exchange.RoleProvider, RequestID: "other", ExchangeID: "other", RequestIndex: 1_000_000, ResponseIndex: 1_000_001, Outcome: "ok"}
	if err := p.provider.store.Record(t.Context(), []exchange.Message{other}); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.reopen(t, p.net).Reindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows, err := p.provider.store.ByExchange(t.Context(), ans.ExchangeID); err != nil || len(rows) != 1 || rows[0].ResponseIndex != 1 {
		t.Errorf("rows = %+v, %v", rows, err)
	}
}

// forget makes the node's index anew without an exchange.
func (n *testNode) forget(t *testing.T, exchangeID string) {
	t.Helper()
	rows, err := n.store.Recent(t.Context(), exchange.Filter{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"block", "block_data", "run", "chunk", "hour"} {
		if _, err := n.store.DB.ExecContext(t.Context(), `DELETE FROM exchange_`+table); err != nil {
			t.Fatal(err)
		}
	}
	had := len(rows)
	rows = slices.DeleteFunc(rows, func(m exchange.Message) bool { return m.ExchangeID == exchangeID })
	if len(rows) == had {
		t.Fatalf("exchange %s is not in the index", exchangeID)
	}
	slices.Reverse(rows)
	if err := n.store.Record(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
}
