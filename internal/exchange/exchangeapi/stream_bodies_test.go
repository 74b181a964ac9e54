package exchangeapi

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/bodylog"
	"truc/internal/pki"
)

func (n *testNode) clock() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) }

// keepAll has both nodes keep the bodies of everything, in folders of their own.
func (p *pair) keepAll(t *testing.T, most int64) map[*testNode]*bodylog.Log {
	t.Helper()
	logs := map[*testNode]*bodylog.Log{}
	for _, n := range []*testNode{p.consumer, p.provider} {
		logs[n] = &bodylog.Log{Dir: t.TempDir(), Seal: bytes.Repeat([]byte{9}, 32), Now: n.clock}
		if err := n.SetBodies(&exchange.BodyPolicy{Log: logs[n], Default: exchange.BodyFull, MaxStream: most}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = logs[n].Close() })
	}
	return logs
}

// exchangeBothWays uploads and downloads a body of a size and returns the ids.
func (p *pair) exchangeBothWays(t *testing.T, size int64) (up, down string) {
	t.Helper()
	c := p.fileCall(t, "POST", "/")
	c.BodyReader, c.Length = &pattern{n: size}, -1
	ans, err := p.consumer.Call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	up = ans.ExchangeID
	c = p.fileCall(t, "GET", "/"+strconv.FormatInt(size, 10))
	c.Stream = true
	if ans, err = p.consumer.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, n := digestOf(t, ans.BodyReader); n != size {
		t.Fatalf("received %d of %d bytes", n, size)
	}
	if err := ans.BodyReader.Close(); err != nil {
		t.Fatal(err)
	}
	p.settled(t, up, 1)
	p.settled(t, ans.ExchangeID, 1)
	return up, ans.ExchangeID
}

// bodyVerdicts exports an exchange with bodies and tells what is found about each that streamed.
func (p *pair) bodyVerdicts(t *testing.T, n *testNode, id string) (verdicts []exchange.Verdict, tooLarge int) {
	t.Helper()
	pkg, err := n.Evidence(t.Context(), id, exchange.EvidenceOptions{Persons: true, Bodies: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := exchange.VerifyEvidence(pkg, p.trust())
	if err != nil || !r.OK {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, e := range r.Entries {
		if strings.HasSuffix(e.Direction, "-body") {
			verdicts = append(verdicts, e.Body)
			if e.TooLarge {
				tooLarge++
			}
		}
	}
	return verdicts, tooLarge
}

// A body that streams is kept by both nodes when their policy says so, is exported and holds against the signed digest, and
// is gone when its time is over, while everything else about it stays proved.
func TestStreamedBodiesAreKept(t *testing.T) {
	p := newPair(t)
	p.streams(t, exchange.Offering{})
	logs := p.keepAll(t, 0)
	up, down := p.exchangeBothWays(t, 3<<20+5)
	for _, id := range []string{up, down} {
		for _, n := range []*testNode{p.consumer, p.provider} {
			if got, _ := p.bodyVerdicts(t, n, id); len(got) != 1 || got[0] != exchange.Good {
				t.Errorf("%s at %s: %v", id, n.id, got)
			}
		}
	}
	pkg, err := p.provider.Evidence(t.Context(), up, exchange.EvidenceOptions{Persons: true, Bodies: true})
	if err != nil {
		t.Fatal(err)
	}
	bad := rewrite(t, pkg, func(name string, data []byte) []byte {
		if strings.HasPrefix(name, "bodies/") && len(data) > 1<<20 {
			data[1<<20] ^= 1
		}
		return data
	})
	if r, err := exchange.VerifyEvidence(bad, p.trust()); err == nil && r.OK {
		t.Error("a package with another body passes")
	}
	for n, l := range logs {
		p.consumer.ahead.Add(int64(26 * time.Hour)) // the segment of small bodies ends too
		p.provider.ahead.Add(int64(26 * time.Hour))
		if erased, err := l.Erase(n.clock().Add(26 * time.Hour)); err != nil || erased < 2 {
			t.Errorf("erased %d, %v", erased, err)
		}
		if got, _ := p.bodyVerdicts(t, n, up); len(got) != 1 || got[0] != exchange.NotProvided {
			t.Errorf("after erasing, %s has %v", n.id, got)
		}
	}
}

// Beyond the limit, or beyond what the disk can spare, the digest alone is kept, the record says so, and nothing is left of
// what was kept by then.
func TestStreamedBodiesBeyondTheLimit(t *testing.T) {
	for name, c := range map[string]struct {
		most int64
		free uint64
	}{"configured": {1 << 20, 1 << 40}, "little room": {0, 81 << 20}} {
		var spaces []*exchange.Space
		p := newPairTuned(t, pki.Ed25519, func(_ string, o *exchange.Options) {
			o.Space = &exchange.Space{Reserve: 40 << 20, Logger: o.Logger, Look: func() (uint64, uint64, bool) { return c.free, 1 << 41, true }}
			spaces = append(spaces, o.Space)
		})
		for _, s := range spaces {
			if err := s.Measure(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p.streams(t, exchange.Offering{})
		logs := p.keepAll(t, c.most)
		up, down := p.exchangeBothWays(t, 3<<20)
		under, _ := p.exchangeBothWays(t, 700<<10)
		for n, l := range logs {
			for _, id := range []string{up, down} {
				if got, large := p.bodyVerdicts(t, n, id); len(got) != 1 || got[0] != exchange.NotProvided || large != 1 {
					t.Errorf("%s: %v at %s, %d too large", name, got, n.id, large)
				}
			}
			if got, large := p.bodyVerdicts(t, n, under); len(got) != 1 || got[0] != exchange.Good || large != 0 {
				t.Errorf("%s: below the limit %v at %s, %d too large", name, got, n.id, large)
			}
			if files, _ := filepath.Glob(filepath.Join(l.Dir, "*.stream")); len(files) != 2 {
				t.Errorf("%s: %s holds %d streams; want those two that were kept", name, n.id, len(files))
			}
		}
	}
}

// A body that has to be kept and cannot be stops the exchange, and one that does not end well is not kept.
func TestStreamedBodiesThatCannotBeKept(t *testing.T) {
	p := newPair(t)
	p.streams(t, exchange.Offering{})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	call := func() error {
		c := p.fileCall(t, "POST", "/")
		c.BodyReader, c.Length = &pattern{n: 1 << 20}, -1
		_, err := p.consumer.Call(t.Context(), c)
		return err
	}
	for _, n := range []*testNode{p.consumer, p.provider} {
		broken := &bodylog.Log{Dir: filepath.Join(file, "below"), Seal: make([]byte, 32), Now: time.Now}
		if err := n.SetBodies(&exchange.BodyPolicy{Log: broken, Default: exchange.BodyFull}); err != nil {
			t.Fatal(err)
		}
		err := call()
		if n == p.consumer {
			wantFault(t, err, "server.clientproxy.logging_failed", errs.Unavailable)
		} else if f, ok := errors.AsType[*exchange.Fault](err); !ok {
			t.Errorf("the provider cannot keep the body: %v", f)
		}
		p.consumer.ahead.Add(int64(2 * time.Minute)) // so that no circuit stays open
		p.provider.ahead.Add(int64(2 * time.Minute))
		if err := n.SetBodies(nil); err != nil {
			t.Fatal(err)
		}
	}
	logs := p.keepAll(t, 0)
	c := p.fileCall(t, "POST", "/")
	c.BodyReader, c.Length = io.MultiReader(&pattern{n: 1 << 20}, brokenReader{}), -1
	if _, err := p.consumer.Call(t.Context(), c); err == nil {
		t.Error("a broken upload went through")
	}
	c = p.fileCall(t, "GET", "/"+strconv.Itoa(1<<40))
	c.Stream = true
	ans, err := p.consumer.Call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.CopyN(io.Discard, ans.BodyReader, 1<<20)
	ans.BodyReader.Close()
	for n, l := range logs {
		for i := 0; ; i++ {
			files, _ := filepath.Glob(filepath.Join(l.Dir, "*.stream"))
			if len(files) == 0 {
				break
			}
			if i > 1000 {
				t.Fatalf("%s keeps %v of bodies that did not end well", n.id, files)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// Packages with large bodies are written and read in pieces.
func TestEvidenceOfLargeBodiesNeedsLittleMemory(t *testing.T) {
	const size = 64 << 20
	p := newPair(t)
	p.streams(t, exchange.Offering{})
	p.keepAll(t, 0)
	up, _ := p.exchangeBothWays(t, size)
	f, err := os.CreateTemp(t.TempDir(), "package")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := p.provider.WriteEvidence(t.Context(), f, up, exchange.EvidenceOptions{Persons: true, Bodies: true}); err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := exchange.OpenEvidenceFile(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	r := pkg.Verify(p.trust())
	runtime.ReadMemStats(&after)
	if !r.OK || r.Entries[1].Body != exchange.Good {
		t.Errorf("%+v", r)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > size/4 {
		t.Errorf("%d MiB were allocated for a body of %d MiB", used>>20, size>>20)
	}
}
