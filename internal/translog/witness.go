package translog

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	algCosignature  = 4 // C2SP tlog-cosignature: Ed25519, timestamped
	cosignatureHead = "cosignature/v1\ntime "
	sizeType        = "text/x.tlog.size"
	maxProofLines   = 63
	// MaxAddCheckpoint bounds the body of an add-checkpoint request.
	MaxAddCheckpoint = 32 + maxProofLines*45 + 1 + maxNote
)

// ErrAddCheckpoint means that an add-checkpoint request is not well formed.
var ErrAddCheckpoint = errors.New("translog: not an add-checkpoint request")

// Cosigner signs checkpoints of other logs as a witness (C2SP tlog-cosignature, cosignature/v1).
type Cosigner struct {
	name string
	id   uint32
	key  ed25519.PrivateKey
}

// NewCosigner returns a witness's signer. The name must be usable in a note: no blanks, no plus sign.
func NewCosigner(name string, key ed25519.PrivateKey) (*Cosigner, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if len(key) != ed25519.PrivateKeySize || !ok || !noteName(name) {
		return nil, errors.New("translog: the name or key of the witness is not usable")
	}
	return &Cosigner{name: name, id: cosignerID(name, pub), key: key}, nil
}

func noteName(s string) bool {
	return s != "" && !strings.ContainsAny(s, " +\t\r\n") && strings.ToValidUTF8(s, "") == s
}

func cosignerID(name string, pub ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{algCosignature})
	h.Write(pub)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// VerifierKey returns the public key in text form (C2SP signed-note): name+id+base64 of 0x04 and the key.
func (c *Cosigner) VerifierKey() string {
	pub := c.key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // NewCosigner checked it
	return fmt.Sprintf("%s+%08x+%s", c.name, c.id, base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, pub...)))
}

// Cosign returns the signature line, with its newline, over the text of a checkpoint.
func (c *Cosigner) Cosign(text string, at time.Time) string {
	b := binary.BigEndian.AppendUint32(nil, c.id)
	b = binary.BigEndian.AppendUint64(b, uint64(at.Unix())) //nolint:gosec // after 1970
	b = append(b, ed25519.Sign(c.key, cosignedMessage(text, at.Unix()))...)
	return notePrefix + c.name + " " + base64.StdEncoding.EncodeToString(b) + "\n"
}

func cosignedMessage(text string, at int64) []byte {
	return []byte(cosignatureHead + strconv.FormatInt(at, 10) + "\n" + text)
}

// witnessKey is a parsed verifier key of a witness.
type witnessKey struct {
	name string
	id   uint32
	pub  ed25519.PublicKey
}

func parseWitnessKey(vkey string) (k witnessKey, err error) {
	p := strings.Split(vkey, "+")
	if len(p) < 3 {
		return k, fmt.Errorf("%w: verifier key of a witness", ErrNote)
	}
	raw, err := decodeBase64(strings.Join(p[2:], "+"))
	if err != nil || !noteName(p[0]) || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algCosignature {
		return k, fmt.Errorf("%w: verifier key of a witness", ErrNote)
	}
	k = witnessKey{name: p[0], id: cosignerID(p[0], raw[1:]), pub: raw[1:]}
	if fmt.Sprintf("%08x", k.id) != p[1] {
		return k, fmt.Errorf("%w: id of the key of a witness", ErrNote)
	}
	return k, nil
}

// VerifyCosignature looks for the witness's line in a checkpoint and checks it. It returns the time at which the witness
// saw the tree, by its own clock. It does not check the log's own signature; see [VerifyCheckpoint].
func VerifyCosignature(msg []byte, witnessVKey string) (at time.Time, err error) {
	k, err := parseWitnessKey(witnessVKey)
	if err != nil {
		return at, err
	}
	text, lines, err := splitNote(msg)
	if err != nil {
		return at, err
	}
	found := false
	for _, l := range lines {
		name, sig, err := parseSignatureLine(l)
		if err != nil {
			return at, err
		}
		if name != k.name || binary.BigEndian.Uint32(sig) != k.id {
			continue
		}
		if found || len(sig) != 4+8+ed25519.SignatureSize {
			return at, fmt.Errorf("%w: cosignature", ErrNote)
		}
		found = true
		unix := binary.BigEndian.Uint64(sig[4:])
		if unix > 1<<40 || !ed25519.Verify(k.pub, cosignedMessage(text, int64(unix)), sig[12:]) {
			return at, fmt.Errorf("%w: the cosignature does not match", ErrNote)
		}
		at = time.Unix(int64(unix), 0).UTC()
	}
	if !found {
		return at, fmt.Errorf("%w: no cosignature of %s", ErrNote, k.name)
	}
	return at, nil
}

// AddCosignatures returns the checkpoint with those of the lines that are valid cosignatures by the witness; a line of
// the same witness that was there before is replaced.
func AddCosignatures(msg, lines []byte, witnessVKey string) ([]byte, error) {
	k, err := parseWitnessKey(witnessVKey)
	if err != nil {
		return nil, err
	}
	if len(lines) > maxNote {
		return nil, ErrNote
	}
	text, have, err := splitNote(msg)
	if err != nil {
		return nil, err
	}
	out := []byte(text + "\n")
	for _, l := range have {
		name, sig, err := parseSignatureLine(l)
		if err != nil {
			return nil, err
		}
		if name != k.name || binary.BigEndian.Uint32(sig) != k.id {
			out = append(out, l+"\n"...)
		}
	}
	for l := range strings.SplitSeq(strings.TrimSuffix(string(lines), "\n"), "\n") {
		if _, err := VerifyCosignature([]byte(text+"\n"+l+"\n"), witnessVKey); err == nil {
			return append(out, l+"\n"...), nil
		}
	}
	return nil, fmt.Errorf("%w: the answer holds no cosignature of %s", ErrNote, k.name)
}

// StripCosignatures returns the checkpoint as its log signed it, with the line of the log's key only.
func StripCosignatures(msg []byte, vkey string) ([]byte, error) {
	c, err := VerifyCheckpoint(msg, vkey)
	if err != nil {
		return nil, err
	}
	text, lines, err := splitNote(msg)
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		alone := []byte(text + "\n" + l + "\n")
		if own, err := VerifyCheckpoint(alone, vkey); err == nil && own == c {
			return alone, nil
		}
	}
	return nil, ErrNote
}

func splitNote(msg []byte) (text string, lines []string, err error) {
	i := bytes.Index(msg, []byte("\n\n"))
	if i < 0 || len(msg) > maxNote || !bytes.HasSuffix(msg, []byte("\n")) {
		return "", nil, ErrNote
	}
	return string(msg[:i+1]), strings.Split(string(msg[i+2:len(msg)-1]), "\n"), nil
}

func parseSignatureLine(l string) (name string, sig []byte, err error) {
	rest, ok := strings.CutPrefix(l, notePrefix)
	name, b64, ok2 := strings.Cut(rest, " ")
	sig, err = decodeBase64(b64)
	if !ok || !ok2 || !noteName(name) || err != nil || len(sig) < 5 {
		return "", nil, fmt.Errorf("%w: signature line", ErrNote)
	}
	return name, sig, nil
}

// AddCheckpoint is a request to a witness (C2SP tlog-witness): the size the witness cosigned last, a consistency proof
// from it, and the new checkpoint.
type AddCheckpoint struct {
	Old   int64
	Proof []tlog.Hash
	Note  []byte
}

// Marshal writes the request's body.
func (a AddCheckpoint) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString("old " + strconv.FormatInt(a.Old, 10) + "\n")
	for _, h := range a.Proof {
		b.WriteString(h.String() + "\n")
	}
	b.WriteString("\n")
	b.Write(a.Note)
	return b.Bytes()
}

// ParseAddCheckpoint reads a request's body strictly.
func ParseAddCheckpoint(b []byte) (a AddCheckpoint, err error) {
	head, msg, ok := bytes.Cut(b, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	old, ok2 := strings.CutPrefix(lines[0], "old ")
	if len(b) > MaxAddCheckpoint || !ok || !ok2 || len(lines) > maxProofLines+1 || len(msg) == 0 || len(msg) > maxNote {
		return a, ErrAddCheckpoint
	}
	if a.Old, err = parseDecimal(old); err != nil {
		return AddCheckpoint{}, ErrAddCheckpoint
	}
	for _, l := range lines[1:] {
		h, err := parseHash(l)
		if err != nil {
			return AddCheckpoint{}, ErrAddCheckpoint
		}
		a.Proof = append(a.Proof, h)
	}
	a.Note = msg
	return a, nil
}

// Witnessed is the tree of a log that a witness cosigned last; the zero value is none.
type Witnessed struct {
	Size int64
	Root tlog.Hash
}

// WitnessStore is the memory of a witness.
type WitnessStore interface {
	// Witnessed returns what was cosigned last for a log; the zero value when nothing was.
	Witnessed(ctx context.Context, origin string) (Witnessed, error)
	// Advance stores next when prev is still what is stored, and reports whether it was. It has to be on the disk when
	// it returns: a witness that forgets can be made to sign two histories.
	Advance(ctx context.Context, origin string, prev, next Witnessed) (bool, error)
}

// Witness cosigns checkpoints of logs that only grow (C2SP tlog-witness).
type Witness struct {
	Signer *Cosigner
	Store  WitnessStore
	// LogKey returns the verifier key of a log by its origin; false when the witness does not know the log.
	LogKey func(origin string) (vkey string, ok bool)
	// Inconsistent, when set, is told of a checkpoint that is signed by its log and yet contradicts what was cosigned
	// before: proof that the log showed two histories.
	Inconsistent func(ctx context.Context, origin string, have Witnessed, msg []byte)
	Now          func() time.Time
}

// WitnessAnswer is an HTTP answer of a witness.
type WitnessAnswer struct {
	Status int
	Type   string
	Body   []byte
}

// AddCheckpoint answers one request. The new tree is stored before the cosignature is given out.
func (w *Witness) AddCheckpoint(ctx context.Context, body []byte) (WitnessAnswer, error) {
	refuse := func(status int) (WitnessAnswer, error) { return WitnessAnswer{Status: status}, nil }
	req, err := ParseAddCheckpoint(body)
	if err != nil {
		return refuse(http.StatusBadRequest)
	}
	text, _, err := splitNote(req.Note)
	if err != nil {
		return refuse(http.StatusBadRequest)
	}
	claimed, err := parseCheckpoint(text)
	if err != nil {
		return refuse(http.StatusBadRequest)
	}
	vkey, ok := w.LogKey(claimed.Origin)
	if !ok {
		return refuse(http.StatusNotFound)
	}
	c, err := VerifyCheckpoint(req.Note, vkey)
	if err != nil || c != claimed {
		return refuse(http.StatusForbidden)
	}
	if req.Old > c.Size {
		return refuse(http.StatusBadRequest)
	}
	have, err := w.Store.Witnessed(ctx, c.Origin)
	if err != nil {
		return WitnessAnswer{}, err
	}
	conflict := WitnessAnswer{Status: http.StatusConflict, Type: sizeType, Body: []byte(strconv.FormatInt(have.Size, 10) + "\n")}
	if req.Old != have.Size {
		return conflict, nil
	}
	next := Witnessed{Size: c.Size, Root: c.Root}
	if have.Size == c.Size && have.Size > 0 && have.Root != c.Root {
		w.tell(ctx, c.Origin, have, req.Note)
		return conflict, nil
	}
	if err := checkGrowth(have, next, req.Proof); err != nil {
		if have.Size > 0 {
			w.tell(ctx, c.Origin, have, req.Note)
		}
		return refuse(http.StatusUnprocessableEntity)
	}
	ok, err = w.Store.Advance(ctx, c.Origin, have, next)
	if err != nil {
		return WitnessAnswer{}, err
	}
	if !ok { // another request was faster
		now, err := w.Store.Witnessed(ctx, c.Origin)
		conflict.Body = []byte(strconv.FormatInt(now.Size, 10) + "\n")
		return conflict, err
	}
	return WitnessAnswer{Status: http.StatusOK, Type: "text/plain; charset=utf-8", Body: []byte(w.Signer.Cosign(text, w.Now()))}, nil
}

func (w *Witness) tell(ctx context.Context, origin string, have Witnessed, msg []byte) {
	if w.Inconsistent != nil {
		w.Inconsistent(ctx, origin, have, msg)
	}
}

// checkGrowth checks that next continues have.
func checkGrowth(have, next Witnessed, proof []tlog.Hash) error {
	switch have.Size {
	case 0, next.Size:
		if len(proof) != 0 {
			return errors.New("a proof where none is needed")
		}
		if next.Size == 0 && next.Root != tlog.Hash(sha256.Sum256(nil)) {
			return errors.New("not the root of the empty tree")
		}
		return nil
	default:
		return tlog.CheckTree(proof, next.Size, next.Root, have.Size, have.Root)
	}
}
