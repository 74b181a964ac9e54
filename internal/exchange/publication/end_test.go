package publication

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

// away is a store whose database does not answer.
type away struct{ Store }

func (away) PublicationChanges(context.Context) (int64, error) { return 0, errors.New("away") }

// TestEnd holds a publication to its end: then the service is withdrawn with its rights and the directory told, also when
// the database is away, until somebody sets a later end.
func TestEnd(t *testing.T) {
	f := newFixture(t)
	ctx := lan(t.Context())
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	f.Now = func() time.Time { return now }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f.publish(t, "weather/stations", "http://127.0.0.1:9/api")
	f.publish(t, "weather/levels", "http://127.0.0.1:9/api")
	for _, code := range []string{"weather/stations", "weather/levels"} {
		must(f.Grant(ctx, code, Right{Consumer: "VN/GOV/H36/onestop", Method: "*", Path: "**"}))
	}
	if list, ok := errors.AsType[Faults](f.SetEnd(ctx, "weather/stations", now)); !ok || list[0].Field != "last_day" {
		t.Errorf("an end that is over was set: %v", list)
	}
	told := f.told
	must(f.SetEnd(ctx, "weather/stations", now.Add(time.Hour)))
	if o := f.host.offers["weather/stations"]; !o.EndsAt.Equal(now.Add(time.Hour)) || f.told != told+1 {
		t.Errorf("the offer ends at %v; the directory was told %d times", o.EndsAt, f.told-told)
	}
	if !slices.Contains(f.audited, "lan exchange.service.end weather/stations") {
		t.Errorf("acts = %q", f.audited)
	}
	there := func() bool { _, ok := f.host.offers["weather/stations"]; return ok }
	now = now.Add(time.Hour - time.Second)
	must(f.Sync(ctx))
	if !there() || len(f.rules) != 2 {
		t.Fatalf("it ended early; rules %+v", f.rules)
	}
	now, told = now.Add(time.Second), f.told
	whole := f.Store
	f.Store = away{whole}
	if err := f.Sync(ctx); err == nil {
		t.Error("a database that is away was not noticed")
	}
	if there() || len(f.rules) != 1 || f.rules[0].Service != "weather/levels" || f.told != told+1 {
		t.Errorf("after the end: offered %v, rules %+v, told %d times", there(), f.rules, f.told-told)
	}
	f.Store = whole
	must(f.Sync(ctx))
	must(f.Disable(ctx, "weather/levels", "a change elsewhere")) // reads the list anew
	if there() {
		t.Error("it came back")
	}
	second := f.another() // a process that starts after the end
	second.Now = f.Now
	must(second.Sync(ctx))
	if there() {
		t.Error("another process offers what has ended")
	}
	must(f.SetEnd(ctx, "weather/stations", now.Add(time.Hour)))
	if !there() || len(f.rules) != 2 {
		t.Errorf("a later end: offered %v, rules %+v", there(), f.rules)
	}
	must(f.SetEnd(ctx, "weather/stations", time.Time{}))
	now = now.Add(100 * 365 * 24 * time.Hour)
	must(f.Sync(ctx))
	if !there() {
		t.Error("a publication without an end ended")
	}
}
