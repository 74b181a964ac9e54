package documentspage

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web/ui"
)

// documentPage is a document with everything known about it; outgoing and incoming ones share its frame.
type documentPage struct {
	ui.Page
	ID, Code, Subject, Sub string
	Dir                    documents.Direction
	State                  documents.State
	Version                int64
	Tag                    ui.Tag
	Urgency                *ui.Tag
	Clock                  ui.Clock
	Facts                  []fact
	Notices                []ui.Notice
	Main                   *ui.Button
	MainHint               string
	Others                 []actLink
	Cards                  []ui.SummaryList
	View                   *fileView
	Files                  []fileView
	Attach                 *ui.File
	MaxMB                  int64
	Links                  []linkView
	Prints                 []linkView
	Tracks                 []trackView
	TrackSum               string
	Timeline               ui.Timeline
	Chain                  string
	ChainOK                bool
	Openings               []string
}

type fact struct{ Label, Value, Sub string }

// addFact adds a fact to the head of the page, unless there is none.
func (page *documentPage) addFact(key, value, sub string) {
	if value != "" {
		page.Facts = append(page.Facts, fact{page.T(key), value, sub})
	}
}

type actLink struct{ Name, Text, URL string }

type fileView struct {
	ID, Name, Size, URL, SHA256 string
	PDF, Picture, Lies          bool
	// Detach offers to take the file off a draft.
	Detach bool
}

type linkView struct{ Text, URL string }

// trackView is where a document is at one receiver.
type trackView struct {
	Name, Code, Reason, Took string
	Tag                      ui.Tag
	Steps                    []stepView
	Clock                    ui.Clock
	Flags                    []string
	Receipts                 []linkView
}

type stepView struct {
	Text, Took, Note string
	At               time.Time
}

func (p *Pages) outgoing(w http.ResponseWriter, r *http.Request) error {
	page, err := p.outgoingPage(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	return p.templates.Render(w, r, http.StatusOK, "outgoing", page)
}

func (p *Pages) outgoingPage(r *http.Request, id string) (documentPage, error) {
	by := p.who(r)
	o, err := p.Desk.Outgoing(r.Context(), by, id)
	if err != nil {
		return documentPage{}, err
	}
	page := documentPage{
		Page: p.newPage(r, "docs.out.title"), ID: id, Dir: documents.Out, Subject: o.Form.Subject, State: o.State, Version: o.Version,
		Sub: typeName(o.Form.Type),
	}
	page.Back = "/documents/out"
	page.Code = page.T("docs.list.no_number")
	if o.Code.Number != "" {
		page.Code = o.Code.String()
	}
	page.Title = page.T("docs.out.document", "code", page.Code)
	page.Tag, page.Urgency = stateTag(page.Page, o.State), urgencyTag(page.Page, o.Form.Urgency)
	due, c := o.Limit()
	page.Clock = p.clock(page.Page, due, c)
	people, err := p.names(r)
	if err != nil {
		return page, err
	}
	p.outgoingHead(&page, o, people)
	p.outgoingFiles(&page, by, o)
	p.fillOffers(&page, outgoingOffers(by, o))
	if o.Holder != "" && o.Holder != by.Account && page.Main == nil {
		page.MainHint = page.T("docs.next.holder", "name", people[o.Holder])
	}
	for _, l := range o.Links {
		page.Links = append(page.Links, p.link(page.Page, l, o.Kind))
	}
	for _, l := range o.Amended {
		page.Links = append(page.Links, linkView{Text: page.T("docs.link.amended_by", "kind", page.T(l.Kind.Key()), "code", l.Code), URL: documentURL(documents.Out, l.ID)})
	}
	p.fillTracks(&page, o)
	p.fillEvents(r, &page, by, o.Events)
	return page, nil
}

// names maps the accounts of the office to names.
func (p *Pages) names(r *http.Request) (map[string]string, error) {
	people, err := p.Desk.People(r.Context(), p.who(r), "")
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, x := range people {
		out[x.Account] = x.Name
	}
	return out, nil
}

func (p *Pages) link(page ui.Page, l documents.Link, kind documents.Kind) linkView {
	if kind == documents.KindNew {
		return linkView{Text: page.T("docs.link.answers", "code", l.Code, "date", day(l.Date)), URL: documentURL(documents.In, l.ID)}
	}
	return linkView{Text: page.T("docs.link.amends", "kind", page.T(kind.Key()), "code", l.Code, "date", day(l.Date)), URL: documentURL(documents.Out, l.ID)}
}

func (p *Pages) outgoingHead(page *documentPage, o *documents.Outgoing, people map[string]string) {
	add := page.addFact
	add("docs.fact.date", day(o.Date), "")
	signer := o.Form.SignerName
	if signer == "" {
		signer = people[o.Form.Signer]
	}
	add("docs.fact.signer", signer, o.Form.SignerTitle)
	add("docs.fact.drafter", o.DrafterName, "")
	add("docs.fact.issued", o.IssuedBy, moment(o.IssuedAt))
	add("docs.fact.sent", moment(o.SentAt), "")
	add("docs.fact.send_at", moment(o.SendAt), "")
	add("docs.fact.document_id", o.DocumentID, "")
	f := o.Form
	card := ui.SummaryList{Title: page.T("docs.card.sending")}
	row := func(key string, values ...string) { addRow(page.Page, &card, key, values) }
	row("docs.field.addressees", f.Addressees...)
	var receivers []string
	for _, x := range o.Receivers() {
		receivers = append(receivers, strings.TrimPrefix(x.Name+" ("+x.Code+")", " "))
	}
	row("docs.field.receivers", receivers...)
	row("docs.field.to_places", f.ToPlaces...)
	row("docs.field.appendixes", f.Appendixes...)
	row("docs.field.due_date", day(f.DueDate))
	row("docs.field.summary", f.Summary)
	row("docs.card.reason", o.AmendReason)
	var voided []string
	for _, c := range o.Voided {
		voided = append(voided, c.String())
	}
	row("docs.card.voided", voided...)
	page.Cards = []ui.SummaryList{card}
	if len(o.Reviews) > 0 {
		card := ui.SummaryList{Title: page.T("docs.card.reviews")}
		for _, n := range o.Reviews {
			text := page.T("docs.review." + strings.ToLower(n.Decision))
			if n.To != "" && people[n.To] != "" {
				text += " → " + people[n.To]
			}
			card.Rows = append(card.Rows, ui.SummaryRow{Key: n.Name + ", " + i18n.DateTime(n.At), Lines: present([]string{text, n.Note})})
		}
		page.Cards = append(page.Cards, card)
	}
}

// addRow adds what there is to say to a card, nothing otherwise.
func addRow(page ui.Page, card *ui.SummaryList, key string, values []string) {
	switch values = present(values); len(values) {
	case 0:
	case 1:
		card.Rows = append(card.Rows, ui.SummaryRow{Key: page.T(key), Value: values[0]})
	default:
		card.Rows = append(card.Rows, ui.SummaryRow{Key: page.T(key), Lines: values})
	}
}

func present(list []string) []string {
	var out []string
	for _, s := range list {
		if strings.TrimSpace(s) != "" {
			out = append(out, s)
		}
	}
	return out
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return i18n.DateTime(t)
}

func view(page ui.Page, dir documents.Direction, id string, f documents.File) fileView {
	v := fileView{ID: f.ID, Name: f.Name, Size: size(page.Lang, f.Size), URL: documentURL(dir, id, "files", f.ID), SHA256: f.SHA256, Lies: f.Lies}
	v.PDF = f.Media == "application/pdf" && !f.Lies
	v.Picture = (f.Media == "image/png" || f.Media == "image/jpeg") && !f.Lies
	return v
}

// copies are the electronic copies that the desk made.
func copies(page ui.Page, dir documents.Direction, id string, events []documents.Event) []fileView {
	var out []fileView
	for _, c := range documents.Copies(events) {
		v := view(page, dir, id, c.File)
		v.Name = page.T("docs.files.copy", "code", c.Code.String(), "at", i18n.DateTime(c.At))
		out = append(out, v)
	}
	return out
}

func (p *Pages) outgoingFiles(page *documentPage, by documents.Actor, o *documents.Outgoing) {
	if p.Word != nil {
		page.Prints = []linkView{{Text: page.T("docs.print.word"), URL: documentURL(documents.Out, o.ID, "word")}}
	}
	switch {
	case o.Main != nil:
		v := view(page.Page, documents.Out, o.ID, *o.Main)
		page.View = &v
	case o.Signed != nil:
		v := view(page.Page, documents.Out, o.ID, *o.Signed)
		page.View = &v
	default:
		page.View = &fileView{Name: page.T("docs.view.preview"), URL: documentURL(documents.Out, o.ID, "preview"), PDF: true}
	}
	open := o.Holder == by.Account && (o.State == documents.Drafting || o.State == documents.Reviewing || o.State == documents.Approved)
	for _, f := range o.Attachments {
		v := view(page.Page, documents.Out, o.ID, f)
		v.Detach = open
		page.Files = append(page.Files, v)
	}
	page.Files = append(page.Files, copies(page.Page, documents.Out, o.ID, o.Events)...)
	if open {
		page.MaxMB = p.Desk.MaxAttachment() >> 20
		page.Attach = &ui.File{
			Name: "file", Label: page.T("docs.attach.label"), Hint: page.T("docs.attach.hint"), MaxMB: int(page.MaxMB),
			Accept: []string{"PDF", "DOCX", "XLSX", "PPTX", "ODT", "ODS", "TXT", "CSV", "XML", "PNG", "JPG", "ZIP"},
		}
	}
}

// fillTracks says where the document is, receiver by receiver.
func (p *Pages) fillTracks(page *documentPage, o *documents.Outgoing) {
	if len(o.Dispatches) == 0 {
		return
	}
	tracks := o.Tracks()
	confirmed := 0
	for i := range tracks {
		t := &tracks[i]
		if t.Confirmed() {
			confirmed++
		}
		v := trackView{Name: t.Receiver.Name, Code: t.Receiver.Code, Reason: t.Reason, Tag: trackTag(page.Page, t), Took: p.took(page.Page, t.Took)}
		if !t.Confirmed() && !t.AxisRefused {
			v.Clock = p.clock(page.Page, t.ConfirmBy, documents.ClockConfirm)
		}
		for _, s := range t.Steps {
			if s.At.IsZero() {
				continue
			}
			v.Steps = append(v.Steps, stepView{Text: page.T(s.Stage.Key()), At: s.At, Took: p.took(page.Page, s.Took), Note: s.Text})
		}
		if t.RecallOpen {
			v.Flags = append(v.Flags, page.T("docs.track.recall_open"))
		}
		if t.RecallRefused != "" {
			v.Flags = append(v.Flags, page.T("docs.track.recall_refused", "reason", t.RecallRefused))
		}
		if t.Updated {
			v.Flags = append(v.Flags, page.T("docs.track.updated"))
		}
		for _, h := range t.Impossible {
			v.Flags = append(v.Flags, page.T("docs.track.impossible", "status", page.T(h.Code.Key()), "at", i18n.DateTime(h.At)))
		}
		for _, sha := range t.Receipts {
			v.Receipts = append(v.Receipts, linkView{Text: page.T("docs.track.receipt"), URL: documentURL(documents.Out, o.ID, "receipts", sha)})
		}
		page.Tracks = append(page.Tracks, v)
	}
	page.TrackSum = page.T("docs.track.sum", "confirmed", confirmed, "all", len(tracks))
}

func trackTag(page ui.Page, t *documents.Track) ui.Tag {
	switch {
	case t.AxisRefused:
		return ui.Tag{Text: page.T("docs.track.axis_refused"), Tone: ui.Late}
	case t.Revoked:
		return ui.Tag{Text: page.T("docs.track.revoked"), Tone: ui.Late}
	case t.Status == "":
		return ui.Tag{Text: page.T("docs.track.waiting"), Tone: ui.Soon}
	}
	tag := ui.Tag{Text: page.T(t.Status.Key()), Tone: ui.Info}
	switch t.Status {
	case documents.StatusDone:
		tag.Tone = ui.Done
	case documents.StatusRefused:
		tag.Tone = ui.Late
	case documents.StatusArrived:
		tag.Tone = ui.Soon
	default:
	}
	return tag
}

// took says how long something took, in the two largest units of the clock on the wall.
func (p *Pages) took(page ui.Page, d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Minute:
		return page.T("docs.took.seconds", "n", int(d/time.Second)+1)
	case d < time.Hour:
		return page.T("docs.took.minutes", "n", int(d/time.Minute))
	case d < 24*time.Hour:
		return page.T("docs.took.hours", "h", int(d/time.Hour), "m", int(d%time.Hour/time.Minute))
	}
	return page.T("docs.took.days", "d", int(d/(24*time.Hour)), "h", int(d%(24*time.Hour)/time.Hour))
}

// fillEvents tells what happened, the latest first, and whether the chain of events is whole.
func (p *Pages) fillEvents(r *http.Request, page *documentPage, by documents.Actor, events []documents.Event) {
	for _, e := range slices.Backward(events) {
		who := e.ActorName
		if who == "" {
			who = page.T("docs.event.system")
		}
		page.Timeline.Events = append(page.Timeline.Events, ui.TimelineEvent{
			Title: page.T("docs.event." + eventKey(e.Type)), When: e.At, Who: who, Lines: eventLines(page.Page, e),
		})
	}
	page.ChainOK = documents.VerifyChain(events) == nil
	page.Chain = page.T("docs.chain.ok", "n", len(events))
	if !page.ChainOK {
		page.Chain = page.T("docs.chain.broken")
	}
	openings, err := p.Desk.Openings(r.Context(), by, page.ID)
	if err != nil {
		if !errs.Is(err, errs.Denied) {
			p.Log.WarnContext(r.Context(), "the openings of a document cannot be read")
		}
		return
	}
	for _, o := range openings {
		page.Openings = append(page.Openings, i18n.DateTime(o.At)+" · "+o.Name+" · "+opened(page.Page, o.What))
	}
}

func opened(page ui.Page, what string) string {
	if what == "document" {
		return page.T("docs.opened.document")
	}
	return what
}

// eventKey is the last part of the message key of an event type: "personSigned" → "person_signed".
func eventKey(t documents.EventType) string {
	var b strings.Builder
	for _, r := range string(t) {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// eventLines are the facts of an event that a reader wants.
func eventLines(page ui.Page, e documents.Event) []string {
	x := e.Data
	var out []string
	if x.Code != nil && x.Code.Number != "" {
		out = append(out, page.T("docs.event.code", "code", x.Code.String()))
	}
	if x.File != nil {
		out = append(out, x.File.Name)
	}
	if x.Status != nil {
		out = append(out, x.Status.Name+": "+page.T(x.Status.Code.Key()))
		out = append(out, x.Status.Text)
	}
	if x.Axis != nil {
		out = append(out, page.T("docs.axis."+string(x.Axis.Event)), x.Axis.Receiver, x.Axis.Text)
		out = append(out, x.Axis.Warnings...)
	}
	if x.Told != "" {
		out = append(out, page.T("docs.event.told", "status", page.T(x.Told.Key())))
	}
	for _, a := range x.People {
		s := a.Name
		if !a.Due.IsZero() {
			s += ", " + page.T("docs.event.until", "at", i18n.DateTime(a.Due))
		}
		out = append(out, s)
	}
	return present(append(out, x.Note, x.Reason))
}
