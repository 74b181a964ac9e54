// Package servicestest builds an agency's desk for tests: a real database, a shipped procedure, a clock that is set by
// hand, and the smallest honest stand-ins for the exchange, the signing keys and the audit log.
package servicestest

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/adminunits"
	"truc/internal/calendar"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/services/servicesstore"
	"truc/internal/sign"
	"truc/internal/storage"
	"truc/lang"
	"truc/procedures"
)

// Extract is the procedure that the desk offers: copies of civil-status extracts.
const Extract = "2.000635"

// Unit is the unit that receives dossiers; Other is another unit of the agency.
const (
	Unit  = "H36.14"
	Other = "H36.15"
)

// Names as long as real ones get.
const (
	LongName = "Công chúa Ngọc Hân Nguyễn Phúc Tôn Nữ Thuỷ Quỳnh"
	UnitName = "Trung tâm Phục vụ hành chính công phường Xuân Hương – Đà Lạt"
)

// Env is a desk with what it stands on.
type Env struct {
	*services.Desk
	DB       *storage.DB
	Clock    *Clock
	Exchange *Exchange
	Audit    *Audit
	Signer   *Signer
}

// NewDesk returns a desk on an empty database. The clock stands on a working Friday at 09:00.
func NewDesk(t testing.TB, db *storage.DB) *Env {
	t.Helper()
	ctx := context.Background()
	start := time.Date(2026, 6, 5, 9, 0, 0, 0, i18n.Zone)
	for module, files := range map[string]fs.FS{"outbox": sub(t, outbox.Migrations, "migrations"), "services": sub(t, servicesstore.Migrations, "migrations")} {
		if err := storage.Migrate(ctx, db, module, files, start); err != nil {
			t.Fatal(err)
		}
	}
	messages, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	places, err := adminunits.Load()
	if err != nil {
		t.Fatal(err)
	}
	env := &Env{DB: db, Clock: &Clock{now: start}, Exchange: &Exchange{}, Audit: &Audit{}, Signer: &Signer{}}
	store := &servicesstore.Store{DB: db, Now: env.Clock.Now}
	library := &services.Library{Store: store, Now: env.Clock.Now}
	if _, problems, err := library.Publish(ctx, sub(t, procedures.FS, Extract), "test"); err != nil || !problems.OK() {
		t.Fatalf("publish %s: %v %v", Extract, err, problems)
	}
	cal := calendar.Vietnam()
	env.Desk = &services.Desk{
		Store: servicesstore.Desk{Store: store}, Library: library, Calendar: func() *calendar.Calendar { return cal }, Exchange: env.Exchange,
		Post: &Post{DB: db, Now: env.Clock.Now, Exchange: env.Exchange},
		Sign: env.Signer, Audit: env.Audit, Messages: messages, Places: places, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler),
		Agency: services.Office{Code: "H36", Name: "Uỷ ban nhân dân tỉnh Lâm Đồng", Province: "68"},
		Units:  []services.Office{{Code: Unit, Name: UnitName, Province: "68"}, {Code: Other, Name: "Uỷ ban nhân dân xã Đạ Huoai", Province: "68"}},
		Offers: []string{Extract}, Portal: "VN/GOV/G22/portal/notices", PublicURL: "https://dichvucong.example", Place: "Đà Lạt",
		Registers: map[string]string{"civilstatus/event": "VN/GOV/G15/civilstatus/event", "population/person": "VN/GOV/G01/population/person"},
	}
	return env
}

func sub(t testing.TB, f fs.FS, dir string) fs.FS {
	t.Helper()
	s, err := fs.Sub(f, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Officer returns somebody of [Unit] with roles.
func Officer(id, name string, roles ...string) reqctx.Principal {
	return reqctx.Principal{Kind: reqctx.Officer, ID: id, Name: name, Agency: Unit, Roles: roles}
}

// Submission returns a filing that is right in every way: an own birth extract, online, two copies.
func (e *Env) Submission(t testing.TB, filing string) services.Submission {
	t.Helper()
	proc := e.Library.Current(Extract)
	var answers bundle.Answers
	if err := json.Unmarshal([]byte(`{
		"requester": {"fullName": "`+LongName+`", "birthDate": "2004-02-29", "personalId": "099304000123", "residence": "12 đường Thử Nghiệm, phường Mẫu, tỉnh Lâm Đồng"},
		"submitter": {"relation": "self"}, "event": {"kind": "birth", "year": 2004}, "copies": 2,
		"delivery": {"method": "counter"}, "contact": {"phone": "0900000000", "email": "quynh@example.vn"}, "declaration": true}`), &answers); err != nil {
		t.Fatal(err)
	}
	at := e.Clock.Now().Add(-time.Minute)
	sub := services.Submission{
		FilingID: filing, Procedure: Extract, VersionHash: proc.Hash, Agency: Unit, Channel: bundle.ChannelOnline, Answers: answers, SubmittedAt: at, Lang: "vi",
		Applicant: services.Applicant{PersonalID: "099304000123", FullName: LongName, BirthDate: "2004-02-29", Phone: "0900000000", Email: "quynh@example.vn", Level: 2},
	}
	for ptr, field := range map[string]string{"/requester/fullName": "fullName", "/requester/birthDate": "birthDate", "/requester/personalId": "personalId", "/requester/residence": "permanentResidence.full"} {
		sub.Prefilled = append(sub.Prefilled, services.Prefilled{Pointer: ptr, Group: "person", Source: "population/person#" + field, At: at, Status: services.PrefillOK})
	}
	return sub
}

// WithPaper adds an identity paper to a filing, as somebody whose data could not be fetched must.
func (e *Env) WithPaper(t testing.TB, sub services.Submission, media string, content []byte) services.Submission {
	t.Helper()
	sha, err := e.PutPaper(context.Background(), media, content)
	if err != nil {
		t.Fatal(err)
	}
	sub.Papers = append(sub.Papers, services.PaperRef{ID: "giay-to-tuy-than", Name: "Giấy tờ tùy thân của người đề nghị", File: "can_cuoc.jpg", SHA256: sha, Size: int64(len(content)), Media: media, Provenance: "uploaded"})
	return sub
}

// Clock is a clock that is set by hand.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.UTC()
}

// Set sets the clock to hour and minute of a day of June 2026 in Vietnam.
func (c *Clock) Set(day, hour, minute int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = time.Date(2026, 6, day, hour, minute, 0, 0, i18n.Zone)
}

// Exchange is an exchange whose other side is a function. Without one nobody answers.
type Exchange struct {
	mu     sync.Mutex
	Calls  []services.ExchangeCall
	Answer func(c services.ExchangeCall) (int, string)
}

// Call implements [services.Exchange].
func (x *Exchange) Call(_ context.Context, c services.ExchangeCall) (services.ExchangeAnswer, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.Calls = append(x.Calls, c)
	if x.Answer == nil {
		return services.ExchangeAnswer{}, errs.E(errs.Unavailable, "error.unavailable", fmt.Errorf("nobody at %s", c.To))
	}
	status, body := x.Answer(c)
	return services.ExchangeAnswer{Status: status, ContentType: "application/json", Body: []byte(body), ID: "x-" + fmt.Sprint(len(x.Calls))}, nil
}

// Birth answers like the civil-status register with one birth, and like the population register with one person.
func Birth(c services.ExchangeCall) (int, string) {
	if strings.Contains(c.To, "population") {
		return 200, `{"type":"ByPersonalId","records":[{"personalId":"099304000123","fullName":"` + LongName + `","birthDate":"2004-02-29","sex":"female","permanentResidence":{"full":"12 đường Thử Nghiệm, phường Mẫu, tỉnh Lâm Đồng"}}]}`
	}
	return 200, `{"type":"ByPersonAndKind","records":[{"eventNumber":"KS-2004-000012","kind":"birth","registrationNumber":"12","book":"01/2004","registeredOn":"2004-03-10","eventDate":"2004-02-29",
		"place":{"office":"UBND phường Mẫu","communeName":"phường Mẫu","provinceName":"tỉnh Lâm Đồng"},
		"subject":{"personalId":"099304000123","fullName":"` + LongName + `","birthDate":"2004-02-29","sex":"female","ethnicity":"Kinh","nationality":"Việt Nam","birthPlace":"Bệnh viện Mẫu","homeTown":"Huế"},
		"father":{"fullName":"Nguyễn Phúc Bửu Ẩn","birthDate":"1970-01-01"},"mother":{"fullName":"Lê Thị Ế","birthDate":"1975-05-05"}}]}`
}

// Audit remembers what it was told; with Fail set it cannot write.
type Audit struct {
	mu   sync.Mutex
	Acts []string
	Fail error
}

// Act implements [services.Audit].
func (a *Audit) Act(_ context.Context, _ services.Queue, actor, action, object string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Fail != nil {
		return a.Fail
	}
	a.Acts = append(a.Acts, actor+" "+action+" "+object)
	return nil
}

// Signer gives documents back as they are; with Fail set there is no key.
type Signer struct{ Fail error }

// SignResult implements [services.Signatures].
func (s *Signer) SignResult(_ context.Context, req services.SignRequest) ([]byte, error) {
	return req.PDF, s.Fail
}

// Verify implements [services.Signatures].
func (*Signer) Verify(context.Context, []byte) ([]sign.Report, error) { return nil, nil }
