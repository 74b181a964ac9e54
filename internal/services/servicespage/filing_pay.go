package servicespage

import (
	"net/http"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// filingPay sends the browser to the payment provider.
func (p *Pages) filingPay(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ReadForm(w, r, maxForm); err != nil {
		return err
	}
	ip := "0.0.0.0"
	if a := web.ClientIP(r); a.IsValid() {
		ip = a.String()
	}
	to, err := p.Portal.StartPayment(r.Context(), who(r), r.PathValue("id"), ip)
	if errs.Is(err, errs.Conflict) { // paid in the meantime: the filing says so
		return web.SeeOther(w, r, filingURL(r.PathValue("id"))+"?payment=settled")
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, to)
}

// paymentReturn takes the browser that comes back from the provider to its filing, which shows what the provider
// really said.
func (p *Pages) paymentReturn(w http.ResponseWriter, r *http.Request) error {
	filing, state, err := p.Portal.PaymentReturn(r.Context(), r.URL.Query())
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, filingURL(filing)+"?payment="+string(state))
}

// paymentNotice takes the provider's server-to-server notice. Its signature covers the bytes as they came, so they
// are not cleaned here.
func (p *Pages) paymentNotice(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return errs.E(errs.Invalid, "web.form_broken", err)
	}
	reply := p.Portal.PaymentNotice(r.Context(), r.Form)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err := w.Write(reply) //nolint:gosec // JSON for the payment service
	return err
}

func lastPayment(v *services.FilingView) services.Payment {
	var last services.Payment
	for _, x := range v.Payments {
		if last.Reference == "" || x.CreatedAt.After(last.CreatedAt) {
			last = x
		}
	}
	return last
}

// paymentNotices says how the last payment stands. returned is set when the browser has just come back.
func (p *Pages) paymentNotices(page ui.Page, v *services.FilingView, returned string) []ui.Notice {
	last := lastPayment(v)
	amount := i18n.Money(page.Lang, last.Amount)
	switch last.State {
	case services.PayCreated, services.PayStarted:
		if returned != "" {
			return []ui.Notice{{Title: page.T("services.payment.waiting"), Text: page.T("services.payment.waiting_text")}}
		}
	case services.PayConfirmed:
		if returned != "" {
			return []ui.Notice{{Tone: ui.Done, Title: page.T("services.payment.paid", "amount", amount), Text: page.T("services.payment.paid_text")}}
		}
	case services.PayFailed, services.PayCancelled, services.PayExpired:
		if v.MayPay {
			return []ui.Notice{{
				Tone: ui.Late, Title: page.T("services.payment." + string(last.State)), Text: page.T("services.payment." + string(last.State) + "_text"), Alert: returned != "",
			}}
		}
	}
	return nil
}

// filingPayments shows the fee, what was paid, and the button to pay.
func (p *Pages) filingPayments(page *filingPage, v *services.FilingView) {
	s := v.Summary
	if len(v.Payments) == 0 && (s.FeeTotal == 0 || endedWithout(v)) {
		return
	}
	rows := []ui.SummaryRow{{Key: page.T("services.fee.total"), Value: i18n.Money(page.Lang, s.FeeTotal)}}
	state := &ui.Tag{Text: page.T("services.payment.due_tag"), Tone: ui.Soon}
	switch {
	case s.FeePaid >= s.FeeTotal:
		state = &ui.Tag{Text: page.T("services.payment.paid_tag"), Tone: ui.Done}
	case endedWithout(v):
		state = nil // what was not paid need not be any more
	}
	rows[0].Tag = state
	for _, x := range v.Payments {
		rows = append(rows, ui.SummaryRow{
			Key: page.T("services.payment.attempt", "at", i18n.DateTime(x.CreatedAt)), Value: i18n.Money(page.Lang, x.Amount),
			Tag: &ui.Tag{Text: page.T("services.payment.state." + string(x.State)), Tone: payTone(x.State)},
		})
	}
	page.Payments = ui.SummaryList{Rows: rows}
	if !v.MayPay {
		return
	}
	page.Pay = &ui.Button{Text: page.T("services.payment.pay", "amount", i18n.Money(page.Lang, s.FeeTotal-s.FeePaid))}
	page.PayNote = page.T("services.payment.note")
	if due := v.Submission.Fee.Due; due != "" {
		page.PayNote = page.T("services.fee.due."+due) + " " + page.PayNote
	}
	if v.PaymentOpen {
		page.Pay.Text, page.Pay.Kind, page.PayNote = page.T("services.payment.again"), "secondary", page.T("services.payment.again_text")
	}
}

func payTone(s services.PaymentState) ui.Tone {
	switch s {
	case services.PayConfirmed:
		return ui.Done
	case services.PayCreated, services.PayStarted:
		return ui.Info
	case services.PayFailed, services.PayCancelled, services.PayExpired:
		return ui.Late
	}
	return ui.Neutral
}
