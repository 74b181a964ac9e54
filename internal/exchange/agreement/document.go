package agreement

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"truc/internal/jcs"
	"truc/internal/orgcode"
)

// HashAlg is the only hash algorithm there is. The field exists so that another one is a new document, never another
// reading of an old one.
const HashAlg = "sha-256"

// Bounds on what is read from outside.
const (
	// MaxDocument is the longest document in bytes.
	MaxDocument = 256 << 10
	maxGrants   = 200
	maxList     = 64
	maxText     = 500
	// maxProperties bounds [Document.Properties], maxProperty one of their values in bytes.
	maxProperties = 64
	maxProperty   = 4000
)

// Types of a [Grant].
const (
	// Publish lets a provider list a service in the directory; the parties are both.
	Publish = "publish"
	// Connect lets a consumer call a service.
	Connect = "connect"
	// DelegatedConnect lets a consumer call a service on behalf of another member, the delegator, which signs too.
	DelegatedConnect = "delegated_connect"
	// DelegatedPublish lets a provider list a service that it runs for another member, the service's delegator.
	DelegatedPublish = "delegated_publish"
)

// Document is the text of an agreement. Every field is always present in its canonical form, but for the last two, which
// are left out when they say nothing: agreements that were signed before there were any keep their bytes. Times are Unix
// seconds.
type Document struct {
	// IV is a UUID, so that the same terms agreed twice are two agreements.
	IV        string `json:"iv"`
	Instance  string `json:"instance"`
	CreatedAt int64  `json:"created_at"`
	// HashAlg is [HashAlg].
	HashAlg  string   `json:"hash_alg"`
	Validity Validity `json:"validity"`
	Grants   []Grant  `json:"grants"`
	// Properties is what else the parties want to have signed, such as the regulated area under which they exchange. No rule
	// of the exchange looks at it.
	Properties map[string]string `json:"properties,omitempty"`
	// ExternalContract is a contract outside the exchange that the agreement carries out.
	ExternalContract *ExternalContract `json:"external_contract,omitempty"`
}

// ExternalContract names a document that the parties signed elsewhere, so that nobody can put another in its place.
type ExternalContract struct {
	// Number is as it stands on the document, "12/2026/HĐ-BCA-LĐ", Date its day, "2026-11-01".
	Number string `json:"number"`
	Date   string `json:"date"`
	// Digest is of the file, written like a content hash: "sha-256:" and base64url.
	Digest string `json:"digest"`
}

// Validity is [NotBefore, NotAfter).
type Validity struct {
	NotBefore int64 `json:"not_before"`
	NotAfter  int64 `json:"not_after"`
}

// Party is the id of a member, "VN/GOV/H36"; nobody is written null.
type Party string

// MarshalJSON implements [json.Marshaler].
func (p Party) MarshalJSON() ([]byte, error) {
	if p == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(p))
}

// Grant is one permission.
type Grant struct {
	Type    string  `json:"type"`
	Service Service `json:"service"`
	// Delegator is on whose behalf the consumer calls: delegated_connect only.
	Delegator Party `json:"delegator"`
	// Consumer is null for publications.
	Consumer *Consumer `json:"consumer"`
	Purpose  Purpose   `json:"purpose"`
	Limits   Limits    `json:"limits"`
	Evidence Evidence  `json:"evidence"`
}

// Service is what may be called.
type Service struct {
	// ID is "VN/GOV/G01/population/person".
	ID string `json:"id"`
	// Methods are HTTP methods; "*" means all. Paths are patterns of spec §3.2.
	Methods []string `json:"methods"`
	Paths   []string `json:"paths"`
	// Delegator is for whom the provider runs the service, if it does so for another member.
	Delegator Party `json:"delegator"`
}

// Consumer is who may call.
type Consumer struct {
	// Subsystem is "VN/GOV/H36/onestop".
	Subsystem string `json:"subsystem"`
	// KeyThumbprints name the signing keys of the consumer's nodes, "sha-256:" and the base64url SHA-256 of the key's
	// SubjectPublicKeyInfo. A renewed certificate with the same key changes nothing.
	KeyThumbprints []string `json:"key_thumbprints"`
}

// Purpose says what for, by which law, and which data.
type Purpose struct {
	// Code is the processing activity that a call must name, such as "prefill".
	Code string `json:"code"`
	// LegalBasis is for people to read: article, law.
	LegalBasis     string   `json:"legal_basis"`
	DataCategories []string `json:"data_categories"`
	// Fields are those a call may ask for by name; none means all. Only a service that lets the caller name fields can be
	// limited so: an answer is never filtered in silence.
	Fields []string `json:"fields"`
	// ProcessingID is the entry in the consumer's record of processing, if it has one.
	ProcessingID string `json:"processing_id"`
}

// Limits bound the use (spec D31); zero and "" mean unbounded.
type Limits struct {
	// Rate is "50/s", "3000/m" or "100000/h".
	Rate string `json:"rate"`
	// Burst is how many calls may come at once; default one second's worth, at least one.
	Burst int64 `json:"burst"`
	// Concurrent is how many calls may be under way.
	Concurrent int64 `json:"concurrent"`
	// Daily is how many calls a day, in the time of Viet Nam.
	Daily int64 `json:"daily"`
}

// Evidence says what the parties demand of each other's logs.
type Evidence struct {
	// TimestampWithin is how long a log may go without a time-stamp before the service refuses, "24h"; "" is for ever
	// (spec D29).
	TimestampWithin string `json:"timestamp_within"`
	// Body is what is kept of bodies: "digest" (default ""), or "full".
	Body string `json:"body"`
}

// Fault is what is wrong with a document or a statement.
type Fault struct {
	// Key names the message, "exchange.agreement.fault.validity". Field is the place, such as "grants[0].purpose.code".
	Key, Field string
	err        error
}

// Error is for logs.
func (f *Fault) Error() string {
	s := f.Key
	if f.Field != "" {
		s += " at " + f.Field
	}
	if f.err != nil {
		s += ": " + f.err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.err }

func bad(key, field string, err error) error {
	return &Fault{Key: "exchange.agreement.fault." + key, Field: field, err: err}
}

// Decode reads a document that came from outside. It must be its own canonical form, so that one content has one hash.
func Decode(raw []byte) (*Document, error) {
	d, err := DecodeDraft(raw)
	if err != nil {
		return nil, err
	}
	b, err := d.Encode()
	if err != nil {
		return nil, bad("unreadable", "", err)
	}
	if !bytes.Equal(b, raw) {
		return nil, bad("unreadable", "", errors.New("not in canonical form"))
	}
	return d, nil
}

// DecodeDraft reads a document that a person wrote: members may be missing and in any order, but none may be unknown.
func DecodeDraft(raw []byte) (*Document, error) {
	if len(raw) > MaxDocument {
		return nil, bad("too_long", "", nil)
	}
	d := new(Document)
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(d); err != nil {
		return nil, bad("unreadable", "", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, bad("unreadable", "", errors.New("more than one value"))
	}
	return d, nil
}

// Encode returns the canonical form, which is what is hashed and sent.
func (d *Document) Encode() ([]byte, error) {
	c := *d
	c.Grants = make([]Grant, len(d.Grants))
	for i, g := range d.Grants {
		g.Service.Methods, g.Service.Paths = notNil(g.Service.Methods), notNil(g.Service.Paths)
		g.Purpose.DataCategories, g.Purpose.Fields = notNil(g.Purpose.DataCategories), notNil(g.Purpose.Fields)
		if g.Consumer != nil {
			g.Consumer = &Consumer{Subsystem: g.Consumer.Subsystem, KeyThumbprints: notNil(g.Consumer.KeyThumbprints)}
		}
		c.Grants[i] = g
	}
	return jcs.Marshal(c)
}

// notNil makes an absent list an empty one: a document has one form.
func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// ContentHash names a document: "sha-256:" and base64url.
func ContentHash(raw []byte) string { return hash(raw) }

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return HashAlg + ":" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// GrantHash names the i-th grant of a document. The domain and the content hash are hashed with it, so that no grant can
// pass for a document or for a grant of another agreement.
func (d *Document) GrantHash(contentHash string, i int) (string, error) {
	one := Document{Grants: d.Grants[i : i+1]}
	b, err := one.Encode()
	if err != nil {
		return "", err
	}
	return hash(slices.Concat([]byte("truc-grant-1\n"+contentHash+"\n"), b)), nil
}

// Thumbprint writes a key id as a document has it.
func Thumbprint(keyID string) string { return HashAlg + ":" + keyID }

// IsHash reports whether s has the form of a content hash, a grant hash or a thumbprint.
func IsHash(s string) bool {
	rest, ok := strings.CutPrefix(s, HashAlg+":")
	b, err := base64.RawURLEncoding.DecodeString(rest)
	return ok && err == nil && len(b) == sha256.Size && len(rest) == 43
}

// memberOf returns the member of a subsystem or service id, "" when it is none.
func memberOf(id string) string {
	p := strings.SplitN(id, "/", 4)
	if len(p) < 4 {
		return ""
	}
	return strings.Join(p[:3], "/")
}

// IsMember reports whether s is the id of a member, "VN/GOV/H36".
func IsMember(s string) bool {
	sub, err := orgcode.ParseSubsystem(s + "/x")
	return err == nil && sub.MemberID() == s
}

// Provider is the member that answers.
func (g *Grant) Provider() string { return memberOf(g.Service.ID) }

// Caller is the member that calls, "" for a publication.
func (g *Grant) Caller() string {
	if g.Consumer == nil {
		return ""
	}
	return memberOf(g.Consumer.Subsystem)
}

func (g *Grant) publishes() bool { return g.Type == Publish || g.Type == DelegatedPublish }

// Parties are the members that must sign, sorted: everybody a grant names, and the directory for publications.
func (d *Document) Parties(directory string) []string {
	var out []string
	add := func(ids ...string) {
		for _, id := range ids {
			if id != "" && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	for _, g := range d.Grants {
		add(g.Provider(), g.Caller(), string(g.Delegator), string(g.Service.Delegator))
		if g.publishes() {
			add(directory)
		}
	}
	slices.Sort(out)
	return out
}

// Fill completes a draft: identity, time of making, and the keys of consumers that it leaves open.
func (d *Document) Fill(iv string, now time.Time, keysOf func(subsystem string) []string) {
	if d.IV == "" {
		d.IV = iv
	}
	if d.CreatedAt == 0 {
		d.CreatedAt = now.Unix()
	}
	if d.HashAlg == "" {
		d.HashAlg = HashAlg
	}
	if d.Validity.NotBefore == 0 {
		d.Validity.NotBefore = d.CreatedAt
	}
	for i := range d.Grants {
		c := d.Grants[i].Consumer
		if c == nil || len(c.KeyThumbprints) > 0 {
			continue
		}
		for _, k := range keysOf(c.Subsystem) {
			c.KeyThumbprints = append(c.KeyThumbprints, Thumbprint(k))
		}
		slices.Sort(c.KeyThumbprints)
	}
}

// Terms returns the canonical form of what is agreed, without what [Document.Fill] completes: identity, times of making
// and beginning, and keys. Two documents with the same terms differ only in these.
func (d *Document) Terms() ([]byte, error) {
	b, err := d.Encode()
	if err != nil {
		return nil, err
	}
	c, err := DecodeDraft(b)
	if err != nil {
		return nil, err
	}
	c.IV, c.CreatedAt, c.Validity.NotBefore, c.HashAlg = "", 0, 0, ""
	for i := range c.Grants {
		if c.Grants[i].Consumer != nil {
			c.Grants[i].Consumer.KeyThumbprints = nil
		}
	}
	return c.Encode()
}
