// Package servicespage draws the citizens' portal: finding a procedure, filing it one question at a time, paying,
// following, supplementing, withdrawing and rating a filing, and seeing who has read one's data.
//
// A request reaches a handler of this package behind the chain of package web, so the session, the language and
// protection from other sites are settled. The handler asks [services.Portal], decides everything, and fills a page
// struct; templates only lay it out. Nothing needs JavaScript. What a procedure asks comes from its bundle: this
// package knows widgets, not procedures.
package servicespage

import (
	"embed"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"truc/internal/adminunits"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/services"
	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var templatesFS embed.FS

// Pages are the pages of the citizens' portal.
type Pages struct {
	Portal   *services.Portal
	Renderer *ui.Renderer
	Places   *adminunits.Units
	Messages *i18n.Catalogue
	Now      func() time.Time
	Log      *slog.Logger
	// TrackAddress limits look-ups without sign-in by client address, TrackNumber by dossier number, so that the
	// second factor cannot be guessed from many addresses either. Nil takes the defaults.
	TrackAddress, TrackNumber *web.Limiter

	templates *ui.Templates
}

// Limits of request bodies.
const (
	maxForm   = 256 << 10
	maxUpload = 48 << 20
)

// Mount registers the routes: all of them, with who may use them.
func (p *Pages) Mount(mux *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(templatesFS, "*.html"); err != nil {
		return err
	}
	if p.TrackAddress == nil {
		p.TrackAddress = web.NewLimiter(p.Now, 10*time.Second, 10, 10000)
	}
	if p.TrackNumber == nil {
		p.TrackNumber = web.NewLimiter(p.Now, 2*time.Minute, 6, 10000)
	}
	open, citizen := mux.Handle, func(pattern string, h web.HandlerFunc) { mux.Handle(pattern, web.RequireCitizen(h)) }

	open("GET /{$}", p.home)
	open("GET /procedures", p.procedureList)
	open("GET /procedures/{code}", p.procedure)
	open("POST /procedures/{code}/start", p.procedureStart)
	open("GET /track", p.track)
	open("POST /track", p.trackFind)

	citizen("GET /apply/{draft}", p.applyResume)
	citizen("GET /apply/{draft}/{page}", p.applyPage)
	citizen("POST /apply/{draft}/{page}", p.applyPageSave)
	citizen("POST /apply/{draft}/wrong", p.applyWrong)
	citizen("POST /apply/{draft}/refill", p.applyRefill)
	citizen("POST /apply/{draft}/delete", p.applyDelete)
	citizen("GET /apply/{draft}/papers", p.applyPapers)
	citizen("POST /apply/{draft}/papers", p.applyPapersAdd)
	citizen("POST /apply/{draft}/papers/remove", p.applyPapersRemove)
	citizen("GET /apply/{draft}/check", p.applyCheck)
	citizen("POST /apply/{draft}/check", p.applySubmit)

	citizen("GET /filings", p.filingList)
	citizen("GET /filings/{id}", p.filing)
	citizen("GET /filings/{id}/done", p.filingDone)
	citizen("POST /filings/{id}/pay", p.filingPay)
	citizen("GET /filings/{id}/supplement", p.supplement)
	citizen("POST /filings/{id}/supplement", p.supplementSend)
	citizen("GET /filings/{id}/withdraw", p.withdraw)
	citizen("POST /filings/{id}/withdraw", p.withdrawSend)
	citizen("GET /filings/{id}/rate", p.rate)
	citizen("POST /filings/{id}/rate", p.rateSend)
	citizen("GET /filings/{id}/documents/{doc}", p.filingDocument)

	open("GET /payments/return", p.paymentReturn)
	// The payment provider's notice carries no cookie; its signature is checked behind the port.
	mux.HandleAPI("GET /payments/notice", p.paymentNotice)
	mux.HandleAPI("POST /payments/notice", p.paymentNotice)

	citizen("GET /my-data", p.myData)
	citizen("POST /my-data/receipt", p.myDataReceipt)
	return nil
}

func (p *Pages) render(w http.ResponseWriter, r *http.Request, name string, data any) error {
	return p.templates.Render(w, r, http.StatusOK, name, data)
}

// invalid shows a page again with what is wrong in it.
func (p *Pages) invalid(w http.ResponseWriter, r *http.Request, name string, data any) error {
	return p.templates.Render(w, r, http.StatusUnprocessableEntity, name, data)
}

func who(r *http.Request) reqctx.Principal { return reqctx.PrincipalOf(r.Context()) }

// problemOf turns an error that the person can put right on this page into a problem of a field. Anything else
// stays an error.
func problemOf(field string, err error) (ui.Problem, bool) {
	switch errs.KindOf(err) {
	case errs.Invalid, errs.TooLarge, errs.Conflict:
		key, args := errs.KeyOf(err)
		return ui.Problem{Field: field, Key: key, Args: args}, true
	default:
		return ui.Problem{}, false
	}
}

// instant says "17:30, thứ Hai, 23/11/2026".
func instant(lang string, t time.Time) string {
	return t.In(i18n.Zone).Format("15:04") + ", " + i18n.LongDate(lang, t)
}

// term says a time limit: "1 ngày làm việc".
func term(page ui.Page, amount int, unit string) string {
	if unit == "none" || unit == "" {
		return page.T("services.unit.none")
	}
	if amount == 1 && page.Lang != "vi" {
		return "1 " + page.T("services.unit.one."+unit)
	}
	return i18n.Number(page.Lang, int64(amount)) + " " + page.T("services.unit."+unit)
}

// sourceName names the register of "population/person#fullName".
func (p *Pages) sourceName(lang, source string) string {
	name, _, _ := strings.Cut(source, "#")
	name, _, _ = strings.Cut(name, "/")
	if key := "services.source." + name; p.Messages.Has("vi", key) {
		return p.Messages.T(lang, key)
	}
	return name
}

// stateWords says a state to a citizen: the phase of the procedure, or the meaning of its national code.
func (p *Pages) stateWords(proc *bundle.Procedure, state, lang string) string {
	s := proc.Flow.State(state)
	switch {
	case s == nil:
		return state
	case s.Phase.In(lang) != "":
		return s.Phase.In(lang)
	}
	return p.Messages.T(lang, "services.national."+i18n.Number("en", int64(s.National)))
}

// stateTone gives a state its colour; the word beside it says the same.
func stateTone(proc *bundle.Procedure, state string) ui.Tone {
	s := proc.Flow.State(state)
	if s == nil {
		return ui.Neutral
	}
	switch s.National {
	case 5, 6:
		return ui.Soon
	case 9, 10:
		return ui.Done
	case 3, 8:
		return ui.Late
	case 2, 4:
		return ui.Info
	}
	return ui.Neutral
}

// mask hides the middle of a personal number: people read such pages on borrowed machines.
func mask(number string) string {
	if len(number) != 12 {
		return number
	}
	return number[:4] + "•••••" + number[9:]
}
