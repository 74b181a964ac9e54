package documentsapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"truc/internal/documents"
	"truc/internal/documents/axis"
	"truc/internal/documents/receipt"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/orgcode"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/web"
)

// KindCopy names messages that bring a copy to a node, for the outcome; KindNews those that bring news.
const (
	KindCopy = "axis.copy"
	KindNews = "axis.news"
)

// Axis serves the hub to desks of nodes, and carries copies and news to them.
type Axis struct {
	Hub      *axis.Hub
	Courier  *Courier
	Receipts *receipt.Service
	Messages *i18n.Catalogue
}

// MountMessages registers the service axis/messages.
func (a *Axis) MountMessages(m *web.Mux) {
	m.HandleAPI("POST /edoc/{id}", func(w http.ResponseWriter, r *http.Request) error { return a.take(w, r, axis.Document) })
	m.HandleAPI("POST /status/{id}", func(w http.ResponseWriter, r *http.Request) error { return a.take(w, r, axis.StatusOf) })
	m.HandleAPI("POST /opened/{id}", a.opened)
}

// MountAgencies registers the service axis/agencies.
func (a *Axis) MountAgencies(m *web.Mux) { m.HandleAPI("GET /{$}", a.agencies) }

// MountReceipts registers the service axis/receipts.
func (a *Axis) MountReceipts(m *web.Mux) {
	m.HandleAPI("GET /{docId}", a.receipts)
	m.HandleAPI("GET /{docId}/{id}", a.receiptFile)
}

// party is the desk that calls: only the subsystem "documents" of a member sends for its agencies.
func party(r *http.Request) (axis.Party, error) {
	s, err := orgcode.ParseSubsystem(reqctx.CallerOf(r.Context()).Subsystem)
	if err != nil || s.Code != "documents" {
		return "", errs.E(errs.Denied, "documentsapi.no_desk", err)
	}
	return axis.Node(s), nil
}

func (a *Axis) take(w http.ResponseWriter, r *http.Request, kind string) error {
	p, err := party(r)
	if err != nil {
		return err
	}
	payload, err := a.Courier.Take(r)
	if err != nil {
		return a.refuse(w, err)
	}
	got, err := a.Hub.Submit(r.Context(), axis.Submission{Party: p, Kind: kind, Payload: payload})
	if err != nil {
		return a.refuse(w, err)
	}
	t := Taken{DocID: got.DocID, Repeated: got.Repeated}
	for _, n := range got.Warnings {
		t.Warnings = append(t.Warnings, a.Messages.T("vi", n.Key, n.Args...))
	}
	if list, err := a.Receipts.Of(r.Context(), got.DocID, ""); err == nil && len(list) > 0 && list[0].Event == receipt.Accepted {
		t.Receipt = string(list[0].JWS)
	}
	return writeJSON(w, http.StatusOK, t)
}

// opened hears that a person at a desk has opened a copy: the id of the message says which.
func (a *Axis) opened(w http.ResponseWriter, r *http.Request) error {
	p, err := party(r)
	if err != nil {
		return err
	}
	if err := a.Hub.Opened(r.Context(), p, strings.TrimPrefix(r.PathValue("id"), documents.OpenedPrefix)); err != nil {
		return a.refuse(w, err)
	}
	return writeJSON(w, http.StatusOK, Taken{})
}

// refuse answers what the sender's clerk must know; what may succeed later is left to the sender's queue.
func (a *Axis) refuse(w http.ResponseWriter, err error) error {
	if r, ok := errors.AsType[*axis.Refusal](err); ok {
		if r.Code == axis.CodeSystem {
			return errs.E(errs.Unavailable, r.Key, err, r.Args...)
		}
		return writeJSON(w, http.StatusUnprocessableEntity, problem{Code: r.Code, Key: r.Key, Text: r.Text(a.Messages, "vi")})
	}
	return refuseParcel(w, a.Messages, err)
}

// refuseParcel answers a parcel that is wrong for good with words, and leaves the rest to the one place that maps errors.
func refuseParcel(w http.ResponseWriter, m *i18n.Catalogue, err error) error {
	for _, kind := range []errs.Kind{errs.Invalid, errs.NotFound, errs.TooLarge, errs.Denied} {
		if errs.Is(err, kind) {
			key, args := errs.KeyOf(err)
			return writeJSON(w, http.StatusUnprocessableEntity, problem{Key: key, Text: m.T("vi", key, args...)})
		}
	}
	if errs.Is(err, errs.Conflict) { // two things at once: the next time one of them is done
		return errs.E(errs.Unavailable, "documentsapi.again", err)
	}
	return err
}

func (a *Axis) agencies(w http.ResponseWriter, r *http.Request) error {
	list, err := a.Hub.Agencies(r.Context())
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, g := range list {
		names[g.Code] = g.Name
	}
	out := make([]Agency, 0, len(list))
	for _, g := range list {
		out = append(out, Agency{
			Code: g.Code, Name: g.Name, Parent: g.Parent, ParentName: names[g.Parent], Old: g.Old, Mail: g.Mail, Closed: g.Locked || !g.Open(a.Hub.Now()), Successors: g.Successors,
		})
	}
	return writeJSON(w, http.StatusOK, out)
}

func (a *Axis) receipts(w http.ResponseWriter, r *http.Request) error {
	list, err := a.own(r)
	if err != nil {
		return err
	}
	out := make([]ReceiptRow, 0, len(list))
	for _, i := range list {
		out = append(out, ReceiptRow{ID: i.ID, Event: string(i.Event), Copy: i.Copy, At: i.At, Stamped: i.Stamped})
	}
	return writeJSON(w, http.StatusOK, out)
}

// own lists the receipts that the caller may have: all of a message it sent, those of its own copy of another.
func (a *Axis) own(r *http.Request) ([]axis.Receipt, error) {
	p, err := party(r)
	if err != nil {
		return nil, err
	}
	return a.Hub.Receipts(r.Context(), p, r.PathValue("docId"))
}

func (a *Axis) receiptFile(w http.ResponseWriter, r *http.Request) error {
	list, err := a.own(r)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(i axis.Receipt) bool { return i.ID == r.PathValue("id") }) {
		return errs.E(errs.NotFound, "receipt.unknown", nil)
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return errs.E(errs.NotFound, "receipt.unknown", err)
	}
	b, err := a.Receipts.File(r.Context(), id)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(b)
	return err
}

// Push implements [axis.Carrier]: a message to the inbox of the receiver's desk, in the transaction that made the copy.
func (a *Axis) Push(ctx context.Context, tx axis.Tx, p axis.Push) error {
	sub, ok := p.Copy.Party.Subsystem()
	if !ok {
		return errors.New("a copy for a party that is no node")
	}
	return a.Courier.Send(ctx, tx, Message{
		ID: "copy-" + p.ID, To: sub.String() + "/inbox", Path: "/copies/" + url.PathEscape(p.Copy.ID),
		Query: url.Values{"to": {p.Copy.To}}.Encode(), Order: p.Copy.To, Kind: KindCopy, Ref: p.Copy.ID + " " + string(p.Copy.Party),
	}, p.Copy.Payload)
}

// Outcome of a message that the axis sent.
type Outcome struct {
	Kind, Ref string
	// Answered: the other side took it. Otherwise it was refused for good, was given up, or did not arrive in time.
	Answered bool
	// Refused: it was refused, with the answer below.
	Refused bool
	Answer  []byte
}

// text is what a refusal says.
func (o Outcome) text() string {
	var p problem
	if o.Refused && json.Unmarshal(o.Answer, &p) == nil && p.Text != "" {
		return p.Text
	}
	if o.Refused {
		return "Nơi nhận từ chối gói tin"
	}
	return "Không chuyển được trong thời hạn"
}

// Ended records the outcome of a copy's delivery, in the transaction that records that of the message.
func (a *Axis) Ended(ctx context.Context, tx outbox.Querier, o Outcome) error {
	if o.Kind != KindCopy {
		return nil
	}
	id, p, err := splitRef(o.Ref)
	if err != nil {
		return err
	}
	state, text := axis.Done, ""
	if !o.Answered {
		state, text = axis.Failed, o.text()
	}
	err = a.Hub.ReportIn(ctx, tx, axis.Party(p), id, state, text)
	if _, refused := errors.AsType[*axis.Refusal](err); refused { // it went to another party meanwhile, or is done
		return nil
	}
	return err
}
