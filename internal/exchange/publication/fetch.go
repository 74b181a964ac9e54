package publication

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange/openapi"
)

// Fetcher gets a description from an address that an operator gave. The node stands inside an agency's network, so it
// goes by https to public addresses only, at every redirect too, unless a host was allowed in the configuration.
type Fetcher struct {
	// Hosts may be asked by http and at private addresses: "host" or "host:port".
	Hosts []string
	// Roots replaces the operating system's authorities.
	Roots *x509.CertPool
}

const (
	fetchTimeout = 20 * time.Second
	maxRedirects = 3
)

var errPrivateAddress = errors.New("the address is not public and its host is not allowed")

// Fetch returns the document. Errors are Invalid (the address), Denied (where it leads) and Unavailable.
func (f *Fetcher) Fetch(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || len(address) > 2000 {
		return nil, errs.E(errs.Invalid, "exchange.publish.fetch.address", err)
	}
	if err := f.allowed(u); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	tr := &http.Transport{DialContext: f.dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: f.Roots}, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: maxHeader, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("too many redirects")
		}
		return f.allowed(r.URL)
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errs.E(errs.Invalid, "exchange.publish.fetch.address", err)
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, errPrivateAddress):
		return nil, errs.E(errs.Denied, "exchange.publish.fetch.private", err)
	case err != nil:
		if e, ok := errors.AsType[*errs.Error](err); ok {
			return nil, e
		}
		return nil, errs.E(errs.Unavailable, "exchange.publish.fetch.failed", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errs.E(errs.Unavailable, "exchange.publish.fetch.status", nil, "status", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, openapi.MaxSize+1))
	if err != nil {
		return nil, errs.E(errs.Unavailable, "exchange.publish.fetch.failed", err)
	}
	return b, nil // one byte too many is refused by the reader of documents
}

func (f *Fetcher) allowed(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && f.listed(u.Hostname(), port(u)) {
		return nil
	}
	return errs.E(errs.Denied, "exchange.publish.fetch.https", nil)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

func (f *Fetcher) listed(host, port string) bool {
	return slices.Contains(f.Hosts, host) || slices.Contains(f.Hosts, net.JoinHostPort(host, port))
}

// dial connects and checks the address that the name led to, so that a name cannot be changed between check and use.
func (f *Fetcher) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := &net.Dialer{Timeout: 10 * time.Second}
	if !f.listed(host, p) {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			if ip := ap.Addr().Unmap(); !ip.IsGlobalUnicast() || near(ip) || nowhere(ip) || sharedSpace.Contains(ip) || translated.Contains(ip) {
				return fmt.Errorf("%s: %w", ip, errPrivateAddress)
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, address)
}

// sharedSpace is of carriers and clouds (RFC 6598), translated holds any IPv4 address inside (RFC 6052): neither is public.
var (
	sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
	translated  = netip.MustParsePrefix("64:ff9b::/96")
)
