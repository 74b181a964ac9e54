package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"truc/internal/fakebank"
	"truc/internal/i18n"
	"truc/internal/storage"
	"truc/internal/web/ui"
	"truc/lang"
)

// Network is a running demonstration.
type Network struct {
	l      *layout
	log    *slog.Logger
	out    io.Writer
	binary string
	client *http.Client

	mu    sync.Mutex // guards procs, down and ending
	procs map[string]*exec.Cmd
	// down holds back nodes that were halted.
	down map[string]chan struct{}
	// ending keeps the supervisor from starting again what is being stopped.
	ending bool

	// notary is a system of the Ministry of Justice, published by its node.
	notary *notary

	wg     sync.WaitGroup
	cancel context.CancelFunc
	// Took is how long the start took.
	Took time.Duration
}

// Start writes the configuration, starts every node and waits until all of them serve and the portal knows what the
// provinces offer. Stop must be called afterwards.
func Start(ctx context.Context, opt Options, out io.Writer, log *slog.Logger) (n *Network, err error) {
	begin := time.Now()
	l, err := newLayout(opt)
	if err != nil {
		return nil, err
	}
	if err := l.samePorts(); err != nil {
		return nil, err
	}
	if err := l.write(); err != nil {
		return nil, err
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n = &Network{l: l, log: log, out: out, binary: binary, procs: map[string]*exec.Cmd{}, down: map[string]chan struct{}{}, cancel: cancel, client: &http.Client{Timeout: 5 * time.Second}}
	defer func() {
		if err != nil {
			n.Stop()
		}
	}()
	if opt.DB != "" {
		if err := l.createDatabases(ctx); err != nil {
			return n, err
		}
	}
	if err := n.startBank(run); err != nil {
		return n, err
	}
	if err := n.startNotary(run); err != nil {
		return n, err
	}
	n.supervise(run, l.center())
	if err := n.ready(ctx, l.center()); err != nil {
		return n, err
	}
	sem := make(chan struct{}, 8) // joining costs CPU; two cores gain nothing from eighty at once
	errc := make(chan error, len(l.agencies))
	for _, a := range l.agencies[1:] {
		sem <- struct{}{}
		go func() {
			defer func() { <-sem }()
			n.supervise(run, a)
			errc <- n.ready(ctx, a)
		}()
	}
	for range l.agencies[1:] {
		err = errors.Join(err, <-errc)
	}
	if err != nil {
		return n, err
	}
	if err := n.portalReady(ctx); err != nil {
		return n, err
	}
	if err := n.directoryReady(ctx); err != nil {
		return n, err
	}
	if err := n.agreementsReady(ctx); err != nil {
		return n, err
	}
	n.Took = time.Since(begin)
	return n, n.writeJSON()
}

func (l *layout) createDatabases(ctx context.Context) error {
	for _, a := range l.agencies {
		if err := storage.EnsureDatabase(ctx, l.opt.databaseOf(a.id()), l.opt.DB); err != nil {
			return err
		}
	}
	return nil
}

// startBank runs the payment simulator in this process.
func (n *Network) startBank(ctx context.Context) error {
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		return err
	}
	rd, err := ui.NewRenderer(ui.Options{Lang: cat, Site: ui.Site{Name: i18n.Text{"vi": "Cổng thanh toán thử nghiệm", "en": "Payment simulator"}, Phase: "test", NoSignIn: true}})
	if err != nil {
		return err
	}
	secret, err := n.l.secret("payment")
	if err != nil {
		return err
	}
	bank, err := fakebank.New(fakebank.Options{
		Merchants: []fakebank.Merchant{{Code: merchantCode, Secret: secret, NoticeURL: n.l.center().webURL() + "/payments/notice", Name: "Cổng dịch vụ công"}},
		StatePath: filepath.Join(n.l.opt.Dir, "bank", "state.json"), Renderer: rd, Lang: cat, Now: time.Now, Log: n.log, LateBy: 10 * time.Second,
	})
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", n.l.bankPort))
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: bank, ReadHeaderTimeout: 10 * time.Second}
	n.wg.Go(func() { _ = srv.Serve(l) })
	n.wg.Go(func() { bank.Run(ctx) })
	n.wg.Go(func() {
		<-ctx.Done()
		_ = srv.Close()
	})
	return nil
}

// supervise starts a node and starts it again when it ends by itself, as an operator's service manager would.
func (n *Network) supervise(ctx context.Context, a agency) {
	n.wg.Go(func() {
		for first := true; ctx.Err() == nil; first = false {
			n.mu.Lock()
			down := n.down[a.id()]
			n.mu.Unlock()
			if down != nil {
				select {
				case <-ctx.Done():
					return
				case <-down:
				}
			}
			if !first {
				fmt.Fprintf(n.out, "  %s ended; starting it again\n", a.id())
			}
			if err := n.runNode(a); err != nil && ctx.Err() == nil {
				n.log.WarnContext(ctx, "a node ended", slog.String("node", a.id()), slog.Any("error", err))
			}
			select {
			case <-ctx.Done():
			case <-time.After(300 * time.Millisecond):
			}
		}
	})
}

func (n *Network) runNode(a agency) error {
	logFile, err := os.OpenFile(filepath.Join(n.l.dir(a), "node.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()                                                //nolint:errcheck // the node writes it
	cmd := exec.Command(n.binary, "serve", "-config", n.l.configPath(a)) //nolint:gosec,noctx // our own binary; it is stopped by Stop
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=160MiB")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // Ctrl-C reaches us alone; we stop them in order
	n.mu.Lock()
	if n.ending {
		n.mu.Unlock()
		return context.Canceled
	}
	err = cmd.Start()
	if err == nil {
		n.procs[a.id()] = cmd
	}
	n.mu.Unlock()
	if err != nil {
		return err
	}
	return cmd.Wait()
}

// ready waits until a node serves.
func (n *Network) ready(ctx context.Context, a agency) error {
	deadline := time.Now().Add(90 * time.Second)
	for {
		if n.ok(ctx, a.webURL()+"/readyz", "") {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%s does not serve; see %s", a.id(), filepath.Join(n.l.dir(a), "node.log"))
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// portalReady waits until the portal has learnt what the provinces offer.
func (n *Network) portalReady(ctx context.Context) error {
	deadline := time.Now().Add(60 * time.Second)
	for {
		if n.ok(ctx, n.l.center().webURL()+"/procedures/2.000635", lamDong+".14") && n.ok(ctx, n.l.center().webURL()+"/procedures/2.000635", hue+".14") {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.New("the portal has not learnt what the provinces offer; see the logs of " + centerCode)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// directoryReady waits until every node has the newest directory, so that the first call finds its way.
func (n *Network) directoryReady(ctx context.Context) error {
	newest, err := n.directoryVersion(ctx, n.l.center())
	if err != nil {
		return err
	}
	for _, a := range n.l.agencies[1:] {
		err := until(ctx, "the directory's way to "+a.id(), func() (bool, error) {
			v, err := n.directoryVersion(ctx, a)
			return v >= newest, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// agreementsReady waits until every node has signed what its configuration agrees to, and the other side has too.
func (n *Network) agreementsReady(ctx context.Context) error {
	for _, a := range n.l.agencies {
		err := until(ctx, "the agreements of "+a.id(), func() (bool, error) {
			b, err := fetch(ctx, a.webURL()+"/readyz")
			if err != nil {
				return false, err
			}
			var state struct{ AgreementsWaiting, OutboxWaiting int }
			if err := json.Unmarshal(b, &state); err != nil {
				return false, err
			}
			// What could not be delivered while a node was starting has opened a circuit; it is closed when nothing waits.
			return state.AgreementsWaiting == 0 && state.OutboxWaiting == 0, fmt.Errorf("%d agreements and %d messages wait", state.AgreementsWaiting, state.OutboxWaiting)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) directoryVersion(ctx context.Context, a agency) (int64, error) {
	b, err := fetch(ctx, a.webURL()+"/readyz")
	if err != nil {
		return 0, err
	}
	var state struct {
		DirectoryVersion int64 `json:"directoryVersion"`
	}
	return state.DirectoryVersion, json.Unmarshal(b, &state)
}

func (n *Network) ok(ctx context.Context, url, want string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := n.client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return err == nil && res.StatusCode == http.StatusOK && strings.Contains(string(body), want)
}

// Kill ends a node at once, as a power cut would; the supervisor starts it again.
func (n *Network) Kill(code string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	cmd, ok := n.procs[code]
	if !ok {
		return fmt.Errorf("there is no node %s", code)
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// halt kills a node and keeps it down until resume.
func (n *Network) halt(code string) error {
	n.mu.Lock()
	if n.down[code] == nil {
		n.down[code] = make(chan struct{})
	}
	n.mu.Unlock()
	return n.Kill(code)
}

// Await waits until every node that is not halted serves and has the newest directory.
func (n *Network) Await(ctx context.Context) error {
	for _, a := range n.l.agencies {
		if err := n.ready(ctx, a); err != nil {
			return err
		}
	}
	return n.directoryReady(ctx)
}

// Settled waits until no node has anything left to send, and reports messages that were given up.
func (n *Network) Settled(ctx context.Context) error {
	for _, a := range n.l.agencies {
		err := until(ctx, "an empty outbox of "+a.id(), func() (bool, error) {
			b, err := fetch(ctx, a.webURL()+"/readyz")
			if err != nil {
				return false, err
			}
			var state struct {
				OutboxWaiting, OutboxDead int
			}
			if err := json.Unmarshal(b, &state); err != nil {
				return false, err
			}
			return state.OutboxWaiting == 0 && state.OutboxDead == 0, fmt.Errorf("%d wait, %d were given up", state.OutboxWaiting, state.OutboxDead)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Nodes returns the identifiers of the nodes, the center first.
func (n *Network) Nodes() []string {
	out := make([]string, len(n.l.agencies))
	for i, a := range n.l.agencies {
		out[i] = a.id()
	}
	return out
}

// Dir returns the folder of a node; DB the address of its database.
func (n *Network) Dir(node string) string { return filepath.Join(n.l.opt.Dir, node) }

// DB returns the address of a node's database.
func (n *Network) DB(node string) string {
	if n.l.opt.DB != "" {
		return n.l.opt.databaseOf(node)
	}
	return "sqlite:" + filepath.Join(n.Dir(node), "data", "truc.db")
}

// resume lets nodes that were halted start again, and waits until they serve.
func (n *Network) resume(codes ...string) {
	for _, code := range codes {
		n.mu.Lock()
		if c := n.down[code]; c != nil {
			close(c)
			delete(n.down, code)
		}
		n.mu.Unlock()
	}
}

// Stop ends every node in an orderly way, and by force when it does not listen.
func (n *Network) Stop() {
	n.mu.Lock()
	n.ending = true
	procs := make([]*exec.Cmd, 0, len(n.procs))
	for _, c := range n.procs {
		procs = append(procs, c)
	}
	n.mu.Unlock()
	n.cancel()
	for _, c := range procs {
		_ = c.Process.Signal(syscall.SIGTERM)
	}
	done := make(chan struct{})
	go func() { n.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(12 * time.Second):
		for _, c := range procs {
			_ = c.Process.Kill()
		}
		<-done
	}
}

// memory is what a process occupies.
type memory struct{ rss, pss int64 } // bytes

// Memory reads the memory of every node from the kernel: the resident set, and its share after dividing pages that
// several nodes have in common.
func (n *Network) memory() map[string]memory {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string]memory{}
	for id, c := range n.procs {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", c.Process.Pid))
		if err != nil {
			continue
		}
		var m memory
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			switch f[0] {
			case "Rss:":
				m.rss = kb << 10
			case "Pss:":
				m.pss = kb << 10
			}
		}
		out[id] = m
	}
	return out
}
