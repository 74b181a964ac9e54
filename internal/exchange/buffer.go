package exchange

import "sync"

// buffer is memory for a text that is copied or hashed at once: signature bases and log entries are made a few thousand
// times a second.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 2048)} }}

func takeBuffer() *buffer {
	buf, _ := buffers.Get().(*buffer)
	buf.b = buf.b[:0]
	return buf
}

// free gives the memory back; nobody may use it any more.
func (b *buffer) free() {
	if cap(b.b) <= 16<<10 {
		buffers.Put(b)
	}
}
