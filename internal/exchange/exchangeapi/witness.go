package exchangeapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"truc/internal/exchange"
	"truc/internal/exchange/notary"
	"truc/internal/translog"
)

// Logs shows other nodes what they need to hold this node's logs, and theirs, to account:
//
//	POST /witness/add-checkpoint   this node as a witness (C2SP tlog-witness)
//	GET  /log/NAME/checkpoint      the newest checkpoint of a log
//	GET  /log/NAME/pruned          the signed statement of what was pruned, 404 when nothing was
//	GET  /log/NAME/tile/L/N[.p/W]  a hash tile (C2SP tlog-tiles)
//
// Entries are not shown: they belong to the parties of an exchange. Tiles hold hashes of salted entries only.
type Logs struct {
	// Witness is nil on a node that is none.
	Witness *translog.Witness
	// Logs by name: "exchange", "audit".
	Logs map[string]PublicLog
	Log  *slog.Logger
}

// PublicLog is what of a log may be shown; *translog.Log is one.
type PublicLog interface {
	Checkpoint() ([]byte, error)
	Pruned() []byte
	Tile(t translog.Tile) ([]byte, error)
}

// ServeHTTP implements [http.Handler].
func (l *Logs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/witness/add-checkpoint" && l.Witness != nil:
		l.addCheckpoint(w, r)
	case strings.HasPrefix(r.URL.Path, "/log/") && r.Method == http.MethodGet:
		l.read(w, r)
	default:
		http.Error(w, "not found", http.StatusNotFound)
	}
}

func (l *Logs) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, translog.MaxAddCheckpoint))
	if err != nil {
		http.Error(w, "the request is too long", http.StatusBadRequest)
		return
	}
	a, err := l.Witness.AddCheckpoint(r.Context(), body)
	if err != nil {
		l.Log.WarnContext(r.Context(), "witness cannot answer", slog.String("error", err.Error()))
		http.Error(w, "the witness cannot answer now", http.StatusServiceUnavailable)
		return
	}
	if a.Type != "" {
		w.Header().Set("Content-Type", a.Type)
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

func (l *Logs) read(w http.ResponseWriter, r *http.Request) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/log/"), "/")
	log, ok := l.Logs[name]
	if !ok {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	var b []byte
	var err error
	typ := "text/plain; charset=utf-8"
	switch rest {
	case "checkpoint":
		b, err = log.Checkpoint()
	case "pruned":
		if b = log.Pruned(); b == nil {
			err = translog.ErrRange
		}
	default:
		var t translog.Tile
		typ = "application/octet-stream"
		if t, err = translog.ParseTile(rest); err == nil {
			b, err = log.Tile(t)
		}
	}
	switch {
	case errors.Is(err, translog.ErrTile), errors.Is(err, translog.ErrRange):
		http.Error(w, "not found", http.StatusNotFound)
	case err != nil:
		l.Log.WarnContext(r.Context(), "log cannot be shown", slog.String("log", name), slog.String("error", err.Error()))
		http.Error(w, "the log cannot answer now", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", typ)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(b) //nolint:gosec // a signed note or hashes, of a type that no browser runs
	}
}

// WitnessCourier asks witnesses: nodes of the network over the link, others with Outside.
type WitnessCourier struct {
	Carrier *Carrier
	// Peer returns a node of the network.
	Peer func(serverID string) (exchange.Peer, bool)
	// Outside asks witnesses that are no nodes; nil refuses them.
	Outside *http.Client
}

// AddCheckpoint implements [notary.Courier].
func (c *WitnessCourier) AddCheckpoint(ctx context.Context, w notary.WitnessPeer, body []byte) (a translog.WitnessAnswer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	var resp *http.Response
	switch p, ok := c.Peer(w.Node); {
	case ok && w.URL == strings.TrimSuffix(p.URL, "/")+"/witness":
		resp, err = c.Carrier.peer(p).tr.RoundTrip(req)
	case c.Outside != nil:
		resp, err = c.Outside.Do(req)
	default:
		return a, fmt.Errorf("witness %s is no node of the network", w.Node)
	}
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil {
		return a, err
	}
	return translog.WitnessAnswer{Status: resp.StatusCode, Type: resp.Header.Get("Content-Type"), Body: b}, nil
}

// NewWitnessClient returns the client for witnesses outside the network.
func NewWitnessClient() *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}
