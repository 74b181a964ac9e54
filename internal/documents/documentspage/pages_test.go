package documentspage_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"truc/internal/blobs"
	"truc/internal/calendar"
	"truc/internal/documents"
	"truc/internal/documents/documentspage"
	"truc/internal/documents/documentsstore"
	"truc/internal/i18n"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/sign"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

var people = map[string]documents.Actor{
	"drafter":  {Account: "drafter", Name: "Trần Soạn", Title: "Chuyên viên", Agency: "H36", Roles: []string{documents.RoleOfficer}},
	"reviewer": {Account: "reviewer", Name: "Phạm Duyệt", Title: "Trưởng phòng", Agency: "H36", Roles: []string{documents.RoleHead}},
	"head":     {Account: "head", Name: "Nguyễn Ký", Title: "Chủ tịch", Agency: "H36", Roles: []string{documents.RoleHead}},
	"clerk":    {Account: "clerk", Name: "Võ Văn Thư", Title: "Văn thư", Agency: "H36", Roles: []string{documents.RoleClerk}},
	"stranger": {Account: "stranger", Name: "Lê Lạ", Title: "Văn thư", Agency: "H57", Roles: []string{documents.RoleClerk, documents.RoleHead}},
	"admin":    {Account: "admin", Name: "Quản trị", Agency: "H36", Roles: []string{"admin"}},
}

// printer is the typesetter and the signer of these tests: text behind the mark of PDF.
type printer struct{}

func (printer) Typeset(_ context.Context, p documents.Paper) (documents.Printed, error) {
	return documents.Printed{PDF: fmt.Appendf(nil, "%%PDF-1.7\n%s %s", p.Code, p.Subject), Pages: 1}, nil
}

func (printer) Person(_ context.Context, p documents.PersonSignature) ([]byte, error) {
	return fmt.Appendf(p.PDF, "\nperson %s", p.Name), nil
}

func (printer) Agency(_ context.Context, a documents.AgencySignature) ([]byte, error) {
	return fmt.Appendf(a.PDF, "\nagency %s", a.OfficeName), nil
}

func (printer) NoImage(_ context.Context, a documents.AttachmentSignature) (documents.SignedAttachment, error) {
	return documents.SignedAttachment{Content: a.Content, Detached: []byte("detached")}, nil
}

func (printer) Copy(_ context.Context, c documents.CopySignature) ([]byte, error) {
	return fmt.Appendf(c.PDF, "\ncopy %s %s", c.Kind, c.OfficeName), nil
}

func (printer) Verify(_ context.Context, pdf []byte) ([]sign.Report, error) {
	var out []sign.Report
	for line := range strings.Lines(string(pdf)) {
		if kind, name, _ := strings.Cut(strings.TrimSpace(line), " "); kind == "person" || kind == "agency" {
			r := sign.Report{State: sign.Valid, Integrity: true, Signer: name, Agency: name, AgencyCode: "H36", Verdict: sign.Message{Key: "docs.check.unsigned"}}
			if kind == "person" {
				r.Agency = "UBND tỉnh Lâm Đồng"
			}
			out = append(out, r)
		}
	}
	return out, nil
}

type carrier struct{}

func (carrier) Carry(ctx context.Context, tx documents.Queue, c documents.Carriage) error {
	return tx.Enqueue(ctx, c.ID, "documents.test", "", c.ID)
}

func (carrier) Agencies(context.Context) ([]documents.Agency, error) {
	return []documents.Agency{{Code: "H36", Name: "UBND tỉnh Lâm Đồng"}, {Code: "H57", Name: "UBND thành phố Huế"}}, nil
}

type silent struct{}

func (silent) Act(context.Context, documents.Queue, string, string, string) error { return nil }

func (silent) People(_ context.Context, office string) ([]documents.Person, error) {
	var out []documents.Person
	for _, account := range []string{"drafter", "reviewer", "head", "clerk"} {
		if a := people[account]; a.Agency == office {
			out = append(out, documents.Person{Account: a.Account, Name: a.Name, Title: a.Title, Roles: a.Roles})
		}
	}
	return out, nil
}

type site struct {
	t    *testing.T
	h    http.Handler
	desk *documents.Desk
}

func newSite(t *testing.T) *site {
	t.Helper()
	db := storagetest.OpenSQLite(t)
	for module, files := range map[string]fs.FS{"outbox": outbox.Migrations, "documents": documentsstore.Migrations} {
		sub, err := fs.Sub(files, "migrations")
		if err != nil {
			t.Fatal(err)
		}
		if err := storage.Migrate(t.Context(), db, module, sub, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	files, err := blobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 3, 5, 2, 0, 0, 0, time.UTC) }
	desk := &documents.Desk{
		Store: &documentsstore.Store{DB: db, Now: now}, Blobs: files, Typesetter: printer{}, Signatures: printer{}, Carrier: carrier{}, Audit: silent{}, Officers: silent{},
		Calendar: calendar.Vietnam, Now: now, Log: slog.New(slog.DiscardHandler), Limits: documents.Limits{Attachment: 1 << 20},
		Offices: []documents.Office{{Code: "H36", Name: "UBND tỉnh Lâm Đồng", Letters: "UBND", Place: "Đà Lạt"}, {Code: "H57", Name: "UBND thành phố Huế", Letters: "UBND", Place: "Huế"}},
	}
	messages, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: messages, Site: ui.Site{Name: map[string]string{"vi": "Văn bản"}}})
	if err != nil {
		t.Fatal(err)
	}
	mux := web.NewMux(web.Options{Renderer: rd, Lang: messages})
	pages := &documentspage.Pages{
		Desk: desk, Renderer: rd, Messages: messages, Now: now, Log: slog.New(slog.DiscardHandler),
		Actor: func(p reqctx.Principal) documents.Actor { return people[p.ID] },
		Print: func(tab documents.Table, format string) ([]byte, string, error) {
			return []byte(tab.Title + format), "text/plain", nil
		},
	}
	if err := pages.Mount(mux); err != nil {
		t.Fatal(err)
	}
	h := web.Public(mux, web.PublicOptions{Now: now, Session: func(r *http.Request) (reqctx.Principal, error) {
		c, err := r.Cookie("as")
		if err != nil {
			return reqctx.Principal{}, nil //nolint:nilerr // nobody is signed in
		}
		a := people[c.Value]
		return reqctx.Principal{Kind: reqctx.Officer, ID: a.Account, Name: a.Name, Agency: a.Agency, Roles: a.Roles}, nil
	}})
	return &site{t: t, h: h, desk: desk}
}

func (s *site) do(as, method, path, kind string, body io.Reader) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, body)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.AddCookie(&http.Cookie{Name: "as", Value: as})
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w
}

// want asks for a page and checks status and parts; a part that begins with "!" must not be there.
func (s *site) want(as, path string, status int, parts ...string) string {
	s.t.Helper()
	return s.check(as+" GET "+path, s.do(as, "GET", path, "", nil), status, parts...)
}

func (s *site) post(as, path string, form url.Values, status int, parts ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	w := s.do(as, "POST", path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	s.check(as+" POST "+path, w, status, parts...)
	return w
}

func (s *site) check(what string, w *httptest.ResponseRecorder, status int, parts ...string) string {
	s.t.Helper()
	body := w.Body.String()
	if w.Code != status {
		s.t.Fatalf("%s = %d; want %d\n%s", what, w.Code, status, body)
	}
	for _, p := range parts {
		if not, ok := strings.CutPrefix(p, "!"); ok == strings.Contains(body, not) {
			s.t.Errorf("%s: %q: want there: %v", what, not, !ok)
		}
	}
	return body
}

var versionField = regexp.MustCompile(`name="version" value="([0-9]+)"`)

// act opens the page of an act and sends its form.
func (s *site) act(as, page, act string, form url.Values, status int, parts ...string) {
	s.t.Helper()
	m := versionField.FindStringSubmatch(s.want(as, page+"/do/"+act, http.StatusOK))
	if m == nil {
		s.t.Fatalf("%s has no form for %s", page, act)
	}
	if form == nil {
		form = url.Values{}
	}
	form.Set("version", m[1])
	s.post(as, page+"/do/"+act, form, status, parts...)
}

func letter() url.Values {
	return url.Values{
		"type": {documents.OfficialLetter}, "unit": {"VP"}, "subject": {`V/v <script>alert(1)</script> phối hợp`}, "body": {"Kính đề nghị phối hợp."}, "signer": {"head"},
		"toPlaces": {"Như trên\nLưu: VT"}, "receiver": {"H57"}, "urgency": {"0"}, "copies": {"1"},
	}
}

func (s *site) draft() string {
	s.t.Helper()
	return s.post("drafter", "/documents/out/new", letter(), http.StatusSeeOther).Header().Get("Location")
}

func (s *site) attach(page, name string, content []byte) *httptest.ResponseRecorder {
	s.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.WriteField("version", versionField.FindStringSubmatch(s.want("drafter", page, http.StatusOK))[1]); err != nil {
		s.t.Fatal(err)
	}
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename=%q`, name)}, "Content-Type": {"application/pdf"}})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := part.Write(content); err != nil {
		s.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	return s.do("drafter", "POST", page+"/attach", w.FormDataContentType(), &b)
}

func TestLetterFromDraftToRegister(t *testing.T) {
	s := newSite(t)
	page := s.draft()
	s.want("drafter", page, http.StatusOK, "&lt;script&gt;", "!<script>alert", `data-state="drafting"`, "Trình duyệt")
	s.act("drafter", page, "submit", url.Values{"to": {"reviewer"}}, http.StatusSeeOther)
	s.act("reviewer", page, "return", url.Values{"reason": {" "}}, http.StatusUnprocessableEntity, "Phải ghi lý do", `role="alert"`)
	s.act("reviewer", page, "approve", nil, http.StatusSeeOther)
	s.want("head", "/documents", http.StatusOK, "Chờ tôi ký")
	s.act("head", page, "sign", nil, http.StatusSeeOther)
	s.want("clerk", "/documents", http.StatusOK, "Chờ ký số cơ quan", "01/UBND-VP")
	s.act("clerk", page, "issue", url.Values{"when": {"at"}, "at": {"nhầm"}}, http.StatusUnprocessableEntity, "Nhập ngày và giờ")
	s.act("clerk", page, "issue", url.Values{"when": {"later"}}, http.StatusSeeOther)
	s.act("clerk", page, "send", nil, http.StatusSeeOther)
	s.want("drafter", page, http.StatusOK, `data-state="sent"`, "Văn bản đang ở đâu?", "UBND thành phố Huế", `data-chain="ok"`)
	s.want("head", page+"/do/copy", http.StatusConflict)
	s.act("clerk", page, "copy", url.Values{"kind": {"TrS"}}, http.StatusUnprocessableEntity, "không hợp lệ")
	s.act("clerk", page, "copy", url.Values{"kind": {"SY"}}, http.StatusSeeOther)
	s.want("drafter", page, http.StatusOK, "Bản sao số 01/SY-UBND")
	s.want("clerk", "/documents/registers/out", http.StatusOK, "01/UBND-VP", "UBND thành phố Huế", "!SY-UBND")
	s.want("clerk", "/documents/registers/out?format=csv", http.StatusOK, "SỔ ĐĂNG KÝ VĂN BẢN ĐI")
	s.want("clerk", "/documents/search?q=phoi+hop", http.StatusOK, "01/UBND-VP")
	s.want("clerk", "/documents/statistics", http.StatusOK, "Công văn")
}

func TestWhatIsRefused(t *testing.T) {
	s := newSite(t)
	secret := letter()
	secret.Set("secrecy", string(documents.SecrecyMat))
	s.post("drafter", "/documents/out/new", secret, http.StatusUnprocessableEntity, "độ mật", "Kính đề nghị phối hợp.")
	unknown := letter()
	unknown.Set("receivers", "không có mã này")
	s.post("drafter", "/documents/out/new", unknown, http.StatusUnprocessableEntity, "không có trên trục")
	page := s.draft()
	for path, status := range map[string]int{
		"/documents/registers": http.StatusForbidden, "/documents/in/enter": http.StatusForbidden, page + "/do/launch": http.StatusNotFound,
		"/documents/out/unknown": http.StatusNotFound, page + "/files/unknown": http.StatusNotFound, page + "/receipts/unknown": http.StatusNotFound,
	} {
		s.want("drafter", path, status)
	}
	s.want("stranger", page, http.StatusNotFound, "!phối hợp")
	s.want("admin", page, http.StatusForbidden, "!phối hợp")
	s.want("clerk", page+"/do/sign", http.StatusConflict, "không làm được lúc này", "!form-sign")
	s.post("clerk", page+"/do/sign", url.Values{"version": {"1"}}, http.StatusForbidden)
	s.post("drafter", page+"/do/submit", url.Values{}, http.StatusBadRequest)
	s.post("drafter", page+"/do/submit", url.Values{"version": {"7"}}, http.StatusConflict, "người khác thay đổi")
	s.want("clerk", "/documents/registers/secrets", http.StatusNotFound)
	s.want("clerk", "/documents/registers/out?format=exe", http.StatusBadRequest)
}

func TestAttachments(t *testing.T) {
	s := newSite(t)
	page := s.draft()
	pdf := []byte("%PDF-1.7 thử")
	s.check("attach", s.attach(page, "phụ lục.pdf", pdf), http.StatusSeeOther)
	for name, content := range map[string][]byte{"chạy.pdf": []byte("MZ\x90"), "ảnh.png": []byte("không phải ảnh"), "mã.exe": pdf, "rỗng.pdf": nil, "to.pdf": bytes.Repeat(pdf, 1<<17)} {
		w := s.attach(page, name, content)
		if w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s was answered with %d", name, w.Code)
		}
	}
	body := s.want("drafter", page, http.StatusOK, "phụ lục.pdf", "!chạy.pdf")
	m := regexp.MustCompile(regexp.QuoteMeta(page) + `/files/[0-9a-f]+`).FindString(body)
	w := s.do("drafter", "GET", m, "", nil)
	if w.Body.String() != string(pdf) || w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Header().Get("Content-Disposition"), "inline") {
		t.Errorf("the file came as %q with %v", w.Body, w.Header())
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", m, nil)
	r.Header.Set("Range", "bytes=1-3")
	r.AddCookie(&http.Cookie{Name: "as", Value: "drafter"})
	part := httptest.NewRecorder()
	s.h.ServeHTTP(part, r)
	if part.Code != http.StatusPartialContent || part.Body.String() != "PDF" {
		t.Errorf("a range came as %d %q", part.Code, part.Body)
	}
}

func TestPaperIsCheckedBeforeItIsAccepted(t *testing.T) {
	s := newSite(t)
	s.post("clerk", "/documents/in/enter", url.Values{"type": {documents.OfficialLetter}}, http.StatusUnprocessableEntity, "không được để trống")
	paper := url.Values{
		"senderName": {"Sở Mẫu"}, "senderCode": {"H36.07"}, "type": {documents.OfficialLetter}, "number": {"12"}, "notation": {"SM-VP"}, "date": {"2026-03-04"}, "subject": {"V/v thử"},
	}
	check := s.post("clerk", "/documents/in/enter", paper, http.StatusSeeOther).Header().Get("Location")
	page := strings.TrimSuffix(check, "/check")
	s.want("clerk", page+"/do/accept", http.StatusOK)
	s.post("clerk", page+"/do/accept", url.Values{"version": {"1"}}, http.StatusConflict, "trang kiểm tra")
	s.want("clerk", check, http.StatusOK, "Bản giấy", "Tiếp nhận, vào sổ")
	s.act("clerk", page, "accept", nil, http.StatusSeeOther)
	s.want("clerk", page, http.StatusOK, `data-state="accepted"`)
	s.act("head", page, "assign", nil, http.StatusUnprocessableEntity, "không được để trống")
	s.act("head", page, "assign", url.Values{"lead": {"drafter"}, "helpers": {"reviewer", "drafter"}, "due": {"2026-03-10T16:00"}}, http.StatusSeeOther)
	s.want("drafter", page, http.StatusOK, "Trần Soạn", "Phạm Duyệt", "16:00 10/03/2026")
	s.act("drafter", page, "start", nil, http.StatusSeeOther)
	s.act("drafter", page, "finish", url.Values{"result": {"Xong"}}, http.StatusSeeOther)
	s.want("clerk", "/documents/registers/follow", http.StatusOK, "12/SM-VP")
}
