package exchangepage

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"truc/internal/exchange/publication"
	"truc/internal/i18n"
	"truc/internal/web/ui"
)

// endFields shows when a publication ends and lets it be changed.
func endFields(pg *publishedServicePage, s *publication.Published, now time.Time, in entered) {
	value := ""
	if !s.EndsAt.IsZero() {
		last := s.EndsAt.Add(-time.Second).In(i18n.Zone)
		value = last.Format(time.DateOnly)
		row := ui.SummaryRow{Key: pg.T("exchange.publish.last_day"), Value: i18n.Date(last)}
		pg.State.Rows = append(pg.State.Rows, row)
		if s.Ended(now) {
			pg.Ended = &ui.Notice{Title: pg.T("exchange.publish.has_ended"), Text: pg.T("exchange.publish.has_ended_text", "date", i18n.Date(last)), Tone: ui.Late}
		}
	}
	if in.act == "end" {
		value = in.form.Get("last_day")
	}
	pg.LastDay = ui.Input{
		Name: "last_day", Type: "date", Width: "12", Label: pg.T("exchange.publish.last_day"), Hint: pg.T("exchange.publish.last_day_hint"), Optional: true,
		Value: value, Error: in.problems.For("last_day"),
	}
	pg.SetEnd = ui.Button{Text: pg.T("exchange.publish.end_save"), Kind: "secondary"}
}

// end sets the last day of a publication, in Vietnamese time; an empty one takes the end away.
func (p *PublishedPages) end(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "end", "exchange.publish.end_set", servicePath(codeOf(r)), func(form url.Values) error {
		var at time.Time
		if day := strings.TrimSpace(form.Get("last_day")); day != "" {
			t, err := time.ParseInLocation(time.DateOnly, day, i18n.Zone)
			if err != nil {
				return publication.Faults{{Field: "last_day", Key: "exchange.publish.fault.last_day"}}
			}
			at = t.AddDate(0, 0, 1)
		}
		return p.Service.SetEnd(r.Context(), codeOf(r), at)
	})
}
