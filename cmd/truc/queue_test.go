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

// TestQueueCommand holds the command to what it asks of the node.
func TestQueueCommand(t *testing.T) {
	var got []string
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, `{"waiting":[{"peer":"VN/GOV/H36","state":"queued","count":3,"oldest":"2026-11-22T01:00:00Z"}],
			"dead":[{"side":"out","seq":17,"id":"M1","from":"VN/GOV/G22/portal","to":"VN/GOV/H36/onestop/dossiers","error":"refused"}],
			"subscriptions":[{"id":"S1","service":"VN/GOV/H36/onestop/facts","type":"fact","subscriber":"VN/GOV/G22/oversight","state":"stalled","position":9}]}`)
	}))
	t.Cleanup(node.Close)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args, request string
		out           []string
		fails         bool
	}{
		{"list", "GET /api/exchange/queue/letters", []string{"VN/GOV/H36", "out 17", "S1", "stalled"}, false},
		{"replay out 17", "POST /api/exchange/queue/out/17/replay", nil, false},
		{"drop in 4", "POST /api/exchange/queue/in/4/drop", nil, false},
		{"resume S1", "POST /api/exchange/subscriptions/S1/resume", nil, false},
		{"unsubscribe ../x", "POST /api/exchange/subscriptions/../x/unsubscribe", nil, false},
		{"drop sideways 4", "", nil, true},
		{"drop out 4/../5", "", nil, true},
		{"replay 17", "", nil, true},
		{"dance", "", nil, true},
	} {
		got = nil
		var out, errout bytes.Buffer
		args := append([]string{"queue"}, strings.Fields(tt.args)...)
		err := run(context.Background(), append(args, "-url", node.URL, "-key-file", key), func(string) string { return "" }, &out, &errout)
		if (err != nil) != tt.fails {
			t.Errorf("%s: %v %s", tt.args, err, errout.String())
		}
		if want := tt.request + " Bearer secret"; tt.request != "" && (len(got) != 1 || got[0] != want) || tt.request == "" && len(got) > 0 {
			t.Errorf("%s: asked %q", tt.args, got)
		}
		for _, want := range tt.out {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s does not show %q:\n%s", tt.args, want, out.String())
			}
		}
	}
}
