package alarmclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"strings"
	"time"

	"truc/internal/alarm"
)

// How the connection to a mail server is protected.
const (
	StartTLS = "starttls" // begins in clear and must change to TLS before anything is said (RFC 3207)
	TLS      = "tls"      // is TLS from the first byte (RFC 8314)
	NoTLS    = "none"     // for a server on this very machine
)

// sendTime bounds one mail from the connection to the end.
const sendTime = time.Minute

// Mail is a channel that sends mail.
type Mail struct {
	// Server is host:port; Security one of [StartTLS], [TLS], [NoTLS].
	Server, Security string
	// Roots are the authorities of the server's certificate; nil are the system's.
	Roots *x509.CertPool
	// User and Password sign in to the server (AUTH PLAIN, RFC 4616); both empty: without.
	User, Password string
	// From and To are mail addresses.
	From string
	To   []string
	Words
	Now func() time.Time
}

var _ alarm.Channel = (*Mail)(nil)

// CheckAddress refuses what is no plain mail address, and what could end a line of SMTP.
func CheckAddress(s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || strings.ContainsAny(s, "\r\n<> ,;") || len(s) > 254 {
		return fmt.Errorf("%.60q is no mail address such as van-hanh@tinh.example.vn", s)
	}
	for _, r := range s {
		if r > 126 || r < 33 {
			return fmt.Errorf("%.60q is no mail address of plain letters", s)
		}
	}
	return nil
}

// Send implements [alarm.Channel].
func (m *Mail) Send(ctx context.Context, msg alarm.Message) (err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return fmt.Errorf("the mail server cannot be reached: %w", err)
	}
	defer conn.Close() //nolint:errcheck // the protocol's own end is what counts
	if until, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(until); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // a reader that waits is woken
	defer stop()
	settings := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: m.Roots}
	if m.Security == TLS {
		conn = tls.Client(conn, settings)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return fmt.Errorf("the mail server: %w", err)
	}
	defer c.Close() //nolint:errcheck // after Quit it is closed already
	if err := m.greet(c, settings); err != nil {
		return fmt.Errorf("the mail server: %w", err)
	}
	if err := m.deliver(c, msg); err != nil {
		return fmt.Errorf("the mail server: %w", err)
	}
	_ = c.Quit() // the server has taken the mail
	return nil
}

// greet says who we are, protects the connection and signs in. A server that offers no TLS gets nothing.
func (m *Mail) greet(c *smtp.Client, settings *tls.Config) error {
	if err := c.Hello(helloName(m.From)); err != nil {
		return err
	}
	if m.Security == StartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return errors.New("it offers no STARTTLS")
		}
		if err := c.StartTLS(settings); err != nil {
			return err
		}
	}
	if m.User == "" {
		return nil
	}
	if ok, _ := c.Extension("AUTH"); !ok {
		return errors.New("it offers no AUTH")
	}
	return c.Auth(smtp.PlainAuth("", m.User, m.Password, settings.ServerName))
}

// helloName is the domain of the sender, which is an address that was checked.
func helloName(from string) string {
	_, domain, ok := strings.Cut(from, "@")
	if !ok {
		return "localhost"
	}
	return domain
}

func (m *Mail) deliver(c *smtp.Client, msg alarm.Message) error {
	if err := c.Mail(m.From); err != nil {
		return err
	}
	for _, to := range m.To {
		if err := c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(m.compose(msg)); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close()
}

// compose writes a mail (RFC 5322). Nothing from outside of this program stands in its head; whatever might end a line is
// encoded or taken away. The same message has the same Message-ID, so that one that was sent twice is one for readers.
func (m *Mail) compose(msg alarm.Message) []byte {
	var b bytes.Buffer
	head := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, oneLine(value)) }
	head("From", m.From)
	head("To", strings.Join(m.To, ", "))
	head("Subject", mime.BEncoding.Encode("utf-8", oneLine(m.Subject(msg))))
	head("Date", m.Now().UTC().Format(time.RFC1123Z))
	head("Message-ID", "<"+msg.ID+"@"+helloName(m.From)+">")
	head("Auto-Submitted", "auto-generated") // RFC 3834: no robot answers it
	head("MIME-Version", "1.0")
	head("Content-Type", "text/plain; charset=utf-8")
	head("Content-Transfer-Encoding", "base64")
	b.WriteString("\r\n")
	text := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(m.Body(msg), "\n", "\r\n")))
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
