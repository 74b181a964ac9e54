package services

import (
	"io/fs"
	"testing"
	"time"

	"truc/internal/i18n"
	"truc/internal/services/bundle"
	"truc/procedures"
)

func shipped(t *testing.T, code string) *bundle.Procedure {
	t.Helper()
	files, err := fs.Sub(procedures.FS, code)
	if err != nil {
		t.Fatal(err)
	}
	p, problems := bundle.Load(files)
	if !problems.OK() {
		t.Fatal(problems)
	}
	return p
}

func TestEventType(t *testing.T) {
	p := shipped(t, "1.001193")
	for _, tt := range []struct {
		action, to string
		want       EventType
	}{
		{"receive", "received", EvReceived},
		{"verify", "verifying", EvExternalRequested},
		{"verified", "processing", EvExternalAnswered}, // the event the flow names, whatever state it leads back to
		{"verified", "received", EvExternalAnswered},
		{"supplied", "received", EvSupplementReceived},
		{"paid", "signing", EvPaymentConfirmed},
		{"extend", "received", EvExtended}, // stays where it is and does not receive again
		{"sendBack", "processing", EvSentBack},
		{"stop", "stopped", EvStopped},
	} {
		a := p.Flow.Action(tt.action)
		if a == nil {
			t.Fatalf("the flow has no action %s", tt.action)
		}
		if got := eventType(p, a, tt.to); got != tt.want {
			t.Errorf("eventType(%s to %s) = %s; want %s", tt.action, tt.to, got, tt.want)
		}
	}
	keep := *p.Flow.Action("receive")
	keep.KeepState, keep.Slip = true, ""
	if got := eventType(p, &keep, "received"); got != EvMoved {
		t.Errorf("eventType of an action that keeps the state received = %s; want %s", got, EvMoved)
	}
}

func TestResultNumber(t *testing.T) {
	for code, want := range map[string]string{"2.000635": "261121-0007/TLHT-BS", "1.001193": "261121-0007/GKS"} {
		if got := resultNumber("H36.14-261121-0007", shipped(t, code).Result); got != want {
			t.Errorf("resultNumber(%s) = %s; want %s", code, got, want)
		}
	}
	if got := resultNumber("H36.14-261121-0007", bundle.Result{}); got != "261121-0007" {
		t.Errorf("resultNumber without a symbol = %s", got)
	}
}

func TestInTime(t *testing.T) {
	due := time.Date(2026, 6, 5, 17, 0, 0, 0, i18n.Zone)
	for _, tt := range []struct {
		at, due time.Time
		want    string
	}{
		{due.Add(-24 * time.Hour), due, "before"}, {due.Add(-time.Hour), due, "on"}, {due, due, "on"}, {due.Add(time.Minute), due, "after"}, {due, time.Time{}, ""},
	} {
		if got := inTime(tt.at, tt.due); got != tt.want {
			t.Errorf("inTime(%s, %s) = %q; want %q", tt.at, tt.due, got, tt.want)
		}
	}
}
