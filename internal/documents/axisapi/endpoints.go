package axisapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/i18n"
)

// agencyRow is an agency in the older list.
type agencyRow struct {
	ID      string `json:"id"`
	PID     string `json:"pid"`
	Code    string `json:"code"`
	Name    string `json:"name"`
	Mail    string `json:"mail"`
	OldCode string `json:"oldCode"`
}

func agencyID(n int64) string { return strconv.FormatInt(n, 10) }

// agencyIDs are the ids of agencies that exist by their codes, to name the one above.
func agencyIDs(all []axis.Agency) map[string]string {
	out := make(map[string]string, len(all))
	for _, g := range all {
		if _, taken := out[g.Code]; !taken || g.To.IsZero() {
			out[g.Code] = agencyID(g.ID)
		}
	}
	return out
}

func (a *API) agencyRows(ctx context.Context, now time.Time) ([]agencyRow, error) {
	all, err := a.Hub.Agencies(ctx)
	if err != nil {
		return nil, err
	}
	ids := agencyIDs(all)
	rows := make([]agencyRow, 0, len(all))
	for _, g := range all {
		if g.Open(now) {
			rows = append(rows, agencyRow{ID: agencyID(g.ID), PID: ids[g.Parent], Code: g.Code, Name: g.Name, Mail: g.Mail, OldCode: g.Old})
		}
	}
	return rows, nil
}

func (a *API) agencies(w http.ResponseWriter, r *http.Request, q *request) {
	rows, err := a.agencyRows(r.Context(), q.now)
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	writeReply(w, list(q.now, rows))
}

// agencyQD20 is an agency under its code of Decision 20/2020/QĐ-TTg.
type agencyQD20 struct {
	ID      string `json:"id"`
	Code    string `json:"code"`
	Name    string `json:"name"`
	Mail    string `json:"mail"`
	Code102 string `json:"code102"`
}

func (a *API) agenciesQD20(w http.ResponseWriter, r *http.Request, q *request) {
	all, err := a.Hub.Agencies(r.Context())
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	// Level 1 are ministries and provinces with all below; only this level was ever seen asked for, and what it narrows is not known.
	rows := make([]agencyQD20, 0, len(all))
	for _, g := range all {
		if g.Open(q.now) {
			rows = append(rows, agencyQD20{ID: agencyID(g.ID), Code: g.Code, Name: g.Name, Mail: g.Mail, Code102: g.Old})
		}
	}
	writeReply(w, list(q.now, rows))
}

// unitRow is an agency with its history, for directories that follow.
type unitRow struct {
	ID         string `json:"id"`
	PID        string `json:"pid"`
	Code       string `json:"code"`
	Name       string `json:"name"`
	Mail       string `json:"mail"`
	Version    int    `json:"version"`
	CenterCode string `json:"centerCode"`
	Deleted    bool   `json:"deleted"`
	ModifyDate string `json:"modifyDate"`
	IsAgency   bool   `json:"isAgency"`
}

func (a *API) units(w http.ResponseWriter, r *http.Request, q *request) {
	all, err := a.Hub.Agencies(r.Context())
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	ids := agencyIDs(all)
	rows := make([]unitRow, 0, len(all))
	for _, g := range all {
		rows = append(rows, unitRow{
			ID: agencyID(g.ID), PID: ids[g.Parent], Code: g.Code, Name: g.Name, Mail: g.Mail, Version: g.Version, CenterCode: g.Old,
			Deleted: !g.Open(q.now), ModifyDate: wireTime(g.Changed), IsAgency: g.IsAgency,
		})
	}
	writeReply(w, list(q.now, rows))
}

// looseText takes a text, a number or null, since callers write telephone numbers as they like.
type looseText string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *looseText) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err == nil {
		*t = looseText(i18n.NFC(strings.TrimSpace(s)))
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	*t = looseText(n.String())
	return nil
}

type registerForm struct {
	ID     looseText `json:"id"`
	PCode  looseText `json:"pcode"`
	Code   looseText `json:"code"`
	Name   looseText `json:"name"`
	Mail   looseText `json:"mail"`
	Mobile looseText `json:"mobile"`
	Fax    looseText `json:"fax"`
}

// registerAgency makes or changes an agency. Its body is not signed: hence the permission, TLS, and a code below one the system owns,
// which the axis checks.
func (a *API) registerAgency(w http.ResponseWriter, r *http.Request, q *request) {
	var f registerForm
	if err := decodeBody(q.body, &f); err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	if err := a.mayRegister(r.Context(), q, f); err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	a.triple(w, r, q, a.Hub.RegisterAgency(r.Context(), q.party(), axis.AgencyForm{
		Parent: string(f.PCode), Code: string(f.Code), Name: string(f.Name), Mail: string(f.Mail), Mobile: string(f.Mobile), Fax: string(f.Fax),
	}))
}

// mayRegister checks the permission, and that an id, where one is given, is that of the agency with this code: a code is not
// changed this way.
func (a *API) mayRegister(ctx context.Context, q *request, f registerForm) error {
	if !q.system.MayRegister {
		return refusal(codeRequest, "axis.vxp.may_not_register")
	}
	if f.ID == "" {
		return nil
	}
	all, err := a.Hub.Agencies(ctx)
	if err != nil {
		return err
	}
	for _, g := range all {
		if agencyID(g.ID) == string(f.ID) && g.Code != string(f.Code) {
			return refusal(codeRequest, "axis.vxp.agency_id")
		}
	}
	return nil
}

func (a *API) deleteAgency(w http.ResponseWriter, r *http.Request, q *request) {
	if !q.system.MayRegister {
		a.fail(w, r, q.call, refusal(codeRequest, "axis.vxp.may_not_register"))
		return
	}
	a.triple(w, r, q, a.Hub.DeleteAgency(r.Context(), q.party(), q.params.get("AgencyCode")))
}

// triple answers a call that gives nothing back.
func (a *API) triple(w http.ResponseWriter, r *http.Request, q *request, err error) {
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	writeReply(w, okReply(q.now))
}

// messageKind reads messagetype.
func (q *request) messageKind() (string, error) {
	return messageKind(q.params.get("messagetype"))
}

func messageKind(s string) (string, error) {
	switch {
	case strings.EqualFold(s, axis.Document):
		return axis.Document, nil
	case strings.EqualFold(s, axis.StatusOf):
		return axis.StatusOf, nil
	}
	return "", refusal(codeRequest, "axis.vxp.message_type")
}

func (a *API) sendEdoc(w http.ResponseWriter, r *http.Request, q *request) {
	kind, err := q.messageKind()
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	if r.ContentLength > a.maxMessage()+int64(len(crlf)) {
		a.fail(w, r, q.call, refusal(codeFile, "axis.vxp.too_large", "megabytes", a.maxMessage()>>20))
		return
	}
	blob, err := takePayload(a.Blobs, r.Body, q.params.get("hash-file"), q.system.HashOptional, a.maxMessage())
	if err != nil {
		a.fail(w, r, q.call, a.payloadError(err))
		return
	}
	// from and to are advisory and may be stale: who sends and who receives stands in the document.
	got, err := a.Hub.Submit(r.Context(), axis.Submission{Party: q.party(), Kind: kind, Payload: blob})
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	ok := okReply(q.now)
	warnings := a.notes("vi", got.Warnings)
	ok.ErrorDesc = strings.Join(warnings, " ")
	writeReply(w, sentReply{reply: ok, DocID: got.DocID, Warnings: warnings})
}

// payloadError turns what can be wrong with a body into a refusal.
func (a *API) payloadError(err error) error {
	switch {
	case errors.Is(err, errNoHash):
		return refusal(codeFile, "axis.vxp.no_hash")
	case errors.Is(err, errHash):
		return refusal(codeFile, "axis.vxp.hash")
	case errors.Is(err, errTooLarge):
		return refusal(codeFile, "axis.vxp.too_large", "megabytes", a.maxMessage()>>20)
	case errors.Is(err, errEmpty):
		return refusal(codeFile, "axis.vxp.empty")
	}
	return err
}

// receivedRow is a document that waits for the system.
type receivedRow struct {
	DocID       string `json:"docId"`
	ServiceType string `json:"serviceType"`
	MessageType string `json:"messageType"`
	Created     string `json:"created_time"`
	Updated     string `json:"updated_time"`
	From        string `json:"from"`
	To          string `json:"to"`
	Status      string `json:"status"`
	StatusDesc  string `json:"status_desc"`
}

const serviceType = "eDoc"

const (
	pageRows    = 500
	maxPageRows = 5000
)

func (a *API) received(w http.ResponseWriter, r *http.Request, q *request) {
	kind, err := q.messageKind()
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	size, offset := page(q.params.get("pageSize"), q.params.get("pageIndex"))
	copies, err := a.Hub.Received(r.Context(), q.party(), axis.ReceivedQuery{
		Kind: kind, To: q.onlyTo(), Since: day(q.params.get("fromDate"), false), Until: day(q.params.get("toDate"), true),
		Limit: size, Skip: offset,
	})
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	rows := make([]receivedRow, 0, len(copies))
	for _, c := range copies {
		rows = append(rows, receivedRow{
			DocID: c.ID, ServiceType: serviceType, MessageType: c.Kind, Created: wireTime(c.Sent), Updated: wireTime(c.Updated),
			From: c.From, To: c.To, Status: string(c.State), StatusDesc: c.Description,
		})
	}
	writeReply(w, list(q.now, rows))
}

// page reads pageSize and pageIndex. What is no number is the default; the first page is called 0 by some and 1 by others.
func page(size, index string) (rows, offset int) {
	rows = pageRows
	if n, err := strconv.Atoi(size); err == nil && n > 0 {
		rows = min(n, maxPageRows)
	}
	if n, err := strconv.Atoi(index); err == nil && n > 1 {
		offset = (min(n, 1<<20) - 1) * rows
	}
	return rows, offset
}

// onlyTo is the agency that a list is asked for. The same header of an earlier sendEdoc is still there when its hash-file is: then it
// says where that document went, and as a filter it would hide what came for the system's other agencies.
func (q *request) onlyTo() string {
	if _, stale := q.params["hash-file"]; stale {
		return ""
	}
	return receiver(q.params.get("to"))
}

// receiver reads the header to: a code, a JSON list of codes, or the text of one quoted once more. What is not one code is no filter.
func receiver(s string) string {
	for range 2 {
		var codes []string
		if json.Unmarshal([]byte(s), &codes) == nil {
			if len(codes) != 1 {
				return ""
			}
			s = codes[0]
			break
		}
		var inner string
		if json.Unmarshal([]byte(s), &inner) != nil {
			break
		}
		s = inner
	}
	return strings.TrimSpace(s)
}

// notes are warnings in words.
func (a *API) notes(lang string, notes []axis.Note) []string {
	var out []string
	for _, n := range notes {
		out = append(out, a.Texts.T(lang, n.Key, n.Args...))
	}
	return out
}

// day reads a date of a query as the start of that day in Viet Nam, or of the next with end. A date that cannot be read narrows nothing:
// documents must not vanish because a client writes dates its own way.
func day(s string, end bool) time.Time {
	for _, layout := range []string{"2006/01/02 15:04:05", "2006/01/02", "02/01/2006", time.DateOnly} {
		t, err := time.ParseInLocation(layout, s, i18n.Zone)
		if err != nil {
			continue
		}
		if end && len(layout) == len(time.DateOnly) {
			t = t.AddDate(0, 0, 1)
		}
		return t.UTC()
	}
	return time.Time{}
}

// sentRow is one receiver of a message that the system sent.
type sentRow struct {
	ServiceType       string `json:"serviceType"`
	MessageType       string `json:"messageType"`
	SenderDocID       string `json:"senderDocId"`
	ReceiverDocID     string `json:"receiverDocId"`
	FromCode          string `json:"fromCode"`
	ToCode            string `json:"toCode"`
	Title             string `json:"title"`
	Notation          string `json:"notation"`
	SentTime          string `json:"sentTime"`
	ReceivedTime      string `json:"receivedTime"`
	SendStatus        string `json:"sendStatus"`
	SendStatusDesc    string `json:"sendStatusDesc"`
	ReceiveStatus     string `json:"receiveStatus"`
	ReceiveStatusDesc string `json:"receiveStatusDesc"`
}

func (a *API) sent(w http.ResponseWriter, r *http.Request, q *request) {
	kind, err := q.messageKind()
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	size, offset := page(q.params.get("pageSize"), q.params.get("pageIndex"))
	// docId may be left from an earlier call: the axis applies it only if it names a message of this system.
	sent, err := a.Hub.Sent(r.Context(), q.party(), axis.SentQuery{Kind: kind, DocID: q.params.get("docId"), Limit: size, Skip: offset})
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	rows := make([]sentRow, 0, len(sent))
	for _, s := range sent {
		rows = append(rows, sentRowOf(s))
	}
	writeReply(w, list(q.now, rows))
}

func sentRowOf(s axis.SentRow) sentRow {
	return sentRow{
		ServiceType: serviceType, MessageType: s.Kind, SenderDocID: s.Message, ReceiverDocID: s.ID, FromCode: s.From, ToCode: s.To,
		Title: s.Subject, Notation: s.Number, SentTime: wireTime(s.Sent), ReceivedTime: wireTime(s.Received),
		SendStatus: string(axis.Done), ReceiveStatus: string(s.State), ReceiveStatusDesc: s.Description,
	}
}

func (a *API) getEdoc(w http.ResponseWriter, r *http.Request, q *request) {
	f, c, err := a.Hub.Open(r.Context(), q.party(), q.params.get("docId"))
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	a.broken(r, writeFile(w, q.now, f, c.Payload.Size), f)
}

// broken ends a connection whose answer could not be written whole, so that the client cannot take a part for all.
func (a *API) broken(r *http.Request, err error, f io.Closer) {
	if err := errors.Join(err, f.Close()); err != nil {
		if r.Context().Err() == nil {
			a.Log.WarnContext(r.Context(), "a document could not be handed out whole", slog.Any("error", err))
		}
		panic(http.ErrAbortHandler)
	}
}

func (a *API) downloadEdoc(w http.ResponseWriter, r *http.Request, q *request) {
	f, c, err := a.Hub.Open(r.Context(), q.party(), q.params.get("docId"))
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(c.Payload.Size, 10))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(f, c.Payload.Size), make([]byte, 64<<10))
	a.broken(r, err, f)
}

// copyState reads a status that a client may set.
func copyState(s string) (axis.CopyState, error) {
	for _, st := range []axis.CopyState{axis.Processing, axis.Done, axis.Failed} {
		if strings.EqualFold(s, string(st)) {
			return st, nil
		}
	}
	return "", refusal(codeRequest, "axis.vxp.status")
}

func (a *API) updateStatus(w http.ResponseWriter, r *http.Request, q *request) {
	st, err := copyState(q.params.get("status"))
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	description := ""
	if st == axis.Failed { // with any other it is left from an earlier call
		description = words(q.params.get("description"))
	}
	a.triple(w, r, q, a.Hub.Report(r.Context(), q.party(), q.params.get("docId"), st, description))
}

func (a *API) countEdoc(w http.ResponseWriter, r *http.Request, q *request) {
	a.count(w, r, q, axis.Document)
}

func (a *API) countStatus(w http.ResponseWriter, r *http.Request, q *request) {
	a.count(w, r, q, axis.StatusOf)
}

func (a *API) count(w http.ResponseWriter, r *http.Request, q *request, kind string) {
	n, err := a.Hub.Count(r.Context(), q.party(), kind)
	if err != nil {
		a.fail(w, r, q.call, err)
		return
	}
	writeReply(w, countReply{okReply(q.now), n})
}
