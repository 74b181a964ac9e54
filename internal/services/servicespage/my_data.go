package servicespage

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"truc/internal/i18n"
	"truc/internal/services"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// myDataPage is my_data.html: who has read the person's data.
type myDataPage struct {
	ui.Page
	Who       string
	Registers []usageSection
}

// usageSection is what one register said.
type usageSection struct {
	Register, Name string
	Silent         string
	Count          string
	Lines          []usageLine
	More           string
	Withheld       string
}

type usageLine struct {
	ID, FormID   string
	At           time.Time
	Agency, Why  string
	Dossier, URL string
	Basis        string
	Fields       string
}

// myData asks every register that keeps an access log.
func (p *Pages) myData(w http.ResponseWriter, r *http.Request) error {
	me := who(r)
	page := myDataPage{Page: ui.NewPage(r, "services.mydata.title"), Who: me.Name + " · " + mask(me.ID)}
	mine := p.dossiersOf(r, page.Page)
	for _, rep := range p.Portal.WhoReadMyData(r.Context(), me) {
		section := usageSection{Register: rep.Source.Register, Name: rep.Source.Name}
		if key := "services.source." + rep.Source.Register; p.Messages.Has("vi", key) {
			section.Name = page.T(key)
		}
		if rep.Err != nil {
			p.Log.WarnContext(r.Context(), "a register did not tell who read a person's data", slog.String("register", rep.Source.Register), slog.Any("error", rep.Err))
			section.Silent = page.T("services.mydata.silent", "register", section.Name)
			page.Registers = append(page.Registers, section)
			continue
		}
		section.Count = page.T("services.mydata.count", "n", rep.Total)
		if rep.Total > len(rep.Lines) {
			section.More = page.T("services.mydata.more", "n", len(rep.Lines))
		}
		if rep.Withheld > 0 {
			section.Withheld = page.T("services.mydata.withheld", "n", rep.Withheld)
			if !rep.WithheldUntil.IsZero() {
				section.Withheld = page.T("services.mydata.withheld_until", "n", rep.Withheld, "day", i18n.Date(rep.WithheldUntil))
			}
		}
		for _, l := range rep.Lines {
			section.Lines = append(section.Lines, p.usageLine(page.Page, rep.Source.Register, l, mine))
		}
		page.Registers = append(page.Registers, section)
	}
	return p.render(w, r, "my_data", page)
}

// dossiersOf maps what a reading may name as its dossier — a number, or the id that a filing shares with its draft —
// to the person's own page. A link that is missing does no harm.
func (p *Pages) dossiersOf(r *http.Request, page ui.Page) map[string]ui.Action {
	out := map[string]ui.Action{}
	if filings, err := p.Portal.Filings(r.Context(), who(r)); err == nil {
		for _, f := range filings {
			link := ui.Action{Text: page.T("services.mydata.dossier_on_its_way"), URL: filingURL(f.ID)}
			if f.Number != "" {
				link.Text = page.T("services.mydata.dossier", "number", f.Number)
				out[f.Number] = link
			}
			out[f.ID] = link
		}
	}
	if drafts, err := p.Portal.Drafts(r.Context(), who(r)); err == nil {
		for _, d := range drafts {
			out[d.ID] = ui.Action{Text: page.T("services.mydata.draft"), URL: applyURL(d.ID, "")}
		}
	}
	return out
}

func (p *Pages) usageLine(page ui.Page, register string, l services.UsageLine, mine map[string]ui.Action) usageLine {
	x := usageLine{ID: l.LineID, FormID: ui.FieldID("receipt-" + register + "-" + l.LineID), At: l.At, Agency: l.AgencyName, Why: l.Purpose, Basis: l.LegalBasis}
	if x.Agency == "" {
		x.Agency = l.Agency
	}
	if key := "services.activity." + l.Activity; p.Messages.Has("vi", key) && (x.Why == "" || page.Lang != "vi") {
		x.Why = page.T(key)
	}
	if link, ok := mine[l.Dossier]; ok {
		x.Dossier, x.URL = link.Text, link.URL
	} else if l.Dossier != "" {
		x.Dossier = page.T("services.mydata.dossier", "number", l.Dossier)
	}
	var fields []string
	for i, f := range l.Fields {
		name := f
		if key := "services.field." + f; p.Messages.Has("vi", key) {
			name = page.T(key)
		} else if i < len(l.Labels) && l.Labels[i] != "" {
			name = l.Labels[i]
		}
		fields = append(fields, name)
	}
	x.Fields = strings.Join(fields, ", ")
	return x
}

// myDataReceipt hands out the proof of one reading.
func (p *Pages) myDataReceipt(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	content, err := p.Portal.UsageReceipt(r.Context(), who(r), form.Get("register"), form.Get("line"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: "truc-bien-nhan-" + p.Now().In(i18n.Zone).Format("20060102-150405") + ".zip", Type: "application/zip", Data: content})
}
