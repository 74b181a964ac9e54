package axisstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/edxml"
	"truc/internal/blobs"
	"truc/internal/documents/axis"
	"truc/internal/documents/axisstore"
	"truc/internal/i18n"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/lang"
)

const (
	ministry = axis.Party("vxp:bo.01")
	province = axis.Party("vxp:tinh.01")
	lamDong  = axis.Party("node:VN/GOV/H36/documents")
)

// center is a hub on an empty database with a ministry G98, a province H99 with two departments, and a node H36.
type center struct {
	*axis.Hub
	db     *storage.DB
	mu     sync.Mutex
	clock  time.Time
	pushed []axis.Push
	facts  []axis.Fact
	acts   []string
	refuse error // what the carrier says
}

func each(t *testing.T, f func(t *testing.T, c *center)) {
	t.Helper()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		migrate(t, db)
		f(t, newCenter(t, db))
	})
}

func migrate(t testing.TB, db *storage.DB) {
	t.Helper()
	files, err := fs.Sub(axisstore.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Migrate(t.Context(), db, "axis", files, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func newCenter(t testing.TB, db *storage.DB) *center {
	t.Helper()
	store, err := blobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &center{db: db, clock: time.Date(2026, 3, 5, 2, 15, 0, 0, time.UTC)} // Thursday 09:15 in Viet Nam
	c.Hub = &axis.Hub{
		Store: &axisstore.Store{DB: db}, Blobs: store, Carrier: c, Issuer: c, Audit: c, SealKey: bytes.Repeat([]byte{7}, 32), Secrecy: axis.DefaultSecrecy(),
		Now: c.now, Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range []axis.AgencyForm{
		{Code: "G98", Name: "Bộ Ví Dụ", Old: "000.00.00.G98", Owner: ministry},
		{Code: "H99", Name: "UBND tỉnh Ví Dụ", Old: "000.00.00.H99", Owner: province},
		{Code: "H99.07", Name: "Sở Mẫu", Old: "000.00.07.H99", Owner: province},
		{Code: "H99.08", Name: "Sở Khác", Owner: province},
		{Code: "H36", Name: "UBND tỉnh Lâm Đồng", Owner: lamDong},
	} {
		if _, err := c.AdmitAgency(t.Context(), "quantri", f); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *center) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock
}

func (c *center) sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock = c.clock.Add(d)
}

// Push, Issue and Act are the smallest honest ports.
func (c *center) Push(_ context.Context, _ axis.Tx, p axis.Push) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushed = append(c.pushed, p)
	return c.refuse
}

func (c *center) Issue(_ context.Context, _ axis.Tx, f axis.Fact) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.facts = append(c.facts, f)
	return nil
}

func (c *center) Of(_ context.Context, message, copyID string) (out []axis.Receipt, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.facts {
		if f.DocID == message && (copyID == "" || f.Copy == copyID) {
			id := fmt.Sprintf("%s-%d", f.Event, f.Seq)
			out = append(out, axis.Receipt{ID: id, Event: f.Event, DocID: f.DocID, Copy: f.Copy, At: f.At, Signed: fmt.Appendf(nil, "%s %s %s %s", f.Event, f.DocID, f.Payload.SHA256, strings.Join(f.To, ","))})
		}
	}
	return out, nil
}

func (c *center) File(_ context.Context, id string) ([]byte, error) { return []byte("file " + id), nil }

func (c *center) Act(_ context.Context, _ axis.Tx, actor, action, object string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acts = append(c.acts, actor+" "+action+" "+object)
	return nil
}

// letter is a document from H99.07 to the given codes.
func letter(number string, to ...string) *edxml.Message {
	m := &edxml.Message{
		From:       edxml.Organization{ID: "H99.07", Name: "Sở Mẫu"},
		DocumentID: "H99.07,2026/03/05," + number + "/SM-VP", Code: edxml.Code{Number: number, Notation: "SM-VP"},
		Place: "Ví Dụ", Date: edxml.Date{Year: 2026, Month: 3, Day: 5}, Type: edxml.DocumentType{Type: 2, Name: "Công văn"},
		Subject: "V/v thử nghiệm liên thông số " + number, Signer: edxml.Signer{Competence: "GIÁM ĐỐC", FullName: "Họ Tên Mẫu"},
		Other: edxml.OtherInfo{Copies: 1, Pages: 1},
	}
	for _, code := range to {
		m.To = append(m.To, edxml.Organization{ID: code, Name: "Cơ quan " + code})
	}
	return m
}

// status is a status message about a letter of H99.07.
func status(from, code, document string, at time.Time) *edxml.Message {
	return &edxml.Message{
		From:        edxml.Organization{ID: from, Name: "Cơ quan " + from},
		ResponseFor: []edxml.Reference{{OrganID: "H99.07", Code: "08/SM-VP", DocumentID: document, Date: edxml.Date{Year: 2026, Month: 3, Day: 5}}},
		Status:      &edxml.Status{Code: code, Description: "lý do", At: at, Staff: edxml.Staff{Department: "Văn thư", Name: "Cán Bộ Mẫu"}},
	}
}

func write(t testing.TB, m *edxml.Message) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := edxml.Write(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (c *center) put(t testing.TB, b []byte) blobs.Blob {
	t.Helper()
	blob, err := c.Blobs.Put(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// submit hands a message in for a party.
func (c *center) submit(t testing.TB, p axis.Party, m *edxml.Message) (axis.Accepted, error) {
	t.Helper()
	kind := axis.Document
	if m.IsStatus() {
		kind = axis.StatusOf
	}
	return c.Submit(context.Background(), axis.Submission{Party: p, Kind: kind, Payload: c.put(t, write(t, m))})
}

func (c *center) mustSubmit(t testing.TB, p axis.Party, m *edxml.Message) axis.Accepted {
	t.Helper()
	a, err := c.submit(t, p, m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// list returns what waits for a party.
func (c *center) list(t testing.TB, p axis.Party) []axis.Copy {
	t.Helper()
	list, err := c.Received(t.Context(), p, axis.ReceivedQuery{Kind: axis.Document})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (c *center) sent(t testing.TB, p axis.Party, docID string) []axis.Copy {
	t.Helper()
	list, err := c.Sent(t.Context(), p, axis.SentQuery{Kind: axis.Document, DocID: docID})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (c *center) fetch(t testing.TB, p axis.Party, id string) []byte {
	t.Helper()
	f, _, err := c.Open(t.Context(), p, id)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// code returns code and key of a refusal, 0 for anything else.
func code(err error) (int, string) {
	r, ok := errors.AsType[*axis.Refusal](err)
	if !ok {
		return 0, ""
	}
	return r.Code, r.Key
}

// counts tells how many rows the tables of messages have, to see that nothing of a refused message stays.
func (c *center) counts(t testing.TB) string {
	t.Helper()
	var out []string
	for _, table := range []string{"axis_message", "axis_copy", "axis_journal"} {
		var n int64
		if err := c.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(n))
	}
	return strings.Join(out, " ")
}

// closeAgency enters an agency of the province's first level H98 and ends it.
func (c *center) closeAgency(t *testing.T, code string, successors ...string) {
	t.Helper()
	if _, err := c.AdmitAgency(t.Context(), "quantri", axis.AgencyForm{Code: code, Name: "Cơ quan cũ " + code, Owner: province}); err != nil {
		t.Fatal(err)
	}
	c.sleep(time.Hour)
	if err := c.EndAgency(t.Context(), "quantri", code, "Nghị quyết 202/2025/QH15", successors); err != nil {
		t.Fatal(err)
	}
}

func catalogue(t *testing.T) *i18n.Catalogue {
	t.Helper()
	c, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
