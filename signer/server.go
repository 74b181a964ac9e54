package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	maxFrame       = 128 << 10
	maxMessage     = 80 << 10 // what a key signs without a digest: a message's signature base is shorter than its headers may be
	maxConnections = 64
	patience       = 10 * time.Second // for one request
	idle           = 2 * time.Minute  // between two of one connection
	maxLabel       = 256
)

type request struct {
	Op      string `json:"op"`
	Key     string `json:"key"`
	Alg     string `json:"alg"`
	Hash    string `json:"hash"`
	Padding string `json:"padding"`
	Digest  []byte `json:"digest"`
}

type answer struct {
	Public    []byte `json:"public,omitempty"`
	Signature []byte `json:"signature,omitempty"`
	Error     string `json:"error,omitempty"`
}

// What a client may hear instead of a signature; the log says more.
var (
	errUnknownKey = errors.New("unknown_key")
	errBusy       = errors.New("busy")
	errRefused    = errors.New("refused")
	errDevice     = errors.New("device")
)

// keys is what the server asks of a device.
type keys interface {
	public(label string) (spki []byte, err error)
	sign(label, hash, padding string, digest []byte) ([]byte, error)
	make(label, alg string) (spki []byte, err error)
}

type server struct {
	device keys
	uids   []int
	rate   *rate
	// node begins the labels of keys that belong to the node itself; empty for none. They are made on demand and sign at
	// their own rate, and their signatures are counted in the log instead of listed.
	node     string
	nodeRate *rate
	log      *slog.Logger
	now      func() time.Time

	mu     sync.Mutex // guards both
	signed map[string]int
	told   time.Time
}

// ofNode reports whether a key is one of the node's own.
func (s *server) ofNode(label string) bool {
	return s.node != "" && strings.HasPrefix(label, s.node)
}

// listen opens the socket. One that a dead process left is replaced, one that is in use is not.
func listen(path string, others bool) (*net.UnixListener, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil { //nolint:noctx // bounded by its timeout
		return nil, errors.Join(fmt.Errorf("%s is in use by another process", path), conn.Close())
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("%s exists and is no socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	old := syscall.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(old)
	if err != nil {
		return nil, err
	}
	if others { // the kernel tells who they are; the folder's mode keeps strangers away
		if err := os.Chmod(path, 0o666); err != nil { //nolint:gosec // see above
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// serve answers until ctx ends, then finishes what is under way.
func (s *server) serve(ctx context.Context, l *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, maxConnections)
	for {
		conn, err := l.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			s.answer(ctx, conn)
		})
	}
}

func (s *server) answer(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close() //nolint:errcheck // the client has its answer or is gone
	// The end of the program interrupts who waits for a next request, and nobody who waits for an answer.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	uid, err := peer(conn)
	if err != nil || !slices.Contains(s.uids, uid) {
		s.log.WarnContext(ctx, "a process of another user was turned away", slog.Int("uid", uid), slog.Any("error", err))
		return
	}
	for wait := patience; ; wait = idle {
		if conn.SetReadDeadline(s.now().Add(wait)) != nil || ctx.Err() != nil {
			return
		}
		var req request
		if err := readFrame(conn, &req); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
				_ = conn.SetWriteDeadline(s.now().Add(patience))
				_ = writeFrame(conn, answer{Error: errRefused.Error()})
			}
			return
		}
		a, err := s.do(req)
		if err != nil {
			a = answer{Error: reason(err).Error()}
		}
		s.record(ctx, req, uid, err)
		if conn.SetWriteDeadline(s.now().Add(patience)) != nil || writeFrame(conn, a) != nil {
			return
		}
	}
}

// record writes what happened into the log: every signature by its key and user, except those of the node's own keys, of
// which there are too many and which are counted each minute.
func (s *server) record(ctx context.Context, req request, uid int, err error) {
	if err == nil && req.Op == "sign" && s.ofNode(req.Key) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.signed == nil {
			s.signed = map[string]int{}
		}
		s.signed[req.Key]++
		if now := s.now(); now.Sub(s.told) >= time.Minute {
			for key, n := range s.signed {
				s.log.InfoContext(ctx, "signatures of a node's key", slog.String("key", printable(key)), slog.Int("n", n), slog.Int("uid", uid))
			}
			clear(s.signed)
			s.told = now
		}
		return
	}
	if req.Op != "key" || err != nil {
		s.log.InfoContext(ctx, "request", slog.String("op", printable(req.Op)), slog.String("key", printable(req.Key)), slog.Int("uid", uid), slog.Any("error", err))
	}
}

// printable keeps what a client says from writing into the log at will.
func printable(s string) string { return s[:min(len(s), 64)] }

func reason(err error) error {
	for _, known := range []error{errUnknownKey, errBusy, errRefused} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errDevice
}

var digestSizes = map[string]int{"SHA-256": 32, "SHA-384": 48, "SHA-512": 64}

func (s *server) do(req request) (a answer, err error) {
	if req.Key == "" || len(req.Key) > maxLabel {
		return a, errRefused
	}
	switch req.Op {
	case "key":
		a.Public, err = s.device.public(req.Key)
		return a, err
	case "make":
		if !s.ofNode(req.Key) || req.Alg != algEd25519 && req.Alg != algP256 {
			return a, errRefused
		}
		a.Public, err = s.device.make(req.Key, req.Alg)
		return a, err
	case "sign":
		size, known := digestSizes[req.Hash]
		whole := req.Hash == "" && len(req.Digest) > 0 && len(req.Digest) <= maxMessage
		if !whole && (!known || len(req.Digest) != size) || req.Padding != "" && req.Padding != "pkcs1" && req.Padding != "pss" {
			return a, errRefused
		}
		if _, err := s.device.public(req.Key); err != nil { // counts nothing for keys that do not exist
			return a, err
		}
		bound := s.rate
		if s.ofNode(req.Key) {
			bound = s.nodeRate
		}
		if !bound.allow(req.Key) {
			return a, errBusy
		}
		a.Signature, err = s.device.sign(req.Key, req.Hash, req.Padding, req.Digest)
		return a, err
	}
	return a, errRefused
}

// peer asks the kernel whose process is at the other end (SO_PEERCRED, unix(7)).
func peer(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *syscall.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return -1, err
	}
	if cerr != nil {
		return -1, cerr
	}
	return int(cred.Uid), nil
}

func readFrame(r io.Reader, v any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return fmt.Errorf("a request of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func writeFrame(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)) //nolint:gosec // far below the limit
	return err
}

// rate lets each key sign so many times a second, with room for twice as many at once.
type rate struct {
	perSecond int
	now       func() time.Time

	mu   sync.Mutex // guards what follows
	left map[string]float64
	at   map[string]time.Time
}

func newRate(perSecond int, now func() time.Time) *rate {
	return &rate{perSecond: perSecond, now: now, left: map[string]float64{}, at: map[string]time.Time{}}
}

func (r *rate) allow(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	most, t := float64(2*r.perSecond), r.now()
	if last, seen := r.at[key]; seen {
		r.left[key] = min(most, r.left[key]+t.Sub(last).Seconds()*float64(r.perSecond))
	} else {
		r.left[key] = most
	}
	r.at[key] = t
	if r.left[key] < 1 {
		return false
	}
	r.left[key]--
	return true
}
