package services

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"truc/internal/adminunits"
	"truc/internal/calendar"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/services/bundle"
)

// Portal is the citizen's side: catalogue, drafts, filings, payments, and who read my data.
type Portal struct {
	Store    PortalStore
	Library  *Library
	Exchange Exchange
	Post     Post
	Provider Provider
	Messages *i18n.Catalogue
	Places   *adminunits.Units
	Calendar func() *calendar.Calendar
	Now      func() time.Time
	Log      *slog.Logger
	// Agencies lists the agencies that receive dossiers, as the directory knows them now.
	Agencies func() []AgencyService
	// Registers maps "population/person" to the five-segment identifier of the service.
	Registers map[string]string
	// Usage are the access logs that a citizen may look into.
	Usage []UsageSource
	// PublicURL is the address of the portal, for returns of the payment provider.
	PublicURL string
	// MaxDrafts bounds the drafts of one person; default 20.
	MaxDrafts int
}

// AgencyService is the dossier service of an agency.
type AgencyService struct {
	Agency, Name string
	// Service is the identifier, such as "VN/GOV/H36/onestop/dossiers".
	Service string
}

const portalSubsystem = "portal"

// Offers of a procedure, one a unit, ordered by unit.
func (p *Portal) Offers(ctx context.Context, code string) ([]Offer, error) {
	all, err := p.Store.Offers(ctx)
	if err != nil {
		return nil, err
	}
	var out []Offer
	for _, o := range all {
		if (code == "" || o.Procedure == code) && p.Library.At(o.VersionHash) != nil {
			out = append(out, o)
		}
	}
	return out, nil
}

// RefreshOffers asks every agency what it offers. An agency that does not answer keeps what it offered before: its
// services stay visible while it is away, because filing works then too.
func (p *Portal) RefreshOffers(ctx context.Context) error {
	var first error
	for _, a := range p.Agencies() {
		var items []CatalogueItem
		err := sendJSON(ctx, p.Exchange, ExchangeCall{
			From: portalSubsystem, To: a.Service, Method: "GET", Path: "/catalogue", Activity: "catalogue",
			Basis: "Điều 15 Nghị định 224/2026/NĐ-CP", Timeout: 5 * time.Second,
		}, nil, &items)
		if err != nil {
			p.Log.WarnContext(ctx, "an agency did not tell what it offers", slog.String("agency", a.Agency), slog.Any("error", err))
			first = errors.Join(first, err)
			continue
		}
		var offers []Offer
		for _, it := range items {
			for _, u := range it.Units {
				offers = append(offers, Offer{
					Procedure: it.Procedure, Agency: a.Agency, Unit: u.Code, UnitName: u.Name, Province: u.Province,
					VersionHash: it.VersionHash, Version: it.Version, Mode: it.Mode, SeenAt: p.Now(),
				})
			}
		}
		if err := p.Store.PutOffers(ctx, a.Agency, offers); err != nil {
			return err
		}
	}
	return first
}

// DraftView is a draft with what its procedure makes of it.
type DraftView struct {
	Draft     Draft
	Procedure *bundle.Procedure
	Case      *bundle.Case
	Form      *bundle.Form
	Facts     bundle.Facts
	Unit      Offer
}

// StartDraft begins a filing and asks the registers for what they know. The person must be identified at the
// level that the procedure requires.
func (p *Portal) StartDraft(ctx context.Context, who reqctx.Principal, code, unit string) (v DraftView, err error) {
	defer errs.Wrap(&err, "start draft %s", code)
	offers, err := p.Offers(ctx, code)
	if err != nil {
		return v, err
	}
	var chosen Offer
	for _, o := range offers {
		if o.Unit == unit {
			chosen = o
		}
	}
	if chosen.Unit == "" {
		return v, errs.E(errs.NotFound, "services.offer.not_found", nil)
	}
	proc := p.Library.At(chosen.VersionHash)
	if who.Level < proc.Requires.Level() {
		return v, errs.E(errs.Denied, "services.level_needed", nil, "level", proc.Requires.Level())
	}
	mine, err := p.Store.Drafts(ctx, who.ID)
	if err != nil {
		return v, err
	}
	limit := p.MaxDrafts
	if limit == 0 {
		limit = 20
	}
	if len(mine) >= limit {
		return v, errs.E(errs.Conflict, "services.draft.too_many", nil, "max", limit)
	}
	now := p.Now()
	d := Draft{
		ID: newID(), Owner: who.ID, Procedure: code, VersionHash: chosen.VersionHash, Unit: unit, CreatedAt: now, UpdatedAt: now,
		Body: DraftBody{Answers: bundle.Answers{}},
	}
	if err := p.Store.PutDraft(ctx, &d); err != nil {
		return v, err
	}
	if err := p.prefill(ctx, who, &d, proc); err != nil {
		return v, err
	}
	if err := p.Store.PutDraft(ctx, &d); err != nil {
		return v, err
	}
	return p.view(d, proc, chosen), nil
}

func (p *Portal) view(d Draft, proc *bundle.Procedure, unit Offer) DraftView {
	facts := p.draftFacts(d)
	c, err := proc.Case(facts)
	if err != nil { // the answer that decides is still missing: the first case leads until then
		c = proc.Cases[0]
	}
	return DraftView{Draft: d, Procedure: proc, Case: c, Form: proc.Form(c), Facts: facts, Unit: unit}
}

func (p *Portal) draftFacts(d Draft) bundle.Facts {
	sub := Submission{Answers: d.Body.Answers, Prefilled: d.Body.Prefilled, Channel: bundle.ChannelOnline, Applicant: Applicant{PolicyGroups: d.Body.PolicyGroups, BirthDate: d.Body.BirthDate, Level: d.Body.Level}}
	return submissionFacts(&sub, p.Now())
}

// Draft returns a draft of the person. Somebody else's draft does not exist for him or her.
func (p *Portal) Draft(ctx context.Context, who reqctx.Principal, id string) (v DraftView, err error) {
	d, err := p.Store.Draft(ctx, id)
	if err != nil {
		return v, err
	}
	if d.Owner != who.ID || who.ID == "" {
		return v, errs.E(errs.NotFound, "services.draft.not_found", nil)
	}
	proc := p.Library.At(d.VersionHash)
	if proc == nil {
		return v, errs.E(errs.Conflict, "services.draft.version_gone", errNoProcedure)
	}
	offers, err := p.Offers(ctx, d.Procedure)
	if err != nil {
		return v, err
	}
	var unit Offer
	for _, o := range offers {
		if o.Unit == d.Unit {
			unit = o
		}
	}
	return p.view(d, proc, unit), nil
}

// Drafts lists the person's drafts, the newest first.
func (p *Portal) Drafts(ctx context.Context, who reqctx.Principal) ([]Draft, error) {
	return p.Store.Drafts(ctx, who.ID)
}

// DeleteDraft throws a draft of the person away.
func (p *Portal) DeleteDraft(ctx context.Context, who reqctx.Principal, id string) error {
	if _, err := p.Draft(ctx, who, id); err != nil {
		return err
	}
	return p.Store.DeleteDraft(ctx, id)
}

// Readonly reports whether a field's value comes from a register and is not asked.
func (v *DraftView) Readonly(f *bundle.Field) bool {
	if f.Prefill == nil || f.Prefill.Mode != "readonly" {
		return false
	}
	s := v.Source(f)
	return s != nil && s.Status == PrefillOK
}

// Source returns where the value of a field came from, or nil.
func (v *DraftView) Source(f *bundle.Field) *Prefilled {
	for i := range v.Draft.Body.Prefilled {
		if v.Draft.Body.Prefilled[i].Pointer == string(f.Ptr) {
			return &v.Draft.Body.Prefilled[i]
		}
	}
	return nil
}

// SavePage keeps the answers of one page. With problems nothing is kept and the page is shown again.
func (p *Portal) SavePage(ctx context.Context, who reqctx.Principal, id, page string, values map[string][]string) (v DraftView, problems []bundle.FieldProblem, err error) {
	defer errs.Wrap(&err, "save page %s", page)
	v, err = p.Draft(ctx, who, id)
	if err != nil {
		return v, nil, err
	}
	pg := v.Form.Page(page)
	if pg == nil {
		return v, nil, errs.E(errs.NotFound, "services.draft.page_unknown", nil)
	}
	patch, problems := v.Form.ReadPage(pg, v.Facts, values)
	for _, f := range pg.Fields {
		if v.Readonly(f) {
			patch.Set(f.Ptr, nil)
			problems = dropField(problems, f.Ptr)
		}
	}
	v.Draft.Body.Answers = v.Draft.Body.Answers.Merge(patch)
	v = p.view(v.Draft, v.Procedure, v.Unit)
	bad := map[bundle.Pointer]bool{}
	for _, x := range problems {
		bad[x.Ptr] = true
	}
	for _, x := range v.Form.ValidatePage(pg, v.Facts) {
		if !bad[x.Ptr] { // a value that cannot be read is not also missing
			problems = append(problems, x)
		}
	}
	if len(problems) > 0 {
		return v, problems, nil
	}
	v.Draft.Body.Done = appendOnce(v.Draft.Body.Done, page)
	v.Draft.UpdatedAt = p.Now()
	return v, nil, p.Store.PutDraft(ctx, &v.Draft)
}

func dropField(in []bundle.FieldProblem, ptr bundle.Pointer) []bundle.FieldProblem {
	var out []bundle.FieldProblem
	for _, x := range in {
		if x.Ptr != ptr {
			out = append(out, x)
		}
	}
	return out
}

func appendOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// ReportWrong marks a value of a register as wrong in the person's eyes: the field becomes editable, and the desk
// sees both.
func (p *Portal) ReportWrong(ctx context.Context, who reqctx.Principal, id string, ptr bundle.Pointer) error {
	v, err := p.Draft(ctx, who, id)
	if err != nil {
		return err
	}
	for i := range v.Draft.Body.Prefilled {
		if x := &v.Draft.Body.Prefilled[i]; x.Pointer == string(ptr) && x.Status == PrefillOK {
			x.Status = PrefillDiff
		}
	}
	v.Draft.UpdatedAt = p.Now()
	return p.Store.PutDraft(ctx, &v.Draft)
}

// Refill asks the registers again for a draft, after they were down.
func (p *Portal) Refill(ctx context.Context, who reqctx.Principal, id string) error {
	v, err := p.Draft(ctx, who, id)
	if err != nil {
		return err
	}
	if err := p.prefill(ctx, who, &v.Draft, v.Procedure); err != nil {
		return err
	}
	return p.Store.PutDraft(ctx, &v.Draft)
}

// prefill asks each register once for the fields that the procedure binds, and keeps value, source, time and outcome
// of each. A register that is away leaves editable fields and a sentence that says so; it never stops a filing.
func (p *Portal) prefill(ctx context.Context, who reqctx.Principal, d *Draft, proc *bundle.Procedure) error {
	v := p.view(*d, proc, Offer{})
	groups := map[string][]bundle.Binding{}
	var order []string
	for _, b := range v.Case.Prefill {
		if b.From.Kind != "register" || b.Key != "" {
			continue
		}
		s := b.From.Service()
		if len(groups[s]) == 0 {
			order = append(order, s)
		}
		groups[s] = append(groups[s], b)
	}
	asker := &Registers{Exchange: p.Exchange, From: portalSubsystem, Services: p.Registers, Now: p.Now}
	d.Body.PrefillTried = p.Now()
	d.Body.Level = who.Level
	d.Body.Prefilled = nil
	for _, service := range order {
		fields := []string{}
		for _, b := range groups[service] {
			fields = appendOnce(fields, b.From.Field)
		}
		if service == "population/person" {
			fields = appendOnce(fields, "birthDate")
			if len(v.Case.Fee.Exempt) > 0 {
				fields = appendOnce(fields, "policyGroups")
			}
		}
		check, err := asker.Ask(ctx, RegisterQuery{
			Register: service, Type: "ByPersonalId", Criteria: map[string]string{"personalId": who.ID, "fullName": who.Name}, Fields: fields,
			Purpose: Purpose{Activity: ActivityPrefill, Basis: BasisPrefill, Dossier: d.ID}, UserID: "VN" + who.ID, Timeout: 3 * time.Second,
		})
		if err != nil {
			p.Log.WarnContext(ctx, "a register did not answer; the person types the values", slog.String("register", service), slog.Any("error", err))
		}
		p.take(d, groups[service], check, err)
	}
	p.takeProfile(ctx, who, d, v.Case)
	return nil
}

func (p *Portal) take(d *Draft, bindings []bundle.Binding, check RegisterCheck, err error) {
	for _, b := range bindings {
		x := Prefilled{Pointer: string(b.To), Group: b.Group(), Source: b.From.Service() + "#" + b.From.Field, At: p.Now(), Status: PrefillOK}
		switch value := check.Facts[b.From.Field]; {
		case err != nil:
			x.Status = PrefillDown
		case value == "":
			x.Status = PrefillEmpty
		default:
			x.Value = value
			d.Body.Answers.Set(b.To, value)
		}
		d.Body.Prefilled = append(d.Body.Prefilled, x)
	}
	if err == nil && check.Register == "population/person" {
		d.Body.BirthDate = check.Facts["birthDate"]
		d.Body.PolicyGroups = splitList(check.Facts["policyGroups"])
	}
}

// takeProfile fills what the person told the portal in the filing before: contact and delivery.
func (p *Portal) takeProfile(ctx context.Context, who reqctx.Principal, d *Draft, c *bundle.Case) {
	filings, err := p.Store.Filings(ctx, who.ID)
	if err != nil || len(filings) == 0 {
		return
	}
	last := filings[0].Submission
	known := map[string]string{"phone": last.Applicant.Phone, "email": last.Applicant.Email}
	for _, b := range c.Prefill {
		if b.From.Kind != "profile" || known[b.From.Field] == "" {
			continue
		}
		if _, answered := d.Body.Answers.Get(b.To); answered {
			continue
		}
		d.Body.Answers.Set(b.To, known[b.From.Field])
		d.Body.Prefilled = append(d.Body.Prefilled, Prefilled{Pointer: string(b.To), Group: b.Group(), Value: known[b.From.Field], Source: "profile#" + b.From.Field, At: filings[0].SubmittedAt, Status: PrefillOK})
	}
}
