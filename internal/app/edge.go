package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangestore"
	"truc/internal/orgcode"
	"truc/internal/web"
)

// EdgeConfig is where programs of the own agency reach the exchange (X-Road REST, /r1/). Programs with an API key may also use
// the listener for people, where the edge always is.
type EdgeConfig struct {
	// Listen is host:port for plain HTTP, such as "127.0.0.1:8080"; default none. Production refuses an address that other
	// machines reach, because keys would cross the network in the clear: use TLSListen.
	Listen string `toml:"listen"`
	// TLSListen is host:port for TLS 1.2 and newer, such as ":8443"; default none. Only here a program can be known by its
	// certificate.
	TLSListen string `toml:"tls_listen"`
	// TLSCert and TLSKey are PEM files of the edge's own certificate.
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`
	// ErrorCodes is "snake" (default, X-Road 7.8) or "legacy" for clients that know the names before; a client record may
	// say otherwise.
	ErrorCodes string `toml:"error_codes"`
	// Native answers with HTTP's own statuses (401, 403, 404, 429 …) instead of X-Road's 400 and 500. A program may ask for
	// either with the header Truc-Mode: native or compat.
	Native bool `toml:"native"`
	// MetadataPublic lets programs list the members of the network without saying who they are, as X-Road does; default only
	// in development.
	MetadataPublic bool `toml:"metadata_public"`
	// OpenClients are subsystems, such as "VN/GOV/H36/onestop", as which every program on this machine may call through
	// Listen without proving who it is. Listen must then be a loopback address. No reverse proxy may stand before it.
	OpenClients []string `toml:"open_clients"`
}

// check returns every fault of the section.
func (e EdgeConfig) check(c *Config) []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for name, addr := range map[string]string{"edge.listen": e.Listen, "edge.tls_listen": e.TLSListen} {
		if addr != "" && !strings.Contains(addr, ":") {
			bad("%s: write host:port", name)
		}
	}
	if (e.TLSCert == "") != (e.TLSKey == "") || (e.TLSListen == "") != (e.TLSCert == "") {
		bad("edge.tls_listen, edge.tls_cert and edge.tls_key: give all or none")
	}
	if !slices.Contains([]string{"", exchange.CodesSnake, exchange.CodesLegacy}, e.ErrorCodes) {
		bad("edge.error_codes: %q is neither snake nor legacy", e.ErrorCodes)
	}
	if len(e.OpenClients) > 0 && !isLoopback(e.Listen) {
		bad("edge.open_clients: programs that prove nothing are let in only where edge.listen is a loopback address, such as \"127.0.0.1:8080\"")
	}
	for _, sub := range e.OpenClients {
		if p, err := orgcode.ParseSubsystem(sub); err != nil || p.MemberID() != c.MemberID() {
			bad("edge.open_clients: %q is no subsystem of %s", sub, c.MemberID())
		}
	}
	if c.Env == "production" && e.Listen != "" && !isLoopback(e.Listen) {
		bad("edge.listen: other machines must reach the edge by TLS: use edge.tls_listen")
	}
	return faults
}

// isLoopback reports whether only this machine reaches an address. A name is no proof, save "localhost".
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// startEdge makes the edge of the listener for people, and those of listeners of its own.
func (n *Node) startEdge(store *exchangestore.Store, budget *exchange.Budget) error {
	cfg := n.cfg.Edge
	base := exchangeapi.Edge{
		Service: n.exchange, Keys: store, Instance: n.cfg.Instance, MetadataPublic: n.cfg.Env == "development", ErrorCodes: cfg.ErrorCodes, Native: cfg.Native,
		Proofs: exchange.NewProofs(n.now), HTTPS: strings.HasPrefix(n.cfg.Web.URL, "https:"), Evidence: edgeEvidence{n}, Budget: budget, Now: n.now, Log: n.log,
	}
	n.edge = &base
	n.bypass = append(n.bypass, "/r1/")
	if cfg.Listen != "" {
		plain := base
		plain.HTTPS, plain.MetadataPublic, plain.OpenClients = false, base.MetadataPublic || cfg.MetadataPublic, cfg.OpenClients
		n.background("edge", func(ctx context.Context) error { return n.serveEdge(ctx, &plain, cfg.Listen, nil) })
	}
	if cfg.TLSListen != "" {
		cert, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return fmt.Errorf("edge.tls_cert: %w", err)
		}
		secure := base
		secure.HTTPS, secure.MetadataPublic = true, base.MetadataPublic || cfg.MetadataPublic
		n.background("edge.tls", func(ctx context.Context) error {
			return n.serveEdge(ctx, &secure, cfg.TLSListen, exchangeapi.EdgeTLS(cert))
		})
	}
	return nil
}

// serveEdge serves one listener of the edge until ctx ends.
func (n *Node) serveEdge(ctx context.Context, e *exchangeapi.Edge, addr string, settings *tls.Config) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	l = web.Guard(l, 0)
	if settings != nil {
		l = tls.NewListener(l, settings)
	}
	srv := e.Server(n.log)
	if n.delivery != nil {
		srv.Handler = (&exchangeapi.Async{Edge: e, Messages: n.delivery}).Wrap(e)
	}
	return web.Serve(ctx, srv, exchangeapi.StrictListener(l), 5*time.Second)
}

// edgeEvidence gives evidence to programs; the export is recorded before it happens.
type edgeEvidence struct{ n *Node }

// Evidence implements [exchangeapi.EvidenceSource]. A party knows the persons it asked about, or was asked about.
func (s edgeEvidence) Evidence(ctx context.Context, exchangeID string, party orgcode.Subsystem, part exchange.EvidencePart) ([]byte, error) {
	if err := s.n.act(ctx, party.String(), "exchange.evidence.export_persons", exchangeID); err != nil {
		return nil, err
	}
	return s.n.exchange.Evidence(ctx, exchangeID, exchange.EvidenceOptions{Persons: true, Party: party.String(), Part: part})
}

// Configuration implements [exchangeapi.EvidenceSource].
func (s edgeEvidence) Configuration() []byte { return s.n.follower.Envelope() }
