package documentspage

import (
	"net/http"
	"time"

	"truc/internal/documents"
	"truc/internal/i18n"
	"truc/internal/web/ui"
)

// checkPage is what a clerk sees before a document is accepted (Decision 28/2018/QĐ-TTg, article 9.1).
type checkPage struct {
	ui.Page
	ID, Code, Subject, Sub string
	Dir                    documents.Direction
	State                  documents.State
	Version                int64
	Lines                  []checkLine
	Files                  []checkFile
	Duplicates             []linkView
	Accept, Refuse         bool
	Note, Reason           ui.Textarea
	AcceptURL, RefuseURL   string
	View                   *fileView
}

// checkLine is one finding: good, to be looked at, or bad.
type checkLine struct {
	Title, Text string
	Tone        ui.Tone
}

type checkFile struct {
	fileView
	Lines []checkLine
}

// check shows the pre-check; the desk keeps that the clerk has looked.
func (p *Pages) check(w http.ResponseWriter, r *http.Request) error {
	by, id := p.who(r), r.PathValue("id")
	rec, err := p.Desk.Precheck(r.Context(), by, id)
	if err != nil {
		return err
	}
	in, err := p.Desk.Incoming(r.Context(), by, id)
	if err != nil {
		return err
	}
	a := in.Arrival
	page := checkPage{
		Page: p.newPage(r, "docs.check.title"), ID: id, Dir: documents.In, Code: a.Code.String(), Subject: a.Subject, State: in.State, Version: in.Version,
		Sub: a.Sender.Name + " (" + a.Sender.Code + ")",
	}
	page.Back = documentURL(documents.In, id)
	p.checkLines(&page, rec)
	for _, f := range rec.Files {
		page.Files = append(page.Files, p.checkFile(page.Page, id, f))
	}
	for _, f := range in.Files {
		if v := view(page.Page, documents.In, id, f); v.PDF {
			page.View = &v
			break
		}
	}
	for _, other := range append(append([]string{}, rec.SameID...), rec.SameCode...) {
		page.Duplicates = append(page.Duplicates, linkView{Text: page.T("docs.check.other"), URL: documentURL(documents.In, other)})
	}
	if in.State == documents.Arrived && by.Has(documents.RoleClerk) {
		page.Accept, page.Refuse = rec.Intact, true
		page.Note = ui.Textarea{Name: "note", Label: page.T("docs.ask.note"), Rows: 2, Optional: true}
		page.Reason = ui.Textarea{Name: "reason", Label: page.T("docs.ask.reason"), Hint: page.T("docs.check.refuse_hint"), Rows: 2}
		page.AcceptURL, page.RefuseURL = documentURL(documents.In, id, "do", "accept"), documentURL(documents.In, id, "do", "refuse")
	}
	return p.templates.Render(w, r, http.StatusOK, "check", page)
}

func (p *Pages) checkLines(page *checkPage, rec documents.CheckRecord) {
	add := func(good bool, bad ui.Tone, titleKey, goodKey, badKey string, args ...any) {
		line := checkLine{Title: page.T(titleKey), Text: page.T(goodKey, args...), Tone: ui.Done}
		if !good {
			line.Text, line.Tone = page.T(badKey, args...), bad
		}
		page.Lines = append(page.Lines, line)
	}
	add(rec.Intact, ui.Late, "docs.check.intact", "docs.check.intact_good", "docs.check.intact_bad")
	page.Lines = append(page.Lines, checkLine{Title: page.T("docs.check.legal"), Text: page.T(rec.Legal.Key()), Tone: legalTone(rec.Legal)})
	add(rec.SenderKnown, ui.Soon, "docs.check.sender", "docs.check.sender_good", "docs.check.sender_bad", "name", rec.SenderName)
	add(len(rec.SameID) == 0, ui.Late, "docs.check.same_id", "docs.check.same_id_good", "docs.check.same_id_bad", "n", len(rec.SameID))
	add(len(rec.SameCode) == 0, ui.Soon, "docs.check.same_code", "docs.check.same_code_good", "docs.check.same_code_bad", "n", len(rec.SameCode))
	for _, n := range rec.Notes {
		page.Lines = append(page.Lines, checkLine{Title: page.T("docs.check.note"), Text: n, Tone: ui.Soon})
	}
}

func legalTone(l documents.LegalValue) ui.Tone {
	switch l {
	case documents.LegalOriginal:
		return ui.Done
	case documents.LegalInformation:
		return ui.Soon
	case documents.LegalPaper:
	}
	return ui.Info
}

func (p *Pages) checkFile(page ui.Page, id string, f documents.FileCheck) checkFile {
	v := checkFile{fileView: fileView{ID: f.ID, Name: f.Name, Size: size(page.Lang, f.Size), URL: documentURL(documents.In, id, "files", f.ID), SHA256: f.SHA256}}
	add := func(tone ui.Tone, title, text string) { v.Lines = append(v.Lines, checkLine{title, text, tone}) }
	if !f.Intact {
		add(ui.Late, page.T("docs.check.intact"), page.T("docs.check.intact_bad"))
	}
	if f.Lies {
		add(ui.Late, page.T("docs.check.lies"), page.T("docs.check.lies_text"))
	}
	if f.Checked && len(f.Signatures) == 0 {
		add(ui.Soon, page.T("docs.check.signature"), page.T("docs.check.unsigned"))
	}
	for _, s := range f.Signatures {
		tone := ui.Late
		if s.Valid {
			tone = ui.Done
		}
		title := s.Signer
		if s.Agency != "" && s.Agency != s.Signer {
			title += ", " + s.Agency
		}
		if s.Time != 0 {
			title += " · " + i18n.DateTime(time.UnixMicro(s.Time).UTC())
		}
		text := page.T(s.Verdict, s.VerdictArgs...)
		if s.Test {
			text += " " + page.T("docs.check.test")
		}
		add(tone, title, text)
	}
	return v
}
