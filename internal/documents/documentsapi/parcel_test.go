package documentsapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"truc/internal/blobs"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/lang"
)

const (
	desk = "VN/GOV/H36/documents"
	hub  = "VN/GOV/G22/axis"
)

// wire is the exchange between two couriers: it keeps messages that were sent and carries fetches, which it can cut.
type wire struct {
	from   string
	sent   []Message
	ended  bool
	h      http.Handler // the sender's payload service
	caller string
	// cut ends the next fetch after so many bytes; lie changes a byte of what passes; refuse answers with a status.
	cut, refuse int
	lie         bool
	fetched     int
}

func (w *wire) Send(_ context.Context, _ outbox.Querier, m Message) error {
	w.sent = append(w.sent, m)
	return nil
}

func (w *wire) OnItsWay(_ context.Context, from, id string) ([]byte, string, error) {
	for _, m := range w.sent {
		if from == w.from && m.ID == id && !w.ended {
			return m.Body, m.To, nil
		}
	}
	return nil, "", errs.E(errs.NotFound, "documentsapi.payload_gone", nil)
}

func (w *wire) Get(ctx context.Context, _, service, path string, offset int64) (int, io.ReadCloser, int64, error) {
	if w.refuse != 0 {
		return w.refuse, io.NopCloser(strings.NewReader("")), 0, nil
	}
	r := httptest.NewRequestWithContext(reqctx.WithCaller(ctx, reqctx.Caller{Subsystem: w.caller, Service: service}), http.MethodGet, path, nil)
	if offset > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	b := rec.Body.Bytes()
	length := int64(len(b))
	if w.lie && len(b) > 10 {
		b = bytes.Clone(b)
		b[5] ^= 1
	}
	var body io.Reader = bytes.NewReader(b)
	if w.cut > 0 && w.cut < len(b) {
		body, w.cut = io.MultiReader(bytes.NewReader(b[:w.cut]), broken{}), 0
	}
	w.fetched += len(b)
	return rec.Code, io.NopCloser(body), length, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the line broke") }

// pair is a desk that sends and an axis that takes, with the wire between.
func pair(t *testing.T) (sender, receiver *Courier, w *wire) {
	t.Helper()
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	w = &wire{from: desk, caller: hub}
	open := func() *blobs.Store {
		s, err := blobs.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	sender = &Courier{Subsystem: "documents", Blobs: open(), Post: w, Exchange: w}
	receiver = &Courier{Subsystem: "axis", Blobs: open(), Post: w, Exchange: w}
	m := web.NewMux(web.Options{Log: slog.New(slog.DiscardHandler), Lang: cat})
	sender.MountPayloads(m)
	w.h = m
	return sender, receiver, w
}

func content(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// send queues a parcel and returns the request by which it arrives.
func send(t *testing.T, c *Courier, w *wire, b []byte) *http.Request {
	t.Helper()
	blob, err := c.Blobs.Put(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), nil, Message{ID: fmt.Sprintf("doc-%d", len(w.sent)), To: hub + "/messages", Path: "/edoc/1"}, blob); err != nil {
		t.Fatal(err)
	}
	return arriving(t, w.sent[len(w.sent)-1])
}

func arriving(t *testing.T, m Message) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, m.Path, bytes.NewReader(m.Body))
	r.Header.Set("Content-Type", m.ContentType)
	return r.WithContext(reqctx.WithCaller(t.Context(), reqctx.Caller{Subsystem: desk, Service: m.To, ExchangeID: m.ID}))
}

func sumOf(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func TestParcelsOfAnySize(t *testing.T) {
	for _, n := range []int{1, 1000, InlineMax, InlineMax + 1, 3 << 20} {
		sender, receiver, w := pair(t)
		b := content(n)
		got, err := receiver.Take(send(t, sender, w, b))
		if err != nil || got.SHA256 != sumOf(b) || got.Size != int64(n) {
			t.Fatalf("%d bytes: %+v, %v", n, got, err)
		}
		if inline := w.fetched == 0; inline != (n <= InlineMax) {
			t.Errorf("%d bytes: inline = %v", n, inline)
		}
		if m := w.sent[0]; m.Life != Life || len(m.Body) > InlineMax {
			t.Errorf("%d bytes: life %v, body of %d bytes", n, m.Life, len(m.Body))
		}
	}
}

func TestFetchGoesOnWhereItStopped(t *testing.T) {
	sender, receiver, w := pair(t)
	b := content(2 << 20)
	r := send(t, sender, w, b)
	w.cut = 1 << 20
	if _, err := receiver.Take(r); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("a broken line: %v; want unavailable, so that the message comes again", err)
	}
	w.fetched = 0
	got, err := receiver.Take(arriving(t, w.sent[0]))
	if err != nil || got.SHA256 != sumOf(b) {
		t.Fatal(got, err)
	}
	if w.fetched != 1<<20 {
		t.Errorf("the second attempt fetched %d bytes; want only the missing %d", w.fetched, 1<<20)
	}
	w.fetched = 0
	if _, err := receiver.Take(arriving(t, w.sent[0])); err != nil || w.fetched != 0 {
		t.Errorf("what is there is fetched again: %d bytes, %v", w.fetched, err)
	}
}

func TestWrongContentIsNotStored(t *testing.T) {
	b := content(1 << 20)
	for _, c := range []struct {
		name  string
		spoil func(w *wire, m *Message)
		want  string
		kind  errs.Kind
	}{
		{"other bytes", func(w *wire, _ *Message) { w.lie = true }, "documentsapi.wrong_hash", errs.Invalid},
		{"another length", func(_ *wire, m *Message) { m.Body = bytes.Replace(m.Body, []byte("1048576"), []byte("1048575"), 1) }, "", errs.Invalid},
		{"gone at the sender", func(w *wire, _ *Message) { w.ended = true }, "documentsapi.payload_gone", errs.Invalid},
		{"the sender is away", func(w *wire, _ *Message) { w.refuse = 503 }, "documentsapi.fetch_again", errs.Unavailable},
		{"not a digest", func(_ *wire, m *Message) { m.Body = []byte(`{"sha256":"../../etc/passwd","size":3}`) }, "documentsapi.reference_invalid", errs.Invalid},
		{"too long for anything", func(_ *wire, m *Message) {
			m.Body = []byte(`{"sha256":"` + strings.Repeat("0", 64) + `","size":99999999999}`)
		}, "documentsapi.reference_invalid", errs.Invalid},
		{"two lengths", func(_ *wire, m *Message) {
			m.Body = []byte(`{"sha256":"` + strings.Repeat("0", 64) + `","size":1,"size":2}`)
		}, "documentsapi.reference_invalid", errs.Invalid},
		{"another media type", func(_ *wire, m *Message) { m.ContentType = "text/plain" }, "documentsapi.media_unknown", errs.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			sender, receiver, w := pair(t)
			send(t, sender, w, b)
			m := w.sent[0]
			c.spoil(w, &m)
			_, err := receiver.Take(arriving(t, m))
			if key, _ := errs.KeyOf(err); !errs.Is(err, c.kind) || c.want != "" && key != c.want {
				t.Errorf("Take = %v; want %s", err, c.want)
			}
			if _, ok := receiver.Blobs.Has(sumOf(b)); ok {
				t.Error("it was stored")
			}
		})
	}
}

// TestPayloadsAreForTheReceiverOnly: nobody fetches a file by guessing, neither from another subsystem nor after the end.
func TestPayloadsAreForTheReceiverOnly(t *testing.T) {
	sender, _, w := pair(t)
	send(t, sender, w, content(1<<20))
	get := func(caller, service, path string) int {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		rec := httptest.NewRecorder()
		w.h.ServeHTTP(rec, r.WithContext(reqctx.WithCaller(t.Context(), reqctx.Caller{Subsystem: caller, Service: service})))
		return rec.Code
	}
	if got := get(hub, desk+"/payloads", "/doc-0"); got != http.StatusOK {
		t.Errorf("the receiver got %d", got)
	}
	if got := get("VN/GOV/H57/documents", desk+"/payloads", "/doc-0"); got != http.StatusNotFound {
		t.Errorf("another agency got %d", got)
	}
	if got := get(hub, desk+"/payloads", "/doc-9"); got != http.StatusNotFound {
		t.Errorf("an unknown message gave %d", got)
	}
	w.ended = true
	if got := get(hub, desk+"/payloads", "/doc-0"); got != http.StatusNotFound {
		t.Errorf("after the end it gave %d", got)
	}
}

func FuzzReference(f *testing.F) {
	f.Add([]byte(`{"sha256":"` + strings.Repeat("0", 64) + `","size":1}`))
	f.Add([]byte(`{"sha256":"","size":-1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		ref, err := parseReference(b)
		if err == nil && (!blobs.ValidName(ref.SHA256) || ref.Size <= 0 || ref.Size > maxPayload) {
			t.Fatalf("accepted %+v", ref)
		}
	})
}
