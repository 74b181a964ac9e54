package exchangeapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/orgcode"
)

// Caller is the consumer role; [exchange.Service] answers.
type Caller interface {
	Call(ctx context.Context, c exchange.Call) (*exchange.Answer, error)
	ClientList() []exchange.ClientEntry
}

// Edge speaks the X-Road message protocol for REST (r1) with programs of the own agency (spec §2).
type Edge struct {
	Service Caller
	// Keys knows the programs.
	Keys exchange.KeyStore
	// Instance names the network, for listClients.
	Instance string
	// ListClients opens listClients without a key, as X-Road does; for an internal listener only (spec D9).
	ListClients bool
	// Native makes every answer use native statuses; a program asks for them with "Truc-Mode: native".
	Native bool
	Log    *slog.Logger
}

// HashKey returns the form in which an API key is kept.
func HashKey(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Wrap answers the edge's addresses and gives the rest to next. It must be outside of any router.
func (e *Edge) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.claims(r.RequestURI) {
			e.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (e *Edge) claims(target string) bool {
	if len(target) > 3 && target[:2] == "/r" && target[2] >= '0' && target[2] <= '9' && target[3] == '/' {
		return true
	}
	path, _, _ := strings.Cut(target, "?")
	return e.ListClients && path == "/listClients"
}

// ServeHTTP implements [http.Handler].
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path, query, _ := strings.Cut(r.RequestURI, "?"); path == "/listClients" && e.ListClients {
		e.listClients(w, r, query)
		return
	}
	a, err := e.call(w, r)
	if err != nil {
		e.fail(w, r, err)
		return
	}
	h := w.Header()
	maps.Copy(h, a.Header)
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = nil
	}
	// X-Road writes these names in lower case and in this order; the order is lost in net/http.
	_, service, client := r1Parts(r)
	h["x-road-id"] = []string{url.PathEscape(a.ExchangeID)}
	h["x-road-client"] = []string{client}
	h["x-road-service"] = []string{service}
	h["x-road-request-id"] = []string{a.RequestID}
	if a.Hash != "" {
		h["x-road-request-hash"] = []string{a.Hash}
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// r1Parts returns the parsed target with the texts of service and client.
func r1Parts(r *http.Request) (t exchange.Target, service, client string) {
	t, err := exchange.ParseTarget("r1", r.RequestURI)
	if err == nil {
		service = t.Service.String()
	}
	return t, service, last(r.Header.Values(exchange.HeaderClient))
}

// last is X-Road's rule for a repeated header.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return strings.TrimSpace(values[len(values)-1])
}

// call checks in the order of spec §2.7: identifiers, registered client, authentication; the rest is the service's.
func (e *Edge) call(w http.ResponseWriter, r *http.Request) (*exchange.Answer, error) {
	if !strings.HasPrefix(r.RequestURI, "/r1/") {
		return nil, exchange.NewFault("client.", "bad_request", errors.New("only version r1 is spoken"))
	}
	t, err := exchange.ParseTarget("r1", r.RequestURI)
	if err != nil {
		return nil, exchange.NewFault("client.", "bad_request", err)
	}
	c := exchange.Call{
		To: t.Service, Method: r.Method, Path: t.Path.String(), Query: t.Query, Header: maps.Clone(r.Header),
		ID: last(r.Header.Values(exchange.HeaderID)), UserID: last(r.Header.Values(exchange.HeaderUserID)),
		Dossier: last(r.Header.Values(exchange.HeaderIssue)), Server: last(r.Header.Values(exchange.HeaderServer)),
		Party: last(r.Header.Values(exchange.HeaderParty)),
	}
	client := last(r.Header.Values(exchange.HeaderClient))
	if client == "" {
		return nil, exchange.NewFault("client.", "missing_header", errors.New("X-Road-Client"))
	}
	if c.From, err = orgcode.ParseSubsystem(client); err != nil {
		code := "invalid_client_identifier"
		if strings.Count(client, "/") == 2 {
			code = "unknown_member" // a bare member never calls (spec D11)
		}
		return nil, exchange.NewFault("client.", code, err)
	}
	if c.Server != "" && strings.Count(c.Server, "/") != 3 {
		return nil, exchange.NewFault("client.", "invalid_security_server", nil)
	}
	if err := e.authenticate(r, client, c.Header); err != nil {
		return nil, err
	}
	c.Activity, c.Basis = exchange.ParsePurpose(r.Header.Get(exchange.HeaderPurpose))
	c.Header.Del("Truc-Mode")
	c.Header.Del(exchange.HeaderServer)
	if c.Body, err = readAll(http.MaxBytesReader(w, r.Body, exchange.MaxBody), r.ContentLength); err != nil {
		return nil, exchange.NewFault("client.", "invalid_body", err, "megabytes", exchange.MaxBody>>20)
	}
	return e.Service.Call(r.Context(), c)
}

// authenticate finds the program's key and takes it off the request; it must not travel on.
func (e *Edge) authenticate(r *http.Request, client string, onward http.Header) error {
	secret := r.Header.Get("X-Api-Key")
	onward.Del("X-Api-Key")
	if secret == "" {
		var ok bool
		if secret, ok = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			onward.Del("Authorization")
		}
	}
	denied := func(err error) error {
		return exchange.NewFault("server.clientproxy.", "ssl_authentication_failed", err)
	}
	if secret == "" {
		return denied(errors.New("no key"))
	}
	k, err := e.Keys.KeyByHash(r.Context(), HashKey(secret))
	switch {
	case errs.Is(err, errs.NotFound):
		return denied(err)
	case err != nil:
		return exchange.NewFault("server.clientproxy.", "internal_error", err)
	case k.Subsystem != client:
		return denied(errors.New("the key is of another subsystem"))
	}
	return nil
}

// compatCodes are ours that X-Road's clients do not know, with the nearest they do (spec §2.6).
var compatCodes = map[string]string{
	"purpose_required": "access_denied", "no_agreement": "access_denied", "agreement_expired": "access_denied", "deadline_exceeded": "network_error",
	"circuit_open": "network_error",
}

// fail writes a node's error in X-Road's form.
func (e *Edge) fail(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*exchange.Fault](err)
	if !ok {
		f = exchange.NewFault("server.clientproxy.", "internal_error", err)
	}
	e.Log.WarnContext(r.Context(), "edge request failed", slog.String("fault", f.Type), slog.String("fault_id", f.ID), slog.String("cause", err.Error()))
	native := e.Native || strings.EqualFold(r.Header.Get("Truc-Mode"), "native")
	typ := f.Type
	if old, ours := compatCodes[f.Code()]; ours && !native {
		typ = strings.TrimSuffix(typ, f.Code()) + old
		w.Header().Set("Truc-Error", f.Code())
	}
	status := f.Status(native)
	w.Header().Set(exchange.HeaderError, typ)
	setRetryAfter(w.Header(), f)
	if wantsXML(r.Header.Values("Accept")) {
		w.Header().Set("Content-Type", "text/xml;charset=utf-8")
		w.WriteHeader(status)
		var b bytes.Buffer
		b.WriteString("<error>")
		for _, x := range [][2]string{{"type", typ}, {"message", f.Message()}, {"detail", f.ID}} {
			writeElement(&b, x[0], x[1])
		}
		b.WriteString("</error>")
		_, _ = w.Write(b.Bytes())
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	body, err := json.Marshal(struct {
		Type    string `json:"type"`
		Message string `json:"message"`
		Detail  string `json:"detail"`
	}{typ, f.Message(), f.ID})
	if err == nil {
		_, _ = w.Write(body)
	}
}

func writeElement(b *bytes.Buffer, name, text string) {
	b.WriteString("<" + name + ">")
	_ = xml.EscapeText(b, []byte(text)) // a buffer does not fail
	b.WriteString("</" + name + ">")
}

// wantsXML follows X-Road: any XML or text/* media type in any Accept; q-values are not looked at.
func wantsXML(accept []string) bool {
	for _, a := range accept {
		for p := range strings.SplitSeq(a, ",") {
			typ, _, _ := strings.Cut(p, ";")
			if slices.Contains([]string{"text/xml", "application/xml", "text/*"}, strings.ToLower(strings.TrimSpace(typ))) {
				return true
			}
		}
	}
	return false
}

func (e *Edge) listClients(w http.ResponseWriter, r *http.Request, query string) {
	q, err := url.ParseQuery(query)
	if err != nil || r.Method != http.MethodGet {
		e.fail(w, r, exchange.NewFault("client.", "bad_request", err))
		return
	}
	list := e.Service.ClientList()
	if inst := q.Get("xRoadInstance"); inst != "" && inst != e.Instance {
		list = []exchange.ClientEntry{}
	}
	if strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "application/json") {
		b, err := json.Marshal(map[string]any{"member": list})
		if err != nil {
			e.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		_, _ = w.Write(b)
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=utf-8")
	_, _ = w.Write(clientListXML(list))
}

// clientListXML writes X-Road's clientList (pr-meta annex).
func clientListXML(list []exchange.ClientEntry) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<xrd:clientList xmlns:xrd="http://x-road.eu/xsd/xroad.xsd" xmlns:id="http://x-road.eu/xsd/identifiers">`)
	for _, c := range list {
		b.WriteString(`<xrd:member><xrd:id id:objectType="` + c.ID.ObjectType + `">`)
		for _, x := range [][2]string{{"xRoadInstance", c.ID.Instance}, {"memberClass", c.ID.Class}, {"memberCode", c.ID.Code}, {"subsystemCode", c.ID.Subsystem}} {
			if x[1] != "" {
				writeElement(&b, "id:"+x[0], x[1])
			}
		}
		b.WriteString("</xrd:id>")
		writeElement(&b, "xrd:name", c.Name)
		if c.SubsystemName != "" {
			writeElement(&b, "xrd:subsystemName", c.SubsystemName)
		}
		b.WriteString("</xrd:member>")
	}
	b.WriteString("</xrd:clientList>")
	return b.Bytes()
}
