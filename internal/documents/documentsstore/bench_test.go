package documentsstore

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/blobs"
	"truc/internal/calendar"
	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/outbox"
	"truc/internal/sign"
	"truc/internal/storage"
)

// clock is the time of a test, which only moves when told.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) set(s string) {
	t, err := time.ParseInLocation("2006-01-02 15:04", s, i18n.Zone)
	if err != nil {
		panic(err)
	}
	c.mu.Lock()
	c.t = t.UTC()
	c.mu.Unlock()
}

func (c *clock) add(d time.Duration) { c.mu.Lock(); c.t = c.t.Add(d); c.mu.Unlock() }

// typesetter prints what it is given as text behind the mark of PDF.
type typesetter struct{}

func (typesetter) Typeset(_ context.Context, p documents.Paper) (documents.Printed, error) {
	text := fmt.Sprintf("%%PDF-1.7\n%s %s %s %s", p.Code, p.Date.Format("02/01/2006"), p.Subject, p.Signer)
	if p.Draft {
		text += " DRAFT"
	}
	return documents.Printed{PDF: []byte(text), Pages: 1, Person: documents.Box{Page: 1}, Seal: documents.Box{Page: 1, X: 10}}, nil
}

// signatures adds a line for each signature, and reads these lines when it verifies. What comes behind the first line of
// the file and is no signature counts as a change.
type signatures struct {
	mu   sync.Mutex
	fail error
	// mute lets the person's key return the file as it was.
	mute bool
}

func (s *signatures) failing() error { s.mu.Lock(); defer s.mu.Unlock(); return s.fail }

func (s *signatures) setFail(err error) { s.mu.Lock(); s.fail = err; s.mu.Unlock() }

func (s *signatures) Person(_ context.Context, p documents.PersonSignature) ([]byte, error) {
	if err := s.failing(); err != nil {
		return nil, err
	}
	if s.mute {
		return p.PDF, nil
	}
	return fmt.Appendf(nil, "%s\nSIG person %s|%s", p.PDF, p.Name, p.Office), nil
}

func (s *signatures) Agency(_ context.Context, a documents.AgencySignature) ([]byte, error) {
	return fmt.Appendf(nil, "%s\nSIG agency %s|%s", a.PDF, a.OfficeName, a.Office), s.failing()
}

func (s *signatures) NoImage(_ context.Context, a documents.AttachmentSignature) (documents.SignedAttachment, error) {
	if strings.HasSuffix(a.Name, ".pdf") {
		return documents.SignedAttachment{Content: fmt.Appendf(nil, "%s\nSIG agency %s|%s", a.Content, a.OfficeName, a.Office)}, nil
	}
	return documents.SignedAttachment{Content: a.Content, Detached: []byte("detached " + a.Office)}, nil
}

func (s *signatures) Copy(_ context.Context, c documents.CopySignature) ([]byte, error) {
	return fmt.Appendf(nil, "%s\nSIG agency %s|%s\n%s", c.PDF, c.OfficeName, c.Office, c.Kind), s.failing()
}

func (*signatures) Verify(_ context.Context, pdf []byte) ([]sign.Report, error) {
	var out []sign.Report
	for line := range strings.Lines(string(pdf)) {
		kind, rest, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "SIG "), "\n"), " ")
		if !ok || !strings.HasPrefix(line, "SIG ") {
			continue
		}
		name, code, _ := strings.Cut(rest, "|")
		r := sign.Report{Order: len(out) + 1, State: sign.Valid, Integrity: true, Signer: name, Agency: name, AgencyCode: code}
		if kind == "person" {
			r.Agency = "cơ quan"
		}
		out = append(out, r)
	}
	return out, nil
}

// axis keeps what was carried, once for each id.
type axis struct {
	mu       sync.Mutex
	carried  []documents.Carriage
	agencies []documents.Agency
	fail     error
}

func (a *axis) Carry(ctx context.Context, tx documents.Queue, c documents.Carriage) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		return a.fail
	}
	if !slices.ContainsFunc(a.carried, func(o documents.Carriage) bool { return o.ID == c.ID }) {
		a.carried = append(a.carried, c)
	}
	return tx.Enqueue(ctx, c.ID, "documents.test", strings.Join(c.To, " "), c)
}

func (a *axis) Agencies(context.Context) ([]documents.Agency, error) { return a.agencies, nil }

// take returns what was carried since the last call.
func (a *axis) take() []documents.Carriage {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.carried
	a.carried = nil
	return out
}

type acts struct {
	mu   sync.Mutex
	list []string
	fail error
}

func (a *acts) Act(_ context.Context, _ documents.Queue, actor, action, object string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, actor+" "+action+" "+object)
	return a.fail
}

type officers []documents.Person

func (o officers) People(context.Context, string) ([]documents.Person, error) { return o, nil }

// bench is a network of desks on one database each, with an axis between them that delivers when told.
type bench struct {
	clock  *clock
	axis   *axis
	sigs   *signatures
	acts   *acts
	store  *Store
	desk   *documents.Desk
	dir    string
	copies int
}

func person(account, name, office string, roles ...string) documents.Actor {
	return documents.Actor{Account: account, Name: name, Title: "Chức vụ " + name, Agency: office, Roles: roles}
}

var (
	drafter = person("soan", "Trần Soạn", "H36.07", documents.RoleOfficer)
	second  = person("chuyenvien", "Lê Chuyên Viên", "H36.07", documents.RoleOfficer)
	review  = person("truongphong", "Phạm Trưởng Phòng", "H36.07", documents.RoleHead)
	head    = person("giamdoc", "Nguyễn Giám Đốc", "H36", documents.RoleHead)
	clerk   = person("vanthu", "Võ Văn Thư", "H36", documents.RoleClerk)
	clerk2  = person("vanthu2", "Bùi Văn Thư", "H57", documents.RoleClerk)
	head2   = person("chutich2", "Đỗ Chủ Tịch", "H57", documents.RoleHead)
	worker2 = person("canbo2", "Hồ Cán Bộ", "H57", documents.RoleOfficer)
)

func newBench(tb testing.TB, db *storage.DB) *bench {
	tb.Helper()
	for module, files := range map[string]fs.FS{"outbox": outbox.Migrations, "documents": Migrations} {
		sub, err := fs.Sub(files, "migrations")
		if err != nil {
			tb.Fatal(err)
		}
		if err := storage.Migrate(tb.Context(), db, module, sub, time.Now()); err != nil {
			tb.Fatal(err)
		}
	}
	b := &bench{clock: &clock{}, axis: &axis{}, sigs: &signatures{}, acts: &acts{}, dir: tb.TempDir()}
	b.clock.set("2026-03-05 09:00")
	b.axis.agencies = []documents.Agency{{Code: "H36", Name: "UBND tỉnh Lâm Đồng"}, {Code: "H57", Name: "UBND thành phố Huế"}, {Code: "G98", Name: "Bộ Ví Dụ"}}
	files, err := blobs.Open(b.dir)
	if err != nil {
		tb.Fatal(err)
	}
	b.store = &Store{DB: db, Now: b.clock.now}
	var people officers
	for _, a := range []documents.Actor{drafter, second, review, head, clerk, clerk2, head2, worker2} {
		people = append(people, documents.Person{Account: a.Account, Name: a.Name, Title: a.Title, Roles: a.Roles})
	}
	b.desk = &documents.Desk{
		Store: b.store, Blobs: files, Typesetter: typesetter{}, Signatures: b.sigs, Carrier: b.axis, Audit: b.acts, Officers: people,
		Calendar: calendar.Vietnam, Now: b.clock.now, Log: slog.New(slog.DiscardHandler),
		Offices: []documents.Office{
			{Code: "H36", Name: "UBND tỉnh Lâm Đồng", Letters: "UBND", Place: "Đà Lạt"},
			{Code: "H57", Name: "UBND thành phố Huế", Letters: "UBND", Place: "Huế"},
		},
	}
	return b
}

func form() documents.DraftForm {
	return documents.DraftForm{
		Type: documents.OfficialLetter, Unit: "VX", Subject: "V/v thử nghiệm liên thông văn bản", Body: "Kính đề nghị quý cơ quan phối hợp.",
		Addressees: []string{"UBND thành phố Huế"}, ToPlaces: []string{"Như trên", "Lưu: VT"}, Receivers: []string{"H57"},
		Authority: "TM. ỦY BAN NHÂN DÂN", Signer: head.Account,
	}
}

func must[T any](tb testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// refused wants an error of a kind and key.
func refused(tb testing.TB, err error, kind errs.Kind, key string) {
	tb.Helper()
	got, _ := errs.KeyOf(err)
	if err == nil || errs.KindOf(err) != kind || got != key {
		tb.Errorf("error = %v (%v %s); want %v %s", err, errs.KindOf(err), got, kind, key)
	}
}

// signed drafts a document and brings it to the person's signature.
func (b *bench) signed(tb testing.TB, f documents.DraftForm) string {
	tb.Helper()
	ctx := tb.Context()
	id := must[string](tb)(b.desk.Draft(ctx, drafter, f))
	ok(tb, b.desk.Submit(ctx, drafter, id, 0, head.Account, ""))
	ok(tb, b.desk.SignAsPerson(ctx, head, id))
	return id
}

// sent brings a document to its receivers.
func (b *bench) sent(tb testing.TB, f documents.DraftForm) string {
	tb.Helper()
	id := b.signed(tb, f)
	ok(tb, b.desk.Issue(tb.Context(), clerk, id, documents.SendWhen{Now: true}))
	return id
}

// deliver gives everything on its way to offices of this node and returns what became of it.
func (b *bench) deliver(tb testing.TB) (got []documents.Received) {
	tb.Helper()
	for {
		way := b.axis.take()
		if len(way) == 0 {
			return got
		}
		for _, c := range way {
			for _, to := range c.To {
				if _, here := b.desk.OfficeByCode(to); !here {
					continue
				}
				b.copies++
				r, err := b.desk.Receive(tb.Context(), documents.Arrival{Message: fmt.Sprintf("copy-%d", b.copies), Receiver: to, Payload: c.Payload, At: b.clock.now()})
				if err != nil {
					tb.Fatalf("receive %s %s: %v", c.Kind, c.ID, err)
				}
				got = append(got, r)
			}
		}
		b.clock.add(time.Second)
	}
}

// received sends a document and returns it at the receiver.
func (b *bench) received(tb testing.TB, f documents.DraftForm) (out, in string) {
	tb.Helper()
	out = b.sent(tb, f)
	for _, r := range b.deliver(tb) {
		if !r.Status && in == "" {
			in = r.Document
		}
	}
	if in == "" {
		tb.Fatal("nothing arrived")
	}
	return out, in
}

func (b *bench) out(tb testing.TB, id string) *documents.Outgoing {
	tb.Helper()
	return must[*documents.Outgoing](tb)(b.desk.Outgoing(tb.Context(), clerk, id))
}

func (b *bench) in(tb testing.TB, id string) *documents.Incoming {
	tb.Helper()
	return must[*documents.Incoming](tb)(b.desk.Incoming(tb.Context(), clerk2, id))
}

// corrupt changes a byte of a stored file.
func (b *bench) corrupt(tb testing.TB, sha string) {
	tb.Helper()
	p := b.dir + "/" + sha[:2] + "/" + sha
	content, err := os.ReadFile(p)
	ok(tb, err)
	content = bytes.Replace(content, []byte("thử"), []byte("THỬ"), 1)
	ok(tb, os.Chmod(p, 0o600))
	ok(tb, os.WriteFile(p, content, 0o600))
}
