package exchangeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/orgcode"
)

// identity is who a program proved to be.
type identity struct {
	// client is the record it was known by; with err it may still say how errors are written.
	client exchange.APIKey
	// used are headers that proved it and must not travel on.
	used []string
	err  error
}

type identityKey struct{}

// known finds out who asks and keeps it with the request: a proof must be judged once only.
func (e *Edge) known(r *http.Request) *http.Request {
	sub, _ := clientOf(r) // its fault comes at its place in the order of checks
	return r.WithContext(context.WithValue(r.Context(), identityKey{}, e.identify(r, sub)))
}

// identityOf returns what known found out.
func identityOf(r *http.Request) identity {
	id, ok := r.Context().Value(identityKey{}).(identity)
	if !ok {
		id.err = notAuthenticated(errors.New("nobody has asked who this is"))
	}
	return id
}

// authenticate returns the subsystem that a program proved to speak for, or the first of the faults of spec §2.7: identifiers,
// registered client, authentication.
func (e *Edge) authenticate(r *http.Request) (orgcode.Subsystem, error) {
	sub, err := clientOf(r)
	if err != nil {
		return sub, err
	}
	id := identityOf(r)
	switch {
	case sub.Code == "" || !e.Service.Hosts(sub):
		return sub, exchange.NewFault("server.clientproxy.", "unknown_member", fmt.Errorf("this node does not host %s", sub))
	case id.err != nil:
		return sub, id.err
	case id.client.Subsystem != sub.String():
		return sub, notAuthenticated(errors.New("the program speaks for another subsystem"))
	}
	return sub, nil
}

// HeaderAPIKey carries a key of ours when the program needs X-Api-Key and Authorization for the service it calls.
const HeaderAPIKey = "Truc-Api-Key" //nolint:gosec // a name, no key

func notAuthenticated(cause error) error {
	return exchange.NewFault("server.clientproxy.", "ssl_authentication_failed", cause)
}

// identify finds out who asks (spec D8): by the key of the TLS certificate, by a bound token with its proof, by an API key, or,
// on this machine and only where it was switched on, by nothing at all. It refuses by its err, not at once, because other
// faults come before this one (spec §2.7).
func (e *Edge) identify(r *http.Request, sub orgcode.Subsystem) identity {
	if st := connectionState(r); st != nil && len(st.PeerCertificates) > 0 {
		id, known := e.byCertificate(r.Context(), st.PeerCertificates[0], sub.String())
		if known {
			return id
		}
	}
	if k := r.Header.Get(HeaderAPIKey); k != "" {
		return e.byKey(r.Context(), k, HeaderAPIKey)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "DPoP") && e.Proofs != nil {
		return e.byToken(r, strings.TrimSpace(token))
	}
	if k := r.Header.Get("X-Api-Key"); k != "" {
		return e.byKey(r.Context(), k, "X-Api-Key")
	}
	open := slices.Contains(e.OpenClients, sub.String()) && local(r)
	if strings.EqualFold(scheme, "Bearer") && (!open || isOurs(token)) {
		return e.byKey(r.Context(), strings.TrimSpace(token), "Authorization")
	}
	if open {
		return identity{client: exchange.APIKey{Subsystem: sub.String()}}
	}
	return identity{err: notAuthenticated(errors.New("the program does not say who it is"))}
}

// find looks a record up.
func (e *Edge) find(ctx context.Context, hash string) (exchange.APIKey, error) {
	k, err := e.Keys.KeyByHash(ctx, hash)
	switch {
	case errs.Is(err, errs.NotFound):
		return k, notAuthenticated(err)
	case err != nil:
		return k, exchange.NewFault("server.clientproxy.", "database_error", err)
	}
	return k, nil
}

func (e *Edge) byKey(ctx context.Context, secret, header string) identity {
	k, err := e.find(ctx, exchange.HashKey(secret))
	id := identity{client: k, used: []string{header}, err: err}
	if err == nil && k.Kind != exchange.ClientKey {
		id.err = notAuthenticated(errors.New("a bound token was sent without a proof"))
	}
	return id
}

// byToken checks a token that is bound to a key, and its proof (RFC 9449 §7).
func (e *Edge) byToken(r *http.Request, token string) identity {
	k, err := e.find(r.Context(), exchange.HashKey(token))
	id := identity{client: k, used: []string{"Authorization", "Dpop"}, err: err}
	if err != nil {
		return id
	}
	proofs := r.Header.Values("Dpop")
	if k.Kind != exchange.ClientBound || len(proofs) != 1 {
		id.err = notAuthenticated(errors.New("the request has no proof, or more than one, or the token is not bound to a key"))
		return id
	}
	scheme := "http"
	if connectionState(r) != nil || e.HTTPS {
		scheme = "https"
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if err := e.Proofs.Check(proofs[0], token, k.Thumbprint, r.Method, scheme+"://"+r.Host+path); err != nil {
		id.err = notAuthenticated(err)
	}
	return id
}

// byCertificate looks for a pin of the certificate's key. TLS has proved that the program holds the key; who signed the
// certificate does not matter, its dates do (D8).
func (e *Edge) byCertificate(ctx context.Context, cert *x509.Certificate, sub string) (id identity, known bool) {
	k, err := e.find(ctx, exchange.PinHash(cert.RawSubjectPublicKeyInfo, sub))
	if err != nil {
		return identity{err: err}, errs.Is(err, errs.Internal)
	}
	id = identity{client: k}
	if k.Kind != exchange.ClientMTLS {
		id.err = notAuthenticated(errors.New("the record is not one of a certificate"))
		return id, true
	}
	if e.Now == nil {
		id.err = notAuthenticated(errors.New("the edge has no clock"))
		return id, true
	}
	if now := e.Now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		id.err = notAuthenticated(errors.New("the certificate is not valid now"))
	}
	return id, true
}

// local reports whether a request comes from this machine and from no browser that was led here: its address and its Host are
// those of this machine, and no proxy passed it on.
func local(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() || r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Origin") != "" {
		return false
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// connectionState returns the TLS state of a request's connection, nil without TLS.
func connectionState(r *http.Request) *tls.ConnectionState {
	if r.TLS != nil {
		return r.TLS
	}
	if c, ok := r.Context().Value(edgeConnKey{}).(*strictConn); ok {
		if t, ok := c.Conn.(*tls.Conn); ok {
			st := t.ConnectionState()
			return &st
		}
	}
	return nil
}
