package calendar

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"truc/internal/i18n"
)

// The seed calendar and the English names of its holidays; origin and licence are in data/NOTICE.
var (
	//go:embed data/vn-public-holidays-2018-2027.json
	seedJSON []byte
	//go:embed data/english.json
	englishJSON []byte
)

// Unverified is a swap or holiday that somebody remembers but nobody has confirmed. It is not applied: an
// administrator looks up the decision and adds it with [Calendar.WithSwap] or [Calendar.WithHoliday].
type Unverified struct {
	Date   string `json:"date"`
	Kind   string `json:"kind"` // swap or public-holiday
	Name   string `json:"name,omitempty"`
	MakeUp string `json:"makeUpWorkday,omitempty"`
	Status string `json:"status"`
}

// Unverified returns what an administrator should confirm.
func (c *Calendar) Unverified() []Unverified { return slices.Clone(c.unverified) }

// Vietnam returns the default calendar: office hours from Monday to Friday, the public holidays of 2018 to
// 2027 and the swaps of the public sector that are known, which ends with 2024.
func Vietnam() *Calendar {
	c, err := vietnam()
	if err != nil {
		panic(err) // the data is embedded and tested: only a programmer can break it
	}
	return c
}

func vietnam() (*Calendar, error) {
	var seed struct {
		Source   string `json:"source"`
		Holidays []struct {
			Date, Name, Kind string
		} `json:"holidays"`
		MakeUp []struct {
			Date, Compensates string
		} `json:"makeUpWorkdays"`
		ToCheck []Unverified `json:"toCheck"`
	}
	if err := json.Unmarshal(seedJSON, &seed); err != nil {
		return nil, fmt.Errorf("calendar seed: %w", err)
	}
	english := map[string]string{}
	if err := json.Unmarshal(englishJSON, &english); err != nil {
		return nil, fmt.Errorf("calendar names: %w", err)
	}
	kinds := map[string]Kind{"public-holiday": Holiday, "in-lieu": InLieu, "swap": SwapOff}
	var list []Exception
	for _, h := range seed.Holidays {
		list = append(list, Exception{
			Date: h.Date, Kind: kinds[h.Kind], Source: seed.Source,
			Reason: i18n.Text{"vi": h.Name, "en": english[h.Name]},
		})
	}
	for _, m := range seed.MakeUp {
		off, err := parseDay(m.Compensates)
		if err != nil {
			return nil, err
		}
		list = append(list, makeUpFor(m.Date, off, seed.Source))
	}
	week := map[time.Weekday][]Interval{}
	for w := time.Monday; w <= time.Friday; w++ {
		week[w] = OfficeHours()
	}
	c, err := New(week, list...)
	if err != nil {
		return nil, err
	}
	c.unverified = seed.ToCheck
	if c.from, err = parseDay("2018-01-01"); err != nil {
		return nil, err
	}
	c.to, err = parseDay("2027-12-31")
	return c, err
}
