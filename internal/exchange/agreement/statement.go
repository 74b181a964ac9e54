package agreement

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"truc/internal/jcs"
)

// Types of a [Statement].
const (
	Accept = "accept"
	Reject = "reject"
	Revoke = "revoke"
)

// skew is how far clocks may be apart.
const skew = 5 * time.Minute

// domain separates these signatures from everything else the same keys sign.
const domain = "truc-agreement-statement-1\n"

// Statement is what one party says about an agreement, signed with a signing key of its node.
type Statement struct {
	Type string `json:"type"`
	// Content is the hash of the document.
	Content string `json:"content_hash"`
	// Member says it, with the key of this id.
	Member string `json:"member"`
	KeyID  string `json:"key_id"`
	// Reason is for people; it may be empty.
	Reason string `json:"reason"`
	// SignedAt is Unix seconds.
	SignedAt int64 `json:"signed_at"`
	// Signature is base64 over the domain and the canonical form of all the other fields: Ed25519, or ECDSA P-256 with
	// SHA-256 as 64 bytes r and s.
	Signature string `json:"signature"`
}

// Key is a signing key as the directory tells it.
type Key struct {
	Public crypto.PublicKey
	// Member owns it.
	Member string
	// NotBefore and NotAfter bound its use; zero means unbounded.
	NotBefore, NotAfter time.Time
	Revoked             bool
}

// Keys is the directory of the network, as far as agreements ask it.
type Keys interface {
	// SigningKey finds a key by its id, also one that has ended or was revoked.
	SigningKey(keyID string) (Key, error)
	// Succeeds reports whether a key stands lawfully in the place of another: a chain of statements leads from the old one
	// to the new one, each signed by the key that goes, and none of them is revoked (spec D14).
	Succeeds(newID, oldID string) bool
}

func (s Statement) signedBytes() ([]byte, error) {
	s.Signature = ""
	b, err := jcs.Marshal(s)
	return slices.Concat([]byte(domain), b), err
}

// Sign returns the statement with its signature.
func (s Statement) Sign(key crypto.Signer) (Statement, error) {
	b, err := s.signedBytes()
	if err != nil {
		return s, err
	}
	var sig []byte
	switch pub := key.Public().(type) {
	case ed25519.PublicKey:
		sig, err = key.Sign(rand.Reader, b, crypto.Hash(0))
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			return s, errors.New("the curve is not P-256")
		}
		sum := sha256.Sum256(b)
		if sig, err = key.Sign(rand.Reader, sum[:], crypto.SHA256); err == nil {
			sig, err = rawSignature(sig)
		}
	default:
		err = fmt.Errorf("cannot sign with %T", pub)
	}
	s.Signature = base64.StdEncoding.EncodeToString(sig)
	return s, err
}

// rawSignature turns the ASN.1 form that crypto.Signer gives into r and s of 32 bytes each.
func rawSignature(der []byte) ([]byte, error) {
	// SEQUENCE { INTEGER r, INTEGER s }, both shorter than 128 bytes, so every length is one byte.
	if len(der) < 8 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return nil, errors.New("the signer's form of signature is not known")
	}
	out, rest := make([]byte, 64), der[2:]
	for i := range 2 {
		if len(rest) < 2 || rest[0] != 2 || len(rest) < 2+int(rest[1]) {
			return nil, errors.New("the signer's form of signature is not known")
		}
		n := bytes.TrimLeft(rest[2:2+int(rest[1])], "\x00")
		if len(n) > 32 {
			return nil, errors.New("the signer's form of signature is not known")
		}
		copy(out[32*(i+1)-len(n):], n)
		rest = rest[2+int(rest[1]):]
	}
	return out, nil
}

// verify checks the signature under a key.
func (s Statement) verify(pub crypto.PublicKey) error {
	b, err := s.signedBytes()
	if err != nil {
		return err
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(s.Signature)
	if err != nil || len(sig) != 64 {
		return errors.New("the signature has no 64 bytes")
	}
	ok := false
	switch pub := pub.(type) {
	case ed25519.PublicKey:
		ok = len(pub) == ed25519.PublicKeySize && ed25519.Verify(pub, b, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(b)
		ok = pub.Curve == elliptic.P256() && ecdsa.Verify(pub, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	}
	if !ok {
		return errors.New("the signature does not match")
	}
	return nil
}

// Agreement is a document with what has been said about it.
type Agreement struct {
	Document *Document
	// Raw is its canonical form, Content its hash.
	Raw     []byte
	Content string
	// Directory is the member that keeps the directory, a party of publications.
	Directory string
	// Statements are in the order in which they came.
	Statements []Statement
}

// Open reads a document into an agreement about which nothing has been said.
func Open(raw []byte, directory string) (*Agreement, error) {
	d, err := Decode(raw)
	if err != nil {
		return nil, err
	}
	return &Agreement{Document: d, Raw: raw, Content: ContentHash(raw), Directory: directory}, nil
}

// Parties are the members that must sign.
func (a *Agreement) Parties() []string { return a.Document.Parties(a.Directory) }

// IsParty reports whether a member must sign.
func (a *Agreement) IsParty(member string) bool { return slices.Contains(a.Parties(), member) }

// Check decides whether a statement may be added: it is about this document, by a party, of a known kind, signed with a
// key of that party that was good at that time and is not revoked.
func (a *Agreement) Check(s Statement, keys Keys, now time.Time) error {
	switch {
	case s.Content != a.Content:
		return bad("content", "content_hash", nil)
	case !a.IsParty(s.Member):
		return bad("not_party", "member", nil)
	case !slices.Contains([]string{Accept, Reject, Revoke}, s.Type):
		return bad("type", "type", nil)
	case !clean(s.Reason, maxText):
		return bad("reason", "reason", nil)
	case s.SignedAt > now.Add(skew).Unix() || s.SignedAt < a.Document.CreatedAt-int64(skew/time.Second):
		return bad("signed_at", "signed_at", nil)
	}
	k, err := keys.SigningKey(s.KeyID)
	if err != nil {
		return bad("key", "key_id", err)
	}
	at := time.Unix(s.SignedAt, 0)
	if k.Revoked || k.Member != s.Member || !k.NotBefore.IsZero() && at.Before(k.NotBefore.Add(-skew)) || !k.NotAfter.IsZero() && at.After(k.NotAfter) {
		return bad("key", "key_id", nil)
	}
	if err := s.verify(k.Public); err != nil {
		return bad("signature", "signature", err)
	}
	return nil
}

// State is how far an agreement has come.
type State string

// The states.
const (
	// Proposed waits for the signature of at least one party.
	Proposed State = "proposed"
	// Accepted has all signatures and begins later.
	Accepted State = "accepted"
	// Valid is in force.
	Valid State = "valid"
	// Rejected and Revoked are ends by the will of a party, Expired by time.
	Rejected State = "rejected"
	Revoked  State = "revoked"
	Expired  State = "expired"
	// Ended: a party left the network.
	Ended State = "ended"
)

// Gone is the status of an agreement of which a party left the network: what was open or in force has ended, what had an
// end before keeps it.
func (st Status) Gone() Status {
	if st.State == Proposed || st.State == Accepted || st.State == Valid {
		st.State = Ended
	}
	return st
}

// Status is the fold of the statements.
type Status struct {
	State State
	// Signed are the parties that accepted, Waiting those that did not say anything.
	Signed, Waiting []string
	// End is the statement that rejected or revoked, if any.
	End *Statement
}

// Status folds what was said, at a time. The first rejection or revocation ends the agreement whatever came before or
// comes after.
func (a *Agreement) Status(now time.Time) Status {
	var st Status
	for i := range a.Statements {
		s := &a.Statements[i]
		switch s.Type {
		case Accept:
			if !slices.Contains(st.Signed, s.Member) {
				st.Signed = append(st.Signed, s.Member)
			}
		case Reject, Revoke:
			if st.End == nil {
				st.End = s
			}
		}
	}
	for _, p := range a.Parties() {
		if !slices.Contains(st.Signed, p) {
			st.Waiting = append(st.Waiting, p)
		}
	}
	v := a.Document.Validity
	switch {
	case st.End != nil && st.End.Type == Revoke:
		st.State = Revoked
	case st.End != nil:
		st.State = Rejected
	case now.Unix() >= v.NotAfter:
		st.State = Expired
	case len(st.Waiting) > 0:
		st.State = Proposed
	case now.Unix() < v.NotBefore:
		st.State = Accepted
	default:
		st.State = Valid
	}
	return st
}
