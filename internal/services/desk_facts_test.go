package services_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"truc/internal/services"
	"truc/internal/services/servicestest"
)

// TestFactsAreTold: each fact is told with its number in the transaction that keeps it, and a desk that kept facts before it
// told them can tell them all, in the same order.
func TestFactsAreTold(t *testing.T) {
	on(t, func(t *testing.T, d *servicestest.Env) {
		post, ok := d.Post.(*servicestest.Post)
		if !ok {
			t.Fatal("the desk of the test posts elsewhere")
		}
		number := submit(t, d, "f1")
		act(t, d, reception, number, services.ActionInput{Action: "receive"})
		pay(t, d, "f1", 16000)
		kept, err := d.Store.Facts(t.Context(), 0, 100)
		if err != nil || len(kept) < 3 {
			t.Fatalf("Facts = %d, %v; want one for each event", len(kept), err)
		}
		read := func(told []string) (facts []services.Fact) {
			for _, s := range told {
				data, ok := strings.CutPrefix(s, "onestop/facts fact ")
				var f services.Fact
				if !ok || json.Unmarshal([]byte(data), &f) != nil {
					t.Fatalf("told %q", s)
				}
				facts = append(facts, f)
			}
			return facts
		}
		once := post.Told()
		if diff := cmp.Diff(kept, read(once)); diff != "" {
			t.Errorf("told (-kept +told):\n%s", diff)
		}
		if err := d.TellAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(kept, read(post.Told()[len(once):])); diff != "" {
			t.Errorf("told again (-kept +told):\n%s", diff)
		}
	})
}
