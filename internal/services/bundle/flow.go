package bundle

import "truc/internal/i18n"

// Flow is the state machine of a procedure ("quy trình").
type Flow struct {
	// Roles maps the names used in By to the roles that officers hold.
	Roles map[string]string
	Start string
	// States are in the order of the file, which is the order that `until` reads.
	States  []State
	Actions []Action
	Notify  []Notice
	Rating  *Rating

	byState  map[string]int
	byAction map[string]int
}

// State is one business state with its national code (spec §7) and the phase a citizen reads.
type State struct {
	Name     string
	National int
	Phase    i18n.Text
	Paused   bool
	Final    bool
	// Share is the part of the time limit in percent, 0 when none.
	Share int
	Emits []string
}

// Action is a labelled edge of the flow.
type Action struct {
	Name  string
	Label i18n.Text
	// From are the states it starts from; NotFinal means every state that is not final ("!final").
	From     []string
	NotFinal bool
	// To is a state, "@previous" or "" with KeepState.
	To        string
	KeepState bool
	// By holds role names of Flow.Roles, or applicant, system.
	By []string
	// When is a CEL guard; Reason is what a person reads when it is not met.
	When   Expr
	Reason i18n.Text
	// Checks are named conditions of the dossier, such as "papers.allJudged".
	Checks []string
	// Form is a small form the actor fills, "forms/refuse"; ChannelForms by channel of delivery.
	Form         string
	ChannelForms map[string]string
	Needs        []Need
	Slip         string // 01 … 06, or a template path
	Produces     string // result.draft
	Sign         string // result
	Auto         bool
	On           string // event that triggers it: paymentConfirmed
	Until        string
	SLA          string // extend
	Assign       string
}

// Notice tells the applicant about events.
type Notice struct {
	On       []string `yaml:"on,required"`
	Channels string   `yaml:"channels"`
	Template string   `yaml:"template,required"` // "templates/{event}.txt"
}

// Rating says when a person is asked to rate the service.
type Rating struct {
	On                 string `yaml:"on,required"`
	Scale              int    `yaml:"scale,required"`
	Comment            bool   `yaml:"comment"`
	AnonymousToOfficer bool   `yaml:"anonymousToOfficer"`
}

// Reason is why an action is not allowed: a catalogue key with arguments, or a text of the bundle.
type Reason struct {
	Key  string
	Args []any
	Text i18n.Text
}

// ActionState is an action as it stands for one dossier and one actor.
type ActionState struct {
	Action *Action
	// ForRole is false when somebody else does this; a desk hides or greys it.
	ForRole bool
	Allowed bool
	Reason  Reason
	// To is the state it would lead to.
	To string
}

// Step is what an action makes of a state. Previous is what to store as the state before a pause.
type Step struct{ To, Previous string }

// The actors that are not officers.
const (
	ByApplicant = "applicant"
	BySystem    = "system"
)

// State returns a state by name, or nil.
func (fl *Flow) State(name string) *State {
	if i, ok := fl.byState[name]; ok {
		return &fl.States[i]
	}
	return nil
}

// Action returns an action by name, or nil.
func (fl *Flow) Action(name string) *Action {
	if i, ok := fl.byAction[name]; ok {
		return &fl.Actions[i]
	}
	return nil
}

// Allowed lists the actions that start from the state of the dossier, in the order of the file, with the reason
// when one is not allowed now. Roles are those the officer holds (the right side of Flow.Roles), or applicant,
// or system. A guard that cannot be evaluated blocks.
func (p *Procedure) Allowed(f Facts, roles ...string) []ActionState { return p.allowed(f, roles) }

// May judges a single action, for the server-side check; it finds the same reason as [Procedure.Allowed].
func (p *Procedure) May(f Facts, action string, roles ...string) ActionState {
	return p.may(f, action, roles)
}

// Next returns where an action leads. It knows nothing about roles and guards.
func (fl *Flow) Next(state, previous, action string) (Step, error) {
	return fl.next(state, previous, action)
}
