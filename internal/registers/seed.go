package registers

import (
	"context"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// seedChunk is how many entries one transaction of a bulk load writes.
const seedChunk = 5000

// Seed loads drafts into a register and returns how many were new. A record that the register has already is left
// alone, so a load that was interrupted can simply be repeated.
func (s *Service) Seed(ctx context.Context, register string, drafts []Draft) (added int, err error) {
	defer errs.Wrap(&err, "seed %q", register)
	sch, err := s.Schema(register)
	if err != nil {
		return 0, err
	}
	if done, err := s.seeded(ctx, sch, drafts); err != nil || done {
		return 0, err
	}
	for chunk := range slices.Chunk(drafts, seedChunk) {
		keys := make([]string, 0, len(chunk))
		for _, d := range chunk {
			key, _ := d.Values[sch.Key].(string)
			keys = append(keys, key)
		}
		have, err := s.Store.Get(ctx, register, keys)
		if err != nil {
			return added, err
		}
		known := make(map[string]bool, len(have))
		for _, r := range have {
			known[r.Key] = true
		}
		fresh := slices.DeleteFunc(slices.Clone(chunk), func(d Draft) bool {
			key, _ := d.Values[sch.Key].(string)
			return known[key]
		})
		if _, err := s.Append(ctx, register, fresh); err != nil {
			return added, err
		}
		added += len(fresh)
	}
	return added, nil
}

// seeded is the quick answer for a start that finds everything in place.
func (s *Service) seeded(ctx context.Context, sch *Schema, drafts []Draft) (bool, error) {
	if len(drafts) == 0 {
		return true, nil
	}
	c, err := s.Store.Counts(ctx, sch.ID, "9999-12-31")
	if err != nil || c.Records < int64(len(drafts)) {
		return false, err
	}
	first, _ := drafts[0].Values[sch.Key].(string)
	last, _ := drafts[len(drafts)-1].Values[sch.Key].(string)
	ends, err := s.Store.Get(ctx, sch.ID, slices.Compact([]string{first, last}))
	return len(drafts) == 1 && len(ends) == 1 || len(ends) == 2, err
}

// Overview is what the owner of a register sees of it: no personal data.
type Overview struct {
	Schema *Schema
	Counts Counts
	// Since is the first day of the reads counted.
	Since time.Time
}

// Overviews describes the registers held here, ordered by id, with the reads of the last 30 days.
func (s *Service) Overviews(ctx context.Context) (out []Overview, err error) {
	defer errs.Wrap(&err, "overview of the registers")
	since := s.Now().In(i18n.Zone).AddDate(0, 0, -29)
	ids := make([]string, 0, len(s.Schemas))
	for id := range s.Schemas {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		c, err := s.Store.Counts(ctx, id, since.Format("2006-01-02"))
		if err != nil {
			return nil, err
		}
		out = append(out, Overview{Schema: s.Schemas[id], Counts: c, Since: since})
	}
	return out, nil
}

// Trail returns the history of one key, oldest first. It is for the owner's own officers and jobs; it leaves no line,
// so no service of the exchange may offer it as it is.
func (s *Service) Trail(ctx context.Context, register, key string) ([]Entry, error) {
	if _, err := s.Schema(register); err != nil {
		return nil, err
	}
	return s.Store.Entries(ctx, register, key, 0, 1000)
}
