package translog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"truc/internal/errs"
)

const (
	maxNote      = 16 << 10 // a checkpoint with a hundred witness lines fits
	algEd25519   = 1        // C2SP signed-note signature type
	notePrefix   = "\u2014 "
	maxTreeLevel = 62
)

// ErrNote means that a checkpoint is not well formed or not signed by the expected key.
var ErrNote = errors.New("translog: not a checkpoint signed by the expected key")

// Checkpoint is what a log states about itself (C2SP tlog-checkpoint): its name, size and root hash.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

// text is the signed part of the note.
func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// signer is a note.Signer over an Ed25519 key.
type signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
	vkey string
}

func newSigner(name string, key ed25519.PrivateKey) (*signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("the key of the log is not an Ed25519 key")
	}
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the key of the log is not an Ed25519 key")
	}
	vkey, err := VerifierKey(name, pub)
	if err != nil {
		return nil, err
	}
	return &signer{name: name, hash: keyHash(name, pub), key: key, vkey: vkey}, nil
}

// keyHash is the key id of C2SP signed-note.
func keyHash(name string, pub ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{algEd25519})
	h.Write(pub)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// Name implements note.Signer.
func (s *signer) Name() string { return s.name }

// KeyHash implements note.Signer.
func (s *signer) KeyHash() uint32 { return s.hash }

// Sign implements note.Signer.
func (s *signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// VerifierKey returns the text form of a log's public key (C2SP signed-note "vkey"): name+id+base64.
func VerifierKey(origin string, pub ed25519.PublicKey) (string, error) {
	vkey, err := note.NewEd25519VerifierKey(origin, pub)
	if err != nil {
		return "", err
	}
	if _, err := note.NewVerifier(vkey); err != nil { // it refuses names with blanks or a plus sign
		return "", fmt.Errorf("origin %q: %w", origin, err)
	}
	return vkey, nil
}

// VerifierKey returns the public key of the log in text form.
func (l *Log) VerifierKey() string { return l.vkey }

// Checkpoint returns a signed note about every entry on the disk. It is on the disk itself before it is returned,
// so the log can never be caught denying it. The same size gives the same note.
func (l *Log) Checkpoint() (msg []byte, err error) {
	defer errs.Wrap(&err, "checkpoint")
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	return l.checkpointLocked()
}

func (l *Log) checkpointLocked() ([]byte, error) {
	l.mu.Lock()
	size, closed := l.durable, l.closed
	l.mu.Unlock()
	if size == l.signedSize {
		return bytes.Clone(l.signedNote), nil
	}
	if closed {
		return nil, ErrClosed
	}
	if l.readOnly {
		return nil, errReadOnly
	}
	if size < l.signedSize {
		return nil, ErrRollback
	}
	root, err := tlog.TreeHash(size, tlog.HashReaderFunc(l.readHashes))
	if err != nil {
		return nil, err
	}
	// From here on Open takes the stored hashes below size at their word, so they must be there.
	if err := l.hashes.Sync(); err != nil {
		return nil, err
	}
	if t, ok := l.offsets.(*tail); ok { // who reads the folder finds what is signed
		if err := t.flush(); err != nil {
			return nil, err
		}
	}
	msg, err := note.Sign(&note.Note{Text: Checkpoint{Origin: l.opt.Origin, Size: size, Root: root}.text()}, l.signer)
	if err != nil {
		return nil, err
	}
	if err := writeFileDurable(l.opt.Dir, "checkpoint", msg, l.opt.NoSync); err != nil {
		return nil, err
	}
	l.signedSize, l.signedNote = size, msg
	return bytes.Clone(msg), nil
}

// loadCheckpoint reads the last signed checkpoint; a new log has none.
func (l *Log) loadCheckpoint() (Checkpoint, error) {
	l.signedSize = -1
	msg, err := os.ReadFile(filepath.Join(l.opt.Dir, "checkpoint"))
	if errors.Is(err, os.ErrNotExist) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := VerifyCheckpoint(msg, l.vkey)
	if err == nil {
		l.signedSize, l.signedNote = c.Size, msg
		return c, nil
	}
	for _, vkey := range l.opt.PreviousKeys { // the next one is signed with the present key, even at this size
		if c, err := VerifyCheckpoint(msg, vkey); err == nil && c.Origin == l.opt.Origin {
			return c, nil
		}
	}
	for _, vkey := range l.opt.Continues {
		if c, err := VerifyCheckpoint(msg, vkey); err == nil {
			return c, nil
		}
	}
	return Checkpoint{}, fmt.Errorf("%w: stored checkpoint: %w", ErrDamaged, err)
}

// VerifyCheckpoint checks a signed note against one verifier key and returns what it states. The name of the key
// must be the origin. Signatures of others, such as witnesses, are not looked at.
func VerifyCheckpoint(msg []byte, vkey string) (c Checkpoint, err error) {
	if len(msg) > maxNote {
		return c, ErrNote
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return c, fmt.Errorf("%w: verifier key: %w", ErrNote, err)
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrNote, err)
	}
	if err := strictSignatures(msg[len(n.Text)+1:]); err != nil {
		return c, err
	}
	if c, err = parseCheckpoint(n.Text); err != nil {
		return c, err
	}
	if c.Origin != v.Name() {
		return c, fmt.Errorf("%w: origin is not the name of the key", ErrNote)
	}
	return c, nil
}

// strictSignatures refuses signature lines in any spelling but the one of the encoder, so that there is exactly
// one text of a checkpoint and all verifiers agree about it.
func strictSignatures(block []byte) error {
	for line := range strings.SplitSeq(strings.TrimSuffix(string(block), "\n"), "\n") {
		rest, ok := strings.CutPrefix(line, notePrefix)
		name, sig, ok2 := strings.Cut(rest, " ")
		if !ok || !ok2 || name == "" {
			return ErrNote
		}
		if _, err := decodeBase64(sig); err != nil {
			return ErrNote
		}
	}
	return nil
}

// parseCheckpoint reads the text of a checkpoint note. Extension lines, which C2SP discourages, are refused.
func parseCheckpoint(text string) (c Checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] == "" {
		return c, fmt.Errorf("%w: not three lines", ErrNote)
	}
	if c.Size, err = parseDecimal(lines[1]); err != nil {
		return c, fmt.Errorf("%w: size", ErrNote)
	}
	if c.Root, err = parseHash(lines[2]); err != nil {
		return c, fmt.Errorf("%w: root", ErrNote)
	}
	c.Origin = lines[0]
	return c, nil
}

// parseDecimal reads a number without sign, blanks or leading zeroes, below 2^62.
func parseDecimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n >= 1<<maxTreeLevel || strconv.FormatInt(n, 10) != s {
		return 0, errors.New("not a decimal number")
	}
	return n, nil
}

func parseHash(s string) (h tlog.Hash, err error) {
	b, err := decodeBase64(s)
	if err != nil || len(b) != tlog.HashSize {
		return h, errors.New("not a hash")
	}
	return tlog.Hash(b), nil
}

// decodeBase64 reads standard base64 in its one canonical spelling.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return nil, errors.New("not base64")
	}
	return b, nil
}
