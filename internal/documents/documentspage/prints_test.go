package documentspage_test

import (
	"context"
	"encoding/csv"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"truc/internal/blobs"
	"truc/internal/calendar"
	"truc/internal/documents"
	"truc/internal/documents/documentspage"
	"truc/internal/documents/documentsstore"
	"truc/internal/documents/paper"
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

var (
	clerk  = documents.Actor{Account: "vanthu", Name: "Bùi Văn Thư", Title: "Văn thư", Agency: "H57", Roles: []string{documents.RoleClerk}}
	head   = documents.Actor{Account: "chutich", Name: "Đỗ Chủ Tịch", Title: "Chủ tịch", Agency: "H57", Roles: []string{documents.RoleHead}}
	other  = documents.Actor{Account: "khac", Name: "Người Khác", Title: "Chuyên viên", Agency: "H57", Roles: []string{documents.RoleOfficer}}
	worker = documents.Actor{Account: "canbo", Name: "Hồ Cán Bộ", Title: "Chuyên viên", Agency: "H57", Roles: []string{documents.RoleOfficer}}
)

// office answers for what is outside of the desk: people, the axis, the audit log, signatures, of which paper has none.
type office struct{}

func (office) People(context.Context, string) ([]documents.Person, error) {
	var out []documents.Person
	for _, a := range []documents.Actor{clerk, head, worker} {
		out = append(out, documents.Person{Account: a.Account, Name: a.Name, Title: a.Title, Roles: a.Roles})
	}
	return out, nil
}

func (office) Carry(context.Context, documents.Queue, documents.Carriage) error { return nil }

func (office) Agencies(context.Context) ([]documents.Agency, error) { return nil, nil }

func (office) Act(context.Context, documents.Queue, string, string, string) error { return nil }

func (office) Person(_ context.Context, s documents.PersonSignature) ([]byte, error) {
	return s.PDF, nil
}

func (office) Agency(_ context.Context, s documents.AgencySignature) ([]byte, error) {
	return s.PDF, nil
}

func (office) NoImage(_ context.Context, s documents.AttachmentSignature) (documents.SignedAttachment, error) {
	return documents.SignedAttachment{Content: s.Content}, nil
}

func (office) Copy(_ context.Context, c documents.CopySignature) ([]byte, error) { return c.PDF, nil }

func (office) Verify(context.Context, []byte) ([]sign.Report, error) { return nil, nil }

// printsDesk is a desk with its pages; the cookie "as" says who looks.
func printsDesk(t *testing.T) (*documents.Desk, http.Handler) {
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
	now := func() time.Time { return time.Date(2026, 3, 5, 9, 0, 0, 0, i18n.Zone) }
	files, err := blobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	desk := &documents.Desk{
		Store: &documentsstore.Store{DB: db, Now: now}, Blobs: files, Typesetter: paper.Typesetter{Now: now}, Signatures: office{}, Carrier: office{}, Audit: office{}, Officers: office{},
		Calendar: calendar.Vietnam, Now: now, Log: slog.New(slog.DiscardHandler),
		Offices: []documents.Office{{Code: "H57", Name: "UBND thành phố Huế", Letters: "UBND", Place: "Huế"}},
	}
	messages, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: messages, Site: ui.Site{Name: map[string]string{"vi": "Văn bản"}}})
	if err != nil {
		t.Fatal(err)
	}
	actors := map[string]documents.Actor{clerk.Account: clerk, head.Account: head, worker.Account: worker, other.Account: other}
	mux := web.NewMux(web.Options{Renderer: rd, Lang: messages})
	pages := &documentspage.Pages{
		Desk: desk, Renderer: rd, Messages: messages, Now: now, Log: slog.New(slog.DiscardHandler),
		Actor: func(p reqctx.Principal) documents.Actor { return actors[p.ID] },
		Print: func(tab documents.Table, format string) ([]byte, string, error) {
			f, err := paper.Register(paper.Table(tab), paper.Format(format), now())
			return f.Content, f.Media, err
		},
		Word: func(p documents.Paper) (paper.File, error) { return paper.Word(p, nil, now()) },
	}
	if err := pages.Mount(mux); err != nil {
		t.Fatal(err)
	}
	return desk, web.Public(mux, web.PublicOptions{Now: now, Session: func(r *http.Request) (reqctx.Principal, error) {
		c, err := r.Cookie("as")
		if err != nil {
			return reqctx.Principal{}, nil //nolint:nilerr // nobody is signed in
		}
		a := actors[c.Value]
		return reqctx.Principal{Kind: reqctx.Officer, ID: a.Account, Name: a.Name, Agency: a.Agency, Roles: a.Roles}, nil
	}})
}

func get(t *testing.T, h http.Handler, as, path string) (status int, media, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.AddCookie(&http.Cookie{Name: "as", Value: as})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Header().Get("Content-Type"), string(b)
}

// saysPDF reads the text of a PDF.
func saysPDF(t *testing.T, pdf string) string {
	t.Helper()
	if _, err := exec.LookPath("pdftotext"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("pdftotext is not installed")
	}
	file := filepath.Join(t.TempDir(), "x.pdf")
	if err := os.WriteFile(file, []byte(pdf), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pdftotext", "-enc", "UTF-8", "-layout", file, "-").CombinedOutput()
	if err != nil {
		t.Fatalf("pdftotext: %v %s", err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// TestPrints: an accepted document prints its slip of handling and the stamp of arrival; before that there is no number to
// print. The registers come as PDF, DOCX and CSV with the columns of the law in their order.
func TestPrints(t *testing.T) {
	desk, h := printsDesk(t)
	ctx := t.Context()
	id, err := desk.EnterPaper(ctx, clerk, documents.PaperForm{
		SenderName: "Sở Mẫu", Number: "15", Notation: "QĐ-SM", Date: "2026-03-04", Type: "QĐ", Subject: "Về việc thử", Signer: "Ai Đó",
		Files: []documents.NewFile{{Name: "ban-quet.pdf", Content: strings.NewReader("%PDF-1.4 quét")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"slip", "stamp"} {
		if status, _, _ := get(t, h, "vanthu", "/documents/in/"+id+"/"+what); status != http.StatusConflict {
			t.Errorf("%s before acceptance: %d; want 409", what, status)
		}
	}
	if _, err := desk.Precheck(ctx, clerk, id); err != nil {
		t.Fatal(err)
	}
	if err := desk.Accept(ctx, clerk, id, ""); err != nil {
		t.Fatal(err)
	}
	if err := desk.Assign(ctx, head, id, documents.AssignForm{Lead: documents.Share{Account: worker.Account}, Instruction: "Nghiên cứu, trả lời trước ngày 10."}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"/documents/in/" + id + "/slip": {
			"PHIẾU GIẢI QUYẾT", "15/QĐ-SM", "04/03/2026", "Sở Mẫu", "Số: 01", "Ngày: 05/03/2026", "Ý kiến của lãnh đạo cơ quan, tổ chức:", "Đỗ Chủ Tịch",
			"Nghiên cứu, trả lời trước ngày 10.", "Hồ Cán Bộ (chủ trì)",
		},
		"/documents/in/" + id + "/stamp": {"UBND THÀNH PHỐ HUẾ", "ĐẾN", "Số: 01", "Ngày: 05/03/2026", "Chuyển: Hồ Cán Bộ"},
		"/documents/registers/in?format=pdf": {
			"SỔ ĐĂNG KÝ VĂN BẢN ĐẾN", "Tác giả", "Ghi chú", "(10)", "15/QĐ-SM", "Hồ Cán Bộ",
		},
		"/documents/registers/out?format=pdf":    {"SỔ ĐĂNG KÝ VĂN BẢN ĐI", "Người ký", "Nơi nhận", "Không có văn bản nào trong kỳ."},
		"/documents/registers/follow?format=pdf": {"SỔ THEO DÕI GIẢI QUYẾT", "Thời hạn", "Tiến độ", "Số, ký hiệu văn bản"},
	} {
		status, media, body := get(t, h, "vanthu", path)
		if status != http.StatusOK || media != "application/pdf" {
			t.Errorf("GET %s = %d %s", path, status, media)
			continue
		}
		text := saysPDF(t, body)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("GET %s lacks %q:\n%s", path, w, text)
			}
		}
	}
	// The columns of appendix IV in their order.
	for book, head := range map[string]string{
		"out": `Số ký hiệu văn bản,Ngày tháng văn bản,Tên loại và trích yếu nội dung văn bản,Người ký,Nơi nhận văn bản,Đơn vị người nhận bản lưu,` +
			`Số lượng bản,Ngày chuyển,Ký nhận,Ghi chú`,
		"in": `Ngày đến,Số đến,Tác giả,Số ký hiệu văn bản,Ngày tháng văn bản,Tên loại và trích yếu nội dung,Đơn vị hoặc người nhận,Ngày chuyển,Ký nhận,Ghi chú`,
		"follow": `Số đến,Tên loại số và ký hiệu ngày tháng và cơ quan ban hành văn bản,Đơn vị hoặc người nhận,Thời hạn giải quyết,Tiến độ giải quyết,` +
			`Số ký hiệu văn bản trả lời,Ghi chú`,
	} {
		status, _, body := get(t, h, "vanthu", "/documents/registers/"+book+"?format=csv")
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(body, "\ufeff"))).ReadAll()
		if status != http.StatusOK || err != nil || strings.ReplaceAll(strings.Join(rows[0], "\x00"), ",", "") != strings.ReplaceAll(head, ",", "\x00") {
			t.Errorf("register %s: %d, %v, columns %q", book, status, err, rows)
		}
		if status, _, body := get(t, h, "vanthu", "/documents/registers/"+book+"?format=docx"); status != http.StatusOK || !strings.HasPrefix(body, "PK\x03\x04") {
			t.Errorf("register %s as DOCX: %d %.20q", book, status, body)
		}
	}
	_, _, body := get(t, h, "vanthu", "/documents/in/"+id)
	for _, want := range []string{"/slip", "/stamp", "Phiếu giải quyết văn bản đến"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page of the document lacks %q", want)
		}
	}
}

// TestWord: an officer who drafts takes the document along as DOCX; somebody else does not.
func TestWord(t *testing.T) {
	desk, h := printsDesk(t)
	id, err := desk.Draft(t.Context(), worker, documents.DraftForm{
		Type: documents.OfficialLetter, Unit: "VX", Subject: "thử nghiệm", Body: "Kính đề nghị.", ToPlaces: []string{"Lưu: VT"}, Signer: head.Account,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := "/documents/out/" + id + "/word"
	if status, media, body := get(t, h, "canbo", path); status != http.StatusOK || !strings.HasPrefix(body, "PK\x03\x04") || !strings.Contains(media, "wordprocessingml") {
		t.Errorf("GET %s = %d %s", path, status, media)
	}
	if _, _, body := get(t, h, "canbo", "/documents/out/"+id); !strings.Contains(body, path) {
		t.Error("the page of the document does not offer the file")
	}
	if status, _, _ := get(t, h, "khac", path); status == http.StatusOK {
		t.Error("an officer reads the draft of another")
	}
}
