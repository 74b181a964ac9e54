package axispage

import (
	"net/http"
	"net/url"

	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// pushForm sends one copy to its node once more.
type pushForm struct {
	Action string
	Button ui.Button
}

// copies shows what each receiver has of a message. A copy for a node whose delivery ended without success can be sent again.
func (p *Pages) copies(r *http.Request, pg *messagePage, m axis.Message) error {
	list, err := p.Hub.Sent(r.Context(), m.Party, axis.SentQuery{Kind: m.Kind, DocID: m.ID, Limit: 5000})
	if err != nil {
		return err
	}
	pg.Copies = ui.Table{
		Caption: pg.T("axispage.copy_list"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("axispage.receiver")}, {Text: pg.T("axispage.party")}, {Text: pg.T("axispage.state")}, {Text: pg.T("axispage.taken_at")}},
	}
	for _, c := range list {
		tag := ui.Tag{Text: pg.T("axispage.state." + string(c.State)), Tone: ui.Soon}
		taken := ""
		switch c.State {
		case axis.Done:
			tag.Tone, taken = ui.Done, i18n.DateTime(c.Received)
		case axis.Failed:
			tag.Tone = ui.Late
		case axis.Initial, axis.Processing:
		}
		pg.Copies.Rows = append(pg.Copies.Rows, ui.Row{Cells: []ui.Cell{
			{Text: c.To, URL: agencyURL(c.To), Head: true}, {Text: string(c.Party)}, {Tag: &tag, Sub: c.Description}, {Text: taken},
		}})
		if _, node := c.Party.Subsystem(); node && c.State == axis.Failed {
			pg.Push = append(pg.Push, pushForm{
				Action: messagesPath + url.PathEscape(m.ID) + "/copies/" + url.PathEscape(c.ID), Button: ui.Button{Text: pg.T("axispage.push_again", "to", c.To), Kind: "secondary"},
			})
		}
	}
	return nil
}

// copyPush sends a copy again.
func (p *Pages) copyPush(w http.ResponseWriter, r *http.Request) error {
	id := storable(r.PathValue("id"))
	c, err := p.Hub.Store.Copy(r.Context(), storable(r.PathValue("copy")))
	if err == nil && c.Message != id {
		err = errs.E(errs.NotFound, "axis.message_unknown", nil)
	}
	if err != nil {
		return err
	}
	if err := p.Hub.PushAgain(r.Context(), actor(r), c.ID); err != nil {
		return err
	}
	ui.Flash(w, "axispage.saved")
	return web.SeeOther(w, r, messagesPath+url.PathEscape(id))
}
