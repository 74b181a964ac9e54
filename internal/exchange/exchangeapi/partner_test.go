package exchangeapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/agreement"
)

// records opens a node's log to its partners; acts are those that were recorded for audit.
func (n *testNode) records(acts *[]string) *exchange.PartyRecords {
	var mu sync.Mutex
	r := &exchange.PartyRecords{
		Service: n.Service, Store: n.store, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(2 * time.Minute) }, // so that what was just now may be compared
		Audit: func(_ context.Context, actor, action, object string) error {
			mu.Lock()
			defer mu.Unlock()
			if acts != nil {
				*acts = append(*acts, actor+" "+action+" "+object)
			}
			return nil
		},
	}
	n.Reserve(exchange.ServiceRecords, r)
	return r
}

// newDelegated is newParties with a grant of four parties: the consumer asks on behalf of X14, the provider answers for G05.
// It returns the nodes of those two by their members.
func newDelegated(t *testing.T) (*parties, map[string]*testNode) {
	t.Helper()
	p := newParties(t)
	members := map[string]*testNode{}
	offices := map[string]*office{}
	for _, m := range []string{"VN/GOV/X14", "VN/GOV/G05"} {
		db := openDB(t)
		n, key := p.net.startWith(t, m+"/node1", []string{m + "/office"}, db, nil)
		members[m], offices[m] = n, p.net.office(t, n, db, key)
	}
	content, err := p.ask.Propose(t.Context(), "an", draft(func(d *agreement.Document) {
		g := &d.Grants[0]
		g.Type, g.Delegator, g.Service.Delegator = agreement.DelegatedConnect, "VN/GOV/X14", "VN/GOV/G05"
	}))
	if err != nil {
		t.Fatal(err)
	}
	p.ask.deliver(t)
	for _, o := range []*office{p.give, offices["VN/GOV/X14"], offices["VN/GOV/G05"]} {
		if err := o.Accept(t.Context(), "binh", content); err != nil {
			t.Fatal(err)
		}
		o.deliver(t)
	}
	return p, members
}

// LOG-READ-01, LOG-READ-02: consumer, provider and delegators of both sides read their own records at a partner; others
// see none.
func TestPartiesReadTheirRecords(t *testing.T) {
	p, members := newDelegated(t)
	members["VN/GOV/G99"] = p.net.start(t, "VN/GOV/G99/node1", []string{"VN/GOV/G99/office"}, openDB(t))
	c := query(t)
	c.Party, c.ID = "X14", "VN-asked"
	if _, err := p.consumer.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	members["VN/GOV/H36"], members["VN/GOV/G01"] = p.consumer, p.provider
	var acts []string
	readers := map[string]*exchange.PartyRecords{}
	for m, n := range members {
		readers[m] = n.records(map[bool]*[]string{true: &acts}[m == "VN/GOV/G01"])
	}
	for _, tt := range []struct {
		reader, partner string
		want            bool
	}{
		{"VN/GOV/H36", "VN/GOV/G01", true},
		{"VN/GOV/G01", "VN/GOV/H36", true},
		{"VN/GOV/X14", "VN/GOV/G01", true},
		{"VN/GOV/X14", "VN/GOV/H36", true},
		{"VN/GOV/G05", "VN/GOV/G01", true},
		{"VN/GOV/G05", "VN/GOV/H36/node1", true},
		{"VN/GOV/G99", "VN/GOV/G01", false},
		{"VN/GOV/G99", "VN/GOV/H36", false},
	} {
		page, err := readers[tt.reader].Of(t.Context(), "", tt.partner, time.Now().Add(-time.Hour), time.Time{}, "")
		if err != nil {
			t.Fatalf("%s at %s: %v", tt.reader, tt.partner, err)
		}
		i := slices.IndexFunc(page.Records, func(r exchange.PartyRecord) bool { return r.ExchangeID == "VN-asked" })
		if (i >= 0) != tt.want {
			t.Errorf("%s reads at %s: %+v; want the exchange: %v", tt.reader, tt.partner, page.Records, tt.want)
		}
		if i >= 0 {
			r := page.Records[i]
			if r.Delegator != "VN/GOV/X14" || r.ServiceDelegator != "VN/GOV/G05" || r.RequestDigest == "" || r.RequestSignature == "" || r.ResponseDigest == "" || r.ResponseSignature == "" || r.Status != 200 {
				t.Errorf("%s reads at %s: %+v", tt.reader, tt.partner, r)
			}
			if b, _ := json.Marshal(r); strings.Contains(string(b), "099204000123") {
				t.Errorf("the record names a person: %s", b)
			}
		}
		_, err = readers[tt.reader].EvidenceOf(t.Context(), "", tt.partner, "VN-asked", false)
		if tt.want == errs.Is(err, errs.NotFound) || tt.want != (err == nil) {
			t.Errorf("%s asks %s for evidence: %v", tt.reader, tt.partner, err)
		}
	}
	// The id of a person goes to those only who exchanged it.
	b, err := readers["VN/GOV/H36"].EvidenceOf(t.Context(), "", "VN/GOV/G01", "VN-asked", true)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := exchange.VerifyEvidence(b, exchange.Trust{Key: p.net.Key, LogKey: func(string) (string, error) { return p.provider.log.VerifierKey(), nil }})
	if err != nil || !rep.OK {
		t.Errorf("LOG-READ-03: what was fetched over the exchange: %+v, %v", rep, err)
	}
	if _, err := readers["VN/GOV/X14"].EvidenceOf(t.Context(), "", "VN/GOV/G01", "VN-asked", true); !errs.Is(err, errs.NotFound) {
		t.Errorf("a delegator was given the id of a person: %v", err)
	}
	for _, want := range []string{
		"member:VN/GOV/H36 exchange.evidence.export VN-asked", "member:VN/GOV/X14 exchange.evidence.export VN-asked", "member:VN/GOV/H36 exchange.evidence.export_persons VN-asked",
	} {
		if !slices.Contains(acts, want) {
			t.Errorf("%q was not recorded: %q", want, acts)
		}
	}
	if slices.ContainsFunc(acts, func(a string) bool { return strings.Contains(a, "G99") }) {
		t.Errorf("acts = %q", acts)
	}
}

// TestRecordsArePaged reads pages as a partner would, and holds hostile requests off.
func TestRecordsArePaged(t *testing.T) {
	p := newPair(t)
	p.provider.records(nil)
	for i := range 7 {
		c := query(t)
		c.ID = fmt.Sprint("VN-", i)
		if _, err := p.consumer.Call(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	get := func(path, q string) (int, exchange.PartyPage) {
		t.Helper()
		ans, err := p.consumer.Call(t.Context(), exchange.Call{From: query(t).From, To: service(t, "VN/GOV/G01/population/exchange-records"), Path: path, Query: q, Activity: "records"})
		if err != nil {
			t.Fatal(err)
		}
		var page exchange.PartyPage
		_ = json.Unmarshal(ans.Body, &page)
		return ans.Status, page
	}
	var got []string
	for cursor := ""; ; {
		status, page := get("/list", url.Values{"limit": {"3"}, "cursor": {cursor}}.Encode())
		if status != 200 || len(page.Records) > 3 {
			t.Fatalf("%d %+v", status, page)
		}
		for _, r := range page.Records {
			if r.Service == person {
				got = append(got, r.ExchangeID)
			}
		}
		if cursor = page.Next; cursor == "" || len(got) > 7 {
			break
		}
	}
	if want := []string{"VN-0", "VN-1", "VN-2", "VN-3", "VN-4", "VN-5", "VN-6"}; !slices.Equal(got, want) {
		t.Errorf("pages = %q; want %q", got, want)
	}
	if _, page := get("/list", "to=1"); len(page.Records) != 0 {
		t.Errorf("before it all: %+v", page)
	}
	for _, q := range []string{"limit=501", "limit=-1", "from=x", "from=9&to=8", "cursor=1", "cursor=1.owner.x", "cursor=x.consumer.y", "cursor=" + strings.Repeat("1", 300), "id=" + strings.Repeat("x", 257)} {
		if status, _ := get("/list", q); status != 400 {
			t.Errorf("%s: %d", q, status)
		}
	}
	for path, want := range map[string]int{"/": 404, "/other": 404, "/evidence": 404} {
		if status, _ := get(path, ""); status != want {
			t.Errorf("%s: %d; want %d", path, status, want)
		}
	}
}

// TestRecordsAreNotReadByCrowds checks that a member cannot keep a node busy with reading its log.
func TestRecordsAreNotReadByCrowds(t *testing.T) {
	p := newPair(t)
	r := p.provider.records(nil)
	hold, entered := make(chan struct{}), make(chan struct{}, 8)
	r.Store = slowStore{p.provider.store, hold, entered}
	answers := make(chan int, 3)
	call := func() {
		ans, err := p.consumer.Call(context.Background(), exchange.Call{From: query(t).From, To: service(t, "VN/GOV/G01/population/exchange-records"), Path: "/list"})
		if err != nil {
			answers <- 0
			return
		}
		answers <- ans.Status
	}
	go call()
	go call()
	<-entered
	<-entered
	call()
	if got := <-answers; got != http.StatusTooManyRequests {
		t.Errorf("the third reader was answered %d", got)
	}
	close(hold)
	if a, b := <-answers, <-answers; a != 200 || b != 200 {
		t.Errorf("the first two were answered %d and %d", a, b)
	}
	call()
	if got := <-answers; got != 200 {
		t.Errorf("a later reader was answered %d", got)
	}
}

type slowStore struct {
	exchange.PartyStore
	hold, entered chan struct{}
}

func (s slowStore) OfParty(ctx context.Context, q exchange.PartyQuery) ([]exchange.Message, error) {
	s.entered <- struct{}{}
	<-s.hold
	return s.PartyStore.OfParty(ctx, q)
}

// TestCompareWithPartner holds two logs against each other over the exchange, and names what one of them lacks.
func TestCompareWithPartner(t *testing.T) {
	p := newPair(t)
	ask, give := p.consumer.records(nil), p.provider.records(nil)
	for i := range 12 {
		c := query(t)
		c.ID = fmt.Sprint("VN-", i)
		if _, err := p.consumer.Call(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	denied := query(t)
	denied.Path, denied.ID = "/other", "VN-denied"
	if _, err := p.consumer.Call(t.Context(), denied); err == nil {
		t.Fatal("the call was let in")
	}
	unlogged := query(t) // the provider cannot log it, and so leaves no entry
	unlogged.ID = "VN-unlogged"
	p.provider.failing.set(true)
	if _, err := p.consumer.Call(t.Context(), unlogged); err == nil {
		t.Fatal("a call was let in that could not be logged")
	}
	p.provider.failing.set(false)
	compare := func(r *exchange.PartyRecords, partner string) *exchange.PartnerComparison {
		t.Helper()
		out, err := r.Compare(t.Context(), partner, time.Now().Add(-time.Hour), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for partner, r := range map[string]*exchange.PartyRecords{"VN/GOV/G01": ask, "VN/GOV/H36/node1": give} {
		if c := compare(r, partner); len(c.Differences) > 0 || c.Agreed < 13 || len(c.Nodes) != 1 {
			t.Errorf("good logs, seen against %s: %+v", partner, c)
		}
	}
	// Each side forgets one exchange, and the provider tells of another answer than it gave.
	for n, id := range map[*testNode]string{p.provider: "VN-3", p.consumer: "VN-5"} {
		if err := n.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.forget(t, id)
	}
	p.provider.Reserve(exchange.ServiceRecords, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		give.ServeHTTP(rec, r)
		var page exchange.PartyPage
		if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil {
			t.Error(err)
		}
		for i := range page.Records {
			switch page.Records[i].ExchangeID {
			case "VN-7":
				page.Records[i].ResponseDigest = "sha-256=:AAAA:"
			case "VN-8":
				page.Records[i].RequestSignature = "other"
			}
		}
		b, _ := json.Marshal(page)
		_, _ = w.Write(b)
	}))
	c := compare(ask, "VN/GOV/G01")
	got := map[string]string{}
	for _, d := range c.Differences {
		got[d.ExchangeID] = d.Kind
	}
	want := map[string]string{"VN-3": exchange.MissingThere, "VN-5": exchange.MissingHere, "VN-7": exchange.AnswerDiffers, "VN-8": exchange.RequestDiffers}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("differences = %v; want %v", got, want)
	}
	// An end that is over is not compared with what came after.
	if c, err := ask.Compare(t.Context(), "VN/GOV/G01", time.Now().Add(-3*time.Hour), time.Now().Add(-2*time.Hour)); err != nil || c.Agreed+len(c.Differences) != 0 {
		t.Errorf("an hour of nothing: %+v, %v", c, err)
	}
	for _, partner := range []string{"VN/GOV/Z99", "VN/GOV/H36", "x", ""} {
		if _, err := ask.Compare(t.Context(), partner, time.Time{}, time.Time{}); !errs.Is(err, errs.NotFound) {
			t.Errorf("%q: %v", partner, err)
		}
	}
}
