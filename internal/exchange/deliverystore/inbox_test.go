package deliverystore_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/delivery"
)

func letter(id, body, key string) delivery.Message {
	m := say(id, body, key)
	m.To = inbox
	return m
}

// TestPull: a system behind the receiver's node fetches messages under a lease, in order per key, and its answer reaches
// the sender.
func TestPull(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		b.Modes = map[string]delivery.Mode{"onestop/inbox": {}}
		a.send(t, letter("m-1", "one", "k"))
		a.send(t, letter("m-2", "two", "k"))
		a.run(t)
		if got := a.state(t, portal, "m-1"); got.State != delivery.Accepted {
			t.Fatalf("state = %s (%s); want accepted", got.State, got.Error)
		}
		first, err := b.Next(t.Context(), inbox.String())
		if err != nil || string(first.Body) != "one" || first.Sender != portal.String() || first.Path != "/messages" {
			t.Fatalf("first = %+v, %v", first, err)
		}
		if _, err := b.Next(t.Context(), inbox.String()); !errs.Is(err, errs.NotFound) {
			t.Errorf("the second of an order was handed out while the first is in work: %v", err)
		}
		// The system dies with the lease; the message comes again.
		n.sleep(6 * time.Minute)
		if err := b.Ack(t.Context(), first.Lease, delivery.Answer{}); !errs.Is(err, errs.NotFound) {
			t.Errorf("Ack of a lease that ended = %v", err)
		}
		again, err := b.Next(t.Context(), inbox.String())
		if err != nil || string(again.Body) != "one" || again.Lease == first.Lease {
			t.Fatalf("after the lease: %+v, %v", again, err)
		}
		if err := b.Ack(t.Context(), again.Lease, delivery.Answer{Status: 200, ContentType: "text/plain", Body: []byte("done")}); err != nil {
			t.Fatal(err)
		}
		second, err := b.Next(t.Context(), inbox.String())
		if err != nil || string(second.Body) != "two" {
			t.Fatalf("second = %+v, %v", second, err)
		}
		if err := b.Reject(t.Context(), second.Lease, "không đọc được"); err != nil {
			t.Fatal(err)
		}
		n.sleep(time.Minute)
		a.run(t)
		if got := a.state(t, portal, "m-1"); got.State != delivery.Answered || string(got.Answer) != "done" || len(got.Body) != 0 {
			t.Errorf("answered = %+v", got)
		}
		if got := a.state(t, portal, "m-2"); got.State != delivery.Accepted || !strings.Contains(got.Error, "không đọc được") {
			t.Errorf("rejected = %+v; want it to wait for the operator over there", got)
		}
		if err := b.ReplayIn(t.Context(), second.Seq); err != nil {
			t.Fatal(err)
		}
		second, err = b.Next(t.Context(), inbox.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Ack(t.Context(), second.Lease, delivery.Answer{}); err != nil {
			t.Fatal(err)
		}
		n.sleep(2 * time.Hour)
		a.run(t)
		if got := a.state(t, portal, "m-2"); got.State != delivery.Delivered {
			t.Errorf("after replay and ack: %s", got.State)
		}
	})
}

func TestPullPutsPoisonAside(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		b.Modes = map[string]delivery.Mode{"onestop/inbox": {}}
		a.send(t, letter("m-1", "one", ""))
		a.run(t)
		for range 20 {
			if _, err := b.Next(t.Context(), inbox.String()); err != nil {
				t.Fatal(err)
			}
			n.sleep(6 * time.Minute)
		}
		if _, err := b.Next(t.Context(), inbox.String()); !errs.Is(err, errs.NotFound) {
			t.Errorf("a message that nobody can process is handed out for ever: %v", err)
		}
		v, err := b.View(t.Context())
		if err != nil || len(v.DeadIn) != 1 {
			t.Fatalf("dead = %+v, %v", v.DeadIn, err)
		}
		if err := b.DropIn(t.Context(), v.DeadIn[0].Seq); err != nil {
			t.Fatal(err)
		}
		n.sleep(3 * time.Hour)
		a.run(t)
		if got := a.state(t, portal, "m-1"); got.State != delivery.Dropped {
			t.Errorf("the sender sees %s; want dropped", got.State)
		}
	})
}

// TestPush: the webhook is signed so that a system can check it with the node's key alone.
func TestPush(t *testing.T) {
	each(t, func(t *testing.T, n *network, a, b *node) {
		var mu sync.Mutex
		var got []string
		status := http.StatusServiceUnavailable
		hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			body, _ := io.ReadAll(r.Body)
			if err := checkWebhook(r, body, b.Signing.Public().(ed25519.PublicKey)); err != nil {
				t.Error(err)
			}
			if err := checkWebhook(r, append(body, 'x'), b.Signing.Public().(ed25519.PublicKey)); err == nil {
				t.Error("the verifier takes other bytes")
			}
			if status == http.StatusOK {
				got = append(got, string(body)+"@"+r.URL.RequestURI()+" "+r.Header.Get("X-Road-Client"))
			}
			w.WriteHeader(status)
		}))
		defer hook.Close()
		b.Modes = map[string]delivery.Mode{"onestop/inbox": {Push: hook.URL + "/in"}}
		a.send(t, letter("m-1", "one", "k"))
		a.send(t, letter("m-2", "two", "k"))
		a.run(t)
		b.run(t)
		mu.Lock()
		status = http.StatusOK
		mu.Unlock()
		b.restart(n) // as after a kill: what was accepted is on the disk
		n.sleep(time.Hour)
		b.run(t)
		n.sleep(time.Hour)
		a.run(t)
		want := []string{"one@/in/messages VN/GOV/G22/portal", "two@/in/messages VN/GOV/G22/portal"}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("webhook received %q; want %q", got, want)
		}
		if s := a.state(t, portal, "m-2"); s.State != delivery.Delivered {
			t.Errorf("the sender sees %s (%s); want delivered", s.State, s.Error)
		}
		// A redirect could lead anywhere; it is a refusal.
		mu.Lock()
		status = http.StatusFound
		mu.Unlock()
		a.send(t, letter("m-3", "three", "k"))
		a.run(t)
		b.run(t)
		v, err := b.View(t.Context())
		if err != nil || len(v.DeadIn) != 1 || v.DeadIn[0].ID != "m-3" {
			t.Errorf("after a redirect: %+v, %v", v.DeadIn, err)
		}
	})
}

var inputShape = regexp.MustCompile(`^truc=(\(([^)]*)\);created=\d+;keyid="[A-Za-z0-9_-]{43}";alg="ed25519";tag="truc-webhook")$`)

// checkWebhook is a verifier written from RFC 9421 alone, as a receiving system would.
func checkWebhook(r *http.Request, body []byte, key ed25519.PublicKey) error {
	m := inputShape.FindStringSubmatch(r.Header.Get("Signature-Input"))
	if m == nil {
		return fmt.Errorf("Signature-Input %q", r.Header.Get("Signature-Input"))
	}
	if r.Header.Get("Content-Digest") != exchange.ContentDigest(body) {
		return fmt.Errorf("digest %q is of other bytes", r.Header.Get("Content-Digest"))
	}
	base, covered := "", map[string]bool{}
	for c := range strings.SplitSeq(m[2], " ") {
		name := strings.Trim(c, `"`)
		covered[name] = true
		value := r.Header.Get(name)
		switch name {
		case "@method":
			value = r.Method
		case "@target-uri":
			value = "http://" + r.Host + r.URL.RequestURI()
		}
		base += c + ": " + value + "\n"
	}
	for _, must := range []string{"@method", "@target-uri", "content-digest", "content-type", "x-road-client", "x-road-id", "x-road-service"} {
		if !covered[must] {
			return fmt.Errorf("%s is not signed", must)
		}
	}
	base += `"@signature-params": ` + m[1]
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Signature"), "truc=:"), ":"))
	if err != nil || !ed25519.Verify(key, []byte(base), sig) {
		return fmt.Errorf("the signature is wrong over %q", base)
	}
	return nil
}

func TestCheckWebhookAddress(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://hs.lamdong.gov.vn/in": true, "http://127.0.0.1:9000/in": true, "http://localhost:1": true, "http://[::1]:1/": true,
		"http://hs.lamdong.gov.vn/in": false, "ftp://127.0.0.1/": false, "https://u:p@h/": false, "": false, "https://h/#x": false,
	} {
		if err := delivery.CheckWebhook(address); (err == nil) != ok {
			t.Errorf("CheckWebhook(%q) = %v; want ok %v", address, err, ok)
		}
	}
}
