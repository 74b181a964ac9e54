package alarm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/alarm"
	"truc/internal/alarm/alarmstore"
	"truc/internal/outbox"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

// channel keeps what was sent.
type channel struct {
	sent []alarm.Message
	err  error
}

func (c *channel) Send(_ context.Context, m alarm.Message) error {
	if c.err == nil {
		c.sent = append(c.sent, m)
	}
	return c.err
}

// world is a service on a real store, with the clock of the test.
type world struct {
	t    *testing.T
	db   *storage.DB
	now  time.Time
	mail *channel
	s    *alarm.Service
}

func newWorld(t *testing.T, db *storage.DB) *world {
	t.Helper()
	if err := storage.Migrate(t.Context(), db, "outbox", sub(t, outbox.Migrations), time.Now()); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, now: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC), mail: &channel{}}
	w.start()
	return w
}

// start is a new process on the same database.
func (w *world) start() {
	w.s = &alarm.Service{
		Store: &alarmstore.Store{DB: w.db, Owner: "node1"}, Channels: map[string]alarm.Channel{"mail": w.mail}, Node: "VN/GOV/H36/node1", Log: slog.New(slog.DiscardHandler),
		Timing: alarm.Timing{Steady: 3 * time.Minute, Pause: 15 * time.Minute, Repeat: 24 * time.Hour}, Now: func() time.Time { return w.now },
	}
}

func finding(name string, bad bool) alarm.Finding {
	return alarm.Finding{Name: name, Bad: bad, Key: "exchange.diag." + name, Args: []any{"n", 1_000_000}}
}

// messages returns what lies in the outbox, in order.
func (w *world) messages() (out []alarm.Message) {
	w.t.Helper()
	rows, err := w.db.QueryContext(w.t.Context(), `SELECT payload FROM outbox_message WHERE topic = 'alarm.send' ORDER BY seq`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			w.t.Fatal(err)
		}
		var m alarm.Message
		if err := json.Unmarshal(b, &m); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// look looks every 30 seconds for a span, every five minutes for a long one, and returns what is new in the outbox, each message as one line.
func (w *world) look(span time.Duration, found ...alarm.Finding) (out []string) {
	w.t.Helper()
	before := len(w.messages())
	step := 30 * time.Second
	if span > 30*time.Minute {
		step = 5 * time.Minute
	}
	for range int(span / step) {
		w.now = w.now.Add(step)
		if err := w.s.Look(w.t.Context(), found); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, m := range w.messages()[before:] {
		var events []string
		for _, e := range m.Events {
			events = append(events, fmt.Sprintf("%s %s", e.Phase, e.Finding.Name))
		}
		out = append(out, strings.Join(events, ", "))
	}
	return out
}

func (w *world) want(got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("told %q, want %q", got, want)
	}
}

func TestLifeOfAnAlarm(t *testing.T) {
	storagetest.Module(t, "alarm", sub(t, alarmstore.Migrations), func(t *testing.T, db *storage.DB) {
		w := newWorld(t, db)
		w.want(w.look(2*time.Minute, finding("queue", false))) // not yet steady
		w.want(w.look(time.Minute))                            // and gone: never told
		w.want(w.look(10*time.Minute, finding("queue", false)), "began queue")
		w.start() // a restart repeats nothing
		w.want(w.look(time.Hour, finding("queue", false)))
		w.want(w.look(time.Hour, finding("queue", true)), "worse queue")
		w.want(w.look(time.Hour, finding("queue", false)))
		w.want(w.look(2 * time.Minute)) // a moment of health
		w.want(w.look(21*time.Hour, finding("queue", false)))
		w.want(w.look(2*time.Hour, finding("queue", false)), "goes_on queue")
		w.want(w.look(time.Hour), "ended queue")
		w.want(w.look(48 * time.Hour))
		list, err := w.s.Conditions(t.Context())
		if err != nil || len(list) != 0 {
			t.Errorf("left: %v, %v", list, err)
		}
	})
}

func TestAlarmsComeTogether(t *testing.T) {
	storagetest.Module(t, "alarm", sub(t, alarmstore.Migrations), func(t *testing.T, db *storage.DB) {
		w := newWorld(t, db)
		a, b, c := finding("certificate", true), finding("database", true), finding("log_space", false)
		w.want(w.look(5*time.Minute, a, b), "began certificate, began database")
		w.want(w.look(5*time.Minute, a, b, c)) // too soon after the last message
		w.want(w.look(15*time.Minute, b, c), "ended certificate, began log_space")
		list, err := w.s.Conditions(t.Context())
		if err != nil || len(list) != 2 || list[1].Finding.Name != "log_space" || fmt.Sprint(list[1].Finding.Args) != "[n 1000000]" {
			t.Errorf("%+v, %v", list, err)
		}
		other := &alarmstore.Store{DB: db, Owner: "node2"}
		if have, err := other.Conditions(t.Context()); err != nil || len(have) != 0 {
			t.Errorf("another process sees %v, %v", have, err)
		}
	})
}

// TestAlarmsNeverFlood has twenty things come and go for hours, each in its own rhythm, and counts the messages.
func TestAlarmsNeverFlood(t *testing.T) {
	db := storagetest.OpenSQLite(t)
	if err := storage.Migrate(t.Context(), db, "alarm", sub(t, alarmstore.Migrations), time.Now()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, db)
	const hours = 5
	for i := range hours * 120 {
		var found []alarm.Finding
		for k := range 20 {
			if i/(k+1)%2 == 0 {
				found = append(found, finding(fmt.Sprintf("thing%02d", k), i%3 == 0))
			}
		}
		w.now = w.now.Add(30 * time.Second)
		if err := w.s.Look(t.Context(), found); err != nil {
			t.Fatal(err)
		}
	}
	got := w.messages()
	if len(got) < 5 || len(got) > hours*4+1 {
		t.Errorf("%d messages in five hours, want at most one each 15 minutes", len(got))
	}
	for i := 1; i < len(got); i++ {
		if gap := got[i].At.Sub(got[i-1].At); gap < 15*time.Minute {
			t.Errorf("messages %v apart", gap)
		}
	}
}

// TestAlarmsWithoutADatabase: what there is to say about it goes past it, once an hour, and nothing is half stored.
func TestAlarmsWithoutADatabase(t *testing.T) {
	db := storagetest.OpenSQLite(t)
	if err := storage.Migrate(t.Context(), db, "alarm", sub(t, alarmstore.Migrations), time.Now()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2*60*2 - 2 { // two hours
		w.now = w.now.Add(30 * time.Second)
		if err := w.s.Look(t.Context(), []alarm.Finding{finding("database", true)}); err == nil {
			t.Fatal("a closed database was fine")
		}
	}
	if len(w.mail.sent) != 2 || w.mail.sent[0].Events[0].Finding.Name != "database" {
		t.Errorf("%d mails: %+v", len(w.mail.sent), w.mail.sent)
	}
	w.now = w.now.Add(2 * time.Hour)
	_ = w.s.Look(t.Context(), nil)
	if len(w.mail.sent) != 2 {
		t.Error("a mail about nothing")
	}
}

func TestSending(t *testing.T) {
	db := storagetest.OpenSQLite(t)
	w := newWorld(t, db)
	send := func(m alarm.Message) error {
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return w.s.Handler(t.Context(), outbox.Message{Payload: b})
	}
	m := alarm.Message{ID: "1", Channel: "mail", At: w.now}
	if err := send(m); err != nil || len(w.mail.sent) != 1 {
		t.Errorf("%v, %d", err, len(w.mail.sent))
	}
	w.mail.err = errors.New("away")
	if err := send(m); err == nil {
		t.Error("a channel that is away is not tried again")
	}
	m.At = w.now.Add(-25 * time.Hour)
	if err := send(m); err != nil {
		t.Errorf("a message of yesterday is still tried: %v", err)
	}
	m.At, m.Channel = w.now, "pigeon"
	if err := send(m); err != nil {
		t.Errorf("a channel that is gone: %v", err)
	}
	if err := w.s.Handler(t.Context(), outbox.Message{Payload: []byte("{")}); err == nil {
		t.Error("half a message")
	}
	if got := w.s.Test(t.Context()); len(got) != 1 || got["mail"] == nil {
		t.Errorf("test: %v", got)
	}
	w.mail.err = nil
	if got := w.s.Test(t.Context()); got["mail"] != nil || !w.mail.sent[1].Test {
		t.Errorf("test: %v", got)
	}
}

func sub(t *testing.T, fsys fs.FS) fs.FS {
	t.Helper()
	out, err := fs.Sub(fsys, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	return out
}
