package axispage

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"truc/edxml"
	"truc/internal/blobs"
	"truc/internal/documents/axis"
	"truc/internal/documents/axisstore"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

type acts struct{}

func (acts) Act(context.Context, axis.Tx, string, string, string) error { return nil }

// issuer keeps a receipt of each acceptance.
type issuer struct{ kept []axis.Receipt }

func (i *issuer) Issue(_ context.Context, _ axis.Tx, f axis.Fact) error {
	if f.Event == axis.EvAccepted {
		i.kept = append(i.kept, axis.Receipt{ID: "r1", Event: f.Event, DocID: f.DocID, At: f.At})
	}
	return nil
}

func (i *issuer) Of(_ context.Context, message, _ string) (out []axis.Receipt, _ error) {
	for _, r := range i.kept {
		if r.DocID == message {
			out = append(out, r)
		}
	}
	return out, nil
}

func (i *issuer) File(context.Context, string) ([]byte, error) { return []byte(`{"receipt":1}`), nil }

type site struct {
	t   *testing.T
	hub *axis.Hub
	mux *web.Mux
	now time.Time
}

func newSite(t *testing.T, db *storage.DB) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, 3, 5, 2, 15, 0, 0, time.UTC)}
	migrations, err := fs.Sub(axisstore.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Migrate(t.Context(), db, "axis", migrations, s.now); err != nil {
		t.Fatal(err)
	}
	files, err := blobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return s.now }
	s.hub = &axis.Hub{Store: &axisstore.Store{DB: db}, Blobs: files, Audit: acts{}, SealKey: make([]byte, 32), Now: now, Log: slog.New(slog.DiscardHandler)}
	s.mux = web.NewMux(web.Options{Lang: cat, Renderer: rd})
	if err := (&Pages{Hub: s.hub, Renderer: rd, Now: now}).Mount(s.mux); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) do(method, path, lang string, form url.Values, roles ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r = r.WithContext(reqctx.WithLang(reqctx.WithPrincipal(r.Context(), reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Roles: roles}), lang))
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	if missing := regexp.MustCompile(`\[(axis|axispage)\.[a-z_.0-9]+\]`).FindString(w.Body.String()); missing != "" {
		s.t.Errorf("%s %s in %s: no text for %s", method, path, lang, missing)
	}
	return w
}

func (s *site) get(path string, want ...string) string {
	s.t.Helper()
	var body string
	for _, l := range []string{"en", "vi"} {
		w := s.do(http.MethodGet, path, l, nil, "admin")
		if body = w.Body.String(); w.Code != http.StatusOK {
			s.t.Fatalf("%s: status %d %s", path, w.Code, body)
		}
		for _, x := range want {
			if !strings.Contains(body, x) {
				s.t.Errorf("%s lacks %q", path, x)
			}
		}
	}
	return body
}

func (s *site) post(path string, status int, form url.Values, want ...string) string {
	s.t.Helper()
	w := s.do(http.MethodPost, path, "vi", form, "admin")
	if w.Code != status {
		s.t.Fatalf("POST %s: status %d, want %d: %s", path, w.Code, status, w.Body)
	}
	for _, x := range want {
		if !strings.Contains(w.Body.String(), x) {
			s.t.Errorf("POST %s: lacks %q", path, x)
		}
	}
	return w.Body.String()
}

var shown = regexp.MustCompile(`<code>([A-Za-z0-9_-]{40,})</code>`)

func TestAxisPages(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, db *storage.DB) {
		s := newSite(t, db)
		s.hub.Issuer = &issuer{}
		for _, path := range []string{"/axis", "/axis/late", "/axis/journal", "/axis/systems", "/axis/agencies"} {
			s.get(path)
			if w := s.do(http.MethodGet, path, "vi", nil, "clerk"); w.Code != http.StatusForbidden {
				t.Errorf("%s for a clerk: status %d", path, w.Code)
			}
		}

		// A system: every fault at its field, the secret once.
		s.post("/axis/systems", 422, url.Values{"id": {""}, "hours": {"x"}, "addresses": {"10.0.0.0/8, nowhere"}}, "f-id", "f-name", "f-hours", "f-addresses")
		s.post("/axis/systems", 422, url.Values{"id": {"vidu 01"}, "name": {"Sở"}}, "f-id")
		s.post("/axis/systems", 422, url.Values{"id": {"vidu.01"}, "name": {"Sở"}, "options": {"unlimited"}}, "f-addresses")
		body := s.post("/axis/systems", 200, url.Values{"id": {"vidu.01"}, "name": {"Trung tâm CNTT"}, "hours": {"48"}, "addresses": {"10.1.2.3"}, "options": {"register"}}, "vidu.01")
		secret := shown.FindStringSubmatch(body)
		if secret == nil {
			t.Fatalf("no secret on %s", body)
		}
		if c, err := s.hub.System(t.Context(), "vidu.01"); err != nil || c.Secrets[0] != secret[1] || c.Window != 48*time.Hour || !c.MayRegister || len(c.Addresses) != 1 {
			t.Errorf("system %+v, %v", c.System, err)
		}
		if body := s.get("/axis/systems", "vidu.01", "Trung tâm CNTT"); strings.Contains(body, secret[1]) {
			t.Error("the secret is shown again")
		}
		s.post("/axis/systems", 422, url.Values{"id": {"vidu.01"}, "name": {"Sở"}}, "f-id")
		s.get("/axis/systems/vidu.01", "Trung tâm CNTT", "10.1.2.3/32")
		s.post("/axis/systems/vidu.01", 303, url.Values{"name": {"Sở TTTT"}, "hours": {"24"}})
		next := shown.FindStringSubmatch(s.post("/axis/systems/vidu.01/secret", 200, url.Values{"overlap": {"24"}}))
		if c, err := s.hub.System(t.Context(), "vidu.01"); err != nil || len(c.Secrets) != 2 || next == nil || c.Secrets[0] != next[1] {
			t.Errorf("after a new secret: %d secrets, %v", len(c.Secrets), err)
		}
		s.post("/axis/systems/vidu.01/suspend", 303, url.Values{"suspended": {"1"}})
		if _, err := s.hub.System(t.Context(), "vidu.01"); err == nil {
			t.Error("a system that is shut out is found")
		}
		s.post("/axis/systems/vidu.01/suspend", 303, url.Values{"suspended": {"0"}})
		if w := s.do(http.MethodGet, "/axis/systems/none", "vi", nil, "admin"); w.Code != http.StatusNotFound {
			t.Errorf("an unknown system: status %d", w.Code)
		}

		// Agencies: enter, change, lock, merge.
		s.post("/axis/agencies", 422, url.Values{"code": {""}}, "f-code", "f-name", "f-owner")
		s.post("/axis/agencies", 422, url.Values{"code": {"x y"}, "name": {"Sở"}, "owner": {"vidu.01"}}, "f-code")
		for _, code := range []string{"H99", "H99.07", "H99.08", "G98"} {
			s.post("/axis/agencies", 303, url.Values{"code": {code}, "name": {"Sở Nông nghiệp " + code}, "owner": {"vidu.01"}, "old": {map[string]string{"H99.07": "000.00.07.H99"}[code]}})
		}
		s.post("/axis/agencies", 422, url.Values{"code": {"H99"}, "name": {"Khác"}, "owner": {"vidu.01"}}, "f-code")
		s.get("/axis/agencies?q=nong+nghiep+H99.07", "H99.07", "000.00.07.H99")
		if body := s.get("/axis/agencies?q=000.00.07"); strings.Contains(body, "H99.08") {
			t.Error("a search finds too much")
		}
		s.get("/axis/agencies/H99.07", "vxp:vidu.01", `name="version" value="1"`)
		s.post("/axis/agencies/H99.07", 303, url.Values{"version": {"1"}, "code": {"H99.07"}, "name": {"Sở Nông nghiệp và Môi trường"}, "owner": {"vxp:vidu.01"}, "old": {"000.00.07.H99"}})
		s.post("/axis/agencies/H99.07", 422, url.Values{"version": {"1"}, "code": {"H99.07"}, "name": {"Muộn"}, "owner": {"vidu.01"}}, "f-name")

		// A document, urgent, past due.
		m := &edxml.Message{
			From: edxml.Organization{ID: "H99.07", Name: "Sở"}, To: []edxml.Organization{{ID: "G98", Name: "Bộ"}}, DocumentID: "H99.07,2026/03/05,08/SM-VP", Code: edxml.Code{Number: "08", Notation: "SM-VP"},
			Date: edxml.Date{Year: 2026, Month: 3, Day: 5}, Type: edxml.DocumentType{Name: "Công văn"}, Subject: "V/v <khẩn>", Signer: edxml.Signer{FullName: "Họ Tên"},
			Other: edxml.OtherInfo{Priority: 3}, Trace: []edxml.Hop{{OrganID: "H99.07", At: s.now}},
			Attachments: []edxml.Attachment{{ContentID: "a", Name: "a.pdf", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("%PDF-1.4\n")), nil }}},
		}
		var b bytes.Buffer
		if err := edxml.Write(&b, m); err != nil {
			t.Fatal(err)
		}
		blob, err := s.hub.Blobs.Put(&b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.hub.Submit(t.Context(), axis.Submission{Party: axis.VXP("vidu.01"), Kind: axis.Document, Payload: blob})
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(48 * time.Hour)
		s.get("/axis", "G98", "H99.07", `/axis/late?to=G98`)
		s.get("/axis?prefix=H99&since=2026-03-05&until=2026-03-05", "H99.07")
		s.get("/axis/late", "08/SM-VP", "V/v &lt;khẩn&gt;", "/axis/messages/"+got.DocID)
		s.get("/axis/late?to=H99")
		s.get("/axis/journal?doc="+got.DocID, got.DocID)
		s.get("/axis/journal?doc=%00")
		s.get("/axis/messages/"+got.DocID, "H99.07,2026/03/05,08/SM-VP", "/receipts/r1", blob.SHA256)
		if w := s.do(http.MethodGet, "/axis/messages/"+got.DocID+"/receipts/r1", "vi", nil, "admin"); w.Body.String() != `{"receipt":1}` || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") {
			t.Errorf("receipt: %q %v", w.Body, w.Header())
		}
		for _, path := range []string{"/axis/messages/none", "/axis/messages/%00", "/axis/messages/" + got.DocID + "/receipts/r2", "/axis/agencies/none", "/axis/agencies/%00"} {
			if w := s.do(http.MethodGet, path, "vi", nil, "admin"); w.Code != http.StatusNotFound {
				t.Errorf("%s: status %d", path, w.Code)
			}
		}

		s.post("/axis/agencies/H99.08/lock", 303, url.Values{"locked": {"1"}})
		s.post("/axis/agencies/H99.08/lock", 303, url.Values{"locked": {"0"}})
		s.post("/axis/agencies/H99.08/end", 422, url.Values{"successors": {"H99.07"}}, "f-act")
		s.post("/axis/agencies/H99.08/end", 422, url.Values{"act": {"15/QĐ-UBND"}, "successors": {"H99.99"}}, "f-successors")
		s.post("/axis/agencies/H99.08/end", 303, url.Values{"act": {"15/QĐ-UBND ngày 01/3/2026"}, "successors": {"H99.07"}})
		if body := s.get("/axis/agencies/H99.08", "15/QĐ-UBND ngày 01/3/2026", "H99.07"); strings.Contains(body, "form-end") {
			t.Error("an agency that ended can be ended")
		}
	})
}
