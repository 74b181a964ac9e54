package axisapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"truc/edxml"
	"truc/internal/blobs"
	"truc/internal/documents/axis"
	"truc/internal/documents/axisapi/vxptest"
	"truc/internal/documents/axisstore"
	"truc/internal/i18n"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/lang"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

type acts struct{}

func (acts) Act(context.Context, axis.Tx, string, string, string) error { return nil }

// center is a hub with two systems, served as a center serves it: vidu.01 has H99 and H99.07, bovidu.01 has G98 and G97.
type center struct {
	t       testing.TB
	hub     *axis.Hub
	api     *API
	clock   *clock
	srv     *httptest.Server
	secrets map[string]string
}

// start is 5 March 2026, 09:15 in Viet Nam.
var start = time.Date(2026, 3, 5, 2, 15, 0, 0, time.UTC)

func newCenter(t testing.TB, db *storage.DB) *center {
	t.Helper()
	migrations, err := fs.Sub(axisstore.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Migrate(t.Context(), db, "axis", migrations, start); err != nil {
		t.Fatal(err)
	}
	files, err := blobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	texts, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	c := &center{t: t, clock: &clock{t: start}, secrets: map[string]string{}}
	log := slog.New(slog.DiscardHandler)
	c.hub = &axis.Hub{Store: &axisstore.Store{DB: db}, Blobs: files, Audit: acts{}, SealKey: make([]byte, 32), Now: c.clock.now, Log: log, Secrecy: axis.DefaultSecrecy()}
	c.api = &API{Hub: c.hub, Blobs: files, Texts: texts, Plain: true, Now: c.clock.now, Log: log}
	c.api.Limits = Limits{PerSecond: 1 << 30, AtOnce: 1 << 29} // the clock stands, so nothing would be given back
	for id, codes := range map[string][]string{"vidu.01": {"H99", "H99.07"}, "bovidu.01": {"G98", "G97"}} {
		secret, err := c.hub.AddSystem(t.Context(), "test", axis.SystemForm{ID: id, Name: id, MayRegister: true})
		if err != nil {
			t.Fatal(err)
		}
		c.secrets[id] = secret
		for _, code := range codes {
			if _, err := c.hub.AdmitAgency(t.Context(), "test", axis.AgencyForm{Code: code, Name: "Cơ quan " + code, Owner: axis.VXP(id)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.serve()
	return c
}

func (c *center) serve() {
	c.srv = httptest.NewUnstartedServer(nil)
	c.srv.Config = c.api.Server(c.api.Log, false)
	c.srv.Listener = Tolerant(c.srv.Listener)
	c.srv.Start()
	c.t.Cleanup(c.srv.Close)
}

// each runs a test on a center of either engine.
func each(t *testing.T, f func(t *testing.T, c *center)) {
	t.Helper()
	storagetest.Each(t, func(t *testing.T, db *storage.DB) { f(t, newCenter(t, db)) })
}

func (c *center) client(system string) *vxptest.Client { return c.clientAt(c.srv.URL, system) }

func (c *center) clientAt(url, system string) *vxptest.Client {
	x := vxptest.New(url+DefaultPrefix, system, c.secrets[system], c.clock.now())
	c.t.Cleanup(x.Close)
	return x
}

type attached struct{ name, content string }

// letter is a document from H99.07 to receivers.
func letter(number string, to []string, files ...attached) *edxml.Message {
	m := &edxml.Message{
		From: edxml.Organization{ID: "H99.07", Name: "Sở Mẫu"}, Code: edxml.Code{Number: number, Notation: "SM-VP"}, Place: "Ví Dụ",
		DocumentID: "H99.07,2026/03/05," + number + "/SM-VP", Date: edxml.Date{Year: 2026, Month: 3, Day: 5}, Type: edxml.DocumentType{Type: 2, Name: "Công văn"},
		Subject: "V/v thử nghiệm liên thông", Signer: edxml.Signer{FullName: "Họ Tên Mẫu"},
		Trace: []edxml.Hop{{OrganID: "H99.07", At: start}},
	}
	for _, code := range to {
		m.To = append(m.To, edxml.Organization{ID: code, Name: "Cơ quan " + code})
	}
	if len(files) == 0 {
		files = []attached{{"08-SM-VP.pdf", "%PDF-1.4\n%%EOF\n"}}
	}
	for i, f := range files {
		m.Attachments = append(m.Attachments, edxml.Attachment{
			ContentID: fmt.Sprintf("a%d", i+1), Name: f.name,
			Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(f.content))), nil },
		})
	}
	return m
}

// status is a status message about a document.
func status(code, from, to, document, reason string) *edxml.Message {
	return &edxml.Message{
		From:        edxml.Organization{ID: from, Name: "Cơ quan " + from},
		ResponseFor: []edxml.Reference{{OrganID: to, Code: "08/SM-VP", DocumentID: document, Date: edxml.Date{Year: 2026, Month: 3, Day: 5}}},
		Status:      &edxml.Status{Code: code, Description: reason, At: start, Staff: edxml.Staff{Department: "Văn thư", Name: "Cán Bộ Mẫu"}},
	}
}

func (c *center) bytes(m *edxml.Message) []byte {
	c.t.Helper()
	var b bytes.Buffer
	if err := edxml.Write(&b, m); err != nil {
		c.t.Fatal(err)
	}
	return b.Bytes()
}

// ok fails the test unless a result is one of success.
func ok(t testing.TB) func(r *vxptest.Result, err error) *vxptest.Result {
	return func(r *vxptest.Result, err error) *vxptest.Result {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != "OK" || r.ErrorCode != "0" {
			t.Fatalf("the caller sees %s %s %q; on the wire %d %s", r.Status, r.ErrorCode, r.ErrorDesc, r.Answer.Status, r.Answer.Body)
		}
		return r
	}
}

// failed fails the test unless the caller sees a refusal of this number.
func failed(t testing.TB, code string) func(r *vxptest.Result, err error) *vxptest.Result {
	return func(r *vxptest.Result, err error) *vxptest.Result {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != "FAIL" || r.ErrorCode != code {
			t.Fatalf("the caller sees %s %s %q, want FAIL %s; on the wire %d %s", r.Status, r.ErrorCode, r.ErrorDesc, code, r.Answer.Status, r.Answer.Body)
		}
		return r
	}
}

// breaking forwards connections to a server; of the first drops requests it lets the answer vanish and closes the connection.
func breaking(t testing.TB, server string, drops int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server)
			if err != nil {
				_ = in.Close()
				return
			}
			wg.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
			wg.Go(func() {
				if n < drops {
					_, _ = out.Read(make([]byte, 1)) // the server has answered
				} else {
					_, _ = io.Copy(in, out)
				}
				_ = in.Close()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

// failing is a reverse proxy that replaces what is no success with a page of its own, as many do.
func failing(target http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		target.ServeHTTP(rec, r)
		if rec.Code >= 300 {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html><h1>502 Bad Gateway</h1></html>")
			return
		}
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}
