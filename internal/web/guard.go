package web

import (
	"net"
	"sync"
	"syscall"
)

const (
	// MaxConnections is how many connections a listener holds; more are closed at once (X-Road refuses from 5000 on).
	MaxConnections = 5000
	// descriptorReserve is kept free for files, the database and calls to others.
	descriptorReserve = 64
)

// Guard bounds the connections of a listener: at most limit (0 is [MaxConnections]), and none that would take one of the
// last file descriptors, without which the node could not log what it is asked. What is too many is closed, not queued.
func Guard(l net.Listener, limit int) net.Listener {
	if limit <= 0 {
		limit = MaxConnections
	}
	return &guard{Listener: l, slots: make(chan struct{}, limit), descriptors: descriptorLimit()}
}

type guard struct {
	net.Listener
	slots       chan struct{}
	descriptors int // 0 when it is not known
}

// Accept implements [net.Listener].
func (g *guard) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g.scarce(c) {
			_ = c.Close()
			continue
		}
		select {
		case g.slots <- struct{}{}:
			return &guarded{Conn: c, release: sync.OnceFunc(func() { <-g.slots })}, nil
		default:
			_ = c.Close()
		}
	}
}

// scarce reports whether a connection got one of the last descriptors. The system gives the lowest that is free, so its
// number tells how many are in use.
func (g *guard) scarce(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok || g.descriptors == 0 {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	number := 0
	if err := raw.Control(func(fd uintptr) { number = int(fd) }); err != nil {
		return false
	}
	return number >= g.descriptors-descriptorReserve
}

type guarded struct {
	net.Conn
	release func()
}

// Close implements [net.Conn].
func (c *guarded) Close() error {
	defer c.release()
	return c.Conn.Close()
}
