package services

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"truc/internal/errs"
)

// Kinds of messages whose outcome the portal wants to hear of.
const (
	KindSubmission = "services.submission"
	KindPaper      = "services.paper"
)

const (
	// filingLife is how long a filing may be on its way: an agency that is away does not lose what was filed in time.
	filingLife = 90 * 24 * time.Hour

	basisSubmission = "Điều 15 Nghị định 224/2026/NĐ-CP"
)

// postFiling posts a filing to its agency, the papers first, then the submission that names them. What follows about the
// filing has the same order and so waits until the agency has it.
func (p *Portal) postFiling(ctx context.Context, tx PortalTx, f Filing) error {
	service, err := p.serviceOf(f.Agency)
	if err != nil {
		return err
	}
	paper := PostMessage{ID: f.ID, To: service, Kind: KindPaper, Ref: f.ID, Life: filingLife, Dossier: f.ID}
	if err := p.postPapers(ctx, tx, f, paper, f.Submission.Papers); err != nil {
		return err
	}
	body, err := json.Marshal(f.Submission)
	if err != nil {
		return err
	}
	return p.post(ctx, tx, f, PostMessage{
		ID: "submit:" + f.ID, To: service, Path: "/submissions", ContentType: "application/json", Body: body, Kind: KindSubmission, Ref: f.ID, Life: filingLife,
		Dossier: f.ID,
	})
}

// postMessage posts a message about a filing. One that the agency refuses does not hold up the next.
func (p *Portal) postMessage(ctx context.Context, tx PortalTx, f Filing, m Message) error {
	service, err := p.serviceOf(f.Agency)
	if err != nil {
		return err
	}
	dossier := orElse(f.Number, f.ID)
	if err := p.postPapers(ctx, tx, f, PostMessage{ID: m.ID, To: service, Skip: true, Life: filingLife, Dossier: dossier}, m.Papers); err != nil {
		return err
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return p.post(ctx, tx, f, PostMessage{
		ID: m.ID, To: service, Path: "/messages", ContentType: "application/json", Body: body, Skip: true, Life: filingLife, Dossier: dossier,
	})
}

// postPapers posts the bytes of papers, each as a message like the one given.
func (p *Portal) postPapers(ctx context.Context, tx PortalTx, f Filing, like PostMessage, papers []PaperRef) error {
	id := like.ID
	like.Path = "/papers"
	for _, paper := range papers {
		if paper.SHA256 == "" {
			continue
		}
		content, media, err := p.Store.Blob(ctx, paper.SHA256)
		if err != nil {
			return err
		}
		like.ID, like.ContentType, like.Body = "paper:"+id+":"+paper.SHA256, media, content
		if err := p.post(ctx, tx, f, like); err != nil {
			return err
		}
	}
	return nil
}

// post completes a message with what all messages of a filing have in common.
func (p *Portal) post(ctx context.Context, tx PortalTx, f Filing, m PostMessage) error {
	m.From, m.Order, m.UserID, m.Activity, m.Basis = portalSubsystem, f.ID, "VN"+f.Owner, "submission", basisSubmission
	return p.Post.Send(ctx, tx, m)
}

// Outcome hears what became of a filing's papers and submission, in the transaction that records it.
func (p *Portal) Outcome(ctx context.Context, tx PortalTx, o PostOutcome) error {
	f, err := tx.Filing(ctx, o.Ref)
	if err != nil {
		return err
	}
	var ack Ack
	answered := o.Status >= 200 && o.Status < 300
	switch {
	case f.Sync == SyncDelivered:
		return nil
	case answered && o.Kind != KindSubmission:
		return nil
	case answered:
		err = json.Unmarshal(o.Body, &ack)
		if err != nil {
			err = errs.E(errs.Unavailable, "services.exchange.garbled", err)
		}
	case o.Status == 0:
		err = errs.E(errs.Unavailable, "services.filing.undeliverable", errors.New("not delivered in time, or given up"))
	default:
		err = answerError(ExchangeAnswer{Status: o.Status, ContentType: o.ContentType, Body: o.Body})
	}
	if err != nil {
		key, _ := errs.KeyOf(err)
		f.Sync, f.SyncError = SyncRefused, key
		return tx.UpdateFiling(ctx, &f)
	}
	f.Sync, f.Number, f.SyncError = SyncDelivered, ack.Number, ""
	if f.LastSeq == 0 {
		f.State = ack.State
	}
	if len(f.Summary.Docs) == 0 {
		f.Summary.Docs = ack.Docs
	}
	f.Summary.Expected = ack.Expected
	return tx.UpdateFiling(ctx, &f)
}
