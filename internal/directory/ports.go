package directory

import (
	"context"
	"time"

	"truc/internal/i18n"
)

// Store keeps the center's registry.
type Store interface {
	// View returns the state as of now.
	View(ctx context.Context) (*State, error)
	// Change loads the state, lets f alter it and saves what differs, all in one transaction that excludes other
	// changes. The events f records are written to the outbox in the same transaction.
	Change(ctx context.Context, f func(*State) error) error
	// Envelope returns the newest signed document; NotFound before the first.
	Envelope(ctx context.Context) (envelope []byte, hash string, err error)
	// Newest returns the hash of the newest signed document without reading it; NotFound before the first.
	Newest(ctx context.Context) (hash string, err error)
	// Touch notes that a node was heard of.
	Touch(ctx context.Context, node string, at time.Time) error
}

// CenterAPI is what a node asks of the center: [Center] in process, directoryclient.Client from elsewhere.
type CenterAPI interface {
	// Document returns the newest envelope, or none when hash is still the newest, and the center's signed word
	// that it is. poll is the node's sign of life, see [NewPoll]; it may be empty.
	Document(ctx context.Context, hash, poll string) (envelope []byte, current Current, err error)
	// Join answers Denied for a wrong, stale or declined token, Conflict when it was used by other keys, and a reply that
	// is pending while an operator has to decide.
	Join(ctx context.Context, req Signed) (*Reply, error)
	Renew(ctx context.Context, req Signed) (*Reply, error)
	// ChangeKey announces a node's next signing key and returns the new document.
	ChangeKey(ctx context.Context, req Signed) (envelope []byte, err error)
	// Leave takes a node's wish to leave the network, and says how it stands.
	Leave(ctx context.Context, req Signed) (*Leave, error)
	// Publish replaces a node's services and returns the new document.
	Publish(ctx context.Context, req Signed) (envelope []byte, err error)
}

// Awaiter is a [CenterAPI] that can hold a request until there is news. A node does without where a center cannot.
type Awaiter interface {
	// Await is Document that answers when a version other than hash is signed, or after wait. waited is false when the
	// request was not held: the center does not know how, has no room, or does not know the node by its poll.
	Await(ctx context.Context, hash, poll string, wait time.Duration) (envelope []byte, current Current, waited bool, err error)
}

// State is the center's registry: everything the document is made from, and what only the center knows.
type State struct {
	Members  map[string]Member
	Nodes    map[string]NodeRecord
	Services map[string]Service
	Tokens   map[string]TokenRecord
	Revoked  map[string]Revocation
	// Subsystems are those with a name or a state of their own; nodes say which there are.
	Subsystems map[string]Subsystem
	Groups     map[string]Group
	// Requests are the joins that wait, or waited, for an operator, by token id.
	Requests map[string]PendingJoin
	// Leaves are the requests to leave, by node; those that were decided stay.
	Leaves map[string]Leave
	Policy Policy
	Head   Head
	// Events are recorded by a change; the store writes them to the outbox.
	Events []Event
}

// NodeRecord is a node with what the center keeps about it.
type NodeRecord struct {
	Node
	// CertificatePEM is the certificate in force, NotAfter its end.
	CertificatePEM string
	NotAfter       time.Time
	JoinedAt       time.Time
	// LastSeen is the last signed sign of life.
	LastSeen time.Time
	// PublishedAt is the CreatedAt of the last publication accepted, in microseconds.
	PublishedAt int64
	// TLSChangedAt is when the channel key changed last; a while later the old one is no longer accepted.
	TLSChangedAt time.Time
}

// TokenRecord is a join token without its secret: only the public half of the key is kept.
type TokenRecord struct {
	ID     string
	Member string
	Node   string
	// PublicKey is the base64 SPKI of the key whose seed the token holds.
	PublicKey string
	CreatedAt time.Time
	ExpiresAt time.Time
	// CreatedBy is the account that made it.
	CreatedBy string
	// Approval makes the join wait for an operator's decision.
	Approval bool
	// UsedAt and the key ids are set by the join: the same keys may ask again, others may not.
	UsedAt       time.Time
	TLSKeyID     string
	SigningKeyID string
}

// Revocation ends a key or, by its keys, a node.
type Revocation struct {
	KeyID  string
	Node   string
	Reason string
	At     time.Time
}

// Head is the newest document.
type Head struct {
	Version   int64
	Hash      string
	Envelope  []byte
	IssuedAt  int64
	ExpiresAt int64
}

// Event is told to the rest of the node: name "directory.node.joined", "directory.node.revoked",
// "directory.services.published", "directory.token.created", "directory.member.added", "directory.published",
// "directory.join.requested", "directory.join.approved", "directory.join.declined" and more like them.
type Event struct {
	Name   string `json:"-"`
	Actor  string `json:"actor"`
	Object string `json:"object"`
	// Version is that of the document that carries the change, 0 when none does.
	Version int64 `json:"version"`
	At      int64 `json:"at"`
}

// MemberInfo names a member for pages.
type MemberInfo struct {
	ID   string
	Name i18n.Text
}
