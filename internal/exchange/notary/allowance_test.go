package notary

import (
	"errors"
	"testing"
	"time"

	"truc/internal/errs"
)

// An authority whose tokens cost money is asked for no more than was allowed in any 24 hours, by all logs together and
// across restarts; then the next is asked, and without one the log waits and says why.
func TestAllowance(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	paid := &Allowance{PerDay: 3}
	f.Authorities[0].Allowance = paid
	stamp := func(n *Notary, want string) {
		t.Helper()
		_, aerr := f.log.Append(ctx, []byte("entry"))
		err := errors.Join(aerr, n.Stamp(ctx))
		row, rerr := f.store.LatestStamped(ctx, "")
		switch {
		case want == "":
			if !errs.Is(err, errs.Unavailable) || n.State().Untimestamped == 0 && n.State().StampedSize == f.log.Size() {
				t.Errorf("Stamp = %v, want Unavailable", err)
			}
		case err != nil || rerr != nil || row.Size != f.log.Size() || row.Authority != want:
			t.Errorf("stamped by %q at %d, %v; want %s", row.Authority, row.Size, errors.Join(err, rerr), want)
		}
		f.pass(time.Hour)
	}
	stamp(f.Notary, "a1")
	f.net.away["a1"] = true // a question without a token costs nothing
	stamp(f.Notary, "a2")
	f.net.away["a1"] = false
	stamp(f.Notary, "a1")
	stamp(f.Notary, "a1")
	stamp(f.Notary, "a2")
	f.net.away["a2"] = true
	stamp(f.Notary, "")
	if got := f.State().Failures["a1"]; got != errAllowance.Error() {
		t.Errorf("it is not said why: %q", got)
	}
	// A new process knows what the old one took.
	again := f.beside(f.log, f.store)
	again.Authorities = append([]Authority(nil), f.Authorities...)
	again.Authorities[0].Allowance = &Allowance{PerDay: 3}
	if err := again.Start(ctx); err != nil {
		t.Fatal(err)
	}
	stamp(again, "")
	// A day after the first there is one again.
	f.pass(24*time.Hour - 7*time.Hour)
	stamp(again, "a1")
	stamp(again, "")
}
