package axisapi

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// maxHeader bounds the head of a request. Everything but the document travels in headers, and the signed text repeats them all.
const maxHeader = 128 << 10

// Server returns the server of a listener of the axis' own; its listener is one of [Tolerant], and secure says that TLS lies below that.
// Clients leave their connections open, so these end after a minute of silence. How long a body or an answer may take is up to the
// call, which gives time as long as something moves.
func (a *API) Server(log *slog.Logger, secure bool) *http.Server {
	srv := &http.Server{
		Handler: a.Wrap(http.HandlerFunc(a.elsewhere)), MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: 20 * time.Second, IdleTimeout: idle, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if secure { // net/http does not see the TLS below
		srv.BaseContext = func(net.Listener) context.Context { return context.WithValue(context.Background(), secureKey{}, true) }
	}
	return srv
}

type secureKey struct{}

// byTLS reports whether a request came by TLS.
func byTLS(r *http.Request) bool { return r.TLS != nil || r.Context().Value(secureKey{}) != nil }

// elsewhere answers what is not below the prefix, also in JSON.
func (a *API) elsewhere(w http.ResponseWriter, r *http.Request) {
	r.Body = patient(w, r)
	a.fail(w, r, "", refusal(codeSystem, "axis.vxp.unknown_call"))
}

// ServerTLS returns the TLS settings of that listener: 1.2 and newer, because old Java runtimes are among the clients, and HTTP/1.1, on
// which [Tolerant] depends.
func ServerTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
}
