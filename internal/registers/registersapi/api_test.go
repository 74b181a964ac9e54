package registersapi

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/registers"
	"truc/internal/registers/registersstore"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/lang"
)

const (
	ha  = "099190000101"
	bao = "099088000102"
)

var day = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

// book is a fake access log that answers too.
type book struct {
	lines []registers.Access
	err   error
}

func (b *book) RecordAccess(_ context.Context, lines ...registers.Access) error {
	if b.err == nil {
		b.lines = append(b.lines, lines...)
	}
	return b.err
}

func (b *book) Usage(_ context.Context, q registers.UsageQuery) (p registers.UsagePage, err error) {
	for i, line := range slices.Backward(b.lines) {
		if line.SubjectID == q.SubjectID {
			p.Total++
			if p.Total > q.Offset && len(p.Lines) < q.Limit {
				p.Lines = append(p.Lines, registers.UsageLine{LineID: "l" + string(rune('0'+i)), Access: line})
			}
		}
	}
	return p, b.err
}

func (b *book) Withheld(context.Context, string) ([]registers.Withheld, error) {
	return []registers.Withheld{{Count: 3, Article: "Điều 9", ReleaseOn: day}}, b.err
}

func (b *book) Receipt(_ context.Context, _, line string) ([]byte, error) {
	if line != "l0" {
		return nil, errs.E(errs.NotFound, "audit.line_unknown", nil)
	}
	return []byte("PK"), b.err
}

func (b *book) Since(context.Context) (time.Time, error) { return day, b.err }

func newAPI(t testing.TB) (*API, *book) {
	t.Helper()
	db := storagetest.OpenSQLite(t)
	if err := storage.Migrate(context.Background(), db, "registers", sub(t), day); err != nil {
		t.Fatal(err)
	}
	all, err := registers.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	log := &book{}
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	svc := &registers.Service{Schemas: all, Store: &registersstore.Store{DB: db}, Log: log, Now: func() time.Time { return day }, TagKey: []byte("k")}
	_, err = svc.Append(context.Background(), "population", []registers.Draft{
		{ValidFrom: "2020", Basis: "test", Values: registers.Values{"personalId": ha, "fullName": "Nguyễn Thị Thu Hà", "birthDate": "1990-04-12", "birthPlace.communeName": "Phường Xuân Hương - Đà Lạt"}},
		{ValidFrom: "2020", Basis: "test", Values: registers.Values{"personalId": bao, "fullName": "Trần Quốc Bảo", "birthDate": "1988-11-30"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &API{Service: svc, Usage: log, Log: slog.New(slog.DiscardHandler), Text: cat.T, Now: func() time.Time { return day }}, log
}

var desk = reqctx.Caller{Subsystem: "VN/GOV/H36/onestop", Agency: "H36", Name: "Lâm Đồng", Activity: "verify-dossier", Dossier: "H36-1", ExchangeID: "x1"}

func call(h http.Handler, c reqctx.Caller, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r = r.WithContext(reqctx.WithCaller(r.Context(), c))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPerson(t *testing.T) {
	const good = `{"type":"ByPersonalId","personalId":"` + ha + `","fullName":"Nguyễn Thị Thu Hà","fields":["fullName","birthPlace.communeName"]}`
	tests := []struct {
		name   string
		caller reqctx.Caller
		path   string
		body   string
		status int
		want   string
	}{
		{"query", desk, "/query", good, 200, `{"type":"ByPersonalId","records":[{"birthPlace":{"communeName":"Phường Xuân Hương - Đà Lạt"},"fullName":"Nguyễn Thị Thu Hà"}]}`},
		{"decomposed letters", desk, "/query", norm.NFD.String(good), 200, `"records":[{`},
		{"with context", desk, "/query", strings.Replace(good, `{`, `{"context":{"activity":"verify-dossier","dossier":"H36-1"},`, 1), 200, `"records":[{`},
		{"another context", desk, "/query", strings.Replace(good, `{`, `{"context":{"activity":"prefill"},`, 1), 403, `registers.purpose_mismatch`},
		{"unknown member of context", desk, "/query", strings.Replace(good, `{`, `{"context":{"activty":"x"},`, 1), 400, `{"name":"context","code":"invalid","reason":"không hợp lệ"}`},
		{"nobody", desk, "/query", strings.Replace(good, ha, "099190999999", 1), 200, `"records":[]`},
		{"no caller", reqctx.Caller{}, "/query", good, 403, `registers.caller_unknown`},
		{"no purpose", reqctx.Caller{Subsystem: "VN/GOV/H36/onestop", Activity: "verify-dossier"}, "/query", good, 403, `registers.purpose_required`},
		{"denied field", desk, "/query", strings.Replace(good, `"fullName","birth`, `"ethnicity","birth`, 1), 403, `"code":"registers.field_denied"`},
		{"unknown member", desk, "/query", strings.Replace(good, `{`, `{"shoe":"38",`, 1), 400, `"invalidParams":[{"name":"shoe","code":"unknown"`},
		{"member twice", desk, "/query", strings.Replace(good, `{`, `{"personalId":"x",`, 1), 400, `{"name":"personalId","code":"invalid"`},
		{"not a text", desk, "/query", strings.Replace(good, `"`+ha+`"`, `99190000101`, 1), 400, `{"name":"personalId","code":"invalid"`},
		{"no fields", desk, "/query", `{"type":"ByPersonalId","personalId":"` + ha + `","fullName":"x"}`, 400, `{"name":"fields","code":"required"`},
		{"not JSON", desk, "/query", `personalId=1`, 400, `registers.body_invalid`},
		{"two values", desk, "/query", good + good, 400, `registers.body_invalid`},
		{"too large", desk, "/query", `{"a":"` + strings.Repeat("x", maxBody) + `"}`, 413, `registers.body_too_large`},
		{"unknown operation", desk, "/dump", good, 404, `registers.operation_unknown`},
		{"match", desk, "/match", `{"type":"ByPersonalId","personalId":"` + ha + `","birthDate":"1990-04-12","attributes":{"fullName":"Lê Lan","sex":"male"}}`, 200, `[{"attributeName":"fullName","errorCode":1},{"attributeName":"sex","errorCode":0}]`},
		{"match of all", desk, "/match", `{"type":"ByPersonalId","personalId":"` + ha + `","birthDate":"1990-04-12","attributes":{"fullName":"Nguyễn Thị Thu Hà"}}`, 200, `[]`},
		{"match of nobody", desk, "/match", `{"type":"ByPersonalId","personalId":"` + ha + `","birthDate":"1991-04-12","attributes":{"sex":"male"}}`, 404, `registers.not_found`},
		{"verify", desk, "/verify", `{"type":"ByPersonalId","personalId":"` + ha + `","fullName":"Nguyễn Thị Thu Hà","conditions":[{"attributeName":"birthDate","operator":"<","value":"2008-11-21"}]}`, 200, `true`},
		{"verify without conditions", desk, "/verify", `{"type":"ByPersonalId","personalId":"` + ha + `","fullName":"x"}`, 400, `{"name":"conditions","code":"required"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api, _ := newAPI(t)
			w := call(api.Records("population"), tt.caller, "POST", tt.path, tt.body)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("POST %s = %d %s; want %d with %s", tt.path, w.Code, w.Body, tt.status, tt.want)
			}
			if tt.status >= 400 {
				if strings.Contains(w.Body.String(), ha) || strings.Contains(w.Body.String(), "Thu Hà") {
					t.Errorf("the error repeats personal data: %s", w.Body)
				}
				if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
					t.Errorf("Content-Type = %q", got)
				}
			}
		})
	}
}

func TestUnloggedIsUndelivered(t *testing.T) {
	api, log := newAPI(t)
	log.err = errors.New("disk full")
	w := call(api.Records("population"), desk, "POST", "/query", `{"type":"ByPersonalId","personalId":"`+ha+`","birthDate":"1990-04-12","fields":["fullName"]}`)
	if w.Code != 503 || strings.Contains(w.Body.String(), "Hà") || w.Header().Get("Truc-Delivered") != "" {
		t.Errorf("answer = %d %v %s; want 503 and no data", w.Code, w.Header(), w.Body)
	}
}

func self(user string) reqctx.Caller {
	return reqctx.Caller{Subsystem: "VN/GOV/G22/portal", Activity: "usage-self", UserID: user}
}

func TestUsage(t *testing.T) {
	api, _ := newAPI(t)
	for range 2 {
		call(api.Records("population"), desk, "POST", "/query", `{"type":"ByPersonalId","personalId":"`+ha+`","birthDate":"1990-04-12","fields":["fullName"]}`)
	}
	api.Represents = func(who, whom string) bool { return who == bao && whom == ha }
	usages := `{"logtime":"2026-11-21T10:00:00+07:00","action":"Kiểm tra thông tin khi giải quyết hồ sơ thủ tục hành chính","receiverCode":"H36","receiverName":"Lâm Đồng","receiverSystem":"VN/GOV/H36/onestop"}`
	tests := []struct {
		name         string
		caller       reqctx.Caller
		method, path string
		body         string
		status       int
		want         string
	}{
		{"both lines", self("VN" + ha), "GET", "/findUsage?userCode=VN" + ha, "", 200, `{"totalUsages":2,"usages":[` + usages + "," + usages + `]}`},
		{"the v2 path, one page", self(ha), "GET", "/v2/findUsage?userCode=VN" + ha + "&offset=1&limit=5", "", 200, `{"totalUsages":2,"usages":[` + usages + `]}`},
		{"somebody else's", self("VN" + ha), "GET", "/findUsage?userCode=VN" + bao, "", 403, `registers.usage_self_only`},
		{"of a ward", self("VN" + bao), "GET", "/findUsage?userCode=VN" + ha, "", 200, `"totalUsages":2`},
		{"no user", self(""), "GET", "/findUsage?userCode=VN" + ha, "", 400, `registers.user_missing`},
		{"no userCode", self(ha), "GET", "/findUsage", "", 400, `{"name":"userCode","code":"required"`},
		{"bad limit", self(ha), "GET", "/findUsage?userCode=" + ha + "&limit=-1", "", 400, `{"name":"limit","code":"invalid"`},
		{"bad period", self(ha), "GET", "/findUsage?userCode=" + ha + "&periodStart=yesterday", "", 400, `{"name":"periodStart","code":"invalid"`},
		{"local time", self(ha), "GET", "/findUsage?userCode=" + ha + "&periodStart=2026-11-01T00:00:00", "", 200, `"totalUsages":2`},
		{"other activity", desk, "GET", "/findUsage?userCode=" + ha, "", 403, `registers.purpose_required`},
		{"period", self(ha), "GET", "/usagePeriod", "", 200, `{"periodStart":"2026-11-21T10:00:00+07:00"}`},
		{"heartbeat", reqctx.Caller{}, "GET", "/v2/heartbeat", "", 200, `{"status":"OK"}`},
		{"lines", self("VN" + ha), "POST", "/lines", `{"subject":"` + ha + `","limit":1}`, 200, `"labels":["Họ, chữ đệm và tên khai sinh"]`},
		{"withheld", self("VN" + ha), "POST", "/lines", `{}`, 200, `"withheld":[{"count":3,"article":"Điều 9","releaseOn":"2026-11-21"}]`},
		{"lines of somebody else", self("VN" + ha), "POST", "/lines", `{"subject":"` + bao + `"}`, 403, `registers.usage_self_only`},
		{"lines with an unknown member", self("VN" + ha), "POST", "/lines", `{"subjekt":"x"}`, 400, `{"name":"subjekt","code":"unknown"`},
		{"receipt", self("VN" + ha), "POST", "/receipt", `{"lineId":"l0"}`, 200, `PK`},
		{"receipt of nothing", self("VN" + ha), "POST", "/receipt", `{"lineId":"l9"}`, 404, `registers.line_unknown`},
		{"receipt without line", self("VN" + ha), "POST", "/receipt", `{}`, 400, `{"name":"lineId","code":"required"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := call(api.UsageService(), tt.caller, tt.method, tt.path, tt.body)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%s %s = %d %s; want %d with %s", tt.method, tt.path, w.Code, w.Body, tt.status, tt.want)
			}
		})
	}
}

func TestTexts(t *testing.T) {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	own := map[string][]string{}
	for _, l := range i18n.Langs {
		for _, k := range cat.Keys(l) {
			if strings.HasPrefix(k, "registers.") {
				own[l] = append(own[l], k)
			}
		}
	}
	if diff := cmp.Diff(own["vi"], own["en"]); diff != "" {
		t.Errorf("the languages have different keys:\n%s", diff)
	}
}

func fuzzBodies(f *testing.F) {
	for _, s := range []string{
		`{"type":"ByPersonalId","personalId":"099","fullName":"x","fields":["a"],"context":{"activity":"a"}}`,
		`{"type":"x","attributes":{"fullName":"x"}}`, `{"conditions":[{"attributeName":"a","operator":"<","value":"1"}]}`,
		`{"subject":"099190000101","offset":1,"limit":2,"from":"2026-01-01T00:00:00Z"}`, `{"lineId":"1"}`, `[]`, `{"a":1,"a":2}`, "{\"\xff\":1}", `{} {}`,
	} {
		f.Add([]byte(s))
	}
}

// The parsers never fail in another way than with a fault of the caller, and what they accept can be searched for.
func FuzzParse(f *testing.F) {
	fuzzBodies(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err1 := parseQuery(b)
		_, _, err2 := parseMatch(b)
		_, _, err3 := parseVerify(b)
		_, err4 := parseLines(b)
		_, _, err5 := parseReceipt(b)
		for _, err := range []error{err1, err2, err3, err4, err5} {
			if err != nil && !errs.Is(err, errs.Invalid) {
				t.Errorf("error %v is of kind %v; want Invalid", err, errs.KindOf(err))
			}
		}
	})
}

// Whatever body arrives, the handler answers with JSON and never with a 500.
func FuzzQueryHandler(f *testing.F) {
	fuzzBodies(f)
	api, _ := newAPI(f)
	h := api.Records("population")
	f.Fuzz(func(t *testing.T, b []byte) {
		w := call(h, desk, "POST", "/query", string(b))
		if w.Code == 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q = %d %s", b, w.Code, w.Body)
		}
	})
}

func sub(t testing.TB) fs.FS {
	t.Helper()
	dir, err := fs.Sub(registersstore.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
