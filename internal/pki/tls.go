package pki

import (
	"crypto"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
)

// Settings are what a node needs to speak on the link. The functions are asked on every handshake, so that a
// renewed certificate, a new root or a revoked peer counts without a restart.
//
// On a connection that stays open a revocation must be asked about again with every request; TLS does not.
type Settings struct {
	// Identity returns this node's certificate and key; nil makes the handshake fail.
	Identity func() *tls.Certificate
	// Roots returns the authorities of the instance.
	Roots func() *x509.CertPool
	// Accept decides whether the key of a leaf with a good chain is the one the directory lists.
	Accept func(leaf *x509.Certificate) error
	// Now is the clock for validity; nil means the wall clock of crypto/tls.
	Now func() time.Time
	// Protocols are spoken on the link, by their ALPN names, the preferred first; default HTTP/2 alone.
	Protocols []string
}

func (s Settings) protocols() []string {
	if len(s.Protocols) == 0 {
		return []string{"h2"}
	}
	return s.Protocols
}

// TLSCertificate joins a key, its certificate and the chain that peers are shown.
func TLSCertificate(key crypto.Signer, leaf *x509.Certificate, chain ...*x509.Certificate) *tls.Certificate {
	c := &tls.Certificate{PrivateKey: key, Leaf: leaf, Certificate: [][]byte{leaf.Raw}}
	for _, cert := range chain {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}

// ServerTLS is the accepting side of the link: TLS 1.3 only, HTTP/2 only, client certificate required.
func ServerTLS(identity func() *tls.Certificate, roots func() *x509.CertPool, accept func(leaf *x509.Certificate) error) *tls.Config {
	return Settings{Identity: identity, Roots: roots, Accept: accept}.Server()
}

// ClientTLS is the calling side of the link; accept is bound to the peer that is being called.
func ClientTLS(identity func() *tls.Certificate, roots func() *x509.CertPool, accept func(leaf *x509.Certificate) error) *tls.Config {
	return Settings{Identity: identity, Roots: roots, Accept: accept}.Client()
}

// Server returns the configuration of [ServerTLS].
func (s Settings) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: s.protocols(),
		Time:       s.Now,
		// The chain is checked in VerifyConnection, which runs on resumed connections too and sees today's roots.
		ClientAuth:       tls.RequireAnyClientCert,
		VerifyConnection: func(cs tls.ConnectionState) error { return s.verify(cs, x509.ExtKeyUsageClientAuth, "") },
		GetCertificate:   func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.identity() },
	}
}

// Client returns the configuration of [ClientTLS].
func (s Settings) Client() *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		NextProtos:           s.protocols(),
		Time:                 s.Now,
		InsecureSkipVerify:   true, //nolint:gosec // VerifyConnection checks chain, name and key against the roots of this moment
		VerifyConnection:     func(cs tls.ConnectionState) error { return s.verify(cs, x509.ExtKeyUsageServerAuth, cs.ServerName) },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.identity() },
	}
}

func (s Settings) identity() (*tls.Certificate, error) {
	if c := s.Identity(); c != nil {
		return c, nil
	}
	return nil, errs.E(errs.Unavailable, "pki.no_identity", nil)
}

func (s Settings) verify(cs tls.ConnectionState, usage x509.ExtKeyUsage, name string) error {
	if !slices.Contains(s.protocols(), cs.NegotiatedProtocol) {
		return errs.E(errs.Denied, "pki.peer_protocol", errors.New("no protocol of the link was negotiated"))
	}
	opt := x509.VerifyOptions{Roots: s.Roots(), DNSName: name, KeyUsages: []x509.ExtKeyUsage{usage}}
	if s.Now != nil {
		opt.CurrentTime = s.Now()
	}
	if opt.Roots == nil { // a nil pool would mean the roots of the operating system
		return errs.E(errs.Unavailable, "pki.no_roots", nil)
	}
	if err := verifyChain(cs.PeerCertificates, opt); err != nil {
		return errs.E(errs.Denied, "pki.peer_untrusted", err)
	}
	if err := s.Accept(cs.PeerCertificates[0]); err != nil {
		return errs.E(errs.Denied, "pki.peer_unlisted", err)
	}
	return nil
}

func verifyChain(certs []*x509.Certificate, opt x509.VerifyOptions) error {
	if len(certs) == 0 {
		return errors.New("no certificate")
	}
	opt.Intermediates = Pool(certs[1:]...)
	_, err := certs[0].Verify(opt)
	return err
}

// PinnedTLS trusts a server whose leaf has the given [Fingerprint], or whose chain leads to a certificate with
// it. A joining node knows nothing yet but the fingerprint in its token; pinning the authority survives the
// renewal of the center's own certificate.
func PinnedTLS(fingerprint string, now func() time.Time) *tls.Config {
	want := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(fingerprint), ":", ""))
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Time:               now,
		InsecureSkipVerify: true, //nolint:gosec // replaced by the pin below
		VerifyConnection: func(cs tls.ConnectionState) error {
			for i, c := range cs.PeerCertificates {
				if subtle.ConstantTimeCompare([]byte(Fingerprint(c)), []byte(want)) != 1 {
					continue
				}
				if i == 0 {
					return nil
				}
				opt := x509.VerifyOptions{Roots: Pool(c), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
				if now != nil {
					opt.CurrentTime = now()
				}
				if err := verifyChain(cs.PeerCertificates, opt); err != nil {
					return errs.E(errs.Denied, "pki.peer_untrusted", err)
				}
				return nil
			}
			return errs.E(errs.Denied, "pki.pin_mismatch", nil)
		},
	}
}

// PinnedClient returns an HTTP client with [PinnedTLS] that follows no redirect, since the pin holds for one
// server only.
func PinnedClient(fingerprint string) *http.Client {
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: PinnedTLS(fingerprint, nil), ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
