package exchange

import (
	"strings"
	"testing"

	"truc/internal/translog"
)

type entries []Entry

func (l entries) Size() int64    { return int64(len(l)) }
func (l entries) Minimum() int64 { return 0 }
func (l entries) Entry(i int64) ([]byte, error) {
	if i >= int64(len(l)) {
		return nil, translog.ErrRange
	}
	return l[i].encode()
}

func TestCompareLogs(t *testing.T) {
	one := func(role, node, peer, direction, request, signature string) Entry {
		return Entry{
			V: 1, Role: role, Node: node, Peer: peer, Direction: direction, RequestID: request, ExchangeID: "x-" + request, Signature: signature, Base: "b" + signature,
			Client: "c", Service: "s", RequestDigest: "d", ResponseDigest: "e", Status: 200, Outcome: "ok",
		}
	}
	full := func() (a, b entries) {
		for _, r := range []string{"1", "2"} {
			a = append(a, one(RoleConsumer, "A", "B", directionRequest, r, "q"+r), one(RoleConsumer, "A", "B", directionResponse, r, "r"+r))
			b = append(b, one(RoleProvider, "B", "A", directionRequest, r, "q"+r), one(RoleProvider, "B", "A", directionResponse, r, "r"+r))
		}
		return a, b
	}
	for _, tt := range []struct {
		name string
		edit func(a, b *entries)
		want string // a part of the only difference; empty for none
		n    int
	}{
		{"the same", func(_, _ *entries) {}, "", 2},
		{"the provider lost everything", func(_, b *entries) { *b = (*b)[2:] }, "not in the log of B", 2},
		{"the provider lost its answer", func(_, b *entries) { *b = (*b)[:3] }, "not in the log of B", 2},
		{"the provider logged another answer", func(_, b *entries) { (*b)[3].ResponseDigest = "other" }, "different answers", 2},
		{"the consumer died before it saw the answer", func(a, _ *entries) { *a = (*a)[:3] }, "", 1},
		{"no signed answer came", func(a, _ *entries) { (*a)[3].Signature = "" }, "", 1},
		{"the provider never got it", func(a, b *entries) { *a, *b = (*a)[:3], (*b)[:2] }, "", 1},
		{"the consumer lost the request", func(a, _ *entries) { *a = (*a)[:2] }, "has not logged", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := full()
			tt.edit(&a, &b)
			for range 2 { // either order
				c, err := CompareLogs(t.Context(), a, b)
				if err != nil || c.Acknowledged != tt.n || (tt.want == "") != (len(c.Differences) == 0) || tt.want != "" && !strings.Contains(c.Differences[0], tt.want) {
					t.Errorf("%+v, %v; want %q", c, err, tt.want)
				}
				a, b = b, a
			}
		})
	}
	t.Run("streams", func(t *testing.T) {
		body := func(role, node, peer, direction, digest, outcome string) Entry {
			e := one(role, node, peer, direction, "1", "t"+digest)
			e.RequestDigest, e.ResponseDigest, e.Outcome = digest, digest, outcome
			return e
		}
		compare := func(name, want string, acknowledged int, a, b entries) {
			t.Helper()
			c, err := CompareLogs(t.Context(), a, b)
			if err != nil || c.Acknowledged != acknowledged || (want == "") != (len(c.Differences) == 0) || want != "" && !strings.Contains(c.Differences[0], want) {
				t.Errorf("%s: %+v, %v; want %q", name, c, err, want)
			}
		}
		ask, asked := one(RoleConsumer, "A", "B", directionRequest, "1", "q"), one(RoleProvider, "B", "A", directionRequest, "1", "q")
		got, gave := one(RoleConsumer, "A", "B", directionResponse, "1", "r"), one(RoleProvider, "B", "A", directionResponse, "1", "r")
		up := func(digest, outcome string) (Entry, Entry) {
			return body(RoleConsumer, "A", "B", directionRequestBody, digest, "ok"), body(RoleProvider, "B", "A", directionRequestBody, digest, outcome)
		}
		sent, took := up("d", "ok")
		compare("an upload", "", 1, entries{ask, sent, got}, entries{asked, took, gave})
		compare("an upload whose consumer died before the answer", "", 0, entries{ask, sent}, entries{asked, took})
		compare("an upload that the provider answered before its end", "", 1, entries{ask, sent, got}, entries{asked, gave, took})
		down := body(RoleProvider, "B", "A", directionResponseBody, "d", "ok")
		compare("a download whose consumer died on the way", "", 1, entries{ask, got}, entries{asked, gave, down})
		compare("a download that was cut for the consumer", "", 1, entries{ask, got, body(RoleConsumer, "A", "B", directionResponseBody, "part", "server.clientproxy.io_error")}, entries{asked, gave, down})
		compare("another download", "different bodies", 1, entries{ask, got, body(RoleConsumer, "A", "B", directionResponseBody, "other", "ok")}, entries{asked, gave, down})
	})
	a, b := full()
	a[1].Node = "C"
	if _, err := CompareLogs(t.Context(), a, b); err == nil {
		t.Error("a log of two nodes was compared")
	}
	self := entries{
		one(RoleConsumer, "A", "A", directionRequest, "1", "q"), one(RoleProvider, "A", "A", directionRequest, "1", "q"),
		one(RoleProvider, "A", "A", directionResponse, "1", "r"), one(RoleConsumer, "A", "A", directionResponse, "1", "r"),
	}
	if c, err := CompareLogs(t.Context(), self, self); err != nil || c.Acknowledged != 1 || len(c.Differences) > 0 {
		t.Errorf("with itself: %+v, %v", c, err)
	}
}
