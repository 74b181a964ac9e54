package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"truc/internal/audit"
	"truc/internal/audit/auditstore"
	"truc/internal/errs"
	"truc/internal/reqctx"
	"truc/internal/translog"
)

// managed is a node with an operator who may do everything.
type managed struct {
	t    *testing.T
	cfg  *Config
	node *Node
	stop func()
}

func startManaged(t *testing.T, cfg *Config) *managed {
	t.Helper()
	return startAhead(t, cfg, nil)
}

// startAhead is startManaged with a clock that runs ahead of the real one by what ahead holds, in nanoseconds.
func startAhead(t *testing.T, cfg *Config, ahead *atomic.Int64) *managed {
	t.Helper()
	opt := Options{Config: cfg, Log: slog.New(slog.DiscardHandler)}
	if ahead != nil {
		opt.Now = func() time.Time { return time.Now().UTC().Truncate(time.Microsecond).Add(time.Duration(ahead.Load())) }
	}
	m := &managed{t: t, cfg: cfg}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var err error
	if m.node, err = Start(ctx, opt); err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- m.node.Run(ctx) }()
	<-m.node.Ready()
	m.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the node ended with %v", err)
		}
	}
	return m
}

func (m *managed) ask(want int, method, path string, in, out any) string {
	m.t.Helper()
	key, err := os.ReadFile(m.node.path("keys", OperatorKeyFile))
	if err != nil {
		m.t.Fatal(err)
	}
	body := ""
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			m.t.Fatal(err)
		}
		body = string(b)
	}
	r, err := http.NewRequestWithContext(m.t.Context(), method, m.cfg.Web.URL+"/api/exchange"+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Language", "en")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer json.RawMessage
	err = json.NewDecoder(res.Body).Decode(&answer)
	if res.StatusCode != want {
		m.t.Fatalf("%s %s = %d %s; want %d", method, path, res.StatusCode, answer, want)
	}
	if out != nil {
		if err := errors.Join(err, json.Unmarshal(answer, out)); err != nil {
			m.t.Fatal(err)
		}
	}
	return string(answer)
}

// acts returns the last acts, the newest first, as "actor action object", once one of them is there: the outbox carries
// them to the log.
func (m *managed) acts(last string) string {
	m.t.Helper()
	same, before := 0, ""
	for range 1000 {
		list, err := (&auditstore.Store{DB: m.node.db}).Acts(m.t.Context(), audit.ActQuery{Limit: 50})
		if err != nil {
			m.t.Fatal(err)
		}
		var out []string
		for _, a := range list {
			out = append(out, a.Actor+" "+a.Action+" "+a.Object)
		}
		text := strings.Join(out, "\n")
		if same++; text != before {
			same = 0
		}
		if before = text; same > 20 && strings.Contains(text, last) { // nothing more is on its way
			return text
		}
		time.Sleep(10 * time.Millisecond)
	}
	m.t.Fatalf("no act %q", last)
	return ""
}

// An operator lists the files of the logs, moves them, removes what is old and has the rest read; damage in the archive is
// found.
func TestManagedLogs(t *testing.T) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	cfg.Evidence.ArchiveDir, cfg.Evidence.ArchiveEncrypt, cfg.Evidence.SegmentMiB = filepath.Join(t.TempDir(), "archive"), true, 1
	m := startManaged(t, cfg)
	defer func() { m.stop() }()
	big := strings.Repeat("x", 60_000)
	for range 60 { // more than three files of a mebibyte
		if _, err := m.node.evidence.Append(t.Context(), []byte(`{"at":1000000,"pad":"`+big+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	var files struct {
		Origin        string
		Size, Minimum int64
		Closed        []struct {
			First, End, Bytes int64
			Archived          bool
		}
	}
	m.ask(200, "GET", "/logs/exchange/files", nil, &files)
	if len(files.Closed) < 3 || files.Closed[0].Archived || files.Minimum != 0 || files.Size < 60 {
		t.Fatalf("%+v", files)
	}
	var moved struct{ Moved int }
	m.ask(200, "POST", "/logs/exchange/archive", map[string]any{"keep": 1}, &moved)
	if moved.Moved != len(files.Closed)-1 {
		t.Errorf("moved %d of %d", moved.Moved, len(files.Closed))
	}
	var verified struct {
		Entries int64
		Good    bool
		Fault   string
	}
	m.ask(200, "POST", "/logs/exchange/verify", nil, &verified)
	if !verified.Good || verified.Entries < 60 {
		t.Errorf("%+v", verified)
	}
	stored, err := filepath.Glob(filepath.Join(cfg.Evidence.ArchiveDir, "exchange", "*.enc"))
	if err != nil || len(stored) != moved.Moved {
		t.Fatalf("the archive holds %v, %v", stored, err)
	}
	good, err := os.ReadFile(stored[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stored[0], good[:len(good)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	m.ask(200, "POST", "/logs/exchange/verify", nil, &verified)
	if verified.Good || verified.Fault == "" {
		t.Errorf("damage was not found: %+v", verified)
	}
	if err := os.WriteFile(stored[0], good, 0o600); err != nil {
		t.Fatal(err)
	}
	m.ask(400, "POST", "/logs/exchange/prune", map[string]any{"older_than_days": 0, "policy": "x"}, nil)
	m.ask(400, "POST", "/logs/exchange/prune", map[string]any{"older_than_days": 30, "policy": ""}, nil)
	m.ask(409, "POST", "/logs/audit/prune", map[string]any{"older_than_days": 30, "policy": "x"}, nil)
	m.ask(404, "GET", "/logs/other/files", nil, nil)
	m.ask(400, "POST", "/logs/exchange/archive", map[string]any{"keep": -1}, nil)
	var pruned struct{ Minimum int64 }
	m.ask(200, "POST", "/logs/exchange/prune", map[string]any{"older_than_days": 30, "policy": "Quyết định 12/QĐ-UBND"}, &pruned)
	if pruned.Minimum != files.Closed[len(files.Closed)-1].End {
		t.Errorf("pruned up to %d; want %d", pruned.Minimum, files.Closed[len(files.Closed)-1].End)
	}
	if st, err := translog.VerifyPruned(m.node.evidence.Pruned(), m.node.evidence.VerifierKey()); err != nil || st.Policy != "Quyết định 12/QĐ-UBND" {
		t.Errorf("statement %+v, %v", st, err)
	}
	m.ask(200, "POST", "/logs/exchange/verify", nil, &verified)
	if !verified.Good {
		t.Errorf("after pruning: %+v", verified)
	}
	m.ask(409, "POST", "/logs/audit/prune", map[string]any{"older_than_days": 31, "policy": "x"}, nil)
	m.ask(204, "PUT", "/limits", map[string]any{"items": []any{}}, nil)
	acts := m.acts("exchange.limits.set")
	for _, want := range []string{"exchange.log.archive exchange", "exchange.log.archive.failed exchange", "exchange.log.prune exchange", "exchange.log.prune.failed audit"} {
		if !strings.Contains(acts, want) {
			t.Errorf("acts lack %q:\n%s", want, acts)
		}
	}
}

// What an operator put stays over a start of the node, until it is taken back.
func TestLimitsOutlastAStart(t *testing.T) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	m := startManaged(t, cfg)
	limit := map[string]any{"consumer": "", "service": "portal/echo", "rate": "5/s", "burst": 0, "concurrent": 0, "bytes_per_second": 0, "daily": 7}
	bad := map[string]any{"consumer": "", "service": "portal/echo", "rate": "much", "burst": 0, "concurrent": 0, "bytes_per_second": 0, "daily": 0}
	m.ask(204, "PUT", "/limits", map[string]any{"items": []any{limit}}, nil)
	m.ask(400, "PUT", "/limits", map[string]any{"items": []any{bad}}, nil)
	shows := func(when string, want bool) {
		t.Helper()
		if got := m.ask(200, "GET", "/limits", nil, nil); strings.Contains(got, `"daily":7`) != want {
			t.Errorf("%s: %s", when, got)
		}
	}
	shows("put", true)
	m.stop()
	m = startManaged(t, cfg)
	shows("after a start", true)
	m.ask(204, "DELETE", "/limits", nil, nil)
	shows("taken back", false)
	m.stop()
	m = startManaged(t, cfg)
	shows("after another start", false)
	m.ask(204, "PUT", "/limits", map[string]any{"items": []any{}}, nil) // none at all is something else than the configuration's
	m.stop()
	if b, err := os.ReadFile(filepath.Join(cfg.DataDir, limitsFile)); err != nil || strings.TrimSpace(string(b)) != "[]" {
		t.Errorf("%q, %v", b, err)
	}
}

// An officer's act that is refused at a page is recorded as failed, whatever the page recorded before.
func TestFailedActsOfPages(t *testing.T) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	m := startManaged(t, cfg)
	defer func() { m.stop() }()
	try := func(pattern string, h func(w http.ResponseWriter, r *http.Request) error, who reqctx.Principal) {
		t.Helper()
		m.node.mux.Handle("POST "+pattern, h)
		r := httptest.NewRequestWithContext(reqctx.WithPrincipal(t.Context(), who), http.MethodPost, pattern, nil)
		m.node.mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	officer := reqctx.Principal{Kind: reqctx.Officer, ID: "lan"}
	refused := errs.E(errs.Conflict, "error.conflict", nil)
	try("/exchange/admin/t1", func(_ http.ResponseWriter, r *http.Request) error {
		return errors.Join(m.node.act(r.Context(), "lan", "exchange.key.create", "t1"), refused)
	}, officer)
	try("/exchange/admin/t2", func(w http.ResponseWriter, r *http.Request) error {
		err := m.node.act(r.Context(), "lan", "exchange.key.create", "t2")
		w.WriteHeader(http.StatusUnprocessableEntity) // a form that is shown again
		return err
	}, officer)
	try("/exchange/admin/t3", func(_ http.ResponseWriter, r *http.Request) error {
		return errors.Join(m.node.act(r.Context(), "lan", "exchange.key.create", "t3"), m.node.act(r.Context(), "lan", "exchange.key.create.failed", "t3"), refused)
	}, officer)
	try("/directory/admin/t4", func(http.ResponseWriter, *http.Request) error { return refused }, officer)
	try("/exchange/admin/t5", func(_ http.ResponseWriter, r *http.Request) error {
		return m.node.act(r.Context(), "lan", "exchange.key.create", "t5")
	}, officer)
	try("/exchange/admin/t6", func(http.ResponseWriter, *http.Request) error { return refused }, reqctx.Principal{})
	try("/exchange/admin/t7", func(_ http.ResponseWriter, r *http.Request) error {
		return m.node.act(r.Context(), "lan", "exchange.key.create", "t7")
	}, officer)
	acts := m.acts("exchange.key.create t7")
	for want, times := range map[string]int{
		"lan exchange.key.create.failed t1": 1, "lan exchange.key.create.failed t2": 1, "lan exchange.key.create.failed t3": 1,
		"lan directory.page.failed POST /directory/admin/t4": 1, "failed t5": 0, "t6": 0,
	} {
		if n := strings.Count(acts, want); n != times {
			t.Errorf("%q is recorded %d times, want %d:\n%s", want, n, times, acts)
		}
	}
}
