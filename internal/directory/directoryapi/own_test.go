package directoryapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/web"
)

// countedNode counts what it was made to do.
type countedNode struct{ acts int }

func (c *countedNode) KeyStatus() (directory.KeyStatus, error) { return directory.KeyStatus{}, nil }

func (c *countedNode) RotateSigning(context.Context, string, string) (time.Time, error) {
	c.acts++
	return time.Time{}, nil
}

func (c *countedNode) RotateTLS(context.Context, string) (time.Time, error) {
	c.acts++
	return time.Time{}, nil
}

func (c *countedNode) SetMaintenance(context.Context, string, string) error { c.acts++; return nil }

// Nothing but one well-formed act with the right secret moves the node.
func FuzzOwnAct(f *testing.F) {
	const secret = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	f.Add("Bearer "+secret, []byte(`{"do":"rotate-tls"}`))
	f.Add("Bearer "+secret, []byte(`{"do":"maintenance","notice":"x","more":1}`))
	f.Add("Bearer ", []byte(`{"do":"rotate-signing"}`))
	f.Fuzz(func(t *testing.T, authorization string, body []byte) {
		node := new(countedNode)
		mux := web.NewMux(web.Options{})
		(&OwnAPI{Node: node, Token: secret}).Mount(mux)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/directory/v1/own", bytes.NewReader(body))
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		var in OwnAct
		known := json.NewDecoder(bytes.NewReader(body)).Decode(&in) == nil && (in.Do == "rotate-signing" || in.Do == "rotate-tls" || in.Do == "maintenance")
		if node.acts > 0 && (authorization != "Bearer "+secret || !known) {
			t.Fatalf("%q with %q moved the node", body, authorization)
		}
		if (node.acts > 0) != (w.Code == http.StatusOK) {
			t.Fatalf("answered %d after %d acts", w.Code, node.acts)
		}
	})
}
