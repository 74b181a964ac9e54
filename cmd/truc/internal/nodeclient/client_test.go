package nodeclient

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func options(t *testing.T, url string) *Options {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("truc_operator_X\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fs := flag.NewFlagSet("t", flag.ContinueOnError)
	o := Flags(fs, func(name string) string { return map[string]string{"TRUC_KEY_FILE": key}[name] })
	if err := fs.Parse([]string{"-url", url, "-lang", "en"}); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestDo(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch {
		case r.Header.Get("Authorization") != "Bearer truc_operator_X" || r.Header.Get("Accept-Language") != "en":
			t.Errorf("headers = %v", r.Header)
		case r.URL.Path == "/away":
			http.Redirect(w, r, "/stolen", http.StatusFound)
		case r.URL.Path == "/stolen":
			t.Error("the client followed a redirect with the key")
		case r.URL.Path == "/refused":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"code":"a.b","detail":"No.","instance":"id1"}`)
		default:
			_, _ = io.WriteString(w, `{"method":"`+r.Method+`","type":"`+r.Header.Get("Content-Type")+`","body":`+string(b)+`}`)
		}
	}))
	defer srv.Close()
	c, err := options(t, srv.URL+"/").Client()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Method, Type string
		Body         map[string]int
	}
	if err := c.Do(t.Context(), http.MethodPut, "/x", map[string]int{"a": 1}, &got); err != nil || got.Method != http.MethodPut || got.Body["a"] != 1 || got.Type != "application/json" {
		t.Errorf("Do = %+v, %v", got, err)
	}
	var b bytes.Buffer
	if err := c.Do(t.Context(), "POST", "/x", strings.NewReader("7"), &b); err != nil || b.String() != `{"method":"POST","type":"application/octet-stream","body":7}` {
		t.Errorf("Do with streams = %s, %v", b.String(), err)
	}
	for path, want := range map[string]Error{"/refused": {403, "a.b", "No.", "id1"}, "/away": {Status: 302}} {
		if e, ok := errors.AsType[*Error](c.Do(t.Context(), "GET", path, nil, nil)); !ok || *e != want {
			t.Errorf("Do(%s) = %+v; want %+v", path, e, want)
		}
	}
}

func TestClientRefuses(t *testing.T) {
	for _, url := range []string{"http://192.0.2.1:7100", "ftp://127.0.0.1", "127.0.0.1", "https://user:secret@node.example", "http://localhost.evil.example"} {
		if _, err := options(t, url).Client(); err == nil {
			t.Errorf("%s was accepted", url)
		}
	}
	for _, url := range []string{"http://127.0.0.1:7100", "http://[::1]:7100", "http://localhost", "https://node.example"} {
		if _, err := options(t, url).Client(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := (&Options{URL: "https://node.example"}).Client(); err == nil {
		t.Error("a client without a key was made")
	}
}
