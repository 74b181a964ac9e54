package documentsapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"truc/internal/documents/axis"
	"truc/internal/documents/receipt"
	"truc/internal/errs"
	"truc/internal/jcs"
)

// Issuer meets [axis.Issuer]: it signs the receipt of a fact and, where the sender is a desk of a node, tells it.
type Issuer struct {
	Receipts *receipt.Service
	Courier  *Courier
}

// events maps facts of the axis to those of receipts.
func eventOf(e axis.Event) (receipt.Event, bool) {
	switch e {
	case axis.EvAccepted:
		return receipt.Accepted, true
	case axis.EvDelivered:
		return receipt.Delivered, true
	case axis.EvOpened:
		return receipt.Opened, true
	case axis.EvRefused, axis.EvFailed:
		return receipt.Refused, true
	default:
		return "", false
	}
}

// Issue implements [axis.Issuer].
func (i *Issuer) Issue(ctx context.Context, tx axis.Tx, f axis.Fact) (err error) {
	defer errs.Wrap(&err, "receipt of %s", f.Event)
	event, ok := eventOf(f.Event)
	if !ok {
		return nil
	}
	signed, err := i.Receipts.Issue(ctx, tx, receipt.Fact{
		Event: event, DocID: f.DocID, Copy: f.Copy, DocumentID: f.DocumentID, Kind: f.Kind, SHA256: f.Payload.SHA256, From: f.From, To: f.To, At: f.At, Journal: f.Hash, Reason: f.Note,
	})
	if err != nil || event == receipt.Accepted || len(signed) == 0 {
		return err
	}
	m, err := tx.Message(ctx, f.DocID)
	if err != nil {
		return err
	}
	sender, ok := m.Party.Subsystem()
	if !ok || m.Kind != axis.Document || len(f.To) != 1 {
		return nil
	}
	n := News{
		ID: f.Copy + "-" + string(f.Event), DocID: f.DocID, DocumentID: m.DocumentID, From: m.From, Receiver: f.To[0], Event: string(event), At: f.At, Text: f.Note, Receipt: string(signed),
	}
	body, err := jcs.Marshal(n)
	if err != nil {
		return err
	}
	return i.Courier.Post.Send(ctx, tx, Message{
		ID: "news-" + n.ID, From: i.Courier.Subsystem, To: sender.String() + "/inbox", Path: "/news", ContentType: "application/json", Body: body, Order: "news " + m.From, Life: Life,
		Kind: KindNews, Ref: n.ID,
	})
}

func splitRef(ref string) (id, party string, err error) {
	var n int
	if n, err = fmt.Sscanf(ref, "%s %s", &id, &party); err != nil || n != 2 {
		return "", "", errors.Join(err, errors.New("the message does not name a copy"))
	}
	return id, party, nil
}

// Of implements [axis.Issuer].
func (i *Issuer) Of(ctx context.Context, message, copyID string) ([]axis.Receipt, error) {
	list, err := i.Receipts.Of(ctx, message, copyID)
	out := make([]axis.Receipt, 0, len(list))
	for _, r := range list {
		out = append(out, axis.Receipt{
			ID: strconv.FormatInt(r.ID, 10), Event: axis.Event(r.Event), DocID: r.DocID, Copy: r.Copy, At: r.At, Signed: r.JWS, Stamped: r.Batch != 0,
		})
	}
	return out, err
}

// File implements [axis.Issuer].
func (i *Issuer) File(ctx context.Context, id string) ([]byte, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, errs.E(errs.NotFound, "receipt.unknown", err)
	}
	return i.Receipts.File(ctx, n)
}
