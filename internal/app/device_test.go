package app

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/exchange"
	"truc/internal/orgcode"
	"truc/internal/pki"
)

// hsm is the signer program over a SoftHSM token without keys.
type hsm struct {
	t      testing.TB
	binary string
	args   []string
	env    []string
	socket string
	run    *exec.Cmd
}

func newHSM(t testing.TB) *hsm {
	t.Helper()
	module := ""
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib*/*/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			module = found[0]
		}
	}
	_, missing := exec.LookPath("gcc")
	if module == "" {
		missing = errors.Join(missing, errors.New("libsofthsm2.so was not found"))
	}
	if missing != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir := t.TempDir()
	h := &hsm{t: t, binary: filepath.Join(dir, "truc-signer"), socket: filepath.Join(dir, "s")}
	build := exec.Command("go", "build", "-o", h.binary, ".")
	build.Dir, build.Env = filepath.Join("..", "..", "signer"), append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build signer: %v\n%s", err, out)
	}
	conf, pin := filepath.Join(dir, "softhsm2.conf"), filepath.Join(dir, "pin")
	for path, text := range map[string]string{conf: "directories.tokendir = " + dir + "/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", pin: "1234\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.env = append(os.Environ(), "SOFTHSM2_CONF="+conf)
	util := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "node", "--so-pin", "87654321", "--pin", "1234")
	util.Env = h.env
	if out, err := util.CombinedOutput(); err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	h.args = []string{"-module", module, "-token", "node", "-pin-file", pin, "-socket", h.socket, "-node-keys", "truc-", "-node-rate", "100000"}
	t.Cleanup(func() { h.end(syscall.SIGKILL) })
	h.start()
	return h
}

func (h *hsm) start() {
	h.t.Helper()
	h.run = exec.Command(h.binary, h.args...)
	h.run.Env = h.env
	if err := h.run.Start(); err != nil {
		h.t.Fatal(err)
	}
	for range 1000 {
		if conn, err := net.Dial("unix", h.socket); err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.t.Fatal("the signer program did not open its socket")
}

func (h *hsm) end(how syscall.Signal) {
	if h.run != nil {
		_ = h.run.Process.Signal(how)
		_ = h.run.Wait()
		h.run = nil
	}
}

// hang stops the program where it stands, with its socket open, and returns when it does.
func (h *hsm) hang() {
	h.t.Helper()
	h.signal(syscall.SIGSTOP)
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(h.run.Process.Pid, &ws, syscall.WUNTRACED, nil); err != nil || !ws.Stopped() {
		h.t.Fatalf("the program does not stop: %v, %v", ws, err)
	}
}

func (h *hsm) signal(s syscall.Signal) {
	h.t.Helper()
	if err := h.run.Process.Signal(s); err != nil {
		h.t.Fatal(err)
	}
}

// echo offers a service at the center's node and the agency's, counts its calls, and returns functions that call each.
func (p *pair) echo() (toCenter, toAgency func() error, served *atomic.Int64) {
	p.t.Helper()
	served = new(atomic.Int64)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { served.Add(1); _, _ = w.Write([]byte("ok")) })
	call := func(from, to *Node, sub string) func() error {
		p.t.Helper()
		if err := to.exchange.Offer(sub+"/echo", exchange.Offering{Name: map[string]string{"vi": "Tiếng vọng"}}, h); err != nil {
			p.t.Fatal(err)
		}
		if err := to.access.SetPublished([]exchange.Rule{{Consumer: from.cfg.Subsystem(from.office()).String(), Service: sub + "/echo"}}); err != nil {
			p.t.Fatal(err)
		}
		p.offset.Add(int64(time.Second)) // the time of a publication grows
		if err := to.publish(p.t.Context()); err != nil {
			p.t.Fatal(err)
		}
		return func() error {
			_, err := from.exchange.Call(p.t.Context(), exchange.Call{
				From: from.cfg.Subsystem(from.office()), To: orgcode.Service{Instance: "VN", Class: "GOV", Member: to.cfg.Member, Subsystem: sub, Code: "echo"},
			})
			return err
		}
	}
	toCenter, toAgency = call(p.agency, p.center, p.center.office()), call(p.center, p.agency, p.agency.office())
	p.refresh()
	return toCenter, toAgency, served
}

// office is a subsystem that the node speaks for.
func (n *Node) office() string {
	sub := n.cfg.subsystems()[0]
	return sub[strings.LastIndexByte(sub, '/')+1:]
}

func faultCode(err error) string {
	if f, ok := errors.AsType[*exchange.Fault](err); ok {
		return f.Code()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// ready compares /readyz and /status with what is expected while the device is there, or away.
func (p *pair) ready(n *Node, want bool) {
	p.t.Helper()
	status, body := fetch(p.t, n.cfg.Web.URL+"/readyz")
	if want && status != 200 {
		p.t.Errorf("/readyz = %d %s", status, body)
	}
	if want {
		return
	}
	if status != 503 || !strings.Contains(body, "exchange.diag.key_away") {
		p.t.Errorf("/readyz = %d %s; want 503 and why", status, body)
	}
	if status, body := fetch(p.t, n.cfg.Web.URL+"/status"); status != 503 || !strings.Contains(body, "cannot_sign") {
		p.t.Errorf("/status = %d %s; want 503 and why in words", status, body)
	}
	for _, path := range []string{"/healthz", "/assets/favicon.ico", "/directory/v1/document"} { // what needs no key goes on
		if status, body := fetch(p.t, n.cfg.Web.URL+path); status >= 500 {
			p.t.Errorf("%s = %d %s", path, status, body)
		}
	}
}

// The agency's signing key, of either kind in turn, and its channel key lie in a token behind the signer program. They are made
// there, sign calls, renew and change with overlap. The program is killed and hangs under traffic: calls are refused
// with cannot_sign, no service is called that could not be answered, and all goes on by itself when the program is back.
func TestKeysInDevice(t *testing.T) {
	h := newHSM(t)
	p := newPair(t, func(_, agency *Config) {
		agency.Keys = KeysConfig{Signer: h.socket, Signing: inDevice, Channel: inDevice}
	})
	toCenter, toAgency, served := p.echo()
	both := func(want, when string) {
		t.Helper()
		for name, call := range map[string]func() error{"to the center": toCenter, "to the agency": toAgency} {
			if got := faultCode(call()); !slices.Contains(strings.Split(want, " or "), got) {
				t.Errorf("%s, %s: %q; want %q", when, name, got, want)
			}
		}
	}
	both("", "at first")
	keys := p.agency.currentKeys()
	if pki.AlgOf(keys.Signing.Public()) != pki.Ed25519 || deviceLabel(keys.TLS) == "" || deviceLabel(keys.Signing) == "" {
		t.Fatalf("keys %T %T", keys.TLS, keys.Signing)
	}
	for _, name := range []string{tlsKeyFile, signingKeyFile} {
		if st, err := pki.StateOfKeyFile(p.agency.path("keys", name)); err != nil || st != pki.FileDevice {
			t.Errorf("%s is %q, %v", name, st, err)
		}
	}
	p.ready(p.agency, true)

	// Killed under traffic.
	var traffic sync.WaitGroup
	var answered, refused atomic.Int64
	stop := make(chan struct{})
	for _, call := range []func() error{toCenter, toAgency, toCenter, toAgency} {
		traffic.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch code := faultCode(call()); code {
				case "":
					answered.Add(1)
				case "cannot_sign", "circuit_open":
					refused.Add(1)
				default:
					t.Errorf("a call ended with %s", code)
				}
			}
		})
	}
	until := func(n *atomic.Int64, more int64) {
		t.Helper()
		for goal, tries := n.Load()+more, 0; n.Load() < goal; tries++ {
			if tries > 3000 {
				t.Fatal("the traffic stands still")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	until(&answered, 50)
	h.end(syscall.SIGKILL)
	until(&refused, 20)
	h.start()
	until(&answered, 50)
	close(stop)
	traffic.Wait()

	p.recovers(both) // the circuit of the agency has seen enough failures to open
	p.away(h, both, served)
	h.start()
	p.recovers(both)
	p.ready(p.agency, true)

	p.rotatesInDevice(keys)
	both("", "after the change of both keys")
	p.joins(h)

	// A node that starts without the program knows its keys, says that they are away, and needs no second start.
	h.end(syscall.SIGKILL)
	p.stopAgency()
	p.restart(p.agency.cfg)
	p.ready(p.agency, false)
	h.start()
	p.offset.Add(int64(time.Minute))
	p.refresh()
	p.works("started without the program")
	p.ready(p.agency, true)
}

// joins lets truc join make a node of another agency, whose keys are made in the device.
func (p *pair) joins(h *hsm) {
	t := p.t
	t.Helper()
	member := directory.Member{Class: "GOV", Code: "H37", Name: map[string]string{"vi": "Cà Mau"}}
	if err := p.center.center.AddMember(t.Context(), "system", member); err != nil {
		t.Fatal(err)
	}
	text, err := p.center.center.CreateToken(t.Context(), "system", member.ID("VN"), "node1", directory.TokenLifetime)
	if err != nil {
		t.Fatal(err)
	}
	token, err := directory.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := ConfigForJoin(token, t.TempDir(), "127.0.0.1:1", "", "127.0.0.1:2", "")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Keys = KeysConfig{Signer: h.socket, Signing: inDevice, Channel: inDevice, SigningKind: "p256"}
	var said []string
	doc, err := Join(t.Context(), cfg, JoinOptions{Token: token, Now: p.now, Say: func(s JoinStep) { said = append(said, s.Name) }})
	if err != nil {
		t.Fatalf("join: %v after %v", err, said)
	}
	node, ok := doc.Node(cfg.ServerID())
	if !ok || len(node.Keys) != 1 {
		t.Fatalf("the directory lists %+v", node)
	}
	k, err := cfg.keyStore().Load(filepath.Join(cfg.DataDir, "keys", signingKeyFile))
	if err != nil || deviceLabel(k) == "" || node.Keys[0].KeyID != pki.KeyID(k.Public()) || pki.AlgOf(k.Public()) != pki.P256 {
		t.Errorf("the key in the directory is not the one in the device: %v", err)
	}
}

// away kills the program, and lets it hang: what is refused and what is not.
func (p *pair) away(h *hsm, both func(want, when string), served *atomic.Int64) {
	p.t.Helper()
	h.end(syscall.SIGKILL)
	both("cannot_sign", "the program was killed")
	before := served.Load()
	for range 3 {
		both("cannot_sign or circuit_open", "the program is still away")
	}
	if n := served.Load() - before; n != 0 {
		p.t.Errorf("%d calls were served that could not be answered", n)
	}
	p.ready(p.agency, false)
	p.ready(p.center, true)
	if err := p.agency.follower.Refresh(p.t.Context()); err != nil {
		p.t.Errorf("the directory cannot be followed without the key: %v", err)
	}
	h.start()
	p.recovers(both)
	h.hang()
	both("cannot_sign", "the program hangs")
	h.signal(syscall.SIGCONT)
	p.recovers(both)
	h.end(syscall.SIGKILL)
}

// recovers lets the circuits of the peers close again, and calls.
func (p *pair) recovers(both func(want, when string)) {
	p.t.Helper()
	p.offset.Add(int64(time.Minute))
	p.refresh()
	both("", "the program is back")
}

// rotatesInDevice renews the certificate and changes both keys of the agency; the new ones lie in the device too.
func (p *pair) rotatesInDevice(before directory.Keys) {
	t, ctx := p.t, p.t.Context()
	t.Helper()
	for range 3 {
		p.offset.Add(int64(7 * 24 * time.Hour))
		p.refresh()
	}
	for _, n := range []*Node{p.center, p.agency} {
		if err := n.renew(ctx); err != nil {
			t.Fatal(err)
		}
	}
	p.refresh()
	p.works("renewed")
	if _, err := p.agency.keystore.Device.Make(ctx, "truc-chosen", pki.P256); err != nil {
		t.Fatal(err)
	}
	p.agency.cfg.Keys.SigningLabel = "truc-chosen" // a key that is there already
	if _, err := p.agency.RotateSigning(ctx, "lan", "p256"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.agency.RotateTLS(ctx, "lan"); err != nil {
		t.Fatal(err)
	}
	p.works("announced")
	p.offset.Add(int64(directory.Spread + 2*time.Minute))
	p.refresh()
	if err := p.agency.activateKeys(ctx); err != nil {
		t.Fatal(err)
	}
	after := p.agency.currentKeys()
	if deviceLabel(after.Signing) != "truc-chosen" || deviceLabel(after.TLS) == deviceLabel(before.TLS) || pki.AlgOf(after.Signing.Public()) != pki.P256 {
		t.Errorf("labels %q %q", deviceLabel(after.Signing), deviceLabel(after.TLS))
	}
	st, err := p.agency.KeyStatus()
	if err != nil || st.SigningLabel != deviceLabel(after.Signing) || st.TLSLabel != deviceLabel(after.TLS) {
		t.Errorf("status %+v, %v", st, err)
	}
	p.refresh()
	p.works("changed")
}
