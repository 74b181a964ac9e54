package exchangeapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
)

// DISC-04: from its end on a service is in no listing, and calls find no such service.
func TestEndedPublicationDisappears(t *testing.T) {
	p := newPair(t)
	o := exchange.Offering{Personal: true, Public: true, EndsAt: time.Now().Add(time.Hour), OpenAPI: []byte(`{"openapi":"3.1.0"}`)}
	if err := p.provider.Put("population/person", o, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })); err != nil {
		t.Fatal(err)
	}
	list := func() string {
		t.Helper()
		ans, err := p.consumer.Call(t.Context(), exchange.Call{From: query(t).From, To: service(t, "VN/GOV/G01/population/allowedMethods")})
		if err != nil {
			t.Fatal(err)
		}
		return string(ans.Body)
	}
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil || !strings.Contains(list(), `"person"`) {
		t.Fatalf("before the end: %v, %s", err, list())
	}
	o.EndsAt = time.Now().Add(-time.Millisecond)
	if err := p.provider.Put("population/person", o, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the service was called after its end") })); err != nil {
		t.Fatal(err)
	}
	_, err := p.consumer.Call(t.Context(), query(t))
	wantFault(t, err, "server.serverproxy.unknown_service", errs.NotFound)
	if got := list(); strings.Contains(got, `"person"`) {
		t.Errorf("after the end it is listed: %s", got)
	}
	for _, x := range p.provider.Offers() {
		if x.ID.Code == "person" {
			t.Error("after the end the directory is told of it")
		}
	}
}
