package servicespage

import (
	"net/http"

	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/web/ui"
)

// filingListPage is filing_list.html.
type filingListPage struct {
	ui.Page
	Drafts  []draftItem
	Filings []filingItem
	Empty   *ui.Empty
}

type draftItem struct{ ID, Name, URL, Since string }

type filingItem struct {
	ID, Name, Number, URL, Since string
	State                        string
	Tag                          ui.Tag
	Ask                          *ui.Action
	Clock                        *ui.Clock
}

// filingList shows the person's drafts and filings.
func (p *Pages) filingList(w http.ResponseWriter, r *http.Request) error {
	drafts, err := p.Portal.Drafts(r.Context(), who(r))
	if err != nil {
		return err
	}
	filings, err := p.Portal.Filings(r.Context(), who(r))
	if err != nil {
		return err
	}
	page := filingListPage{Page: ui.NewPage(r, "services.filings.title")}
	for _, d := range drafts {
		item := draftItem{ID: d.ID, Name: d.Procedure, URL: applyURL(d.ID, ""), Since: page.T("services.filings.draft_since", "at", i18n.DateTime(d.UpdatedAt))}
		if proc := p.Portal.Library.At(d.VersionHash); proc != nil {
			item.Name = proc.Name.In(page.Lang)
		}
		page.Drafts = append(page.Drafts, item)
	}
	for _, f := range filings {
		page.Filings = append(page.Filings, p.filingItem(page.Page, f))
	}
	if len(drafts)+len(filings) == 0 {
		page.Empty = &ui.Empty{
			Title: page.T("services.filings.empty"), Text: page.T("services.filings.empty_text"),
			Action: &ui.Button{Text: page.T("services.filings.find"), URL: "/", Kind: "secondary"},
		}
	}
	return p.render(w, r, "filing_list", page)
}

func (p *Pages) filingItem(page ui.Page, f services.Filing) filingItem {
	item := filingItem{
		ID: f.ID, Number: f.Number, URL: filingURL(f.ID), Name: f.Procedure, State: f.State,
		Since: page.T("services.filings.since", "at", i18n.DateTime(f.SubmittedAt)), Tag: ui.Tag{Text: page.T("services.sync.queued"), Tone: ui.Info},
	}
	proc := p.Portal.Library.At(f.VersionHash)
	if proc != nil {
		item.Name = proc.Name.In(page.Lang)
	}
	switch {
	case f.Sync == services.SyncRefused:
		item.Tag = ui.Tag{Text: page.T("services.sync.refused"), Tone: ui.Late}
	case f.Sync == services.SyncHeld:
		item.Tag = ui.Tag{Text: page.T("services.sync.held"), Tone: ui.Soon}
	case f.Sync == services.SyncDelivered && proc != nil:
		item.Tag = ui.Tag{Text: p.stateWords(proc, f.State, page.Lang), Tone: stateTone(proc, f.State)}
	}
	if s := f.Summary.Supplement; s != nil && !f.Summary.Answered && f.Summary.Paused {
		item.Ask = &ui.Action{Text: page.T("services.home.supplement_do"), URL: filingURL(f.ID) + "/supplement", Hidden: f.Number}
	}
	if proc != nil {
		item.Clock = p.clock(page, proc, f)
	}
	return item
}
