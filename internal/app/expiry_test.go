package app

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/orgcode"
)

// traffic calls a service of the center from the agency without a pause, over connections that stay open.
type traffic struct {
	good, bad atomic.Int64
	last      atomic.Pointer[exchange.Fault]
	stop      chan struct{}
	once      sync.Once
	work      sync.WaitGroup
}

func (p *pair) traffic() *traffic {
	p.t.Helper()
	err := p.center.exchange.Offer("portal/echo", exchange.Offering{Name: map[string]string{"vi": "Tiếng vọng"}}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.center.access.SetPublished([]exchange.Rule{{Consumer: "VN/GOV/H36/office", Service: "portal/echo"}}); err != nil {
		p.t.Fatal(err)
	}
	p.offset.Add(int64(time.Second)) // the time of a publication grows
	if err := p.center.publish(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.refresh()
	t := &traffic{stop: make(chan struct{})}
	for range 2 {
		t.work.Go(func() {
			for {
				select {
				case <-t.stop:
					return
				default:
				}
				_, err := p.agency.exchange.Call(p.t.Context(), exchange.Call{
					From: p.agency.cfg.Subsystem("office"), To: orgcode.Service{Instance: "VN", Class: "GOV", Member: "G22", Subsystem: "portal", Code: "echo"},
				})
				if err == nil {
					t.good.Add(1)
					continue
				}
				if f, ok := errors.AsType[*exchange.Fault](err); ok {
					t.last.Store(f)
				}
				t.bad.Add(1)
			}
		})
	}
	p.t.Cleanup(t.end)
	return t
}

// end waits for the calls that are under way; a second time it does nothing.
func (t *traffic) end() {
	t.once.Do(func() { close(t.stop) })
	t.work.Wait()
}

// next waits for n further calls of each goroutine and returns how those ended that began after it was called.
func (t *traffic) next(n int64) (good, bad int64) {
	settled := func(more int64) {
		for end := t.good.Load() + t.bad.Load() + more; t.good.Load()+t.bad.Load() < end; {
			time.Sleep(time.Millisecond)
		}
	}
	settled(4) // those under way
	good, bad = t.good.Load(), t.bad.Load()
	settled(n)
	return t.good.Load() - good, t.bad.Load() - bad
}

// A node runs under traffic past the end of its certificate, because nothing renewed it: from that moment on it is refused
// in both directions, on connections that were opened before too, and says why; a renewal brings it back by itself.
func TestRunsPastItsCertificate(t *testing.T) {
	p := newPair(t)
	tr := p.traffic()
	if good, bad := tr.next(20); bad > 0 || good == 0 {
		t.Fatalf("at first %d calls failed: %+v", bad, tr.last.Load())
	}
	st, err := p.agency.KeyStatus()
	if err != nil {
		t.Fatal(err)
	}
	if ends := p.center.certificateEnds(p.agency.cfg.ServerID()); !ends.Equal(st.Certificate.NotAfter) {
		t.Errorf("the center's page says that the certificate ends at %s; want %s", ends, st.Certificate.NotAfter)
	}
	week := func() {
		p.offset.Add(int64(6 * 24 * time.Hour)) // the document lives for seven days
		if err := p.center.renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.refresh()
	}
	for p.now().Add(6 * 24 * time.Hour).Before(st.Certificate.NotAfter) {
		week()
		if good, bad := tr.next(10); bad > 0 || good == 0 {
			t.Fatalf("%s before the end of the certificate: %+v", st.Certificate.NotAfter.Sub(p.now()), tr.last.Load())
		}
	}
	if status, body := fetch(t, p.agency.cfg.Web.URL+"/readyz"); status != 200 || !strings.Contains(body, `"certificateAlarm"`) {
		t.Errorf("shortly before the end /readyz = %d %s; want an alarm", status, body)
	}
	week()
	if !p.now().After(st.Certificate.NotAfter) {
		t.Fatalf("the certificate still lives until %s", st.Certificate.NotAfter)
	}
	if good, bad := tr.next(10); good > 0 || bad == 0 {
		t.Errorf("%d calls went through after the end of the certificate", good)
	}
	if f := p.probe(p.center, p.agency); f == "" {
		t.Error("a node whose certificate has ended is still called")
	}
	if status, body := fetch(t, p.agency.cfg.Web.URL+"/readyz"); status != 503 || !strings.Contains(body, `"certificateAlarm":"ended"`) {
		t.Errorf("/readyz = %d %s; want 503 and that it ended", status, body)
	}
	if status, body := fetch(t, p.agency.cfg.Web.URL+"/status"); status != 503 || !strings.Contains(body, `"name":"certificate","light":"bad"`) {
		t.Errorf("/status = %d %s; want the certificate bad", status, body)
	}
	if err := p.agency.renew(t.Context()); err != nil {
		t.Fatalf("renewal after the end: %v", err)
	}
	p.refresh()
	p.offset.Add(int64(10 * time.Second)) // the circuit breaker tries again, by one call
	for i, before := 0, tr.good.Load(); tr.good.Load() == before; i++ {
		if i > 30_000 {
			t.Fatalf("nothing goes through after the renewal: %+v", tr.last.Load())
		}
		time.Sleep(time.Millisecond)
	}
	if good, bad := tr.next(10); bad > 0 || good == 0 {
		t.Errorf("after the renewal %d calls failed: %+v", bad, tr.last.Load())
	}
	p.works("after the renewal")
	if status, body := fetch(t, p.agency.cfg.Web.URL+"/readyz"); status != 200 || strings.Contains(body, "certificateAlarm") {
		t.Errorf("after the renewal /readyz = %d %s", status, body)
	}
}
