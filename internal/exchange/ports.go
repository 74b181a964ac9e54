package exchange

import (
	"context"
	"crypto"
	"slices"
	"time"

	"truc/internal/orgcode"
)

// Directory answers from this node's verified copy of the network's document.
type Directory interface {
	// Providers returns the nodes that serve a service, the best first. NotFound (exchange.member_unknown,
	// exchange.service_unknown) when there is none; Unavailable when the document has expired.
	Providers(service orgcode.Service) ([]Peer, error)
	// Hosts returns the nodes that speak for a subsystem; empty when there is none.
	Hosts(subsystem orgcode.Subsystem) []Peer
	// Key returns a signing key by its id, also one that has ended or was revoked. NotFound otherwise.
	Key(keyID string) (Key, error)
	// Members lists members and their subsystems.
	Members() []Member
	// State tells how far the copy may be trusted.
	State() DirectoryState
}

// Peer is a node of the network.
type Peer struct {
	// ServerID is "VN/GOV/G01/node1", Member "VN/GOV/G01".
	ServerID, Member string
	// URL is its link, "https://host:port".
	URL string
	// TLSKeyID is the id of its channel key, Certificate the hex SHA-256 of its certificate.
	TLSKeyID, Certificate string
	// OldTLSKeyIDs are channel keys it may still show while a change of key spreads.
	OldTLSKeyIDs []string
	// Lacks is what the network demands of every node and this one cannot do; it is asked nothing and let in nowhere.
	Lacks []string
	// Maintenance is a notice; a peer in maintenance is asked only when there is no other.
	Maintenance string
}

// AcceptsTLS reports whether a channel key is the peer's.
func (p Peer) AcceptsTLS(keyID string) bool {
	return keyID != "" && (p.TLSKeyID == keyID || slices.Contains(p.OldTLSKeyIDs, keyID))
}

// Key is a signing key of a node.
type Key struct {
	ID string
	// Public is an Ed25519 or a P-256 key.
	Public   crypto.PublicKey
	ServerID string
	// NotBefore and NotAfter bound its use; zero means unbounded.
	NotBefore, NotAfter time.Time
	Revoked             bool
}

// Member is an organisation with its subsystems.
type Member struct {
	// ID is "VN/GOV/H36".
	ID string
	// Name by language.
	Name map[string]string
	// Subsystems are full ids, "VN/GOV/H36/onestop".
	Subsystems []string
}

// DirectoryState is the age of the directory document.
type DirectoryState struct {
	// Level is fresh, stale, degraded or expired (spec D29).
	Level   string
	Version int64
	// Lacks is what the network demands and this node has not told the directory that it can do.
	Lacks []string
	// Envelope is the signed document in force, for evidence packages.
	Envelope []byte
}

// Carrier brings a request to a peer and its answer back. It checks that the peer's TLS key is the one named in
// Peer, and limits the answer to [MaxBody]. Its errors mean that no answer was received: Unavailable.
type Carrier interface {
	Carry(ctx context.Context, peer Peer, req *WireRequest) (*WireResponse, error)
}

// SharingCarrier is a [Carrier] that knows of peers whether they understand shared signatures (ADR 0014).
type SharingCarrier interface {
	Carrier
	// Prepare opens the way to a peer, if it is not open, and reports whether the peer understands shared signatures. An
	// error means that the peer cannot be reached and that nothing was sent.
	Prepare(ctx context.Context, peer Peer) (shares bool, err error)
}

// Log is the append-only log of this node; [translog.Log] answers.
type Log interface {
	// Append adds entries and returns the index of the first when all are on the disk. After an error nothing may
	// go on.
	Append(ctx context.Context, entries ...[]byte) (int64, error)
	// AppendNoWait hands entries to the kernel and returns a function that waits for the disk. It keeps nothing of them.
	AppendNoWait(entries ...[]byte) (first int64, wait func(context.Context) error, err error)
	// Receipt returns a proof that entry i is in the log, which checks offline.
	Receipt(i int64) ([]byte, error)
	// ReceiptIn returns a proof that entry i is in the tree of an earlier checkpoint of the log.
	ReceiptIn(i, size int64, checkpoint []byte) ([]byte, error)
	// Entry returns entry i.
	Entry(i int64) ([]byte, error)
	// Size is the number of entries.
	Size() int64
	// VerifierKey is the log's public key in text form.
	VerifierKey() string
	// Pruned is the signed statement of which entries were removed, nil when none were.
	Pruned() []byte
}

// Store is the rebuildable index of messages.
type Store interface {
	// Record adds rows of exchanges that are over. The caller knows that they are not there.
	Record(ctx context.Context, ms []Message) error
	// Restore adds rows that may be there, whole or in part: a row is completed, never emptied, and never there twice.
	Restore(ctx context.Context, ms []Message) error
	// Recent returns rows, newest first.
	Recent(ctx context.Context, f Filter) ([]Message, error)
	// ByExchange returns the rows of an exchange id, oldest first.
	ByExchange(ctx context.Context, exchangeID string) ([]Message, error)
	// Stats counts rows since a time, by role, service and outcome.
	Stats(ctx context.Context, since time.Time) ([]Count, error)
	// Indexed returns one more than the highest log index any row names.
	Indexed(ctx context.Context) (int64, error)
	// Records passes on the rows that were recorded in a span of time, in that order, until f fails.
	Records(ctx context.Context, q RecordSpan, f func(Message) error) error
	// RecordAt returns when the row after n others of a span was recorded; ok is false when there are no more than n.
	RecordAt(ctx context.Context, q RecordSpan, n int) (at time.Time, ok bool, err error)
	// Hourly counts messages by hour and role since a time.
	Hourly(ctx context.Context, since time.Time) ([]HourCount, error)
	// Partners sums messages by peer since a time.
	Partners(ctx context.Context, since time.Time) ([]PartnerCount, error)
	// RequestIDs returns the request ids that the provider role accepted since a time.
	RequestIDs(ctx context.Context, since time.Time) ([]string, error)
	// CallsSince counts the requests that the provider role let in since a time, by consumer and service.
	CallsSince(ctx context.Context, since time.Time) ([]Calls, error)
}

// Calls is a number of calls of one consumer to one service.
type Calls struct {
	Client, Service string
	N               int64
}

// Filter narrows [Store.Recent]; zero fields do not narrow.
type Filter struct {
	Role, Client, Service string
	// Faults keeps only rows whose outcome is not "ok"; Outcome only those of one outcome.
	Faults  bool
	Outcome string
	// Peer is the other node, FaultID the id of a fault.
	Peer, FaultID string
	// Since keeps rows that arrived since then.
	Since time.Time
	// Before keeps rows with a smaller Seq, for paging.
	Before int64
	Limit  int
}

// Count is a number of messages alike.
type Count struct {
	Role, Service, Outcome string
	N                      int64
}

// KeyStore keeps the client records of programs at the edge, their secrets hashed.
type KeyStore interface {
	// AddKey keeps a key; Conflict when the hash exists.
	AddKey(ctx context.Context, k APIKey) error
	// KeyByHash returns a key that has not been revoked; NotFound otherwise.
	KeyByHash(ctx context.Context, hash string) (APIKey, error)
	Keys(ctx context.Context) ([]APIKey, error)
	RevokeKey(ctx context.Context, id string, at time.Time) error
}

// APIKey is a client record: it lets a program call as one subsystem.
type APIKey struct {
	ID string
	// Kind is how the program proves who it is: [ClientKey], [ClientMTLS] or [ClientBound].
	Kind string
	// Hash is what the record is found by: the hex SHA-256 of a secret of 256 random bits, so that no slow hash is needed
	// ([HashKey]), or [PinHash] of a TLS key.
	Hash string
	// Thumbprint names the key that a bound token is worth nothing without (RFC 7638); empty for other kinds.
	Thumbprint string
	Subsystem  string
	Label      string
	// ErrorCodes is the form of error codes this client gets, [CodesSnake] or [CodesLegacy]; empty for the listener's.
	ErrorCodes string
	CreatedAt  time.Time
	CreatedBy  string
	RevokedAt  time.Time
}

// RecordSpan narrows [Store.Records]: recorded at From or later and before To. A Client keeps only the rows in which it
// is the client or owns the service.
type RecordSpan struct {
	From, To time.Time
	Client   string
}

// HourCount is the traffic of one hour in one role.
type HourCount struct {
	// Hour is its beginning.
	Hour          time.Time
	Role          string
	Total, Faults int64
}

// PartnerCount is the traffic with one node.
type PartnerCount struct {
	Peer          string
	Total, Faults int64
	// LastOK and LastFault are when the last arrived; zero for none.
	LastOK, LastFault time.Time
	// Mean is the mean duration of those that went well.
	Mean time.Duration
}
