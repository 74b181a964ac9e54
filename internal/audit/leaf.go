package audit

import (
	"encoding/binary"
	"errors"
	"time"

	"truc/internal/translog"
)

// Leaf is what stands in the log for a line or an act: fixed fields, each tag, length, value.
type Leaf struct {
	// Seq counts the leaves of this node; it also orders them in the log.
	Seq  int64
	Time time.Time
	// Kind is one of the kinds of access, or act.
	Kind   Kind
	Commit [32]byte
	// Tag stands for the person; zero in acts.
	Tag [16]byte
	// Prev is the leaf hash of the previous line with this tag; zero in the first.
	Prev [32]byte
}

const act Kind = "act"

const leafVersion = 1

var (
	kindCodes = map[Kind]byte{Query: 1, Match: 2, Verify: 3, Self: 4, Internal: 5}
	// leafFields are the lengths of the fields with tags 1, 2 …: version, seq, time, kind, commit, tag, prev.
	leafFields = [...]byte{1, 8, 8, 1, 32, 16, 32}
)

// LeafSize is the length of every leaf.
const LeafSize = 7*2 + 1 + 8 + 8 + 1 + 32 + 16 + 32

const actCode = 16

var errLeaf = errors.New("not a leaf of an audit log")

// Marshal returns the bytes that go into the log.
func (l Leaf) Marshal() []byte {
	b := make([]byte, 0, LeafSize)
	code := kindCodes[l.Kind]
	if l.Kind == act {
		code = actCode
	}
	values := [...][]byte{
		{leafVersion},
		binary.BigEndian.AppendUint64(nil, uint64(l.Seq)), //nolint:gosec // a counter from 1
		binary.BigEndian.AppendUint64(nil, uint64(l.Time.UnixMicro())),
		{code},
		l.Commit[:], l.Tag[:], l.Prev[:],
	}
	for i, v := range values {
		b = append(b, byte(i+1), leafFields[i])
		b = append(b, v...)
	}
	return b
}

// Hash is the hash by which the leaf stands in the tree and in the next leaf's Prev.
func (l Leaf) Hash() [32]byte { return translog.LeafHash(l.Marshal()) }

// ParseLeaf reads a leaf strictly: what it accepts, Marshal gives back byte for byte.
func ParseLeaf(b []byte) (l Leaf, err error) {
	if len(b) != LeafSize {
		return l, errLeaf
	}
	var values [len(leafFields)][]byte
	for i, n := range leafFields {
		if b[0] != byte(i+1) || b[1] != n {
			return l, errLeaf
		}
		values[i], b = b[2:2+n], b[2+n:]
	}
	if values[0][0] != leafVersion {
		return l, errLeaf
	}
	l.Seq = int64(binary.BigEndian.Uint64(values[1]))                        //nolint:gosec // checked below
	l.Time = time.UnixMicro(int64(binary.BigEndian.Uint64(values[2]))).UTC() //nolint:gosec // two's complement both ways
	if l.Seq < 1 {
		return Leaf{}, errLeaf
	}
	if values[3][0] == actCode {
		l.Kind = act
	}
	for k, code := range kindCodes {
		if code == values[3][0] {
			l.Kind = k
		}
	}
	if l.Kind == "" {
		return Leaf{}, errLeaf
	}
	l.Commit, l.Tag, l.Prev = [32]byte(values[4]), [16]byte(values[5]), [32]byte(values[6])
	return l, nil
}
