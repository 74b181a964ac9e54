package paper

import (
	"context"
	"strings"
	"time"

	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/i18n"
)

// Typesetter lets a desk print its documents ([documents.Typesetter]).
type Typesetter struct {
	Layout Layout
	Now    func() time.Time
}

// Typeset implements [documents.Typesetter]. A final document with a letter that the font lacks is refused with
// paper.letters_missing, because it would be signed unreadable; a draft shows a box in its place.
func (t Typesetter) Typeset(_ context.Context, p documents.Paper) (documents.Printed, error) {
	doc := paperOf(p)
	doc.Layout, doc.Now = t.Layout, t.Now()
	out, err := Set(doc)
	if err != nil {
		return documents.Printed{}, err
	}
	if len(out.Missing) > 0 && !p.Draft {
		letters := out.Missing[:min(len(out.Missing), 10)]
		return documents.Printed{}, errs.E(errs.Invalid, "paper.letters_missing", nil, "letters", string(letters))
	}
	return documents.Printed{PDF: out.PDF, Pages: out.Pages, Person: documents.Box(out.Boxes.Person), Seal: documents.Box(out.Boxes.Seal)}, nil
}

// paperOf takes a desk's document for ours.
func paperOf(p documents.Paper) Paper {
	return Paper{
		Superior: p.Superior, Agency: p.Agency, Number: p.Code.Number, Notation: p.Code.Notation, Place: p.Place, Date: dateOf(p.Date),
		TypeName: p.Type.Name, Subject: p.Subject, Receivers: p.Addressees, Body: p.Body + enclosed(p.Appendixes), Competence: p.Authority, Position: p.Title,
		Signer: p.Signer, ToPlaces: p.ToPlaces, Urgency: urgencyOf(p.Urgency), Circulation: p.Circulation, DrafterMark: p.Drafter, Address: p.Contact,
		Draft: p.Draft,
	}
}

func dateOf(t time.Time) Date {
	if t.IsZero() {
		return Date{}
	}
	y, m, d := t.In(i18n.Zone).Date()
	return Date{y, int(m), d}
}

// urgencyOf finds the level by its mark. Words that are not of the decree make no mark.
func urgencyOf(mark string) Urgency {
	for u := Urgent; u <= FlashAt; u++ {
		if text, _, _ := u.mark(); i18n.NFC(text) == upper(i18n.NFC(mark)) {
			return u
		}
	}
	return Ordinary
}

// enclosed names the files that come with a document at the end of its text.
func enclosed(names []string) string {
	names = cleaned(names)
	if len(names) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n__Tài liệu kèm theo:__")
	for i, n := range names {
		b.WriteString("\n- " + ended(strings.Join(strings.Fields(n), " "), i == len(names)-1))
	}
	return b.String()
}
