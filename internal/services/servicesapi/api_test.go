package servicesapi

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/services/servicestest"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
	"truc/lang"
)

const portal = "VN/GOV/G22/portal"

// call sends a request as if it had come over the exchange.
func call(t *testing.T, h http.Handler, subsystem, user, method, path, contentType string, body []byte) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if subsystem != "" {
		r = r.WithContext(reqctx.WithCaller(r.Context(), reqctx.Caller{Subsystem: subsystem, Agency: "G22", UserID: user}))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func newAPI(t *testing.T, db *storage.DB) (http.Handler, *servicestest.Env) {
	t.Helper()
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	env := servicestest.NewDesk(t, db)
	m := web.NewMux(web.Options{Log: slog.New(slog.DiscardHandler), Lang: cat})
	(&Desk{Desk: env.Desk, Portals: []string{portal}}).Mount(m)
	return m, env
}

func TestWhoMaySay(t *testing.T) {
	h, env := newAPI(t, storagetest.OpenSQLite(t))
	sub := env.Submission(t, "filing-1")
	owner := "VN" + sub.Applicant.PersonalID
	body, err := json.Marshal(sub)
	if err != nil {
		t.Fatal(err)
	}
	message, err := json.Marshal(services.Message{ID: "m1", FilingID: "filing-1", Kind: "withdraw"})
	if err != nil {
		t.Fatal(err)
	}
	number, err := json.Marshal(services.Message{ID: "m2", FilingID: "H36.14-260605-0001", Kind: "withdraw"})
	if err != nil {
		t.Fatal(err)
	}
	deep := []byte(strings.Repeat(`{"answers":`, 20_000) + "1" + strings.Repeat("}", 20_000))
	tests := []struct {
		name, subsystem, user, method, path, media string
		body                                       []byte
		want                                       int
	}{
		{"not over the exchange", "", owner, "POST", "/submissions", "application/json", body, http.StatusForbidden},
		{"a register's owner", "VN/GOV/G01/population", owner, "POST", "/submissions", "application/json", body, http.StatusForbidden},
		{"for somebody else", portal, "VN099190000999", "POST", "/submissions", "application/json", body, http.StatusForbidden},
		{"no JSON", portal, owner, "POST", "/submissions", "application/json", []byte("<xml/>"), http.StatusBadRequest},
		{"nested too deep", portal, owner, "POST", "/submissions", "application/json", deep, http.StatusBadRequest},
		{"too large", portal, owner, "POST", "/submissions", "application/json", bytes.Repeat([]byte(" "), maxJSON+1), http.StatusRequestEntityTooLarge},
		{"the owner's portal", portal, owner, "POST", "/submissions", "application/json", body, http.StatusCreated},
		{"the same again", portal, owner, "POST", "/submissions", "application/json", body, http.StatusCreated},
		{"a paper without a type", portal, owner, "POST", "/papers", "", []byte("x"), http.StatusBadRequest},
		{"a message for somebody else", portal, "VN099190000999", "POST", "/messages", "application/json", message, http.StatusForbidden},
		{"a message by dossier number", portal, owner, "POST", "/messages", "application/json", number, http.StatusNotFound},
		{"a document of nobody", portal, owner, "GET", "/documents/filing-9/result", "", nil, http.StatusNotFound},
		{"somebody else's document", portal, "VN099190000999", "GET", "/documents/filing-1/submission", "", nil, http.StatusForbidden},
		{"the catalogue is open to whom the exchange lets in", "VN/GOV/G22/oversight", "", "GET", "/catalogue", "", nil, http.StatusOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, text := call(t, h, tt.subsystem, tt.user, tt.method, tt.path, tt.media, tt.body)
			if got != tt.want {
				t.Errorf("%s %s = %d %.300s; want %d", tt.method, tt.path, got, text, tt.want)
			}
			if strings.Contains(text, sub.Applicant.PersonalID) || strings.Contains(text, sub.Applicant.FullName) {
				t.Errorf("the answer holds personal data: %s", text)
			}
		})
	}
}
