package exchangeapi

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"truc/internal/errs"
	"truc/internal/exchange"
)

// X7: a service is switched off with a notice that reaches the caller, and only a caller who may call it.
func TestDisabledServiceTellsItsNotice(t *testing.T) {
	p := newPair(t)
	var got []string
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		target, ok := exchange.TargetOf(r.Context())
		if !ok {
			t.Error("the handler is not told the target")
		}
		got = append(got, target.Path.String())
	})
	off := exchange.Offering{Disabled: true, Notice: "Bảo trì đến 06:00 ngày 23/11"}
	if err := p.provider.Put("population/open", off, h); err != nil {
		t.Fatal(err)
	}
	c := query(t)
	c.To, c.Method, c.Body = service(t, "VN/GOV/G01/population/open"), "GET", nil
	_, err := p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.serverproxy.service_disabled", errs.Unavailable)
	if f := faultOf(t, err); f.Notice != off.Notice || !strings.HasSuffix(f.Message(), off.Notice) || f.Status(true) != 503 {
		t.Errorf("fault says %q, status %d", f.Message(), f.Status(true))
	}
	list := c
	list.To, list.Path = service(t, "VN/GOV/G01/population/listMethods"), ""
	ans, err := p.consumer.Call(t.Context(), list)
	if err != nil || !strings.Contains(string(ans.Body), `"disabled":true,"notice":"Bảo trì`) {
		t.Errorf("listMethods = %s, %v", ans.Body, err)
	}
	if err := p.provider.SetRules(nil); err != nil {
		t.Fatal(err)
	}
	_, err = p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.serverproxy.access_denied", errs.Denied)
	if err := p.provider.SetRules([]exchange.Rule{{Consumer: "VN/GOV/H36/onestop", Service: "population/open"}}); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.Put("population/open", exchange.Offering{}, h); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "/", "/a%20b/c"} {
		c.Path = path
		if _, err = p.consumer.Call(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(got, " ") != " / /a%20b/c" {
		t.Errorf("targets = %q", got)
	}
	p.provider.Withdraw("population/open")
	_, err = p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.serverproxy.unknown_service", errs.NotFound)
	for _, code := range []string{"population/getOpenAPI", "other/x", "population", "population/a/b"} {
		if p.provider.CheckOffer(code) == nil || p.provider.Put(code, exchange.Offering{}, h) == nil {
			t.Errorf("%s may be offered", code)
		}
	}
}

// A handler that cannot reach its back end refuses; whatever it wrote before is not passed as an answer.
func TestHandlerFails(t *testing.T) {
	p := newPair(t)
	if err := p.provider.Put("population/open", exchange.Offering{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half an ans"))
		f, ok := w.(exchange.Failer)
		if !ok {
			t.Fatal("the writer cannot fail")
		}
		f.Fail("service_failed.network_error", errors.New("connection reset"))
	})); err != nil {
		t.Fatal(err)
	}
	c := query(t)
	c.To, c.Method, c.Body = service(t, "VN/GOV/G01/population/open"), "GET", nil
	_, err := p.consumer.Call(t.Context(), c)
	wantFault(t, err, "server.serverproxy.service_failed.network_error", errs.Unavailable)
}
