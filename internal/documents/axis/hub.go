package axis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"time"

	"truc/edxml"
	"truc/internal/blobs"
	"truc/internal/errs"
	"truc/internal/i18n"
)

// Codes of refusals, as VXP clients know them. All but System are final.
const (
	CodeRequest  = 10 // the request, or what it names
	CodeIdentity = 15 // system identifier or secret
	CodeReceiver = 18 // a receiver that does not exist
	CodeSender   = 19 // a sender that is not registered to the system
	CodeSystem   = 20
	CodeFile     = edxml.CodeFile     // 21
	CodeDocument = edxml.CodeDocument // 22
	CodeLocked   = 23                 // a receiver that is locked
)

// DefaultLease is how long a copy may be in processing, DefaultRetention how long payloads are kept: Decision
// 28/2018/QĐ-TTg sets no period.
const (
	DefaultLease     = 15 * time.Minute
	DefaultRetention = 5 * 365 * 24 * time.Hour
)

// Hub takes, keeps and hands out messages. Fields are set before use and not changed after.
type Hub struct {
	Store   Store
	Blobs   *blobs.Store
	Carrier Carrier // nil: no node can be reached
	Issuer  Issuer  // nil: no receipts are issued
	Audit   Audit
	Scanner Scanner // nil: attachments are not scanned
	// SealKey, 32 bytes, hides the secrets of systems in the database.
	SealKey []byte
	// Edxml holds the limits of messages; its Sink and Now are the hub's own.
	Edxml edxml.ReadOptions
	// Secrecy says which documents are state secrets; see DefaultSecrecy.
	Secrecy SecrecyRule
	// Due returns when the receiver of something sent at a time must have confirmed it; nil: at the end of the same day in
	// Viet Nam (Decree 30/2020/NĐ-CP Art. 21.2c), something urgent at once.
	Due func(sent time.Time, priority int) time.Time
	// Lease and Retention default to DefaultLease and DefaultRetention.
	Lease, Retention time.Duration
	Now              func() time.Time
	Log              *slog.Logger
}

func (h *Hub) now() time.Time { return h.Now().UTC().Truncate(time.Microsecond) }

func (h *Hub) lease() time.Duration {
	if h.Lease > 0 {
		return h.Lease
	}
	return DefaultLease
}

func (h *Hub) due(sent time.Time, priority int) time.Time {
	if h.Due != nil {
		return h.Due(sent, priority).UTC().Truncate(time.Microsecond)
	}
	if priority > 0 {
		return sent
	}
	y, m, d := sent.In(i18n.Zone).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, i18n.Zone).UTC()
}

// Refusal is a message or a request that the hub does not take, for good.
type Refusal struct {
	// Code is one of those that VXP clients know.
	Code int
	// Key and Args name a text of the catalogue; for a fault of the document itself Err is an *edxml.Error with a text of
	// its own.
	Key  string
	Args []any
	Err  error
}

func refuse(code int, key string, args ...any) *Refusal {
	return &Refusal{Code: code, Key: key, Args: args}
}

// Error implements error; the text is for logs.
func (r *Refusal) Error() string {
	if r.Err != nil {
		return r.Key + ": " + r.Err.Error()
	}
	return r.Key
}

// Unwrap returns the refusal in the words that other handlers of errors know.
func (r *Refusal) Unwrap() error {
	kind := errs.Invalid
	switch r.Code {
	case CodeIdentity:
		kind = errs.Unauthenticated
	case CodeReceiver:
		kind = errs.NotFound
	case CodeSender:
		kind = errs.Denied
	case CodeLocked:
		kind = errs.Conflict
	case CodeRequest:
		if r.Key == "axis.message_unknown" {
			kind = errs.NotFound
		}
	}
	return errs.E(kind, r.Key, r.Err, r.Args...)
}

// Text returns what to tell people.
func (r *Refusal) Text(c *i18n.Catalogue, lang string) string {
	if e, ok := errors.AsType[*edxml.Error](r.Err); ok {
		return e.Text(lang)
	}
	return c.T(lang, r.Key, r.Args...)
}

// refused turns a fault of a document into a refusal.
func refused(e *edxml.Error) *Refusal {
	return &Refusal{Code: e.Code, Key: "axis.document_refused", Args: []any{"fault", e.Text("vi")}, Err: e}
}

// newID returns a random UUID (RFC 9562 §5.4), which is what VXP clients have seen as docId.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Open opens the payload of a copy for the party of its receiver. The first time is a fact of its own.
func (h *Hub) Open(ctx context.Context, p Party, id string) (f io.ReadSeekCloser, c Copy, err error) {
	c, err = h.Store.Copy(ctx, id)
	if errs.Is(err, errs.NotFound) || err == nil && c.Party != p {
		return nil, Copy{}, refuse(CodeRequest, "axis.message_unknown")
	}
	if err != nil {
		return nil, Copy{}, err
	}
	if !c.Expired.IsZero() {
		return nil, Copy{}, refuse(CodeRequest, "axis.payload_expired")
	}
	f, _, err = h.Blobs.Open(c.Payload.SHA256)
	if err != nil {
		return nil, Copy{}, err // what is not expired is there: a fault of ours
	}
	if c.Opened.IsZero() {
		if err := h.opened(ctx, &c); err != nil {
			return nil, Copy{}, errors.Join(err, f.Close())
		}
	}
	return f, c, nil
}

// Opened records that somebody at the receiver's desk has opened a copy for the first time, and gives the receipt. A party
// whose systems fetch opens by fetching ([Hub.Open]). Doing it again changes nothing.
func (h *Hub) Opened(ctx context.Context, p Party, id string) error {
	c, err := h.Store.Copy(ctx, id)
	if errs.Is(err, errs.NotFound) || err == nil && c.Party != p {
		return refuse(CodeRequest, "axis.message_unknown")
	}
	if err != nil || !c.Opened.IsZero() {
		return err
	}
	return h.opened(ctx, &c)
}

func (h *Hub) opened(ctx context.Context, c *Copy) error {
	return h.Store.InTx(ctx, func(tx Tx) error {
		locked, err := tx.Copy(ctx, c.ID)
		if err != nil || !locked.Opened.IsZero() {
			return err
		}
		now := h.now()
		locked.Opened = now
		*c = locked
		if err := tx.PutCopy(ctx, locked); err != nil {
			return err
		}
		return h.record(ctx, tx, copyEntry(EvOpened, now, locked, ""))
	})
}
