package servicespage

import (
	"net/http"
	"strings"

	"truc/internal/errs"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// trackPage is track.html: a filing for somebody who is not signed in.
type trackPage struct {
	ui.Page
	Number, Digits ui.Input
	Find           ui.Button
}

// trackForm is the number and, as the second factor, the last four digits of the applicant's personal number.
type trackForm struct{ Number, Digits string }

// track asks for the number. The QR code of a slip brings it along.
func (p *Pages) track(w http.ResponseWriter, r *http.Request) error {
	f := trackForm{Number: clip(web.Query(r).Get("number"), 60)}
	return p.render(w, r, "track", p.trackData(r, f, nil))
}

func (p *Pages) trackData(r *http.Request, f trackForm, problems ui.Problems) trackPage {
	page := trackPage{Page: ui.NewPage(r, "services.track.title")}
	page.Back, page.Problems = "/", problems
	page.Number = ui.Input{
		Name: "number", Label: page.T("services.filing.number"), Hint: page.T("services.track.number_hint"), Value: f.Number, Width: "30", Error: problems.For("number"),
	}
	page.Digits = ui.Input{
		Name: "digits", Label: page.T("services.track.digits"), Hint: page.T("services.track.digits_hint"), InputMode: "numeric", Width: "4", MaxLength: 4,
		Error: problems.For("digits"), Autocomplete: "off",
	}
	page.Find = ui.Button{Text: page.T("services.track.find")}
	return page
}

func (f trackForm) validate() (problems ui.Problems) {
	if f.Number == "" {
		problems.Add("number", "services.track.need_number")
	}
	if len(f.Digits) != 4 || strings.Trim(f.Digits, "0123456789") != "" {
		problems.Add("digits", "services.track.need_digits")
	}
	return problems
}

// trackFind shows the filing in the answer to the POST, so that neither number nor digits stand in an address.
func (p *Pages) trackFind(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	f := trackForm{Number: clip(strings.ToUpper(strings.TrimSpace(form.Get("number"))), 60), Digits: strings.TrimSpace(form.Get("digits"))}
	if problems := f.validate(); len(problems) > 0 {
		return p.invalid(w, r, "track", p.trackData(r, f, problems))
	}
	if err := p.TrackAddress.Check(w, web.AddressKey(r)); err != nil {
		return err
	}
	if err := p.TrackNumber.Check(w, f.Number); err != nil {
		return err
	}
	v, err := p.Portal.Track(r.Context(), f.Number, f.Digits, ui.NewPage(r, "").Lang)
	if errs.Is(err, errs.NotFound) {
		problem, _ := problemOf("number", errs.E(errs.Invalid, "services.track.not_found", nil))
		return p.invalid(w, r, "track", p.trackData(r, f, ui.Problems{problem}))
	}
	if err != nil {
		return err
	}
	// Who looks is not known for sure: reasons and names of officers stay with the applicant's own page.
	for i := range v.Events {
		v.Events[i].Actor, v.Events[i].Data.Reason, v.Events[i].Data.Papers = "", "", nil
	}
	ask := v.MustSupply
	v.MustSupply = false
	page := p.filingData(r, &v)
	page.Back = "/track"
	if ask {
		page.Notices = []ui.Notice{{
			Tone: ui.Soon, Title: page.T("services.supplement.asked"), Text: page.T("services.track.sign_in_to_supply"),
			Action: &ui.Action{Text: page.T("ui.sign_in"), URL: "/login?next=" + "/filings"},
		}}
	}
	return p.render(w, r, "track_found", page)
}
