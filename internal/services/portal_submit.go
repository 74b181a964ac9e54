package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
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

// Submit turns a draft into a filing and posts it to the agency. The identifier of the draft is the idempotency key:
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
		return p.postFiling(ctx, tx, f)
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
