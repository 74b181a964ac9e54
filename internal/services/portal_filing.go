package services

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/outbox"
	"truc/internal/reqctx"
	"truc/internal/services/bundle"
)

func splitList(s string) []string {
	var out []string
	for x := range strings.SplitSeq(s, ",") {
		if x = strings.TrimSpace(x); x != "" {
			out = append(out, x)
		}
	}
	return out
}

// Upload is a file that a person hands in. Media is what the bytes are, not what the browser says they are.
type Upload struct {
	Paper   string
	File    string
	Media   string
	Content []byte
}

// AddPaper adds an uploaded file to a draft.
func (p *Portal) AddPaper(ctx context.Context, who reqctx.Principal, id string, up Upload) (err error) {
	defer errs.Wrap(&err, "add paper")
	v, err := p.Draft(ctx, who, id)
	if err != nil {
		return err
	}
	needs, err := v.Procedure.Papers(v.Case, v.Facts)
	if err != nil {
		return errs.E(errs.Conflict, "services.submission.papers", err)
	}
	ref, err := p.keepUpload(ctx, needs, v.Draft.Body.Papers, up)
	if err != nil {
		return err
	}
	v.Draft.Body.Papers = append(v.Draft.Body.Papers, ref)
	v.Draft.UpdatedAt = p.Now()
	return p.Store.PutDraft(ctx, &v.Draft)
}

func (p *Portal) keepUpload(ctx context.Context, needs []bundle.PaperNeed, have []PaperRef, up Upload) (ref PaperRef, err error) {
	i := slices.IndexFunc(needs, func(n bundle.PaperNeed) bool { return n.ID == up.Paper && n.Form == "" })
	if i < 0 {
		return ref, errs.E(errs.NotFound, "services.paper.not_found", nil)
	}
	n := needs[i]
	limit := n.MaxBytes
	if limit == 0 {
		limit = 10 << 20
	}
	switch {
	case len(up.Content) == 0:
		return ref, errs.E(errs.Invalid, "services.paper.empty", nil)
	case int64(len(up.Content)) > limit:
		return ref, errs.E(errs.TooLarge, "services.paper.too_large", nil, "max", limit>>20)
	case len(n.Accept) > 0 && !slices.Contains(n.Accept, up.Media):
		return ref, errs.E(errs.Invalid, "services.paper.wrong_type", nil, "accept", mediaWords(n.Accept))
	}
	count := 0
	for _, h := range have {
		if h.ID == up.Paper {
			count++
		}
	}
	most := n.MaxFiles
	if most == 0 {
		most = 5
	}
	if count >= most {
		return ref, errs.E(errs.Conflict, "services.paper.too_many", nil, "max", most)
	}
	sum := sha256.Sum256(up.Content)
	sha := hex.EncodeToString(sum[:])
	if err := p.Store.PutBlob(ctx, sha, up.Media, up.Content, p.Now()); err != nil {
		return ref, err
	}
	return PaperRef{ID: up.Paper, Name: n.Name.In("vi"), File: clean(up.File, 120), SHA256: sha, Size: int64(len(up.Content)), Media: up.Media, Provenance: "uploaded"}, nil
}

func mediaWords(accept []string) string {
	words := map[string]string{"application/pdf": "PDF", "image/jpeg": "JPG", "image/png": "PNG"}
	out := make([]string, len(accept))
	for i, a := range accept {
		out[i] = a
		if w := words[a]; w != "" {
			out[i] = w
		}
	}
	return strings.Join(out, ", ")
}

// RemovePaper takes an uploaded file out of a draft.
func (p *Portal) RemovePaper(ctx context.Context, who reqctx.Principal, id, sha string) error {
	v, err := p.Draft(ctx, who, id)
	if err != nil {
		return err
	}
	v.Draft.Body.Papers = slices.DeleteFunc(v.Draft.Body.Papers, func(r PaperRef) bool { return r.SHA256 == sha })
	v.Draft.UpdatedAt = p.Now()
	return p.Store.PutDraft(ctx, &v.Draft)
}

// CheckView is what a person sees before submitting: everything, with its source, its cost and what is missing.
type CheckView struct {
	DraftView
	Rows     []bundle.AnswerRow
	Papers   []bundle.PaperNeed
	Quote    bundle.FeeQuote
	Problems []bundle.FieldProblem
	// Missing are required papers without a file.
	Missing  []bundle.PaperNeed
	Expected time.Time
}

// OK reports whether the draft can be submitted.
func (c *CheckView) OK() bool { return len(c.Problems) == 0 && len(c.Missing) == 0 }

// Check puts a draft together for the last look before submission.
func (p *Portal) Check(ctx context.Context, who reqctx.Principal, id, lang string) (c CheckView, err error) {
	defer errs.Wrap(&err, "check draft")
	c.DraftView, err = p.Draft(ctx, who, id)
	if err != nil {
		return c, err
	}
	c.Problems = c.Form.Validate(c.Facts)
	c.Rows = AnswerRows(c.Form, c.Facts, c.Draft.Body.Prefilled, Words{Lang: lang, Messages: p.Messages, Places: p.Places})
	if c.Papers, err = c.Procedure.Papers(c.Case, c.Facts); err != nil {
		return c, errs.E(errs.Conflict, "services.submission.papers", err)
	}
	for _, n := range c.Papers {
		if n.Required && n.Form == "" && !hasPaper(c.Draft.Body.Papers, n.ID) {
			c.Missing = append(c.Missing, n)
		}
	}
	if len(c.Problems) == 0 {
		if c.Quote, err = c.Procedure.Fee(c.Case, c.Facts); err != nil {
			return c, errs.E(errs.Conflict, "services.submission.fee", err)
		}
	}
	if res, err := p.Calendar().Due(p.Now(), RuleOf(c.Case.SLAFor(bundle.ChannelOnline).Legal), nil, nil); err == nil {
		c.Expected = res.Due.UTC()
	}
	return c, nil
}

// Submit turns a draft into a filing and hands it to the outbox. The identifier of the draft is the idempotency key:
// a second submission of the same draft returns the filing of the first.
func (p *Portal) Submit(ctx context.Context, who reqctx.Principal, id string) (f Filing, err error) {
	defer errs.Wrap(&err, "submit draft")
	if known, err := p.Filing(ctx, who, id); err == nil {
		return known, nil
	}
	c, err := p.Check(ctx, who, id, "vi")
	if err != nil {
		return f, err
	}
	if len(c.Problems) > 0 {
		return f, &FormError{Problems: c.Problems}
	}
	if len(c.Missing) > 0 {
		return f, errs.E(errs.Invalid, "services.submission.paper_missing", nil, "paper", c.Missing[0].Name.In(reqctx.Lang(ctx)))
	}
	if c.Unit.Unit == "" {
		return f, errs.E(errs.Conflict, "services.offer.not_found", nil)
	}
	now := p.Now()
	answers := c.Form.Clean(c.Facts)
	sub := Submission{
		FilingID: id, Procedure: c.Procedure.Code, VersionHash: c.Procedure.Hash, Case: c.Case.ID, Agency: c.Unit.Unit, Channel: bundle.ChannelOnline,
		Applicant: Applicant{
			PersonalID: who.ID, FullName: who.Name, BirthDate: c.Draft.Body.BirthDate, Level: who.Level, PolicyGroups: c.Draft.Body.PolicyGroups,
			Phone: answers.String("/contact/phone"), Email: answers.String("/contact/email"), Address: p.applicantAddress(answers),
		},
		Answers: answers, Prefilled: c.Draft.Body.Prefilled, Papers: c.Draft.Body.Papers, Fee: SnapshotFee(c.Quote), SubmittedAt: now, Lang: reqctx.Lang(ctx),
	}
	f = Filing{
		ID: id, Owner: who.ID, Procedure: sub.Procedure, VersionHash: sub.VersionHash, Agency: c.Unit.Agency, Unit: c.Unit.Unit, State: c.Procedure.Flow.Start,
		Sync: SyncQueued, Submission: sub, Summary: FilingSummary{FeeTotal: c.Quote.Total, Expected: c.Expected}, SubmittedAt: now, RowVersion: 1,
	}
	if c.Quote.Total > 0 && c.Quote.Due == "atReceipt" {
		f.Sync = SyncHeld
	}
	err = p.Store.InTx(ctx, func(tx PortalTx) error {
		if err := tx.InsertFiling(ctx, f); err != nil {
			return err
		}
		if err := tx.DeleteDraft(ctx, id); err != nil {
			return err
		}
		if f.Sync == SyncHeld {
			return nil
		}
		return tx.Enqueue(ctx, "submit:"+id, TopicSubmit, id, id)
	})
	if errs.Is(err, errs.Conflict) {
		return p.Filing(ctx, who, id)
	}
	return f, err
}

func (p *Portal) applicantAddress(a bundle.Answers) string {
	for _, ptr := range []bundle.Pointer{"/requester/address", "/requester/residence", "/delivery/address"} {
		v, ok := a.Get(ptr)
		if !ok {
			continue
		}
		if s, ok := v.(string); ok {
			return s
		}
		if m, ok := v.(map[string]any); ok {
			line, _ := m["line"].(string)
			commune, _ := m["commune"].(string)
			return p.Places.Address(line, commune)
		}
	}
	return ""
}

func (p *Portal) serviceOf(agency string) (string, error) {
	for _, a := range p.Agencies() {
		if a.Agency == agency {
			return a.Service, nil
		}
	}
	return "", errs.E(errs.Unavailable, "services.agency.unknown", nil, "agency", agency)
}

// SendFiling carries a filing to its agency: the papers first, then the submission that names them. It is the outbox
// handler of [TopicSubmit]; every step may be repeated.
func (p *Portal) SendFiling(ctx context.Context, id string) (err error) {
	defer errs.Wrap(&err, "send filing")
	f, err := p.Store.Filing(ctx, id)
	if err != nil {
		return err
	}
	if f.Sync == SyncDelivered {
		return nil
	}
	service, err := p.serviceOf(f.Agency)
	if err != nil {
		return err
	}
	if err := p.sendPapers(ctx, service, f.ID, f.Owner, f.Submission.Papers); err != nil {
		return err
	}
	var ack Ack
	err = sendJSON(ctx, p.Exchange, ExchangeCall{
		From: portalSubsystem, To: service, Method: "POST", Path: "/submissions", ID: "submit-" + f.ID, UserID: "VN" + f.Owner,
		Activity: "submission", Basis: "Điều 15 Nghị định 224/2026/NĐ-CP", Dossier: f.ID, Timeout: 30 * time.Second,
	}, f.Submission, &ack)
	if err != nil {
		if permanentFault(err) {
			return outbox.Permanent(errors.Join(err, p.markRefused(ctx, id, err)))
		}
		return err
	}
	return p.Store.InTx(ctx, func(tx PortalTx) error {
		f, err := tx.Filing(ctx, id)
		if err != nil {
			return err
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
	})
}

func (p *Portal) sendPapers(ctx context.Context, service, dossier, owner string, papers []PaperRef) error {
	for _, paper := range papers {
		if paper.SHA256 == "" {
			continue
		}
		content, media, err := p.Store.Blob(ctx, paper.SHA256)
		if err != nil {
			return err
		}
		answer, err := p.Exchange.Call(ctx, ExchangeCall{
			From: portalSubsystem, To: service, Method: "POST", Path: "/papers", ContentType: media, Body: content, UserID: "VN" + owner,
			Activity: "submission", Basis: "Điều 15 Nghị định 224/2026/NĐ-CP", Dossier: dossier, Timeout: time.Minute,
		})
		if err != nil {
			return err
		}
		if answer.Status/100 != 2 {
			return answerError(answer)
		}
	}
	return nil
}

func (p *Portal) markRefused(ctx context.Context, id string, cause error) error {
	key, _ := errs.KeyOf(cause)
	return p.Store.InTx(ctx, func(tx PortalTx) error {
		f, err := tx.Filing(ctx, id)
		if err != nil {
			return err
		}
		f.Sync, f.SyncError = SyncRefused, key
		return tx.UpdateFiling(ctx, &f)
	})
}

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
		return tx.Enqueue(ctx, m.ID, TopicMessage, id, m)
	})
}

// SendMessage carries a message to the agency; it is the outbox handler of [TopicMessage].
func (p *Portal) SendMessage(ctx context.Context, m Message) (err error) {
	defer errs.Wrap(&err, "send %s", m.Kind)
	f, err := p.Store.Filing(ctx, m.FilingID)
	if err != nil {
		return err
	}
	if f.Sync != SyncDelivered {
		return errs.E(errs.Unavailable, "services.filing.not_delivered", nil) // behind the filing, in order
	}
	service, err := p.serviceOf(f.Agency)
	if err != nil {
		return err
	}
	if err := p.sendPapers(ctx, service, f.ID, f.Owner, m.Papers); err != nil {
		return err
	}
	err = sendJSON(ctx, p.Exchange, ExchangeCall{
		From: portalSubsystem, To: service, Method: "POST", Path: "/messages", ID: m.ID, UserID: "VN" + f.Owner,
		Activity: "submission", Basis: "Điều 15 Nghị định 224/2026/NĐ-CP", Dossier: orElse(f.Number, f.ID), Timeout: 20 * time.Second,
	}, m, nil)
	if err != nil && permanentFault(err) {
		p.Log.WarnContext(ctx, "the agency refused a message for good", slog.String("kind", m.Kind), slog.Any("error", err))
		return outbox.Permanent(err)
	}
	return err
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
