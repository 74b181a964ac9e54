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

// TestAccessCommands holds the commands to what they send; that the node understands it is internal/app's business.
func TestAccessCommands(t *testing.T) {
	var got string
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.EscapedPath() + " " + r.Header.Get("Authorization") + " " + string(b)
		switch {
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":"abc"}`)
		case r.Method != http.MethodGet:
			w.WriteHeader(http.StatusNoContent)
		case strings.HasSuffix(r.URL.Path, "/rules"):
			_, _ = io.WriteString(w, `{"items":[{"id":"abc","origin":"managed","consumer":"group:a/b","service":"a/s","methods":["GET"],"path":"/v1/*","activities":["x"],"basis":"Điều 1"},{"id":"","origin":"configuration","consumer":"VN/GOV/H36/o","service":"a/s","methods":[],"path":"","activities":[],"basis":""}]}`)
		default:
			_, _ = io.WriteString(w, `{"items":[{"code":"a/b","name":"Đối tác","members":["VN/GOV/H36/o"]}]}`)
		}
	}))
	t.Cleanup(node.Close)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args      []string
		sent, out string
		fails     bool
	}{
		{[]string{"rules", "list"}, "GET /api/exchange/rules Bearer secret ", "abc  group:a/b -> a/s  GET /v1/*  x  Điều 1\nconfiguration  VN/GOV/H36/o -> a/s  * *\n", false},
		{
			[]string{"rules", "add", "VN/GOV/H36/o", "a/s", "-methods", "GET,POST", "-path", "/v1/*", "-purposes", "x", "-basis", "Điều 1"},
			`POST /api/exchange/rules Bearer secret {"activities":["x"],"basis":"Điều 1","consumer":"VN/GOV/H36/o","methods":["GET","POST"],"path":"/v1/*","service":"a/s"}`, "abc\n", false,
		},
		{[]string{"rules", "remove", "abc"}, "DELETE /api/exchange/rules/abc Bearer secret ", "", false},
		{[]string{"groups", "list"}, "GET /api/exchange/groups Bearer secret ", "a/b  Đối tác  VN/GOV/H36/o\n", false},
		{[]string{"groups", "save", "a/b", "Đối tác", "VN/GOV/H36/o"}, `PUT /api/exchange/groups/a/b Bearer secret {"members":["VN/GOV/H36/o"],"name":"Đối tác"}`, "", false},
		{[]string{"groups", "save", "a/b", "Trống"}, `PUT /api/exchange/groups/a/b Bearer secret {"members":[],"name":"Trống"}`, "", false},
		{[]string{"groups", "remove", "a/b?x"}, "DELETE /api/exchange/groups/a/b%3Fx Bearer secret ", "", false},
		{[]string{"rules", "add", "VN/GOV/H36/o"}, "", "", true},
		{[]string{"rules"}, "", "", true},
		{[]string{"groups", "save", "a/b"}, "", "", true},
		{[]string{"groups", "burn", "a/b"}, "", "", true},
	} {
		got = ""
		var out, errout bytes.Buffer
		args := tt.args
		if len(args) > 1 {
			args = append(append([]string{}, args...), "-url", node.URL, "-key-file", key)
		}
		err := run(context.Background(), args, func(string) string { return "" }, &out, &errout)
		if (err != nil) != tt.fails || !strings.HasPrefix(got, tt.sent) || tt.fails && got != "" || !strings.Contains(out.String(), tt.out) {
			t.Errorf("%v: sent %q, printed %q, %v %s", tt.args, got, out.String(), err, errout.String())
		}
	}
}
