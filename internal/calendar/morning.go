package calendar

import "time"

// EndOfNextMorning returns when the first office hours of the working day after t end: the latest moment for what must
// be done "by the morning of the next working day".
func (c *Calendar) EndOfNextMorning(t time.Time) (time.Time, error) {
	d, err := c.forward(dayOf(t) + 1)
	if err != nil {
		return time.Time{}, err
	}
	return d.at(c.spans(d)[0].To), nil
}
