package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/errs"
)

// Limits of what is read.
const (
	// MaxFile bounds a receipt file; the directory of the network is the largest part.
	MaxFile = 24 << 20
	// MaxBatch is how many receipts one time-stamp covers.
	MaxBatch = 512
	maxToken = 64 << 10
	format   = "truc-document-receipt-v1"
)

// Stamp places a receipt in a time-stamped batch.
type Stamp struct {
	// Index and Size place it in the tree of the batch; Path leads to the root.
	Index int64 `json:"index"`
	Size  int64 `json:"size"`
	// Path holds base64 SHA-256 hashes, from the leaf up (RFC 6962 §2.1.1).
	Path []string `json:"path"`
	// Token is the RFC 3161 token over [StampedText] of size and root.
	Token []byte `json:"token"`
	// Roots are the PEM certificates that the authority's certificate leads to. They make the file whole; that they are
	// to be trusted, the reader must know from elsewhere.
	Roots string `json:"roots"`
}

// File is a receipt with all that is needed to check it.
type File struct {
	JWS []byte
	// Stamp is nil while the time-stamp is pending.
	Stamp *Stamp
	// Directory is the signed directory document in force when the receipt was signed.
	Directory json.RawMessage
}

// wire is the JSON form; seal is the SHA-256 of everything before it, so that damage of any kind is found, also in parts
// that no signature covers.
type wire struct {
	Format    string          `json:"format"`
	JWS       string          `json:"jws"`
	Stamp     *Stamp          `json:"stamp,omitempty"`
	Directory json.RawMessage `json:"directory"`
	Seal      string          `json:"seal"`
}

// Marshal writes the file: one spelling, so that nothing in it can be changed unnoticed.
func (f File) Marshal() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\n\"format\":" + strconv.Quote(format) + ",\n\"jws\":" + strconv.Quote(string(f.JWS)) + ",\n")
	if f.Stamp != nil {
		var s bytes.Buffer
		enc := json.NewEncoder(&s)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(f.Stamp); err != nil {
			return nil, err
		}
		b.WriteString("\"stamp\":" + string(bytes.TrimSuffix(s.Bytes(), []byte("\n"))) + ",\n")
	}
	b.WriteString("\"directory\":")
	b.Write(f.Directory)
	sum := sha256.Sum256(b.Bytes())
	b.WriteString(",\n\"seal\":\"" + hex.EncodeToString(sum[:]) + "\"\n}\n")
	return b.Bytes(), nil
}

// IsFile reports whether bytes look like a receipt file, by their beginning.
func IsFile(b []byte) bool { return bytes.HasPrefix(b, []byte("{\n\"format\":\""+format+"\"")) }

func unreadable(err error) error { return errs.E(errs.Invalid, "receipt.unreadable", err) }

// Parse reads a file strictly: what it accepts, Marshal gives back byte for byte. errs.Invalid otherwise.
func Parse(b []byte) (f File, err error) {
	if len(b) > MaxFile {
		return f, unreadable(errors.New("too long"))
	}
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return f, unreadable(err)
	}
	f = File{JWS: []byte(w.JWS), Stamp: w.Stamp, Directory: w.Directory}
	if w.Stamp != nil {
		s := w.Stamp
		if s.Size < 1 || s.Size > MaxBatch || s.Index < 0 || s.Index >= s.Size || len(s.Path) > 16 || len(s.Token) > maxToken || len(s.Roots) > maxToken {
			return f, unreadable(errors.New("the time-stamp's place is impossible"))
		}
	}
	again, err := f.Marshal()
	if err != nil {
		return f, unreadable(err)
	}
	if !bytes.Equal(again, b) { // also another format, another seal, unknown or repeated fields
		return f, errs.E(errs.Invalid, "receipt.changed", errors.New("the file is not as it was written"))
	}
	return f, nil
}

// StampedText is what a token is over: the kind of tree, the number of receipts in it and its root. `openssl ts -verify
// -data` takes it as a file.
func StampedText(size int64, root tlog.Hash) []byte {
	return fmt.Appendf(nil, "truc-document-receipts-v1\n%d\n%s\n", size, root)
}

// tree is the Merkle tree of a batch (RFC 6962 §2.1), small enough to be made anew whenever it is needed.
type tree struct {
	size   int64
	hashes []tlog.Hash
}

// ReadHashes implements [tlog.HashReader].
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x < 0 || x >= int64(len(t.hashes)) {
			return nil, errors.New("no such hash")
		}
		out[i] = t.hashes[x]
	}
	return out, nil
}

func newTree(leaves [][]byte) (*tree, tlog.Hash, error) {
	t := &tree{}
	for i, leaf := range leaves {
		hs, err := tlog.StoredHashes(int64(i), leaf, t)
		if err != nil {
			return nil, tlog.Hash{}, err
		}
		t.hashes = append(t.hashes, hs...)
	}
	t.size = int64(len(leaves))
	root, err := tlog.TreeHash(t.size, t)
	return t, root, err
}

func (t *tree) path(i int64) ([]string, error) {
	p, err := tlog.ProveRecord(t.size, i, t)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(p))
	for i, h := range p {
		out[i] = h.String()
	}
	return out, nil
}

// rootFrom computes the root that a leaf and its path lead to (RFC 9162 §2.1.3.2).
func rootFrom(leaf []byte, s *Stamp) (tlog.Hash, error) {
	path := make([]tlog.Hash, len(s.Path))
	for i, text := range s.Path {
		h, err := tlog.ParseHash(text)
		if err != nil || h.String() != text {
			return tlog.Hash{}, errors.New("a hash cannot be read")
		}
		path[i] = h
	}
	h, fn, sn := tlog.RecordHash(leaf), s.Index, s.Size-1
	for _, p := range path {
		if sn == 0 {
			return h, errors.New("the path is too long")
		}
		if fn&1 == 1 || fn == sn {
			h = tlog.NodeHash(p, h)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			h = tlog.NodeHash(h, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 {
		return h, errors.New("the path is too short")
	}
	return h, nil
}
