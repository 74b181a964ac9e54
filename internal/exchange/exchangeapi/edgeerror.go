package exchangeapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"truc/internal/exchange"
)

// native reports whether a program gets HTTP's own statuses (spec D6).
func (e *Edge) native(r *http.Request) bool {
	switch mode := r.Header.Get(exchange.HeaderMode); {
	case strings.EqualFold(mode, exchange.ModeNative):
		return true
	case strings.EqualFold(mode, "compat"):
		return false
	}
	return e.Native
}

// faultOrInternal makes any error a fault that may be shown.
func faultOrInternal(err error) *exchange.Fault {
	f, ok := errors.AsType[*exchange.Fault](err)
	if !ok {
		f = exchange.NewFault("server.clientproxy.", "internal_error", err)
	}
	return f
}

// fail writes a node's error in X-Road's form (spec §2.6).
func (e *Edge) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := faultOrInternal(err)
	e.Log.WarnContext(r.Context(), "edge request failed", slog.String("fault", f.Type), slog.String("fault_id", f.ID), slog.String("cause", err.Error()))
	native := e.native(r)
	typ, exact := f.EdgeType(native)
	if cmp.Or(identityOf(r).client.ErrorCodes, e.ErrorCodes) == exchange.CodesLegacy {
		typ = exchange.LegacyType(typ)
	}
	h := w.Header()
	if exact != "" {
		h.Set("Truc-Error", exact)
	}
	h.Set(exchange.HeaderError, typ)
	setRetryAfter(h, f)
	body, kind := errorJSON(typ, f), "application/json;charset=utf-8"
	if wantsXML(r.Header.Values("Accept"), native) {
		body, kind = errorXML(typ, f), "text/xml;charset=utf-8"
	}
	h.Set("Content-Type", kind)
	w.WriteHeader(f.Status(native))
	_, _ = w.Write(body) //nolint:gosec // JSON, or XML with its text escaped
}

func errorJSON(typ string, f *exchange.Fault) []byte {
	b, err := json.Marshal(struct {
		Type    string `json:"type"`
		Message string `json:"message"`
		Detail  string `json:"detail"`
	}{typ, f.Message(), f.ID})
	if err != nil {
		return []byte("{}") // three strings always marshal
	}
	return b
}

func errorXML(typ string, f *exchange.Fault) []byte {
	var b bytes.Buffer
	b.WriteString("<error>")
	for _, x := range [][2]string{{"type", typ}, {"message", f.Message()}, {"detail", f.ID}} {
		writeElement(&b, x[0], x[1])
	}
	b.WriteString("</error>")
	return b.Bytes()
}

func writeElement(b *bytes.Buffer, name, text string) {
	b.WriteString("<" + name + ">")
	_ = xml.EscapeText(b, []byte(text)) // a buffer does not fail
	b.WriteString("</" + name + ">")
}

var (
	xmlTypes  = []string{"text/xml", "application/xml", "text/*"}
	jsonTypes = []string{"application/json", "application/*", "*/*"}
)

// wantsXML decides the form of an error. X-Road takes any XML or text/* media type in any Accept and does not look at q-values;
// a native program is given what it likes better (RFC 9110 §12.5.1), JSON when it likes both the same.
func wantsXML(accept []string, native bool) bool {
	var xmlQ, jsonQ float64
	found := false
	for _, a := range accept {
		for p := range strings.SplitSeq(a, ",") {
			typ, params, _ := strings.Cut(p, ";")
			typ = strings.ToLower(strings.TrimSpace(typ))
			switch q := quality(params); {
			case slices.Contains(xmlTypes, typ):
				xmlQ, found = max(xmlQ, q), true
			case slices.Contains(jsonTypes, typ):
				jsonQ = max(jsonQ, q)
			}
		}
	}
	if native {
		return xmlQ > jsonQ
	}
	return found
}

// quality reads the weight of a media range, 1 when there is none and 0 when it cannot be read.
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(p, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
