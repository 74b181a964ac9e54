package documents

import (
	"context"
	"io"
	"slices"
	"time"
)

// Limit returns the nearest limit of the law that runs, zero without one.
func (o *Outgoing) Limit() (time.Time, Clock) { return o.clock(o.Tracks()) }

// Limit returns the nearest limit that runs, zero without one.
func (in *Incoming) Limit() (time.Time, Clock) { return in.clock() }

// MaxAttachment is the largest separate file in bytes.
func (d *Desk) MaxAttachment() int64 { return d.Limits.filled().Attachment }

// SendLimit is the last moment at which a signed document may leave (Decision 28/2018/QĐ-TTg, article 6.2).
func (d *Desk) SendLimit(o *Outgoing) (time.Time, error) {
	if !o.SendBy.IsZero() {
		return o.SendBy, nil
	}
	return d.sendBy(d.now(), o.Form.Urgency)
}

// ReceiptOf opens a signed receipt of the axis about a document that the officer may see.
func (d *Desk) ReceiptOf(ctx context.Context, by Actor, id, sha string) (io.ReadSeekCloser, error) {
	out, _, err := d.outgoing(ctx, by, id)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(out.News, func(n AxisNews) bool { return n.Receipt == sha && sha != "" }) {
		return nil, errNotFound()
	}
	r, _, err := d.Blobs.Open(sha)
	return r, err
}
