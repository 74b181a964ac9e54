package oversightpage

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"truc/internal/i18n"
	"truc/internal/oversight"
	"truc/internal/oversight/oversightstore"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

var now = time.Date(2026, 11, 21, 7, 5, 0, 0, time.UTC)

type site struct {
	http.Handler
	store *oversightstore.Store
}

func newSite(t testing.TB, agencies ...oversight.Agency) site {
	t.Helper()
	db := storagetest.OpenSQLite(t)
	sub, err := fs.Sub(oversightstore.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Migrate(t.Context(), db, "oversight", sub, now); err != nil {
		t.Fatal(err)
	}
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: cat, Site: ui.Site{Name: i18n.Text{"vi": "Cổng dịch vụ công", "en": "Public services"}, Phase: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	store := &oversightstore.Store{DB: db}
	svc := &oversight.Service{
		Store: store, Agencies: func() []oversight.Agency { return agencies }, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler), MinRatings: 3,
		Title: func(code string) i18n.Text {
			return map[string]i18n.Text{"1.001193": {"vi": "Đăng ký khai sinh", "en": "Birth registration"}, "2.000635": {"vi": "Cấp bản sao trích lục hộ tịch"}}[code]
		},
	}
	pages := &Pages{Service: svc, Renderer: rd, Messages: cat, Now: svc.Now}
	mux := web.NewMux(web.Options{Lang: cat, Renderer: rd, Log: slog.New(slog.DiscardHandler)})
	if err := pages.Mount(mux); err != nil {
		t.Fatal(err)
	}
	mux.Mount("GET /assets/", rd.Assets())
	return site{web.Chain(mux, web.Language(false)), store}
}

func (s site) get(t testing.TB, address, lang string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, address, nil)
	r.AddCookie(&http.Cookie{Name: web.LangCookie, Value: lang})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r.WithContext(reqctx.WithLang(r.Context(), lang)))
	return w
}

// fill gives an agency n dossiers of every kind.
func (s site) fill(t testing.TB, agency string, n int) {
	t.Helper()
	var facts []oversight.Fact
	add := func(dossier int, kind string, national int, at, due time.Time, stars int) {
		procedure := "1.001193"
		if dossier%3 == 0 {
			procedure = "2.000635"
		}
		facts = append(facts, oversight.Fact{
			Seq: int64(len(facts) + 1), Agency: agency, Dossier: fmt.Sprintf("%s.14-261102-%04d", agency, dossier), Unit: agency + ".14", Procedure: procedure, Mode: "full",
			Channel: "online", State: kind, Kind: kind, National: national, At: at, Due: due, Stars: stars, Paused: national == 5,
		})
	}
	day := func(d int) time.Time { return time.Date(2026, 11, d, 2, 30, 0, 0, time.UTC) }
	for i := range n {
		due := day(9)
		add(i, "submitted", 1, day(2), time.Time{}, 0)
		if i%10 == 9 {
			continue
		}
		add(i, "received", 2, day(3), due, 0)
		switch i % 10 {
		case 7: // overdue
		case 8:
			add(i, "supplementRequested", 5, day(5), due, 0)
		case 6:
			add(i, "withdrawn", 7, day(6), due, 0)
		case 5:
			add(i, "extended", 4, day(8), day(16), 0)
			add(i, "signed", 9, day(18), day(16), 0)
		default:
			add(i, "signed", 9, day(6+i%3), due, 0)
			add(i, "delivered", 10, day(10), due, 0)
			if i%2 == 0 {
				add(i, "rated", 10, day(11), due, 4)
			}
		}
	}
	ctx := t.Context()
	for len(facts) > 0 {
		page := facts[:min(len(facts), oversight.PageSize)]
		if err := s.store.Append(ctx, agency, page); err != nil {
			t.Fatal(err)
		}
		facts = facts[len(page):]
	}
	if err := s.store.PutOffers(ctx, agency, []oversight.Offer{{Procedure: "1.001193", Version: "2026-07-01", Mode: "full", Offices: 2}, {Procedure: "2.000635", Version: "2026-07-01", Mode: "partial", Offices: 124}}); err != nil {
		t.Fatal(err)
	}
	if err := s.store.Answered(ctx, agency, now); err != nil {
		t.Fatal(err)
	}
}

var (
	lamDong = oversight.Agency{Code: "H36", Name: i18n.Text{"vi": "UBND tỉnh Lâm Đồng", "en": "Lâm Đồng Province"}}
	hue     = oversight.Agency{Code: "H57", Name: i18n.Text{"vi": "UBND thành phố Huế", "en": "Huế City"}}
)

func checkPage(t *testing.T, w *httptest.ResponseRecorder, status int) string {
	t.Helper()
	body := w.Body.String()
	if w.Code != status {
		t.Fatalf("status = %d; want %d\n%s", w.Code, status, body)
	}
	if n := strings.Count(body, "<h1"); n != 1 {
		t.Errorf("%d h1", n)
	}
	for _, bad := range []string{"[oversight.", "ZgotmplZ", "style=", "<script>", "{count}", "%!"} {
		if strings.Contains(body, bad) {
			i := strings.Index(body, bad)
			t.Errorf("the page holds %q: …%s", bad, body[i:min(i+60, len(body))])
		}
	}
	return body
}

func TestOverview(t *testing.T) {
	s := newSite(t, lamDong, hue)
	s.fill(t, "H36", 40)
	if err := s.store.Failed(t.Context(), "H57", "exchange.peer_unreachable", now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	body := checkPage(t, s.get(t, "/oversight", "vi"), 200)
	for _, want := range []string{
		"UBND tỉnh Lâm Đồng", "UBND thành phố Huế", "Số liệu lúc 14:05 21/11/2026", "1/2 cơ quan không trả lời", "im lặng từ 13:05 21/11/2026; chưa có số liệu nào",
		"Tháng 11/2026", "Quý 4/2026", "Năm 2026", "Từ trước đến nay", "Tất cả cơ quan", `href="/oversight/H36/received"`, "toàn trình",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	body = checkPage(t, s.get(t, "/oversight?period=year", "en"), 200)
	for _, want := range []string{"Lâm Đồng Province", "1 of 2 agencies do not answer", `href="/oversight/H36/received?period=year"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the English page lacks %q", want)
		}
	}
}

func TestNobodyYet(t *testing.T) {
	body := checkPage(t, newSite(t).get(t, "/oversight", "vi"), 200)
	if !strings.Contains(body, "Chưa có cơ quan nào tiếp nhận hồ sơ") {
		t.Error("the empty page does not say what will appear")
	}
	s := newSite(t, lamDong)
	body = checkPage(t, s.get(t, "/oversight", "vi"), 200)
	if !strings.Contains(body, "Chưa nhận được số liệu nào") || strings.Contains(body, "0,0 %") {
		t.Error("an agency without facts: what is missing is not said, or shown as zero")
	}
	if body := checkPage(t, s.get(t, "/oversight/H36", "vi"), 200); !strings.Contains(body, "Chưa có thủ tục và hồ sơ nào") {
		t.Error("an agency without facts: no empty state")
	}
	checkPage(t, s.get(t, "/oversight/H36/late", "vi"), 200)
}

var (
	countLink = regexp.MustCompile(`<a href="([^"]+)" data-count="([a-z-]+)">([^<]*)</a>`)
	itemMark  = regexp.MustCompile(`data-item`)
)

// TestEveryNumberOpensItsList follows each number of the pages and counts the rows of what opens.
func TestEveryNumberOpensItsList(t *testing.T) {
	s := newSite(t, lamDong, hue)
	s.fill(t, "H36", 130)
	s.fill(t, "H57", 1)
	for _, page := range []string{"/oversight", "/oversight?period=all", "/oversight/H36", "/oversight/H57?period=quarter", "/oversight/all"} {
		body := checkPage(t, s.get(t, page, "vi"), 200)
		links := countLink.FindAllStringSubmatch(body, -1)
		if len(links) < 14 {
			t.Fatalf("%s has %d numbers", page, len(links))
		}
		for _, l := range links {
			if l[2] == "on-time" {
				continue
			}
			want, err := strconv.Atoi(strings.ReplaceAll(l[3], ".", ""))
			if err != nil {
				t.Fatalf("%s: %q is no number", page, l[3])
			}
			address := strings.ReplaceAll(l[1], "&amp;", "&")
			rows := 0
			for n := 1; n <= 1+(want-1)/pageSize || n == 1; n++ {
				sep := "?"
				if strings.Contains(address, "?") {
					sep = "&"
				}
				rows += len(itemMark.FindAllString(checkPage(t, s.get(t, address+sep+"page="+strconv.Itoa(n), "vi"), 200), -1))
			}
			if rows != want {
				t.Errorf("%s: %s is %d, its list %s has %d rows", page, l[2], want, address, rows)
			}
		}
	}
}

// TestRateHasCompanions holds §7.2: wherever the on-time rate stands, so do extensions and what ended otherwise.
func TestRateHasCompanions(t *testing.T) {
	s := newSite(t, lamDong)
	s.fill(t, "H36", 40)
	for _, page := range []string{"/oversight", "/oversight/H36"} {
		body := s.get(t, page, "vi").Body.String()
		for _, row := range strings.Split(body, `<tr role="row"`)[2:] {
			if !strings.Contains(row, `data-count="on-time"`) {
				continue
			}
			for _, c := range []string{"extensions", "supplements", "otherwise", "refused", "withdrawn", "stopped", "paused", "late"} {
				if !strings.Contains(row, `data-count="`+c+`"`) {
					t.Errorf("%s: the on-time rate stands without %s", page, c)
				}
			}
		}
		if !strings.Contains(body, "gia hạn 4") {
			t.Errorf("%s: the figure stands without its extensions", page)
		}
	}
}

func TestErrors(t *testing.T) {
	s := newSite(t, lamDong)
	for _, address := range []string{"/oversight/H99", "/oversight/H36/nonsense", "/oversight/H99/late", "/oversight/H99.csv", "/oversight/H36/late.xml"} {
		if w := s.get(t, address, "vi"); w.Code != 404 {
			t.Errorf("%s = %d; want 404", address, w.Code)
		}
	}
	s.fill(t, "H36", 3)
	for _, address := range []string{"/oversight/H36/done?page=-1", "/oversight/H36/done?page=99999999999999999999", "/oversight/H36/done?page=7", "/oversight/H36/done?period=x&procedure=y"} {
		checkPage(t, s.get(t, address, "vi"), 200)
	}
}

func TestDefinitions(t *testing.T) {
	s := newSite(t, lamDong)
	for _, l := range i18n.Langs {
		body := checkPage(t, s.get(t, "/oversight/definitions", l), 200)
		for _, n := range oversight.Numbers() {
			if !strings.Contains(body, `id="`+n.Name+`"`) {
				t.Errorf("%s: %s is not defined", l, n.Name)
			}
		}
		if strings.Contains(body, "[") || strings.Contains(body, "{") {
			t.Errorf("%s: a message is missing or not filled in", l)
		}
	}
}

func TestFiles(t *testing.T) {
	s := newSite(t, oversight.Agency{Code: "H36", Name: i18n.Text{"vi": "=HYPERLINK(\"x\")"}})
	s.fill(t, "H36", 60)
	for _, address := range []string{"/oversight.csv", "/oversight/H36.csv?period=all", "/oversight/H36/received.csv", "/oversight/all/late.csv", "/oversight/H36/offered.csv"} {
		w := s.get(t, address, "vi")
		body := w.Body.Bytes()
		if w.Code != 200 || !bytes.HasPrefix(body, []byte("\ufeff")) || !bytes.Contains(body, []byte("\r\n")) || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
			t.Fatalf("%s: status %d, %q, %q", address, w.Code, w.Header().Get("Content-Type"), body[:min(20, len(body))])
		}
		rows, err := csv.NewReader(bytes.NewReader(body[3:])).ReadAll()
		if err != nil || len(rows) < 2 {
			t.Errorf("%s: %d rows, %v", address, len(rows), err)
		}
		if bytes.Contains(body, []byte(",=")) || bytes.Contains(body, []byte(",\"=")) {
			t.Errorf("%s holds a formula", address)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(s.get(t, "/oversight/H36/received.csv", "vi").Body.String(), "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 55 {
		t.Errorf("received.csv has %d rows, %v; want 54 dossiers and a head", len(rows), err)
	}
	for address, want := range map[string]string{
		"/oversight.json": `"received":54`, "/oversight/H36.json": `"procedure":"1.001193"`, "/oversight/H36/late.json": `"count":6`, "/oversight/H36/stopped.json": `"items":[]`,
	} {
		w := s.get(t, address, "en")
		var v map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d, %v", address, w.Code, err)
		}
		for _, k := range []string{"computed", "period", "definitionVersion", "definitions"} {
			if v[k] == nil {
				t.Errorf("%s lacks %q", address, k)
			}
		}
		if compact := strings.NewReplacer(" ", "", "\n", "").Replace(w.Body.String()); !strings.Contains(compact, want) {
			t.Errorf("%s lacks %s:\n%s", address, want, w.Body.String())
		}
	}
}

// TestNoSingleRatings: raters are anonymous to officers, so no list and no file says how a dossier was rated.
func TestNoSingleRatings(t *testing.T) {
	s := newSite(t, lamDong)
	s.fill(t, "H36", 30)
	for _, address := range []string{"/oversight/H36/rated.json", "/oversight/H36/rated.csv"} {
		body := s.get(t, address, "en").Body.String()
		if strings.Contains(body, "stars") || !strings.Contains(body, "H36.14-261102-0000") {
			t.Errorf("%s:\n%s", address, body)
		}
	}
}

func TestManyAgencies(t *testing.T) {
	var many []oversight.Agency
	for i := range 63 {
		many = append(many, oversight.Agency{Code: fmt.Sprintf("H%02d", i+1), Name: i18n.Text{"vi": "Sở Nông nghiệp và Môi trường tỉnh số " + strconv.Itoa(i+1)}})
	}
	s := newSite(t, many...)
	s.fill(t, "H36", 40)
	body := checkPage(t, s.get(t, "/oversight", "vi"), 200)
	if n := strings.Count(body, `<th scope="row" role="rowheader">`); n != 64 {
		t.Errorf("%d lines; want 63 agencies and their sum", n)
	}
}
