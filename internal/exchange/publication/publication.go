// Package publication publishes services of an agency's own systems over the exchange: a description (an OpenAPI
// document, or endpoints written by hand), a back end that is reached by HTTP, and who may call which endpoint.
//
// A [Published] service flows like this. An operator hands in a document, sees its endpoints ([Service.Propose]) and
// publishes it under a code; its rights become rules of the exchange, its back end a handler, its description the answer
// of getOpenAPI with the servers hidden, and the directory is told. A newer document is compared first and takes effect
// when the operator confirms. Every act is a method of [Service], audited before it happens, so that pages, the
// management interface and the configuration do the same.
//
// The package knows no SQL and no pages; it reaches back ends by HTTP and, on an operator's act alone, the address of a
// description.
package publication

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/openapi"
	"truc/internal/i18n"
	"truc/internal/pki"
)

// Kinds of description, as X-Road names them.
const (
	KindOpenAPI = "OPENAPI3"
	KindREST    = "REST"
)

// Published is one service with all that belongs to it.
type Published struct {
	// Code is "weather/stations": a subsystem of this node and the service.
	Code string
	// Kind is [KindOpenAPI] or [KindREST].
	Kind string
	Name i18n.Text
	// About is shown in the catalogue.
	About i18n.Text
	// Personal services demand a purpose with each call; Public ones stand in the catalogue open to all.
	Personal, Public bool
	// Bodies says what the message log keeps of bodies: "full", "digest" or "off".
	Bodies string
	// Verify says when the back end sees a large request: [exchange.VerifyStream] (also when empty) or
	// [exchange.VerifyBefore].
	Verify string
	// AsyncOnly services take messages alone (spec D34).
	AsyncOnly bool
	Backend   Backend
	// Disabled services refuse calls with Notice.
	Disabled bool
	Notice   string
	// EndsAt is when the publication ends, see [Service.SetEnd]; zero for never.
	EndsAt time.Time
	// Document is the description as it was handed in; nil for REST. Source is where it came from: an address, or empty.
	Document  []byte
	Source    string
	Endpoints []Endpoint
	Rights    []Right
	// Declared services are written in the node's configuration, which is where they are changed.
	Declared bool
	// Version counts changes; a change is refused when somebody else was faster.
	Version   int64
	ChangedAt time.Time
	ChangedBy string
}

// Endpoint is a method and a path pattern of a service.
type Endpoint struct {
	Method, Path string
	// Manual endpoints were written by hand; the others come from the description and go with it.
	Manual bool
}

// Right lets a subsystem call one endpoint, or with "*" and "**" the whole service.
type Right struct {
	// Consumer is a subsystem as in [exchange.Rule].
	Consumer     string
	Method, Path string
	// Activities are the purposes for which it holds; none means any.
	Activities []string
	// Basis is the legal basis, for people to read.
	Basis string
}

// Backend is where the agency's own system stands and how it is reached.
type Backend struct {
	// URL is the base address; the service path is appended to it.
	URL string
	// Timeout bounds a whole call, Connect the connection.
	Timeout, Connect time.Duration
	// CA is PEM: authorities, or the back end's own certificate, which is then the only one accepted. Empty means the
	// authorities of the operating system.
	CA string
	// ServerName replaces the host of URL in the check of the certificate.
	ServerName string
	// ClientCert shows this node's certificate to the back end (mutual TLS).
	ClientCert bool
	// PlainHTTP allows http, to loopback and private addresses only.
	PlainHTTP bool
}

// Defaults and bounds of times.
const (
	defaultTimeout = 30 * time.Second
	defaultConnect = 5 * time.Second
	maxTimeout     = 5 * time.Minute
	maxConnect     = time.Minute
)

// Fault is one thing to mend in what somebody entered.
type Fault struct {
	// Field is the name of the form's field.
	Field string
	Key   string
	Args  []any
}

// Faults are all of them at once. They are an error of kind Invalid.
type Faults []Fault

// Error implements error.
func (f Faults) Error() string {
	parts := make([]string, len(f))
	for i, x := range f {
		parts[i] = x.Field + ": " + x.Key
	}
	return strings.Join(parts, ", ")
}

// Unwrap returns the first as an [errs.Error].
func (f Faults) Unwrap() error {
	if len(f) == 0 {
		return nil
	}
	return errs.E(errs.Invalid, f[0].Key, nil, f[0].Args...)
}

func (f *Faults) add(field, key string, args ...any) {
	*f = append(*f, Fault{Field: field, Key: "exchange.publish.fault." + key, Args: args})
}

func (f Faults) orNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Check fills in defaults and returns every fault.
func (p *Published) Check() error {
	var f Faults
	if strings.Count(p.Code, "/") != 1 {
		f.add("code", "code")
	}
	if p.Kind != KindOpenAPI && p.Kind != KindREST {
		f.add("kind", "kind")
	}
	if p.Bodies == "" {
		p.Bodies = "digest"
	}
	if !slices.Contains([]string{"full", "digest", "off"}, p.Bodies) {
		f.add("bodies", "bodies")
	}
	if !slices.Contains([]string{"", exchange.VerifyStream, exchange.VerifyBefore}, p.Verify) {
		f.add("verify", "verify")
	}
	for lang, s := range p.Name {
		p.Name[lang] = strings.TrimSpace(s)
	}
	if n := utf8.RuneCountInString(p.Name["vi"]); n == 0 || n > 200 {
		f.add("name_vi", "name")
	}
	if utf8.RuneCountInString(p.Name["en"]) > 200 {
		f.add("name_en", "name")
	}
	for _, lang := range []string{"vi", "en"} {
		if utf8.RuneCountInString(p.About[lang]) > 4000 {
			f.add("about_"+lang, "about")
		}
	}
	if utf8.RuneCountInString(p.Notice) > exchange.MaxNotice {
		f.add("notice", "notice", "max", exchange.MaxNotice)
	}
	p.Backend.check(&f)
	if len(p.Endpoints) > 2500 || len(p.Rights) > 5000 {
		f.add("endpoints", "too_many")
	}
	return f.orNil()
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,62}\.?)*$`)

func (b *Backend) check(f *Faults) {
	b.URL, b.ServerName = strings.TrimSpace(b.URL), strings.TrimSpace(b.ServerName)
	if b.Timeout == 0 {
		b.Timeout = defaultTimeout
	}
	if b.Connect == 0 {
		b.Connect = defaultConnect
	}
	if b.Timeout < time.Second || b.Timeout > maxTimeout {
		f.add("timeout", "timeout", "max", int(maxTimeout.Seconds()))
	}
	if b.Connect < time.Second || b.Connect > maxConnect {
		f.add("connect", "timeout", "max", int(maxConnect.Seconds()))
	}
	u, err := b.parse()
	switch {
	case err != nil:
		f.add("backend", "backend")
	case u.Scheme == "http" && !b.PlainHTTP:
		f.add("backend", "backend_plain")
	case u.Scheme == "http":
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !near(ip) {
			f.add("backend", "backend_plain_far")
		}
	}
	if b.ServerName != "" && (len(b.ServerName) > 253 || !hostName.MatchString(b.ServerName)) {
		f.add("server_name", "server_name")
	}
	if _, err := b.pins(); err != nil {
		f.add("ca", "ca")
	}
}

// parse reads the base address: scheme, host and a path in canonical form, nothing else.
func (b *Backend) parse() (*url.URL, error) {
	u, err := url.Parse(b.URL)
	if err != nil {
		return nil, err
	}
	switch {
	case len(b.URL) > 1000, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "", u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "", u.Opaque != "":
		return nil, errors.New("the back end's address needs http or https, a host and perhaps a path, no more")
	}
	if p := u.Port(); p != "" {
		if _, err := strconv.ParseUint(p, 10, 16); err != nil {
			return nil, err
		}
	}
	path, err := exchange.ParsePath(u.EscapedPath())
	if err != nil {
		return nil, err
	}
	u.Path, u.RawPath = path.Decoded(), path.String()
	return u, nil
}

// pins reads CA.
func (b *Backend) pins() ([]*x509.Certificate, error) {
	if strings.TrimSpace(b.CA) == "" {
		return nil, nil
	}
	if len(b.CA) > 256<<10 {
		return nil, errors.New("too many certificates")
	}
	certs, err := pki.DecodePEM([]byte(b.CA))
	if err == nil && len(certs) == 0 {
		err = errors.New("no certificate")
	}
	return certs, err
}

// near reports whether an address is of this machine or a private network (RFC 1918, RFC 4193).
func near(ip netip.Addr) bool { ip = ip.Unmap(); return ip.IsLoopback() || ip.IsPrivate() }

// nowhere reports whether no back end may stand at an address: link-local addresses are where clouds keep the secrets of
// machines.
func nowhere(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast()
}

// describe takes endpoints from a document; those written by hand stay, rights to endpoints that are gone go.
func (p *Published) describe(doc []byte, source string) error {
	d, err := openapi.Parse(doc)
	if err != nil {
		return err
	}
	list := make([]Endpoint, 0, len(d.Endpoints))
	for _, e := range d.Endpoints {
		list = append(list, Endpoint{Method: e.Method, Path: e.Path})
	}
	for _, e := range p.Endpoints {
		if e.Manual && !has(list, e.Method, e.Path) {
			list = append(list, e)
		}
	}
	p.Kind, p.Document, p.Source, p.Endpoints = KindOpenAPI, doc, source, list
	p.Rights = slices.DeleteFunc(slices.Clone(p.Rights), func(r Right) bool { return !p.grants(r) })
	return nil
}

func has(list []Endpoint, method, path string) bool {
	return slices.ContainsFunc(list, func(e Endpoint) bool { return e.Method == method && e.Path == path })
}

// wholeService is the endpoint that stands for all (spec D11).
func wholeService(method, path string) bool { return method == "*" && path == "**" }

func (p *Published) grants(r Right) bool {
	return wholeService(r.Method, r.Path) || has(p.Endpoints, r.Method, r.Path)
}

// rules are the rights as the exchange applies them.
func (p *Published) rules() []exchange.Rule {
	out := make([]exchange.Rule, 0, len(p.Rights))
	for _, r := range p.Rights {
		rule := exchange.Rule{Consumer: r.Consumer, Service: p.Code, Path: r.Path, Activities: r.Activities, Basis: r.Basis}
		if r.Method != "*" {
			rule.Methods = []string{r.Method}
		}
		out = append(out, rule)
	}
	return out
}

// offering is the service as the exchange lists it.
func (p *Published) offering(member string) (exchange.Offering, error) {
	o := exchange.Offering{Name: p.Name, Description: p.About, Personal: p.Personal, Public: p.Public, Disabled: p.Disabled, Notice: p.Notice, Body: exchange.BodyMode(p.Bodies), Verify: p.Verify, AsyncOnly: p.AsyncOnly, EndsAt: p.EndsAt}
	for _, e := range p.Endpoints {
		o.Endpoints = append(o.Endpoints, exchange.Endpoint{Method: e.Method, Path: e.Path})
	}
	if p.Kind != KindOpenAPI {
		return o, nil
	}
	doc, err := openapi.HideServers(p.Document, "/r1/"+member+"/"+p.Code)
	o.OpenAPI = doc
	return o, err
}
