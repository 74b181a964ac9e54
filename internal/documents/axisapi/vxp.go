package axisapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"truc/internal/blobs"
	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
)

// DefaultPrefix is where the protocol stands.
const DefaultPrefix = "/vxp"

// DefaultMaxMessage bounds a document with everything attached.
const DefaultMaxMessage = 512 << 20

// API answers VXP clients and those of the REST binding below Prefix. It stands outside the chain of pages: no session, no cross-origin check,
// no limit of a page's body and no error page may answer for it.
type API struct {
	Hub   *axis.Hub
	Blobs *blobs.Store
	Texts *i18n.Catalogue
	// Prefix is where both bindings stand, without a slash at its end: the protocol at {Prefix}/{call}, REST at {Prefix}/v1. Default
	// [DefaultPrefix].
	Prefix string
	// MaxMessage is in bytes; default [DefaultMaxMessage].
	MaxMessage int64
	// Plain also takes requests that did not come by TLS: in development, and behind a proxy that ends TLS. A secret or a
	// document would otherwise cross the network in the clear.
	Plain bool
	// Proxies are networks whose X-Forwarded-For names the client, for systems that may come from some addresses only.
	Proxies []netip.Prefix
	// Limits are of each system; the zero value is the default.
	Limits Limits
	Now    func() time.Time
	Log    *slog.Logger

	gate  gate // of systems
	wrong gate // of addresses that showed a wrong secret
	once  keys
}

// call is an endpoint of the protocol.
type call struct {
	method string
	// body is the most that is read of a body; what is longer is refused. sendEdoc has its own limit.
	body   int64
	handle func(*API, http.ResponseWriter, *http.Request, *request)
}

// calls are the endpoints by name.
var calls = map[string]call{
	"getAgenciesList":     {http.MethodPost, smallBody, (*API).agencies},
	"getAgenciesListQD20": {http.MethodPost, smallBody, (*API).agenciesQD20},
	"getSynchronizeUnit":  {http.MethodPost, smallBody, (*API).units},
	"registerAgency":      {http.MethodPost, smallBody, (*API).registerAgency},
	"deleteAgency":        {http.MethodPost, smallBody, (*API).deleteAgency},
	callSend:              {http.MethodPost, 0, (*API).sendEdoc},
	"getReceivedEdocList": {http.MethodPost, smallBody, (*API).received},
	"getSentEdocList":     {http.MethodPost, smallBody, (*API).sent},
	"getEdoc":             {http.MethodPost, smallBody, (*API).getEdoc},
	callDownload:          {http.MethodGet, smallBody, (*API).downloadEdoc},
	"updateStatus":        {http.MethodPost, smallBody, (*API).updateStatus},
	"countReceiveEdoc":    {http.MethodPost, smallBody, (*API).countEdoc},
	"countReceiveStatus":  {http.MethodPost, smallBody, (*API).countStatus},
}

const (
	callSend     = "sendEdoc"
	callDownload = "downloadEdoc"
	smallBody    = 64 << 10
	// drained is how much of a body that nobody wants is read all the same, so that the client hears why: a server that closes while the
	// client still sends is a broken connection to it, and it sends again.
	drained = 64 << 20
	// idle is how long a client may be silent in the middle of a body.
	idle = 60 * time.Second
)

// request is an authenticated request.
type request struct {
	call   string
	system axis.System // without its secrets
	params parameters
	now    time.Time
	body   []byte // of all calls but sendEdoc
}

func (q *request) party() axis.Party { return axis.VXP(q.system.ID) }

// Wrap answers what is below the prefix and hands the rest to next.
func (a *API) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.claims(r.URL.Path) {
			a.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *API) prefix() string {
	if a.Prefix == "" {
		return DefaultPrefix
	}
	return a.Prefix
}

func (a *API) maxMessage() int64 {
	if a.MaxMessage <= 0 {
		return DefaultMaxMessage
	}
	return a.MaxMessage
}

func (a *API) claims(p string) bool {
	rest, ok := strings.CutPrefix(p, a.prefix())
	return ok && (rest == "" || rest[0] == '/')
}

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.ClientAddress(a.Proxies)(http.HandlerFunc(a.answer)).ServeHTTP(w, r)
}

func (a *API) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	rest := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, a.prefix()), "/")
	if v1, ok := strings.CutPrefix(rest, "v1/"); ok || rest == "v1" {
		a.serveV1(w, r, v1) //nolint:contextcheck // the deferred function has the request's context
		return
	}
	seen := &written{ResponseWriter: w, ctl: http.NewResponseController(w)}
	defer func() { //nolint:contextcheck // it has the request's context
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint,err113 // net/http compares it so as well
				panic(p)
			}
			a.Log.ErrorContext(r.Context(), "a call of the axis panicked", slog.String("call", printable(rest)), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			if seen.started {
				panic(http.ErrAbortHandler)
			}
			a.fail(seen, r, rest, refusal(codeSystem, "axis.vxp.system"))
		}
	}()
	a.serve(seen, r, rest)
}

// written knows whether an answer has begun.
type written struct {
	http.ResponseWriter
	started bool
	ctl     *http.ResponseController
}

func (w *written) WriteHeader(status int) {
	w.started = true
	w.patience()
	w.ResponseWriter.WriteHeader(status)
}

func (w *written) Write(p []byte) (int, error) {
	w.started = true
	w.patience()
	return w.ResponseWriter.Write(p)
}

// patience lets a slow client take what it is sent, as long as it takes some.
func (w *written) patience() {
	_ = w.ctl.SetWriteDeadline(time.Now().Add(idle)) //nolint:forbidigo // deadlines of sockets are of the machine's clock
}

// Unwrap gives [http.ResponseController] the writer below.
func (w *written) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (a *API) serve(w http.ResponseWriter, r *http.Request, name string) {
	body := patient(w, r)
	r.Body = body
	c, known := calls[name]
	if !known {
		a.fail(w, r, name, refusal(codeSystem, "axis.vxp.unknown_call"))
		return
	}
	q, err := a.authenticate(r)
	if err != nil {
		a.fail(w, r, name, err)
		return
	}
	q.call = name
	if r.Method != c.method {
		a.fail(w, r, name, refusal(codeRequest, "axis.vxp.method", "method", c.method))
		return
	}
	leave, ok := a.gate.enter(q.system.ID, q.now, a.Limits)
	if !ok {
		a.fail(w, r, name, refusal(codeSystem, "axis.vxp.busy"))
		return
	}
	defer leave()
	if c.body > 0 {
		if q.body, err = io.ReadAll(io.LimitReader(body, c.body+1)); err != nil {
			a.fail(w, r, name, err)
			return
		}
		if int64(len(q.body)) > c.body {
			a.fail(w, r, name, refusal(codeRequest, "axis.vxp.body_too_large"))
			return
		}
	}
	c.handle(a, w, r, q)
}

// patientBody gives a slow client time as long as something comes.
type patientBody struct {
	io.ReadCloser
	ctl *http.ResponseController
}

// Read implements [io.Reader]. Behind the end of the body there is no deadline: it would end the request while its answer is sent.
func (b patientBody) Read(p []byte) (int, error) {
	_ = b.ctl.SetReadDeadline(time.Now().Add(idle)) //nolint:forbidigo // deadlines of sockets are of the machine's clock
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.ctl.SetReadDeadline(time.Time{})
	}
	return n, err
}

func patient(w http.ResponseWriter, r *http.Request) io.ReadCloser {
	ctl := http.NewResponseController(w)
	_ = ctl.SetReadDeadline(time.Time{}) // a server's own limit is for pages
	return patientBody{r.Body, ctl}
}

// fail answers with a refusal. downloadEdoc is answered with a status and nothing else: a client stores whatever bytes come as the document.
func (a *API) fail(w http.ResponseWriter, r *http.Request, name string, err error) {
	code, text := a.explain(r.Context(), name, err)
	_, _ = io.CopyN(io.Discard, r.Body, drained)
	if name == callDownload {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(downloadStatus(code))
		return
	}
	writeReply(w, refuse(a.Now(), code, text))
}

func downloadStatus(code int) int {
	switch code {
	case codeAccess:
		return http.StatusUnauthorized
	case codeSystem:
		return http.StatusServiceUnavailable
	default:
		return http.StatusNotFound
	}
}

// refusal makes a refusal with a text of the catalogue.
func refusal(code int, key string, args ...any) error {
	return &axis.Refusal{Code: code, Key: key, Args: args}
}

// explain returns the number and the sentence of an error. Refusals by a rule tell why; of a fault of ours only the log knows more.
func (a *API) explain(ctx context.Context, name string, err error) (int, string) {
	if r, ok := errors.AsType[*axis.Refusal](err); ok {
		return r.Code, r.Text(a.Texts, "vi")
	}
	switch errs.KindOf(err) {
	case errs.Invalid, errs.NotFound, errs.Conflict, errs.Denied:
		key, args := errs.KeyOf(err)
		return codeRequest, a.Texts.T("vi", key, args...)
	case errs.TooLarge:
		key, args := errs.KeyOf(err)
		return codeFile, a.Texts.T("vi", key, args...)
	default:
		if ctx.Err() == nil {
			a.Log.ErrorContext(ctx, "a call of the axis failed", slog.String("call", printable(name)), slog.Any("error", err))
		}
		return codeSystem, a.Texts.T("vi", "axis.vxp.system")
	}
}

// authenticate checks who asks. Outside there is one text for every cause; the log has the cause.
func (a *API) authenticate(r *http.Request) (*request, error) {
	id, ok := only(r.Header, headSystem)
	id = strings.TrimSpace(id)
	if !ok || id == "" || len(id) > 64 {
		return nil, a.denied(r, "", errNoSystem)
	}
	system, err := a.system(r.Context(), id)
	if err != nil {
		return nil, err
	}
	params, err := checkAny(r.Header, system.Secrets)
	switch {
	case system.ID == "":
		return nil, a.denied(r, id, errUnknown)
	case err != nil:
		return nil, a.denied(r, id, err)
	case params.get("systemid") != system.ID:
		return nil, a.denied(r, id, errHeaderValue)
	}
	q := &request{system: system.System, params: params, now: a.Now()}
	stamp, err := parseStamp(params.get("timestamp"))
	if err != nil {
		return nil, a.denied(r, id, err)
	}
	if off := q.now.Sub(stamp).Abs(); off > system.Window && !system.Unlimited {
		return nil, a.denied(r, id, errOutsideHours)
	}
	if err := a.mayCome(r, system.System); err != nil {
		return nil, a.denied(r, id, err)
	}
	return q, nil
}

// checkAny checks a signature with the secrets of a system, which has two while it changes over.
func checkAny(h http.Header, secrets []string) (p parameters, err error) {
	for _, s := range secrets {
		if p, err = checkSignature(h, []byte(s)); !errors.Is(err, errMAC) {
			return p, err
		}
	}
	return nil, errMAC
}

// mayCome checks how and from where a request came.
func (a *API) mayCome(r *http.Request, s axis.System) error {
	if !byTLS(r) && !a.Plain {
		return errPlain
	}
	if len(s.Addresses) == 0 {
		return nil
	}
	from := web.ClientIP(r)
	if !from.IsValid() || !slices.ContainsFunc(s.Addresses, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return errAddress
	}
	return nil
}

// system returns a system with its secrets. For a name that nobody has it returns one without an id whose secret nobody knows, so that the
// same work is done.
func (a *API) system(ctx context.Context, id string) (axis.Credentials, error) {
	s, err := a.Hub.System(ctx, id)
	if errs.Is(err, errs.NotFound) || err == nil && len(s.Secrets) == 0 {
		return axis.Credentials{Secrets: []string{rand.Text()}}, nil
	}
	return s, err
}

var (
	errPlain   = errors.New("the request did not come by TLS")
	errAddress = errors.New("the address is not one of the system's")
)

func (a *API) denied(r *http.Request, id string, cause error) error {
	a.Log.WarnContext(r.Context(), "a request to the axis was refused", slog.String("system", printable(id)), slog.String("cause", cause.Error()), slog.String("address", web.AddressKey(r)))
	return refusal(codeAccess, "axis.vxp.access")
}

// printable keeps what a stranger wrote short and harmless in a log.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s[:min(len(s), 64)])
}

// decodeBody reads a small JSON body. One null field is taken as absent.
func decodeBody(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return refusal(codeRequest, "axis.vxp.json")
	}
	return nil
}
