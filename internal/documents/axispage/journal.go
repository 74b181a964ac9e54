package axispage

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

type latePage struct {
	ui.Page
	To    ui.Input
	Find  ui.Button
	Table ui.Table
}

func (p *Pages) late(w http.ResponseWriter, r *http.Request) error {
	pg := latePage{Page: page(r, "axispage.late.title")}
	to := strings.TrimSpace(web.Query(r).Get("to"))
	list, err := p.Hub.Late(r.Context(), to, rowsOnPage)
	if err != nil {
		return err
	}
	pg.To = ui.Input{Name: "to", Label: pg.T("axispage.receiver"), Value: to, Width: "20"}
	pg.Find = ui.Button{Text: pg.T("axispage.show")}
	pg.Table = ui.Table{
		Caption: pg.T("axispage.late_list"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("axispage.receiver")}, {Text: pg.T("axispage.document")}, {Text: pg.T("axispage.sender")}, {Text: pg.T("axispage.priority")}, {Text: pg.T("axispage.sent_at")}, {Text: pg.T("axispage.due")}, {Text: pg.T("axispage.state")}},
		Empty:   &ui.Empty{Title: pg.T("axispage.none_late"), Text: pg.T("axispage.none_late_text")},
	}
	for _, c := range list {
		state := ui.Tag{Text: pg.T("axispage.state." + string(c.State)), Tone: ui.Late}
		if c.State == axis.Done {
			state = ui.Tag{Text: pg.T("axispage.state.silent"), Tone: ui.Soon}
		}
		urgency := ui.Cell{Text: pg.T("axispage.priority.0")}
		if c.Priority > 0 {
			urgency = ui.Cell{Tag: &ui.Tag{Text: pg.T("axispage.priority." + strconv.Itoa(min(c.Priority, 4))), Tone: ui.Late}}
		}
		pg.Table.Rows = append(pg.Table.Rows, ui.Row{Tone: ui.Late, Cells: []ui.Cell{
			{Text: c.To, URL: agencyURL(c.To), Head: true},
			{Text: c.Number, Sub: c.Subject, URL: messagesPath + url.PathEscape(c.Message)},
			{Text: c.From},
			urgency,
			{Text: i18n.DateTime(c.Sent)},
			{Text: i18n.DateTime(c.Due)},
			{Tag: &state, Sub: c.Description},
		}})
	}
	return p.templates.Render(w, r, http.StatusOK, "late", pg)
}

type journalPage struct {
	ui.Page
	DocID      ui.Input
	Find       ui.Button
	Table      ui.Table
	Pagination ui.Pagination
}

// storable keeps out what no identifier holds and PostgreSQL would not even compare.
func storable(s string) string {
	s = strings.TrimSpace(s)
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) || len(s) > 200 {
		return "-"
	}
	return s
}

func (p *Pages) journal(w http.ResponseWriter, r *http.Request) error {
	pg := journalPage{Page: page(r, "axispage.journal.title")}
	q := web.Query(r)
	before, _ := strconv.ParseInt(q.Get("before"), 10, 64) // a malformed number shows the first page
	id := q.Get("doc")
	query := axis.JournalQuery{Newest: true, After: max(before, 0), Limit: rowsOnPage}
	if id != "" {
		query.DocID = storable(id)
	}
	list, err := p.Hub.Journal(r.Context(), query)
	if err != nil {
		return err
	}
	pg.DocID = ui.Input{Name: "doc", Label: pg.T("axispage.doc_id"), Value: id, Width: "30"}
	pg.Find = ui.Button{Text: pg.T("axispage.show")}
	pg.Table = journalTable(pg.Page, list)
	if len(list) == rowsOnPage {
		q.Set("before", strconv.FormatInt(list[len(list)-1].Seq, 10))
		pg.Pagination.Next = journalPath + "?" + q.Encode()
	}
	return p.templates.Render(w, r, http.StatusOK, "journal", pg)
}

func journalTable(pg ui.Page, list []axis.Entry) ui.Table {
	t := ui.Table{
		Caption: pg.T("axispage.journal_list"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("axispage.number")}, {Text: pg.T("axispage.when")}, {Text: pg.T("axispage.what")}, {Text: pg.T("axispage.sender")}, {Text: pg.T("axispage.receiver")}, {Text: pg.T("axispage.document")}, {Text: pg.T("axispage.party")}},
		Empty:   &ui.Empty{Title: pg.T("axispage.no_journal"), Text: pg.T("axispage.no_journal_text")},
	}
	for _, e := range list {
		doc := ui.Cell{Text: e.Document, Sub: e.Note}
		if act, ok := strings.CutPrefix(e.Note, "axis."); ok { // what an administrator did
			doc.Sub = pg.T("axispage.act." + act)
		}
		if e.DocID != "" {
			doc.URL = messagesPath + url.PathEscape(e.DocID)
			if doc.Text == "" {
				doc.Text = e.DocID
			}
		}
		tone := ui.Neutral
		if e.Event == axis.EvFailed || e.Event == axis.EvRefused {
			tone = ui.Late
		}
		t.Rows = append(t.Rows, ui.Row{Tone: tone, Cells: []ui.Cell{
			{Text: strconv.FormatInt(e.Seq, 10)},
			{Text: i18n.DateTime(e.Time())},
			{Text: pg.T("axispage.event." + string(e.Event)), Head: true},
			{Text: e.From},
			{Text: e.To},
			doc,
			{Text: string(e.Party)},
		}})
	}
	return t
}

type messagePage struct {
	ui.Page
	Summary  ui.SummaryList
	Copies   ui.Table
	Push     []pushForm
	Journal  ui.Table
	Receipts ui.Table
}

func (p *Pages) message(w http.ResponseWriter, r *http.Request) error {
	pg := messagePage{Page: page(r, "axispage.message.title")}
	pg.Back = journalPath
	id := storable(r.PathValue("id"))
	m, err := p.Hub.Store.Message(r.Context(), id)
	if err != nil {
		return err
	}
	receipts, err := p.Hub.ReceiptsAbout(r.Context(), id)
	if err != nil {
		return err
	}
	list, err := p.Hub.Journal(r.Context(), axis.JournalQuery{DocID: id, Limit: 5000})
	if err != nil {
		return err
	}
	row := func(key, value string) {
		pg.Summary.Rows = append(pg.Summary.Rows, ui.SummaryRow{Key: pg.T(key), Value: value})
	}
	row("axispage.document", m.DocumentID)
	row("axispage.code", m.Code.String())
	row("axispage.subject", m.Subject)
	row("axispage.sender", m.From)
	row("axispage.party", string(m.Party))
	row("axispage.sent_at", i18n.DateTime(m.Sent))
	row("axispage.to_receivers", strconv.Itoa(m.Receivers))
	row("axispage.digest", m.Payload.SHA256)
	if err := p.copies(r, &pg, m); err != nil {
		return err
	}
	pg.Journal = journalTable(pg.Page, list)
	pg.Receipts = ui.Table{
		Caption: pg.T("axispage.receipts"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("axispage.when")}, {Text: pg.T("axispage.what")}, {Text: pg.T("axispage.timestamp")}, {Text: pg.T("axispage.file")}},
		Empty:   &ui.Empty{Title: pg.T("axispage.no_receipts"), Text: pg.T("axispage.no_receipts_text")},
	}
	for _, x := range receipts {
		stamp := ui.Tag{Text: pg.T("axispage.stamp_waits"), Tone: ui.Soon}
		if x.Stamped {
			stamp = ui.Tag{Text: pg.T("axispage.stamped"), Tone: ui.Done}
		}
		pg.Receipts.Rows = append(pg.Receipts.Rows, ui.Row{Cells: []ui.Cell{
			{Text: i18n.DateTime(x.At)},
			{Text: pg.T("axispage.event." + string(x.Event)), Sub: x.Copy, Head: true},
			{Tag: &stamp},
			{Text: pg.T("axispage.download"), URL: messagesPath + url.PathEscape(id) + "/receipts/" + url.PathEscape(x.ID)},
		}})
	}
	return p.templates.Render(w, r, http.StatusOK, "message", pg)
}

func (p *Pages) receipt(w http.ResponseWriter, r *http.Request) error {
	list, err := p.Hub.ReceiptsAbout(r.Context(), storable(r.PathValue("id")))
	if err != nil {
		return err
	}
	for _, x := range list {
		if x.ID == r.PathValue("receipt") {
			b, err := p.Hub.ReceiptFile(r.Context(), x)
			if err != nil {
				return err
			}
			return web.WriteFile(w, web.File{Name: string(x.Event) + "-" + x.ID + ".json", Type: "application/json", Data: b})
		}
	}
	return errs.E(errs.NotFound, "axispage.receipt_unknown", nil)
}
