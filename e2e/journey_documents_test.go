package e2e

import (
	"strings"
	"testing"
)

const (
	letterSubject = "V/v phối hợp tổ chức Ngày hội chuyển đổi số các tỉnh Tây Nguyên và Duyên hải Nam Trung Bộ năm 2026"
	letterBody    = "Thực hiện kế hoạch phối hợp giữa hai địa phương, Ủy ban nhân dân tỉnh Lâm Đồng đề nghị thành phố Huế cử đại biểu tham dự.\nKính đề nghị gửi danh sách trước ngày họp để kịp chuẩn bị."
)

// TestDocuments sends an official document from Lâm Đồng to Huế: drafted, signed by the head, sealed by the clerk, sent
// over the axis, checked, accepted, assigned and finished on the other side, and followed on this one.
func TestDocuments(t *testing.T) {
	n := Demo(t)
	drafter, head, clerk := n.AsOfficer(t, n.Account(t, "h36.hotich")), n.AsOfficer(t, n.Account(t, "h36.lanhdao")), n.AsOfficer(t, n.Account(t, "h36.vanthu"))
	other := documentSide{clerk: n.AsOfficer(t, n.Account(t, "h57.vanthu")), head: n.AsOfficer(t, n.Account(t, "h57.lanhdao")), officer: n.AsOfficer(t, n.Account(t, "h57.hotich"))}
	page := draftLetter(t, drafter)
	signLetter(t, head, page)
	code := sealLetter(t, clerk, page)
	in := receiveLetter(t, other, code)
	handleLetter(t, other, in)
	clerk.Go(page)
	clerk.Until("the end of the work in Huế", func() bool {
		clerk.Go(page)
		return strings.Contains(clerk.Text(`[data-receiver="H57"]`), "Hoàn thành")
	})
	clerk.CheckPageIn("documents-track", "en", "vi")
	if got := clerk.Attr("[data-chain]", "data-chain"); got != "ok" {
		t.Errorf("the chain of events is %q", got)
	}
	recallLetter(t, clerk, other, page, in)
	documentBooks(t, clerk, code)
}

type documentSide struct{ clerk, head, officer *Tab }

// draftLetter writes an official letter with an attachment and submits it; it returns the letter's page.
func draftLetter(t *testing.T, o *Tab) string {
	t.Helper()
	o.Go("/documents")
	o.CheckPageIn("documents-home-officer", "en", "vi")
	o.Go("/documents/out/new")
	o.CheckPageIn("documents-draft", "en", "vi")
	o.Set("form-draft", map[string]string{"secrecy": "mat", "subject": letterSubject})
	o.Send("form-draft", "")
	o.Expect("status 422")
	o.Want("độ mật")
	o.CheckPage("documents-secret")
	o.Set("form-draft", map[string]string{
		"secrecy": "", "subject": letterSubject, "body": letterBody, "addressees": "Ủy ban nhân dân thành phố Huế", "unit": "VP", "signer": "h36.lanhdao",
		"receiver": "H57", "authority": "KT. CHỦ TỊCH",
	})
	o.Send("form-draft", "")
	page := Value[string](o, "location.pathname")
	o.Upload("Thêm tệp kèm theo", "danh-sach-du-kien.pdf", paper)
	o.Send("form-attach", "")
	o.Want("danh-sach-du-kien.pdf")
	o.CheckPageIn("documents-out-draft", "en", "vi")
	o.Go(page + "/do/submit")
	o.CheckPage("documents-submit")
	o.Send("form-submit", "")
	if got := o.Data("state"); got != "approved" {
		t.Fatalf("after submission the document is %q", got)
	}
	return page
}

func signLetter(t *testing.T, head *Tab, page string) {
	t.Helper()
	head.Go("/documents")
	head.Want(letterSubject)
	head.Go(page + "/do/sign")
	head.CheckPage("documents-sign")
	head.Send("form-sign", "")
	if got := head.Data("state"); got != "signed" {
		t.Fatalf("after the signature the document is %q: %s", got, clip(head.Text("main"), 600))
	}
	head.CheckPage("documents-signed")
}

// sealLetter applies the agency's signature, sends, and returns number and notation.
func sealLetter(t *testing.T, clerk *Tab, page string) string {
	t.Helper()
	clerk.Go("/documents")
	clerk.Want(letterSubject)
	clerk.CheckPageIn("documents-home-clerk", "en", "vi")
	clerk.Go(page + "/do/issue")
	clerk.CheckPage("documents-issue")
	clerk.Send("form-issue", "")
	if got := clerk.Data("state"); got != "sent" {
		t.Fatalf("after issuing the document is %q: %s", got, clip(clerk.Text("main"), 600))
	}
	code := clerk.Text("h1 .tr-code")
	if !strings.HasSuffix(code, "/UBND-VP") {
		t.Errorf("number and notation are %q", code)
	}
	clerk.CheckPageIn("documents-sent", "en", "vi")
	return code
}

// receiveLetter checks and accepts the letter in Huế and returns its page there.
func receiveLetter(t *testing.T, s documentSide, code string) string {
	t.Helper()
	var in string
	s.clerk.Until("the letter in Huế", func() bool {
		s.clerk.Go("/documents/in?state=arrived")
		in = Value[string](s.clerk, `[...document.querySelectorAll('tr[data-document]')].find(r => r.innerText.includes(`+"`"+code+"`"+`))?.querySelector('a')?.getAttribute('href') ?? ''`)
		return in != ""
	})
	s.clerk.CheckPageIn("documents-in-list", "en", "vi")
	s.clerk.Go(in)
	s.clerk.CheckPage("documents-in-arrived")
	s.clerk.Go(in + "/check")
	s.clerk.CheckPageIn("documents-check", "en", "vi")
	s.clerk.Want("Nội dung đúng như lúc gửi", "Bản gốc điện tử", "danh-sach-du-kien.pdf")
	s.clerk.Send("form-accept", "")
	if got := s.clerk.Data("state"); got != "accepted" {
		t.Fatalf("after acceptance the letter is %q: %s", got, clip(s.clerk.Text("main"), 600))
	}
	return in
}

func handleLetter(t *testing.T, s documentSide, in string) {
	t.Helper()
	s.head.Go(in + "/do/assign")
	s.head.CheckPage("documents-assign")
	s.head.Send("form-assign", "")
	s.head.Expect("status 422")
	s.head.Want("không được để trống")
	s.head.CheckPage("documents-assign-problem")
	s.head.Set("form-assign", map[string]string{"lead": "h57.hotich", "instruction": "Chuẩn bị danh sách đại biểu, báo cáo trước khi gửi."})
	s.head.Send("form-assign", "")
	s.officer.Go("/documents")
	s.officer.Want(letterSubject)
	s.officer.Go(in + "/do/start")
	s.officer.Send("form-start", "")
	s.officer.Go(in + "/do/progress")
	s.officer.Set("form-progress", map[string]string{"text": "Đã lập danh sách, chờ ý kiến."})
	s.officer.Send("form-progress", "")
	s.officer.CheckPageIn("documents-in-working", "en", "vi")
	s.officer.Go(in + "/do/finish")
	s.officer.Set("form-finish", map[string]string{"result": "Đã cử ba đại biểu."})
	s.officer.Send("form-finish", "")
	if got := s.officer.Data("state"); got != "done" {
		t.Fatalf("after the work the letter is %q: %s", got, clip(s.officer.Text("main"), 600))
	}
}

// recallLetter asks the letter back; Huế cancels it before it agrees.
func recallLetter(t *testing.T, clerk *Tab, s documentSide, page, in string) {
	t.Helper()
	clerk.Go(page + "/do/recall")
	clerk.CheckPage("documents-recall")
	clerk.Set("form-recall", map[string]string{"reason": "Sai ngày tổ chức, sẽ gửi lại bản đúng."})
	clerk.Send("form-recall", "")
	s.clerk.Until("the recall in Huế", func() bool {
		s.clerk.Go(in)
		return s.clerk.Has("Bên gửi yêu cầu lấy lại")
	})
	s.clerk.CheckPage("documents-in-recalled")
	s.clerk.Go(in + "/do/agree")
	s.clerk.Expect("status 409")
	s.clerk.Want("không làm được lúc này")
	s.clerk.Go(in + "/do/cancel")
	s.clerk.Send("form-cancel", "")
	s.clerk.Go(in + "/do/agree")
	s.clerk.Send("form-agree", "")
	s.clerk.CheckPage("documents-in-cancelled")
	clerk.Until("the answer in Lâm Đồng", func() bool {
		clerk.Go(page)
		return strings.Contains(clerk.Text(`[data-receiver="H57"]`), "Đã trả lại")
	})
	clerk.CheckPage("documents-track-returned")
}

// documentBooks looks at lists, registers and statistics.
func documentBooks(t *testing.T, clerk *Tab, code string) {
	t.Helper()
	clerk.Go("/documents/search?q=phoi+hop+to+chuc+ngay+hoi")
	clerk.Want(code)
	clerk.CheckPage("documents-search")
	clerk.Go("/documents/search?q=khong+co+van+ban+nao+nhu+vay")
	clerk.CheckPage("documents-search-none")
	clerk.Go("/documents/out")
	clerk.CheckPage("documents-out-list")
	clerk.Go("/documents/registers")
	clerk.CheckPageIn("documents-registers", "en", "vi")
	clerk.Go("/documents/registers/out")
	clerk.Want(code)
	clerk.CheckPage("documents-register-out")
	for format, magic := range map[string]string{"pdf": "%PDF-", "docx": "PK", "csv": "\ufeff"} {
		if file := clerk.Download("/documents/registers/out?format=" + format); !strings.HasPrefix(string(file), magic) {
			t.Errorf("the register as %s begins with %q", format, clip(string(file), 8))
		}
	}
	clerk.Go("/documents/registers/follow")
	clerk.CheckPage("documents-register-follow")
	clerk.Go("/documents/statistics")
	clerk.CheckPageIn("documents-statistics", "en", "vi")
	clerk.Go("/documents/in/enter")
	clerk.CheckPageIn("documents-enter", "en", "vi")
	clerk.Send("form-enter", "")
	clerk.Expect("status 422")
	clerk.CheckPage("documents-enter-problem")
	clerk.Go("/documents/in/00000000000000000000")
	clerk.Expect("status 404")
}
