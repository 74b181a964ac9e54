package servicesdesk_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"truc/internal/errs"
	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/services/servicesdesk"
	"truc/internal/services/servicestest"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
	"truc/internal/web/ui"
)

var people = map[string]reqctx.Principal{
	"reception": servicestest.Officer("tiepnhan", "Phạm Thị Ánh Nguyệt", "reception"),
	"officer":   servicestest.Officer("thuly", "Đặng Ngọc Ẩn", "officer"),
	"head":      servicestest.Officer("lanhdao", "Ksor H’Nhẫn", "head"),
	"admin":     servicestest.Officer("quantri", "Quản trị", "admin"),
	"register":  servicestest.Officer("csdl", "Chủ CSDL", "register"),
	"citizen":   {Kind: reqctx.Citizen, ID: "099304000123", Name: "Dân", Level: 2},
	"other":     {Kind: reqctx.Officer, ID: "xa", Name: "Xã khác", Agency: servicestest.Other, Roles: []string{"reception", "officer", "head"}},
}

// site is a desk with its pages in the chain of the public listener.
type site struct {
	*servicestest.Env
	t      *testing.T
	h      http.Handler
	number string
}

func newSite(t *testing.T) *site {
	t.Helper()
	env := servicestest.NewDesk(t, storagetest.OpenSQLite(t))
	rd, err := ui.NewRenderer(ui.Options{Lang: env.Messages, Site: ui.Site{Name: map[string]string{"vi": "Một cửa"}}})
	if err != nil {
		t.Fatal(err)
	}
	mux := web.NewMux(web.Options{Renderer: rd, Lang: env.Messages})
	pages := &servicesdesk.Pages{Desk: env.Desk, Renderer: rd, Messages: env.Messages, Now: env.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	if err := pages.Mount(mux); err != nil {
		t.Fatal(err)
	}
	mux.Mount("GET /assets/", rd.Assets())
	h := web.Public(mux, web.PublicOptions{Now: env.Clock.Now, Session: func(r *http.Request) (reqctx.Principal, error) {
		c, err := r.Cookie("as")
		if err != nil {
			return reqctx.Principal{}, nil //nolint:nilerr // nobody is signed in
		}
		return people[c.Value], nil
	}})
	return &site{Env: env, t: t, h: h}
}

// filed is a site with one dossier.
func filed(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	ack, err := s.Submit(t.Context(), s.WithPaper(t, s.Submission(t, "f1"), "image/jpeg", []byte("\xff\xd8\xff\xe0\x00\x10JFIF picture")))
	if err != nil {
		t.Fatal(err)
	}
	s.number = ack.Number
	return s
}

type page struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   string
}

func (s *site) do(as, method, path string, form url.Values) page {
	s.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.AddCookie(&http.Cookie{Name: "as", Value: as})
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return page{t: s.t, what: as + " " + method + " " + path, status: w.Code, header: w.Header(), body: w.Body.String()}
}

func (s *site) get(as, path string) page { s.t.Helper(); return s.do(as, "GET", path, nil) }

// act posts the page of an action with the version that the page held.
func (s *site) act(as, action string, form url.Values) page {
	s.t.Helper()
	path := "/desk/dossiers/" + s.number + "/act/" + action
	if form == nil {
		form = url.Values{}
	}
	if !form.Has("version") {
		form.Set("version", s.get(as, path).version())
	}
	return s.do(as, "POST", path, form)
}

var versionField = regexp.MustCompile(`name="version" value="([0-9]+)"`)

func (p page) version() string {
	if m := versionField.FindStringSubmatch(p.body); m != nil {
		return m[1]
	}
	return ""
}

func (p page) want(status int, parts ...string) page {
	p.t.Helper()
	if p.status != status {
		p.t.Errorf("%s = %d; want %d\n%s", p.what, p.status, status, mainOf(p.body))
		return p
	}
	for _, part := range parts {
		if !strings.Contains(p.body, part) {
			p.t.Errorf("%s lacks %q:\n%s", p.what, part, mainOf(p.body))
		}
	}
	if i := strings.Index(p.body, "[desk."); i >= 0 {
		p.t.Errorf("%s shows a message key: %.60s", p.what, p.body[i:])
	}
	return p
}

func (p page) without(parts ...string) page {
	p.t.Helper()
	for _, part := range parts {
		if strings.Contains(p.body, part) {
			p.t.Errorf("%s holds %q", p.what, part)
		}
	}
	return p
}

func mainOf(body string) string {
	if _, after, ok := strings.Cut(body, "<main"); ok {
		body, _, _ = strings.Cut(after, "</main>")
	}
	return body
}

// TestWalk takes a dossier from the counter to the result, as four people do it in their browsers.
func TestWalk(t *testing.T) {
	s := filed(t)
	s.Exchange.Answer = servicestest.Birth
	at := "/desk/dossiers/" + s.number

	s.get("reception", "/desk").want(200, s.number, servicestest.LongName, "chưa tiếp nhận", "Đã nộp", "data-worklist")
	s.get("reception", at).want(200, `data-state="submitted"`, `data-number="`+s.number+`"`, at+"/act/receive", "Chuỗi sự kiện nguyên vẹn", "099304000123"[:4]+"•••••", "papers/").without("099304000123", `id="form-check-`)
	s.get("reception", at+"?ids=1").want(200, "099304000123")
	s.get("reception", at+"/act/receive").want(200, `id="form-receive"`, "Hẹn trả kết quả lúc 17:30 08/06/2026", "verdict-giay-to-tuy-than")

	s.act("reception", "receive", url.Values{}).want(422, "Chọn Đạt hoặc Không đạt")
	s.act("reception", "receive", url.Values{"verdict-giay-to-tuy-than": {"bad"}}).want(422, "không đạt ở chỗ nào")
	s.act("reception", "receive", url.Values{"verdict-giay-to-tuy-than": {"bad"}, "note-giay-to-tuy-than": {"Mờ mặt sau"}}).want(422, "chưa tiếp nhận được", "Mờ mặt sau")
	s.act("reception", "receive", url.Values{"verdict-giay-to-tuy-than": {"ok"}}).want(303)
	s.get("officer", at).want(200, `data-state="processing"`, `data-due="2026-06-08T10:30:00Z"`, `id="form-check-civilstatus"`, `id="form-check-population"`, "Giấy tiếp nhận và hẹn trả")

	// Asked for more, and got it.
	s.act("officer", "askMore", url.Values{"reason": {"ngắn"}}).want(422, "Phần cần bổ sung gì và vì sao cần ít nhất 10 ký tự")
	s.act("officer", "askMore", url.Values{"reason": {"Ảnh giấy tờ bị mờ mặt sau."}, "wanted": {"giay-to-tuy-than"}, "days": {"3"}}).want(303)
	s.get("officer", at).want(200, `data-state="waiting"`, "Ảnh giấy tờ bị mờ mặt sau.", "Hạn bổ sung: 17:30 10/06/2026", "tạm dừng")
	s.get("officer", "/desk?due=waiting").want(200, s.number)
	if err := s.Receive(t.Context(), services.Message{ID: "m1", FilingID: "f1", Kind: "supplement"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Receive(t.Context(), services.Message{ID: "m2", FilingID: "f1", Kind: "payment", Payment: &services.PaymentFact{Reference: "P1", Provider: "Ngân hàng Mẫu", Amount: 16000, PaidAt: s.Now()}}); err != nil {
		t.Fatal(err)
	}

	// Without the record there is nothing to propose.
	s.act("officer", "propose", url.Values{"opinion": {"Đủ điều kiện."}, "version": {"1"}}).want(409, "Tra cứu CSDL hộ tịch")
	s.do("officer", "POST", at+"/check", url.Values{"register": {"civilstatus/event"}, "by": {"person"}, "kind": {"birth"}, "personalId": {"0993 0400 0123"}, "fullName": {servicestest.LongName}}).want(303)
	s.do("officer", "POST", at+"/check", url.Values{"register": {"population/person"}, "pPersonalId": {"099304000123"}, "pFullName": {servicestest.LongName}}).want(303)
	s.get("officer", at).want(200, "Nguyễn Phúc Bửu Ẩn", "khớp", "10/03/2004", at+"/preview", "Đặng Ngọc Ẩn").without("[desk.")
	if p := s.get("officer", at+"/preview").want(200); p.header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(p.header.Get("Content-Disposition"), "inline") {
		t.Errorf("preview = %v; want a PDF shown in place", p.header)
	}

	s.do("officer", "POST", at+"/opinion", url.Values{"opinion": {"Đủ điều kiện, nháp"}}).want(303)
	s.get("officer", at+"/act/propose").want(200, "Đủ điều kiện, nháp", `id="form-propose"`, "iframe")
	s.act("officer", "propose", url.Values{"opinion": {"Đủ điều kiện, đề nghị ký."}}).want(303)
	s.get("head", at).want(200, "Đủ điều kiện, đề nghị ký.", at+"/act/sign", `data-state="signing"`)
	s.act("head", "sendBack", url.Values{"reason": {" "}}).want(422, "Nhập lý do")
	s.act("head", "sendBack", url.Values{"reason": {"Xem lại ngày đăng ký."}}).want(303)
	s.get("officer", at).want(200, "Xem lại ngày đăng ký.", `data-state="processing"`)
	s.act("officer", "propose", url.Values{"opinion": {"Đã xem lại, đề nghị ký."}}).want(303)
	s.act("head", "sign", url.Values{}).want(422, "đánh dấu đồng ý ký")
	s.act("head", "sign", url.Values{"confirm": {"yes"}}).want(303)
	done := s.get("reception", at).want(200, `data-state="done"`, "Ký kết quả", "xong đúng hạn")
	doc := regexp.MustCompile(`/documents/result-[0-9a-f]+`).FindString(done.body)
	s.get("reception", at+doc).want(200, "%PDF")
	s.act("reception", "deliver", url.Values{"channel": {"pigeon"}}).want(422, "Chọn cách trả kết quả")
	s.act("reception", "deliver", url.Values{"channel": {"post"}, "parcel": {"12"}}).want(422, "mã bưu gửi")
	s.act("reception", "deliver", url.Values{"channel": {"counter"}}).want(303)
	s.get("reception", at).want(200, `data-state="returned"`, "Nhận tại quầy")
	s.get("reception", "/desk?state=returned").want(200, s.number)
	s.get("reception", "/desk").want(200, "Chưa có hồ sơ nào").without(s.number)
	for path, words := range map[string]string{"/desk": "Time limit", at: "Register checks"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.AddCookie(&http.Cookie{Name: "as", Value: "reception"})
		r.AddCookie(&http.Cookie{Name: "lang", Value: "en"})
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		page{t: t, what: "english " + path, status: w.Code, body: w.Body.String()}.want(200, words)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	s := filed(t)
	at := "/desk/dossiers/" + s.number
	for _, c := range []struct {
		as, method, path string
		want             int
	}{
		{"nobody", "GET", "/desk", 303},
		{"citizen", "GET", "/desk", 403},
		{"register", "GET", "/desk", 403},
		{"admin", "GET", "/desk", 200},
		{"admin", "GET", at, 403},
		{"other", "GET", at, 403},
		{"other", "GET", at + "/preview", 403},
		{"other", "GET", at + "/act/receive", 403},
		{"other", "POST", at + "/act/receive", 403},
		{"other", "POST", at + "/opinion", 403},
		{"officer", "GET", at + "/act/receive", 403},
		{"officer", "POST", at + "/act/receive", 403},
		{"reception", "GET", at + "/act/supplied", 403},
		{"reception", "GET", at + "/act/deliver", 409},
		{"reception", "POST", at + "/act/deliver", 409},
		{"reception", "GET", at + "/act/nonsense", 404},
		{"reception", "GET", "/desk/dossiers/H36.14-260605-9999", 404},
		{"reception", "GET", at + "/documents/nothing", 404},
		{"reception", "GET", at + "/papers/" + strings.Repeat("0", 64), 404},
		{"reception", "POST", at + "/check", 400},
	} {
		var form url.Values
		if c.method == "POST" {
			form = url.Values{"version": {"1"}}
		}
		s.do(c.as, c.method, c.path, form).want(c.want)
	}
	s.get("other", "/desk").want(200).without(s.number, servicestest.LongName)
	s.get("reception", at+"/act/deliver").want(409, "Không làm được khi hồ sơ ở trạng thái “Đã nộp”")
	s.get("admin", "/desk").want(200, s.number).without(`href="` + at)
}

// TestTwoOfficers: who decided without knowing what a colleague just did is told so, and by whom.
func TestTwoOfficers(t *testing.T) {
	s := filed(t)
	at := "/desk/dossiers/" + s.number
	old := s.get("reception", at+"/act/askMore").version()
	s.get("head", at).want(200) // a reader is not in the way
	s.act("reception", "receive", url.Values{"verdict-giay-to-tuy-than": {"ok"}}).want(303)
	p := s.act("reception", "askMore", url.Values{"version": {old}, "reason": {"Cần thêm một ảnh rõ hơn."}})
	p.want(409, "Hồ sơ vừa thay đổi", "Phạm Thị Ánh Nguyệt", "Tiếp nhận", "Cần thêm một ảnh rõ hơn.")
	s.act("reception", "askMore", url.Values{"version": {p.version()}, "reason": {"Cần thêm một ảnh rõ hơn."}}).want(303)
	s.act("reception", "askMore", url.Values{"version": {""}}).want(409)
	s.act("head", "extend", url.Values{"version": {"x"}, "reason": {"a"}, "amount": {"1"}}).want(400)
	s.act("head", "extend", url.Values{"amount": {"7"}}).want(422, "Nhập số từ 1 đến 1 ngày làm việc", "Nhập lý do")
	s.act("head", "extend", url.Values{"amount": {"1"}, "reason": {"Chờ xác minh ở nơi đăng ký cũ."}}).want(303)
	s.get("head", at).want(200, "Văn bản xin lỗi, gia hạn", "Hạn cũ")
	s.get("head", at+"/act/extend").want(409, "Chỉ gia hạn một lần")
}

// TestRegistersThatDoNotHelp: away, refusing, empty, ambiguous.
func TestRegistersThatDoNotHelp(t *testing.T) {
	s := filed(t)
	at := "/desk/dossiers/" + s.number
	s.act("reception", "receive", url.Values{"verdict-giay-to-tuy-than": {"ok"}}).want(303)
	ask := func() page {
		return s.do("officer", "POST", at+"/check", url.Values{"register": {"civilstatus/event"}, "by": {"name"}, "kind": {"birth"}, "fullName": {"Đặng Thị Đã Nhập"}, "birthDate-day": {"29"}, "birthDate-month": {"2"}, "birthDate-year": {"2004"}})
	}
	ask().want(503, "chưa trả lời được", "Đặng Thị Đã Nhập", `value="2004"`)
	s.Exchange.Answer = func(services.ExchangeCall) (int, string) {
		return 403, `{"code":"registers.purpose_missing","title":"<script>"}`
	}
	ask().want(403, "chưa trả lời được").without("<script>alert")
	s.Exchange.Answer = func(services.ExchangeCall) (int, string) { return 200, `{"records":[]}` }
	ask().want(303)
	s.get("officer", at).want(200, `data-found="0"`, "không tìm thấy")
	s.Exchange.Answer = func(services.ExchangeCall) (int, string) {
		return 200, `{"records":[{"subject":{"fullName":"A"}},{"subject":{"fullName":"B"}}]}`
	}
	ask().want(303)
	s.get("officer", at).want(200, `data-found="2"`, "2 bản ghi khớp")
	s.do("officer", "POST", at+"/check", url.Values{"register": {"civilstatus/event"}, "by": {"person"}, "personalId": {"123"}}).
		want(422, "Chọn việc hộ tịch", "Nhập họ, chữ đệm và tên", "Mới nhập 3")
	s.do("officer", "POST", at+"/check", url.Values{"register": {"../../secrets"}}).want(400)

	calls := s.Exchange.Calls
	last := calls[len(calls)-1]
	if last.Activity != services.ActivityVerify || last.Dossier != s.number || strings.Contains(string(last.Body), "father") == false {
		t.Errorf("call = %s %s %s; want the activity, the dossier and the parents of a birth", last.Activity, last.Dossier, last.Body)
	}
	if strings.Contains(string(last.Body), "spouse") {
		t.Errorf("a birth was asked with the spouse: %s", last.Body)
	}
}

func TestSigningWithoutKey(t *testing.T) {
	s := filed(t)
	s.Exchange.Answer = servicestest.Birth
	at := "/desk/dossiers/" + s.number
	s.act("reception", "receive", url.Values{"verdict-giay-to-tuy-than": {"ok"}}).want(303)
	s.do("officer", "POST", at+"/check", url.Values{"register": {"civilstatus/event"}, "by": {"person"}, "kind": {"birth"}, "personalId": {"099304000123"}, "fullName": {servicestest.LongName}}).want(303)
	if err := s.Receive(t.Context(), services.Message{ID: "m2", FilingID: "f1", Kind: "payment", Payment: &services.PaymentFact{Reference: "P1", Provider: "X", Amount: 16000, PaidAt: s.Now()}}); err != nil {
		t.Fatal(err)
	}
	s.act("officer", "propose", url.Values{"opinion": {"Đủ điều kiện."}}).want(303)
	s.Signer.Fail = errs.E(errs.Unavailable, "sign.tsa_away", errors.New("no time-stamp"))
	s.act("head", "sign", url.Values{"confirm": {"yes"}}).want(503, "Hồ sơ chưa thay đổi gì")
	s.get("head", at).want(200, `data-state="signing"`)
}

func TestHostileInput(t *testing.T) {
	s := newSite(t)
	sub := s.Submission(t, "f1")
	const bad = `<script>alert(1)</script>"'` + "\u202e"
	sub.Applicant.FullName, sub.Applicant.Address = bad, bad
	sub = s.WithPaper(t, sub, "text/html", []byte("<html><script>alert(1)</script>"))
	sub.Papers[0].Name, sub.Papers[0].File = bad, "../../"+bad+"\r\nSet-Cookie: a=b"
	ack, err := s.Submit(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	s.number = ack.Number
	at := "/desk/dossiers/" + s.number
	for _, path := range []string{"/desk?q=" + url.QueryEscape(bad), "/desk?state=" + url.QueryEscape(bad), "/desk?after=zz.zz", "/desk?after=-1.x&mine=1&due=soon&procedure=x", at, at + "/act/receive", at + "/act/refuse"} {
		s.get("reception", path).want(200).without("<script>alert")
	}
	p := s.get("reception", at+"/papers/"+sub.Papers[0].SHA256).want(200)
	if got := p.header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment") || p.header.Get("Set-Cookie") != "" {
		t.Errorf("hostile paper = %v; want a download", p.header)
	}
	if got := p.header.Get("Content-Type"); strings.Contains(got, "html") {
		t.Errorf("hostile paper is served as %s", got)
	}
	s.act("reception", "refuse", url.Values{"reason": {bad + strings.Repeat("x", 5000)}, "legalBasis": {bad}}).want(422)
	s.act("reception", "refuse", url.Values{"reason": {"Không thuộc thẩm quyền " + bad}, "legalBasis": {bad}}).want(303)
	s.get("reception", at).want(200, `data-state="refused"`, "Phiếu từ chối").without("<script>alert")
	r := httptest.NewRequestWithContext(t.Context(), "POST", at+"/opinion", strings.NewReader("opinion=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.AddCookie(&http.Cookie{Name: "as", Value: "reception"})
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	if w.Code != 403 {
		t.Errorf("a POST from another site = %d; want 403", w.Code)
	}
}
