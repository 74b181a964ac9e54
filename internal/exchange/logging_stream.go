package exchange

import (
	"context"
	"encoding/base64"
	"log/slog"
)

// Directions of the entries that complete one whose digest was pending.
const (
	directionRequestBody  = "request-body"
	directionResponseBody = "response-body"
)

// bodyEntry is what is logged when a streamed body has ended.
type bodyEntry struct {
	direction, outcome, digest string
	size                       int64
	status                     int
	sig                        signed // empty for a body that did not end well
	kept                       string // see [Entry.Kept]
}

// logBody appends the entry that completes an exchange's request or answer; head is the request entry of this role.
func (s *Service) logBody(ctx context.Context, head Entry, b bodyEntry, wait bool) (int64, error) {
	salt, err := newSalt()
	if err != nil {
		return -1, err
	}
	e := head
	e.Salt, e.Direction, e.Outcome, e.At = base64.StdEncoding.EncodeToString(salt), b.direction, b.outcome, micros(s.now())
	e.User, e.Base, e.Signature, e.KeyID, e.Created, e.Size, e.Status = "", b.sig.base, "", b.sig.keyID, 0, b.size, b.status
	if len(b.sig.sig) > 0 {
		e.Signature, e.Created = base64.StdEncoding.EncodeToString(b.sig.sig), b.sig.created.Unix()
	}
	e.Kept = b.kept
	if b.direction == directionRequestBody {
		e.RequestDigest = b.digest
	} else {
		e.ResponseDigest = b.digest
	}
	e.Directory = s.opt.Directory.State().Version
	x := exchangeState{s: s}
	return x.append(ctx, &e, wait)
}

// logCut notes a body that did not end well. There is nothing left to hold back, so a fault of the log only goes to the
// operator; the index is -1 then.
func (x *exchangeState) logCut(ctx context.Context, direction, outcome string, size int64) int64 {
	i, err := x.s.logBody(context.WithoutCancel(ctx), x.entry, bodyEntry{direction: direction, outcome: outcome, digest: digestPending, size: size}, false)
	if err != nil {
		x.s.opt.Logger.ErrorContext(ctx, "exchange log cannot be written", slog.String("error", err.Error()))
		return -1
	}
	return i
}
