package documentsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"truc/internal/documents"
	"truc/internal/documents/receipt"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/web"
)

// KindSent names messages of a desk to the axis, for the outcome; TopicOutcome is the outbox topic that tells the desk.
const (
	KindSent     = "documents.sent"
	TopicOutcome = "documents.outcome"
)

// Desk joins the desk of this node to the axis.
type Desk struct {
	Desk    *documents.Desk
	Courier *Courier
	// Axis is the axis' subsystem, "VN/GOV/G22/axis".
	Axis     string
	Messages *i18n.Catalogue
	// Querier returns the transaction behind a queue of the desk's store.
	Querier func(documents.Queue) (outbox.Querier, bool)
	// Directory is this node's copy of the signed directory, which makes a receipt whole.
	Directory func() []byte
	Now       func() time.Time

	mu       sync.Mutex // guards below
	agencies []documents.Agency
	fetched  time.Time
}

// agenciesFresh is how long the list of agencies is used before it is asked for again.
const agenciesFresh = 2 * time.Minute

// Carry implements [documents.Carrier].
func (d *Desk) Carry(ctx context.Context, tx documents.Queue, c documents.Carriage) error {
	q, ok := d.Querier(tx)
	if !ok {
		return errors.New("the transaction cannot hold a message")
	}
	return d.Courier.Send(ctx, q, Message{
		ID: "doc-" + c.ID, To: d.Axis + "/messages", Path: "/" + c.Kind + "/" + url.PathEscape(c.ID), Order: c.From, Kind: KindSent, Ref: c.Kind + " " + c.ID,
	}, c.Payload)
}

// Agencies implements [documents.Carrier]. While the axis is away the list that was fetched last is given.
func (d *Desk) Agencies(ctx context.Context) ([]documents.Agency, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.Now()
	if d.agencies != nil && now.Sub(d.fetched) < agenciesFresh {
		return d.agencies, nil
	}
	var list []Agency
	err := d.call(ctx, "agencies", "/", &list)
	if err != nil {
		if d.agencies != nil {
			return d.agencies, nil
		}
		return nil, errs.E(errs.Unavailable, "documentsapi.axis_away", err)
	}
	out := make([]documents.Agency, 0, len(list))
	for _, a := range list {
		out = append(out, documents.Agency{Code: a.Code, Name: a.Name, Superior: a.ParentName, Email: a.Mail, Closed: a.Closed, Successors: a.Successors})
	}
	d.agencies, d.fetched = out, now
	return out, nil
}

// call reads JSON from a service of the axis.
func (d *Desk) call(ctx context.Context, service, path string, v any) (err error) {
	status, body, _, err := d.Courier.Exchange.Get(ctx, d.Courier.Subsystem, d.Axis+"/"+service, path, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	switch {
	case status == http.StatusNotFound:
		return errs.E(errs.NotFound, "receipt.unknown", nil)
	case status != http.StatusOK:
		return errs.E(errs.Unavailable, "documentsapi.axis_away", fmt.Errorf("the axis answered %d", status))
	}
	return readJSON(body, v)
}

// ReceiptsOf lists the receipts that the axis has about a message or a copy.
func (d *Desk) ReceiptsOf(ctx context.Context, docID string) (out []ReceiptRow, err error) {
	return out, d.call(ctx, "receipts", "/"+url.PathEscape(docID), &out)
}

// ReceiptFile returns one of them, with the time-stamp it has by now.
func (d *Desk) ReceiptFile(ctx context.Context, docID, id string) ([]byte, error) {
	status, body, _, err := d.Courier.Exchange.Get(ctx, d.Courier.Subsystem, d.Axis+"/receipts", "/"+url.PathEscape(docID)+"/"+url.PathEscape(id), 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // it was only read
	if status != http.StatusOK {
		return nil, errs.E(errs.NotFound, "receipt.unknown", fmt.Errorf("the axis answered %d", status))
	}
	b, err := io.ReadAll(io.LimitReader(body, receipt.MaxFile+1))
	if err == nil && len(b) > receipt.MaxFile {
		err = errs.E(errs.TooLarge, "receipt.unreadable", nil)
	}
	return b, err
}

// MountInbox registers the service documents/inbox.
func (d *Desk) MountInbox(m *web.Mux) {
	m.HandleAPI("POST /copies/{copy}", d.axisOnly(d.arrival))
	m.HandleAPI("POST /news", d.axisOnly(d.news))
}

// axisOnly lets the axis through: a rule of the exchange that is too wide must not let anybody file documents here.
func (d *Desk) axisOnly(h web.HandlerFunc) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if reqctx.CallerOf(r.Context()).Subsystem != d.Axis {
			return errs.E(errs.Denied, "documentsapi.not_the_axis", nil)
		}
		return h(w, r)
	}
}

func (d *Desk) arrival(w http.ResponseWriter, r *http.Request) error {
	payload, err := d.Courier.Take(r)
	if err != nil {
		return refuseParcel(w, d.Messages, err)
	}
	got, err := d.Desk.Receive(r.Context(), documents.Arrival{Message: r.PathValue("copy"), Receiver: r.URL.Query().Get("to"), Payload: payload, At: d.Now()})
	if err != nil {
		return refuseParcel(w, d.Messages, err)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"document": got.Document, "repeated": got.Repeated})
}

// axisEvents maps events of receipts to those of the desk.
func axisEvents(e string) (documents.AxisEvent, bool) {
	switch receipt.Event(e) {
	case receipt.Delivered:
		return documents.AxisDelivered, true
	case receipt.Opened:
		return documents.AxisOpened, true
	case receipt.Refused:
		return documents.AxisFailed, true
	default:
		return "", false
	}
}

func (d *Desk) news(w http.ResponseWriter, r *http.Request) error {
	var n News
	if err := readJSON(r.Body, &n); err != nil {
		return refuseParcel(w, d.Messages, err)
	}
	event, ok := axisEvents(n.Event)
	if !ok || n.ID == "" {
		return refuseParcel(w, d.Messages, errs.E(errs.Invalid, "documentsapi.unreadable", nil))
	}
	rows, err := d.Desk.Store.List(r.Context(), documents.Query{Office: n.From, Direction: documents.Out, DocumentID: n.DocumentID, Limit: 1})
	if err != nil {
		return err
	}
	if len(rows) == 0 { // such as one that was sent by another system of this agency
		return writeJSON(w, http.StatusOK, map[string]any{})
	}
	file, err := d.keepReceipt(n.Receipt)
	if err != nil {
		return refuseParcel(w, d.Messages, err)
	}
	err = d.Desk.HearAxis(r.Context(), documents.AxisNews{
		ID: n.ID, Carriage: rows[0].ID + "." + n.DocID, Event: event, Receiver: n.Receiver, DocID: n.DocID, At: n.At, Text: n.Text, Receipt: file,
	})
	if err != nil {
		return refuseParcel(w, d.Messages, err)
	}
	return writeJSON(w, http.StatusOK, map[string]any{})
}

// keepReceipt makes a receipt file of a signed receipt and this node's directory, and stores it. What does not look like a
// receipt is refused; an empty one is none.
func (d *Desk) keepReceipt(jws string) (sha string, err error) {
	if jws == "" {
		return "", nil
	}
	b, err := receipt.File{JWS: []byte(jws), Directory: d.Directory()}.Marshal()
	if err != nil {
		return "", err
	}
	if _, err := receipt.Parse(b); err != nil {
		return "", err
	}
	blob, err := d.Courier.Blobs.Put(bytes.NewReader(b))
	return blob.SHA256, err
}

// Ended queues what became of a message to the axis, in the transaction that records it; [Desk.Outcome] tells the desk.
func (d *Desk) Ended(ctx context.Context, tx outbox.Querier, o Outcome) error {
	if o.Kind != KindSent {
		return nil
	}
	return outbox.AddJSON(ctx, tx, d.Now(), TopicOutcome+":"+o.Ref, TopicOutcome, "", sentOutcome{Ref: o.Ref, Answered: o.Answered, Refused: o.Refused, Answer: o.Answer, At: d.Now()})
}

type sentOutcome struct {
	Ref      string    `json:"ref"`
	Answered bool      `json:"answered"`
	Refused  bool      `json:"refused"`
	Answer   []byte    `json:"answer"`
	At       time.Time `json:"at"`
}

// Outcome tells the desk what became of a message to the axis; it is the outbox handler of [TopicOutcome].
func (d *Desk) Outcome(ctx context.Context, m outbox.Message) error {
	var o sentOutcome
	if err := json.Unmarshal(m.Payload, &o); err != nil {
		return outbox.Permanent(err)
	}
	kind, carriage, err := splitRef(o.Ref)
	if err != nil {
		return outbox.Permanent(err)
	}
	if kind == documents.KindOpened {
		return nil // whether the axis heard it changes nothing here
	}
	n := documents.AxisNews{ID: "sent " + carriage, Carriage: carriage, At: o.At}
	switch {
	case o.Answered:
		var t Taken
		if err := json.Unmarshal(o.Answer, &t); err != nil {
			return outbox.Permanent(err)
		}
		n.Event, n.DocID, n.Warnings = documents.AxisAccepted, t.DocID, t.Warnings
		if n.Receipt, err = d.keepReceipt(t.Receipt); err != nil {
			return err
		}
	case o.Refused:
		var p problem
		_ = json.Unmarshal(o.Answer, &p) // a refusal of the exchange itself has other words
		n.Event, n.Code, n.Text = documents.AxisRefused, p.Code, Outcome{Refused: true, Answer: o.Answer}.text()
	default:
		n.Event, n.Text = documents.AxisFailed, Outcome{}.text()
	}
	if kind == "status" && o.Answered {
		return nil // the desk keeps no tracks of what it reports
	}
	return d.Desk.HearAxis(ctx, n)
}

// Offices lists the codes of the offices this desk keeps, for the axis to know whose agencies they are.
func (d *Desk) Offices() []string {
	out := make([]string, 0, len(d.Desk.Offices))
	for _, o := range d.Desk.Offices {
		out = append(out, o.Code)
	}
	slices.Sort(out)
	return out
}
