package oversight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
)

// fakeExchange answers for agencies that each hold a list of facts.
type fakeExchange struct {
	mu    sync.Mutex
	facts map[string][]Fact // by agency
	down  map[string]error
	raw   map[string]string // a fact told before the others
	calls []ExchangeCall
	// service takes what is followed.
	service *Service
}

func (x *fakeExchange) Call(_ context.Context, c ExchangeCall) (ExchangeAnswer, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.calls = append(x.calls, c)
	agency := strings.Split(c.To, "/")[2]
	if err := x.down[agency]; err != nil {
		return ExchangeAnswer{}, err
	}
	if c.Path == "/catalogue" {
		return ExchangeAnswer{Status: 200, Body: []byte(`[{"procedure":"1.001193","version":"1","mode":"full","units":[{},{}]}]`)}, nil
	}
	return ExchangeAnswer{Status: 404}, nil
}

// Follow implements [Feed]: what an agency holds comes at once, as from a subscription that was active already.
func (x *fakeExchange) Follow(ctx context.Context, service, activity, basis string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	agency := strings.Split(service, "/")[2]
	if err := x.down[agency]; err != nil {
		return err
	}
	if activity == "" || basis == "" {
		return errors.New("a subscription without a purpose")
	}
	var facts []json.RawMessage
	if raw, ok := x.raw[agency]; ok {
		facts = append(facts, json.RawMessage(raw))
	}
	for _, f := range x.facts[agency] {
		b, err := json.Marshal(f)
		if err != nil {
			return err
		}
		facts = append(facts, b)
	}
	for batch := range slices.Chunk(facts, PageSize) {
		if err := x.service.Take(ctx, x.service.Store, agency, batch); err != nil && !errs.Is(err, errs.Invalid) {
			return err
		}
	}
	return nil
}

// memory is a store that keeps facts and cursors only.
type memory struct {
	Store
	mu     sync.Mutex
	facts  map[string]map[int64]Fact
	offers map[string][]Offer
	health map[string]Health
}

func (m *memory) Health(context.Context) (map[string]Health, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]Health{}
	maps.Copy(out, m.health)
	return out, nil
}

func (m *memory) update(agency string, f func(*Health)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.health == nil {
		m.health = map[string]Health{}
	}
	h := m.health[agency]
	h.Agency = agency
	f(&h)
	m.health[agency] = h
	return nil
}

func (m *memory) Append(_ context.Context, agency string, facts []Fact) error {
	return m.update(agency, func(h *Health) {
		if m.facts == nil {
			m.facts = map[string]map[int64]Fact{}
		}
		if m.facts[agency] == nil {
			m.facts[agency] = map[int64]Fact{}
		}
		for _, f := range facts {
			m.facts[agency][f.Seq] = f
			h.LastSeq = max(h.LastSeq, f.Seq)
		}
	})
}

func (m *memory) PutOffers(_ context.Context, agency string, offers []Offer) error {
	return m.update(agency, func(*Health) {
		if m.offers == nil {
			m.offers = map[string][]Offer{}
		}
		m.offers[agency] = offers
	})
}

func (m *memory) Answered(_ context.Context, agency string, at time.Time) error {
	return m.update(agency, func(h *Health) { h.LastOK, h.FailedSince, h.ErrorKey = at, time.Time{}, "" })
}

func (m *memory) Failed(_ context.Context, agency, key string, at time.Time) error {
	return m.update(agency, func(h *Health) {
		h.ErrorKey = key
		if h.FailedSince.IsZero() {
			h.FailedSince = at
		}
	})
}

func agencies(codes ...string) func() []Agency {
	var out []Agency
	for _, c := range codes {
		out = append(out, Agency{Code: c, FactsService: "VN/GOV/" + c + "/onestop/facts", DossierService: "VN/GOV/" + c + "/onestop/dossiers"})
	}
	return func() []Agency { return out }
}

func history(agency string, n int) []Fact {
	var out []Fact
	for i := range n {
		out = append(out, Fact{Seq: int64(i + 1), At: at(2, 8), Kind: "submitted", National: 1, Agency: agency, Dossier: fmt.Sprintf("%s-%d", agency, i), Procedure: "1.001193"})
	}
	return out
}

func TestPull(t *testing.T) {
	now := at(21, 14)
	x := &fakeExchange{facts: map[string][]Fact{"H36": history("H36", 1203), "H57": history("H57", 3)}, down: map[string]error{}, raw: map[string]string{}}
	m := &memory{}
	s := &Service{Store: m, Exchange: x, Feed: x, Agencies: agencies("H36", "H57"), Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	x.service = s

	x.down["H57"] = errs.E(errs.Unavailable, "exchange.peer_unreachable", errors.New("connection refused"))
	for range 2 { // the silence begins once
		if err := s.Pull(t.Context()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(5 * time.Minute)
	}
	want := map[string]Health{
		"H36": {Agency: "H36", LastSeq: 1203, LastOK: at(21, 14).Add(5 * time.Minute)},
		"H57": {Agency: "H57", FailedSince: at(21, 14), ErrorKey: "exchange.peer_unreachable"},
	}
	if diff := cmp.Diff(want, m.health); diff != "" {
		t.Errorf("after a silent agency (-want +got):\n%s", diff)
	}
	if len(m.facts["H36"]) != 1203 || len(m.offers["H36"]) != 1 || m.offers["H36"][0].Offices != 2 {
		t.Errorf("H36: %d facts, offers %v; want 1203 and one procedure at two offices", len(m.facts["H36"]), m.offers["H36"])
	}

	delete(x.down, "H57")
	x.facts["H36"] = append(x.facts["H36"], Fact{Seq: 1204, At: at(21, 9), Kind: "received", National: 2, Agency: "H36", Dossier: "H36-0"})
	x.calls = nil
	if err := s.Pull(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := m.health["H57"]; h.Silent() || h.LastSeq != 3 {
		t.Errorf("H57 came back: %+v; want its 3 facts", h)
	}
	for _, c := range x.calls {
		if c.Activity == "" || c.Basis == "" {
			t.Errorf("a call without a purpose: %+v", c)
		}
	}
}

func TestPullGarbled(t *testing.T) {
	for name, raw := range map[string]string{
		"no JSON": "<html>", "no fact": `{}`, "another agency's": `{"seq":1,"at":"2026-11-02T08:00:00Z","kind":"received","agency":"H57","due":"2026-11-03T08:00:00Z"}`,
		"the future": `{"seq":1,"at":"2036-11-02T08:00:00Z","kind":"received","agency":"H36","due":"2036-11-03T08:00:00Z"}`,
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{}
			x := &fakeExchange{facts: map[string][]Fact{"H57": history("H57", 3)}, raw: map[string]string{"H36": raw}}
			s := &Service{Store: m, Exchange: x, Feed: x, Agencies: agencies("H36", "H57"), Now: func() time.Time { return at(21, 14) }, Log: slog.New(slog.DiscardHandler)}
			x.service = s
			if err := s.Pull(t.Context()); err != nil {
				t.Fatal(err)
			}
			if h := m.health["H36"]; !h.Silent() || h.ErrorKey != "oversight.garbled" {
				t.Errorf("H36 = %+v; want garbled", h)
			}
			if h := m.health["H57"]; h.Silent() || h.LastSeq != 3 {
				t.Errorf("H57 = %+v; want its facts", h)
			}
			delete(x.raw, "H36") // better ones end the silence
			x.facts["H36"] = history("H36", 2)
			if err := s.Pull(t.Context()); err != nil {
				t.Fatal(err)
			}
			if h := m.health["H36"]; h.Silent() || h.LastSeq != 2 {
				t.Errorf("H36 = %+v; want it to speak again", h)
			}
		})
	}
}
