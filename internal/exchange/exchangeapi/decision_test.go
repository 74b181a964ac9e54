package exchangeapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/pki"
)

// F18: a decision point is asked about what rules allow and about nothing else; only a clear yes in time lets a request pass.
func TestDecisionPoint(t *testing.T) {
	var answer atomic.Pointer[func(w http.ResponseWriter, r *http.Request)]
	var asked atomic.Int64
	point := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		(*answer.Load())(w, r)
	}))
	defer point.Close()
	p := newPairTuned(t, pki.Ed25519, func(id string, o *exchange.Options) {
		if strings.Contains(id, "G01") {
			o.Decider = &HTTPDecider{URL: point.URL + "/v1/data/truc/allow", Timeout: 2 * time.Second, Client: NewDecisionClient()}
		}
	})
	say := func(kind, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(body))
		}
	}
	var told struct{ Input exchange.DecisionInput }
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		allow  bool
	}{
		{"yes", func(w http.ResponseWriter, r *http.Request) {
			if err := json.NewDecoder(r.Body).Decode(&told); err != nil {
				t.Error(err)
			}
			say("application/json", `{"result":true,"decision_id":"1"}`)(w, r)
		}, true},
		{"no", say("application/json", `{"result":false}`), false},
		{"nothing", say("application/json", `{}`), false},
		{"null", say("application/json", `{"result":null}`), false},
		{"a word", say("application/json", `{"result":"true"}`), false},
		{"no JSON", say("application/json", `yes`), false},
		{"another type", say("text/html", `{"result":true}`), false},
		{"without end", say("application/json", `{"result":true,"x":"`+strings.Repeat("x", 1<<20)+`"}`), false},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, false},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/yes", http.StatusFound) }, false},
		{"silence", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the node has gone
			<-r.Context().Done()
		}, false},
	} {
		answer.Store(&c.answer)
		before, got := asked.Load(), len(p.got)
		_, err := p.consumer.Call(t.Context(), query(t))
		if asked.Load() != before+1 {
			t.Errorf("%s: asked %d times", c.name, asked.Load()-before)
		}
		if c.allow {
			if err != nil || len(p.got) != got+1 {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		wantFault(t, err, "server.serverproxy.access_denied", errs.Denied)
		if len(p.got) != got {
			t.Errorf("%s: the service was called", c.name)
		}
	}
	q := query(t)
	if in := told.Input; in.Method != http.MethodPost || in.Consumer != q.From.String() || in.Service != q.To.String() || in.Purpose != q.Activity || strings.Contains(strings.Join([]string{in.Path, in.Dossier}, " "), q.UserID) {
		t.Errorf("the decision point was told %+v", in)
	}
	before := asked.Load()
	if err := p.provider.SetRules(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.consumer.Call(t.Context(), query(t)); err == nil || asked.Load() != before {
		t.Errorf("what rules refuse was asked about: %v", err)
	}
}

func FuzzDecision(f *testing.F) {
	f.Add([]byte(`{"result":true}`))
	f.Add([]byte(`{"result":false,"x":[1]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if allow, err := readDecision(b); allow && (err != nil || !json.Valid(b)) {
			t.Errorf("allowed by %q, %v", b, err)
		}
	})
}
