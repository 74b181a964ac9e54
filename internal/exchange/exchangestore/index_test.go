package exchangestore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"truc/internal/exchange"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

func each(t *testing.T, f func(t *testing.T, db *storage.DB)) {
	t.Helper()
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Module(t, "exchange", sub, f)
}

// model answers like [Store] from a slice, as the sentences of [exchange.Store] say.
type model struct{ rows []exchange.Message }

func (m *model) record(ms []exchange.Message) {
	for _, r := range ms {
		r.Seq = int64(len(m.rows) + 1)
		m.rows = append(m.rows, r)
	}
}

func (m *model) restore(ms []exchange.Message) {
	for _, r := range ms {
		i := slices.IndexFunc(m.rows, func(o exchange.Message) bool { return same(&o, &r) })
		if i < 0 {
			m.record([]exchange.Message{r})
		} else {
			m.rows[i], _ = complete(m.rows[i], r)
		}
	}
}

func (m *model) recent(f exchange.Filter) (out []exchange.Message) {
	for _, r := range slices.Backward(m.rows) {
		if (f.Before == 0 || r.Seq < f.Before) && (f.Role == "" || f.Role == r.Role) && (f.Client == "" || f.Client == r.Client) &&
			(f.Service == "" || f.Service == r.Service) && (!f.Faults || r.Outcome != "ok") && (f.Outcome == "" || f.Outcome == r.Outcome) &&
			(f.Peer == "" || f.Peer == r.Peer) && (f.FaultID == "" || f.FaultID == r.FaultID) && (f.Since.IsZero() || !r.At.Before(f.Since)) && len(out) < f.Limit {
			out = append(out, r)
		}
	}
	return out
}

func (m *model) stats(since time.Time) (out []exchange.Count) {
	n := map[exchange.Count]int64{}
	for _, r := range m.rows {
		if !r.At.Before(since) {
			n[exchange.Count{Role: r.Role, Service: r.Service, Outcome: r.Outcome}]++
		}
	}
	for c, n := range n {
		c.N = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b exchange.Count) int {
		return strings.Compare(a.Role+"|"+a.Service+"|"+a.Outcome, b.Role+"|"+b.Service+"|"+b.Outcome)
	})
	return out
}

func (m *model) hourly(since time.Time) (out []exchange.HourCount) {
	by := map[string]*exchange.HourCount{}
	for _, r := range m.rows {
		if r.At.Before(since) {
			continue
		}
		hour := r.At.Truncate(time.Hour)
		k := hour.Format(time.RFC3339) + r.Role
		if by[k] == nil {
			by[k] = &exchange.HourCount{Hour: hour, Role: r.Role}
		}
		by[k].Total++
		if r.Outcome != "ok" {
			by[k].Faults++
		}
	}
	for _, c := range by {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b exchange.HourCount) int {
		return cmp.Or(a.Hour.Compare(b.Hour), strings.Compare(a.Role, b.Role))
	})
	return out
}

func (m *model) partners(since time.Time) (out []exchange.PartnerCount) {
	by, sum := map[string]exchange.PartnerCount{}, map[string]time.Duration{}
	for _, r := range m.rows {
		if r.At.Before(since) || r.Peer == "" {
			continue
		}
		c := by[r.Peer]
		c.Peer = r.Peer
		c.Total++
		if r.Outcome == "ok" {
			sum[r.Peer] += r.Duration
			if r.At.After(c.LastOK) {
				c.LastOK = r.At
			}
		} else {
			c.Faults++
			if r.At.After(c.LastFault) {
				c.LastFault = r.At
			}
		}
		by[r.Peer] = c
	}
	for p, c := range by {
		if n := c.Total - c.Faults; n > 0 {
			c.Mean = (sum[p] / time.Duration(n)).Truncate(time.Microsecond)
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b exchange.PartnerCount) int { return strings.Compare(a.Peer, b.Peer) })
	return out
}

func (m *model) calls(since time.Time) (out []exchange.Calls) {
	n := map[exchange.Calls]int64{}
	for _, r := range m.rows {
		if !r.At.Before(since) && r.Role == exchange.RoleProvider && r.Outcome != "server.serverproxy.access_denied" {
			n[exchange.Calls{Client: r.Client, Service: r.Service}]++
		}
	}
	for c, n := range n {
		c.N = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b exchange.Calls) int { return strings.Compare(a.Client+"|"+a.Service, b.Client+"|"+b.Service) })
	return out
}

func (m *model) records(q exchange.RecordSpan) (out []exchange.Message) {
	for _, r := range m.rows {
		if !r.Recorded.Before(q.From) && r.Recorded.Before(q.To) && (q.Client == "" || r.Client == q.Client || strings.HasPrefix(r.Service, q.Client+"/")) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b exchange.Message) int { return a.Recorded.Compare(b.Recorded) })
	return out
}

// traffic makes messages of a few parties over some days; some take hours, some faults come.
type traffic struct {
	r   *rand.Rand
	n   int64
	now time.Time
}

func (tr *traffic) message() exchange.Message {
	r := tr.r
	m := ordinary(r, tr.n, tr.now)
	tr.n++
	tr.now = tr.now.Add(time.Duration(r.IntN(40)) * time.Second)
	m.Role = []string{exchange.RoleProvider, exchange.RoleConsumer}[r.IntN(2)]
	m.Client = fmt.Sprintf("VN/GOV/H%02d/onestop", r.IntN(4))
	m.Service = fmt.Sprintf("VN/GOV/H%02d/onestop/s%d", r.IntN(4), r.IntN(2))
	m.Peer = []string{"VN/GOV/G01/node", "VN/GOV/G02/node", ""}[r.IntN(3)]
	if r.IntN(20) == 0 {
		m.Client, m.Peer = "VN/GOV/RARE/x", "VN/GOV/RARE/node"
	}
	switch r.IntN(30) {
	case 0: // a long one
		m.Duration = time.Duration(r.IntN(5*3600)) * time.Second
		m.Recorded = m.At.Add(m.Duration)
	case 1: // a client that gives an id again and again
		m.ExchangeID = "again"
	case 2: // a clock that was put right
		m.At = m.At.Add(-time.Duration(r.IntN(30)) * time.Hour)
	case 3:
		m.RequestIndex, m.ResponseIndex = -1, -1
	}
	return m
}

func (tr *traffic) batch(n int) []exchange.Message {
	ms := make([]exchange.Message, n)
	for i := range ms {
		ms[i] = tr.message()
	}
	return ms
}

// half returns what a node that ended in the middle of an exchange finds of it in its log.
func (tr *traffic) half(m exchange.Message) exchange.Message {
	m.Seq, m.FaultID = 0, ""
	switch tr.r.IntN(4) {
	case 0: // the request alone
		m.ResponseIndex, m.ResponseSize, m.Status, m.Outcome, m.Duration, m.Recorded = -1, 0, 0, "ok", 0, m.At
	case 1: // the answer alone
		m.RequestIndex, m.RequestSize, m.At, m.Duration = -1, 0, m.Recorded, 0
	}
	return m
}

// TestIndexIsTheModel records random messages in random batches and restores random halves of them, opens the store anew
// now and then, and asks everything that can be asked.
func TestIndexIsTheModel(t *testing.T) {
	each(t, func(t *testing.T, db *storage.DB) {
		for seed := range uint64(2) {
			tr := &traffic{r: rand.New(rand.NewPCG(seed, 7)), now: day}
			r := tr.r
			m := &model{}
			s := &Store{DB: db}
			for _, table := range []string{"block", "block_data", "run", "chunk", "hour", "party"} {
				if _, err := db.ExecContext(t.Context(), `DELETE FROM exchange_`+table); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.ExecContext(t.Context(), `UPDATE exchange_counter SET next_seq = 1, next_run = 1`); err != nil {
				t.Fatal(err)
			}
			var halves []exchange.Message
			for turn := range 100 {
				n := 1 + r.IntN(3)
				if r.IntN(10) == 0 {
					n = 1 + r.IntN(700)
				}
				if r.IntN(12) == 0 {
					s = &Store{DB: db}
				}
				var err error
				if r.IntN(8) == 0 && len(m.rows) > 0 {
					ms := tr.batch(r.IntN(n + 1))
					for range n {
						ms = append(ms, tr.half(m.rows[r.IntN(len(m.rows))]))
					}
					for i := range ms {
						if whole := ms[i]; r.IntN(2) == 0 && whole.Seq == 0 && whole.RequestIndex >= 0 {
							ms[i] = tr.half(whole)
							halves = append(halves, whole)
						}
						ms[i].Seq = 0
					}
					for range min(len(halves), 1+r.IntN(20)) { // and of what was half before, more
						i := r.IntN(len(halves))
						ms = append(ms, tr.half(halves[i]))
						if r.IntN(2) == 0 {
							ms[len(ms)-1] = halves[i]
						}
					}
					r.Shuffle(len(ms), func(i, j int) { ms[i], ms[j] = ms[j], ms[i] })
					err = s.Restore(t.Context(), ms)
					m.restore(ms)
				} else {
					ms := tr.batch(n)
					err = s.Record(t.Context(), ms)
					m.record(ms)
				}
				if err != nil {
					t.Fatal(err)
				}
				if turn%6 == 0 || turn == 99 {
					if compareWithModel(t, s, m, tr); t.Failed() {
						t.Fatalf("seed %d, turn %d", seed, turn)
					}
				}
			}
			checkInside(t, db, m)
		}
	})
}

func compareWithModel(t *testing.T, s *Store, m *model, tr *traffic) {
	t.Helper()
	ctx, r := t.Context(), tr.r
	check := func(what string, want, got any, err error) {
		t.Helper()
		if diff := gocmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s (-want +got): %v\n%.2000s", what, err, diff)
		}
	}
	some := m.rows[r.IntN(len(m.rows))]
	for range 6 {
		f := exchange.Filter{Limit: 1 + r.IntN(60)}
		for _, set := range []func(){
			func() { f.Role = some.Role }, func() { f.Client = some.Client }, func() { f.Service = some.Service }, func() { f.Faults = true },
			func() { f.Outcome = some.Outcome }, func() { f.Peer = some.Peer }, func() { f.FaultID = some.FaultID }, func() { f.Since = some.At },
			func() { f.Before = some.Seq }, func() { f.Client = "VN/GOV/NOBODY/x" },
		} {
			if r.IntN(4) == 0 {
				set()
			}
		}
		got, err := s.Recent(ctx, f)
		check(fmt.Sprintf("Recent(%+v)", f), m.recent(f), got, err)
		some = m.rows[r.IntN(len(m.rows))]
	}
	for _, id := range []string{some.ExchangeID, "again", "nothing"} {
		want := []exchange.Message{}
		for _, o := range m.rows {
			if o.ExchangeID == id && len(want) < 200 {
				want = append(want, o)
			}
		}
		got, err := s.ByExchange(ctx, id)
		check("ByExchange "+id, want, append([]exchange.Message{}, got...), err)
	}
	for _, since := range []time.Time{some.At, some.At.Truncate(time.Hour), time.UnixMicro(0), tr.now.Add(time.Hour)} {
		stats, err := s.Stats(ctx, since)
		check("Stats", m.stats(since), stats, err)
		hourly, err := s.Hourly(ctx, since)
		check("Hourly", m.hourly(since), hourly, err)
		partners, err := s.Partners(ctx, since)
		check("Partners", m.partners(since), partners, err)
		calls, err := s.CallsSince(ctx, since)
		check("CallsSince", m.calls(since), calls, err)
		var want []string
		for _, o := range m.rows {
			if o.Role == exchange.RoleProvider && !o.At.Before(since) {
				want = append(want, o.RequestID)
			}
		}
		ids, err := s.RequestIDs(ctx, since)
		slices.Sort(want)
		slices.Sort(ids)
		check("RequestIDs", want, ids, err)
	}
	q := exchange.RecordSpan{From: some.Recorded, To: some.Recorded.Add(time.Duration(r.Int64N(int64(30 * time.Hour))))}
	if r.IntN(2) == 0 {
		q.Client = some.Client
	}
	want := m.records(q)
	var got []exchange.Message
	err := s.Records(ctx, q, func(m exchange.Message) error { got = append(got, m); return nil })
	check("Records", want, got, err)
	n := r.IntN(len(want) + 2)
	at, ok, err := s.RecordAt(ctx, q, n)
	if err != nil || ok != (n < len(want)) || ok && !at.Equal(want[n].Recorded) {
		t.Errorf("RecordAt(%d) = %v, %t, %v", n, at, ok, err)
	}
	checkParty(t, s, m, some)
	stop := errors.New("stop")
	if err := s.Records(ctx, q, func(exchange.Message) error { return stop }); len(want) > 0 && !errors.Is(err, stop) {
		t.Errorf("Records goes on after an error: %v", err)
	}
	top := int64(-1)
	for _, o := range m.rows {
		top = max(top, o.RequestIndex, o.ResponseIndex)
	}
	indexed, err := s.Indexed(ctx)
	check("Indexed", top+1, indexed, err)
}

// checkParty reads what a party may see, page by page.
func checkParty(t *testing.T, s *Store, m *model, some exchange.Message) {
	t.Helper()
	q := exchange.PartyQuery{Subsystem: some.Client, From: some.At.Add(-20 * time.Hour), To: some.At.Add(20 * time.Hour), Limit: 1 + len(m.rows)/9}
	var want, got []exchange.Message
	for _, o := range m.rows {
		if !o.At.Before(q.From) && o.At.Before(q.To) && (o.Client == q.Subsystem || strings.HasPrefix(o.Service, q.Subsystem+"/")) {
			want = append(want, o)
		}
	}
	slices.SortFunc(want, func(a, b exchange.Message) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.RequestID, b.RequestID), strings.Compare(a.Role, b.Role))
	})
	for {
		page, err := s.OfParty(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, page...); len(page) < q.Limit {
			break
		}
		last := page[len(page)-1]
		q.After = exchange.PartyPosition{At: last.At.UnixMicro(), RequestID: last.RequestID, Role: last.Role}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("OfParty (-want +got):\n%.2000s", diff)
	}
}

// checkInside checks what the tables promise each other.
func checkInside(t *testing.T, db *storage.DB, m *model) {
	t.Helper()
	ctx := t.Context()
	s := &Store{DB: db}
	spans, err := storage.All(ctx, db, scanSpan, `SELECT `+spanColumns+` FROM exchange_block b ORDER BY b.seq`)
	if err != nil {
		t.Fatal(err)
	}
	next, small := int64(1), 0
	for _, b := range spans {
		ms, err := s.rows(ctx, db, nil, `b.seq = $1`, b.seq)
		if err != nil {
			t.Fatal(err)
		}
		want := span{seq: next}
		for i := range ms {
			if !want.add(&ms[i]) {
				t.Fatalf("the block of row %d is too wide", b.seq)
			}
		}
		if want != b {
			t.Errorf("a block says %+v; it is %+v", b, want)
		}
		if next = b.end(); b.tier() == 0 {
			small++
		}
	}
	if next != int64(len(m.rows))+1 {
		t.Errorf("blocks end with row %d of %d", next-1, len(m.rows))
	}
	if data, err := storage.All(ctx, db, scanInt, `SELECT COUNT(*) FROM exchange_block_data`); err != nil || data[0] != int64(len(spans)) {
		t.Errorf("%d blocks, data of %v, %v", len(spans), data, err)
	}
	// The sums of hours are those of the rows.
	want := map[hourKey]hourSum{}
	for _, r := range m.rows {
		k := hourKey{hourOf(storage.Micros(r.At)), partyOf(&r)}
		h := want[k]
		h.add(storage.Micros(r.At), r.Duration.Microseconds(), 1)
		want[k] = h
	}
	got := map[hourKey]hourSum{}
	if _, err := storage.All(ctx, db, func(scan func(...any) error) (struct{}, error) {
		var k hourKey
		var h hourSum
		var id []byte
		err := scan(&k.hour, &k.party.role, &k.party.client, &k.party.service, &k.party.peer, &k.party.outcome, &h.messages, &h.duration, &h.last, &id)
		if string(id) != string(k.party.id()) {
			t.Errorf("the id of %v is %x", k.party, id)
		}
		got[k] = h
		return struct{}{}, err
	}, `SELECT h.hour, p.role, p.client, p.service, p.peer, p.outcome, h.messages, h.duration, h.last_at, p.id FROM exchange_hour h JOIN exchange_party p ON p.id = h.party`); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(hourKey{}, hourSum{}, party{})); diff != "" {
		t.Errorf("sums of hours (-want +got):\n%.3000s", diff)
	}
	// Every row is found by each of its ids.
	for _, r := range m.rows[max(0, len(m.rows)-400):] {
		for _, id := range []string{r.RequestID, r.ExchangeID, r.FaultID} {
			if id == "" || id == "again" {
				continue
			}
			if seqs, err := lookUp(ctx, db, id); err != nil || !slices.Contains(seqs, r.Seq) {
				t.Fatalf("row %d is not found by %s: %v, %v", r.Seq, id, seqs, err)
			}
		}
	}
}

// TestComplete puts an exchange together from what each part of the log says of it, wherever it was cut and whichever part
// comes first.
func TestComplete(t *testing.T) {
	whole := exchange.Message{
		Role: exchange.RoleProvider, RequestID: "r", Outcome: "server.serverproxy.x", Status: 502, At: day, Duration: 3 * time.Second, Recorded: day.Add(3 * time.Second),
		RequestIndex: 4, RequestBodyIndex: 5, ResponseIndex: 8, ResponseBodyIndex: 9, RequestSize: 51, ResponseSize: 91,
	}
	// part is the row that is made of the entries from and before a number, as [exchange.Service.Reindex] does.
	part := func(from, end int) exchange.Message {
		m := exchange.Message{
			Role: exchange.RoleProvider, RequestID: "r", Outcome: "ok", At: day.Add(time.Duration(from) * time.Second),
			RequestIndex: -1, RequestBodyIndex: -1, ResponseIndex: -1, ResponseBodyIndex: -1,
		}
		for i := from; i < end; i++ {
			switch i {
			case 0:
				m.RequestIndex, m.RequestSize = 4, 50
			case 1:
				m.RequestBodyIndex, m.RequestSize = 5, 51
			case 2:
				m.ResponseIndex, m.ResponseSize, m.Status, m.Outcome = 8, 90, 502, "ok"
			case 3:
				m.ResponseBodyIndex, m.ResponseSize, m.Outcome = 9, 91, whole.Outcome
			}
		}
		m.Recorded = day.Add(time.Duration(end-1) * time.Second)
		m.Duration = m.Recorded.Sub(m.At)
		return m
	}
	for cuts := range 1 << 3 {
		var parts []exchange.Message
		from := 0
		for i := range 4 {
			if i == 3 || cuts&(1<<i) != 0 {
				parts = append(parts, part(from, i+1))
				from = i + 1
			}
		}
		for range 2 {
			got := parts[0]
			for _, p := range append(parts[1:], parts...) { // all come again, and change nothing
				got, _ = complete(got, p)
			}
			if diff := gocmp.Diff(whole, got); diff != "" {
				t.Errorf("cuts %b (-want +got):\n%s", cuts, diff)
			}
			slices.Reverse(parts)
		}
	}
}
