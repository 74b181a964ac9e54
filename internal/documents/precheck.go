package documents

import (
	"context"
	"slices"
	"strings"

	"truc/internal/errs"
	"truc/internal/sign"
)

// LegalValue says what a document is worth by its signatures (30/2020, article 5.1; 28/2018, article 4).
type LegalValue string

// The legal values.
const (
	LegalOriginal    LegalValue = "original"    // signed by the competent person and by the agency
	LegalInformation LegalValue = "information" // not signed, or not completely: information only
	LegalPaper       LegalValue = "paper"       // came on paper: what lies on the table decides
)

// Key returns the message key of the value.
func (l LegalValue) Key() string { return "documents.legal." + string(l) }

// CheckRecord is what a look at the pre-check page showed; it is kept with the look.
type CheckRecord struct {
	// Intact is set when the payload and every file are what their digests say.
	Intact bool       `json:"intact"`
	Legal  LegalValue `json:"legal"`
	// SenderKnown is set when the axis serves the sender's code under this name.
	SenderKnown bool   `json:"senderKnown"`
	SenderName  string `json:"senderName,omitempty"`
	// SameID and SameCode are documents with the same identifier, or number, notation and agency.
	SameID   []string    `json:"sameId,omitempty"`
	SameCode []string    `json:"sameCode,omitempty"`
	Files    []FileCheck `json:"files,omitempty"`
	Notes    []string    `json:"notes,omitempty"`
}

// FileCheck is what was found of one file.
type FileCheck struct {
	ID, Name, SHA256 string
	Size             int64
	// Intact is set when the bytes are there and unchanged, Lies when they are not what the name says.
	Intact, Lies bool
	// Checked tells whether signatures were looked for: of PDF up to the limit.
	Checked    bool
	Signatures []SignatureCheck
}

// SignatureCheck is a signature in words. Valid is set for one that is intact and trusted.
type SignatureCheck struct {
	Signer, Title, Agency, AgencyCode string
	Valid, Test                       bool
	State, Level                      string
	// Time is when it was signed, as unix microseconds; 0 when unknown.
	Time int64
	// Verdict is the sentence for people.
	Verdict     string
	VerdictArgs []any
}

// Precheck looks at an incoming document before it is accepted: integrity, each signature, duplicates, sender, types
// (28/2018, article 9.1; 30/2020, article 21.2). When a clerk looks, the look is recorded: without one there is no
// acceptance.
func (d *Desk) Precheck(ctx context.Context, by Actor, id string) (CheckRecord, error) {
	s, o, err := d.find(ctx, by, id, In)
	if err != nil {
		return CheckRecord{}, err
	}
	in := foldIncoming(id, s.Events)
	rec, err := d.check(ctx, in)
	if err != nil {
		return rec, err
	}
	if !by.Has(RoleClerk) || in.State != Arrived {
		return rec, nil
	}
	return rec, d.change(ctx, id, 0, "documents.check", func(_ Tx, s Stored) ([]Event, error) {
		if s.Row.Office != o.Code || s.Row.State != Arrived {
			return nil, errState(s.Row.State)
		}
		return []Event{d.event(by, EvChecked, EventData{Check: &rec})}, nil
	})
}

// check computes the record.
func (d *Desk) check(ctx context.Context, in *Incoming) (CheckRecord, error) {
	a := in.Arrival
	rec := CheckRecord{Intact: true, SameID: a.SameID, SameCode: a.SameCode, Notes: a.Notes, Legal: LegalInformation}
	if a.Payload != "" {
		rec.Intact = d.intact(a.Payload)
	}
	for _, f := range in.Files {
		c, err := d.checkFile(ctx, f)
		if err != nil {
			return rec, err
		}
		rec.Intact = rec.Intact && c.Intact
		rec.Files = append(rec.Files, c)
	}
	all, err := d.Carrier.Agencies(ctx)
	if err == nil {
		i := slices.IndexFunc(all, func(g Agency) bool { return g.Code == a.Sender.Code })
		if i >= 0 {
			rec.SenderKnown, rec.SenderName = true, all[i].Name
		}
	}
	switch {
	case a.Channel == "paper":
		rec.Legal = LegalPaper
	case rec.Intact && original(rec.Files, a.Sender.Code):
		rec.Legal = LegalOriginal
	}
	return rec, nil
}

// original wants the document's file, the first PDF, to be signed by a person and then by the sender's agency, both valid.
func original(files []FileCheck, sender string) bool {
	i := slices.IndexFunc(files, func(f FileCheck) bool { return extension(f.Name) == "pdf" })
	if i < 0 {
		return false
	}
	person, agency := false, false
	for _, s := range files[i].Signatures {
		if !s.Valid {
			return false
		}
		if s.AgencyCode == "" || s.AgencyCode == sender || strings.HasPrefix(sender, s.AgencyCode+".") {
			if isAgencySignature(s) {
				agency = person // the agency's counts behind the person's only
			} else {
				person = true
			}
		}
	}
	return person && agency
}

// isAgencySignature tells a seal from a person's signature: its certificate names no person beside the agency.
func isAgencySignature(s SignatureCheck) bool { return s.Signer == "" || s.Signer == s.Agency }

func (d *Desk) intact(sha string) bool {
	r, _, err := d.Blobs.Open(sha)
	if err != nil {
		return false
	}
	defer func() { _ = r.Close() }() // it was only read
	return digestOf(r) == sha
}

func (d *Desk) checkFile(ctx context.Context, f File) (FileCheck, error) {
	c := FileCheck{ID: f.ID, Name: f.Name, SHA256: f.SHA256, Size: f.Size, Lies: f.Lies}
	if extension(f.Name) != "pdf" || f.Size > d.Limits.filled().Check {
		c.Intact = d.intact(f.SHA256)
		return c, nil
	}
	content, err := d.blob(f.SHA256, d.Limits.filled().Check)
	if err != nil {
		if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Conflict) {
			return c, nil
		}
		return c, err
	}
	c.Intact, c.Checked = true, true
	reports, err := d.Signatures.Verify(ctx, content)
	if err != nil {
		c.Signatures = []SignatureCheck{{State: "unreadable", Verdict: "documents.verdict_unreadable"}}
		return c, nil //nolint:nilerr // a file that cannot be read is shown as such: it is the clerk's to refuse
	}
	for _, r := range reports {
		s := SignatureCheck{
			Signer: r.Signer, Title: r.Title, Agency: r.Agency, AgencyCode: r.AgencyCode, Test: r.Test, Level: r.Level,
			Valid: r.State == sign.Valid && r.Integrity, State: stateName(r.State), Verdict: r.Verdict.Key, VerdictArgs: r.Verdict.Args,
		}
		if !r.Time.IsZero() {
			s.Time = r.Time.UnixMicro()
		}
		c.Signatures = append(c.Signatures, s)
	}
	return c, nil
}

// stateName is the outcome of checking a signature as it is kept in events.
func stateName(s sign.State) string {
	switch s {
	case sign.Valid:
		return "valid"
	case sign.Untrusted:
		return "untrusted"
	case sign.Expired:
		return "expired"
	case sign.Changed:
		return "changed"
	case sign.Broken:
		return "broken"
	case sign.Revoked:
		return "revoked"
	default:
		return "not_checked"
	}
}
