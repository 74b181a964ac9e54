package exchange

import (
	"errors"

	"truc/internal/exchange/bodylog"
)

// DefaultMaxStream is the longest streamed body that is kept where the policy does not say.
const DefaultMaxStream = 1 << 30

// What the entry about a streamed body says of its keeping ([Entry.Kept]); empty when the policy asks for digests alone.
const (
	KeptWhole    = "kept"
	KeptTooLarge = "too_large"
)

// keptStream keeps a streamed body while it passes; nil keeps nothing.
type keptStream struct {
	log  *bodylog.Log
	name bodylog.Name
	most int64

	st   *bodylog.Stream
	n    int64
	over bool
}

// keepStream returns what keeps a streamed body, as far as the policy or the grant says so. A body beyond the limit, or
// beyond what the disk can spare, is kept as its digest alone, and the entry about it says that.
func (x *exchangeState) keepStream(direction string) *keptStream {
	p := x.s.bodies.Load()
	if p == nil || x.bodyMode(p) != BodyFull {
		return nil
	}
	k := &keptStream{log: p.Log, name: bodylog.Name{Role: x.role, Direction: direction, RequestID: x.msg.RequestID}, most: p.MaxStream}
	if k.most <= 0 {
		k.most = DefaultMaxStream
	}
	if sp := x.s.opt.Space; sp != nil {
		// Twice the reserve stays free, so that no single body brings the node to where it refuses exchanges.
		if st := sp.State(); st.Known {
			k.most = min(k.most, max(0, int64(min(st.Free, 1<<62))-2*int64(min(sp.Reserve, 1<<60))))
		}
	}
	return k
}

// write takes the next bytes. An error stops the exchange, like an entry that cannot be logged.
func (k *keptStream) write(b []byte) error {
	if k == nil || k.over || len(b) == 0 {
		return nil
	}
	if k.n += int64(len(b)); k.n > k.most {
		k.over = true
		return k.discard()
	}
	if k.st == nil {
		st, err := k.log.Create(k.name)
		if err != nil {
			return err
		}
		k.st = st
	}
	_, err := k.st.Write(b)
	return err
}

// commit ends the body, which was found good, and returns what the entry says of it.
func (k *keptStream) commit() (kept string, err error) {
	switch {
	case k == nil:
		return "", nil
	case k.over:
		return KeptTooLarge, nil
	case k.st == nil: // an empty body is a body
		if k.st, err = k.log.Create(k.name); err != nil {
			return "", err
		}
	}
	st := k.st
	k.st = nil
	return KeptWhole, st.Commit()
}

// discard forgets a body that did not end well; a second time it does nothing.
func (k *keptStream) discard() error {
	if k == nil || k.st == nil {
		return nil
	}
	st := k.st
	k.st = nil
	return st.Discard()
}

// errKeep is a body that has to be kept and cannot be.
var errKeep = errors.New("the body cannot be kept")
