package audit

import (
	"context"
	"time"

	"truc/internal/errs"
)

// MaxPage is the greatest number of lines in one answer, as findUsage version 3 has it.
const MaxPage = 10_000

// Usage returns a person's lines with from ≤ time < to (a zero bound is open), newest first, and how many there
// are in all. Withheld lines are left out of both; [Service.Withheld] counts them.
func (s *Service) Usage(ctx context.Context, subjectID string, from, to time.Time, offset, limit int) (lines []Line, total int, err error) {
	defer errs.Wrap(&err, "usage")
	if !ValidSubject(subjectID) {
		return nil, 0, errs.E(errs.Invalid, "audit.bad_subject", nil)
	}
	if offset < 0 || limit < 0 || limit > MaxPage {
		return nil, 0, errs.E(errs.Invalid, "audit.bad_page", nil, "max", MaxPage)
	}
	stored, total, err := s.Store.Lines(ctx, LineQuery{SubjectID: subjectID, From: from, To: to, Now: s.Now(), Offset: offset, Limit: limit})
	if err != nil {
		return nil, 0, err
	}
	lines = make([]Line, 0, len(stored))
	for _, l := range stored {
		a, err := parseRecord(l.Record)
		if err != nil {
			return nil, 0, err
		}
		lines = append(lines, Line{Access: a, LineID: lineID(l.Seq), LogIndex: s.place(l)})
	}
	return lines, total, nil
}

// Withheld counts the lines that a rule keeps from the person at present, and says when the first of them will
// be shown; the zero time when no date is known.
func (s *Service) Withheld(ctx context.Context, subjectID string) (n int, until time.Time, err error) {
	defer errs.Wrap(&err, "withheld")
	if !ValidSubject(subjectID) {
		return 0, time.Time{}, errs.E(errs.Invalid, "audit.bad_subject", nil)
	}
	return s.Store.Withheld(ctx, subjectID, s.Now())
}
