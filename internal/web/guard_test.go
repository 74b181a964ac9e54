package web

import (
	"net"
	"testing"
	"time"
)

// X38: connections beyond the limit are closed at once, and a closed one makes room.
func TestGuard(t *testing.T) {
	inner, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Guard(inner, 2)
	defer l.Close()
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	dial()
	first := <-accepted
	second := <-accepted
	third := dial()
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Error("a connection beyond the limit is open")
	}
	select {
	case <-accepted:
		t.Fatal("a connection beyond the limit was accepted")
	default:
	}
	first.Close()
	first.Close() // once is enough, twice frees no second place
	dial()
	select {
	case <-accepted:
	case <-time.After(10 * time.Second):
		t.Fatal("a closed connection made no room")
	}
	fifth := dial()
	if _, err := fifth.Read(make([]byte, 1)); err == nil {
		t.Error("closing twice made room for two")
	}
	second.Close()
}

// The last descriptors are kept for the log and the database.
func TestGuardKeepsDescriptors(t *testing.T) {
	inner, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &guard{Listener: inner, slots: make(chan struct{}, 10), descriptors: descriptorReserve + 1}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = g.Accept() // ends when the listener does
	}()
	c, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a connection took one of the last descriptors")
	}
	inner.Close()
	<-done
}
