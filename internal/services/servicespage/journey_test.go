package servicespage

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"truc/internal/reqctx"
	"truc/internal/services"
)

// notice has the agency say something about a filing.
func (s *site) notice(n services.Notice) {
	s.t.Helper()
	n.Number, n.Agency = s.ex.number, unit
	if n.AgencyName == "" {
		n.AgencyName = "UBND phường Xuân Hương – Đà Lạt"
	}
	if n.At.IsZero() {
		n.At = s.now
	}
	must(s.t, s.portal.HandleNotice(s.t.Context(), reqctx.Caller{Agency: "H36"}, n))
}

// start begins a draft and returns its id.
func (s *site) start() string {
	s.t.Helper()
	to := s.post("/procedures/2.000635/start", "unit", unit).to("/apply/")
	return strings.Split(to, "/")[2]
}

// fill answers every question of 2.000635 with the fewest pages.
func (s *site) fill(id string) {
	s.t.Helper()
	at := "/apply/" + id
	s.post(at + "/requester").to(at + "/relation")
	s.post(at+"/relation", "submitter.relation", "self").to(at + "/kind")
	s.post(at+"/kind", "event.kind", "birth").to(at + "/event")
	s.post(at+"/event", "event.year", "2004").to(at + "/copies")
	s.post(at+"/copies", "copies", "2").to(at + "/delivery")
	s.post(at+"/delivery", "delivery.method", "online").to(at + "/contact")
	s.post(at+"/contact", "contact.phone", "0901 234 567").to(at + "/check")
}

// file submits a draft and has it delivered to the agency.
func (s *site) file() string {
	s.t.Helper()
	id := s.start()
	s.fill(id)
	s.post("/apply/"+id+"/check", "declaration", "true").to("/filings/" + id + "/done")
	must(s.t, s.mail.Deliver(s.t.Context()))
	return id
}

func TestJourney(t *testing.T) {
	for _, lang := range []string{"vi", "en"} {
		t.Run(lang, func(t *testing.T) { journey(t, lang) })
	}
}

func journey(t *testing.T, lang string) {
	s := newSite(t)
	s.lang = lang
	say := func(p page, vi, en string) page {
		t.Helper()
		if lang == "en" {
			return p.has(en)
		}
		return p.has(vi)
	}
	say(s.get("/").ok(), "Cần làm thủ tục gì?", "What do you need to do?")
	say(s.get("/procedures?q=trich+luc").ok(), "Cấp bản sao trích lục hộ tịch", "Copy of a civil-status extract")
	say(s.get("/procedures?q=zzz").ok(), "Không tìm thấy", "No service found")
	s.get("/procedures?event=school").ok()
	info := s.get("/procedures/2.000635").ok()
	say(info, "Nhà nước đã có, không phải nộp", "Known by the state, not needed")
	say(info, "8.000 đồng/bản", "8,000 VND a copy")
	say(info, "Người thuộc hộ nghèo", "Members of poor households")
	say(info, "chưa kiểm chứng", "not verified")
	if _, ok := info.form("form-start")["unit"]; !ok {
		t.Error("no office to choose")
	}

	// Not chosen, not signed in, signed in.
	if p := s.post("/procedures/2.000635/start"); p.status != http.StatusUnprocessableEntity {
		t.Errorf("start without an office: status = %d; want 422", p.status)
	}
	s.post("/procedures/2.000635/start", "unit", unit).to("/login?next=%2Fprocedures%2F2.000635%3Funit%3DH36.14")
	s.who = quynh
	id := s.start()
	at := "/apply/" + id

	page := s.get(at + "/requester").ok()
	page.has("Nguyễn Hữu Đặng Thuỷ Quỳnh", "29/02/2004")
	say(page, "Cơ sở dữ liệu quốc gia về dân cư, 09:00 20/11/2026", "National population register, 09:00 20/11/2026")
	say(page, "Bước 1/8", "Step 1")
	page.form("form-requester")

	// A wrong answer is explained at the field and above.
	s.post(at + "/requester").to(at + "/relation")
	bad := s.post(at + "/relation")
	if bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.body, "tr-errors") {
		t.Errorf("an empty page: status = %d", bad.status)
	}
	say(bad, "Chọn trích lục của ai", "whose extract it is")
	s.post(at+"/contact", "contact.phone", "12")
	s.fill(id)

	check := s.get(at + "/check").ok()
	say(check, "16.000 đồng", "16,000 VND")
	say(check, "thứ Hai, 23/11/2026", "Monday, 23/11/2026")
	if check.attr("data-due") == "" {
		t.Error("no due date for machines")
	}
	if p := s.post(at + "/check"); p.status != http.StatusUnprocessableEntity {
		t.Errorf("filed without the declaration: status = %d", p.status)
	}
	done := s.post(at+"/check", "declaration", "true").to("/filings/" + id + "/done")
	s.post(at+"/check", "declaration", "true").to("/filings/" + id + "/done") // the button pressed twice

	wait := s.get(done).ok()
	if wait.header.Get("Refresh") == "" || wait.attr("data-filing") != id || wait.attr("data-number") != "" {
		t.Errorf("waiting page: refresh %q, filing %q, number %q", wait.header.Get("Refresh"), wait.attr("data-filing"), wait.attr("data-number"))
	}
	must(t, s.mail.Deliver(t.Context()))
	got := s.get(done).ok().has("H36.14-20261120-0000001")
	if got.header.Get("Refresh") != "" {
		t.Error("the page still asks again")
	}
	s.get(at).to("/filings/" + id)
	s.follow(id, say)
}

// follow pays, receives, supplements, gets the result and rates.
func (s *site) follow(id string, say func(p page, vi, en string) page) {
	t := s.t
	at := "/filings/" + id
	s.get(at).ok().form("form-pay")
	s.post(at + "/pay").to("https://bank.test/pay?ref=")
	ref := s.bank.last.Reference
	back := s.get("/payments/return?sig=good&state=confirmed&ref=" + ref).to(at + "?payment=started")
	open := s.get(back).ok()
	say(open, "Đang chờ ngân hàng xác nhận", "Waiting for the bank")
	if open.header.Get("Refresh") == "" {
		t.Error("the page does not wait for the bank")
	}
	s.post(at + "/pay").to("https://bank.test/pay?ref=" + ref) // the same order, not a second one
	r := httptest.NewRequest(http.MethodPost, "/payments/notice", strings.NewReader("sig=good&state=confirmed&ref="+ref))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if p := s.send(r); p.status != 200 || !strings.Contains(p.body, `"RspCode":"00"`) {
		t.Errorf("notice: %d %s", p.status, p.body)
	}
	if p := s.get("/payments/notice?sig=bad"); !strings.Contains(p.body, `"RspCode":"97"`) {
		t.Errorf("a notice without a signature: %s", p.body)
	}
	say(s.get(at+"?payment=confirmed").ok(), "Đã nộp 16.000 đồng", "16,000 VND paid")

	due := time.Date(2026, 11, 23, 10, 30, 0, 0, time.UTC)
	slip := services.DocumentRef{ID: "slip-01-a", Kind: services.DocReceipt, Title: "Giấy tiếp nhận", SHA256: sha(pdf), Size: int64(len(pdf)), Media: "application/pdf", Public: true}
	s.notice(services.Notice{FilingID: id, Seq: 2, Type: services.EvReceived, State: "received", Actor: "Phạm Thị Ánh Nguyệt", Due: due, FeeTotal: 16000, FeePaid: 16000, Docs: []services.DocumentRef{slip}})
	p := s.get(at).ok().has("Phạm Thị Ánh Nguyệt")
	say(p, "còn 1 ngày", "1")
	if p.attr("data-due") != "2026-11-23T10:30:00Z" || p.attr("data-state") != "received" {
		t.Errorf("data-due %q, data-state %q", p.attr("data-due"), p.attr("data-state"))
	}
	if d := s.get(at + "/documents/slip-01-a"); d.status != 200 || d.body != pdf || d.header.Get("Content-Type") != "application/pdf" {
		t.Errorf("document: %d %q", d.status, d.body)
	}
	if d := s.get(at + "/documents/none"); d.status != 404 {
		t.Errorf("a document that is not there: %d", d.status)
	}

	deadline := due.Add(5 * 24 * time.Hour)
	s.notice(services.Notice{FilingID: id, Seq: 3, Type: services.EvSupplementRequested, State: "waiting", Paused: true, Due: due, Docs: []services.DocumentRef{slip}, FeeTotal: 16000, FeePaid: 16000, Data: services.EventData{
		Reason: "Ảnh bị mờ", Deadline: &deadline, Papers: []services.PaperJudgement{{Paper: "giay-to-tuy-than", Name: "Giấy tờ tùy thân", Note: "thiếu mặt sau"}},
	}})
	say(s.get("/").ok(), "Cần bổ sung giấy tờ", "More papers are needed")
	s.get(at).ok().has("Ảnh bị mờ", "Giấy tờ tùy thân: thiếu mặt sau")
	s.get(at + "/supplement").ok().has("Ảnh bị mờ")
	s.get(at + "/withdraw").ok() // a pause does not take the right away
	if p := s.upload(at+"/supplement", nil); p.status != 422 {
		t.Errorf("an empty supplement: %d", p.status)
	}
	if p := s.upload(at+"/supplement", []string{"note", "Xin gửi"}, file{"paper.giay-to-tuy-than", "a.pdf", "application/pdf", "<html>%PDF-"}); p.status != 422 {
		t.Errorf("a file that lies: %d", p.status)
	}
	s.upload(at+"/supplement", []string{"note", "Xin gửi"}, file{"paper.giay-to-tuy-than", "Căn cước.pdf", "application/pdf", pdf}).to(at)
	say(s.get(at).ok(), "Đã gửi bổ sung", "Your answer was sent")
	if p := s.get(at + "/supplement"); p.status != 409 {
		t.Errorf("a second supplement: %d", p.status)
	}

	s.notice(services.Notice{FilingID: id, Seq: 4, Type: services.EvSupplementReceived, State: "processing", Due: due.Add(24 * time.Hour), FeeTotal: 16000, FeePaid: 16000})
	s.get(at + "/withdraw").ok().form("form-withdraw")
	result := services.DocumentRef{ID: "result-a", Kind: services.DocResult, Title: "Trích lục", SHA256: sha(pdf), Size: int64(len(pdf)), Media: "application/pdf", Public: true}
	s.notice(services.Notice{FilingID: id, Seq: 5, Type: services.EvSigned, State: "done", Due: due, FeeTotal: 16000, FeePaid: 16000, Docs: []services.DocumentRef{slip, result}})
	say(s.get(at).ok(), "Tải kết quả", "Download the result")
	if p := s.get(at + "/withdraw"); p.status != 409 {
		t.Errorf("withdraw after the result: %d", p.status)
	}
	s.get(at + "/rate").ok().form("form-rate")
	if p := s.post(at+"/rate", "stars", "9"); p.status != 422 {
		t.Errorf("nine stars: %d", p.status)
	}
	s.post(at+"/rate", "stars", "5", "comment", "Nhanh").to(at)
	say(s.get(at).ok(), "Xin cảm ơn", "Thank you")
	say(s.get("/filings").ok(), "Đã có kết quả", "Result ready")
	s.mine(say)
}

func (s *site) mine(say func(p page, vi, en string) page) {
	data := s.get("/my-data").ok().has("Văn phòng Chính phủ", "mục lạ")
	say(data, "họ và tên", "full name")
	say(data, "Cơ sở dữ liệu hộ tịch điện tử chưa trả lời", "Electronic civil-status register did not answer")
	say(data, "chậm nhất 01/03/2027", "by 01/03/2027")
	receipt := s.post("/my-data/receipt", "register", "population", "line", "L-1")
	if receipt.status != 200 || receipt.header.Get("Content-Type") != "application/zip" || !strings.HasPrefix(receipt.body, "PK") {
		s.t.Errorf("receipt: %d %q", receipt.status, receipt.header.Get("Content-Type"))
	}
	who := s.who
	s.who = ""
	s.get("/track?number=" + s.ex.number).ok().form("form-track")
	if p := s.post("/track", "number", s.ex.number, "digits", "0000"); p.status != 422 {
		s.t.Errorf("wrong digits: %d", p.status)
	}
	found := s.post("/track", "number", strings.ToLower(s.ex.number), "digits", "0123").ok()
	found.hasNot("Quỳnh", "Phạm Thị Ánh Nguyệt", "Ảnh bị mờ")
	if found.attr("data-number") != s.ex.number {
		s.t.Errorf("tracked number = %q", found.attr("data-number"))
	}
	s.who = who
}

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
