package exchangeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/pki"
)

func carrierOf(t *testing.T, n *testNode) *Carrier {
	t.Helper()
	c, ok := n.carrier.next.(*Carrier)
	if !ok {
		t.Fatalf("the node carries with a %T", n.carrier.next)
	}
	return c
}

// open dials the provider as the consumer would, with protocols of the test's choice.
func (p *pair) open(t *testing.T, protocols ...string) *tls.Conn {
	t.Helper()
	c := carrierOf(t, p.consumer)
	peer := p.net.peers[p.provider.id]
	s := c.peer(peer).settings
	s.Protocols = protocols
	conn, err := tls.Dial("tcp", strings.TrimPrefix(peer.URL, "https://"), s.Client())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (p *pair) algorithms(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, n := range []*testNode{p.consumer, p.provider} {
		for _, e := range n.entries(t) {
			_, alg, _ := strings.Cut(e.Base, `;alg="`)
			alg, _, _ = strings.Cut(alg, `"`)
			out[alg]++
		}
	}
	return out
}

func TestNodesSignTogetherOverFrames(t *testing.T) {
	for alg, name := range map[pki.Alg]string{pki.Ed25519: "ed25519-mt", pki.P256: "ecdsa-p256-sha256-mt"} {
		t.Run(name, func(t *testing.T) {
			p := newPairOf(t, alg)
			var wg sync.WaitGroup
			ids := make([]string, 40)
			for i := range ids {
				wg.Go(func() {
					ans, err := p.consumer.Call(t.Context(), query(t))
					if err != nil {
						t.Error(err)
						return
					}
					ids[i] = ans.ExchangeID
				})
			}
			wg.Wait()
			if got := p.algorithms(t); got[name] != 160 {
				t.Fatalf("signatures by algorithm: %v, want 160 of %s", got, name)
			}
			// Each is evidence by itself, at both nodes.
			for _, n := range []*testNode{p.consumer, p.provider} {
				pkg, err := n.Evidence(t.Context(), ids[17], exchange.EvidenceOptions{Persons: true})
				if err != nil {
					t.Fatal(err)
				}
				if r, err := exchange.VerifyEvidence(pkg, p.trust()); err != nil || !r.OK {
					t.Errorf("evidence of %s: %+v, %v", n.id, r, err)
				}
			}
		})
	}
}

func TestPeerWithoutFramesIsSpokenToInHTTP2(t *testing.T) {
	for alg, name := range map[pki.Alg]string{pki.Ed25519: "ed25519", pki.P256: "ecdsa-p256-sha256"} {
		p := newPairOf(t, alg)
		// A node of before knows one protocol.
		old := linkProtocols
		c := carrierOf(t, p.consumer)
		l := c.peer(p.net.peers[p.provider.id])
		l.settings.Protocols = []string{"h2"}
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
		if got := p.algorithms(t); got[name] != 4 || len(old) != 2 {
			t.Errorf("signatures by algorithm: %v, want 4 of %s", got, name)
		}
		l.askAgain()
		l.settings.Protocols = old
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
		if got := p.algorithms(t); got[name+"-mt"] != 4 {
			t.Errorf("after the peer was asked again: %v", got)
		}
	}
}

func TestLargeAnswersAndRequestsLeaveTheFrames(t *testing.T) {
	p := newPair(t)
	big := bytes.Repeat([]byte("x"), maxFramedBody+1)
	got := 0
	if err := p.provider.Offer("population/big", exchange.Offering{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = len(b)
		_, _ = w.Write(big)
	})); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.SetRules([]exchange.Rule{{Consumer: "VN/GOV/H36/onestop", Service: "population/big"}}); err != nil {
		t.Fatal(err)
	}
	c := query(t)
	c.To = service(t, "VN/GOV/G01/population/big")
	for _, body := range [][]byte{nil, big} {
		c.Body = body
		ans, err := p.consumer.Call(t.Context(), c)
		if err != nil || !bytes.Equal(ans.Body, big) || got != len(body) {
			t.Fatalf("request of %d: provider got %d, answer %v, %v", len(body), got, ans != nil, err)
		}
	}
	// What is held for one node is for nobody else, and for once.
	h := &heldAnswers{}
	token := h.keep("a", &exchange.WireResponse{Status: 200})
	if h.take(token, "b") != nil || h.take(token, "a") == nil || h.take(token, "a") != nil {
		t.Error("a held answer is given to another node, or twice")
	}
	for range maxHeld + 10 {
		h.keep("a", &exchange.WireResponse{})
	}
	if len(h.m) > maxHeld {
		t.Errorf("%d answers are held, want at most %d", len(h.m), maxHeld)
	}
}

func TestCallerWhoGoesAwayCancelsTheService(t *testing.T) {
	p := newPair(t)
	begun, ended := make(chan struct{}), make(chan struct{})
	if err := p.provider.Offer("population/slow", exchange.Offering{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(ended)
	})); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.SetRules([]exchange.Rule{{Consumer: "VN/GOV/H36/onestop", Service: "population/slow"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := query(t)
	c.To = service(t, "VN/GOV/G01/population/slow")
	failed := make(chan error, 1)
	go func() { _, err := p.consumer.Call(ctx, c); failed <- err }()
	<-begun
	cancel()
	<-ended
	if err := <-failed; err == nil {
		t.Error("the call that was given up has an answer")
	}
	if _, err := p.consumer.Call(t.Context(), query(t)); err == nil || !strings.Contains(err.Error(), "access_denied") {
		t.Errorf("the connection after it: %v, want a refusal by the rules", err)
	}
}

// A caller does not learn that its connection is gone by losing a call: what was not sent is sent over a new one.
func TestConnectionIsOpenedAgain(t *testing.T) {
	p := newPair(t)
	for range 3 {
		if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
			t.Fatal(err)
		}
		l := carrierOf(t, p.consumer).peer(p.net.peers[p.provider.id])
		l.mu.Lock()
		l.framed.close()
		l.mu.Unlock()
	}
	if n := p.provider.conns.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

func TestServerThatEndsLetsWorkFinish(t *testing.T) {
	p := newPair(t)
	begun, release := make(chan struct{}), make(chan struct{})
	if err := p.provider.Offer("population/slow", exchange.Offering{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = w.Write([]byte("done"))
	})); err != nil {
		t.Fatal(err)
	}
	if err := p.provider.SetRules([]exchange.Rule{{Consumer: "VN/GOV/H36/onestop", Service: "population/slow"}}); err != nil {
		t.Fatal(err)
	}
	c := query(t)
	c.To = service(t, "VN/GOV/G01/population/slow")
	type outcome struct {
		ans *exchange.Answer
		err error
	}
	out := make(chan outcome, 1)
	go func() { ans, err := p.consumer.Call(t.Context(), c); out <- outcome{ans, err} }()
	<-begun
	ended := make(chan error, 1)
	go func() { ended <- p.provider.srv.Shutdown(t.Context()) }()
	l := carrierOf(t, p.consumer).peer(p.net.peers[p.provider.id])
	for l.framed.usable() {
		runtime.Gosched()
	}
	close(release)
	if o := <-out; o.err != nil || string(o.ans.Body) != "done" {
		t.Errorf("the call in work: %v", o.err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Whatever a listed peer writes into its connection, the node answers or cuts it off, and serves others.
func TestHostileFrames(t *testing.T) {
	p := newPair(t)
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Fatal(err)
	}
	good := appendRequest(nil, 1, &exchange.WireRequest{Method: "GET", TargetURI: "https://p/x1/VN/GOV/G01/population/person", Header: http.Header{}})
	huge := binary.BigEndian.AppendUint32(nil, 1<<31)
	for name, b := range map[string][]byte{
		"a length beyond all measure": append(huge, make([]byte, 64)...),
		"an unknown kind":             appendBare(nil, 99, 1),
		"an answer nobody asked for":  appendAnswer(nil, 1, &exchange.WireResponse{Status: 200, Header: http.Header{}}),
		"noise":                       bytes.Repeat([]byte{0xff}, 4096),
		"HTTP":                        []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	} {
		conn := p.open(t, framedProtocol)
		_, _ = conn.Write(b) // fails when the node has cut it off before the last byte
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := conn.Read(make([]byte, 10)); n > 0 || err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %d bytes, %v; want the connection cut off", name, n, err)
		}
	}
	// An unsigned request is refused without a word about services.
	conn := p.open(t, framedProtocol)
	if _, err := conn.Write(append(good, appendBare(nil, framePing, 5)...)); err != nil {
		t.Fatal(err)
	}
	kinds := map[frameKind]frame{}
	for range 2 {
		f, err := readFrame(conn)
		if err != nil {
			t.Fatal(err)
		}
		kinds[f.kind] = f
	}
	if resp, err := parseAnswer(kinds[frameAnswer].payload); err != nil || resp.Status/100 != 4 && resp.Status/100 != 5 || kinds[framePong].id != 5 {
		t.Errorf("answers %+v: %v", kinds, err)
	}
	if _, err := p.consumer.Call(t.Context(), query(t)); err != nil {
		t.Errorf("a good call after all that: %v", err)
	}
}
