package exchangeapi

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"truc/internal/exchange"
)

// frameHeld stands in the place of an answer that is too large for a frame: its payload is a word under which the peer
// fetches it over HTTP/2, once and soon.
const frameHeld frameKind = 16

const (
	heldPrefix = "/held/"
	heldFor    = 30 * time.Second
	maxHeld    = 64
)

func appendHeld(b []byte, id uint64, token string) []byte {
	from := len(b)
	b = append(beginFrame(b, frameHeld, id), token...)
	endFrame(b, from)
	return b
}

func parseHeld(payload []byte) (string, error) {
	if len(payload) == 0 || len(payload) > 64 || !isToken(payload) {
		return "", errFrame
	}
	return string(payload), nil
}

// heldAnswers are answers that wait to be fetched.
type heldAnswers struct {
	mu sync.Mutex // guards m
	m  map[string]*heldAnswer
}

type heldAnswer struct {
	peer string
	resp *exchange.WireResponse
	end  *time.Timer
}

// keep holds an answer for the node that asked. When too many are held, the answer is dropped: the peer sees it as lost.
func (h *heldAnswers) keep(peer string, resp *exchange.WireResponse) (token string) {
	token = rand.Text()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil {
		h.m = map[string]*heldAnswer{}
	}
	if len(h.m) < maxHeld {
		h.m[token] = &heldAnswer{peer: peer, resp: resp, end: time.AfterFunc(heldFor, func() { drop(h.take(token, peer)) })}
		return token
	}
	drop(resp)
	return token
}

// drop lets go of an answer that nobody fetches.
func drop(resp *exchange.WireResponse) {
	if resp == nil {
		return
	}
	resp.Release()
	if resp.Stream != nil {
		_ = resp.Stream.Body.Close()
	}
}

// take returns an answer to the node it is for, and forgets it.
func (h *heldAnswers) take(token, peer string) *exchange.WireResponse {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.m[token]
	if a == nil || a.peer != peer {
		return nil
	}
	a.end.Stop()
	delete(h.m, token)
	return a.resp
}

// serve answers a fetch; false when the request is none.
func (h *heldAnswers) serve(w http.ResponseWriter, r *http.Request, idle time.Duration) bool {
	token, ok := strings.CutPrefix(r.RequestURI, heldPrefix)
	if !ok {
		return false
	}
	if resp := h.take(token, peerOf(r).keyID); resp != nil && r.Method == http.MethodGet {
		defer drop(resp)
		if resp.Stream != nil {
			copyStream(r.Context(), &linkSink{w: w, idle: idle}, resp)
		} else {
			writeWire(w, resp)
		}
	} else {
		drop(resp)
		http.Error(w, "not found", http.StatusNotFound)
	}
	return true
}
