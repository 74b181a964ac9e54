package exchange

import (
	"context"
	"errors"
	"testing"
)

// flakyStore is a store that fails after it has written, as when the answer to a commit is lost.
type flakyStore struct {
	Store
	fail               bool
	recorded, restored []Message
}

func (s *flakyStore) Record(_ context.Context, ms []Message) error {
	s.recorded = append(s.recorded, ms...)
	if s.fail {
		return errors.New("the connection is gone")
	}
	return nil
}

func (s *flakyStore) Restore(_ context.Context, ms []Message) error {
	s.restored = append(s.restored, ms...)
	if s.fail {
		return errors.New("the connection is gone")
	}
	return nil
}

// Rows that may have been written are never recorded as new ones again.
func TestFlushAfterDoubt(t *testing.T) {
	store := &flakyStore{}
	s := &Service{opt: Options{Store: store}}
	put := func(id string) { s.index.put(Message{RequestID: id}) }
	flush := func(fails bool) {
		t.Helper()
		store.fail = fails
		if err := s.Flush(t.Context()); (err != nil) != fails {
			t.Fatal(err)
		}
	}
	put("a")
	flush(true)
	put("b")
	flush(true)
	flush(false)
	put("c")
	flush(false)
	if len(store.recorded) != 2 || store.recorded[0].RequestID != "a" || store.recorded[1].RequestID != "c" {
		t.Errorf("recorded %+v; want a once, and c", store.recorded)
	}
	if n := len(store.restored); n != 4 || store.restored[n-2].RequestID != "a" || store.restored[n-1].RequestID != "b" {
		t.Errorf("restored %+v; want a and b twice", store.restored)
	}
}
