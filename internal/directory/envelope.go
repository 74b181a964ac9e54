package directory

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The first line of everything the directory or a node signs for it, so that a signature over one kind of message
// can never pass for another.
const (
	domainDocument = "truc-directory-document-v1\n"
	domainCurrent  = "truc-directory-current-v1\n"
	domainJoin     = "truc-directory-join-v1\n"
	domainRenew    = "truc-directory-renew-v1\n"
	domainServices = "truc-directory-services-v1\n"
	domainPoll     = "truc-directory-poll-v1\n"
)

// Signature is one detached signature.
type Signature struct {
	KeyID string `json:"key_id"`
	// Sig is base64: Ed25519, or ECDSA over SHA-256 in ASN.1 form.
	Sig string `json:"sig"`
}

// Envelope carries canonical document bytes with the signatures over them.
type Envelope struct {
	Document   json.RawMessage `json:"document"`
	Signatures []Signature     `json:"signatures"`
}

// Marshal writes the envelope; the document's bytes stay exactly as they were signed.
func (e Envelope) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString(`{"document":`)
	b.Write(e.Document)
	b.WriteString(`,"signatures":`)
	sigs, err := json.Marshal(e.Signatures)
	if err != nil {
		sigs = []byte("[]") // two strings always marshal
	}
	b.Write(sigs)
	b.WriteString("}")
	return b.Bytes()
}

// sign makes one signature over domain and message.
func sign(key crypto.Signer, domain string, msg []byte) (Signature, error) {
	msg = append([]byte(domain), msg...)
	var sig []byte
	var err error
	switch key.Public().(type) {
	case ed25519.PublicKey:
		sig, err = key.Sign(rand.Reader, msg, crypto.Hash(0))
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(msg)
		sig, err = key.Sign(rand.Reader, sum[:], crypto.SHA256)
	default:
		err = errors.New("the signing key is neither Ed25519 nor P-256")
	}
	if err != nil {
		return Signature{}, err
	}
	return Signature{KeyID: KeyID(key.Public()), Sig: base64.StdEncoding.EncodeToString(sig)}, nil
}

func verify(key crypto.PublicKey, domain string, msg []byte, s Signature) error {
	sig, err := base64.StdEncoding.DecodeString(s.Sig)
	msg = append([]byte(domain), msg...)
	good := false
	switch pub := key.(type) {
	case ed25519.PublicKey:
		good = len(sig) == ed25519.SignatureSize && ed25519.Verify(pub, msg, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(msg)
		good = ecdsa.VerifyASN1(pub, sum[:], sig)
	}
	if err != nil || !good {
		return fmt.Errorf("the signature of key %s does not match", s.KeyID)
	}
	return nil
}

// Anchor is what a node trusts: keys by id. At first it is the fingerprint in the join token; afterwards the
// directory keys of the last document that was verified.
type Anchor struct {
	Instance string
	KeyIDs   []string
}

// Open reads and verifies an envelope. It accepts a document of the anchor's instance signed by at least one of the
// anchor's keys; freshness and version are the caller's business.
func (a Anchor) Open(b []byte) (*Document, []byte, error) {
	if len(b) > MaxDocument {
		return nil, nil, errors.New("the document is too large")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var env Envelope
	if err := dec.Decode(&env); err != nil {
		return nil, nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("bytes after the envelope")
	}
	doc, err := decodeDocument(env.Document)
	if err != nil {
		return nil, nil, err
	}
	if doc.Instance != a.Instance {
		return nil, nil, fmt.Errorf("the document is of instance %q, want %q", doc.Instance, a.Instance)
	}
	for _, s := range env.Signatures {
		for _, id := range a.KeyIDs {
			if s.KeyID != id {
				continue
			}
			pub, ok := doc.directoryKey(id)
			if !ok {
				continue
			}
			if err := verify(pub, domainDocument, env.Document, s); err != nil {
				return nil, nil, err
			}
			return doc, env.Document, nil
		}
	}
	return nil, nil, errors.New("no signature by a key this node trusts")
}

// directoryKey finds a directory key in the document. Taking the key from the very document it signs is sound
// because the id is the hash of the key and the id is what the node pinned.
func (d *Document) directoryKey(id string) (ed25519.PublicKey, bool) {
	for _, k := range d.DirectoryKeys {
		if k.KeyID == id {
			pub, err := k.Ed25519()
			return pub, err == nil
		}
	}
	return nil, false
}

// Anchor returns what to trust after this document: its directory keys.
func (d *Document) Anchor() Anchor {
	a := Anchor{Instance: d.Instance}
	for _, k := range d.DirectoryKeys {
		a.KeyIDs = append(a.KeyIDs, k.KeyID)
	}
	return a
}

// Current is the center's signed statement that a document is its newest at a time. Without it an attacker who
// answers "not modified" could hide a revocation for as long as the old document lives.
type Current struct {
	// Hash is that of the document's canonical bytes, At Unix seconds.
	Hash string
	At   int64
	Sig  Signature
}

func (c Current) message() []byte { return []byte(c.Hash + "\n" + strconv.FormatInt(c.At, 10)) }

// String is the header form: hash;time;key id;signature.
func (c Current) String() string {
	return strings.Join([]string{c.Hash, strconv.FormatInt(c.At, 10), c.Sig.KeyID, c.Sig.Sig}, ";")
}

// ParseCurrent reads the header form.
func ParseCurrent(s string) (Current, error) {
	p := strings.Split(s, ";")
	if len(p) != 4 {
		return Current{}, errors.New("the statement has not four parts")
	}
	at, err := strconv.ParseInt(p[1], 10, 64)
	if err != nil {
		return Current{}, errors.New("the statement's time is not a number")
	}
	return Current{Hash: p[0], At: at, Sig: Signature{KeyID: p[2], Sig: p[3]}}, nil
}

// verify checks the statement against the directory keys of doc.
func (c Current) verify(doc *Document) (time.Time, error) {
	pub, ok := doc.directoryKey(c.Sig.KeyID)
	if !ok {
		return time.Time{}, errors.New("the statement is by a key this node does not trust")
	}
	return time.Unix(c.At, 0).UTC(), verify(pub, domainCurrent, c.message(), c.Sig)
}

// Peek reads the document of an envelope without verifying it, for tools that show what the network says. Whoever
// decides anything by it uses [Anchor.Open].
func Peek(b []byte) (*Document, error) {
	var env Envelope
	if err := json.Unmarshal(b, &env); err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	return decodeDocument(env.Document)
}
