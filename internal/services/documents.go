package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"truc/internal/adminunits"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pdfdoc"
	"truc/internal/reqctx"
	"truc/internal/services/bundle"
)

// IssueConfirmation issues the slip that confirms a filing, once. It is called right after a filing was accepted, and
// again by the outbox, so that a process killed in between leaves no filing without its slip.
func (d *Desk) IssueConfirmation(ctx context.Context, id string) (err error) {
	defer errs.Wrap(&err, "issue confirmation")
	stored, err := d.Store.Find(ctx, id)
	if err != nil {
		return err
	}
	dossier, proc, err := d.fold(stored)
	if err != nil {
		return err
	}
	for _, doc := range dossier.Docs {
		if doc.Kind == DocSubmission {
			return nil
		}
	}
	e := Event{Type: EvDocumentIssued, At: d.Now(), From: dossier.State, To: dossier.State, Actor: "system", ActorRole: bundle.BySystem, Agency: dossier.CurrentAgency}
	data := d.documentData(dossier, proc, &e, stored.Events, reqctx.Principal{})
	if err := d.attach(ctx, proc, bundle.TemplateConfirmation, DocSubmission, data, &e); err != nil {
		return err
	}
	err = d.Store.InTx(ctx, func(tx DeskTx) error {
		now, err := tx.Find(ctx, id)
		if err != nil {
			return err
		}
		fresh, proc, err := d.fold(now)
		if err != nil {
			return err
		}
		for _, doc := range fresh.Docs {
			if doc.Kind == DocSubmission {
				return nil
			}
		}
		e.From, e.To = fresh.State, fresh.State
		return d.appendInTx(ctx, tx, now, fresh, proc, e)
	})
	return err
}

// issue renders what an action hands out: its slip, and the signed result.
func (d *Desk) issue(ctx context.Context, dossier *Dossier, proc *bundle.Procedure, action *bundle.Action, e *Event, events []Event, who reqctx.Principal) error {
	if action.Slip == "" && action.Sign == "" {
		return nil
	}
	due, err := d.newDue(dossier, proc, events, *e)
	if err != nil {
		return err
	}
	if e.Type == EvExtended {
		e.Data.NewDue = &due.Due
	}
	data := d.documentData(dossier, proc, e, events, who)
	data.Due = due.Due
	for _, s := range due.Explanation {
		data.DueExplanation = append(data.DueExplanation, s.In(d.Messages, "vi"))
	}
	if action.Sign != "" {
		return d.issueResult(ctx, dossier, proc, e, data, who)
	}
	name := action.Slip
	if len(name) == 2 {
		name = "slip-" + name
	}
	return d.attach(ctx, proc, name, name, data, e)
}

// attach renders a template, keeps the bytes, and puts the reference into the event.
func (d *Desk) attach(ctx context.Context, proc *bundle.Procedure, template, kind string, data *bundle.DocumentData, e *Event) error {
	doc, err := d.renderPDF(proc, template, data, e.At)
	if err != nil {
		return err
	}
	ref, err := d.keep(ctx, kind, d.Messages.T("vi", "services.document."+kind), doc.PDF)
	if err != nil {
		return err
	}
	e.Data.Document = ref
	return nil
}

func (d *Desk) renderPDF(proc *bundle.Procedure, template string, data *bundle.DocumentData, at time.Time) (pdfdoc.Document, error) {
	html, err := proc.Render(template, data)
	if err != nil {
		return pdfdoc.Document{}, errs.E(errs.Internal, "services.document.render", err)
	}
	doc, err := pdfdoc.Render(html, pdfdoc.Options{Title: proc.Name.In("vi") + " " + data.Number, Author: data.Agency, Lang: "vi", Creator: "Truc", Now: at})
	if err != nil {
		return doc, errs.E(errs.Internal, "services.document.render", err)
	}
	return doc, nil
}

func (d *Desk) keep(ctx context.Context, kind, title string, pdf []byte) (*DocumentRef, error) {
	sum := sha256.Sum256(pdf)
	sha := hex.EncodeToString(sum[:])
	if err := d.Store.PutBlob(ctx, sha, "application/pdf", pdf, d.Now()); err != nil {
		return nil, err
	}
	return &DocumentRef{ID: kind + "-" + sha[:12], Kind: kind, Title: title, SHA256: sha, Size: int64(len(pdf)), Media: "application/pdf", Public: kind != DocControl}, nil
}

// issueResult renders the result from the register record that the officer fetched, or from the answers, and has it
// signed by the officer in person and by the agency.
func (d *Desk) issueResult(ctx context.Context, dossier *Dossier, proc *bundle.Procedure, e *Event, data *bundle.DocumentData, who reqctx.Principal) error {
	if rec := proc.Result.Record; rec != "" && len(data.Record) == 0 {
		return errs.E(errs.Conflict, "services.sign.no_record", nil, "register", rec)
	}
	data.Head = bundle.Officer{Name: who.Name, Title: d.title(who.ID)}
	data.Issued = e.At
	data.ResultNumber = resultNumber(dossier.Number, proc.Result)
	doc, err := d.renderPDF(proc, bundle.TemplateResult, data, e.At)
	if err != nil {
		return err
	}
	req := SignRequest{
		PDF: doc.PDF, Officer: who.ID, Name: who.Name, Title: data.Head.Title, AgencyName: data.Agency,
		Reason: proc.Name.In("vi") + " " + dossier.Number,
	}
	if b, ok := doc.Boxes["head"]; ok {
		req.PersonPage, req.PersonBox = b.Page, [4]float64{b.X, b.Y, b.X + b.W, b.Y + b.H}
	}
	if b, ok := doc.Boxes["seal"]; ok {
		req.SealPage, req.SealBox = b.Page, [4]float64{b.X, b.Y, b.X + b.W, b.Y + b.H}
	}
	signed, err := d.Sign.SignResult(ctx, req)
	if err != nil {
		return err
	}
	ref, err := d.keep(ctx, DocResult, proc.Result.Name.In("vi"), signed)
	if err != nil {
		return err
	}
	e.Data.Document = ref
	return nil
}

// resultNumber is the number and symbol on a result: what follows the unit in the dossier number, which no other
// result of that unit has, and the symbol of the kind of document (Decree 30/2020/NĐ-CP, article 8).
func resultNumber(dossier string, r bundle.Result) string {
	_, n, _ := strings.Cut(dossier, "-")
	if r.Symbol == "" {
		return n
	}
	return n + "/" + r.Symbol
}

// Preview renders the result as it would be signed, marked as a draft, for the officer who proposes and the head.
func (d *Desk) Preview(ctx context.Context, who reqctx.Principal, number string) ([]byte, error) {
	stored, err := d.Store.Find(ctx, number)
	if err != nil {
		return nil, err
	}
	if !maySee(who, stored.Row.CurrentAgency) {
		return nil, errs.E(errs.Denied, "services.dossier.other_unit", nil)
	}
	dossier, proc, err := d.fold(stored)
	if err != nil {
		return nil, err
	}
	data := d.documentData(dossier, proc, &Event{At: d.Now()}, stored.Events, who)
	if proc.Result.Record != "" && len(data.Record) == 0 {
		return nil, errs.E(errs.Conflict, "services.sign.no_record", nil, "register", proc.Result.Record)
	}
	html, err := proc.Render(bundle.TemplateResult, data)
	if err != nil {
		return nil, errs.E(errs.Internal, "services.document.render", err)
	}
	doc, err := pdfdoc.Render(html, pdfdoc.Options{Title: dossier.Number, Author: data.Agency, Lang: "vi", Creator: "Truc", Now: d.Now(), Draft: true})
	if err != nil {
		return nil, errs.E(errs.Internal, "services.document.render", err)
	}
	return doc.PDF, nil
}

// documentData gathers everything a slip, letter or result may print.
func (d *Desk) documentData(dossier *Dossier, proc *bundle.Procedure, e *Event, events []Event, who reqctx.Principal) *bundle.DocumentData {
	s := dossier.Submission
	c := proc.CaseByID(s.Case)
	applicant := bundle.Party{Name: s.Applicant.FullName, Identity: s.Applicant.PersonalID, Address: s.Applicant.Address, Phone: s.Applicant.Phone, Email: s.Applicant.Email}
	if t, err := time.Parse(time.DateOnly, s.Applicant.BirthDate); err == nil {
		applicant.BirthDate = t
	}
	data := &bundle.DocumentData{
		Lang: "vi", Parent: d.Agency.Name, Agency: d.agencyName(dossier.CurrentAgency), Unit: d.agencyName(dossier.CurrentAgency), Place: d.Place,
		Procedure: proc.Name, Code: proc.Code, Number: dossier.Number, Channel: s.Channel,
		Applicant: applicant, Subject: applicant, Owner: applicant, Sets: 1,
		Issued: e.At, Submitted: dossier.SubmittedAt, Received: dossier.ReceivedAt, Due: dossier.Due, Finished: dossier.FinishedAt,
		Delivery: d.Messages.T("vi", "services.delivery."+deliveryMethod(s.Answers)), FeePaid: dossier.Paid(),
		TrackURL: d.PublicURL + "/track?number=" + url.QueryEscape(dossier.Number), InfoURL: d.PublicURL + "/procedures/" + url.PathEscape(proc.Code),
		Reason: e.Data.Reason, Officer: bundle.Officer{Name: e.ActorName, Title: d.Messages.T("vi", "services.role."+orDash(e.ActorRole))},
		Guide: bundle.Officer{Name: e.ActorName}, Raw: s.Answers, Version: proc.Version.ID + " · " + proc.Hash[:12],
	}
	if e.Type == EvReceived {
		data.Received = e.At
	}
	if e.Data.LegalBasis != "" {
		data.LegalBasis = []string{e.Data.LegalBasis}
	}
	if e.Data.Deadline != nil {
		data.Deadline = *e.Data.Deadline
	}
	if e.Data.OldDue != nil {
		data.OldDue = *e.Data.OldDue
	}
	if c != nil {
		data.Case = c.Name
		data.ProcessingTime = d.termText(c.SLAFor(s.Channel).Legal)
		if q, err := proc.Fee(c, submissionFacts(&s, dossier.SubmittedAt)); err == nil {
			data.Fee = q
		}
		data.Papers = paperRows(proc, c, dossier, e.Data.Papers)
		if form := proc.Form(c); form != nil {
			data.Answers = AnswerRows(form, submissionFacts(&s, dossier.SubmittedAt), s.Prefilled, d.words("vi"))
		}
	}
	if n, ok := s.Answers.Get("/copies"); ok {
		if i, ok := n.(int64); ok {
			data.Copies = int(i)
		}
	}
	for _, chk := range slices.Backward(dossier.Checks) {
		if chk.Register == proc.Result.Record && chk.Found == 1 {
			data.Record, data.RecordSource = chk.Facts, d.sourceName(chk.Register)+", "+i18n.DateTime(chk.At)
			break
		}
	}
	data.Handovers = d.handovers(c, s.Channel, events)
	if who.Name != "" {
		data.Head = bundle.Officer{Name: who.Name}
	}
	return data
}

// sourceName names a register in words: "Cơ sở dữ liệu hộ tịch điện tử" for "civilstatus/event".
func (d *Desk) sourceName(register string) string {
	id, _, _ := strings.Cut(register, "/")
	if key := "services.source." + id; d.Messages.Has("vi", key) {
		return d.Messages.T("vi", key)
	}
	return register
}

// title is the position of an officer as it stands under a signature.
func (d *Desk) title(account string) string {
	if d.OfficerTitle != nil {
		if t := d.OfficerTitle(account); t != "" {
			return t
		}
	}
	return d.Messages.T("vi", "services.role.head")
}

func orDash(role string) string {
	if role == "" {
		return bundle.BySystem
	}
	return role
}

func (d *Desk) termText(t bundle.Term) string {
	if t.Unit == "none" {
		return d.Messages.T("vi", "services.unit.none")
	}
	return fmt.Sprintf("%d %s", t.Amount, d.Messages.T("vi", "services.unit."+t.Unit))
}

func paperRows(proc *bundle.Procedure, c *bundle.Case, dossier *Dossier, judged []PaperJudgement) []bundle.PaperRow {
	needs, err := proc.Papers(c, submissionFacts(&dossier.Submission, dossier.SubmittedAt))
	if err != nil {
		return nil
	}
	verdict := map[string]PaperJudgement{}
	for _, j := range judged {
		verdict[j.Paper] = j
	}
	var rows []bundle.PaperRow
	for _, n := range needs {
		row := bundle.PaperRow{Name: n.Name.In("vi"), Original: n.Copies.Original, Certified: n.Copies.Certified, Photo: n.Copies.Photo}
		switch {
		case n.KnownByState:
			row.Status = "known"
		case n.Form != "" || hasPaper(dossier.Papers, n.ID):
			row.Electronic, row.Status = true, "accepted"
		case n.Required:
			row.Status = "missing"
		default:
			continue
		}
		if j, ok := verdict[n.ID]; ok {
			row.Note = j.Note
			if !j.OK {
				row.Status = "rejected"
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// handovers lists who passed the dossier on, and whether it was in time then. Without a time limit nothing is said.
func (d *Desk) handovers(c *bundle.Case, channel string, events []Event) []bundle.Handover {
	var out []bundle.Handover
	for i, e := range events {
		if e.From == e.To || e.From == "" {
			continue
		}
		h := bundle.Handover{From: e.From, To: e.To, At: e.At, Opinion: e.Data.Reason}
		if c != nil {
			if res, err := Clock(d.Calendar(), c.SLAFor(channel), events[:i+1]); err == nil {
				h.Result = inTime(e.At, res.Due)
			}
		}
		out = append(out, h)
	}
	return out
}

// inTime says whether at is before the day of due, on it, or after due; "" without a due date.
func inTime(at, due time.Time) string {
	switch {
	case due.IsZero():
		return ""
	case at.After(due):
		return "after"
	case at.In(i18n.Zone).Format(time.DateOnly) == due.In(i18n.Zone).Format(time.DateOnly):
		return "on"
	}
	return "before"
}

// AnswerRows lists the questions of a form with their answers in words, for check pages, desks and prints.
func AnswerRows(form *bundle.Form, facts bundle.Facts, prefilled []Prefilled, w Words) []bundle.AnswerRow {
	source := map[string]string{}
	for _, p := range prefilled {
		if p.Status == PrefillOK {
			source[p.Pointer] = p.Source + " · " + i18n.DateTime(p.At)
		}
	}
	var rows []bundle.AnswerRow
	for _, page := range form.Visible(facts) {
		for _, f := range form.VisibleFields(page, facts) {
			v, ok := facts.Answers.Get(f.Ptr)
			if !ok {
				continue
			}
			rows = append(rows, bundle.AnswerRow{Page: page.ID, Label: f.Label.In(w.Lang), Value: w.Answer(f, v), Source: source[string(f.Ptr)]})
		}
	}
	return rows
}

// Words says answers in a language.
type Words struct {
	Lang     string
	Messages *i18n.Catalogue
	Places   *adminunits.Units
}

func (d *Desk) words(lang string) Words {
	return Words{Lang: lang, Messages: d.Messages, Places: d.Places}
}

// Answer says an answer in words: the label of a choice, a date as people write it, the names of an address.
func (w Words) Answer(f *bundle.Field, v any) string {
	switch f.Widget {
	case bundle.Radios, bundle.Select:
		return w.label(f, fmt.Sprint(v))
	case bundle.Checkboxes:
		list, _ := v.([]any)
		parts := make([]string, len(list))
		for i, x := range list {
			parts[i] = w.label(f, fmt.Sprint(x))
		}
		return strings.Join(parts, ", ")
	case bundle.Date3:
		if t, err := time.ParseInLocation(time.DateOnly, fmt.Sprint(v), i18n.Zone); err == nil {
			return i18n.Date(t)
		}
	case bundle.Money:
		if n, ok := v.(int64); ok {
			return i18n.Money(w.Lang, n)
		}
	case bundle.Declaration:
		if v == true {
			return w.Messages.T(w.Lang, "services.answer.declared")
		}
	case bundle.Address:
		m, _ := v.(map[string]any)
		line, _ := m["line"].(string)
		commune, _ := m["commune"].(string)
		return w.Places.Address(line, commune)
	default: // text is its own words
	}
	return fmt.Sprint(v)
}

func (w Words) label(f *bundle.Field, value string) string {
	for _, o := range f.Options {
		if o.Value == value {
			return o.Label.In(w.Lang)
		}
	}
	return value
}
