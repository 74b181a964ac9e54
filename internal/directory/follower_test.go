package directory

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pki"
)

// memoryStore keeps the registry in memory; it copies deeply enough for the rules, which replace what they change.
type memoryStore struct {
	mu sync.Mutex
	s  State
}

func (m *memoryStore) View(context.Context) (*State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.s
	c.Members, c.Nodes, c.Services, c.Tokens = cloneMap(c.Members), cloneMap(c.Nodes), cloneMap(c.Services), cloneMap(c.Tokens)
	c.Revoked, c.Subsystems, c.Groups, c.Requests = cloneMap(c.Revoked), cloneMap(c.Subsystems), cloneMap(c.Groups), cloneMap(c.Requests)
	c.Leaves = cloneMap(c.Leaves)
	return &c, nil
}

func cloneMap[V any](m map[string]V) map[string]V {
	c := maps.Clone(m)
	if c == nil {
		c = map[string]V{}
	}
	return c
}

func (m *memoryStore) Change(ctx context.Context, f func(*State) error) error {
	c, err := m.View(ctx)
	if err != nil {
		return err
	}
	if err := f(c); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.s = *c
	return nil
}

func (m *memoryStore) Envelope(context.Context) ([]byte, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.s.Head.Version == 0 {
		return nil, "", NoDocument()
	}
	return m.s.Head.Envelope, m.s.Head.Hash, nil
}

func (m *memoryStore) Newest(ctx context.Context) (string, error) {
	_, hash, err := m.Envelope(ctx)
	return hash, err
}

func (m *memoryStore) Touch(context.Context, string, time.Time) error { return nil }

// flaky is a center that can be out of reach; it notes when it was asked.
type flaky struct {
	CenterAPI
	mu    sync.Mutex
	away  bool
	asked []time.Time
}

func (f *flaky) Document(ctx context.Context, hash, poll string) ([]byte, Current, error) {
	f.mu.Lock()
	away := f.away
	f.asked = append(f.asked, time.Now())
	f.mu.Unlock()
	if away {
		return nil, Current{}, errs.E(errs.Unavailable, "directory.center_unreachable", errors.New("away"))
	}
	return f.CenterAPI.Document(ctx, hash, poll)
}

func (f *flaky) setAway(away bool) { f.mu.Lock(); f.away = away; f.asked = nil; f.mu.Unlock() }

func testKey(t *testing.T, alg pki.Alg) crypto.Signer {
	t.Helper()
	k, err := pki.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testCenter(t *testing.T, now func() time.Time) *Center {
	t.Helper()
	ca, err := pki.LoadOrCreateCA(t.TempDir(), "VN", now())
	if err != nil {
		t.Fatal(err)
	}
	c := &Center{Instance: "VN", URL: "http://127.0.0.1:7100", Key: testKey(t, pki.Ed25519), CA: ca, Store: &memoryStore{}, Now: now}
	if err := c.AddMember(t.Context(), "a", Member{Class: "GOV", Code: "H36", Name: i18n.Text{"vi": "Lâm Đồng"}}); err != nil {
		t.Fatal(err)
	}
	return c
}

type testNode struct {
	id   string
	keys Keys
	cert []byte
	f    *Follower
}

func joinNode(t *testing.T, c *Center, api CenterAPI, server string) *testNode {
	t.Helper()
	text, err := c.CreateToken(t.Context(), "a", "VN/GOV/H36", server, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	n := &testNode{id: token.Node, keys: Keys{TLS: testKey(t, pki.P256), Signing: testKey(t, pki.Ed25519)}}
	n.f, err = OpenFollower(FollowerOptions{Dir: t.TempDir(), Center: api, NodeID: n.id, Signing: n.keys.Signing, Now: c.Now, Log: slog.New(slog.DiscardHandler)}, token.Trust())
	if err != nil {
		t.Fatal(err)
	}
	n.cert, err = n.f.Join(t.Context(), token, n.keys, Profile{LinkURL: "https://127.0.0.1:7131", Subsystems: []string{"VN/GOV/H36/onestop"}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A revocation is in every node's copy within a minute, also where the last pull before it had failed.
func TestRevocationReachesAllWithinAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := func() time.Time { return time.Now().UTC() }
		c := testCenter(t, now)
		ctx, cancel := context.WithCancel(t.Context())
		var nodes []*testNode
		var centers []*flaky
		var wg sync.WaitGroup
		for i := range 5 {
			api := &flaky{CenterAPI: c}
			n := joinNode(t, c, api, fmt.Sprintf("node%d", i))
			nodes, centers = append(nodes, n), append(centers, api)
			time.Sleep(7 * time.Second) // they do not pull in step
			wg.Go(func() { _ = n.f.Run(ctx) })
		}
		time.Sleep(time.Minute)
		centers[1].setAway(true)
		time.Sleep(35 * time.Second)
		if err := c.RevokeNode(ctx, "a", nodes[0].id, "lost"); err != nil {
			t.Fatal(err)
		}
		centers[1].setAway(false)
		time.Sleep(time.Minute)
		for i, n := range nodes {
			if doc := n.f.Document(); !doc.IsRevoked(pki.KeyID(nodes[0].keys.TLS.Public())) || len(doc.NodesOf("VN/GOV/H36/onestop")) != 4 {
				t.Errorf("node %d does not know of the revocation", i)
			}
		}
		cancel()
		wg.Wait()
	})
}

// After a failed pull the node asks again after 1, 2, 4 … seconds, never later than its interval.
func TestFollowerRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testCenter(t, func() time.Time { return time.Now().UTC() })
		api := &flaky{CenterAPI: c}
		n := joinNode(t, c, api, "node1")
		api.setAway(true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = n.f.Run(ctx) }()
		time.Sleep(2*time.Minute + time.Millisecond)
		synctest.Wait()
		api.mu.Lock()
		asked := api.asked
		api.mu.Unlock()
		want := []int{0, 1, 3, 7, 15, 31, 61, 91}
		if len(asked) < len(want) {
			t.Fatalf("asked %d times", len(asked))
		}
		for i, at := range want {
			if got := asked[i].Sub(asked[0]); got != time.Duration(at)*time.Second {
				t.Errorf("pull %d after %v, want %d s", i, got, at)
			}
		}
		// In reach again it goes back to its interval.
		api.setAway(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n.f.Status().Fault != nil || len(api.asked) != 2 {
			t.Errorf("fault %v, asked %d times in a minute", n.f.Status().Fault, len(api.asked))
		}
		cancel()
		<-done
	})
}

// The center is away for a day and then for eight: the level falls, and comes back with the center's first word.
func TestCenterAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testCenter(t, func() time.Time { return time.Now().UTC() })
		api := &flaky{CenterAPI: c}
		n := joinNode(t, c, api, "node1")
		level := func(want Level) {
			t.Helper()
			err := n.f.Refresh(t.Context())
			if got := n.f.Status(); got.Level != want {
				t.Errorf("level %s after %v, want %s (%v)", got.Level, time.Since(got.Confirmed), want, err)
			}
		}
		level(Fresh)
		api.setAway(true)
		for _, step := range []struct {
			d    time.Duration
			want Level
		}{
			{10 * time.Minute, Fresh},
			{time.Second, Stale},
			{23*time.Hour + 49*time.Minute, Stale},
			{11 * time.Minute, Degraded},
			{6 * 24 * time.Hour, Expired},
			{24 * time.Hour, Expired},
		} {
			time.Sleep(step.d)
			level(step.want)
		}
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		api.setAway(false)
		level(Fresh)
	})
}

// The instance may say, signed, that an expired document is better than none.
func TestPolicyContinuesExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testCenter(t, func() time.Time { return time.Now().UTC() })
		if err := c.SetPolicy(t.Context(), "a", Policy{ContinueExpired: true}); err != nil {
			t.Fatal(err)
		}
		n := joinNode(t, c, c, "node1")
		time.Sleep(8 * 24 * time.Hour)
		if got := n.f.Status().Level; got != Degraded {
			t.Errorf("level %s", got)
		}
	})
}

// offer gives the follower a document that the center's own key signed, changed by edit.
func offer(t *testing.T, c *Center, f *Follower, edit func(*Document)) error {
	t.Helper()
	doc := *f.Document()
	edit(&doc)
	raw, err := doc.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := sign(c.Key, domainDocument, raw)
	if err != nil {
		t.Fatal(err)
	}
	f.pull.Lock()
	defer f.pull.Unlock()
	return f.accept(Envelope{Document: raw, Signatures: []Signature{sig}}.Marshal())
}

// Even the right key cannot make a node go back, fork, or take a document that has ended or is too large.
func TestChainOfVersions(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	c := testCenter(t, func() time.Time { return now })
	n := joinNode(t, c, c, "node1")
	head := Hash(n.f.raw)
	version := n.f.Document().Version
	want := func(key string, edit func(*Document)) {
		t.Helper()
		err := offer(t, c, n.f, edit)
		if got, _ := errs.KeyOf(err); got != key || n.f.Document().Version != version {
			t.Errorf("error %v, version %d; want %s", err, n.f.Document().Version, key)
		}
	}
	want("directory.document_older", func(d *Document) { d.Version-- })
	want("directory.document_forked", func(d *Document) { d.CenterURL = "http://127.0.0.1:9" })
	want("directory.document_forked", func(d *Document) { d.Version++; d.Prev = strings.Repeat("0", 64) })
	want("directory.document_refused", func(d *Document) { d.Version++; d.Instance = "XX" })
	want("directory.document_refused", func(d *Document) { d.Version++; d.Nodes = append(d.Nodes, d.Nodes[0]) })
	want("directory.document_expired", func(d *Document) {
		d.Version, d.Prev, d.IssuedAt, d.ExpiresAt = d.Version+1, head, now.Add(-Lifetime).Unix(), now.Add(-time.Second).Unix()
	})
	want("directory.document_refused", func(d *Document) {
		d.Version, d.Prev, d.CA = d.Version+1, head, []string{strings.Repeat("x", MaxDocument)}
	})
	if err := offer(t, c, n.f, func(d *Document) { d.Version, d.Prev = d.Version+1, head }); err != nil {
		t.Errorf("the next version in the chain: %v", err)
	}
	// What was missed in between cannot be checked; the version must still grow.
	if err := offer(t, c, n.f, func(d *Document) { d.Version += 5; d.Prev = strings.Repeat("1", 64) }); err != nil {
		t.Errorf("a later version: %v", err)
	}
	// A copy that was cut or changed on disk is not taken at the next start.
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { return b[:len(b)-10] },
		func(b []byte) []byte { return []byte(strings.Replace(string(b), "7131", "7132", 1)) },
	} {
		if err := replaceFile(n.f.opt.Dir+"/"+envelopeFile, damage(n.f.Envelope())); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenFollower(n.f.opt, Anchor{}); err == nil {
			t.Error("a damaged copy was opened")
		}
	}
}
