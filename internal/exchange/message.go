package exchange

import (
	"io"
	"net/http"
	"time"

	"truc/internal/orgcode"
)

// MaxBody is the largest answer that is collected in memory for a caller that does not take a stream.
const MaxBody = 32 << 20

// Header names of the edge (X-Road message protocol for REST) and the link (spec §4.2).
const (
	HeaderClient    = "X-Road-Client"
	HeaderID        = "X-Road-Id"
	HeaderUserID    = "X-Road-UserId"
	HeaderIssue     = "X-Road-Issue"
	HeaderRequestID = "X-Road-Request-Id"
	HeaderService   = "X-Road-Service"
	HeaderHash      = "X-Road-Request-Hash"
	HeaderError     = "X-Road-Error"
	HeaderServer    = "X-Road-Security-Server"
	HeaderParty     = "X-Road-Represented-Party"
	HeaderPurpose   = "Truc-Purpose"
	HeaderDeadline  = "Truc-Deadline"
	HeaderGrant     = "Truc-Grant"
	HeaderLevel     = "Truc-Directory-Level"
	HeaderMode      = "Truc-Mode"
)

// MaxTimeout is the longest time a call may take, whatever deadline the program names.
const MaxTimeout = 10 * time.Minute

// ModeNative is the value of [HeaderMode] for a program that wants HTTP's own statuses (spec D6).
const ModeNative = "native"

// Call is one request to a service of the network.
type Call struct {
	// From is the subsystem that asks; this node must host it.
	From orgcode.Subsystem
	To   orgcode.Service
	// Method defaults to GET. Path is the canonical percent-encoded service path ("" or "/…"), Query the raw query.
	Method, Path, Query string
	// Header holds end-to-end headers such as Content-Type and Accept.
	Header http.Header
	Body   []byte
	// BodyReader, when set, is the body instead: it streams, Length bytes of it or, when Length is -1, until its end. It
	// may be read until the call has ended and a little longer. A call with one is repeated at another node only while
	// nothing has been read.
	BodyReader io.Reader
	Length     int64
	// Stream says that the caller takes an answer of any size: see [Answer.BodyReader].
	Stream bool
	// ID is the exchange id (X-Road-Id); made when empty. A retry keeps it.
	ID string
	// UserID is the person on whose behalf, such as "VN099204000123". Personal data.
	UserID string
	// Activity and Basis state the purpose, Dossier the case; personal services demand an activity with a basis or
	// a dossier.
	Activity, Basis, Dossier string
	// Party is the member on whose behalf the call is made (X-Road-Represented-Party), "[class/]code"; a delegated grant
	// must name it.
	Party string
	// Native is set for a program that asked for native statuses: to it, a service that it may not see does not exist.
	Native bool
	// Server, when set, is the node that must answer (X-Road-Security-Server).
	Server string
	// Timeout bounds the whole call; default 30 s, with BodyReader one hour. With Stream it bounds the time until the
	// answer begins.
	Timeout time.Duration
	// Deadline shortens Timeout; zero for none.
	Deadline time.Time
}

// Answer is what the provider answered, after its signature was verified and both sides have logged it. A status of
// 400 and above is the provider's own answer, not a failure of the exchange.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// BodyReader is set instead of Body when the call had Stream and the answer is large. It must be closed. Only its
	// io.EOF says that the body is the signed one; after any other error what was read must be thrown away.
	BodyReader io.ReadCloser
	// Length of the body, -1 when it is not known.
	Length     int64
	ExchangeID string
	RequestID  string
	// Hash is the provider's x-road-request-hash (spec §2.4, D4), for the edge.
	Hash string
}

// WireRequest is a request as it crosses the link. TargetURI is what was received, never re-encoded.
type WireRequest struct {
	Method    string
	TargetURI string
	Header    http.Header
	Body      []byte
	// Stream is set instead of Body when the header says so ([HeaderBody]).
	Stream *Stream
	// PeerKeyID is the id of the key that the sender's TLS certificate holds; the carrier fills it on arrival.
	PeerKeyID string
	// PeerUntil is when that certificate ends. The handshake has checked it, but a connection may stay open for longer.
	PeerUntil time.Time
}

// WireResponse is an answer or a refusal as it crosses the link.
type WireResponse struct {
	Status int
	Header http.Header
	Body   []byte
	// Stream is set instead of Body when the header says so ([HeaderBody]).
	Stream *Stream
	// Abort means that the channel must be reset instead: whoever sent or receives has half a message.
	Abort bool

	budget *Budget
	taken  int64
}

// Release gives back the memory of the body; call it when it was written.
func (r *WireResponse) Release() {
	r.budget.Release(r.taken)
	r.taken = 0
}

// Offering describes a service that this node offers.
type Offering struct {
	// Name and Description are shown in the catalogue, by language ("vi", "en").
	Name, Description map[string]string
	// Personal services give personal data: a call must state its purpose.
	Personal bool
	// OpenAPI is the description, JSON or YAML, served by getOpenAPI; empty for plain REST.
	OpenAPI []byte
	// Endpoints are listed by listMethods; one "*" "**" when empty.
	Endpoints []Endpoint
	// Fields says how a caller names the fields it asks for; empty when it cannot.
	Fields FieldNaming
	// Body says whether this node keeps the bodies of the service's messages; empty leaves it to the node's setting.
	Body BodyMode
	// Public services appear in the catalogue open to all.
	Public bool
	// Disabled services refuse every call with Notice, which is shown to callers and in listMethods.
	Disabled bool
	Notice   string
	// EndsAt is when the service stops to be there; zero for never.
	EndsAt time.Time
	// Timeout is how long the service may take to begin its answer; 0 leaves it to the caller.
	Timeout time.Duration
	// AsyncOnly services take messages of package delivery alone; a call that waits for its answer is refused (spec D34).
	AsyncOnly bool
	// Verify says when the service sees a large request: [VerifyStream] (default) or [VerifyBefore].
	Verify string
}

// Endpoint is a method and a path pattern (spec §3.2).
type Endpoint struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

// Offered is a service with its identifier.
type Offered struct {
	ID orgcode.Service
	Offering
}

// Message is a row of the rebuildable index: one side's view of one exchange. It holds no personal data.
type Message struct {
	// Seq orders the rows of the index.
	Seq        int64
	ExchangeID string
	RequestID  string
	// Role is this node's: "consumer" or "provider".
	Role            string
	Client, Service string
	Method          string
	// Path has long digit runs masked.
	Path   string
	Status int
	// Outcome is "ok" or the fault's type ("server.serverproxy.access_denied").
	Outcome  string
	At       time.Time
	Duration time.Duration
	// RequestIndex and ResponseIndex are positions in the log, -1 when there is no such entry.
	RequestIndex, ResponseIndex int64
	// RequestBodyIndex and ResponseBodyIndex are those of the entries about streamed bodies, -1 when there is none.
	RequestBodyIndex, ResponseBodyIndex int64
	RequestSize, ResponseSize           int64
	Activity, Dossier                   string
	// Grant is the hash of the grant. Delegator is the member on whose behalf the call was made, ServiceDelegator the one
	// for whom the provider runs the service.
	Grant, Delegator, ServiceDelegator string
	// Recorded is when the exchange was over and its row was made.
	Recorded time.Time
	// RequestOut and ResponseIn are when the request left for the peer (consumer) or the service (provider), and when
	// its answer was there; zero when it never came so far. At is the request's arrival, and At plus Duration when the
	// answer left: the four times of X-Road's operational records.
	RequestOut, ResponseIn time.Time
	// Peer is the other node's server id.
	Peer string
	// TraceID is the trace's id in hex.
	TraceID string
	// FaultID is the id of a fault, which the log line and the answer carry too.
	FaultID string
}

// When a service sees a streamed request (spec D21).
const (
	// VerifyStream passes the body on while it arrives; what turns out not to be the signed body ends in an error
	// instead of its end, and the service must take back what it began.
	VerifyStream = "stream"
	// VerifyBefore keeps the body in an encrypted file until it has been verified.
	VerifyBefore = "before_forward"
)

// Role values of a [Message] and an [Entry].
const (
	RoleConsumer = "consumer"
	RoleProvider = "provider"
)
