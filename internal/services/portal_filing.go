package services

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/services/bundle"
)

// FilingView is a filing with its history.
type FilingView struct {
	Filing
	Procedure *bundle.Procedure
	Events    []Notice
	Payments  []Payment
	Answers   []bundle.AnswerRow
	UnitName  string
	// MayPay, MayRate, MayWithdraw and MustSupply say what the person can do now.
	MayPay, MayRate, MayWithdraw, MustSupply bool
	// PaymentOpen: the provider has not said yet what became of a payment.
	PaymentOpen bool
}

// Result returns the signed result, when there is one.
func (v *FilingView) Result() (DocumentRef, bool) {
	for _, doc := range slices.Backward(v.Summary.Docs) {
		if doc.Kind == DocResult {
			return doc, true
		}
	}
	return DocumentRef{}, false
}

// Filing returns a filing of the person by its id or number.
func (p *Portal) Filing(ctx context.Context, who reqctx.Principal, ref string) (Filing, error) {
	f, err := p.Store.Filing(ctx, ref)
	if err != nil {
		return f, err
	}
	if f.Owner != who.ID || who.ID == "" {
		return Filing{}, errs.E(errs.NotFound, "services.filing.not_found", nil)
	}
	return f, nil
}

// Filings lists the person's filings, the newest first.
func (p *Portal) Filings(ctx context.Context, who reqctx.Principal) ([]Filing, error) {
	return p.Store.Filings(ctx, who.ID)
}

// View returns a filing of the person with its history and what can be done.
func (p *Portal) View(ctx context.Context, who reqctx.Principal, ref, lang string) (v FilingView, err error) {
	defer errs.Wrap(&err, "view filing")
	if v.Filing, err = p.Filing(ctx, who, ref); err != nil {
		return v, err
	}
	return p.fillView(ctx, v, lang)
}

func (p *Portal) fillView(ctx context.Context, v FilingView, lang string) (FilingView, error) {
	var err error
	if v.Events, err = p.Store.FilingEvents(ctx, v.ID); err != nil {
		return v, err
	}
	if v.Payments, err = p.Store.Payments(ctx, v.ID); err != nil {
		return v, err
	}
	paid := int64(0)
	for _, x := range v.Payments {
		switch x.State {
		case PayConfirmed:
			paid += x.Amount
		case PayCreated, PayStarted:
			v.PaymentOpen = true
		default: // failed, cancelled, expired: as if never tried
		}
	}
	v.Summary.FeePaid = max(v.Summary.FeePaid, paid)
	v.Procedure = p.Library.At(v.VersionHash)
	if v.Procedure == nil {
		return v, errs.E(errs.Internal, "services.procedure.version_lost", errNoProcedure)
	}
	v.UnitName = v.Unit
	if offers, err := p.Store.Offers(ctx); err == nil {
		for _, o := range offers {
			if o.Unit == v.Unit {
				v.UnitName = o.UnitName
			}
		}
	}
	facts := submissionFacts(&v.Submission, v.SubmittedAt)
	if c := v.Procedure.CaseByID(v.Submission.Case); c != nil {
		v.Answers = AnswerRows(v.Procedure.Form(c), facts, v.Submission.Prefilled, Words{Lang: lang, Messages: p.Messages, Places: p.Places})
	}
	fl := flowOf{v.Procedure}
	v.MayPay = v.Summary.FeePaid < v.Summary.FeeTotal && !fl.Done(v.State)
	v.MustSupply = v.Summary.Supplement != nil && !v.Summary.Answered && fl.Paused(v.State)
	_, hasResult := v.Result()
	v.MayRate = v.Summary.Rated == 0 && (hasResult || fl.Done(v.State)) && v.Sync == SyncDelivered && !v.Summary.Withdrawn
	facts.Dossier.State = v.State
	for _, n := range v.Events { // what may be done in a pause depends on where the dossier was before it
		if !fl.Paused(n.State) {
			facts.Dossier.Previous = n.State
		}
	}
	if v.Sync == SyncDelivered && !v.Summary.Withdrawn {
		for _, a := range v.Procedure.Allowed(facts, bundle.ByApplicant) {
			if s := v.Procedure.Flow.State(a.To); a.ForRole && a.Allowed && s != nil && s.National == 7 {
				v.MayWithdraw = true
			}
		}
	}
	return v, nil
}

// Track returns a filing to somebody who is not signed in but knows its number and the last four digits of the
// applicant's personal number. The caller limits the rate of attempts. Names and papers are left out.
func (p *Portal) Track(ctx context.Context, number, lastDigits, lang string) (v FilingView, err error) {
	wrong := errs.E(errs.NotFound, "services.track.not_found", nil)
	f, err := p.Store.Filing(ctx, strings.ToUpper(strings.TrimSpace(number)))
	if errs.Is(err, errs.NotFound) {
		return v, wrong
	}
	if err != nil {
		return v, err
	}
	if len(f.Owner) < 4 || len(lastDigits) != 4 || subtle.ConstantTimeCompare([]byte(f.Owner[len(f.Owner)-4:]), []byte(lastDigits)) != 1 || f.Number == "" {
		return v, wrong
	}
	v, err = p.fillView(ctx, FilingView{Filing: f}, lang)
	if err != nil {
		return v, err
	}
	v.Answers, v.Summary.Docs, v.Submission = nil, nil, Submission{Case: f.Submission.Case}
	v.MayPay, v.MayRate, v.MayWithdraw = false, false, false
	return v, nil
}

// Supply answers a supplement request with files and a note.
func (p *Portal) Supply(ctx context.Context, who reqctx.Principal, ref string, uploads []Upload, note string) (err error) {
	defer errs.Wrap(&err, "answer supplement")
	v, err := p.View(ctx, who, ref, "vi")
	if err != nil {
		return err
	}
	if !v.MustSupply {
		return errs.E(errs.Conflict, "services.supplement.not_asked", nil)
	}
	needs := supplementNeeds(v.Procedure, v.Filing)
	var papers []PaperRef
	for _, up := range uploads {
		ref, err := p.keepUpload(ctx, needs, papers, up)
		if err != nil {
			return err
		}
		papers = append(papers, ref)
	}
	note = clean(note, 2000)
	if len(papers) == 0 && note == "" {
		return errs.E(errs.Invalid, "services.supplement.empty", nil)
	}
	seq := v.Summary.Supplement.Seq
	return p.send(ctx, v.ID, Message{ID: fmt.Sprintf("supplement:%s:%d", v.ID, seq), Kind: "supplement", Papers: papers, Note: note}, func(f *Filing) { f.Summary.Answered = true })
}

// supplementNeeds are the papers that may be handed in later: those of the procedure, and "other".
func supplementNeeds(proc *bundle.Procedure, f Filing) []bundle.PaperNeed {
	c := proc.CaseByID(f.Submission.Case)
	var out []bundle.PaperNeed
	if c != nil {
		for _, paper := range c.Papers {
			if paper.Form == "" {
				out = append(out, bundle.PaperNeed{ID: paper.ID, Name: paper.Name, Accept: paper.Accept, MaxBytes: paper.MaxBytes, MaxFiles: paper.MaxFiles})
			}
		}
	}
	return append(out, bundle.PaperNeed{
		ID: "other", Name: i18n.Text{"vi": "Giấy tờ khác", "en": "Other paper"},
		Accept: []string{"application/pdf", "image/jpeg", "image/png"}, MaxBytes: 10 << 20,
	})
}

// SupplementNeeds lists the papers a person may add when asked for more.
func (p *Portal) SupplementNeeds(v FilingView) []bundle.PaperNeed {
	return supplementNeeds(v.Procedure, v.Filing)
}

// Withdraw takes a filing back.
func (p *Portal) Withdraw(ctx context.Context, who reqctx.Principal, ref, reason string) error {
	v, err := p.View(ctx, who, ref, "vi")
	if err != nil {
		return err
	}
	if !v.MayWithdraw {
		return errs.E(errs.Conflict, "services.withdraw.too_late", nil)
	}
	return p.send(ctx, v.ID, Message{ID: "withdraw:" + v.ID, Kind: "withdraw", Note: clean(reason, 1000)}, func(f *Filing) { f.Summary.Withdrawn = true })
}

// Rate gives one to five stars, once.
func (p *Portal) Rate(ctx context.Context, who reqctx.Principal, ref string, stars int, comment string) error {
	v, err := p.View(ctx, who, ref, "vi")
	if err != nil {
		return err
	}
	if stars < 1 || stars > 5 {
		return errs.E(errs.Invalid, "services.rating.stars", nil)
	}
	if !v.MayRate {
		return errs.E(errs.Conflict, "services.rating.once", nil)
	}
	return p.send(ctx, v.ID, Message{ID: "rating:" + v.ID, Kind: "rating", Stars: stars, Note: clean(comment, 1000)}, func(f *Filing) { f.Summary.Rated = stars })
}

// send queues a message to the agency and keeps what the person did in the same transaction. Messages of one filing
// travel in order, behind the filing itself.
func (p *Portal) send(ctx context.Context, id string, m Message, change func(*Filing)) error {
	m.FilingID, m.At = id, p.Now()
	return p.Store.InTx(ctx, func(tx PortalTx) error {
		f, err := tx.Filing(ctx, id)
		if err != nil {
			return err
		}
		change(&f)
		if err := tx.UpdateFiling(ctx, &f); err != nil {
			return err
		}
		return p.postMessage(ctx, tx, f, m)
	})
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// HandleNotice keeps what an agency says about a filing. Only the agency that handles the filing may say it; a
// notice that was heard before, or is older than what is known, changes nothing but the history.
func (p *Portal) HandleNotice(ctx context.Context, caller reqctx.Caller, n Notice) (err error) {
	defer errs.Wrap(&err, "notice")
	return p.Store.InTx(ctx, func(tx PortalTx) error {
		f, err := tx.Filing(ctx, n.FilingID)
		if err != nil {
			return err
		}
		if f.ID != n.FilingID || caller.Agency != f.Agency {
			return errs.E(errs.Denied, "services.notice.other_agency", nil)
		}
		added, err := tx.AddNotice(ctx, n)
		if err != nil || !added {
			return err
		}
		if n.Type == EvSupplementRequested {
			ask := n
			f.Summary.Supplement, f.Summary.Answered = &ask, false
		}
		if n.Seq <= f.LastSeq {
			return tx.UpdateFiling(ctx, &f)
		}
		f.LastSeq, f.Number, f.State, f.Due = n.Seq, n.Number, n.State, n.Due
		f.Summary.Paused, f.Summary.Final = n.Paused, n.Final
		f.Summary.FeeTotal, f.Summary.FeePaid = n.FeeTotal, n.FeePaid
		f.Summary.Docs = n.Docs
		if n.Type == EvSupplementReceived {
			f.Summary.Supplement, f.Summary.Answered = nil, false
		}
		return tx.UpdateFiling(ctx, &f)
	})
}

// Download fetches a document of the person's filing from the agency. The bytes must have the hash that the agency
// told before.
func (p *Portal) Download(ctx context.Context, who reqctx.Principal, ref, id string) (doc DocumentRef, content []byte, err error) {
	defer errs.Wrap(&err, "download")
	f, err := p.Filing(ctx, who, ref)
	if err != nil {
		return doc, nil, err
	}
	i := slices.IndexFunc(f.Summary.Docs, func(d DocumentRef) bool { return d.ID == id })
	if i < 0 {
		return doc, nil, errs.E(errs.NotFound, "services.document.not_found", nil)
	}
	doc = f.Summary.Docs[i]
	service, err := p.serviceOf(f.Agency)
	if err != nil {
		return doc, nil, err
	}
	answer, err := p.Exchange.Call(ctx, ExchangeCall{
		From: portalSubsystem, To: service, Method: "GET", Path: "/documents/" + url.PathEscape(f.ID) + "/" + url.PathEscape(id), UserID: "VN" + f.Owner,
		Activity: "submission", Basis: "Điều 15 Nghị định 224/2026/NĐ-CP", Dossier: f.Number, Timeout: 30 * time.Second,
	})
	if err != nil {
		return doc, nil, err
	}
	if answer.Status != 200 {
		return doc, nil, answerError(answer)
	}
	sum := sha256.Sum256(answer.Body)
	if hex.EncodeToString(sum[:]) != doc.SHA256 {
		return doc, nil, errs.E(errs.Unavailable, "services.document.changed", errors.New("bytes differ from the announced hash"))
	}
	return doc, answer.Body, nil
}
