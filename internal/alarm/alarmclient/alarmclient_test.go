package alarmclient

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"time"

	"truc/internal/alarm"
	"truc/internal/alarm/alarmtest"
	"truc/internal/i18n"
	"truc/lang"
)

func words(t testing.TB, language string) Words {
	t.Helper()
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		t.Fatal(err)
	}
	return Words{Catalogue: cat, Lang: language, URL: "https://truc.example.vn/exchange/admin/diagnostics"}
}

var at = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

func sample() alarm.Message {
	return alarm.Message{ID: "0123abcd", Channel: "mail", Node: "VN/GOV/H36/node1", At: at, Events: []alarm.Event{
		{Phase: alarm.Began, Since: at.Add(-time.Hour), Finding: alarm.Finding{Name: "certificate", Key: "exchange.diag.certificate_soon", Args: []any{"days", 3}, Todo: "exchange.diag.certificate_todo"}},
		{Phase: alarm.Ended, Since: at.Add(-2 * time.Hour), Finding: alarm.Finding{Name: "database", Bad: true, Key: "exchange.diag.database_away"}},
	}}
}

func mailer(t testing.TB, s *alarmtest.Server, security string) *Mail {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	return &Mail{
		Server: s.Addr, Security: security, Roots: roots, User: "node", Password: "secret", From: "truc@h36.example.vn", To: []string{"a@h36.example.vn", "b@h36.example.vn"},
		Words: words(t, "vi"), Now: func() time.Time { return at },
	}
}

// parse reads a mail as a reader does.
func parse(t *testing.T, data string) (*mail.Message, string, string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return m, subject, string(body)
}

func TestMail(t *testing.T) {
	for _, security := range []string{StartTLS, TLS} {
		s := alarmtest.New(t)
		s.Implicit = security == TLS
		m := mailer(t, s, security)
		if err := m.Send(t.Context(), sample()); err != nil {
			t.Fatalf("%s: %v", security, err)
		}
		got := s.Mails()
		if len(got) != 1 || !got[0].TLS || got[0].User != "node" || got[0].From != m.From || strings.Join(got[0].To, " ") != "a@h36.example.vn b@h36.example.vn" {
			t.Fatalf("%s: %+v", security, got)
		}
		if c := s.Clear(); strings.Contains(c, "AUTH") || strings.Contains(c, "MAIL") {
			t.Errorf("%s: in clear:\n%s", security, c)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(got[0].Data, "\r\n"), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
				t.Errorf("line %q", line)
			}
		}
		h, subject, body := parse(t, got[0].Data)
		if subject != "[Trục] VN/GOV/H36/node1: 1 cảnh báo, 1 việc đã ổn" || h.Header.Get("Message-ID") != "<0123abcd@h36.example.vn>" || h.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Errorf("subject %q, %v", subject, h.Header)
		}
		for _, want := range []string{"MỚI: Chứng thư", "3", "ĐÃ ỔN: Cơ sở dữ liệu", "22/11/2026", "https://truc.example.vn/exchange/admin/diagnostics"} {
			if !strings.Contains(body, want) {
				t.Errorf("the mail lacks %q:\n%s", want, body)
			}
		}
	}
}

// TestMailThatIsNotSent meets servers that are not what they should be; nothing secret goes to them.
func TestMailThatIsNotSent(t *testing.T) {
	for what, c := range map[string]struct {
		server func(s *alarmtest.Server)
		mailer func(m *Mail)
		want   string
	}{
		"no STARTTLS":       {func(s *alarmtest.Server) { s.NoStartTLS = true }, nil, "STARTTLS"},
		"no AUTH":           {func(s *alarmtest.Server) { s.NoAuth = true }, nil, "AUTH"},
		"wrong password":    {func(s *alarmtest.Server) { s.Password = "other" }, nil, "535"},
		"another authority": {nil, func(m *Mail) { m.Roots = x509.NewCertPool() }, "certificate"},
		"refused for now":   {func(s *alarmtest.Server) { s.Refuse("451 later") }, nil, "451"},
		"refused for good":  {func(s *alarmtest.Server) { s.Refuse("550 unknown") }, nil, "550"},
		"not there":         {nil, func(m *Mail) { m.Server = "127.0.0.1:1" }, "cannot be reached"},
	} {
		s := alarmtest.New(t)
		if c.server != nil {
			c.server(s)
		}
		m := mailer(t, s, StartTLS)
		if c.mailer != nil {
			c.mailer(m)
		}
		err := m.Send(t.Context(), sample())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
		if clear := s.Clear(); len(s.Mails()) > 0 || strings.Contains(clear, "AUTH") || strings.Contains(clear, "c2VjcmV0") {
			t.Errorf("%s: it got %v\n%s", what, s.Mails(), clear)
		}
	}
}

// TestMailServerThatSaysNothing gives up with the context.
func TestMailServerThatSaysNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := mailer(t, alarmtest.New(t), StartTLS)
	m.Server = l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Send(ctx, sample()) }()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	if err := <-done; err == nil {
		t.Error("it was sent")
	}
}

// TestHeadOfMail puts what could end a line into every place from which the head is made.
func TestHeadOfMail(t *testing.T) {
	m := mailer(t, alarmtest.New(t), StartTLS)
	evil := "x\r\nBcc: thief@example.com\r\n\r\nbody\x00"
	msg := sample()
	msg.Node, msg.ID = evil, "id\r\nX: y"
	m.From, m.To = "a@b\r\nBcc: thief@example.com", []string{evil}
	h, _, _ := parse(t, string(m.compose(msg)))
	if len(h.Header) != 9 || h.Header.Get("Bcc") != "" || h.Header.Get("X") != "" {
		t.Errorf("head %v", h.Header)
	}
	for _, bad := range []string{"", "a", "a@b\r\nRCPT TO:<c@d>", "A <a@b>", "a@b,c@d", "a@b>", "<a@b>", "a b@c", "\"a\r\n\"@b", "á@b", strings.Repeat("a", 300) + "@b"} {
		if err := CheckAddress(bad); err == nil {
			t.Errorf("%q is an address", bad)
		}
	}
	for _, good := range []string{"van-hanh@tinh.example.vn", "a+b@c.d"} {
		if err := CheckAddress(good); err != nil {
			t.Error(err)
		}
	}
}

// FuzzHead writes heads for any name of a node.
func FuzzHead(f *testing.F) {
	m := mailer(f, &alarmtest.Server{Addr: "127.0.0.1:1"}, StartTLS)
	f.Add("VN/GOV/H36/node1", "id")
	f.Add("\r\nBcc: x@y", "\n\n")
	f.Fuzz(func(t *testing.T, node, id string) {
		msg := sample()
		msg.Node, msg.ID = node, id
		h, err := mail.ReadMessage(bytes.NewReader(m.compose(msg)))
		if err != nil || len(h.Header) != 9 {
			t.Errorf("%v %v", h, err)
		}
	})
}

func TestWebhook(t *testing.T) {
	var got []byte
	signed, status := "", http.StatusNoContent
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		signed = r.Header.Get("Signature")
		w.Header().Set("Location", other.URL)
		w.WriteHeader(status)
	}))
	defer server.Close()
	h := &Webhook{
		URL: server.URL + "/hook?token=hidden", Words: words(t, "en"), Client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Sign: func(r *http.Request, body []byte) error { r.Header.Set("Signature", string(body[:5])); return nil },
	}
	if err := h.Send(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	var body hookBody
	if err := json.Unmarshal(got, &body); err != nil || signed == "" {
		t.Fatalf("%v %s", err, got)
	}
	if body.ID != "0123abcd" || body.Node != "VN/GOV/H36/node1" || len(body.Events) != 2 || body.Events[0].Phase != "began" || body.Events[0].Light != "warn" || body.Events[1].Light != "good" || !strings.Contains(body.Events[0].Text, "3") {
		t.Errorf("%+v", body)
	}
	for _, status = range []int{302, 404, 500} {
		if err := h.Send(t.Context(), sample()); err == nil {
			t.Errorf("%d is taken for sent", status)
		}
	}
	if elsewhere > 0 {
		t.Error("a redirect was followed")
	}
	h.URL = "http://127.0.0.1:1/hook?token=hidden"
	if err := h.Send(t.Context(), sample()); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("%v", err)
	}
	h.Sign = func(*http.Request, []byte) error { return errors.New("no key") }
	if err := h.Send(t.Context(), sample()); err == nil {
		t.Error("an unsigned webhook was sent")
	}
}
