package benchexchange

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"truc/internal/exchange"
)

// request writes what a program of the agency sends; both pairs get the same bytes.
func request(secret string, body int) []byte {
	var b bytes.Buffer
	payload := payload(body)
	fmt.Fprintf(&b, "POST /r1/%s/query HTTP/1.1\r\nHost: node.internal\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", serviceID, len(payload))
	for _, h := range [][2]string{
		{exchange.HeaderClient, consumerSub},
		{"X-Api-Key", secret},
		{exchange.HeaderUserID, "VN099204000123"},
		{exchange.HeaderIssue, "H36.14-261121-0001"},
		{exchange.HeaderPurpose, activity + ";Nghi+dinh+224%2F2026"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	b.Write(payload)
	return b.Bytes()
}

// client is a program with one connection that stays open.
type client struct {
	addr    string
	request []byte
	want    int
	conn    net.Conn
	r       *bufio.Reader

	took       []time.Duration
	errors     int
	firstError error
}

func clients(addr string, request []byte, want, n int) []*client {
	out := make([]*client, n)
	for i := range out {
		out[i] = &client{addr: addr, request: request, want: want}
	}
	return out
}

func hangUp(cs []*client) {
	for _, c := range cs {
		c.close()
	}
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// once sends the request and reads the whole answer.
func (c *client) once(ctx context.Context) error {
	if c.conn == nil {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", c.addr)
		if err != nil {
			return err
		}
		c.conn, c.r = conn, bufio.NewReader(conn)
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || n != int64(c.want) {
		return fmt.Errorf("status %d with %d bytes %s", resp.StatusCode, n, resp.Header.Get(exchange.HeaderError))
	}
	return nil
}

// run sends until the time is over; a request that was begun is brought to its end and counted.
func (c *client) run(ctx context.Context, until time.Time, now func() time.Time) {
	c.took, c.errors, c.firstError = c.took[:0], 0, nil
	for t := now(); t.Before(until) && ctx.Err() == nil; {
		err := c.once(ctx)
		end := now()
		if err != nil {
			c.close()
			if c.errors++; c.firstError == nil {
				c.firstError = err
			}
		} else {
			c.took = append(c.took, end.Sub(t))
		}
		t = end
	}
}

// turn is what the clients saw in one turn.
type turn struct {
	seconds  float64
	n        int
	errors   int
	first    string
	p50, p99 float64
}

// drive lets the clients run side by side for a time.
func drive(ctx context.Context, cs []*client, d time.Duration, now func() time.Time) turn {
	start := now()
	var wg sync.WaitGroup
	for _, c := range cs {
		wg.Go(func() { c.run(ctx, start.Add(d), now) })
	}
	wg.Wait()
	t := turn{seconds: now().Sub(start).Seconds()}
	var all []time.Duration
	for _, c := range cs {
		all = append(all, c.took...)
		t.errors += c.errors
		if c.firstError != nil && t.first == "" {
			t.first = c.firstError.Error()
		}
	}
	slices.Sort(all)
	t.n, t.p50, t.p99 = len(all), at(all, 0.50), at(all, 0.99)
	return t
}

// at is a quantile in milliseconds.
func at(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Microseconds()) / 1000
}
