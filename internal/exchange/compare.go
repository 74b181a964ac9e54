package exchange

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"truc/internal/translog"
)

// EntryReader reads the entries of a node's log; *translog.Log is one.
type EntryReader interface {
	Size() int64
	Minimum() int64
	Entry(i int64) ([]byte, error)
}

// Comparison is the outcome of [CompareLogs].
type Comparison struct {
	// Nodes are the nodes that wrote the logs.
	Nodes [2]string
	// Acknowledged counts exchanges between the two whose answer the consumer had verified and logged.
	Acknowledged int
	// Differences says what does not agree, at most a hundred.
	Differences []string
	// Skipped counts entries that were pruned and so could not be compared.
	Skipped int64
}

// side is what one node logged about one request.
type side struct {
	peer, exchangeID string
	request          [sha256.Size]byte // of base, signature and digest
	response         [sha256.Size]byte
	// bodies are those of streams that ended well, by the direction of their entries.
	bodies          map[string][sha256.Size]byte
	asked, answered bool // the entries are there
	signed          bool // the answer was signed by the provider
}

// comparedLog is one log by role and request id.
type comparedLog struct {
	node  string
	sides map[[2]string]*side
}

// CompareLogs holds two nodes' logs against each other: what a consumer acknowledged must be in the provider's log with
// the same signatures and digests, and what a provider was asked must be in the consumer's log, which writes it before it
// sends. Exchanges that ended without an answer may lack an entry on either side; that is no difference. A log compared
// with itself checks what a node asked of itself.
func CompareLogs(ctx context.Context, a, b EntryReader) (*Comparison, error) {
	logs := [2]*comparedLog{}
	c := &Comparison{}
	for i, r := range []EntryReader{a, b} {
		l, err := readSides(ctx, r)
		if err != nil {
			return nil, err
		}
		logs[i], c.Nodes[i] = l, l.node
		c.Skipped += r.Minimum()
	}
	c.oneWay(logs[0], logs[1])
	if logs[0].node != logs[1].node {
		c.oneWay(logs[1], logs[0])
	}
	return c, nil
}

func readSides(ctx context.Context, r EntryReader) (*comparedLog, error) {
	l := &comparedLog{sides: map[[2]string]*side{}}
	for i := r.Minimum(); i < r.Size(); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := r.Entry(i)
		if errors.Is(err, translog.ErrPruned) { // since we began
			continue
		}
		if err != nil {
			return nil, err
		}
		e, err := decodeEntry(b)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		if l.node != "" && l.node != e.Node {
			return nil, fmt.Errorf("entry %d is of node %s, those before of %s", i, e.Node, l.node)
		}
		l.node = e.Node
		key := [2]string{e.Role, e.RequestID}
		s := l.sides[key]
		if s == nil {
			s = &side{peer: e.Peer, exchangeID: e.ExchangeID}
			l.sides[key] = s
		}
		switch e.Direction {
		case directionRequest:
			s.asked, s.request = true, sha256.Sum256([]byte(e.Base+"\n"+e.Signature+"\n"+e.RequestDigest+"\n"+e.Service+"\n"+e.Client))
		case directionRequestBody, directionResponseBody: // of a stream that was cut each side may have seen another part
			if e.Outcome == "ok" {
				if s.bodies == nil {
					s.bodies = map[string][sha256.Size]byte{}
				}
				s.bodies[e.Direction] = sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d", e.RequestDigest, e.ResponseDigest, e.Signature, e.Size))
			}
		default:
			s.answered, s.signed = true, e.Signature != ""
			s.response = sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d\n%s", e.Base, e.Signature, e.ResponseDigest, e.Status, e.Outcome))
		}
	}
	return l, nil
}

// oneWay compares what the consumer's node asked of the provider's.
func (c *Comparison) oneWay(consumer, provider *comparedLog) {
	for key, mine := range consumer.sides {
		if key[0] != RoleConsumer || mine.peer != provider.node || !mine.answered || !mine.signed {
			continue
		}
		c.Acknowledged++
		theirs := provider.sides[[2]string{RoleProvider, key[1]}]
		switch {
		case !mine.asked:
			c.differ("%s: %s acknowledged an answer without having logged the request", mine.exchangeID, consumer.node)
		case theirs == nil || !theirs.asked || !theirs.answered:
			c.differ("%s: %s acknowledged an answer that is not in the log of %s", mine.exchangeID, consumer.node, provider.node)
		case mine.request != theirs.request:
			c.differ("%s: %s and %s logged different requests", mine.exchangeID, consumer.node, provider.node)
		case mine.response != theirs.response:
			c.differ("%s: %s and %s logged different answers", mine.exchangeID, consumer.node, provider.node)
		case differentBodies(mine, theirs):
			c.differ("%s: %s and %s logged different bodies", mine.exchangeID, consumer.node, provider.node)
		}
	}
	for key, theirs := range provider.sides {
		if key[0] != RoleProvider || theirs.peer != consumer.node || !theirs.asked {
			continue
		}
		mine := consumer.sides[[2]string{RoleConsumer, key[1]}]
		if mine == nil || !mine.asked {
			c.differ("%s: %s was asked for what %s has not logged", theirs.exchangeID, provider.node, consumer.node)
		} else if mine.request != theirs.request {
			c.differ("%s: %s was asked for something else than %s logged", theirs.exchangeID, provider.node, consumer.node)
		}
	}
}

// differentBodies reports whether both saw a stream to its end, and not the same one.
func differentBodies(a, b *side) bool {
	for direction, body := range a.bodies {
		if other, ok := b.bodies[direction]; ok && other != body {
			return true
		}
	}
	return false
}

func (c *Comparison) differ(format string, args ...any) {
	if len(c.Differences) < 100 {
		c.Differences = append(c.Differences, fmt.Sprintf(format, args...))
	}
}
