package benchexchange

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"truc/internal/pki"
)

// process is a part, seen from the benchmark.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	addr  string
}

// start runs a part and waits until it listens.
func start(ctx context.Context, opt Options, c partConfig) (p *process, err error) {
	cmd := exec.CommandContext(ctx, opt.Command[0], opt.Command[1:]...) //nolint:gosec // this very program
	cmd.Stderr, cmd.WaitDelay = opt.Log, 5*time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p = &process{name: c.Role, cmd: cmd, in: in, lines: bufio.NewScanner(out)}
	if err := json.NewEncoder(in).Encode(c); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	r, err := p.read()
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.addr = r.Addr
	return p, nil
}

func (p *process) read() (r reply, err error) {
	if !p.lines.Scan() {
		return r, fmt.Errorf("%s: %w", p.name, errors.Join(p.lines.Err(), io.ErrUnexpectedEOF))
	}
	if err := json.Unmarshal(p.lines.Bytes(), &r); err != nil {
		return r, err
	}
	if r.Err != "" {
		return r, fmt.Errorf("%s: %s", p.name, r.Err)
	}
	return r, nil
}

// ask returns how the part fares, after it has done what it had put off.
func (p *process) ask(question string) (reply, error) {
	if _, err := io.WriteString(p.in, question+"\n"); err != nil {
		return reply{}, fmt.Errorf("%s: %w", p.name, err)
	}
	return p.read()
}

// stop ends the part's input, at which it ends, and waits for it.
func (p *process) stop() error {
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// chain is a pair with the address its programs call.
type chain struct {
	consumer, provider *process
}

func (c chain) ask(question string) (consumer, provider reply, err error) {
	if consumer, err = c.consumer.ask(question); err != nil {
		return consumer, provider, err
	}
	provider, err = c.provider.ask(question)
	return consumer, provider, err
}

// country is everything that was started.
type country struct {
	parts   []*process
	backEnd *process
	truc    chain
	bare    chain
	each    chain
}

func (c *country) start(ctx context.Context, opt Options, pc partConfig) (*process, error) {
	p, err := start(ctx, opt, pc)
	if err == nil {
		c.parts = append(c.parts, p)
	}
	return p, err
}

// stop ends the parts, those that call before those that are called.
func (c *country) stop() (err error) {
	for i := range c.parts {
		err = errors.Join(err, c.parts[len(c.parts)-1-i].stop())
	}
	return err
}

// node holds the keys of one node.
type node struct {
	peer peerConfig
	conf partConfig
}

func newNode(ca *pki.CA, opt Options, id, sub, role string) (*node, error) {
	tlsKey, err := pki.GenerateKey(pki.P256)
	if err != nil {
		return nil, err
	}
	signKey, err := pki.GenerateKey(pki.Ed25519)
	if err != nil {
		return nil, err
	}
	pub, ok := signKey.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the signing key is not Ed25519")
	}
	csr, err := pki.NewCSR(tlsKey, id)
	if err != nil {
		return nil, err
	}
	s := strings.Split(id, "/")
	cert, err := ca.IssueNode(csr, pki.NodeSubject{Instance: s[0], Class: s[1], Member: s[2], Server: s[3], Hosts: []string{"127.0.0.1"}}, opt.Now(), 24*time.Hour)
	if err != nil {
		return nil, err
	}
	n := &node{
		peer: peerConfig{ID: id, Member: strings.Join(s[:3], "/"), TLSKeyID: pki.KeyID(tlsKey.Public()), SignKey: pub, Subsystem: sub},
		conf: partConfig{Role: role, Dir: filepath.Join(opt.Dir, role), Cert: cert.Raw, Root: ca.Cert.Raw, Profile: opt.Profile},
	}
	for _, k := range []struct {
		to  *[]byte
		key crypto.Signer
	}{{&n.conf.TLSKey, tlsKey}, {&n.conf.SignKey, signKey}} {
		if *k.to, err = x509.MarshalPKCS8PrivateKey(k.key); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// found starts back end, nodes and bare proxies, from the back to the front.
func found(ctx context.Context, opt Options, keyHash string) (c *country, err error) {
	c = &country{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	ca, err := pki.LoadOrCreateCA(filepath.Join(opt.Dir, "ca"), "bench", opt.Now())
	if err != nil {
		return c, err
	}
	consumer, err := newNode(ca, opt, consumerID, consumerSub, roleConsumer)
	if err != nil {
		return c, err
	}
	provider, err := newNode(ca, opt, providerID, providerSub, roleProvider)
	if err != nil {
		return c, err
	}
	if c.backEnd, err = c.start(ctx, opt, partConfig{Role: roleBackEnd, Body: opt.Body}); err != nil {
		return c, err
	}
	for _, pair := range []*chain{&c.truc, &c.bare, &c.each} {
		from, to := consumer.conf, provider.conf
		switch pair {
		case &c.bare:
			from.Role, to.Role = roleBareConsumer, roleBareProvider
		case &c.each:
			from.Dir, to.Dir, from.Each, to.Each = from.Dir+"-each", to.Dir+"-each", true, true
		}
		to.Next, to.Peers = "http://"+c.backEnd.addr, []peerConfig{consumer.peer, provider.peer}
		if pair.provider, err = c.start(ctx, opt, to); err != nil {
			return c, err
		}
		there := provider.peer
		there.URL = "https://" + pair.provider.addr
		from.Next, from.Peers, from.KeyHash = there.URL, []peerConfig{consumer.peer, there}, keyHash
		if pair.consumer, err = c.start(ctx, opt, from); err != nil {
			return c, err
		}
	}
	return c, nil
}
