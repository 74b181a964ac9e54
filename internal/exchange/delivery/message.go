package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"truc/internal/exchange"
	"truc/internal/orgcode"
	"truc/internal/outbox"
)

// Header names of messages on the link and at the edge.
const (
	// HeaderMessage marks a request as a message, and an acknowledgement that the message was taken but not yet answered.
	HeaderMessage = exchange.HeaderMessage
	// HeaderDuplicate is "true" on the repeated first result.
	HeaderDuplicate = "Truc-Duplicate"
	// HeaderOrderKey orders messages at the edge.
	HeaderOrderKey = "Truc-Order-Key"
	// HeaderExpires bounds the life of a message at the edge, RFC 3339.
	HeaderExpires = "Truc-Expires"
	// HeaderLease names a leased message of an inbox.
	HeaderLease = "Truc-Lease"
)

// Limits.
const (
	// MaxBody bounds a message, which lies in the database until it has come to its end.
	MaxBody = exchange.MaxBody
	// DefaultLife is how long a message may be on its way.
	DefaultLife = 7 * 24 * time.Hour
	// Keep is how long results are kept, on both sides; a repeat is harmless for so long (spec D34).
	Keep = 30 * 24 * time.Hour
	// maxID bounds an X-Road-Id, as the link does; maxKey an order key.
	maxID, maxKey = 256, 128
)

// State of a message.
type State string

// The states (spec §4.10).
const (
	Queued    State = "queued"
	Sent      State = "sent"
	Accepted  State = "accepted"
	Delivered State = "delivered"
	Answered  State = "answered"
	Expired   State = "expired"
	Dead      State = "dead"
	Dropped   State = "dropped"
)

// Final reports whether nothing more happens by itself.
func (s State) Final() bool {
	return s == Delivered || s == Answered || s == Expired || s == Dead || s == Dropped
}

// Tx is the caller's transaction.
type Tx = outbox.Querier

// Message is what a subsystem of this node sends.
type Message struct {
	// ID is the X-Road-Id: the same one twice from the same subsystem is the same message. Made when empty.
	ID   string
	From orgcode.Subsystem
	To   orgcode.Service
	// Method defaults to POST. Path is the canonical service path, Query the raw query.
	Method, Path, Query string
	ContentType         string
	Body                []byte
	// OrderKey orders messages of one sender to one service; Skip lets those behind go on when this one is dead.
	OrderKey string
	Skip     bool
	// Expires is when it is no longer worth sending; default seven days from now.
	Expires time.Time
	// UserID is the person on whose behalf (personal data), Activity, Basis and Dossier the purpose.
	UserID, Activity, Basis, Dossier string
	// Kind names the function that hears of the outcome ([Service.OnOutcome]); Ref is for that function.
	Kind, Ref string
}

// Outgoing is a message with what became of it.
type Outgoing struct {
	Seq int64
	Message
	Digest   string
	Size     int64
	State    State
	Attempts int
	Created  time.Time
	SentAt   time.Time // of the last attempt
	Taken    time.Time // accepted by the peer's node
	Done     time.Time
	// Status, AnswerType and Answer are the service's; Error says in the words of programs why it is not done yet.
	Status     int
	AnswerType string
	Answer     []byte
	Error      string
}

// Incoming is a message that was received.
type Incoming struct {
	Seq                                  int64
	Sender, ID, Service                  string
	Method, Path, Query                  string
	ContentType                          string
	Purpose, Dossier, UserID             string
	Body                                 []byte
	Digest, OrderKey                     string
	Mode                                 string // "inline", "push" or "pull"
	State                                State
	Received, Expires, Done, LeasedUntil time.Time
	Lease                                string
	Attempts                             int
	// Status of a dead one is what the webhook answered.
	Answer Answer
	Error  string
}

// Answer is what a service says to a message.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}

// OutcomeFunc hears of an outcome in the transaction that records it; what it writes there happens exactly once. An error
// undoes both, and the attempt is repeated.
type OutcomeFunc func(ctx context.Context, tx Tx, o Outgoing) error

// digest names what a message says, so that an id used for two different messages is found out.
func digest(service, method, path, query, contentType string, body []byte) string {
	h := sha256.New()
	for _, s := range []string{service, method, path, query, contentType} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s + "\n"))
	}
	sum := sha256.Sum256(body)
	h.Write(sum[:])
	return hex.EncodeToString(h.Sum(nil))
}

// mark is the content of the Truc-Message header: what is wanted and, of a message, its order and end.
type mark struct {
	verb    string // "deliver" or "status"
	id      string // of the message asked about
	order   string
	expires time.Time
}

// String writes "deliver;order=k;expires=1790000000000".
func (m mark) String() string {
	var b strings.Builder
	b.WriteString(m.verb)
	for _, p := range [][2]string{{"id", m.id}, {"order", m.order}} {
		if p[1] != "" {
			b.WriteString(";" + p[0] + "=" + url.QueryEscape(p[1]))
		}
	}
	if !m.expires.IsZero() {
		b.WriteString(";expires=" + strconv.FormatInt(m.expires.UnixMilli(), 10))
	}
	return b.String()
}

var errMark = errors.New("the header " + HeaderMessage + " cannot be read")

// parseMark reads a Truc-Message header. Unknown parameters are refused: a sender that means something by them must not
// be half understood.
func parseMark(s string) (m mark, err error) {
	if len(s) > 2048 {
		return m, errMark
	}
	parts := strings.Split(s, ";")
	m.verb = parts[0]
	if m.verb != "deliver" && m.verb != "status" {
		return m, errMark
	}
	seen := map[string]bool{}
	for _, p := range parts[1:] {
		name, raw, ok := strings.Cut(p, "=")
		if !ok || seen[name] {
			return m, errMark
		}
		seen[name] = true
		v, err := url.QueryUnescape(raw)
		if err != nil || v == "" || !clean(v) {
			return m, errMark
		}
		switch {
		case name == "id" && m.verb == "status" && len(v) <= maxID:
			m.id = v
		case name == "order" && m.verb == "deliver" && len(v) <= maxKey:
			m.order = v
		case name == "expires" && m.verb == "deliver":
			ms, err := strconv.ParseInt(v, 10, 64)
			if err != nil || ms <= 0 || ms > 1<<50 {
				return m, errMark
			}
			m.expires = time.UnixMilli(ms).UTC()
		default:
			return m, errMark
		}
	}
	if m.verb == "status" && m.id == "" {
		return m, errMark
	}
	return m, nil
}

// clean reports whether a text fits into a header field and a database: valid UTF-8 without control characters.
func clean(s string) bool {
	return strings.ToValidUTF8(s, "") == s && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\ufffd' })
}

// verdict sorts the status of an answer.
func verdict(status int) (answered, again bool) {
	switch {
	case status >= 200 && status < 400:
		return true, false
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return false, true
	default:
		return false, false
	}
}
