// Package alarmtest is a mail server for tests: it speaks SMTP over TCP with TLS and keeps what it was given.
package alarmtest

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mail is one that the server took.
type Mail struct {
	From string
	To   []string
	Data string
	// TLS says that it came over TLS, User who had signed in.
	TLS  bool
	User string
}

// Server is a mail server. Its fields are set before the first connection.
type Server struct {
	// Addr is host:port; CA the PEM of the authority of its certificate.
	Addr string
	CA   []byte
	// Implicit speaks TLS from the first byte; NoStartTLS offers no STARTTLS; NoAuth no AUTH.
	Implicit, NoStartTLS, NoAuth bool
	// Password is what AUTH PLAIN must bring.
	Password string

	mu     sync.Mutex // guards what follows
	refuse string
	mails  []Mail
	clear  []string
	conf   *tls.Config
}

// New starts a server that ends with the test. Change the fields before mail is sent.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{Password: "secret"}
	cert, ca := certificate(t)
	s.CA, s.conf = ca, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return s
}

// Refuse has the server answer every recipient with a line such as "451 later"; empty takes mail again.
func (s *Server) Refuse(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = line
}

// Mails returns what was taken.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Clear returns the lines that came without TLS.
func (s *Server) Clear() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.clear, "\n")
}

// session is one connection.
type session struct {
	s      *Server
	conn   net.Conn
	in     *bufio.Reader
	secure bool
	mail   Mail
}

func (s *Server) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // a test's connection
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	x := &session{s: s, conn: conn, in: bufio.NewReader(conn)}
	if s.Implicit {
		x.upgrade()
	}
	x.say("220 test ESMTP")
	for {
		line, err := x.in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if !x.secure {
			s.mu.Lock()
			s.clear = append(s.clear, line)
			s.mu.Unlock()
		}
		if !x.command(line) {
			return
		}
	}
}

func (x *session) say(line string) { _, _ = x.conn.Write([]byte(line + "\r\n")) }

func (x *session) upgrade() {
	x.conn = tls.Server(x.conn, x.s.conf)
	x.in, x.secure = bufio.NewReader(x.conn), true
}

// command does one line and reports whether to go on.
func (x *session) command(line string) bool {
	verb := strings.ToUpper(strings.SplitN(line, " ", 2)[0])
	switch verb {
	case "EHLO":
		x.hello()
	case "STARTTLS":
		x.say("220 go on")
		x.upgrade()
	case "AUTH":
		raw, err := base64.StdEncoding.DecodeString(line[strings.LastIndex(line, " ")+1:])
		parts := strings.Split(string(raw), "\x00")
		if err != nil || len(parts) != 3 || parts[2] != x.s.Password {
			x.say("535 no")
			return true
		}
		x.mail.User = parts[1]
		x.say("235 welcome")
	case "MAIL":
		x.mail.From, x.mail.To = between(line), nil
		x.say("250 ok")
	case "RCPT":
		x.s.mu.Lock()
		refuse := x.s.refuse
		x.s.mu.Unlock()
		if refuse != "" {
			x.say(refuse)
			return true
		}
		x.mail.To = append(x.mail.To, between(line))
		x.say("250 ok")
	case "DATA":
		x.data()
	case "QUIT":
		x.say("221 bye")
		return false
	default:
		x.say("502 what?")
	}
	return true
}

func between(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	a, _, _ := strings.Cut(rest, ">")
	return a
}

func (x *session) hello() {
	x.conn.Write([]byte("250-test\r\n")) //nolint:errcheck // the next answer finds out
	if !x.secure && !x.s.NoStartTLS {
		x.say("250-STARTTLS")
	}
	if !x.s.NoAuth {
		x.say("250-AUTH PLAIN")
	}
	x.say("250 8BITMIME")
}

func (x *session) data() {
	x.say("354 send")
	var b strings.Builder
	for {
		line, err := x.in.ReadString('\n')
		if err != nil {
			return
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	x.mail.Data, x.mail.TLS = b.String(), x.secure
	x.s.mu.Lock()
	x.s.mails = append(x.s.mails, x.mail)
	x.s.mu.Unlock()
	x.say("250 taken")
}

func certificate(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
