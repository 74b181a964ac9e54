package documentspage

import (
	"net/http"
	"strings"

	"truc/internal/documents"
	"truc/internal/i18n"
	"truc/internal/web/ui"
)

func (p *Pages) incoming(w http.ResponseWriter, r *http.Request) error {
	page, _, err := p.incomingPage(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	return p.templates.Render(w, r, http.StatusOK, "incoming", page)
}

func (p *Pages) incomingPage(r *http.Request, id string) (documentPage, *documents.Incoming, error) {
	by := p.who(r)
	in, err := p.Desk.Incoming(r.Context(), by, id)
	if err != nil {
		return documentPage{}, nil, err
	}
	a := in.Arrival
	page := documentPage{
		Page: p.newPage(r, "docs.in.title"), ID: id, Dir: documents.In, Code: a.Code.String(), Subject: a.Subject, State: in.State, Version: in.Version,
		Sub: a.Type,
	}
	page.Back = "/documents/in"
	page.Title = page.T("docs.in.document", "code", page.Code)
	page.Tag, page.Urgency = stateTag(page.Page, in.State), urgencyTag(page.Page, a.Urgency)
	due, c := in.Limit()
	page.Clock = p.clock(page.Page, due, c)
	p.incomingHead(&page, in)
	p.incomingNotices(&page, in)
	for i, f := range in.Files {
		v := view(page.Page, documents.In, id, f)
		if i == 0 && v.PDF {
			page.View = &v
			continue
		}
		page.Files = append(page.Files, v)
	}
	page.Files = append(page.Files, copies(page.Page, documents.In, id, in.Events)...)
	p.fillOffers(&page, incomingOffers(by, in))
	if page.Main == nil && len(page.Others) == 0 {
		page.MainHint = page.T("docs.next.nothing")
	}
	for _, l := range in.Replies {
		page.Links = append(page.Links, linkView{Text: page.T("docs.link.reply"), URL: documentURL(documents.Out, l.ID)})
	}
	for _, x := range in.Recalls {
		if x.Other != "" {
			page.Links = append(page.Links, linkView{Text: page.T("docs.link.amended_by", "kind", page.T(x.Kind.Key()), "code", x.Code), URL: documentURL(documents.In, x.Other)})
		}
	}
	p.prints(&page, in)
	p.fillEvents(r, &page, by, in.Events)
	return page, in, nil
}

func (p *Pages) incomingHead(page *documentPage, in *documents.Incoming) {
	a := in.Arrival
	add := page.addFact
	add("docs.fact.sender", a.Sender.Name, a.Sender.Code)
	add("docs.fact.date", day(a.Date), a.Place)
	add("docs.fact.signer", a.Signer, a.SignerTitle)
	add("docs.fact.arrived", moment(in.ArrivedAt), page.T("docs.channel."+a.Channel))
	add("docs.fact.number", in.Number, in.AcceptedBy)
	if !in.DueDate.IsZero() {
		add("docs.fact.due", i18n.DateTime(in.DueDate), "")
	}
	card := ui.SummaryList{Title: page.T("docs.card.message")}
	row := func(key string, values ...string) { addRow(page.Page, &card, key, values) }
	row("docs.field.summary", a.Summary)
	row("docs.field.to_places", a.ToPlaces...)
	row("docs.field.appendixes", a.Appendixes...)
	row("docs.field.circulation", a.Circulation)
	row("docs.card.tasks", a.Tasks...)
	row("docs.card.reason", a.Reason)
	row("docs.fact.document_id", a.DocumentID)
	row("docs.card.notes", a.Notes...)
	var hops []string
	for _, h := range a.Hops {
		hops = append(hops, h.Office+", "+i18n.DateTime(h.At))
	}
	row("docs.card.hops", hops...)
	if len(card.Rows) > 0 {
		page.Cards = append(page.Cards, card)
	}
	slip := ui.SummaryList{Title: page.T("docs.card.slip")}
	if in.Instruction != "" {
		slip.Rows = append(slip.Rows, ui.SummaryRow{Key: page.T("docs.card.instruction"), Value: in.Instruction})
	}
	for _, x := range in.People {
		text := page.T("docs.card.helper")
		if x.Lead {
			text = page.T("docs.card.lead")
		}
		list := []string{text}
		if !x.Due.IsZero() {
			list = append(list, page.T("docs.event.until", "at", i18n.DateTime(x.Due)))
		}
		if !x.Finished.IsZero() {
			list = append(list, page.T("docs.card.finished", "at", i18n.DateTime(x.Finished)))
		}
		slip.Rows = append(slip.Rows, ui.SummaryRow{Key: x.Name, Lines: list})
	}
	for _, n := range in.Opinions {
		if n.Text != "" {
			slip.Rows = append(slip.Rows, ui.SummaryRow{Key: strings.Join(present([]string{n.Name, n.Title, i18n.DateTime(n.At)}), ", "), Value: n.Text})
		}
	}
	if in.Result != "" {
		slip.Rows = append(slip.Rows, ui.SummaryRow{Key: page.T("docs.card.result"), Value: in.Result})
	}
	if len(slip.Rows) > 0 {
		page.Cards = append(page.Cards, slip)
	}
}

// incomingNotices say first what must not be overlooked.
func (p *Pages) incomingNotices(page *documentPage, in *documents.Incoming) {
	add := func(tone ui.Tone, title, text string) {
		page.Notices = append(page.Notices, ui.Notice{Tone: tone, Title: title, Text: text})
	}
	if x := in.OpenRecall(); x != nil {
		add(ui.Late, page.T("docs.notice.recall_"+recallKey(x.Kind)), x.Reason)
	}
	if in.Cancelled != nil {
		add(ui.Late, page.T("docs.notice.cancelled", "at", i18n.DateTime(in.Cancelled.At), "by", in.Cancelled.By), in.Cancelled.Reason)
	}
	if in.Refusal != "" {
		add(ui.Late, page.T("docs.notice.refused"), in.Refusal)
	}
	if n := len(in.Arrival.SameID) + len(in.Arrival.SameCode); n > 0 {
		add(ui.Soon, page.T("docs.notice.duplicate"), page.T("docs.notice.duplicate_text"))
	}
}

func recallKey(k documents.Kind) string {
	switch k {
	case documents.KindRevocation:
		return "revocation"
	case documents.KindUpdate:
		return "update"
	case documents.KindReplacement:
		return "replacement"
	case documents.KindNew:
	}
	return "asked"
}
