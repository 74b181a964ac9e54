package exchangeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/pki"
)

// TestChannel implements [exchange.ChannelTester]: it opens a connection of its own, beside those that carry.
func (c *Carrier) TestChannel(ctx context.Context, p exchange.Peer) []exchange.Step {
	now := c.clock
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	t := channelTest{now: now}
	u, err := url.Parse(p.URL)
	if err != nil || u.Port() == "" {
		return t.fail("address", "exchange.probe.address_wrong")
	}
	t.start = now()
	addrs := []string{u.Hostname()}
	if net.ParseIP(u.Hostname()) == nil {
		if addrs, err = net.DefaultResolver.LookupHost(ctx, u.Hostname()); err != nil || len(addrs) == 0 {
			return t.fail("address", "exchange.probe.address_unknown", "host", u.Hostname())
		}
	}
	t.pass("address", "exchange.probe.address_ok", "address", addrs[0])
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(addrs[0], u.Port()))
	if err != nil {
		key := "exchange.probe.connect_refused"
		if nerr, ok := errors.AsType[net.Error](err); ok && nerr.Timeout() {
			key = "exchange.probe.connect_silent"
		}
		return t.fail("connect", key, "port", u.Port())
	}
	defer func() { _ = conn.Close() }()
	t.pass("connect", "exchange.probe.connect_ok", "port", u.Port())
	listed := true
	settings := pki.Settings{Identity: c.Identity, Roots: c.Roots, Now: c.Now, Protocols: linkProtocols, Accept: func(leaf *x509.Certificate) error {
		listed = p.AcceptsTLS(pki.KeyID(leaf.PublicKey))
		return nil // what key it has is a step of its own
	}}
	client := settings.Client()
	client.ServerName = u.Hostname()
	sec := tls.Client(conn, client)
	if err := sec.HandshakeContext(ctx); err != nil {
		key := "exchange.probe.tls_failed"
		if k, _ := errs.KeyOf(err); k != "error.internal" {
			key = k
		}
		return t.fail("tls", key)
	}
	st := sec.ConnectionState()
	t.pass("tls", "exchange.probe.tls_ok", "version", tls.VersionName(st.Version), "protocol", st.NegotiatedProtocol)
	if !slices.Contains(linkProtocols, st.NegotiatedProtocol) {
		return t.fail("tls", "exchange.probe.protocol", "protocol", st.NegotiatedProtocol)
	}
	if !listed {
		return t.fail("key", "exchange.probe.key_other")
	}
	t.pass("key", "exchange.probe.key_ok")
	return t.steps
}

type channelTest struct {
	now   func() time.Time
	start time.Time
	steps []exchange.Step
}

func (t *channelTest) pass(name, key string, args ...any) {
	end := t.now()
	t.steps = append(t.steps, exchange.Step{Name: name, OK: true, Key: key, Args: args, Took: end.Sub(t.start)})
	t.start = end
}

func (t *channelTest) fail(name, key string, args ...any) []exchange.Step {
	return append(t.steps, exchange.Step{Name: name, Key: key, Args: args})
}
