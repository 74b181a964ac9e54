package oversightpage

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"truc/internal/i18n"
	"truc/internal/oversight"
	"truc/internal/web/ui"
)

const pageSize = 50

func (p *Pages) list(w http.ResponseWriter, r *http.Request) error {
	v := p.view(r)
	q := r.URL.Query()
	name, as := format(r.PathValue("number"))
	if _, ok := oversight.NumberByName(name); !ok {
		return notFound()
	}
	code, procedure := r.PathValue("agency"), q.Get("procedure")
	page, _ := strconv.Atoi(q.Get("page")) // what is no number is the first page
	size := pageSize
	if as != asPage {
		page, size = 1, oversight.ListLimit
	}
	l, err := p.Service.List(r.Context(), code, name, procedure, v.period, page, size)
	if err != nil {
		return err
	}
	switch as {
	case asCSV:
		return p.listCSV(w, v, l)
	case asJSON:
		return p.listJSON(w, v, l)
	}
	def := p.define(v, name)
	d := listData{Page: ui.NewPage(r, ""), Definition: def, Count: l.Count, Number: name}
	d.Layout, d.Title, d.Back = ui.Leader, def.Title, v.agencyURL(code)
	path := "/oversight/" + url.PathEscape(code) + "/" + name
	d.Files = p.files(v, path, procedure)
	d.Files[2].URL += "#" + name
	d.Count64 = i18n.Number(v.lang, l.Count)
	d.Where = v.name(l.Agency)
	if procedure != "" {
		d.Where += " · " + p.Service.TitleOf(v.lang, procedure)
	}
	if l.Number.Now {
		d.When = v.t("oversight.as_of", "time", i18n.DateTime(l.Computed))
	} else {
		d.When, d.Periods = v.periodText(), p.periods(v, path, procedure)
	}
	d.Table = p.items(v, l)
	if len(l.Items) == 0 {
		d.Table = itemTable{Empty: &ui.Empty{Title: v.t("oversight.list_empty"), Text: v.t("oversight.list_empty_text")}}
	}
	pages := int((l.Count + pageSize - 1) / pageSize)
	d.Pages = ui.NewPagination(r.URL, min(max(page, 1), max(pages, 1)), pages)
	return p.tmpl.Render(w, r, http.StatusOK, "list", d)
}

type listData struct {
	ui.Page
	Definition  definition
	Number      string
	Count       int64
	Count64     string
	Where, When string
	Periods     []choice
	Table       itemTable
	Pages       ui.Pagination
	Files       []choice
}

// itemTable is the list behind a number.
type itemTable struct {
	Caption string
	Columns []string
	Rows    []itemRow
	Empty   *ui.Empty
}

type itemRow struct {
	Number, State, Due string // hooks for tests
	Tone               ui.Tone
	Cells              []itemCell
}

type itemCell struct {
	Column, Text, Sub string
	Tag               *ui.Tag
	Head, Code        bool
}

func (p *Pages) items(v view, l oversight.Listing) itemTable {
	t := itemTable{Caption: v.t("oversight.n." + word(l.Number.Name))}
	for _, it := range l.Items {
		var cells []itemCell
		add := func(key string, c itemCell) {
			c.Column = v.t("oversight.list." + key)
			cells = append(cells, c)
		}
		title := itemCell{Text: p.Service.TitleOf(v.lang, it.Procedure), Sub: it.Procedure}
		if title.Text == title.Sub {
			title.Sub = ""
		}
		if l.Number.Source == oversight.Offers {
			title.Head = true
			add("procedure", title)
			add("level", itemCell{Text: v.levelName(it.Mode)})
			add("version", itemCell{Text: it.Version, Code: true})
			add("offices", itemCell{Text: i18n.Number(v.lang, int64(it.Offices))})
		} else {
			add("dossier", itemCell{Text: it.Dossier, Head: true, Code: true})
			if l.Number.Source == oversight.Events {
				add("at", itemCell{Text: i18n.DateTime(it.At), Code: true})
			}
			add("procedure", title)
			add("state", itemCell{Tag: stateTag(v, it)})
			add("unit", itemCell{Text: it.Unit, Code: true})
			add("received", itemCell{Text: v.when(it.Received), Code: true})
			add("due", itemCell{Text: v.when(it.Due), Sub: v.lateness(l, it), Code: true})
			if !l.Number.Now {
				add("finished", itemCell{Text: v.when(it.Finished), Code: true})
			}
		}
		if l.Filter.Agency == "" {
			add("agency", itemCell{Text: it.Agency, Code: true})
		}
		row := itemRow{Number: it.Dossier, State: it.State, Cells: cells}
		if !it.Due.IsZero() {
			row.Due = it.Due.UTC().Format(time.RFC3339)
		}
		if l.Number.Name == oversight.NOverdue || l.Number.Name == oversight.NLate {
			row.Tone = ui.Late
		}
		t.Rows = append(t.Rows, row)
	}
	if len(t.Rows) > 0 {
		for _, c := range t.Rows[0].Cells {
			t.Columns = append(t.Columns, c.Column)
		}
	}
	return t
}

func (v view) levelName(mode string) string {
	switch mode {
	case "full":
		return v.t("oversight.part.offered_full")
	case "partial":
		return v.t("oversight.part.offered_partial")
	}
	return mode
}

func (v view) when(t time.Time) string {
	if t.IsZero() {
		return v.t("oversight.na")
	}
	return i18n.DateTime(t)
}

// lateness says by how many days a dossier is late, where the list is about that.
func (v view) lateness(l oversight.Listing, it oversight.Item) string {
	end := it.Finished
	switch l.Number.Name {
	case oversight.NOverdue:
		end = l.Computed
	case oversight.NLate:
	default:
		return ""
	}
	if days := dayNumber(end) - dayNumber(it.Due); days > 0 {
		return v.t("oversight.late_days", "days", days)
	}
	return ""
}

func dayNumber(t time.Time) int64 {
	return t.Add(7*time.Hour).Unix() / 86400 // days of Viet Nam, which is seven hours ahead all year
}

// stateTag says where a dossier stands, in the words of the national list of statuses.
func stateTag(v view, it oversight.Item) *ui.Tag {
	tag := &ui.Tag{Text: v.t("oversight.state." + strconv.Itoa(it.National)), Tone: ui.Info}
	switch it.Outcome {
	case oversight.Done:
		tag.Tone = ui.Done
	case oversight.Refused, oversight.Withdrawn, oversight.Stopped:
		tag.Tone = ui.Neutral
	case oversight.Open:
		if it.National == 5 || it.National == 6 {
			tag.Tone = ui.Soon
		}
	}
	return tag
}
