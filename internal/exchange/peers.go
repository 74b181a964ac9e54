package exchange

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrNotSent marks the error of a [Carrier] that certainly sent nothing: the connection could not be opened. Such a
// request may go to another node, whatever its method.
var ErrNotSent = errors.New("the request was not sent")

// maxAttempts bounds how many nodes are asked for one call.
const maxAttempts = 3

// peerTable knows how busy and how healthy other nodes are, from the calls made to them (spec D18): the next call goes
// to the node with the least work before it, weighed by how long it took to answer lately.
type peerTable struct {
	breakers breakers

	mu   sync.Mutex // guards load and turn
	load map[string]*peerLoad
	turn int64
}

type peerLoad struct {
	outstanding int
	mean        float64 // seconds; recent answers count most
	at          time.Time
	turn        int64 // when it was chosen last
}

// meanSpan is the time after which an old measurement counts for a third: a node that was slow gets another chance.
const meanSpan = 10 * time.Second

// least answers faster than this are all alike.
const quick = 0.005

// choose picks a node and reserves it; release must be called with what became of the call. A fault "circuit_open" says
// that all are known to fail.
func (x *exchangeState) choose(peers []Peer, tried []string) (p Peer, release func(verdict), f *Fault) {
	s := x.s
	now := s.now()
	t := &s.peers
	var retry time.Duration
	for _, p := range t.order(peers, tried, s.opt.ServerID, now) {
		if p.ServerID == s.opt.ServerID { // this very node; its services have breakers of their own
			return p, func(verdict) {}, nil
		}
		wait, ok := t.breakers.allow(p.ServerID, now)
		if ok {
			t.begin(p.ServerID)
			return p, func(v verdict) {
				end := s.now()
				t.end(p.ServerID, end.Sub(now), v, end)
				t.breakers.done(p.ServerID, v, end)
			}, nil
		}
		if retry == 0 || wait < retry {
			retry = wait
		}
	}
	f = x.fault(atConsumer, "circuit_open", nil, "service", x.msg.Service)
	f.RetryAfter = retry
	return Peer{}, nil, f
}

// order sorts the nodes that were not tried: this one, then by load; those in maintenance last.
func (t *peerTable) order(peers []Peer, tried []string, self string, now time.Time) []Peer {
	if len(peers) == 1 && len(tried) == 0 {
		return peers
	}
	rest := slices.DeleteFunc(slices.Clone(peers), func(p Peer) bool { return slices.Contains(tried, p.ServerID) })
	t.mu.Lock()
	defer t.mu.Unlock()
	rank := func(p Peer) (class int, score float64, turn int64) {
		switch {
		case p.Maintenance != "":
			class = 2
		case p.ServerID != self:
			class = 1
		}
		l := t.load[p.ServerID]
		if l == nil {
			return class, quick, 0
		}
		old := math.Exp(-now.Sub(l.at).Seconds() / meanSpan.Seconds())
		return class, float64(l.outstanding+1) * max(quick, l.mean*min(old, 1)), l.turn
	}
	slices.SortStableFunc(rest, func(a, b Peer) int {
		ca, sa, ta := rank(a)
		cb, sb, tb := rank(b)
		switch {
		case ca != cb:
			return ca - cb
		case sa != sb:
			if sa < sb {
				return -1
			}
			return 1
		case ta < tb:
			return -1
		case ta > tb:
			return 1
		}
		return 0
	})
	return rest
}

func (t *peerTable) begin(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.load == nil {
		t.load = map[string]*peerLoad{}
	}
	l := t.load[id]
	if l == nil {
		l = &peerLoad{}
		t.load[id] = l
	}
	t.turn++
	l.outstanding, l.turn = l.outstanding+1, t.turn
}

func (t *peerTable) end(id string, took time.Duration, v verdict, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.load[id]
	l.outstanding--
	if v == healthy {
		keep := 0.7
		if l.at.IsZero() {
			keep = 0
		}
		l.mean, l.at = keep*l.mean+(1-keep)*took.Seconds(), now
	}
}

// unasked are refusals that a node signs before it calls the service; any request may go to another node after them.
var unasked = []string{"maintenance_mode", "circuit_open", "global_conf_outdated"}

// judge says what a failed attempt tells of the peer and whether another node may be asked. gaveUp is set when the caller
// is gone or out of time.
func (x *exchangeState) judge(req *WireRequest, f *Fault, gaveUp bool) (v verdict, again bool) {
	if req.Stream != nil {
		return x.judgeUpload(f, gaveUp)
	}
	idempotent := slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete}, req.Method)
	head, _, _ := strings.Cut(f.Code(), ".")
	own := strings.HasPrefix(f.Type, atConsumer) && f.Hop == x.s.opt.ServerID
	switch {
	case gaveUp:
		if head == "deadline_exceeded" && own && x.late() {
			return failing, false
		}
		return undecided, false
	case own && head == "network_error":
		return failing, idempotent || errors.Is(f, ErrNotSent)
	case own && (head == "signature_verification" || head == "inconsistent_response"):
		return failing, idempotent
	case own:
		return undecided, false
	case slices.Contains(unasked, head):
		return healthy, true
	case head == "logging_failed", head == "cannot_sign":
		return failing, idempotent
	}
	return healthy, false // a signed refusal is the answer of a node that works
}

// judgeUpload is judge for a request whose body streams: it can be sent again only as long as nothing was read of it.
func (x *exchangeState) judgeUpload(f *Fault, gaveUp bool) (v verdict, again bool) {
	if gaveUp || f.Hop != x.s.opt.ServerID || f.Code() == "io_error" {
		return undecided, false
	}
	if f.Code() == "network_error" {
		return failing, errors.Is(f, ErrNotSent) && !x.out.touched()
	}
	return undecided, false
}

// late reports whether the caller gave the peer a fair time: one that gives up at once says nothing of the peer.
func (x *exchangeState) late() bool { return x.s.now().Sub(x.started) >= breakerPause }

// candidates returns the nodes that may be asked.
func (x *exchangeState) candidates(c Call) ([]Peer, *Fault) {
	peers, err := x.s.providers(c.To)
	if err != nil {
		return nil, x.directoryFault(err)
	}
	if c.Server != "" {
		peers = slices.DeleteFunc(slices.Clone(peers), func(p Peer) bool { return p.ServerID != c.Server })
	}
	if len(peers) == 0 {
		return nil, x.fault(atClient, "invalid_security_server", nil)
	}
	return x.currentPeers(peers)
}

// again prepares the state for another node: the failed attempt stays in log and index as an exchange of its own, with
// its own request id.
func (x *exchangeState) again(f *Fault) {
	s := x.s
	failed := x.msg
	failed.Outcome, failed.FaultID, failed.Recorded = f.Type, f.ID, s.now()
	failed.Duration = failed.Recorded.Sub(x.msg.At)
	if x.logged {
		s.index.put(failed)
	}
	x.logged, x.entry, x.peer = false, Entry{}, Peer{}
	x.msg.RequestIndex, x.msg.ResponseIndex, x.msg.Status, x.msg.ResponseSize = -1, -1, 0, 0
	x.msg.RequestOut, x.msg.ResponseIn = time.Time{}, time.Time{}
	x.msg.RequestID = NewUUID()
}
