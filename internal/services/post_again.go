package services

import (
	"context"

	"truc/internal/errs"
)

// Topics of the outbox under which releases before the exchange's own delivery queued what had to reach another agency. A
// database of such a release may still hold some: each is posted as it is today, by the methods below, and is then done.
const (
	OldTopicSubmit  = "services.submit"  // the id of a filing
	OldTopicMessage = "services.message" // a Message
	OldTopicNotice  = "services.notice"  // a Notice; its order is the dossier's id
)

// PostFilingAgain posts a filing that was queued under [OldTopicSubmit]. Repeated it does nothing, because messages have the
// same ids; NotFound when there is no such filing.
func (p *Portal) PostFilingAgain(ctx context.Context, id string) (err error) {
	defer errs.Wrap(&err, "post filing again")
	return p.Store.InTx(ctx, func(tx PortalTx) error {
		f, err := tx.Filing(ctx, id)
		if err != nil || f.Sync == SyncDelivered {
			return err
		}
		return p.postFiling(ctx, tx, f)
	})
}

// PostMessageAgain posts a message that was queued under [OldTopicMessage].
func (p *Portal) PostMessageAgain(ctx context.Context, m Message) (err error) {
	defer errs.Wrap(&err, "post message again")
	return p.Store.InTx(ctx, func(tx PortalTx) error {
		f, err := tx.Filing(ctx, m.FilingID)
		if err != nil {
			return err
		}
		return p.postMessage(ctx, tx, f, m)
	})
}

// PostNoticeAgain posts a notice that was queued under [OldTopicNotice] with its id and order.
func (d *Desk) PostNoticeAgain(ctx context.Context, id, dossier string, n Notice) (err error) {
	defer errs.Wrap(&err, "post notice again")
	return d.Store.InTx(ctx, func(tx DeskTx) error { return d.postNotice(ctx, tx, id, dossier, n) })
}
