package exchangepage

import (
	"context"
	"time"

	"truc/internal/i18n"
	"truc/internal/web/ui"
)

// week draws the traffic of seven days, both roles together, in stretches of six hours.
func (p *Pages) week(ctx context.Context, pg ui.Page) (ui.TrendChart, error) {
	const stretch, stretches = 6 * time.Hour, 28
	first := p.Now().UTC().Truncate(stretch).Add(-(stretches - 1) * stretch)
	rows, err := p.Store.Hourly(ctx, first)
	if err != nil {
		return ui.TrendChart{}, err
	}
	totals := map[time.Time]int64{}
	for _, r := range rows {
		totals[r.Hour.Truncate(stretch)] += r.Total
	}
	c := ui.TrendChart{
		Name: "week", Title: pg.T("exchange.traffic.week"), Desc: pg.T("exchange.traffic.week_text"), LabelHead: pg.T("exchange.at"), ValueHead: pg.T("exchange.count"),
	}
	for i := range stretches {
		at := first.Add(time.Duration(i) * stretch)
		c.Points = append(c.Points, ui.Point{Label: at.In(i18n.Zone).Format("02/01 15:04"), Value: float64(totals[at]), Text: i18n.Number(pg.Lang, totals[at])})
	}
	return c, nil
}
