package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAgreementsCommand holds the command to what it sends; that the node understands it is exchangeapi's business.
func TestAgreementsCommand(t *testing.T) {
	var got string
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization") + " " + string(b)
		switch {
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/agreements"):
			_, _ = io.WriteString(w, `{"content_hash":"sha-256:new"}`)
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusNoContent)
		case strings.HasSuffix(r.URL.Path, "/agreements"):
			_, _ = io.WriteString(w, `{"items":[{"content_hash":"sha-256:a","state":"proposed","parties":["VN/GOV/G01","VN/GOV/H36"],"waiting":["VN/GOV/G01"],"not_after":1861920000}]}`)
		default:
			_, _ = io.WriteString(w, `{"content_hash":"sha-256:a","state":"valid","document":{"iv":"x"},"grant_hashes":["sha-256:g"],"statements":[{"type":"accept","member":"VN/GOV/H36","signed_at":1790000000}]}`)
		}
	}))
	t.Cleanup(node.Close)
	dir := t.TempDir()
	key, file := filepath.Join(dir, "key"), filepath.Join(dir, "draft.json")
	for path, text := range map[string]string{key: "secret\n", file: `{"grants": []}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const api = "/api/exchange/agreements"
	for _, tt := range []struct {
		args      []string
		sent, out string
		fails     bool
	}{
		{[]string{"list"}, "GET " + api + " Bearer secret ", "sha-256:a  until 2029-01-01  VN/GOV/G01 VN/GOV/H36  proposed, waits for VN/GOV/G01\n", false},
		{[]string{"show", "sha-256:a"}, "GET " + api + "/sha-256:a Bearer secret ", "grant 1  sha-256:g\n", false},
		{[]string{"propose", file}, "POST " + api + ` Bearer secret {"grants":[]}`, "sha-256:new\n", false},
		{[]string{"accept", "sha-256:a"}, "POST " + api + "/sha-256:a/accept Bearer secret ", "", false},
		{[]string{"reject", "sha-256:a", "không có căn cứ"}, "POST " + api + `/sha-256:a/reject Bearer secret {"reason":"không có căn cứ"}`, "", false},
		{[]string{"revoke", "sha-256:a", "x"}, "POST " + api + `/sha-256:a/revoke Bearer secret {"reason":"x"}`, "", false},
		{[]string{"revoke", "sha-256:a"}, "", "", true},
		{[]string{"sign", "sha-256:a"}, "", "", true},
		{[]string{"propose", filepath.Join(dir, "none")}, "", "", true},
	} {
		got = ""
		var out, errout bytes.Buffer
		err := run(context.Background(), append([]string{"agreements"}, append(tt.args, "-url", node.URL, "-key-file", key)...), func(string) string { return "" }, &out, &errout)
		if (err != nil) != tt.fails || !strings.HasPrefix(got, tt.sent) || tt.fails && got != "" || !strings.Contains(out.String(), tt.out) {
			t.Errorf("%v: sent %q, printed %q, %v %s", tt.args, got, out.String(), err, errout.String())
		}
	}
}
