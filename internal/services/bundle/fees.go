package bundle

import "truc/internal/i18n"

// FeeRules are the fee lines of a case and its exemptions.
type FeeRules struct {
	Lines  []FeeLine      `yaml:"lines"`
	Exempt []ExemptionDef `yaml:"exempt"`
	// Due is atReceipt, beforeProcessing or beforeResult.
	Due string `yaml:"due"`
}

// FeeLine is one charge. "phí" pays for a service, "lệ phí" is a duty of state (Law 97/2015/QH13 Art 3).
type FeeLine struct {
	Code   string    `yaml:"code,required"`
	Kind   string    `yaml:"kind,required"` // phi | lePhi
	Name   i18n.Text `yaml:"name,required"`
	Amount Expr      `yaml:"amount,required"`
	When   Expr      `yaml:"when"`
	// Display is what the procedure page says before anything is known: "8.000 đồng/bản".
	Display i18n.Text `yaml:"display,required"`
	Legal   LegalRef  `yaml:"legal"`
}

// ExemptionDef is a reason to pay less; Percent 0 means 100.
type ExemptionDef struct {
	When    Expr      `yaml:"when,required"`
	Text    i18n.Text `yaml:"text,required"`
	Percent int       `yaml:"percent"`
	Legal   LegalRef  `yaml:"legal"`
}

// FeeQuote is what a dossier costs, with every exemption beside it (spec §9.1).
type FeeQuote struct {
	Lines      []FeeAmount
	Exemptions []Exemption
	// Full is the sum before exemptions, Total what is to pay, in whole đồng.
	Full, Total int64
	Due         string
}

// FeeAmount is a computed fee line.
type FeeAmount struct {
	Code, Kind   string
	Name         i18n.Text
	Full, Amount int64
	Legal        LegalRef
}

// Exemption is an exemption and whether it applies. Err is set when it could not be judged: then it does not
// apply, and the page says so.
type Exemption struct {
	Text    i18n.Text
	Percent int
	Applied bool
	Err     error
	Legal   LegalRef
}

// Fee computes the fee of a case. The error is of kind Invalid when an answer that the fee needs is missing.
func (p *Procedure) Fee(c *Case, f Facts) (FeeQuote, error) { return p.fee(c, f) }
