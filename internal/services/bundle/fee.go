package bundle

import "truc/internal/errs"

// maxFee bounds a fee: more is a fault of the bundle, not a bill.
const maxFee = 10_000_000_000

func (p *Procedure) envOf(c *Case) *celEnv {
	if fm := p.Form(c); fm != nil {
		return fm.env
	}
	return p.env
}

func (p *Procedure) fee(c *Case, f Facts) (FeeQuote, error) {
	env := p.envOf(c)
	q := FeeQuote{Due: c.Fee.Due}
	percent := 0
	for _, x := range c.Fee.Exempt {
		e := Exemption{Text: x.Text, Percent: x.Percent, Legal: x.Legal}
		if e.Percent == 0 {
			e.Percent = 100
		}
		e.Applied, e.Err = env.guard(x.When, f)
		if e.Applied {
			percent = max(percent, e.Percent)
		}
		q.Exemptions = append(q.Exemptions, e)
	}
	for _, l := range c.Fee.Lines {
		ok, err := env.guard(l.When, f)
		if err != nil {
			return q, err
		}
		if !ok {
			continue
		}
		n, err := env.number(l.Amount, f)
		if err != nil {
			return q, err
		}
		if n < 0 || n > maxFee {
			return q, errs.E(errs.Internal, "bundle.fee.range", nil, "line", l.Code)
		}
		a := FeeAmount{Code: l.Code, Kind: l.Kind, Name: l.Name, Full: n, Amount: n * int64(100-percent) / 100, Legal: l.Legal}
		q.Full, q.Total = q.Full+a.Full, q.Total+a.Amount
		q.Lines = append(q.Lines, a)
	}
	return q, nil
}
