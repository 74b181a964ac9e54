package bundle

import (
	"errors"
	"slices"

	"truc/internal/errs"
)

const toPrevious = "@previous"

// startsFrom reports whether an action is on offer in a state.
func (fl *Flow) startsFrom(a *Action, state, previous string) bool {
	s := fl.State(state)
	if s == nil {
		return false
	}
	if a.NotFinal {
		if s.Final {
			return false
		}
	} else if !slices.Contains(a.From, state) {
		return false
	}
	return a.Until == "" || fl.rank(state, previous) < fl.byState[a.Until]
}

// rank is the place of a state in the order of the file; a pause stands where the dossier stood before it.
func (fl *Flow) rank(state, previous string) int {
	if s := fl.State(state); s != nil && s.Paused {
		if p := fl.State(previous); p != nil && !p.Paused {
			return fl.byState[previous]
		}
	}
	return fl.byState[state]
}

func (fl *Flow) next(state, previous, action string) (Step, error) {
	a := fl.Action(action)
	from := fl.State(state)
	if a == nil || from == nil {
		return Step{}, errs.E(errs.NotFound, "bundle.action.unknown", nil, "action", action)
	}
	if !fl.startsFrom(a, state, previous) {
		return Step{}, errs.E(errs.Conflict, "bundle.action.notFrom", nil, "state", from.Phase.In("vi"))
	}
	to := a.To
	switch {
	case a.KeepState:
		return Step{To: state, Previous: previous}, nil
	case to == toPrevious:
		if p := fl.State(previous); p == nil || p.Final {
			return Step{}, errs.E(errs.Conflict, "bundle.action.noPrevious", nil)
		}
		return Step{To: previous}, nil
	}
	step := Step{To: to}
	if target := fl.State(to); target.Paused {
		step.Previous = state
		if from.Paused { // from one pause into another: the way back is the same
			step.Previous = previous
		}
	}
	return step, nil
}

// HasRole reports whether an actor with these roles does the action.
func (fl *Flow) HasRole(a *Action, roles []string) bool {
	for _, by := range a.By {
		role, ok := fl.Roles[by]
		if !ok {
			role = by
		}
		if slices.Contains(roles, role) || slices.Contains(roles, by) {
			return true
		}
	}
	return false
}

func (p *Procedure) allowed(f Facts, roles []string) []ActionState {
	var out []ActionState
	for i := range p.Flow.Actions {
		a := &p.Flow.Actions[i]
		if p.Flow.startsFrom(a, f.Dossier.State, f.Dossier.Previous) {
			out = append(out, p.judge(f, a, roles))
		}
	}
	return out
}

func (p *Procedure) may(f Facts, action string, roles []string) ActionState {
	a := p.Flow.Action(action)
	if a == nil {
		return ActionState{Reason: Reason{Key: "bundle.action.unknown", Args: []any{"action", action}}}
	}
	if !p.Flow.startsFrom(a, f.Dossier.State, f.Dossier.Previous) {
		r := Reason{Key: "bundle.action.notFrom", Args: []any{"state", f.Dossier.State}}
		if s := p.Flow.State(f.Dossier.State); s != nil {
			r.Args[1] = s.Phase.In("vi")
		}
		return ActionState{Action: a, ForRole: p.Flow.HasRole(a, roles), Reason: r}
	}
	return p.judge(f, a, roles)
}

func (p *Procedure) judge(f Facts, a *Action, roles []string) ActionState {
	st := ActionState{Action: a, ForRole: p.Flow.HasRole(a, roles)}
	step, err := p.Flow.next(f.Dossier.State, f.Dossier.Previous, a.Name)
	st.To = step.To
	if err != nil {
		st.Reason.Key, st.Reason.Args = errs.KeyOf(err)
		return st
	}
	if !st.ForRole {
		st.Reason = Reason{Key: "bundle.action.role"}
		return st
	}
	for _, c := range a.Checks {
		if key := checkFailed(c, f); key != "" {
			st.Reason = Reason{Key: key, Args: []any{"missing", f.Papers.Missing, "rejected", f.Papers.Rejected}}
			return st
		}
	}
	ok, err := p.env.guard(a.When, f)
	switch {
	case err != nil:
		st.Reason.Key, st.Reason.Args = errs.KeyOf(err)
		if errors.Is(err, errUnanswered) {
			st.Reason.Key = "bundle.guard.unanswered"
		}
	case !ok:
		st.Reason = Reason{Key: "bundle.action.guard", Text: a.Reason}
	default:
		st.Allowed = true
	}
	return st
}

// checks are the named conditions an action may list, with the reason when they fail.
var checks = map[string]string{
	"papers.allJudged": "bundle.action.papersNotJudged",
	"papers.complete":  "bundle.action.papersMissing",
	"result.exists":    "bundle.action.noResult",
}

func checkFailed(name string, f Facts) string {
	ok := false
	switch name {
	case "papers.allJudged":
		ok = f.Papers.AllJudged
	case "papers.complete":
		ok = f.Papers.Missing == 0 && f.Papers.Rejected == 0
	case "result.exists":
		ok = f.Dossier.HasResult
	}
	if ok {
		return ""
	}
	return checks[name]
}
