package services_test

import (
	"testing"

	"truc/internal/errs"
	"truc/internal/services"
)

// TestOutcomeOfAFiling: the portal hears what became of what it posted, once, whatever comes late.
func TestOutcomeOfAFiling(t *testing.T) {
	good := services.PostOutcome{Kind: services.KindSubmission, Status: 201, Body: []byte(`{"number":"H36.14-260605-0001","state":"submitted"}`)}
	for _, tt := range []struct {
		name  string
		heard []services.PostOutcome
		sync  services.Sync
		key   string
	}{
		{"accepted", []services.PostOutcome{good}, services.SyncDelivered, ""},
		{"a paper alone changes nothing", []services.PostOutcome{{Kind: services.KindPaper, Status: 201, Body: []byte(`{}`)}}, services.SyncQueued, ""},
		{
			"refused by the agency",
			[]services.PostOutcome{{Kind: services.KindSubmission, Status: 409, Body: []byte(`{"code":"services.dossier.duplicate"}`)}},
			services.SyncRefused, "services.dossier.duplicate",
		},
		{"a paper refused", []services.PostOutcome{{Kind: services.KindPaper, Status: 413}}, services.SyncRefused, "services.register.refused"},
		{"not in time, or dropped", []services.PostOutcome{{Kind: services.KindSubmission}}, services.SyncRefused, "services.filing.undeliverable"},
		{"an answer that cannot be read", []services.PostOutcome{{Kind: services.KindSubmission, Status: 201, Body: []byte(`<html>`)}}, services.SyncRefused, "services.exchange.garbled"},
		{"replayed by an operator", []services.PostOutcome{{Kind: services.KindSubmission, Status: 409}, good}, services.SyncDelivered, ""},
		{"late bad news about what arrived", []services.PostOutcome{good, {Kind: services.KindPaper, Status: 413}}, services.SyncDelivered, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			portalOn(t, func(t *testing.T, e *portalEnv) {
				f := e.file(t)
				for _, o := range tt.heard {
					o.Ref = f.ID
					err := e.Store.InTx(t.Context(), func(tx services.PortalTx) error { return e.Outcome(t.Context(), tx, o) })
					if err != nil {
						t.Fatal(err)
					}
				}
				got, err := e.Store.Filing(t.Context(), f.ID)
				if err != nil || got.Sync != tt.sync || got.SyncError != tt.key || (got.Number != "") != (tt.sync == services.SyncDelivered) {
					t.Errorf("filing = %s %q %q, %v; want %s %q", got.Sync, got.SyncError, got.Number, err, tt.sync, tt.key)
				}
			})
		})
	}
}

// TestPostAgain: what the release before queued is posted as it is today; what was posted already is not posted twice, and
// what has arrived not again.
func TestPostAgain(t *testing.T) {
	portalOn(t, func(t *testing.T, e *portalEnv) {
		f := e.file(t)
		count := func() (n int) {
			if err := e.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM outbox_message`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		posted := count()
		if err := e.PostFilingAgain(t.Context(), f.ID); err != nil || count() != posted {
			t.Errorf("a filing that was posted: %v, %d messages after %d", err, count(), posted)
		}
		if _, err := e.db.ExecContext(t.Context(), `DELETE FROM outbox_message`); err != nil { // the release before had none of these
			t.Fatal(err)
		}
		if err := e.PostFilingAgain(t.Context(), f.ID); err != nil || count() != posted {
			t.Errorf("a filing of the release before: %v, %d messages, want %d", err, count(), posted)
		}
		e.deliver(t)
		if got, err := e.Store.Filing(t.Context(), f.ID); err != nil || got.Sync != services.SyncDelivered {
			t.Errorf("filing = %s, %v; want it delivered", got.Sync, err)
		}
		before := count()
		if err := e.PostFilingAgain(t.Context(), f.ID); err != nil || count() != before {
			t.Errorf("a filing that arrived: %v, %d messages after %d", err, count(), before)
		}
		m := services.Message{ID: "rating:1", FilingID: f.ID, Kind: "rating"}
		for range 2 {
			if err := e.PostMessageAgain(t.Context(), m); err != nil || count() != before+1 {
				t.Errorf("a message: %v, %d messages after %d", err, count(), before)
			}
		}
		if err := e.PostFilingAgain(t.Context(), "nothing"); !errs.Is(err, errs.NotFound) {
			t.Errorf("a filing that is not there = %v; want NotFound", err)
		}
	})
}

// TestFilingAndPostCommitTogether: a filing whose message cannot be queued is not filed.
func TestFilingAndPostCommitTogether(t *testing.T) {
	portalOn(t, func(t *testing.T, e *portalEnv) {
		known := e.Agencies
		f := e.file(t)
		e.deliver(t)
		e.Agencies = func() []services.AgencyService { return nil }
		if err := e.Rate(t.Context(), ha, f.ID, 5, ""); err == nil {
			t.Error("a rating without an agency to send it to was kept")
		}
		got, err := e.Store.Filing(t.Context(), f.ID)
		if err != nil || got.Summary.Rated != 0 {
			t.Errorf("rated %d, %v; want nothing kept", got.Summary.Rated, err)
		}
		e.Agencies = known
		waiting := 0
		if err := e.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM outbox_message WHERE state <> 'done'`).Scan(&waiting); err != nil || waiting != 0 {
			t.Errorf("%d messages wait, %v", waiting, err)
		}
	})
}
