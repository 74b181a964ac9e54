package exchange

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/bits"
	"strconv"
	"sync"

	"truc/internal/eddsa"
)

// A shared signature (ADR 0014) lets messages that are signed in the same moment have one signature among them. The
// signature bases of the messages are the leaves of a Merkle tree (RFC 9162 §2.1.1: leaf SHA-256(0x00 ‖ base), node
// SHA-256(0x01 ‖ left ‖ right)); the key signs the text of [sharedText] about its root. The value of each message's
// signature is
//
//	index (2 bytes) ‖ count (2 bytes) ‖ inclusion path (32 bytes a step, lowest first) ‖ signature (64 bytes)
//
// so each message carries all that is needed to check it alone, for ever, without the others.

// maxShared bounds the messages under one signature, and so the length of a value.
const maxShared = 256

type treeHash = [sha256.Size]byte

func leafHash(base string) treeHash {
	buf := takeBuffer()
	defer buf.free()
	buf.b = append(append(buf.b, 0), base...)
	return sha256.Sum256(buf.b)
}

func nodeHash(l, r treeHash) treeHash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[1+sha256.Size:], r[:])
	return sha256.Sum256(b[:])
}

// sharedText is what the key signs: a name of its own, so that it can never be taken for another thing the key signs, and
// lines that a person can write again to check it with other tools.
func sharedText(root treeHash, count int) []byte {
	return []byte("truc-shared-signature/v1\n" + strconv.Itoa(count) + "\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n")
}

// treePaths returns the root over leaves and the inclusion path of each.
func treePaths(leaves []treeHash) (root treeHash, paths [][]treeHash) {
	paths = make([][]treeHash, len(leaves))
	var build func(from, to int) treeHash
	build = func(from, to int) treeHash {
		if to-from == 1 {
			return leaves[from]
		}
		mid := from + 1<<(bits.Len(uint(to-from-1))-1)
		l, r := build(from, mid), build(mid, to)
		for i := from; i < mid; i++ {
			paths[i] = append(paths[i], r)
		}
		for i := mid; i < to; i++ {
			paths[i] = append(paths[i], l)
		}
		return nodeHash(l, r)
	}
	return build(0, len(leaves)), paths
}

// foldPath returns the root that a leaf and its path lead to (RFC 9162 §2.1.3.2); false when the path has another length
// than the position demands.
func foldPath(leaf treeHash, index, count int, path []byte) (treeHash, bool) {
	fn, sn, h := index, count-1, leaf
	for ; len(path) >= sha256.Size; path = path[sha256.Size:] {
		if sn == 0 {
			return h, false
		}
		p := treeHash(path[:sha256.Size])
		if fn&1 == 1 || fn == sn {
			h = nodeHash(p, h)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			h = nodeHash(h, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return h, sn == 0 && len(path) == 0
}

// sharedValue writes the value of message index's signature.
func sharedValue(index, count int, path []treeHash, sig []byte) []byte {
	b := make([]byte, 0, 4+len(path)*sha256.Size+len(sig))
	b = binary.BigEndian.AppendUint16(b, uint16(index)) //nolint:gosec // below maxShared
	b = binary.BigEndian.AppendUint16(b, uint16(count)) //nolint:gosec // at most maxShared
	for i := range path {
		b = append(b, path[i][:]...)
	}
	return append(b, sig...)
}

// openShared reads a value and follows its path from the message's base to the root.
func openShared(base string, value []byte) (root treeHash, count int, sig []byte, err error) {
	if len(value) < 4+64 || len(value) > 4+8*sha256.Size+64 {
		return root, 0, nil, errors.New("the shared signature has a wrong length")
	}
	index, count := int(binary.BigEndian.Uint16(value)), int(binary.BigEndian.Uint16(value[2:]))
	if count < 1 || count > maxShared || index >= count {
		return root, 0, nil, errors.New("the shared signature has no such position")
	}
	end := len(value) - 64
	root, ok := foldPath(leafHash(base), index, count, value[4:end])
	if !ok {
		return root, 0, nil, errors.New("the shared signature has a path of another length")
	}
	return root, count, value[end:], nil
}

// signatureMemory remembers which roots were verified, so that messages under one signature cost one verification, and the
// keys that sign often, which are then verified faster. Of roots it keeps the newest few hundred; what it forgot is verified
// again.
type signatureMemory struct {
	keys eddsa.Keys

	mu        sync.Mutex // guards both
	now, last map[rootKey]*rootCheck
}

// signers returns the keys that are remembered, nil without a memory.
func (m *signatureMemory) signers() *eddsa.Keys {
	if m == nil {
		return nil
	}
	return &m.keys
}

type rootKey struct {
	keyID, alg string
	root       treeHash
	count      int
	sig        [64]byte
}

type rootCheck struct {
	once sync.Once
	ok   bool
}

const maxRootMemory = 256

// verify returns the outcome of check for a root, asked once while it is remembered.
func (m *signatureMemory) verify(k rootKey, check func() bool) bool {
	if m == nil {
		return check()
	}
	m.mu.Lock()
	c := m.now[k]
	if c == nil {
		if c = m.last[k]; c == nil {
			c = &rootCheck{}
		}
		if m.now == nil || len(m.now) >= maxRootMemory {
			m.last, m.now = m.now, make(map[rootKey]*rootCheck, maxRootMemory)
		}
		m.now[k] = c
	}
	m.mu.Unlock()
	c.once.Do(func() { c.ok = check() })
	return c.ok
}
