// Package registerspage shows the owner of a node which registers it holds: their size, their fields, the processing
// activities and how often they were read. It shows no personal data and has no way to any.
package registerspage

import (
	"context"
	"embed"
	"net/http"
	"slices"
	"strings"

	"truc/internal/i18n"
	"truc/internal/registers"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var files embed.FS

// Registers is what the page needs of the engine.
type Registers interface {
	// Overviews describes the registers held here, ordered by id.
	Overviews(ctx context.Context) ([]registers.Overview, error)
}

// Pages are the pages of the registers.
type Pages struct {
	Registers Registers
	tmpl      *ui.Templates
}

// New parses the templates.
func New(rd *ui.Renderer, r Registers) (*Pages, error) {
	t, err := rd.Parse(files, "*.html")
	if err != nil {
		return nil, err
	}
	return &Pages{Registers: r, tmpl: t}, nil
}

// Mount registers the pages. Officers in charge of registers and administrators only.
func (p *Pages) Mount(mux *web.Mux) {
	mux.Handle("GET /registers", web.RequireOfficer(p.registers, "register", "admin"))
}

type registersData struct {
	ui.Page
	Registers []registerView
	None      ui.Empty
}

type registerView struct {
	Name       string
	Figures    ui.Figures
	Unverified *ui.Inset
	Groups     ui.Table
	Activities ui.Table
}

func (p *Pages) registers(w http.ResponseWriter, r *http.Request) error {
	all, err := p.Registers.Overviews(r.Context())
	if err != nil {
		return err
	}
	d := registersData{Page: ui.NewPage(r, "registers.page_title")}
	d.Layout = ui.Officer
	d.None = ui.Empty{Title: d.T("registers.page_none")}
	for _, o := range all {
		d.Registers = append(d.Registers, view(d.Page, o))
	}
	return p.tmpl.Render(w, r, http.StatusOK, "registers", d)
}

func view(p ui.Page, o registers.Overview) registerView {
	s := o.Schema
	n := func(x int64) string { return i18n.Number(p.Lang, x) }
	v := registerView{Name: s.Name.In(p.Lang)}
	v.Figures.Items = []ui.Figure{
		{Label: p.T("registers.owner"), Value: s.Owner},
		{Label: p.T("registers.records"), Value: n(o.Counts.Records)},
		{Label: p.T("registers.entries"), Value: n(o.Counts.Entries)},
		{Label: p.T("registers.reads", "since", i18n.Date(o.Since)), Value: n(o.Counts.Delivered)},
		{Label: p.T("registers.missed"), Value: n(o.Counts.Missed)},
	}
	if slices.ContainsFunc(s.Law, func(l registers.Law) bool { return l.VerifiedBy == "" }) {
		v.Unverified = &ui.Inset{Text: p.T("registers.law_unverified")}
	}
	v.Groups = ui.Table{Caption: p.T("registers.groups"), Columns: columns(p, "registers.group", "registers.fields", "registers.class")}
	for _, g := range s.Groups {
		labels := make([]string, 0, len(g.Fields))
		for _, f := range g.Fields {
			labels = append(labels, f.Label.In(p.Lang))
		}
		class := ui.Cell{Text: p.T("registers.class_" + g.Class)}
		if g.Restricted {
			class.Tag = &ui.Tag{Text: p.T("registers.restricted"), Tone: ui.Soon}
		}
		v.Groups.Rows = append(v.Groups.Rows, ui.Row{Cells: []ui.Cell{
			{Text: g.Name.In(p.Lang), Head: true}, {Text: strings.Join(labels, "; ")}, class,
		}})
	}
	v.Activities = ui.Table{
		Caption: p.T("registers.activities"),
		Columns: columns(p, "registers.activity", "registers.purpose", "registers.basis", "registers.groups", "registers.recipients"),
	}
	for _, a := range s.Activities {
		names := make([]string, 0, len(a.Groups))
		for _, id := range a.Groups {
			if g, ok := s.Group(id); ok {
				names = append(names, g.Name.In(p.Lang))
			}
		}
		v.Activities.Rows = append(v.Activities.Rows, ui.Row{Cells: []ui.Cell{
			{Text: a.ID, Head: true, Code: true},
			{Text: a.Purpose.In(p.Lang)},
			{Text: a.Basis},
			{Text: strings.Join(names, "; ")},
			{Text: strings.Join(a.Recipients, ", "), Code: true},
		}})
	}
	return v
}

func columns(p ui.Page, keys ...string) []ui.Column {
	out := make([]ui.Column, 0, len(keys))
	for _, k := range keys {
		out = append(out, ui.Column{Text: p.T(k)})
	}
	return out
}
