package fakebank

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/i18n"
	"truc/internal/web/ui"
	"truc/lang"
)

const secret = "TRUCDEMOSECRET7890ABCDEFGHIJKLMN"

// shop is a merchant that does what a good one does: signature, order, amount, and only once.
type shop struct {
	mu     sync.Mutex
	paid   bool
	down   bool
	heard  []string // answers given
	lastOK Params
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		s.heard = append(s.heard, "down")
		return
	}
	code := "00"
	p, err := parseParams(r.URL.RawQuery)
	switch {
	case err != nil || !verify(p, secret):
		code = "97"
	case p["vnp_TxnRef"] != "ref-1":
		code = "01"
	case p["vnp_Amount"] != "2500000":
		code = "04"
	case s.paid:
		code = "02"
	default:
		s.paid = true
		s.lastOK = p
	}
	s.heard = append(s.heard, code)
	_, _ = io.WriteString(w, `{"RspCode":"`+code+`","Message":"x"}`)
}

type town struct {
	t    *testing.T
	bank *Bank
	shop *shop
	opt  Options
	now  time.Time
}

func newTown(t *testing.T) *town {
	t.Helper()
	c := &town{t: t, shop: &shop{}, now: time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)}
	server := httptest.NewServer(c.shop)
	t.Cleanup(server.Close)
	catalogue, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	renderer, err := ui.NewRenderer(ui.Options{Lang: catalogue})
	if err != nil {
		t.Fatal(err)
	}
	c.opt = Options{
		Merchants: []Merchant{
			{Code: "H36DEMO1", Secret: secret, NoticeURL: server.URL + "/ipn?driver=x", Name: "Lâm Đồng"},
			{Code: "H57DEMO1", Secret: "other", NoticeURL: server.URL + "/ipn", Name: "Huế"},
		},
		StatePath: filepath.Join(t.TempDir(), "bank", "state.json"), Renderer: renderer, Lang: catalogue, Now: func() time.Time { return c.now },
	}
	c.restart()
	return c
}

func (c *town) restart() {
	c.t.Helper()
	b, err := New(c.opt)
	if err != nil {
		c.t.Fatal(err)
	}
	c.bank = b
}

func request() Params {
	return Params{
		"vnp_Version": "2.1.0", "vnp_Command": "pay", "vnp_TmnCode": "H36DEMO1", "vnp_Amount": "2500000", "vnp_CurrCode": "VND", "vnp_TxnRef": "ref-1",
		"vnp_OrderInfo": "Lệ phí <b>", "vnp_OrderType": "other", "vnp_Locale": "vn", "vnp_ReturnUrl": "http://node.test/return?x=1", "vnp_IpAddr": "127.0.0.1",
		"vnp_CreateDate": "20261121140000", "vnp_ExpireDate": "20261121141500",
	}
}

func (c *town) do(method, target, kind, body string) *httptest.ResponseRecorder {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), method, "http://bank.test"+target, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	c.bank.ServeHTTP(w, r)
	return w
}

func (c *town) open(p Params) *httptest.ResponseRecorder {
	c.t.Helper()
	return c.do(http.MethodGet, "/pay?"+SignedQuery(p, secret), "", "")
}

const formType = "application/x-www-form-urlencoded"

var paymentInput = regexp.MustCompile(`name="payment" value="([^"]+)"`)

// press opens the page and presses a button, as a browser or an automated client does.
func (c *town) press(p Params, o Outcome) Params {
	c.t.Helper()
	page := c.open(p)
	m := paymentInput.FindStringSubmatch(page.Body.String())
	if page.Code != http.StatusOK || m == nil {
		c.t.Fatalf("pay = %d\n%s", page.Code, page.Body)
	}
	return c.pressID(m[1], o)
}

func (c *town) pressID(id string, o Outcome) Params {
	c.t.Helper()
	w := c.do(http.MethodPost, "/pay", formType, url.Values{"payment": {id}, "outcome": {string(o)}}.Encode())
	loc, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusSeeOther || loc.Host != "node.test" || loc.Query().Get("x") != "1" {
		c.t.Fatalf("outcome = %d %s\n%s", w.Code, loc, w.Body)
	}
	got, err := parseParams(loc.RawQuery)
	if err != nil || !verify(got, secret) {
		c.t.Fatalf("result is not signed: %v", err)
	}
	return got
}

// settle lets time pass until nothing is due any more.
func (c *town) settle() {
	for range 50 {
		next := c.bank.Deliver(c.t.Context())
		if next.IsZero() {
			return
		}
		c.now = next
	}
	c.t.Fatal("the bank never rests")
}

func (c *town) ask(p Params) Params {
	c.t.Helper()
	p = merge(Params{
		"vnp_RequestId": "r1", "vnp_Version": "2.1.0", "vnp_Command": "querydr", "vnp_TmnCode": "H36DEMO1", "vnp_TxnRef": "ref-1",
		"vnp_TransactionDate": "20261121140000", "vnp_CreateDate": "20261121141000", "vnp_IpAddr": "127.0.0.1", "vnp_OrderInfo": "Tra cứu",
	}, p)
	p[hashName] = mac(p.joined(queryFields), secret)
	return c.post("/api/query", p, queryAnswerFields)
}

func (c *town) post(path string, p Params, answerFields []string) Params {
	c.t.Helper()
	body, err := json.Marshal(p)
	if err != nil {
		c.t.Fatal(err)
	}
	w := c.do(http.MethodPost, path, "application/json", string(body))
	var got Params
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		c.t.Fatalf("%s = %d %s", path, w.Code, w.Body)
	}
	if got["vnp_TmnCode"] != "" && !sameMAC(got[hashName], got.joined(answerFields), secret) {
		c.t.Errorf("the answer of %s is not signed: %v", path, got)
	}
	return got
}

func merge(a, b Params) Params {
	maps.Copy(a, b)
	return a
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		outcome  Outcome
		response string // in the browser
		truth    string // vnp_TransactionStatus of the query
		heard    []string
		credited bool // by the notice alone
	}{
		{Success, "00", "00", []string{"00"}, true},
		{Insufficient, "51", "02", []string{"00"}, true},
		{Cancel, "24", "02", []string{"00"}, true},
		{Late, "00", "00", []string{"00"}, true},
		{Twice, "00", "00", []string{"00", "02"}, true},
		{WrongAmount, "00", "00", []string{"04", "04", "04"}, false},
		{BadSignature, "00", "00", []string{"97", "97", "97"}, false},
		{Silent, "00", "00", nil, false},
	}
	if len(tests) != len(Outcomes()) {
		t.Fatal("an outcome is not tested")
	}
	for _, tt := range tests {
		t.Run(string(tt.outcome), func(t *testing.T) {
			c := newTown(t)
			got := c.press(request(), tt.outcome)
			if got["vnp_ResponseCode"] != tt.response || got["vnp_Amount"] != "2500000" || got["vnp_TxnRef"] != "ref-1" {
				t.Errorf("result = %v; want code %s", got, tt.response)
			}
			if tt.outcome == Late {
				if next := c.bank.Deliver(t.Context()); !next.Equal(c.now.Add(20*time.Second)) || len(c.shop.heard) != 0 {
					t.Errorf("late notice at %v, heard %v", next, c.shop.heard)
				}
			}
			c.settle()
			if diff := cmp.Diff(tt.heard, c.shop.heard); diff != "" {
				t.Errorf("notices (-want +got):\n%s", diff)
			}
			if c.shop.paid != tt.credited {
				t.Errorf("the merchant noted the payment: %v", c.shop.paid)
			}
			if tt.credited && c.shop.lastOK["vnp_ResponseCode"] != tt.response {
				t.Errorf("notice says %s; want %s", c.shop.lastOK["vnp_ResponseCode"], tt.response)
			}
			truth := c.ask(nil)
			if truth["vnp_ResponseCode"] != "00" || truth["vnp_TransactionStatus"] != tt.truth || truth["vnp_Amount"] != "2500000" {
				t.Errorf("query = %v; want status %s", truth, tt.truth)
			}
		})
	}
}

func TestNoticeIsRetried(t *testing.T) {
	c := newTown(t)
	c.shop.down = true
	c.press(request(), Success)
	start := c.now
	var pauses []time.Duration
	for range 3 {
		next := c.bank.Deliver(t.Context())
		pauses = append(pauses, next.Sub(c.now))
		c.now = next
	}
	if diff := cmp.Diff([]time.Duration{5 * time.Second, 10 * time.Second, 15 * time.Second}, pauses); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	c.restart() // the waiting notice survives
	c.shop.down = false
	c.settle()
	if !c.shop.paid || len(c.shop.heard) != 4 || !c.now.After(start) {
		t.Errorf("heard %v", c.shop.heard)
	}
	p, ok := c.bank.Payment("H36DEMO1", "ref-1")
	if !ok || len(p.Notices) != 1 || !p.Notices[0].Over || p.Notices[0].Answer != "00" || p.Notices[0].Attempts != 4 {
		t.Errorf("payment = %+v", p)
	}
}

func TestNoticeGivenUp(t *testing.T) {
	c := newTown(t)
	c.shop.down = true
	c.press(request(), Twice)
	c.settle()
	if len(c.shop.heard) != 24 { // each of the two twelve times
		t.Errorf("sent %d times", len(c.shop.heard))
	}
	if list := c.do(http.MethodGet, "/", "", "").Body.String(); !strings.Contains(list, "http 503") || !strings.Contains(list, "25.000 đồng") {
		t.Errorf("list:\n%s", list)
	}
}

func TestPayPage(t *testing.T) {
	c := newTown(t)
	w := c.open(request())
	body := w.Body.String()
	for _, want := range []string{"Lâm Đồng", "25.000 đồng", "Lệ phí &lt;b&gt;", "không có tiền thật", `value="silent"`, `method="post"`} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if strings.Contains(body, "[fakebank.") || strings.Contains(body, "<script") {
		t.Errorf("page:\n%s", body)
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' http://node.test;") {
		t.Errorf("the form cannot lead back: %s", csp)
	}
	en := request()
	en["vnp_Locale"], en["vnp_TxnRef"] = "en", "ref-2"
	if body := c.open(en).Body.String(); !strings.Contains(body, "How shall this payment end?") || strings.Contains(body, "[fakebank.") {
		t.Errorf("English page:\n%s", body)
	}
	if empty := newTown(t).do(http.MethodGet, "/", "", ""); !strings.Contains(empty.Body.String(), "Chưa có giao dịch nào") {
		t.Errorf("empty list = %d", empty.Code)
	}
}

func TestDecidedOnce(t *testing.T) {
	c := newTown(t)
	id := paymentInput.FindStringSubmatch(c.open(request()).Body.String())[1]
	first := c.pressID(id, Success)
	second := c.pressID(id, Cancel)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("a second press changed the result:\n%s", diff)
	}
	again := c.open(request()).Body.String()
	if strings.Contains(again, `name="outcome"`) || !strings.Contains(again, "Không trả thêm lần nữa") {
		t.Errorf("a paid reference can be paid again:\n%s", again)
	}
	other := request()
	other["vnp_Amount"] = "2600000"
	if w := c.open(other); w.Code != http.StatusConflict {
		t.Errorf("the reference with another amount = %d", w.Code)
	}
	if w := c.do(http.MethodPost, "/pay", formType, "payment=x&outcome=success"); w.Code != http.StatusNotFound {
		t.Errorf("unknown payment = %d", w.Code)
	}
	if w := c.do(http.MethodPost, "/pay", formType, "payment="+id+"&outcome=free"); w.Code != http.StatusBadRequest {
		t.Errorf("unknown outcome = %d", w.Code)
	}
}

func TestPayRefuses(t *testing.T) {
	tests := []struct {
		name, field, value string
		status             int
	}{
		{"unknown merchant", "vnp_TmnCode", "X", 400},
		{"merchant of another secret", "vnp_TmnCode", "H57DEMO1", 403},
		{"old version", "vnp_Version", "2.0.0", 400},
		{"other command", "vnp_Command", "token", 400},
		{"other currency", "vnp_CurrCode", "USD", 400},
		{"part of a đồng", "vnp_Amount", "2500050", 400},
		{"nothing to pay", "vnp_Amount", "0", 400},
		{"no reference", "vnp_TxnRef", "", 400},
		{"no description", "vnp_OrderInfo", "", 400},
		{"bad date", "vnp_CreateDate", "2026-11-21", 400},
		{"bad end", "vnp_ExpireDate", "20261399000000", 400},
		{"script as return address", "vnp_ReturnUrl", "javascript:alert(1)", 400},
		{"no language", "vnp_Locale", "", 400},
	}
	c := newTown(t)
	for _, tt := range tests {
		p := request()
		p[tt.field] = tt.value
		if w := c.open(p); w.Code != tt.status {
			t.Errorf("%s = %d; want %d", tt.name, w.Code, tt.status)
		}
	}
	for name, raw := range map[string]string{
		"changed amount": strings.Replace(SignedQuery(request(), secret), "2500000", "2400000", 1),
		"no signature":   request().text(),
		"wrong secret":   SignedQuery(request(), "x"),
	} {
		if w := c.do(http.MethodGet, "/pay?"+raw, "", ""); w.Code != http.StatusForbidden {
			t.Errorf("%s = %d; want 403", name, w.Code)
		}
	}
	if w := c.do(http.MethodGet, "/pay?"+SignedQuery(request(), secret)+"&vnp_Amount=1", "", ""); w.Code != http.StatusBadRequest {
		t.Errorf("amount twice = %d; want 400", w.Code)
	}
}

func TestExpiry(t *testing.T) {
	c := newTown(t)
	id := paymentInput.FindStringSubmatch(c.open(request()).Body.String())[1]
	if got := c.ask(nil); got["vnp_TransactionStatus"] != "01" {
		t.Errorf("pending = %v", got)
	}
	c.now = c.now.Add(15*time.Minute + time.Second)
	if got := c.ask(nil); got["vnp_TransactionStatus"] != "02" {
		t.Errorf("undecided and too late = %v", got)
	}
	if got := c.pressID(id, Success); got["vnp_ResponseCode"] != "11" || got["vnp_TransactionStatus"] != "02" {
		t.Errorf("paid too late = %v", got)
	}
	c.settle()
	if len(c.shop.heard) != 0 {
		t.Errorf("notices = %v", c.shop.heard)
	}
}

func TestStateSurvives(t *testing.T) {
	c := newTown(t)
	first := c.press(request(), Silent)
	c.restart()
	if got := c.ask(nil); got["vnp_TransactionStatus"] != "00" || got["vnp_TransactionNo"] != first["vnp_TransactionNo"] {
		t.Errorf("after a restart = %v", got)
	}
	next := request()
	next["vnp_TxnRef"] = "ref-2"
	if second := c.press(next, Silent); second["vnp_TransactionNo"] == first["vnp_TransactionNo"] {
		t.Error("a transaction number was given twice")
	}
	if err := os.WriteFile(c.opt.StatePath, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(c.opt); err == nil {
		t.Error("a broken state file was taken for an empty one")
	}
}

func TestQueryRefuses(t *testing.T) {
	c := newTown(t)
	c.press(request(), Success)
	for _, tt := range []struct {
		change Params
		want   string
	}{
		{Params{"vnp_TxnRef": "x"}, "91"},
		{Params{"vnp_TransactionDate": "20261121140001"}, "91"},
		{Params{"vnp_TmnCode": "X"}, "02"},
		{Params{"vnp_Command": "refund"}, "03"},
		{Params{"vnp_RequestId": ""}, "03"},
		{Params{"vnp_TmnCode": "H57DEMO1"}, "97"},
	} {
		p := merge(Params{
			"vnp_RequestId": "r1", "vnp_Version": "2.1.0", "vnp_Command": "querydr", "vnp_TmnCode": "H36DEMO1", "vnp_TxnRef": "ref-1",
			"vnp_TransactionDate": "20261121140000", "vnp_CreateDate": "20261121141000", "vnp_IpAddr": "127.0.0.1", "vnp_OrderInfo": "x",
		}, tt.change)
		p[hashName] = mac(p.joined(queryFields), secret)
		body, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var got Params
		if err := json.Unmarshal(c.do(http.MethodPost, "/api/query", "application/json", string(body)).Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got["vnp_ResponseCode"] != tt.want {
			t.Errorf("query with %v = %v; want %s", tt.change, got, tt.want)
		}
	}
	if got := c.do(http.MethodPost, "/api/query", "application/json", "[1]").Body.String(); !strings.Contains(got, `"03"`) {
		t.Errorf("broken body = %s", got)
	}
	// The same question as a form.
	form := Params{"vnp_RequestId": "r2", "vnp_Command": "querydr", "vnp_TmnCode": "H36DEMO1", "vnp_TxnRef": "ref-1"}
	var got Params
	if err := json.Unmarshal(c.do(http.MethodPost, "/api/query", formType, SignedQuery(form, secret)).Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if !verify(got, secret) || got["vnp_TransactionStatus"] != "00" {
		t.Errorf("query by form = %v", got)
	}
}

func TestRefund(t *testing.T) {
	c := newTown(t)
	c.press(request(), Success)
	give := func(kind, sum string) string {
		p := Params{
			"vnp_RequestId": "r1", "vnp_Version": "2.1.0", "vnp_Command": "refund", "vnp_TmnCode": "H36DEMO1", "vnp_TransactionType": kind, "vnp_TxnRef": "ref-1",
			"vnp_Amount": sum, "vnp_TransactionNo": "0", "vnp_TransactionDate": "20261121140000", "vnp_CreateBy": "h36.lan", "vnp_CreateDate": "20261121150000",
			"vnp_IpAddr": "127.0.0.1", "vnp_OrderInfo": "Hoàn",
		}
		p[hashName] = mac(p.joined(refundFields), secret)
		return c.post("/api/refund", p, refundAnswerFields)["vnp_ResponseCode"]
	}
	for _, tt := range [][3]string{
		{"02", "2400000", "04"}, {"03", "500000", "00"}, {"03", "2100000", "04"}, {"02", "2500000", "04"}, {"03", "2000000", "00"}, {"03", "100", "94"}, {"01", "100", "03"},
	} {
		if got := give(tt[0], tt[1]); got != tt[2] {
			t.Errorf("refund %s %s = %s; want %s", tt[0], tt[1], got, tt[2])
		}
	}
	if p, _ := c.bank.Payment("H36DEMO1", "ref-1"); p.Status != Refunded || p.RefundedSum != 25000 {
		t.Errorf("payment = %+v", p)
	}
	failed := newTown(t)
	failed.press(request(), Cancel)
	c = failed
	if got := give("02", "2500000"); got != "95" {
		t.Errorf("refund of what was not paid = %s", got)
	}
}

func TestRunSendsAndStops(t *testing.T) {
	c := newTown(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.bank.Run(ctx) }()
	arrived := make(chan struct{})
	c.bank.opt.Client.Transport = carrier(func(r *http.Request) (*http.Response, error) {
		defer close(arrived)
		return http.DefaultTransport.RoundTrip(r)
	})
	c.press(request(), Success)
	<-arrived
	cancel()
	<-done
}

type carrier func(*http.Request) (*http.Response, error)

func (f carrier) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNewReportsEveryFault(t *testing.T) {
	c := newTown(t)
	c.opt.Merchants = []Merchant{{Code: "A", Secret: "s", Name: "A", NoticeURL: "ftp://x"}, {Code: "A", Name: "B", NoticeURL: "http://x/"}}
	_, err := New(c.opt)
	if err == nil {
		t.Fatal("faulty merchants were taken")
	}
	for _, want := range []string{"notice address", "listed twice", "secret"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q: %v", want, err)
		}
	}
}
