package servicespage

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"truc/internal/services"
)

func TestSomebodyElse(t *testing.T) {
	s := newSite(t)
	s.who = quynh
	draft, filed := s.start(), s.file()
	s.who = an
	for _, path := range []string{
		"/apply/" + draft, "/apply/" + draft + "/requester", "/apply/" + draft + "/papers", "/apply/" + draft + "/check",
		"/filings/" + filed, "/filings/" + filed + "/done", "/filings/" + filed + "/supplement", "/filings/" + filed + "/withdraw",
		"/filings/" + filed + "/rate", "/filings/" + filed + "/documents/x", "/filings/" + s.ex.number,
	} {
		if p := s.get(path); p.status != http.StatusNotFound {
			t.Errorf("GET %s = %d; want 404", path, p.status)
		}
	}
	for _, path := range []string{
		"/apply/" + draft + "/relation", "/apply/" + draft + "/wrong", "/apply/" + draft + "/refill", "/apply/" + draft + "/delete",
		"/apply/" + draft + "/papers/remove", "/apply/" + draft + "/check", "/filings/" + filed + "/pay", "/filings/" + filed + "/withdraw", "/filings/" + filed + "/rate",
	} {
		if p := s.post(path, "submitter.relation", "self", "stars", "5"); p.status != http.StatusNotFound {
			t.Errorf("POST %s = %d; want 404", path, p.status)
		}
	}
	s.who = ""
	s.get("/filings/" + filed).to("/login?next=%2Ffilings%2F" + filed)
	s.get("/my-data").to("/login?next=%2Fmy-data")
}

func TestCrossSite(t *testing.T) {
	s := newSite(t)
	s.who = quynh
	id := s.file()
	r := httptest.NewRequest(http.MethodPost, "/filings/"+id+"/withdraw", strings.NewReader("reason=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if p := s.send(r); p.status != http.StatusForbidden {
		t.Errorf("cross-site withdrawal = %d; want 403", p.status)
	}
}

func TestStrangeInput(t *testing.T) {
	s := newSite(t)
	s.who = quynh
	id := s.start()
	at := "/apply/" + id
	s.post(at + "/address").to(at + "/requester") // not asked yet
	s.post(at+"/delivery", "delivery.method", "post").to(at + "/address")
	long := strings.Repeat("ấ", 5000)
	tests := []struct {
		name, path string
		form       []string
		want       int
	}{
		{"a choice that is not offered", "/relation", []string{"submitter.relation", "king"}, 422},
		{"markup in a text", "/event", []string{"event.year", "<script>alert(1)</script>"}, 422},
		{"a long text", "/event", []string{"event.year", "2004", "event.place", long}, 422},
		{"a number that overflows", "/copies", []string{"copies", "99999999999999999999"}, 422},
		{"an unknown page", "/nothing", nil, 404},
		{"a stale version", "/copies", []string{"copies", "2", "version", "1"}, 422},
		{"a commune of another province", "/address", []string{"delivery.address.province", "68", "delivery.address.commune", "00001", "delivery.address.line", "x"}, 422},
		{"a province that is none", "/address", []string{"delivery.address.province", "<b>", "delivery.address.commune", "", "delivery.address.line", ""}, 422},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := s.post(at+tt.path, tt.form...)
			if p.status != tt.want {
				t.Errorf("status = %d; want %d", p.status, tt.want)
			}
			if strings.Contains(p.body, "<script>alert") {
				t.Error("markup of the person is on the page as markup")
			}
		})
	}
	if p := s.post(at+"/copies", "copies", strings.Repeat("9", maxUpload+10)); p.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge form = %d; want 413", p.status)
	}
	r := httptest.NewRequest(http.MethodPost, at+"/copies", strings.NewReader(`{"copies":2}`))
	r.Header.Set("Content-Type", "application/json")
	if p := s.do(r); p.status != http.StatusBadRequest && p.status != 422 {
		t.Errorf("a form of another type = %d", p.status)
	}
}

func TestPapers(t *testing.T) {
	s := newSite(t)
	s.who = quynh
	s.ex.down = map[string]bool{"VN/GOV/G01/population/person": true}
	id := s.start()
	at := "/apply/" + id
	s.get(at + "/requester").ok().has("Cơ sở dữ liệu quốc gia về dân cư chưa trả lời lúc 09:00 20/11/2026").form("form-refill")
	answers := []string{
		"requester.fullName", "Nguyễn Hữu Đặng Thuỷ Quỳnh", "requester.birthDate-day", "29", "requester.birthDate-month", "2", "requester.birthDate-year", "2003",
		"requester.personalId", "099 304 000 123", "requester.residence", "Thôn 3, xã Đạ Huoai",
	}
	if p := s.post(at+"/requester", answers...); p.status != 422 || !strings.Contains(p.body, "29/2/2003") {
		t.Errorf("a day that does not exist: %d", p.status)
	}
	answers[7] = "2004"
	s.post(at+"/requester", answers...).to(at + "/relation")
	s.post(at+"/relation", "submitter.relation", "self")
	page := s.get(at + "/papers").ok()
	form := page.form("form-papers")
	if _, ok := form["paper.giay-to-tuy-than"]; !ok {
		t.Fatalf("controls = %v", form)
	}
	for _, tt := range []struct {
		name string
		f    file
		want string
	}{
		{"nothing chosen", file{}, "Chọn tệp cho"},
		{"a page that calls itself a picture", file{"paper.giay-to-tuy-than", "a.png", "image/png", "<html><script>"}, "Tệp không đúng loại"},
		{"a PDF behind a page", file{"paper.giay-to-tuy-than", "a.pdf", "application/pdf", "<html>%PDF-1.7"}, "Tệp không đúng loại"},
		{"an empty file", file{"paper.giay-to-tuy-than", "a.pdf", "application/pdf", ""}, "không có nội dung"},
		{"a large file", file{"paper.giay-to-tuy-than", "a.pdf", "application/pdf", "%PDF-" + strings.Repeat("x", 10<<20)}, "quá lớn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var files []file
			if tt.f.field != "" {
				files = append(files, tt.f)
			}
			if p := s.upload(at+"/papers", nil, files...).has(tt.want); p.status != 422 {
				t.Errorf("status = %d; want 422", p.status)
			}
		})
	}
	s.upload(at+"/papers", []string{"stay", "1"}, file{"paper.giay-to-tuy-than", `C:\giấy\Căn cước.pdf`, "text/html", pdf}).to(at + "/papers")
	s.get(at + "/papers").ok().has("Căn cước.pdf")
	s.post(at+"/papers/remove", "sha", sha(pdf)).to(at + "/papers")
	s.get(at + "/papers").ok().hasNot("Căn cước.pdf")

	// The register is back: what was typed gives way to what it says, and the paper is no longer needed.
	s.ex.down = nil
	s.post(at+"/refill", "page", "requester").to(at + "/requester")
	s.get(at + "/requester").ok().hasNot("chưa trả lời")
	s.post(at+"/wrong", "ptr", "/requester/fullName", "page", "requester").to(at + "/requester")
	form = s.get(at + "/requester").ok().has("Đã báo là sai").form("form-requester")
	if _, ok := form["requester.fullName"]; !ok {
		t.Error("a value reported as wrong is not asked")
	}
	s.post(at + "/delete").to("/filings")
	if p := s.get(at + "/requester"); p.status != 404 {
		t.Errorf("a deleted draft = %d; want 404", p.status)
	}
}

func TestAddressAndReturn(t *testing.T) {
	s := newSite(t)
	s.who = quynh
	id := s.start()
	at := "/apply/" + id
	s.fill(id)
	s.get(at + "/delivery?return=check").ok()
	// The change opens the question of the address, which is asked before the check page.
	s.post(at+"/delivery", "delivery.method", "post", "return", "check").to(at + "/address")
	step := s.post(at+"/address", "delivery.address.province", "68").ok()
	form := step.form("form-address")
	if _, ok := form["delivery.address.commune"]; !ok {
		t.Fatalf("no communes of the chosen province: %v", form)
	}
	var commune string
	for n := range step.doc.Descendants() {
		if n.Data == "option" && len(attrOf(n, "value")) == 5 {
			commune = attrOf(n, "value")
			break
		}
	}
	s.post(at+"/address", "delivery.address.province", "68", "delivery.address.commune", commune, "delivery.address.line", "12 Trần Phú", "return", "check").to(at + "/check")
	s.get(at+"/check").ok().has("12 Trần Phú, ", "tỉnh Lâm Đồng")
	s.post(at+"/copies", "copies", "abc", "later", "1").to("/filings")
	s.get("/filings").ok().has("Trang đang dở chưa đủ nên chưa được lưu").form("form-delete-" + id)
	s.get(at).to(at + "/check")
}

func TestPaymentOutcomes(t *testing.T) {
	for state, want := range map[string]string{"failed": "Thanh toán không thành công", "cancelled": "Đã hủy thanh toán"} {
		t.Run(state, func(t *testing.T) {
			s := newSite(t)
			s.who = quynh
			id := s.file()
			s.post("/filings/" + id + "/pay").to("https://bank.test/")
			ref := s.bank.last.Reference
			s.bank.state[ref] = services.PaymentResult{Reference: ref, Amount: s.bank.last.Amount, State: services.PaymentState(state)}
			back := s.get("/payments/return?sig=good&ref=" + ref).to("/filings/" + id + "?payment=" + state)
			s.get(back).ok().has(want, "Nộp phí 16.000 đồng").form("form-pay")
			s.now = s.now.Add(time.Minute)
			s.post("/filings/" + id + "/pay").to("https://bank.test/")
			if s.bank.last.Reference == ref {
				t.Error("the failed order is used again")
			}
		})
	}
	s := newSite(t)
	s.who = quynh
	if p := s.get("/payments/return?sig=bad&ref=x"); p.status != http.StatusForbidden {
		t.Errorf("a return without a signature = %d; want 403", p.status)
	}
	id := s.file()
	s.post("/filings/"+id+"/withdraw", "reason", "đổi ý").to("/filings/" + id)
	s.get("/filings/" + id).ok().has("Đã gửi yêu cầu rút hồ sơ")
}

func TestTrackIsLimited(t *testing.T) {
	s := newSite(t)
	s.who = quynh
	s.file()
	s.who = ""
	limited := false
	for range 12 {
		p := s.post("/track", "number", s.ex.number, "digits", "9999")
		limited = limited || p.status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("guessing the digits is not slowed down")
	}
}

func TestNoOffice(t *testing.T) {
	s := newSite(t)
	must(t, s.portal.Store.PutOffers(t.Context(), "H36", nil))
	s.get("/procedures/2.000635").ok().has("Chưa có cơ quan nào nhận thủ tục này trên mạng")
	s.get("/procedures").ok().has("Chưa nhận hồ sơ trên mạng")
	if p := s.get("/procedures/9.999999"); p.status != 404 {
		t.Errorf("an unknown procedure = %d; want 404", p.status)
	}
	s.who = quynh
	s.get("/filings").ok().has("Chưa có hồ sơ nào")
	if p := s.post("/procedures/2.000635/start", "unit", "H99"); p.status != 404 {
		t.Errorf("an office that is none = %d; want 404", p.status)
	}
}

func TestManyOffices(t *testing.T) {
	s := newSite(t)
	for i := range 12 {
		s.ex.units = append(s.ex.units, services.Office{Code: "H36." + string(rune('a'+i)), Name: "UBND xã", Province: "68"})
	}
	must(t, s.portal.RefreshOffers(t.Context()))
	p := s.get("/procedures/2.000635?unit=H36.c").ok()
	if !strings.Contains(p.body, `<optgroup label="Tỉnh Lâm Đồng">`) || !strings.Contains(p.body, `value="H36.c" selected`) {
		t.Error("many offices are not grouped by province, or the choice was lost")
	}
}

func FuzzControls(f *testing.F) {
	f.Add("a.0.x=1&a.1.x=2&remove=a.0")
	f.Add("b-day=1&b-month=2&add=a")
	f.Fuzz(func(t *testing.T, raw string) {
		form, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		values := controlNames(form)
		for _, field := range allWidgets() {
			reload(onePage(field), values)
		}
		if n := entries(values, "repeat"); n > 100 {
			t.Errorf("%d entries", n)
		}
	})
}
