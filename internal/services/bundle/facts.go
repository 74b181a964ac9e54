package bundle

import "time"

// Facts is what is known about a dossier when a question is asked of its procedure. CEL expressions see it as
// answers, prefill, person, fee, papers and dossier.
type Facts struct {
	Answers Answers
	// Prefill by binding group: see [Binding.Group]. A group that was never asked is not ok.
	Prefill map[string]PrefillState
	Person  PersonFacts
	Fee     FeeFacts
	Papers  PaperFacts
	Dossier DossierFacts
}

// PrefillState is the outcome of asking a source: ok, empty, down, mismatch, none.
type PrefillState struct {
	Status string
	At     time.Time
}

// OK reports whether the source answered with values.
func (s PrefillState) OK() bool { return s.Status == "ok" }

// PersonFacts is what the rules may know about the applicant.
type PersonFacts struct {
	Kind         string   // citizen | organisation
	PolicyGroups []string // codes such as NCC, HN, CCT
	Level        int      // identification level
	Age          int
}

// FeeFacts is the financial side of a dossier.
type FeeFacts struct {
	Total int64
	Paid  bool
	Due   string
}

// PaperFacts is how far the papers are judged.
type PaperFacts struct {
	AllJudged bool
	Missing   int
	Rejected  int
}

// DossierFacts is the business side of a dossier.
type DossierFacts struct {
	State, Previous string
	Channel         string
	// Date is the day of submission in Vietnam, 2006-01-02; the day of the question before submission.
	Date string
	// Supplements and Extensions are the numbers so far.
	Supplements, Extensions int
	HasResult               bool
}
