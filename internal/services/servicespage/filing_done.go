package servicespage

import (
	"net/http"
	"time"

	"truc/internal/services"
	"truc/internal/web/ui"
)

// filingDonePage is filing_done.html: the filing was accepted.
type filingDonePage struct {
	ui.Page
	ID, Number, State string
	Due               time.Time
	Panel             ui.Panel
	Pay               *ui.Button
	PayNote           string
	Slip              *ui.Button
	Next              []string
	Track             ui.Button
}

// numberWait is how long the page asks again by itself for the number of a filing on its way.
const numberWait = 5 * time.Minute

// filingDone confirms a filing, with its number as soon as the agency has given one.
func (p *Pages) filingDone(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Portal.View(r.Context(), who(r), r.PathValue("id"), ui.NewPage(r, "").Lang)
	if err != nil {
		return err
	}
	page := filingDonePage{Page: ui.NewPage(r, "services.done.title"), ID: v.ID, Number: v.Number, State: v.State, Due: v.Summary.Expected}
	if !v.Due.IsZero() {
		page.Due = v.Due
	}
	page.Panel = ui.Panel{Title: page.Title, Label: page.T("services.filing.number"), Ref: v.Number}
	if !page.Due.IsZero() {
		page.Panel.Text = page.T("services.done.due", "due", instant(page.Lang, page.Due))
	}
	if v.Number == "" {
		page.Title = page.T("services.done.sending")
		page.Panel = ui.Panel{Title: page.Title, Label: page.T("services.done.temporary_label"), Ref: v.ID, Text: page.T("services.done.sending_text")}
		switch {
		case v.Sync == services.SyncHeld:
			page.Title = page.T("services.done.held")
			page.Panel.Title, page.Panel.Text = page.Title, page.T("services.sync.held_text")
		case v.Sync == services.SyncRefused:
			page.Panel.Text = page.T("services.sync.refused_text")
		case p.Now().Sub(v.SubmittedAt) < numberWait:
			w.Header().Set("Refresh", "3")
		}
	}
	for _, d := range v.Summary.Docs {
		if d.Kind == services.DocSubmission {
			page.Slip = &ui.Button{Text: page.T("services.done.slip", "size", size(page.Lang, d.Size)), Kind: "secondary", URL: documentURL(v.ID, d.ID)}
		}
	}
	if v.MayPay {
		full := filingPage{Page: page.Page}
		p.filingPayments(&full, &v)
		page.Pay, page.PayNote = full.Pay, full.PayNote
	}
	page.Next = []string{page.T("services.done.next_receive", "office", v.UnitName), page.T("services.done.next_ask"), page.T("services.done.next_result")}
	page.Track = ui.Button{Text: page.T("services.done.follow"), URL: filingURL(v.ID), Kind: "link"}
	return p.render(w, r, "filing_done", page)
}
