package exchangeapi

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// edgeConnKey is the context key of a request's connection.
type edgeConnKey struct{}

// Server returns the server of a listener of the edge's own, with limits on slow and silent programs (spec D33). Its listener is
// one of [StrictListener].
func (e *Edge) Server(log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: e, MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, edgeConnKey{}, c) },
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Minute, WriteTimeout: 15 * time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// EdgeTLS returns the TLS settings of the edge: 1.2 and newer, HTTP/1.1 as the protocol demands, and a program's certificate
// asked for but not needed. No authority is trusted with it: its key is pinned ([exchange.ClientMTLS]).
func EdgeTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"},
		ClientAuth: tls.RequestClientCert,
	}
}
