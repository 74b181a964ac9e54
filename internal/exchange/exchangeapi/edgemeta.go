package exchangeapi

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/orgcode"
)

// listClients answers X-Road's list of members and subsystems (spec §2.8). Unlike X-Road's it is for programs that say who
// they are, unless the listener opens it (D9).
func (e *Edge) listClients(w http.ResponseWriter, r *http.Request, query string) {
	r = e.known(r) // a key or token tells who asks, also without X-Road-Client
	if err := e.Service.Usable(); err != nil {
		e.fail(w, r, err)
		return
	}
	q, err := url.ParseQuery(query)
	switch {
	case r.Method != http.MethodGet:
		err = exchange.NewFault("client.", "invalid_http_method", nil)
	case err != nil:
		err = exchange.NewFault("client.", "bad_request", err)
	case !e.MetadataPublic:
		err = identityOf(r).err
	}
	if err != nil {
		e.fail(w, r, err)
		return
	}
	list := e.Service.ClientList()
	if inst := q.Get("xRoadInstance"); inst != "" && inst != e.Instance {
		list = []exchange.ClientEntry{}
	}
	if strings.Contains(strings.ToLower(strings.Join(r.Header.Values("Accept"), ",")), "application/json") {
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

// EvidenceSource gives evidence to the program of a party; what it gives is recorded first.
type EvidenceSource interface {
	// Evidence returns a package about an exchange that the subsystem took part in, as much of it as part says. NotFound
	// when there is none.
	Evidence(ctx context.Context, exchangeID string, party orgcode.Subsystem, part exchange.EvidencePart) ([]byte, error)
	// Configuration returns the signed directory document in force.
	Configuration() []byte
}

// asic answers X-Road's evidence address with a package of ours, under the same parameters and statuses (spec §2.9, D10). Its
// errors are plain text.
func (e *Edge) asic(w http.ResponseWriter, r *http.Request, query string) {
	q, err := url.ParseQuery(query)
	refuse := func(status int, text string) { http.Error(w, text, status) }
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		refuse(http.StatusMethodNotAllowed, "use GET")
		return
	case err != nil:
		refuse(http.StatusBadRequest, "the query cannot be read")
		return
	}
	part := exchange.EvidenceAll
	switch request, response := q.Has("requestOnly"), q.Has("responseOnly"); {
	case request && response:
		refuse(http.StatusBadRequest, "requestOnly and responseOnly exclude each other")
		return
	case q.Has("unique") && !request && !response:
		refuse(http.StatusBadRequest, "unique needs requestOnly or responseOnly")
		return
	case request:
		part = exchange.EvidenceRequest
	case response:
		part = exchange.EvidenceResponse
	}
	queryID := q.Get("queryId")
	if queryID == "" || len(queryID) > maxMessageID {
		refuse(http.StatusBadRequest, "queryId is missing or too long")
		return
	}
	party, err := orgcode.ParseSubsystem(strings.Join([]string{q.Get("xRoadInstance"), q.Get("memberClass"), q.Get("memberCode"), q.Get("subsystemCode")}, "/"))
	if err != nil {
		refuse(http.StatusBadRequest, "xRoadInstance, memberClass, memberCode and subsystemCode name no subsystem")
		return
	}
	id := e.identify(r, party)
	if id.err != nil || id.client.Subsystem != party.String() || !e.Service.Hosts(party) {
		refuse(http.StatusUnauthorized, "the program is not known as a client of this subsystem")
		return
	}
	b, err := e.Evidence.Evidence(r.Context(), queryID, party, part)
	switch {
	case errs.Is(err, errs.NotFound):
		refuse(http.StatusNotFound, "there is no such exchange of this subsystem")
		return
	case err != nil:
		f := faultOrInternal(err)
		e.Log.WarnContext(r.Context(), "evidence cannot be given", slog.String("fault_id", f.ID), slog.String("cause", err.Error()))
		refuse(http.StatusInternalServerError, "the evidence cannot be given: "+f.ID)
		return
	}
	name := queryID
	if part != exchange.EvidenceAll {
		name += "-" + string(part)
	}
	writeZIP(w, name, b)
}

// verificationConf gives the signed directory document, which an evidence package is checked against without a network.
func (e *Edge) verificationConf(w http.ResponseWriter, r *http.Request) {
	if identityOf(e.known(r)).err != nil && !e.MetadataPublic {
		http.Error(w, "the program does not say who it is", http.StatusUnauthorized)
		return
	}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	f, err := z.Create("directory.json")
	if err == nil {
		_, err = f.Write(e.Evidence.Configuration())
	}
	if err = errors.Join(err, z.Close()); err != nil {
		http.Error(w, "the configuration cannot be given", http.StatusInternalServerError)
		return
	}
	writeZIP(w, "verificationconf", buf.Bytes())
}

func writeZIP(w http.ResponseWriter, name string, b []byte) {
	name = strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' || strings.ContainsRune(`"\/:;`, c) {
			return '_'
		}
		return c
	}, name)
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.zip"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(b) //nolint:gosec // an archive to be saved
}
