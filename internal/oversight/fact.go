package oversight

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
)

// PageSize is how many facts an agency gives at once; fewer mean that there are no more.
const PageSize = 500

// Kinds of facts that are counted. Others are kept and change nothing but the state of a dossier.
const (
	KindSubmitted  = "submitted"
	KindReceived   = "received"
	KindRefused    = "refused"
	KindSupplement = "supplementRequested"
	KindWithdrawn  = "withdrawn"
	KindStopped    = "stopped"
	KindExtended   = "extended"
	KindRated      = "rated"
)

// Fact is one event of a dossier as its agency tells it. Seq is the agency's own numbering; agency and number name a
// fact for ever.
type Fact struct {
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Dossier   string    `json:"dossier"`
	Agency    string    `json:"agency"`
	Unit      string    `json:"unit"`
	Procedure string    `json:"procedure"`
	Mode      string    `json:"mode"`
	State     string    `json:"state"`
	// National is the status code of the national list, 1 to 10.
	National int       `json:"national"`
	Channel  string    `json:"channel"`
	Due      time.Time `json:"due"`
	Stars    int       `json:"stars"`
	Final    bool      `json:"final"`
	Paused   bool      `json:"paused"`
	FeeTotal int64     `json:"feeTotal"`
	FeePaid  int64     `json:"feePaid"`
}

// Offer is a procedure that an agency offers.
type Offer struct {
	Procedure, Version string
	// Mode is "full" (the whole procedure online) or "partial" (Decree 42/2022 Article 11).
	Mode string
	// Offices is the number of places that receive it.
	Offices int
}

// limits of what an agency may send: enough for any honest answer, and no more.
const (
	maxText      = 100
	maxCatalogue = 10000
)

// clockSkew is how far ahead of ours the clock of an agency may be.
const clockSkew = 24 * time.Hour

// ParseFacts reads an agency's answer and refuses facts that speak of another agency, lie in the future or cannot be.
// A batch is taken whole or not at all: leaving out single facts would make numbers wrong in silence. The facts
// come back in the order of their numbers, each once.
func ParseFacts(agency string, body []byte, now time.Time) ([]Fact, error) {
	var facts []Fact
	if err := json.Unmarshal(body, &facts); err != nil {
		return nil, errs.E(errs.Unavailable, "oversight.garbled", err)
	}
	if len(facts) > 2*PageSize {
		return nil, errs.E(errs.Unavailable, "oversight.garbled", fmt.Errorf("%d facts at once", len(facts)))
	}
	for i := range facts {
		if err := facts[i].check(agency, now); err != nil {
			return nil, errs.E(errs.Unavailable, "oversight.garbled", fmt.Errorf("fact %d: %w", facts[i].Seq, err))
		}
	}
	slices.SortStableFunc(facts, func(a, b Fact) int { return int(min(max(a.Seq-b.Seq, -1), 1)) })
	return slices.CompactFunc(facts, func(a, b Fact) bool { return a.Seq == b.Seq }), nil
}

func (f *Fact) check(agency string, now time.Time) error {
	switch {
	case f.Seq < 1:
		return fmt.Errorf("number %d", f.Seq)
	case f.Agency != agency:
		return fmt.Errorf("it is about another agency")
	case f.At.IsZero() || f.At.Year() < 2000 || f.At.After(now.Add(clockSkew)):
		return fmt.Errorf("time %s", f.At)
	case f.Due.Year() > 9999 || f.Due.Year() < 1:
		return fmt.Errorf("due %s", f.Due)
	case f.Stars < 0 || f.Stars > 5 || f.National < 0 || f.National > 10 || f.FeeTotal < 0 || f.FeePaid < 0:
		return fmt.Errorf("a value is out of its range")
	}
	for _, s := range []*string{&f.Kind, &f.Dossier, &f.Unit, &f.Procedure, &f.Mode, &f.State, &f.Channel} {
		if err := checkText(*s); err != nil {
			return err
		}
	}
	if f.Kind == "" {
		return fmt.Errorf("no kind")
	}
	return nil
}

// checkText refuses what has no place in a code: it could not be stored, or would end up in a page or a file.
func checkText(s string) error {
	if len(s) > maxText || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return fmt.Errorf("a text is too long or holds control characters")
	}
	return nil
}

// ParseCatalogue reads what an agency offers; procedures named twice count once.
func ParseCatalogue(body []byte) ([]Offer, error) {
	var items []struct {
		Procedure string            `json:"procedure"`
		Version   string            `json:"version"`
		Mode      string            `json:"mode"`
		Units     []json.RawMessage `json:"units"`
	}
	if err := json.Unmarshal(body, &items); err != nil {
		return nil, errs.E(errs.Unavailable, "oversight.garbled", err)
	}
	if len(items) > maxCatalogue {
		return nil, errs.E(errs.Unavailable, "oversight.garbled", fmt.Errorf("%d procedures", len(items)))
	}
	seen := map[string]bool{}
	offers := make([]Offer, 0, len(items))
	for _, it := range items {
		for _, s := range []string{it.Procedure, it.Version, it.Mode} {
			if err := checkText(s); err != nil {
				return nil, errs.E(errs.Unavailable, "oversight.garbled", err)
			}
		}
		if it.Procedure == "" || seen[it.Procedure] {
			continue
		}
		seen[it.Procedure] = true
		offers = append(offers, Offer{Procedure: it.Procedure, Version: it.Version, Mode: it.Mode, Offices: len(it.Units)})
	}
	slices.SortFunc(offers, func(a, b Offer) int { return strings.Compare(a.Procedure, b.Procedure) })
	return offers, nil
}
