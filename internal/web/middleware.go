package web

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
)

// Middleware wraps a handler.
type Middleware = func(http.Handler) http.Handler

// Chain wraps h so that the first middleware is the outermost.
func Chain(h http.Handler, mw ...func(http.Handler) http.Handler) http.Handler {
	for _, m := range slices.Backward(mw) {
		h = m(h)
	}
	return h
}

// SessionFunc finds out who asks. Somebody whose session ended is nobody, without an error; an error means that the
// question could not be answered.
type SessionFunc func(*http.Request) (reqctx.Principal, error)

// PublicOptions configures the chain of a listener that browsers reach. Zero values are safe.
type PublicOptions struct {
	Log *slog.Logger
	// Now is the clock of the access log and the rate limiter.
	Now func() time.Time
	// Session finds out who asks. Without it everybody is anonymous.
	Session SessionFunc
	// FormAction names origins outside this site that a form may end up at by redirect: the payment gateway and the
	// sign-in provider. Chromium applies form-action to the redirects that follow a POST, not only to its address.
	FormAction []string
	// CrossOriginBypass are ServeMux patterns of server-to-server endpoints without cookies, such as the notices
	// of a payment gateway. They must authenticate each request by themselves.
	CrossOriginBypass []string
	// TrustedOrigins are origins that may POST here across sites; think twice.
	TrustedOrigins []string
	// HTTPS says that people reach the site by https: cookies become Secure and HSTS is sent.
	HTTPS bool
	// TrustedProxies may name the client in X-Forwarded-For. Empty: the peer is the client.
	TrustedProxies []netip.Prefix
	// MaxBody bounds every request body. Default 64 MiB; forms set tighter limits themselves.
	MaxBody int64
	// Limiter slows down a client by address. Nil: no limit.
	Limiter *Limiter
}

// Public wraps m in the chain of a listener that browsers reach; see the package comment for its order.
func Public(m *Mux, opt PublicOptions) http.Handler {
	mw := []Middleware{
		RequestID(),
		ClientAddress(opt.TrustedProxies),
		AccessLog(opt.Log, opt.Now),
		SecurityHeaders(opt.FormAction, opt.HTTPS),
		Recover(m.Fail),
		LimitBody(opt.MaxBody),
	}
	if opt.Limiter != nil {
		mw = append(mw, opt.Limiter.Middleware(m.Fail))
	}
	mw = append(mw,
		Language(opt.HTTPS), // before the checks below, so that their refusals speak the person's language
		CrossOrigin(m.Fail, opt.TrustedOrigins, opt.CrossOriginBypass),
		Session(m.Fail, opt.Session),
	)
	return Chain(m, mw...)
}

// RequestID gives each request a fresh id, in the context and in X-Request-Id. An id that the client sent is
// ignored: it would end up in logs and on error pages.
func RequestID() Middleware {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := newID()
			w.Header().Set("X-Request-Id", id)
			h.ServeHTTP(w, r.WithContext(reqctx.WithRequestID(r.Context(), id)))
		})
	}
}

// newID returns 16 letters and digits that can be read out over the telephone, in four groups: 80 random bits.
func newID() string {
	var b [10]byte
	rand.Read(b[:]) // never fails since Go 1.24
	s := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").EncodeToString(b[:])
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
}

// ClientAddress replaces the peer's address by the one a trusted proxy names: the last address of X-Forwarded-For
// that is not a trusted proxy itself.
func ClientAddress(trusted []netip.Prefix) Middleware {
	return func(h http.Handler) http.Handler {
		if len(trusted) == 0 {
			return h
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && contains(trusted, ap.Addr()) {
				hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
				for _, hop := range slices.Backward(hops) {
					a, err := netip.ParseAddr(strings.TrimSpace(hop))
					if err != nil {
						break
					}
					r.RemoteAddr = netip.AddrPortFrom(a, 0).String()
					if !contains(trusted, a) {
						break
					}
				}
			}
			h.ServeHTTP(w, r)
		})
	}
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	for _, p := range ps {
		if p.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// ClientIP returns the address of the client, or the zero Addr.
func ClientIP(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// Recover answers a panic outside of the handlers of [Mux], which recover by themselves, with 500.
func Recover(fail func(http.ResponseWriter, *http.Request, error)) Middleware {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer recovered(r, func(err error) { fail(w, r, err) })
			h.ServeHTTP(w, r)
		})
	}
}

// LimitBody bounds the body of every request (0: 64 MiB).
func LimitBody(limit int64) Middleware {
	if limit <= 0 {
		limit = 64 << 20
	}
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, limit)
			h.ServeHTTP(w, r)
		})
	}
}

// Session asks hook who sends the request. Assets are the same for everybody and are not asked about.
func Session(fail func(http.ResponseWriter, *http.Request, error), hook SessionFunc) Middleware {
	return func(h http.Handler) http.Handler {
		if hook == nil {
			return h
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/assets/") {
				h.ServeHTTP(w, r)
				return
			}
			p, err := hook(r)
			if err != nil {
				fail(w, r, fmt.Errorf("session: %w", err))
				return
			}
			h.ServeHTTP(w, r.WithContext(reqctx.WithPrincipal(r.Context(), p)))
		})
	}
}

// LangCookie names the cookie that remembers the language.
const LangCookie = "lang"

// Language puts the language of the answer into the context: the cookie, or Vietnamese. ?lang=en sets the cookie and
// leads to the same address without it. A program, which shows a key, is answered in what its Accept-Language asks for; of a browser
// that field says where it was installed, not what its user reads.
func Language(secure bool) Middleware {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			lang := i18n.Langs[0]
			if c, err := r.Cookie(LangCookie); err == nil && slices.Contains(i18n.Langs, c.Value) {
				lang = c.Value
			} else if r.Header.Get("Authorization") != "" {
				lang = i18n.Preferred(r.Header.Get("Accept-Language"))
			}
			if r.Method == http.MethodGet && strings.Contains(r.URL.RawQuery, "lang=") {
				if q := r.URL.Query(); slices.Contains(i18n.Langs, q.Get("lang")) {
					http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS
						Name: LangCookie, Value: q.Get("lang"), Path: "/", MaxAge: 365 * 24 * 3600, Secure: secure,
						HttpOnly: true, SameSite: http.SameSiteLaxMode,
					})
					q.Del("lang")
					u := *r.URL
					u.RawQuery = q.Encode()
					http.Redirect(w, r, SafeNext(u.RequestURI()), http.StatusSeeOther) //nolint:gosec // SafeNext keeps it here
					return
				}
			}
			h.ServeHTTP(w, r.WithContext(reqctx.WithLang(r.Context(), lang)))
		})
	}
}

// record is what inner layers tell the access log.
type record struct {
	pattern string
	err     error
	stack   string
}

type recordKey struct{}

func recordOf(ctx context.Context) *record { rec, _ := ctx.Value(recordKey{}).(*record); return rec }

// AccessLog writes one line a request: method, route pattern, status, duration, request id and, if it failed, why.
// The pattern stands in for the path, which may hold a dossier number; addresses of clients are left out too.
func AccessLog(log *slog.Logger, now func() time.Time) Middleware {
	return func(h http.Handler) http.Handler {
		if log == nil {
			return h
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec, tw := &record{}, &trackWriter{ResponseWriter: w}
			ctx := context.WithValue(r.Context(), recordKey{}, rec)
			var start time.Time
			if now != nil {
				start = now()
			}
			// Deferred, since an aborted handler leaves by panic.
			defer func() {
				attrs := []slog.Attr{
					slog.String("method", r.Method), slog.String("pattern", rec.pattern), slog.Int("status", tw.Status()),
					slog.String("request_id", reqctx.RequestID(ctx)),
				}
				if now != nil {
					attrs = append(attrs, slog.Duration("duration", now().Sub(start)))
				}
				level := levelOf(tw.Status())
				if rec.err != nil {
					attrs = append(attrs, slog.String("kind", kindOf(rec.err).String()), slog.Any("error", rec.err))
				} else if strings.HasPrefix(r.URL.Path, "/assets/") {
					level = slog.LevelDebug
				}
				if rec.stack != "" {
					attrs = append(attrs, slog.String("stack", rec.stack))
				}
				log.LogAttrs(ctx, level, "request", attrs...)
			}()
			h.ServeHTTP(tw, r.WithContext(ctx))
		})
	}
}

// trackWriter remembers whether and with which status the answer began.
type trackWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

// Unwrap serves [http.ResponseController].
func (t *trackWriter) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Status returns the status written, 200 if none was.
func (t *trackWriter) Status() int {
	if t.status == 0 {
		return http.StatusOK
	}
	return t.status
}

// WriteHeader implements [http.ResponseWriter].
func (t *trackWriter) WriteHeader(status int) {
	if status >= 200 && !t.wrote {
		t.status, t.wrote = status, true
	}
	t.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (t *trackWriter) Write(b []byte) (int, error) {
	t.wrote = true
	return t.ResponseWriter.Write(b)
}

// CrossOrigin refuses state-changing requests that another site made a browser send ([http.CrossOriginProtection]).
func CrossOrigin(fail func(http.ResponseWriter, *http.Request, error), trusted, bypass []string) Middleware {
	cop := http.NewCrossOriginProtection()
	for _, o := range trusted {
		if err := cop.AddTrustedOrigin(o); err != nil {
			panic(fmt.Sprintf("web: trusted origin %q: %v", o, err)) // a fault of configuration, at start
		}
	}
	for _, p := range bypass {
		cop.AddInsecureBypassPattern(p)
	}
	cop.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, errs.E(errs.Denied, "web.cross_origin", nil))
	}))
	return cop.Handler
}
