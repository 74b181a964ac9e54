package app

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/outbox"
	"truc/internal/services"
	"truc/internal/storage"
)

// A node starts from a database in which the release before queued messages under topics of its own: each becomes a message
// of the exchange's delivery, once, and what belongs to nothing is put aside with its reason.
func TestMessagesOfTheReleaseBefore(t *testing.T) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "services" })]))
	cfg.Desk.PortalService = "VN/GOV/G22/portal/notices"
	m := startManaged(t, cfg)
	m.stop()
	db, err := storage.Open(t.Context(), cfg.DB, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	notice := services.Notice{FilingID: "F1", Number: "G22.14-261122-0001", Seq: 2, Type: services.EvSubmitted, At: time.Now().UTC(), State: "submitted", Agency: "G22"}
	payload := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	err = db.InTx(t.Context(), func(tx *storage.Tx) error {
		for _, old := range []outbox.Message{
			{ID: "notice:D1:2", Topic: "services.notice", Key: "D1", Payload: payload(notice)},
			{ID: "submit:nothing", Topic: "services.submit", Key: "nothing", Payload: payload("nothing")},
			{ID: "message:nothing", Topic: "services.message", Key: "nothing", Payload: payload(services.Message{FilingID: "nothing", Kind: "rating"})},
			{ID: "garbled", Topic: "services.notice", Key: "D2", Payload: []byte("{")},
		} {
			if err := outbox.Add(context.WithoutCancel(t.Context()), tx, time.Now().UTC(), old); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	m = startManaged(t, cfg)
	defer func() { m.stop() }()
	var states, out string
	for range 1000 {
		states, out = "", ""
		rows, err := m.node.db.QueryContext(t.Context(), `SELECT id, state FROM outbox_message WHERE topic LIKE 'services.%' ORDER BY id`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, state string
			if err := rows.Scan(&id, &state); err != nil {
				t.Fatal(err)
			}
			states += id + " " + state + "\n"
		}
		_ = rows.Close()
		if !strings.Contains(states, "waiting") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	rows, err := m.node.db.QueryContext(t.Context(), `SELECT id, service FROM delivery_out ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, service string
		if err := rows.Scan(&id, &service); err != nil {
			t.Fatal(err)
		}
		out += id + " " + service + "\n"
	}
	if want := "garbled dead\nmessage:nothing dead\nnotice:D1:2 done\nsubmit:nothing dead\n"; states != want {
		t.Errorf("what was queued is now\n%swant\n%s", states, want)
	}
	if want := "notice-D1-2 VN/GOV/G22/portal/notices\n"; out != want {
		t.Errorf("delivery holds %q, want %q", out, want)
	}
}
