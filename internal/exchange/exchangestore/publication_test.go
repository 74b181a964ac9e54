package exchangestore

import (
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/exchange/publication"
	"truc/internal/i18n"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

func TestPublications(t *testing.T) {
	sub, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Module(t, "exchange", sub, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		s := &Store{DB: db}
		p := publication.Published{
			Code: "weather/stations", Kind: publication.KindOpenAPI, Name: i18n.Text{"vi": "Trạm quan trắc", "en": "Stations"}, About: i18n.Text{"vi": "Số đọc"},
			Personal: true, Public: true, Bodies: "full", Verify: "before_forward", AsyncOnly: true, Disabled: true, Notice: "Bảo trì", Document: []byte("openapi: 3.1.0"), Source: "https://a.example/x.yaml", Declared: true,
			Backend:   publication.Backend{URL: "https://b.example/api", Timeout: 30 * time.Second, Connect: 5 * time.Second, CA: "pem", ServerName: "c.example", ClientCert: true, PlainHTTP: true},
			Endpoints: []publication.Endpoint{{Method: "POST", Path: "/z"}, {Method: "GET", Path: "/a/*", Manual: true}},
			Rights:    []publication.Right{{Consumer: "VN/GOV/*/onestop", Method: "GET", Path: "/a/*", Activities: []string{"a", "b"}, Basis: "Điều 1"}, {Consumer: "VN/GOV/H36/x", Method: "*", Path: "**"}},
			ChangedAt: time.Date(2026, 11, 22, 1, 2, 3, 4000, time.UTC), ChangedBy: "lan",
			EndsAt: time.Date(2027, 6, 30, 17, 0, 0, 0, time.UTC),
		}
		check := func(want ...publication.Published) {
			t.Helper()
			got, err := s.Publications(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got { // a list without elements may be nil or empty
				for j := range got[i].Rights {
					if len(got[i].Rights[j].Activities) == 0 {
						got[i].Rights[j].Activities = nil
					}
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("publications (-want +got):\n%s", d)
			}
		}
		changes := func() int64 {
			t.Helper()
			n, err := s.PublicationChanges(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		check()
		if err := s.AddPublication(ctx, &p); err != nil {
			t.Fatal(err)
		}
		if err := s.AddPublication(ctx, &p); !errs.Is(err, errs.Conflict) {
			t.Errorf("the same code again: %v", err)
		}
		p.Version = 1
		plain := publication.Published{Code: "weather/plain", Kind: publication.KindREST, Name: i18n.Text{"vi": "x"}, About: i18n.Text{}, Bodies: "off", ChangedAt: p.ChangedAt}
		if err := s.AddPublication(ctx, &plain); err != nil {
			t.Fatal(err)
		}
		plain.Version = 1
		check(plain, p)
		stale := p
		p.Endpoints, p.Rights, p.Notice = p.Endpoints[1:], p.Rights[1:], "khác"
		before := changes()
		if err := s.SavePublication(ctx, &p); err != nil {
			t.Fatal(err)
		}
		p.Version = 2
		check(plain, p)
		if changes() != before+1 {
			t.Error("a change is not counted")
		}
		if err := s.SavePublication(ctx, &stale); !errs.Is(err, errs.Conflict) || changes() != before+1 {
			t.Errorf("a change of what was changed meanwhile: %v", err)
		}
		check(plain, p)
		if err := s.DeletePublication(ctx, p.Code); err != nil {
			t.Fatal(err)
		}
		if err := s.DeletePublication(ctx, p.Code); !errs.Is(err, errs.NotFound) {
			t.Errorf("deleted again: %v", err)
		}
		check(plain)
		if changes() != before+2 {
			t.Error("a deletion is not counted once")
		}

		d := &publication.Draft{ID: "d1", Code: "weather/plain", Document: []byte("x"), Source: "s", CreatedAt: p.ChangedAt, CreatedBy: "lan"}
		if err := s.KeepDraft(ctx, d, p.ChangedAt.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		got, err := s.Draft(ctx, "d1")
		if diff := cmp.Diff(d, got); err != nil || diff != "" {
			t.Errorf("draft: %v\n%s", err, diff)
		}
		d2 := *d
		d2.ID, d2.CreatedAt = "d2", p.ChangedAt.Add(2*time.Hour)
		if err := s.KeepDraft(ctx, &d2, p.ChangedAt.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Draft(ctx, "d1"); !errs.Is(err, errs.NotFound) {
			t.Errorf("a draft of yesterday is there: %v", err)
		}
		if err := s.DropDraft(ctx, "d2"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Draft(ctx, "d2"); !errs.Is(err, errs.NotFound) {
			t.Errorf("a dropped draft is there: %v", err)
		}
	})
}
