package directoryapi

import (
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
)

// X39: the policy demands capabilities; nodes tell theirs, and the document says who lacks what.
func TestPolicyDemandsCapabilities(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a := w.join(t, "H36", "onestop") // of a release that tells nothing
	if err := w.center.SetPolicy(ctx, "admin", directory.Policy{Requires: []string{"teleports"}}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a demand that nobody can meet: %v", err)
	}
	if err := w.center.SetPolicy(ctx, "admin", directory.Policy{Requires: []string{"streams", "frames", "streams"}}); err != nil {
		t.Fatal(err)
	}
	if err := a.f.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	doc := a.f.Document()
	if !slices.Equal(doc.Policy.Requires, []string{"frames", "streams"}) {
		t.Errorf("demanded %q", doc.Policy.Requires)
	}
	n, _ := doc.Node(a.id)
	if got := doc.Lacks(&n); !slices.Equal(got, []string{"frames", "streams"}) || !slices.Equal(a.f.Lacks(), got) {
		t.Errorf("the old node lacks %q, and says %q itself", got, a.f.Lacks())
	}
	p := profile("H36", "onestop")
	for _, bad := range [][]string{{"Frames!"}, {strings.Repeat("x", 65)}, make([]string, 65)} {
		w.advance(time.Second)
		p.Capabilities = bad
		if err := a.f.Publish(ctx, a.id, a.keys, p); !errs.Is(err, errs.Invalid) {
			t.Errorf("capabilities %q: %v", bad, err)
		}
	}
	w.advance(time.Second)
	p.Capabilities = []string{"frames", "streams", "more"} // it was updated
	if err := a.f.Publish(ctx, a.id, a.keys, p); err != nil {
		t.Fatal(err)
	}
	if got := a.f.Lacks(); len(got) > 0 {
		t.Errorf("the new release lacks %q", got)
	}
	if err := w.center.SetPolicy(ctx, "admin", directory.Policy{}); err != nil {
		t.Fatal(err)
	}
	if err := a.f.Refresh(ctx); err != nil || a.f.Document().Policy.Requires != nil {
		t.Errorf("nothing is demanded: %v, %v", a.f.Document().Policy.Requires, err)
	}
}
