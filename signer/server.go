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
	"sync"
	"syscall"
	"time"
)

const (
	maxFrame       = 64 << 10
	maxConnections = 16
	patience       = 10 * time.Second
	maxLabel       = 256
)

type request struct {
	Op      string `json:"op"`
	Key     string `json:"key"`
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
}

type server struct {
	device keys
	uids   []int
	rate   *rate
	log    *slog.Logger
	now    func() time.Time
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
	if conn.SetDeadline(s.now().Add(patience)) != nil {
		return
	}
	uid, err := peer(conn)
	if err != nil || !slices.Contains(s.uids, uid) {
		s.log.WarnContext(ctx, "a process of another user was turned away", slog.Int("uid", uid), slog.Any("error", err))
		return
	}
	var req request
	if err := readFrame(conn, &req); err != nil {
		_ = writeFrame(conn, answer{Error: errRefused.Error()})
		return
	}
	a, err := s.do(req)
	if err != nil {
		a = answer{Error: reason(err).Error()}
	}
	if req.Op == "sign" || err != nil {
		s.log.InfoContext(ctx, "request", slog.String("op", printable(req.Op)), slog.String("key", printable(req.Key)), slog.Int("uid", uid), slog.Any("error", err))
	}
	_ = writeFrame(conn, a)
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
	case "sign":
		size, known := digestSizes[req.Hash]
		if !known || len(req.Digest) != size || req.Padding != "" && req.Padding != "pkcs1" && req.Padding != "pss" {
			return a, errRefused
		}
		if _, err := s.device.public(req.Key); err != nil { // counts nothing for keys that do not exist
			return a, err
		}
		if !s.rate.allow(req.Key) {
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
