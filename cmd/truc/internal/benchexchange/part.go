package benchexchange

import (
	"bufio"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"truc/cmd/truc/internal/host"
	"truc/internal/pki"
)

// The parts.
const (
	roleBackEnd      = "back-end"
	roleConsumer     = "consumer"
	roleProvider     = "provider"
	roleBareConsumer = "bare-consumer"
	roleBareProvider = "bare-provider"
)

// partConfig is the first line a part reads.
type partConfig struct {
	Role string
	// Dir is the node's folder.
	Dir string
	// TLSKey and SignKey are PKCS #8, Cert and Root X.509, all DER.
	TLSKey, SignKey, Cert, Root []byte
	// Next is where a bare proxy or the provider sends to.
	Next string
	// Peers is the network.
	Peers []peerConfig
	// KeyHash is the API key of the only program.
	KeyHash string
	// Body is the size of the back end's answers.
	Body    int
	Profile string
	// Each makes a node sign each message alone; a provider does as its consumer does.
	Each bool
}

// reply is what a part says: its address at first, then how it fares.
type reply struct {
	Addr string `json:",omitempty"`
	// CPU is in µs since the start.
	CPU, RSS, Files, Goroutines int64
	// RSSAnon, HeapLive and HeapMapped say what RSS consists of, see [host].
	RSSAnon, HeapLive, HeapMapped int64
	// Entries and Rows count what a node has written to its log and its index.
	Entries, Rows int64
	Err           string `json:",omitempty"`
}

// running is a part that answers requests.
type running struct {
	addr string
	// settle ends work that was put off, so that it is counted with what caused it; count fills in what is stored. Both
	// may be missing.
	settle func(context.Context) error
	count  func(context.Context, *reply) error
	close  func() error
}

// Part is a process of the benchmark: it reads from in what it is to be, and lives until in ends.
func Part(ctx context.Context, in io.Reader, out, logTo io.Writer, now func() time.Time) (err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		return errors.New("a part is started by the benchmark only")
	}
	var c partConfig
	if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	p, err := startPart(ctx, &c, slog.New(slog.NewJSONHandler(logTo, &slog.HandlerOptions{Level: slog.LevelWarn})), now)
	if err != nil {
		return errors.Join(err, enc.Encode(reply{Err: err.Error()}))
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if c.Profile != "" {
		name := c.Role
		if c.Each {
			name += "-each"
		}
		stop, err := profile(filepath.Join(c.Profile, name+".pprof"))
		if err != nil {
			return err
		}
		defer stop()
	}
	if err := enc.Encode(reply{Addr: p.addr}); err != nil {
		return err
	}
	for lines.Scan() {
		if err := enc.Encode(p.report(ctx, lines.Text() == askStored)); err != nil {
			return err
		}
	}
	return lines.Err()
}

// The questions. To count what is stored costs time of its own, so it is asked once, at the end.
const (
	askUsage  = "usage"
	askStored = "stored"
)

func (p *running) report(ctx context.Context, stored bool) (r reply) {
	if p.settle != nil {
		if err := p.settle(ctx); err != nil {
			r.Err = err.Error()
		}
	}
	r.CPU, r.RSS, r.Files, r.Goroutines = host.CPUTime().Microseconds(), host.RSS(), host.OpenFiles(), int64(runtime.NumGoroutine())
	heap := host.HeapNow()
	r.RSSAnon, r.HeapLive, r.HeapMapped = host.RSSAnon(), heap.Live, heap.Mapped
	if stored && p.count != nil {
		if err := p.count(ctx, &r); err != nil {
			r.Err = err.Error()
		}
	}
	return r
}

func profile(path string) (stop func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

func startPart(ctx context.Context, c *partConfig, log *slog.Logger, now func() time.Time) (*running, error) {
	var settings pki.Settings
	if len(c.Cert) > 0 {
		var err error
		if settings, err = c.settings(now); err != nil {
			return nil, err
		}
	}
	switch c.Role {
	case roleBackEnd:
		return listen(ctx, &http.Server{Handler: backEnd(c.Body), ReadHeaderTimeout: 10 * time.Second})
	case roleBareConsumer:
		proxy, err := forward(c.Next, linkTransport(settings))
		if err != nil {
			return nil, err
		}
		return listen(ctx, &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second})
	case roleBareProvider:
		proxy, err := forward(c.Next, backEndTransport())
		if err != nil {
			return nil, err
		}
		return listen(ctx, &http.Server{Handler: proxy, TLSConfig: settings.Server(), ReadHeaderTimeout: 10 * time.Second})
	case roleConsumer, roleProvider:
		return startNode(ctx, c, settings, log, now)
	}
	return nil, fmt.Errorf("there is no part %q", c.Role)
}

// settings are those of the link: who is listed is asked for by the key, as nodes do.
func (c *partConfig) settings(now func() time.Time) (s pki.Settings, err error) {
	cert, err := x509.ParseCertificate(c.Cert)
	if err != nil {
		return s, err
	}
	root, err := x509.ParseCertificate(c.Root)
	if err != nil {
		return s, err
	}
	key, err := signerOf(c.TLSKey)
	if err != nil {
		return s, err
	}
	own, roots := pki.TLSCertificate(key, cert), pki.Pool(root)
	return pki.Settings{
		Identity: func() *tls.Certificate { return own }, Roots: func() *x509.CertPool { return roots }, Now: now,
		Accept: func(leaf *x509.Certificate) error {
			id := pki.KeyID(leaf.PublicKey)
			for _, p := range c.Peers {
				if p.TLSKeyID == id {
					return nil
				}
			}
			return errors.New("the peer is not listed")
		},
	}, nil
}

func signerOf(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	return s, nil
}

// listen serves on a free port of the loopback, with TLS when the server has settings for it.
func listen(ctx context.Context, srv *http.Server) (*running, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if srv.TLSConfig != nil {
			_ = srv.ServeTLS(l, "", "") // it ends by Close
		} else {
			_ = srv.Serve(l)
		}
	}()
	return &running{addr: l.Addr().String(), close: func() error {
		err := srv.Close()
		<-done
		return err
	}}, nil
}

// backEnd reads the request and answers with so many bytes.
func backEnd(size int) http.Handler {
	body := payload(size)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, "the request ended early", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
}

// payload is a JSON text of a given size.
func payload(size int) []byte {
	b := make([]byte, max(size, 2))
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	b[0], b[len(b)-1] = '"', '"'
	return b
}

func forward(next string, transport http.RoundTripper) (*httputil.ReverseProxy, error) {
	to, err := url.Parse(next)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}, nil
}

// linkTransport has the settings of exchangeapi.Carrier.
func linkTransport(s pki.Settings) *http.Transport {
	return &http.Transport{
		TLSClientConfig: s.Client(), ForceAttemptHTTP2: true, MaxConnsPerHost: 4, DisableCompression: true, IdleConnTimeout: 5 * time.Minute,
	}
}

func backEndTransport() *http.Transport {
	return &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, DisableCompression: true, IdleConnTimeout: 5 * time.Minute}
}
