package exchange

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"truc/internal/translog"
)

// Trust tells a verifier whose keys to believe; the directory document of the package, once it has been verified
// against a known fingerprint, is one source.
type Trust struct {
	// Key returns a signing key by its id.
	Key func(keyID string) (Key, error)
	// LogKey returns the verifier key of a node's log.
	LogKey func(serverID string) (string, error)
	// KeyAt, when set, returns a signing key as the directory document of a version named it; ok is false when that
	// version is not at hand.
	KeyAt func(version int64, keyID string) (key Key, ok bool, err error)
	// Witness reports whether a key is that of a witness of the network; nil believes the package.
	Witness func(w WitnessKey) bool
	// TSARoots are the authorities of time-stamps; nil believes those in the package.
	TSARoots *x509.CertPool
	// Now bounds times from above.
	Now time.Time
}

// Verdict is the outcome of one check.
type Verdict string

// The verdicts. NotProvided means that the package lacks what the check needs, which proves nothing either way.
const (
	Good        Verdict = "good"
	Bad         Verdict = "bad"
	NotProvided Verdict = "not_provided"
)

// EntryReport is what was found about one entry.
type EntryReport struct {
	Index           int64
	Role, Direction string
	Client, Service string
	Outcome         string
	At              time.Time
	Signer          string
	// Inclusion: the entry is in the log. Signature: the signer signed what the entry says.
	Inclusion, Signature Verdict
	// Witnesses: others cosigned the log's statement; WitnessedBy says who. Timestamp: an authority says that the entry
	// existed at Before. Body: the body in the package has the digest that was signed. Directory: the signer's key was in
	// the directory document in force when the entry was made.
	Witnesses, Timestamp, Body, Directory Verdict
	WitnessedBy                           []string
	Before                                time.Time
	// TooLarge says that the node kept of the body its digest alone, because it was longer than the node keeps.
	TooLarge bool
	// Reason explains the first verdict that is not good.
	Reason string
}

// EvidenceReport is the outcome of [VerifyEvidence].
type EvidenceReport struct {
	ExchangeID string
	Node       string
	Entries    []EntryReport
	// OK is set when there are entries and every check of each is good. An attempt that got no answer does not count against an
	// exchange that another attempt brought to one.
	OK bool
}

// Verdicts lists the outcome of each check by name, in the order in which they are told.
func (r *EntryReport) Verdicts() []struct {
	Name    string
	Verdict Verdict
} {
	return []struct {
		Name    string
		Verdict Verdict
	}{
		{"inclusion", r.Inclusion}, {"signature", r.Signature}, {"directory", r.Directory}, {"witnesses", r.Witnesses}, {"timestamp", r.Timestamp}, {"body", r.Body},
	}
}

// VerifyEvidence checks a package offline: every entry is in the log of the node, under a key the trust names for that
// node, and every signature is by a key of the network and says what the entry says.
func VerifyEvidence(b []byte, trust Trust) (*EvidenceReport, error) {
	p, err := OpenEvidence(b)
	if err != nil {
		return nil, err
	}
	return p.Verify(trust), nil
}

// Verify is [VerifyEvidence] for a package that is open.
func (p *Package) Verify(trust Trust) *EvidenceReport {
	r := &EvidenceReport{ExchangeID: p.ExchangeID, Node: p.Node, OK: len(p.items) > 0}
	requests := map[string]*Entry{} // role and request id → request entry
	bodies := streamedBodies{}
	answered, unanswered := map[string]bool{}, map[string]bool{} // roles with a signed answer, and with an attempt that got none
	logKey, logErr := trust.LogKey(p.Node)
	for _, it := range p.items {
		er := EntryReport{Index: it.Index, Inclusion: Good, Signature: Good, Witnesses: NotProvided, Timestamp: NotProvided, Body: NotProvided, Directory: NotProvided}
		e, err := decodeEntry(it.entry)
		if err != nil {
			er.Inclusion, er.Signature, er.Reason = Bad, Bad, err.Error()
			r.Entries, r.OK = append(r.Entries, er), false
			continue
		}
		er.Role, er.Direction, er.Client, er.Service, er.Outcome = e.Role, e.Direction, e.Client, e.Service, e.Outcome
		er.At, er.TooLarge = time.UnixMicro(e.At).UTC(), e.Kept == KeptTooLarge
		if err := checkInclusion(it, e, p, logKey, logErr); err != nil {
			er.Inclusion, er.Reason = Bad, err.Error()
		}
		if e.Direction == directionRequest {
			requests[e.Role+e.RequestID] = e
		}
		if bodies.add(e, len(r.Entries)) {
			er.Signer, er.Signature, err = bodies.check(e, trust)
		} else {
			er.Signer, er.Signature, err = checkEntrySignature(e, it.Person, requests[e.Role+e.RequestID], trust)
		}
		if err != nil && er.Reason == "" {
			er.Reason = err.Error()
		}
		er.checkConfirmations(p, it, e, logKey, trust)
		er.checkBody(it, e)
		er.checkDirectory(e, trust)
		switch none := e.Signature == "" && e.Outcome != "ok"; {
		case e.Direction == directionResponse && none:
			unanswered[e.Role] = true
		case er.Signature != Good:
			r.OK = false
		case e.Direction == directionResponse:
			answered[e.Role] = true
		}
		r.OK = r.OK && er.Inclusion == Good
		for _, v := range er.Verdicts() {
			r.OK = r.OK && v.Verdict != Bad
		}
		r.Entries = append(r.Entries, er)
	}
	bodies.finish(r)
	for role := range unanswered { // a provider that died is asked again elsewhere under the same id: one answer is enough
		r.OK = r.OK && answered[role]
	}
	return r
}

func checkInclusion(it packageItem, e *Entry, p *Package, logKey string, logErr error) error {
	if logErr != nil {
		return logErr
	}
	v, err := translog.VerifyReceipt(it.entry, it.receipt, logKey)
	if err != nil {
		return err
	}
	if v.Index != it.Index || e.Node != p.Node || e.ExchangeID != p.ExchangeID {
		return errors.New("the entry is not the one the manifest names")
	}
	return nil
}

// checkEntrySignature checks that the signature is genuine and that the entry's fields are those that were signed.
func checkEntrySignature(e *Entry, person string, req *Entry, trust Trust) (signer string, v Verdict, err error) {
	if e.Signature == "" {
		return "", NotProvided, errors.New("no signed answer was received: " + e.Outcome)
	}
	base := e.Base
	if e.User != "" {
		if person == "" {
			return "", NotProvided, errors.New("the person's id is sealed and was not exported")
		}
		base = restoreUser(base, person)
	}
	key, err := trust.Key(e.KeyID)
	if err != nil {
		return "", Bad, err
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signature)
	if err != nil || !verifyValue(key.Public, e.KeyID, algOfBase(base), base, sig, nil) {
		return key.ServerID, Bad, errors.New("the signature does not match")
	}
	// The consumer's node signs requests, the provider's answers.
	want := e.Node
	if (e.Role == RoleConsumer) != (e.Direction == directionRequest) {
		want = e.Peer
	}
	if key.ServerID != want {
		return key.ServerID, Bad, fmt.Errorf("signed by %s, want %s", key.ServerID, want)
	}
	if err := e.agrees(base, req); err != nil {
		return key.ServerID, Bad, err
	}
	return key.ServerID, Good, nil
}

// algOfBase reads the algorithm from the last line of a signature base.
func algOfBase(base string) string {
	_, rest, _ := strings.Cut(base[strings.LastIndexByte(base, '\n')+1:], `;alg="`)
	alg, _, _ := strings.Cut(rest, `"`)
	return alg
}

// agrees compares the entry's fields with the signed base.
func (e *Entry) agrees(base string, req *Entry) error {
	lines := map[string]string{}
	for l := range strings.SplitSeq(base, "\n") {
		name, value, ok := strings.Cut(l, ": ")
		if !ok {
			return errors.New("the signature base cannot be read")
		}
		if _, dup := lines[name]; dup {
			return fmt.Errorf("component %s twice", name)
		}
		lines[name] = value
	}
	activity, basis := ParsePurpose(lines[`"truc-purpose"`])
	want := map[string]string{`"x-road-id"`: e.ExchangeID}
	var uri string
	if e.Direction == directionRequest {
		uri = lines[`"@target-uri"`]
		want[`"@method"`], want[`"x-road-client"`], want[`"x-road-request-id"`] = e.Method, e.Client, e.RequestID
		wantDigest(want, `"content-digest"`, `"truc-body"`, e.RequestDigest)
		if lines[`"x-road-issue"`] != e.Dossier || activity != e.Activity || basis != e.Basis {
			return errors.New("the purpose is not the one that was signed")
		}
		if lines[`"truc-grant"`] != e.Grant || delegatorOf(lines[`"x-road-represented-party"`], e.Client) != e.Delegator {
			return errors.New("the grant is not the one that was signed")
		}
	} else {
		uri = lines[`"@target-uri";req`]
		want[`"@method";req`], want[`"x-road-service"`], want[`"@status"`] = e.Method, e.Service, strconv.Itoa(e.Status)
		wantDigest(want, `"content-digest"`, `"truc-body"`, e.ResponseDigest)
		if req == nil {
			return errors.New("the request's entry is missing")
		}
		wantDigest(want, `"content-digest";req`, `"truc-body";req`, req.RequestDigest)
		switch {
		case req.RequestDigest != digestPending && e.RequestDigest != req.RequestDigest:
			return errors.New("the answer is to another body")
		case req.RequestDigest == digestPending && e.RequestDigest != digestPending:
			want[`"truc-request-digest"`] = e.RequestDigest
		default:
			want[`"truc-request-digest"`] = "" // not in the answer
		}
		want[`"signature";req;key="x1"`] = ":" + req.Signature + ":"
		if typ := lines[`"x-road-error"`]; typ != e.Outcome && (typ != "" || e.Outcome != "ok") {
			return errors.New("the outcome is not the one that was signed")
		}
	}
	for name, v := range want {
		if lines[name] != v {
			return fmt.Errorf("%s is %q in the entry, %q was signed", name, v, lines[name])
		}
	}
	path, err := targetOf(uri)
	if err == nil {
		var t Target
		if t, err = ParseTarget("x1", path); err == nil && t.Service.String() != e.Service {
			err = errors.New("another service")
		}
	}
	if err != nil || path != e.Path {
		return errors.New("the target is not the one that was signed")
	}
	return nil
}
