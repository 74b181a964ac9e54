package exchangepage

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/web/ui"
	"truc/lang"
)

// monitor adds the monitoring pages to a fixture, with one finding of each light.
func monitor(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	if err != nil {
		t.Fatal(err)
	}
	d := &exchange.Diagnostics{Now: time.Now, Checks: []func(context.Context) []exchange.Finding{f.service.CheckSelf, func(context.Context) []exchange.Finding {
		return []exchange.Finding{
			{Name: "directory", Light: exchange.LightWarn, Key: "exchange.diag.directory_stale", Args: []any{"version", 7, "minutes", int64(90)}, Todo: "exchange.diag.directory_todo"},
			{Name: "log", Light: exchange.LightBad, Key: "exchange.diag.log_failed", Todo: "exchange.diag.log_todo"},
		}
	}}}
	operations := &exchangeapi.ManageDiagnostics{Service: f.service, Store: f.store, Diagnostics: d, Node: "VN/GOV/G01/node1", Text: cat.T, Now: time.Now}
	if err := (&MonitorPages{
		Service: f.service, Store: f.store, Directory: f.directory, Diagnostics: d, Report: operations.Report, Renderer: rd, Now: time.Now,
		CertificateEnds: func(string) time.Time { return time.Now().Add(5*24*time.Hour + time.Hour) },
		Audit: func(_ context.Context, actor, action, object string) error {
			f.audited = append(f.audited, actor+" "+action+" "+object)
			return nil
		},
	}).Mount(f.mux); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestMonitorPages(t *testing.T) {
	f := monitor(t)
	for path, want := range map[string]string{"/exchange/admin/partners": "tr-empty", "/exchange/admin/faults": "tr-empty"} {
		if status, body := f.do(t, "GET", path, "vi", nil, "admin"); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s when nothing happened: %d, %s wanted", path, status, want)
		}
	}
	call := exchange.Call{
		From: orgcode.Subsystem{Instance: "VN", Class: "GOV", Member: "G01", Code: "population"},
		To:   orgcode.Service{Instance: "VN", Class: "GOV", Member: "G01", Subsystem: "population", Code: "person"}, Path: "/person/099204000123", ID: "VN-1", Dossier: "H36-1",
	}
	if _, err := f.service.Call(t.Context(), call); err == nil {
		t.Fatal("a call without purpose went through")
	}
	if err := f.service.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := f.store.Recent(t.Context(), exchange.Filter{Faults: true})
	if err != nil || len(rows) == 0 {
		t.Fatalf("%+v, %v", rows, err)
	}
	for _, tt := range []struct {
		path string
		want []string
		not  string
	}{
		{"/exchange/admin/diagnostics", []string{"90", "tr-tag--late", "tr-tag--soon", "tr-tag--done", "VN/GOV/G01/population/person"}, ""},
		{"/exchange/admin/partners", []string{"Bộ Công an", "VN/GOV/G01/node1", "tr-tag--soon", "/exchange/admin/faults?peer="}, "tr-empty"},
		{"/exchange/admin/faults", []string{"server.serverproxy.purpose_required", rows[0].FaultID}, "tr-empty"},
		{"/exchange/admin/faults?code=server.serverproxy.access_denied", []string{"tr-empty"}, "VN-1"},
		{"/exchange/admin/faults?id=" + rows[0].FaultID, []string{rows[0].TraceID, "VN-1", "tr-summary"}, ""},
		{"/exchange/admin", []string{"<svg", "/exchange/admin/diagnostics"}, ""},
	} {
		for _, l := range i18n.Langs {
			status, body := f.do(t, "GET", tt.path, l, nil, "admin")
			if status != http.StatusOK {
				t.Fatalf("%s: status %d\n%s", tt.path, status, body)
			}
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("%s (%s) lacks %q", tt.path, l, want)
				}
			}
			if tt.not != "" && strings.Contains(body, tt.not) {
				t.Errorf("%s (%s) shows %q", tt.path, l, tt.not)
			}
			if strings.Contains(body, "099204000123") || strings.Contains(body, "[exchange.") || strings.Contains(body, "ZgotmplZ") {
				t.Errorf("%s (%s) shows a person's number or lacks a text:\n%s", tt.path, l, body)
			}
		}
		if status, _ := f.do(t, "GET", tt.path, "vi", nil, "reception"); status != http.StatusForbidden {
			t.Errorf("%s for another role: status %d", tt.path, status)
		}
	}
}

func TestDiagnosticsReport(t *testing.T) {
	f := monitor(t)
	status, body := f.do(t, "POST", "/exchange/admin/diagnostics/report", "vi", url.Values{}, "admin")
	var report exchangeapi.DiagnosticsReport
	if err := json.Unmarshal([]byte(body), &report); status != http.StatusOK || err != nil {
		t.Fatalf("the report = %d, %v", status, err)
	}
	i := slices.IndexFunc(report.Findings, func(r exchangeapi.ReportFinding) bool { return r.Name == "log" })
	if report.Light != exchange.LightBad || i < 0 || report.Findings[i].Todo == "" || !strings.Contains(report.Findings[i].Text, "nhật ký") || report.Process.Goroutines == 0 {
		t.Errorf("the report = %+v", report)
	}
	if !slices.Equal(f.audited, []string{"lan exchange.diagnostics.export "}) {
		t.Errorf("audited %q", f.audited)
	}
}

func TestOperatorPages(t *testing.T) {
	f := newFixture(t)
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	if err != nil {
		t.Fatal(err)
	}
	ops := &exchange.Operators{Store: f.store, Now: time.Now}
	audit := func(_ context.Context, actor, action, object string) error {
		f.audited = append(f.audited, actor+" "+action+" "+object)
		return nil
	}
	if err := (&OperatorPages{Operators: ops, Audit: audit, Renderer: rd}).Mount(f.mux); err != nil {
		t.Fatal(err)
	}
	const path = "/exchange/admin/operators"
	if status, body := f.do(t, "GET", path, "vi", nil, "admin"); status != http.StatusOK || !strings.Contains(body, "tr-empty") {
		t.Errorf("without keys: %d", status)
	}
	if status, body := f.do(t, "POST", path, "vi", url.Values{"label": {" "}, "roles": {"root"}}, "admin"); status != http.StatusUnprocessableEntity || strings.Count(body, "tr-field--error") != 2 {
		t.Errorf("a wrong form = %d with %d faults beside fields", status, strings.Count(body, "tr-field--error"))
	}
	if status, _ := f.do(t, "POST", path, "vi", url.Values{"label": {"x"}, "roles": {"system"}}, "reception"); status != http.StatusForbidden {
		t.Errorf("another role makes a key: %d", status)
	}
	status, body := f.do(t, "POST", path, "vi", url.Values{"label": {"giám sát"}, "roles": {"system", "observer"}}, "admin")
	_, after, found := strings.Cut(body, "<code>")
	secret, _, _ := strings.Cut(after, "</code>")
	k, err := ops.Find(t.Context(), secret)
	if status != http.StatusOK || !found || err != nil || k.CreatedBy != "lan" {
		t.Fatalf("create = %d, %v, %+v", status, err, k)
	}
	if _, body := f.do(t, "GET", path, "vi", nil, "admin"); strings.Contains(body, secret) || !strings.Contains(body, "giám sát") {
		t.Error("the list shows the secret, or not the key")
	}
	if status, _ := f.do(t, "POST", path+"/revoke", "vi", url.Values{"id": {k.ID}}, "admin"); status != http.StatusSeeOther {
		t.Errorf("revoke = %d", status)
	}
	if _, err := ops.Find(t.Context(), secret); err == nil {
		t.Error("the revoked key works")
	}
	if want := []string{"lan exchange.operator.create giám sát", "lan exchange.operator.revoke " + k.ID}; !slices.Equal(f.audited, want) {
		t.Errorf("audited %q; want %q", f.audited, want)
	}
}
