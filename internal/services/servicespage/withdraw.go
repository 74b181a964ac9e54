package servicespage

import (
	"net/http"

	"truc/internal/errs"
	"truc/internal/services"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// withdrawPage is withdraw.html: a stop before what cannot be undone.
type withdrawPage struct {
	ui.Page
	ID, Number string
	Warning    ui.Inset
	Reason     ui.Textarea
	Send, Stay ui.Button
}

func (p *Pages) withdraw(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Portal.View(r.Context(), who(r), r.PathValue("id"), ui.NewPage(r, "").Lang)
	if err != nil {
		return err
	}
	if !v.MayWithdraw {
		return errs.E(errs.Conflict, "services.withdraw.too_late", nil)
	}
	return p.render(w, r, "withdraw", p.withdrawData(r, &v))
}

func (p *Pages) withdrawData(r *http.Request, v *services.FilingView) withdrawPage {
	page := withdrawPage{Page: ui.NewPage(r, "services.withdraw.title"), ID: v.ID, Number: v.Number}
	page.Back = filingURL(v.ID)
	page.Warning = ui.Inset{Text: page.T("services.withdraw.warning"), Warning: true}
	page.Reason = ui.Textarea{Name: "reason", Label: page.T("services.withdraw.reason"), Hint: page.T("services.withdraw.reason_hint"), MaxLength: 1000, Rows: 3, Optional: true}
	page.Send = ui.Button{Text: page.T("services.withdraw.send"), Kind: "danger"}
	page.Stay = ui.Button{Text: page.T("services.withdraw.stay"), URL: filingURL(v.ID), Kind: "link"}
	return page
}

// withdrawSend takes the filing back.
func (p *Pages) withdrawSend(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := p.Portal.Withdraw(r.Context(), who(r), id, form.Get("reason")); err != nil {
		return err
	}
	ui.Flash(w, "services.withdraw.sent")
	return web.SeeOther(w, r, filingURL(id))
}
