package axisapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"truc/internal/blobs"
)

var (
	errNoHash   = errors.New("no hash of the file")
	errHash     = errors.New("the hash does not fit the file")
	errTooLarge = errors.New("the file is larger than the limit")
	errEmpty    = errors.New("the file is empty")
)

// looseHex prints each byte of a digest in hex without padding it to two digits, as the client does. Different digests can read
// alike, so a text of this kind is computed and compared, never decoded.
func looseHex(sum []byte) string {
	var b strings.Builder
	for _, x := range sum {
		fmt.Fprintf(&b, "%x", x)
	}
	return b.String()
}

// hashFits reports whether the hash a client announced is that of a file with the digest sum, given in plain hex: in plain hex or as
// the client prints it.
func hashFits(announced, sum string) bool {
	raw, err := hex.DecodeString(sum)
	if err != nil || len(raw) != sha256.Size {
		return false
	}
	got := []byte(strings.ToLower(strings.TrimSpace(announced)))
	return subtle.ConstantTimeCompare(got, []byte(sum))|subtle.ConstantTimeCompare(got, []byte(looseHex(raw))) == 1
}

// takePayload streams the body of sendEdoc into the blob store and returns the document. The client appends CR LF to the file it
// was given, and its hash is that of the file: if the hash fits the body without exactly one CR LF at its end, this is the
// document; if it fits the whole body, the whole is. The two last bytes are therefore held back until the end. Without a hash,
// where the system may leave it out, the body without its final CR LF is the document.
func takePayload(store *blobs.Store, body io.Reader, announced string, mayOmit bool, limit int64) (_ blobs.Blob, err error) {
	if announced == "" && !mayOmit {
		return blobs.Blob{}, errNoHash
	}
	w, err := store.Create()
	if err != nil {
		return blobs.Blob{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Discard())
		}
	}()
	tail, size, err := copyHolding(w, body, limit+int64(len(crlf)))
	if err != nil {
		return blobs.Blob{}, err
	}
	whole := size
	if string(tail) == crlf {
		size -= int64(len(crlf))
		if announced == "" || hashFits(announced, w.Sum()) {
			return commit(w, size, limit)
		}
	}
	if _, err := w.Write(tail); err != nil {
		return blobs.Blob{}, err
	}
	if announced != "" && !hashFits(announced, w.Sum()) {
		return blobs.Blob{}, errHash
	}
	return commit(w, whole, limit)
}

func commit(w *blobs.Writer, size, limit int64) (blobs.Blob, error) {
	switch {
	case size <= 0:
		return blobs.Blob{}, errEmpty
	case size > limit:
		return blobs.Blob{}, errTooLarge
	}
	return w.Commit()
}

const crlf = "\r\n"

// copyHolding copies r to w except for its last bytes, as many as CR LF has, and returns these with the size of the whole.
func copyHolding(w io.Writer, r io.Reader, limit int64) (tail []byte, size int64, err error) {
	buf := make([]byte, len(crlf)+64<<10)
	held := 0 // bytes at the front of buf that are not written yet
	for {
		n, err := r.Read(buf[held:])
		size += int64(n)
		if size > limit {
			return nil, size, errTooLarge
		}
		if end := held + n; end > len(crlf) {
			if _, werr := w.Write(buf[:end-len(crlf)]); werr != nil {
				return nil, size, werr
			}
			held = copy(buf, buf[end-len(crlf):end])
		} else {
			held = end
		}
		if errors.Is(err, io.EOF) {
			return buf[:held], size, nil
		}
		if err != nil {
			return nil, size, err
		}
	}
}
