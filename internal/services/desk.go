package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"truc/internal/adminunits"
	"truc/internal/calendar"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/services/bundle"
)

// Desk is the agency's side: it receives dossiers over the exchange and lets officers work on them.
type Desk struct {
	Store    DeskStore
	Library  *Library
	Calendar func() *calendar.Calendar
	Exchange Exchange
	Post     Post
	Sign     Signatures
	Audit    Audit
	Messages *i18n.Catalogue
	Places   *adminunits.Units
	Now      func() time.Time
	Log      *slog.Logger
	// Agency is the member this desk belongs to, such as {Code: "H36", Name: "UBND tỉnh Lâm Đồng"}.
	Agency Office
	// Units receive dossiers; the first is the default.
	Units []Office
	// Offers are the codes of the procedures that the units offer.
	Offers []string
	// Registers maps "civilstatus/event" to the five-segment identifier of the service.
	Registers map[string]string
	// Portal is the identifier of the portal's notice service.
	Portal string
	// PublicURL is the portal's address for QR codes: PublicURL + "/track?number=" + number.
	PublicURL string
	// Place is written before dates on letters.
	Place string
	// OfficerTitle returns the position of an officer, "Phó Giám đốc"; nil or "" takes the word of the role.
	OfficerTitle func(account string) string
}

// TopicConfirmation is the outbox topic of slips that the desk has to issue.
const TopicConfirmation = "services.confirmation"

// Catalogue lists what this agency offers.
func (d *Desk) Catalogue() []CatalogueItem {
	items := []CatalogueItem{}
	for _, code := range d.Offers {
		if p := d.Library.Current(code); p != nil {
			items = append(items, CatalogueItem{Procedure: code, VersionHash: p.Hash, Version: p.Version.ID, Mode: p.Service.Mode, Units: d.Units})
		}
	}
	return items
}

// PutPaper stores the bytes of a paper ahead of the submission that names it. It returns the SHA-256.
func (d *Desk) PutPaper(ctx context.Context, media string, content []byte) (string, error) {
	if len(content) == 0 {
		return "", errs.E(errs.Invalid, "services.paper.empty", nil)
	}
	sum := sha256.Sum256(content)
	sha := hex.EncodeToString(sum[:])
	return sha, d.Store.PutBlob(ctx, sha, media, content, d.Now())
}

func (d *Desk) unit(code string) (Office, bool) {
	for _, u := range d.Units {
		if u.Code == code {
			return u, true
		}
	}
	return Office{}, false
}

// Submit accepts a filing. It checks everything again, because the other side may be any client of the exchange:
// the form, the papers, the fee. The same filing twice gives the same answer. The number is given in the
// transaction of the event that needs it; without a number there is no dossier.
func (d *Desk) Submit(ctx context.Context, sub Submission) (ack Ack, err error) {
	defer errs.Wrap(&err, "submit %s", sub.Procedure)
	if known, err := d.Store.Find(ctx, sub.FilingID); err == nil {
		if known.Submission.FilingID != sub.FilingID { // somebody else's number is no filing id
			return ack, errs.E(errs.Invalid, "services.submission.incomplete", errors.New("filing id of another kind"))
		}
		return d.ack(ctx, known)
	} else if !errs.Is(err, errs.NotFound) {
		return ack, err
	}
	proc, unit, err := d.checkSubmission(ctx, &sub)
	if err != nil {
		return ack, err
	}
	now := d.Now()
	dossier := &Dossier{
		ID: newID(), Submission: sub, ReceivedAgency: unit.Code, CompetentAgency: unit.Code, CurrentAgency: unit.Code,
		FeeTotal: sub.Fee.Total, Papers: sub.Papers, Digitisation: "digital",
	}
	first := Event{Seq: 1, Type: EvSubmitted, At: now, To: proc.Flow.Start, Actor: "applicant", ActorRole: bundle.ByApplicant, Agency: unit.Code, Data: EventData{Channel: sub.Channel}}
	if err := first.Seal(""); err != nil {
		return ack, err
	}
	err = d.Store.InTx(ctx, func(tx DeskTx) error {
		day := now.In(i18n.Zone).Format("060102")
		n, err := tx.NextNumber(ctx, unit.Code, day)
		if err != nil {
			return err
		}
		fresh := *dossier
		fresh.Number = fmt.Sprintf("%s-%s-%04d", unit.Code, day, n)
		fresh.Apply(first, flowOf{proc})
		row := rowOf(&fresh)
		row.Version = 0
		if err := tx.Insert(ctx, row, sub); err != nil {
			return err
		}
		*dossier = fresh
		return d.record(ctx, tx, dossier, proc, 0, []Event{first})
	})
	if errs.Is(err, errs.Conflict) { // two deliveries of one filing met
		if known, findErr := d.Store.Find(ctx, sub.FilingID); findErr == nil {
			return d.ack(ctx, known)
		}
	}
	if err != nil {
		return ack, err
	}
	if err := d.IssueConfirmation(ctx, dossier.ID); err != nil {
		d.Log.WarnContext(ctx, "confirmation slip will be issued later", slog.Any("error", err))
	}
	known, err := d.Store.Find(ctx, dossier.ID)
	if err != nil {
		return ack, err
	}
	return d.ack(ctx, known)
}

func (d *Desk) ack(_ context.Context, s StoredDossier) (Ack, error) {
	dossier, proc, err := d.fold(s)
	if err != nil {
		return Ack{}, err
	}
	ack := Ack{Number: s.Number, AcceptedAt: dossier.SubmittedAt, State: dossier.State, Docs: publicDocs(dossier)}
	if c := proc.CaseByID(s.Submission.Case); c != nil {
		if res, err := d.Calendar().Due(d.Now(), RuleOf(c.SLAFor(s.Submission.Channel).Legal), nil, nil); err == nil {
			ack.Expected = res.Due.UTC()
		}
	}
	return ack, nil
}

// checkSubmission refuses what the portal should never have sent, and replaces what the desk knows better.
func (d *Desk) checkSubmission(ctx context.Context, sub *Submission) (*bundle.Procedure, Office, error) {
	if sub.FilingID == "" || len(sub.FilingID) > 64 || sub.Applicant.PersonalID == "" || sub.Applicant.FullName == "" {
		return nil, Office{}, errs.E(errs.Invalid, "services.submission.incomplete", nil)
	}
	unit, ok := d.unit(sub.Agency)
	if !ok {
		return nil, Office{}, errs.E(errs.NotFound, "services.submission.unit_unknown", nil, "unit", sub.Agency)
	}
	proc := d.Library.At(sub.VersionHash)
	if proc == nil || proc.Code != sub.Procedure {
		return nil, Office{}, errs.E(errs.Conflict, "services.submission.version_unknown", errNoProcedure, "procedure", sub.Procedure)
	}
	facts := submissionFacts(sub, d.Now())
	c, err := proc.Case(facts)
	if err != nil {
		return nil, Office{}, errs.E(errs.Invalid, "services.submission.case", err)
	}
	sub.Case = c.ID
	if form := proc.Form(c); form != nil {
		if bad := form.Validate(facts); len(bad) > 0 {
			return nil, Office{}, errs.E(errs.Invalid, bad[0].Key, fmt.Errorf("answer %s", bad[0].Ptr), bad[0].ArgsIn(reqctx.Lang(ctx))...)
		}
	}
	if err := d.checkPapers(ctx, proc, c, facts, sub); err != nil {
		return nil, Office{}, err
	}
	quote, err := proc.Fee(c, facts)
	if err != nil {
		return nil, Office{}, errs.E(errs.Invalid, "services.submission.fee", err)
	}
	sub.Fee = SnapshotFee(quote)
	if sub.SubmittedAt.IsZero() {
		sub.SubmittedAt = d.Now()
	}
	return proc, unit, nil
}

func (d *Desk) checkPapers(ctx context.Context, proc *bundle.Procedure, c *bundle.Case, facts bundle.Facts, sub *Submission) error {
	needs, err := proc.Papers(c, facts)
	if err != nil {
		return errs.E(errs.Invalid, "services.submission.papers", err)
	}
	for _, n := range needs {
		if !n.Required || n.Form != "" {
			continue
		}
		if !hasPaper(sub.Papers, n.ID) {
			return errs.E(errs.Invalid, "services.submission.paper_missing", nil, "paper", n.Name.In("vi"))
		}
	}
	for _, p := range sub.Papers {
		if p.SHA256 == "" {
			continue
		}
		if _, _, err := d.Store.Blob(ctx, p.SHA256); err != nil {
			return errs.E(errs.Invalid, "services.submission.paper_bytes", err, "paper", p.Name)
		}
	}
	return nil
}

func hasPaper(papers []PaperRef, id string) bool {
	for _, p := range papers {
		if p.ID == id {
			return true
		}
	}
	return false
}

// SnapshotFee keeps a quote with the filing.
func SnapshotFee(q bundle.FeeQuote) FeeSnapshot {
	s := FeeSnapshot{Total: q.Total, Due: q.Due}
	for _, l := range q.Lines {
		s.Lines = append(s.Lines, FeeLine{Code: l.Code, Kind: l.Kind, Name: l.Name.In("vi"), Amount: l.Amount})
	}
	for _, x := range q.Exemptions {
		if x.Applied {
			s.Exempt = x.Text.In("vi")
		}
	}
	return s
}

// submissionFacts is what the rules may know of a filing.
func submissionFacts(sub *Submission, now time.Time) bundle.Facts {
	at := sub.SubmittedAt
	if at.IsZero() {
		at = now
	}
	return bundle.Facts{
		Answers: sub.Answers,
		Prefill: prefillStates(sub.Prefilled),
		Person:  bundle.PersonFacts{Kind: "citizen", PolicyGroups: sub.Applicant.PolicyGroups, Level: sub.Applicant.Level, Age: age(sub.Applicant.BirthDate, at)},
		Fee:     bundle.FeeFacts{Total: sub.Fee.Total, Due: sub.Fee.Due, Paid: sub.Fee.Total == 0},
		Dossier: bundle.DossierFacts{Channel: sub.Channel, Date: at.In(i18n.Zone).Format(time.DateOnly)},
	}
}

// prefillStates groups the outcome per source: a group is ok when every value it was asked for came.
func prefillStates(values []Prefilled) map[string]bundle.PrefillState {
	out := map[string]bundle.PrefillState{}
	for _, v := range values {
		group := v.Group
		st, seen := out[group]
		if !seen || st.Status == string(PrefillOK) {
			st = bundle.PrefillState{Status: string(v.Status), At: v.At}
		}
		out[group] = st
	}
	return out
}

func age(birth string, at time.Time) int {
	if len(birth) < 4 {
		return 0
	}
	t, err := time.Parse(time.DateOnly, birth)
	if err != nil {
		if t, err = time.Parse("2006", birth[:4]); err != nil {
			return 0
		}
	}
	n := at.Year() - t.Year()
	if at.YearDay() < t.YearDay() {
		n--
	}
	return n
}

// fold rebuilds a dossier from what is stored.
func (d *Desk) fold(s StoredDossier) (*Dossier, *bundle.Procedure, error) {
	proc := d.Library.At(s.Submission.VersionHash)
	if proc == nil {
		return nil, nil, errs.E(errs.Internal, "services.procedure.version_lost", errNoProcedure)
	}
	dossier := &Dossier{
		ID: s.ID, Number: s.Number, Submission: s.Submission,
		ReceivedAgency: s.Row.ReceivedAgency, CompetentAgency: s.Row.CompetentAgency, CurrentAgency: s.Row.CurrentAgency,
		FeeTotal: s.Submission.Fee.Total, Papers: append([]PaperRef(nil), s.Submission.Papers...), Digitisation: "digital",
	}
	for _, e := range s.Events {
		dossier.Apply(e, flowOf{proc})
	}
	if err := d.setDue(dossier, proc, s.Events); err != nil {
		return nil, nil, err
	}
	return dossier, proc, nil
}

func (d *Desk) setDue(dossier *Dossier, proc *bundle.Procedure, events []Event) error {
	c := proc.CaseByID(dossier.Submission.Case)
	if c == nil {
		return errs.E(errs.Internal, "services.procedure.case_lost", fmt.Errorf("case %q", dossier.Submission.Case))
	}
	res, err := Clock(d.Calendar(), c.SLAFor(dossier.Submission.Channel), events)
	if err != nil {
		return err
	}
	dossier.Due = res.Due
	return nil
}

func rowOf(d *Dossier) Row {
	s := d.Submission
	return Row{
		ID: d.ID, Number: d.Number, FilingID: s.FilingID, Procedure: s.Procedure, VersionHash: s.VersionHash, Case: s.Case,
		ReceivedAgency: d.ReceivedAgency, CompetentAgency: d.CompetentAgency, CurrentAgency: d.CurrentAgency, Channel: s.Channel,
		ApplicantID: s.Applicant.PersonalID, ApplicantName: s.Applicant.FullName,
		SearchFold: i18n.Fold(d.Number + " " + s.Applicant.FullName),
		State:      d.State, Finance: d.Finance, Digitisation: d.Digitisation, Delivery: d.Delivery, Assignee: d.Assignee,
		SubmittedAt: d.SubmittedAt, ReceivedAt: d.ReceivedAt, Due: d.Due, PausedSince: d.PausedSince,
		FinishedAt: d.FinishedAt, ReturnedAt: d.ReturnedAt, Final: d.Final, Version: d.Version,
	}
}

// postNotice tells the portal. Notices of a dossier arrive in order; one that the portal refuses does not hold up the next.
func (d *Desk) postNotice(ctx context.Context, tx DeskTx, id, dossier string, n Notice) error {
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return d.Post.Send(ctx, tx, PostMessage{
		ID: id, From: "onestop", To: d.Portal, Path: "/", ContentType: "application/json", Body: body, Order: dossier, Skip: true, Life: filingLife,
		Activity: "dossier-status", Basis: "Điều 15.1.g Nghị định 224/2026/NĐ-CP", Dossier: n.Number,
	})
}

// record appends sealed events, replaces the projection and puts the notices and facts that follow from them into
// the same transaction. dossier already holds the events.
func (d *Desk) record(ctx context.Context, tx DeskTx, dossier *Dossier, proc *bundle.Procedure, oldVersion int64, events []Event) (err error) {
	if err := tx.Append(ctx, rowOf(dossier), oldVersion, events); err != nil {
		return err
	}
	for _, e := range events {
		if !publicEvent(e.Type) {
			continue
		}
		n := d.notice(dossier, proc, e)
		if err := d.postNotice(ctx, tx, "notice:"+dossier.ID+":"+fmt.Sprint(e.Seq), dossier.ID, n); err != nil {
			return err
		}
	}
	if events[0].Type == EvSubmitted { // Submit issues the slip itself; this is for a process killed in between
		if err := tx.EnqueueLater(ctx, confirmationDelay, "confirmation:"+dossier.ID, TopicConfirmation, dossier.ID, dossier.ID); err != nil {
			return err
		}
	}
	for _, e := range events { // last, because numbering facts makes other writers wait until this transaction ends
		if !publicEvent(e.Type) {
			continue
		}
		f := d.fact(dossier, proc, e)
		if f.Seq, err = tx.AddFact(ctx, f); err != nil {
			return err
		}
		if err := d.tell(ctx, tx, f); err != nil {
			return err
		}
	}
	return nil
}

// confirmationDelay leaves the process that accepted a filing time to issue its slip.
const confirmationDelay = 5 * time.Second

// publicEvent reports whether the applicant is told of an event and oversight counts it. Readings by officers are not events of the case:
// the citizen sees readings of registers in the access log.
func publicEvent(t EventType) bool { return t != EvOpened }

func (d *Desk) fact(dossier *Dossier, proc *bundle.Procedure, e Event) Fact {
	f := Fact{
		At: e.At, Kind: string(e.Type), Dossier: dossier.Number, Agency: d.Agency.Code, Unit: dossier.CurrentAgency,
		Procedure: proc.Code, Mode: proc.Service.Mode, State: dossier.State, Channel: dossier.Submission.Channel,
		Due: dossier.Due, Stars: e.Data.Stars, Final: dossier.Final, Paused: !dossier.PausedSince.IsZero(),
		FeeTotal: dossier.FeeTotal, FeePaid: dossier.FeePaid,
	}
	if s := proc.Flow.State(dossier.State); s != nil {
		f.National = s.National
	}
	return f
}

func (d *Desk) notice(dossier *Dossier, _ *bundle.Procedure, e Event) Notice {
	n := Notice{
		FilingID: dossier.Submission.FilingID, Number: dossier.Number, Seq: e.Seq, Type: e.Type, At: e.At, State: e.To,
		Agency: e.Agency, AgencyName: d.agencyName(e.Agency), Actor: e.ActorName, ActorRole: e.ActorRole,
		Due: dossier.Due, Paused: !dossier.PausedSince.IsZero(), Final: dossier.Final, Data: e.Data,
		FeeTotal: dossier.FeeTotal, FeePaid: dossier.FeePaid, Docs: publicDocs(dossier),
	}
	if n.State == "" {
		n.State = dossier.State
	}
	if n.Data.Check != nil { // the applicant learns that it was checked, not what the register said of whom
		check := *n.Data.Check
		check.Facts = nil
		n.Data.Check = &check
	}
	n.Data.Form, n.Data.Assignee = nil, "" // an officer's proposal is internal
	if e.Type == EvSentBack || e.Type == EvProposed || e.Type == EvMoved {
		n.Data.Reason, n.Data.Comment = "", "" // so is what the head writes to the officer
	}
	return n
}

func (d *Desk) agencyName(code string) string {
	if u, ok := d.unit(code); ok {
		return u.Name
	}
	return d.Agency.Name
}

func publicDocs(d *Dossier) []DocumentRef {
	var out []DocumentRef
	for _, r := range d.Docs {
		if r.Public {
			out = append(out, r)
		}
	}
	return out
}

// deliveryMethod is how the applicant wants the result: "online", "counter" or "post".
func deliveryMethod(a bundle.Answers) string {
	if m := a.String("/delivery/method"); m != "" {
		return m
	}
	return "online"
}

func rolesOf(p *bundle.Procedure, by []string) []string {
	var out []string
	for _, b := range by {
		if r, ok := p.Flow.Roles[b]; ok {
			out = append(out, r)
		} else {
			out = append(out, b)
		}
	}
	return out
}

// officerRoles are the roles of an officer as the flow of the procedure names them. An officer holds "reception",
// "officer" or "head" at the desk; the right side of Flow.Roles names the group, and either is accepted.
func officerRoles(p *bundle.Procedure, who reqctx.Principal) []string {
	var out []string
	for name, group := range p.Flow.Roles {
		if who.Has(name) || who.Has(group) {
			out = append(out, group)
		}
	}
	return out
}

// maySee reports whether an officer belongs to the unit that handles the dossier, or to the agency above it.
func maySee(who reqctx.Principal, unit string) bool {
	return who.Kind == reqctx.Officer && who.Agency != "" && (unit == who.Agency || strings.HasPrefix(unit, who.Agency+"."))
}
