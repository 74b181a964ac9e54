// Package vxptest is a client that behaves on the wire, and towards its caller, as the vendor's Java SDK for VXP 2.0.1 does, with its
// faults: it is what the server has to live with. It shares no code with the server.
//
// What it imitates: one map of headers for each client object that no call ever clears; a timestamp made once with the object; a
// CR LF after the file of sendEdoc, hashed without it and printed without padding; Expect: 100-continue on calls with a body, except
// for sendEdoc; header values sent as the low byte of each character, except for sendEdoc, which sends UTF-8; the repetition of a
// request whose connection broke; answers of sendEdoc read as US-ASCII; lists that become nothing when one element holds a null;
// whatever cannot be read on a list call being "OK" with no documents.
package vxptest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// vietNam is the zone of the machines that clients stand on.
var vietNam = time.FixedZone("ICT", 7*3600)

// Client is one client object of the SDK. It is used by one goroutine.
type Client struct {
	// Endpoint has no slash at its end.
	Endpoint, System, Secret string
	// Retries is how often list and status calls are repeated when the connection closes without an answer (2 to 5).
	Retries int
	// TLS is nil for the system's trust store.
	TLS *tls.Config
	// Tamper, if set, changes the header lines of a request before it is sent; tests break signatures with it.
	Tamper func(lines []string) []string
	// Sent counts requests that were put on the wire.
	Sent int

	stamp  string
	order  []string
	values map[string]string
	conn   net.Conn
	read   *bufio.Reader
}

// New makes a client object; its timestamp is now for as long as it lives.
func New(endpoint, system, secret string, now time.Time) *Client {
	local := now.In(vietNam)
	c := &Client{Endpoint: endpoint, System: system, Secret: secret, Retries: 2, values: map[string]string{}}
	c.stamp = local.Format("02012006T150405") + fmt.Sprintf("+%04d", local.Nanosecond()/int(time.Millisecond))
	return c
}

// Close ends the connection, which the SDK itself never does.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// Set puts a header into the map that all later calls send, as earlier calls of the same object do.
func (c *Client) Set(name, value string) {
	if _, ok := c.values[name]; !ok {
		c.order = append(c.order, name)
	}
	c.values[name] = value
}

// quote is a JSON string as the SDK writes it: < > & = stay.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// lowBytes encodes a header as Java does that knows only Latin-1: one byte for each UTF-16 unit, its low one.
func lowBytes(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r&0xff))
	}
	return string(b)
}

func asIs(s string) string { return s }

// lines returns the header lines of a call. contentType is the real one.
func (c *Client) lines(contentType string, encode func(string) string) []string {
	c.Set("systemid", c.System)
	c.Set("timestamp", c.stamp)
	c.Set("Content-Type", contentType)
	var signed, out, keys []string
	for _, k := range c.order {
		signed = append(signed, quote("XroadVnpt-"+k)+":"+quote(c.values[k]))
		out = append(out, "XroadVnpt-"+k+": "+encode(c.values[k]))
		keys = append(keys, k)
	}
	text := "{" + strings.Join(signed, ",") + "}"
	m := hmac.New(sha256.New, []byte(c.Secret))
	_, _ = io.WriteString(m, text)
	slices.Reverse(keys) // the order means nothing
	out = append(out, "XroadVnpt-sign-header-key: "+encode(strings.Join(keys, ";")), "XroadVnpt-sign-header: "+encode(text),
		"XroadVnpt-hash-header: "+hex.EncodeToString(m.Sum(nil)), "XroadVnpt-version: 3.0.201608",
		"User-Agent: JAVASDKAgent/1.0.0 XRoad/VPCP", "Content-Type: "+contentType)
	if c.Tamper != nil {
		out = c.Tamper(out)
	}
	return out
}

// Answer is an answer on the wire.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// call sends a request with the headers of the map. It is repeated when the connection breaks before an answer.
func (c *Client) call(method, name string, body []byte, params ...string) (*Answer, error) {
	for i := 0; i+1 < len(params); i += 2 {
		c.Set(params[i], params[i+1])
	}
	lines := append(c.lines("application/json", lowBytes), "Accept-Encoding: gzip,deflate")
	if method == http.MethodPost {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	expect := len(body) > 0
	if expect {
		lines = append(lines, "Expect: 100-continue")
	}
	var err error
	for range max(c.Retries, 1) {
		var a *Answer
		if a, err = c.exchange(method, name, lines, body, expect); err == nil {
			return a, nil
		}
	}
	return nil, err
}

// send posts the file of sendEdoc: no Expect, and once more when the connection breaks, which the Java runtime does unasked.
func (c *Client) send(file []byte, params ...string) (*Answer, error) {
	for i := 0; i+1 < len(params); i += 2 {
		c.Set(params[i], params[i+1])
	}
	lines := c.lines("application/octet-stream", asIs)
	body := append(slices.Clone(file), '\r', '\n')
	lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	a, err := c.exchange(http.MethodPost, "sendEdoc", lines, body, false)
	if err != nil {
		a, err = c.exchange(http.MethodPost, "sendEdoc", lines, body, false)
	}
	return a, err
}

func (c *Client) dial() error {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return err
	}
	if u.Scheme != "https" {
		c.conn, err = (&net.Dialer{Timeout: 10 * time.Second}).DialContext(context.Background(), "tcp", u.Host)
	} else {
		settings := &tls.Config{}
		if c.TLS != nil {
			settings = c.TLS.Clone()
		}
		settings.ServerName = u.Hostname()
		c.conn, err = (&tls.Dialer{Config: settings}).DialContext(context.Background(), "tcp", u.Host)
	}
	if err != nil {
		c.conn = nil
		return err
	}
	c.read = bufio.NewReader(c.conn)
	return nil
}

// exchange puts one request on the wire and reads the answer. The connection is kept and used again.
func (c *Client) exchange(method, name string, lines []string, body []byte, expect bool) (_ *Answer, err error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if err := c.conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return nil, err
	}
	c.Sent++
	head := method + " " + u.Path + "/" + name + " HTTP/1.1\r\nHost: " + u.Host + "\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	if _, err := io.WriteString(c.conn, head); err != nil {
		return nil, err
	}
	req := &http.Request{Method: method}
	if expect {
		resp, err := http.ReadResponse(c.read, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusContinue {
			return c.finish(resp)
		}
	}
	if _, err := c.conn.Write(body); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.read, req)
	if err != nil {
		return nil, err
	}
	return c.finish(resp)
}

func (c *Client) finish(resp *http.Response) (*Answer, error) {
	var r io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		r = z
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.Close {
		c.Close()
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: b}, nil
}

// hashFile is the digest as the SDK prints it: no byte is padded to two digits.
func hashFile(file []byte) string {
	sum := sha256.Sum256(file)
	var b bytes.Buffer
	for _, x := range sum {
		fmt.Fprintf(&b, "%x", x)
	}
	return b.String()
}
