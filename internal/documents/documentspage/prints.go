package documentspage

import (
	"net/http"
	"strings"
	"time"

	"truc/internal/documents"
	"truc/internal/documents/paper"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
)

// prints are what an accepted document can be printed with.
func (p *Pages) prints(page *documentPage, in *documents.Incoming) {
	if in.Number == "" {
		return
	}
	page.Prints = []linkView{
		{Text: page.T("docs.print.slip"), URL: documentURL(documents.In, in.ID, "slip")},
		{Text: page.T("docs.print.stamp"), URL: documentURL(documents.In, in.ID, "stamp")},
	}
}

// word writes a document of the office as a file for an office program.
func (p *Pages) word(w http.ResponseWriter, r *http.Request) error {
	doc, err := p.Desk.PaperOf(r.Context(), p.who(r), r.PathValue("id"))
	if err != nil {
		return err
	}
	f, err := p.Word(doc)
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: f.Name, Type: f.Media, Data: f.Content})
}

// slip prints the slip of handling ("phiếu giải quyết văn bản đến", Decree 30/2020/NĐ-CP, appendix IV).
func (p *Pages) slip(w http.ResponseWriter, r *http.Request) error {
	in, o, err := p.accepted(r)
	if err != nil {
		return err
	}
	a := in.Arrival
	sl := paper.Slip{
		Superior: o.Superior, Arrival: arrivalOf(in, o), TypeName: a.Type, Subject: a.Subject, Code: a.Code.String(), Date: paperDay(a.Date), Author: a.Sender.Name,
		Now: p.Now(),
	}
	if !in.DueDate.IsZero() {
		sl.Deadline = paperDay(in.DueDate.In(i18n.Zone).Format(time.DateOnly))
	}
	for _, n := range in.Opinions {
		text := n.Text
		if len(n.Assigned) > 0 {
			text = strings.TrimSpace(text + "\nNgười giải quyết: " + strings.Join(assigned(n.Assigned), "; ") + ".")
		}
		if text == "" {
			continue
		}
		line := paper.Opinion{At: n.At, Name: n.Name, Title: n.Title, Text: text}
		switch n.Kind {
		case "instruction":
			sl.Leader = append(sl.Leader, line)
		case "unit":
			sl.Unit = append(sl.Unit, line)
		default:
			sl.Officer = append(sl.Officer, line)
		}
	}
	if in.Result != "" {
		sl.Officer = append(sl.Officer, paper.Opinion{At: in.FinishedAt, Text: in.Result})
	}
	pdf, err := paper.HandlingSlip(sl)
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: "phieu-giai-quyet-" + in.Number + ".pdf", Type: "application/pdf", Inline: true, Data: pdf})
}

// stamp prints the page with the stamp of arrival that is laid over the first page of a print.
func (p *Pages) stamp(w http.ResponseWriter, r *http.Request) error {
	in, o, err := p.accepted(r)
	if err != nil {
		return err
	}
	pdf, err := paper.ArrivalOverlay(arrivalOf(in, o), p.Now())
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: "dau-den-" + in.Number + ".pdf", Type: "application/pdf", Inline: true, Data: pdf})
}

// accepted is an incoming document that has its number.
func (p *Pages) accepted(r *http.Request) (*documents.Incoming, documents.Office, error) {
	by := p.who(r)
	o, err := p.Desk.OfficeOf(by)
	if err != nil {
		return nil, o, err
	}
	in, err := p.Desk.Incoming(r.Context(), by, r.PathValue("id"))
	if err == nil && in.Number == "" {
		err = errs.E(errs.Conflict, "docs.problem.not_accepted", nil)
	}
	return in, o, err
}

func arrivalOf(in *documents.Incoming, o documents.Office) paper.Arrival {
	a := paper.Arrival{Agency: o.Name, Number: in.Number, Date: paperDay(in.AcceptedAt.In(i18n.Zone).Format(time.DateOnly))}
	if len(in.People) > 0 {
		a.Forward = in.People[0].Name
		for _, x := range in.People {
			if x.Lead {
				a.Forward = x.Name
			}
		}
	}
	return a
}

// paperDay reads "2006-01-02"; what is no day stays blank.
func paperDay(s string) paper.Date {
	t, err := time.ParseInLocation(time.DateOnly, s, i18n.Zone)
	if err != nil {
		return paper.Date{}
	}
	return paper.Date{Year: t.Year(), Month: int(t.Month()), Day: t.Day()}
}

// assigned names people with their limits, the one who answers first.
func assigned(people []documents.Assignment) []string {
	var lead, rest []string
	for _, x := range people {
		text := x.Name
		if x.Lead {
			text += " (chủ trì)"
		}
		if !x.Due.IsZero() {
			text += ", hạn " + i18n.Date(x.Due)
		}
		if x.Lead {
			lead = append(lead, text)
		} else {
			rest = append(rest, text)
		}
	}
	return append(lead, rest...)
}
