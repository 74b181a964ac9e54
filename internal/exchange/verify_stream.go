package exchange

import (
	"encoding/base64"
	"errors"
	"strings"
)

// wantDigest says what must have been signed about a body: its digest, or that it streams and the digest comes later.
func wantDigest(want map[string]string, digest, stream, value string) {
	if value == digestPending {
		want[digest], want[stream] = "", bodyStream
	} else {
		want[digest], want[stream] = value, ""
	}
}

// streamedBodies ties entries whose digest was pending to those that complete them.
type streamedBodies map[string]*streamedBody // role, request id and direction → body

type streamedBody struct {
	head *Entry
	// at is the head's place in the report; done is set when a good entry about the body was found.
	at      int
	done    bool
	refused bool
}

// add notes an entry and reports whether it is about a body.
func (b streamedBodies) add(e *Entry, at int) bool {
	key := e.Role + e.RequestID
	switch e.Direction {
	case directionRequestBody, directionResponseBody:
		return true
	case directionRequest:
		if e.RequestDigest == digestPending {
			b[key+directionRequestBody] = &streamedBody{head: e, at: at}
		}
	case directionResponse:
		if e.ResponseDigest == digestPending {
			b[key+directionResponseBody] = &streamedBody{head: e, at: at}
		}
		if up := b[key+directionRequestBody]; up != nil {
			up.refused = e.Outcome != "ok" || e.RequestDigest == digestPending && e.Status >= 400
		}
	}
	return false
}

// check checks the entry about a body: the second signature is genuine, by the signer of the head, over the head's
// signature and the digest the entry names.
func (b streamedBodies) check(e *Entry, trust Trust) (signer string, v Verdict, err error) {
	body := b[e.Role+e.RequestID+e.Direction]
	if body == nil {
		return "", Bad, errors.New("there is no entry that this one completes")
	}
	if e.Signature == "" {
		return "", NotProvided, errors.New("the body was not received whole: " + e.Outcome)
	}
	key, err := trust.Key(e.KeyID)
	if err != nil {
		return "", Bad, err
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signature)
	if err != nil || !verifyBytes(key.Public, algOfBase(e.Base), []byte(e.Base), sig, nil) {
		return key.ServerID, Bad, errors.New("the signature does not match")
	}
	digest := e.RequestDigest
	if e.Direction == directionResponseBody {
		digest = e.ResponseDigest
	}
	h := body.head
	lines := strings.Split(e.Base, "\n")
	switch {
	case e.KeyID != h.KeyID:
		return key.ServerID, Bad, errors.New("head and body are signed with different keys")
	case len(lines) != 3 || lines[0] != `"signature";key="x1": :`+h.Signature+":" || lines[1] != `"content-digest";tr: `+digest:
		return key.ServerID, Bad, errors.New("another body was signed")
	case e.Service != h.Service || e.Client != h.Client || e.Method != h.Method || e.Path != h.Path || e.Node != h.Node || e.Peer != h.Peer,
		e.Activity != h.Activity || e.Basis != h.Basis || e.Dossier != h.Dossier || e.ExchangeID != h.ExchangeID,
		e.Direction == directionResponseBody && e.Status != h.Status:
		return key.ServerID, Bad, errors.New("the entry says something else than the one it completes")
	}
	body.done = true
	return key.ServerID, Good, nil
}

// finish marks heads whose body nobody vouched for. A request that was refused needs no body.
func (b streamedBodies) finish(r *EvidenceReport) {
	for _, body := range b {
		if body.done || body.refused {
			continue
		}
		r.OK = false
		if er := &r.Entries[body.at]; er.Signature == Good {
			er.Signature, er.Reason = NotProvided, "the body was not confirmed"
		}
	}
}
