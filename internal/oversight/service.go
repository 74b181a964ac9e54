package oversight

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// All names every agency together where the code of one is expected.
const All = "all"

// DefaultMinRatings is the least number of ratings that a score is shown for.
const DefaultMinRatings = 30

// DefaultLongPause is when a pause is shown as a long one.
const DefaultLongPause = 10 * 24 * time.Hour

// Service pulls facts and answers with numbers.
type Service struct {
	Store    Store
	Exchange Exchange
	Feed     Feed
	// Agencies lists who decides dossiers now.
	Agencies func() []Agency
	// Title names a procedure; nil, or an empty text, leaves its code alone.
	Title func(procedure string) i18n.Text
	Now   func() time.Time
	Log   *slog.Logger
	// MinRatings (default 30): with fewer, no score is shown.
	MinRatings int
	// LongPause (default 10 days) makes a pause a long one.
	LongPause time.Duration
	// refused are the faults of facts that were told last, by agency.
	refused sync.Map
	// Zone is where days and periods begin; default Viet Nam.
	Zone *time.Location
}

// Report is the numbers of one agency.
type Report struct {
	Agency Agency
	Health Health
	Counts Counts
}

// ProcedureReport is the numbers of one procedure.
type ProcedureReport struct {
	Code   string
	Title  i18n.Text
	Counts Counts
}

// AgencyReport is an agency with its procedures and its weeks.
type AgencyReport struct {
	Report
	Procedures []ProcedureReport
	// Weeks are the latest, without gaps, the oldest first.
	Weeks []Week
}

// Overview is the first page: every agency, and their sum.
type Overview struct {
	Period   Period
	Computed time.Time
	Total    Counts
	Agencies []Report
}

// Listing is the list behind a number.
type Listing struct {
	Number   Number
	Agency   Agency
	Filter   Filter
	Period   Period
	Computed time.Time
	// Count is the number itself; Items are the rows of the page asked for.
	Count int64
	Items []Item
}

func (s *Service) zone() *time.Location {
	if s.Zone == nil {
		return i18n.Zone
	}
	return s.Zone
}

// Threshold is the least number of ratings that a score is shown for.
func (s *Service) Threshold() int {
	if s.MinRatings <= 0 {
		return DefaultMinRatings
	}
	return s.MinRatings
}

// LongPauseDays is the length of a long pause in days, for its definition.
func (s *Service) LongPauseDays() int { return int(s.longPause() / (24 * time.Hour)) }

func (s *Service) longPause() time.Duration {
	if s.LongPause <= 0 {
		return DefaultLongPause
	}
	return s.LongPause
}

// Period returns the period with the name that we are in.
func (s *Service) Period(name string) Period { return PeriodAt(name, s.Now(), s.zone()) }

func (s *Service) window(p Period) Window {
	now := s.Now()
	return Window{From: p.From, To: p.To, Now: now, PausedBefore: now.Add(-s.longPause())}
}

// TitleOf names a procedure in a language, or returns its code.
func (s *Service) TitleOf(lang, procedure string) string {
	if s.Title != nil {
		if t := s.Title(procedure).In(lang); t != "" {
			return t
		}
	}
	return procedure
}

// Known lists the agencies of the directory and those that only their facts remain of, by code.
func (s *Service) Known(ctx context.Context) ([]Agency, map[string]Health, error) {
	health, err := s.Store.Health(ctx)
	if err != nil {
		return nil, nil, err
	}
	agencies := slices.Clone(s.Agencies())
	for code := range health {
		if !slices.ContainsFunc(agencies, func(a Agency) bool { return a.Code == code }) {
			agencies = append(agencies, Agency{Code: code, Name: i18n.Text{"vi": code}})
		}
	}
	slices.SortFunc(agencies, func(a, b Agency) int { return strings.Compare(a.Code, b.Code) })
	return agencies, health, nil
}

// Indicators returns the numbers of every agency and their sum. An agency without a single fact is there too.
func (s *Service) Indicators(ctx context.Context, p Period) (out Overview, err error) {
	defer errs.Wrap(&err, "indicators")
	agencies, health, err := s.Known(ctx)
	if err != nil {
		return out, err
	}
	w := s.window(p)
	groups, err := s.Store.Count(ctx, w, Filter{})
	if err != nil {
		return out, err
	}
	sums := map[string]*Counts{}
	for _, g := range groups {
		if sums[g.Agency] == nil {
			sums[g.Agency] = &Counts{}
		}
		sums[g.Agency].Add(g.Counts)
	}
	out = Overview{Period: p, Computed: w.Now}
	out.Total.Add(Counts{})
	for _, a := range agencies {
		r := Report{Agency: a, Health: health[a.Code]}
		r.Counts.Add(Counts{})
		if c := sums[a.Code]; c != nil {
			r.Counts.Add(*c)
		}
		out.Total.Add(r.Counts)
		out.Agencies = append(out.Agencies, r)
	}
	return out, nil
}

// weeksShown is how far the trend reaches back.
const weeksShown = 12

// Agency returns the numbers of one agency, or of [All], by procedure.
func (s *Service) Agency(ctx context.Context, code string, p Period) (out AgencyReport, err error) {
	defer errs.Wrap(&err, "agency")
	agency, health, filter, err := s.find(ctx, code)
	if err != nil {
		return out, err
	}
	w := s.window(p)
	groups, err := s.Store.Count(ctx, w, filter)
	if err != nil {
		return out, err
	}
	out = AgencyReport{Report: Report{Agency: agency, Health: health}}
	out.Counts.Add(Counts{})
	for _, g := range groups {
		out.Counts.Add(g.Counts)
		i := slices.IndexFunc(out.Procedures, func(r ProcedureReport) bool { return r.Code == g.Procedure })
		if i < 0 {
			i = len(out.Procedures)
			out.Procedures = append(out.Procedures, ProcedureReport{Code: g.Procedure})
			if s.Title != nil {
				out.Procedures[i].Title = s.Title(g.Procedure)
			}
		}
		out.Procedures[i].Counts.Add(g.Counts)
	}
	slices.SortFunc(out.Procedures, func(a, b ProcedureReport) int { return strings.Compare(a.Code, b.Code) })
	out.Weeks, err = s.weeks(ctx, w.Now, filter)
	return out, err
}

// weeks returns the latest weeks without gaps: a week in which nothing was finished is a week too.
func (s *Service) weeks(ctx context.Context, now time.Time, f Filter) ([]Week, error) {
	local := now.In(s.zone())
	monday := time.Date(local.Year(), local.Month(), local.Day()-(int(local.Weekday())+6)%7, 0, 0, 0, 0, s.zone())
	first := monday.AddDate(0, 0, -7*(weeksShown-1))
	found, err := s.Store.Weeks(ctx, Window{From: first, To: monday.AddDate(0, 0, 7), Now: now}, f)
	if err != nil {
		return nil, err
	}
	out := make([]Week, weeksShown)
	for i := range out {
		out[i].Start = first.AddDate(0, 0, 7*i)
		for _, wk := range found {
			if wk.Start.Equal(out[i].Start) {
				out[i] = wk
			}
		}
	}
	return out, nil
}

func (s *Service) find(ctx context.Context, code string) (Agency, Health, Filter, error) {
	if code == All {
		return Agency{Code: All}, Health{}, Filter{}, nil
	}
	agencies, health, err := s.Known(ctx)
	if err != nil {
		return Agency{}, Health{}, Filter{}, err
	}
	for _, a := range agencies {
		if a.Code == code {
			return a, health[code], Filter{Agency: code}, nil
		}
	}
	return Agency{}, Health{}, Filter{}, errs.E(errs.NotFound, "oversight.agency_unknown", nil)
}

// ListLimit is the longest list given in one piece, as a file.
const ListLimit = 100_000

// List returns the list behind a number of an agency, or of [All]; page counts from 1 and size is its length.
func (s *Service) List(ctx context.Context, code, number, procedure string, p Period, page, size int) (out Listing, err error) {
	defer errs.Wrap(&err, "list")
	n, ok := NumberByName(number)
	if !ok {
		return out, errs.E(errs.NotFound, "oversight.number_unknown", nil)
	}
	agency, _, filter, err := s.find(ctx, code)
	if err != nil {
		return out, err
	}
	filter.Procedure = procedure
	w := s.window(p)
	out = Listing{Number: n, Agency: agency, Filter: filter, Period: p, Computed: w.Now}
	if out.Count, err = s.Store.Total(ctx, number, w, filter); err != nil {
		return out, err
	}
	size = min(max(size, 1), ListLimit)
	page = min(max(page, 1), max(1, int((out.Count+int64(size)-1)/int64(size))))
	out.Items, err = s.Store.List(ctx, number, w, filter, size, (page-1)*size)
	return out, err
}
