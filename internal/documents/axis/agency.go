package axis

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/orgcode"
)

// Agency is an agency at the axis ("cơ quan, đơn vị tham gia").
type Agency struct {
	ID   int64
	Code string // the current code
	Name string
	// Mail, Mobile and Fax are of the agency, not of a person.
	Mail, Mobile, Fax string
	// Parent is the current code of the agency above; empty at the first level.
	Parent string
	// Old is the code of Decision 28/2018/QĐ-TTg where the agency has one, Aliases what else it is or was called.
	Old     string
	Aliases []string
	Owner   Party
	// IsAgency is false for a unit that is listed but takes part through another.
	IsAgency bool
	// Locked agencies receive nothing until they are unlocked.
	Locked bool
	// From and To bound the time the agency exists; To is zero while it does.
	From, To time.Time
	// Successors take over when it ended; Act is the legal act that says so.
	Successors []string
	Act        string
	// Version counts the changes, Changed is the last.
	Version int
	Changed time.Time
}

// Open reports whether the agency exists at a time.
func (a Agency) Open(at time.Time) bool {
	return !at.Before(a.From) && (a.To.IsZero() || at.Before(a.To))
}

// Codes returns every code the agency answers to, the current one first.
func (a Agency) Codes() []string {
	list := append([]string{a.Code, a.Old}, a.Aliases...)
	slices.Sort(list[1:])
	return slices.DeleteFunc(slices.Compact(list), func(s string) bool { return s == "" })
}

// Binding says that a code means an agency from a time until another; zero is open.
type Binding struct {
	Code     string
	From, To time.Time
	Agency   Agency
}

// Revision is one change of an agency's entry.
type Revision struct {
	Version int
	At      time.Time
	Actor   string
	// What was done: "registered", "changed", "renamed", "merged", "locked", "unlocked", "closed", with the legal act if any.
	What, Act string
	// Snapshot is the entry after the change, as JSON.
	Snapshot []byte
}

// AgencyForm is what is entered of an agency.
type AgencyForm struct {
	Code, Name, Parent, Old string
	Mail, Mobile, Fax       string
	Aliases                 []string
	Owner                   Party
	// Unit is set for one that is no agency of its own.
	Unit bool
}

// maxName bounds names of agencies (Decree 30/2020/NĐ-CP Appendix VI: 200 characters, twice as long is still stored).
const maxName = 400

var systemID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// plain reports whether a text is at most so many characters, none of them a control character.
func plain(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
}

// normal trims a form, brings its texts into Unicode form C, and checks it.
func (f *AgencyForm) normal() error {
	for _, s := range []*string{&f.Code, &f.Name, &f.Parent, &f.Old, &f.Mail, &f.Mobile, &f.Fax} {
		*s = i18n.NFC(strings.TrimSpace(*s))
	}
	aliases := make([]string, 0, len(f.Aliases))
	for _, a := range f.Aliases {
		if a = strings.TrimSpace(a); a != "" && a != f.Code && a != f.Old && !slices.Contains(aliases, a) {
			aliases = append(aliases, a)
		}
	}
	f.Aliases = aliases
	for _, c := range append([]string{f.Code, f.Parent, f.Old}, f.Aliases...) {
		if c != "" && !orgcode.Valid(c) {
			return refuse(CodeRequest, "axis.code_invalid", "code", c)
		}
	}
	switch {
	case f.Code == "":
		return refuse(CodeRequest, "axis.code_missing")
	case f.Name == "" || !plain(f.Name, maxName):
		return refuse(CodeRequest, "axis.name_invalid")
	case f.Old == f.Code || len(f.Aliases) > 50:
		return refuse(CodeRequest, "axis.code_invalid", "code", f.Old)
	case !plain(f.Mail, 200) || !plain(f.Mobile, 200) || !plain(f.Fax, 200):
		return refuse(CodeRequest, "axis.contact_invalid")
	case !f.Owner.Valid():
		return refuse(CodeRequest, "axis.owner_invalid")
	}
	if f.Parent == "" {
		f.Parent, _ = orgcode.Parent(f.Code)
	}
	return nil
}

func (a *Agency) fill(f AgencyForm) {
	a.Code, a.Name, a.Parent, a.Old, a.Aliases = f.Code, f.Name, f.Parent, f.Old, f.Aliases
	a.Mail, a.Mobile, a.Fax, a.Owner, a.IsAgency = f.Mail, f.Mobile, f.Fax, f.Owner, !f.Unit
}

// choose picks the agency that a code means at a time: the one that has it then, else the last one that had it.
func choose(code string, list []Binding, at time.Time) (Agency, bool) {
	var best *Binding
	for i := range list {
		b := &list[i]
		if b.Code != code || at.Before(b.From) {
			continue
		}
		if b.To.IsZero() || at.Before(b.To) {
			return b.Agency, true
		}
		if best == nil || b.To.After(best.To) {
			best = b
		}
	}
	if best == nil {
		return Agency{}, false
	}
	return best.Agency, true
}

// maxSuccessions bounds how many mergers lie between a code and the agency of today.
const maxSuccessions = 16

// receiver finds the agency that a message to a code goes to, with a warning when that is another than the code's own.
func receiver(ctx context.Context, tx Tx, code string, list []Binding, now time.Time) (Agency, *Note, error) {
	a, ok := choose(code, list, now)
	if !ok {
		return a, nil, refuse(CodeReceiver, "axis.receiver_unknown", "codes", code)
	}
	var warn *Note
	for range maxSuccessions {
		switch {
		case a.Open(now) && a.Locked:
			return a, nil, refuse(CodeLocked, "axis.receiver_locked", "code", code)
		case a.Open(now):
			return a, warn, nil
		case len(a.Successors) == 0:
			return a, nil, refuse(CodeReceiver, "axis.receiver_closed", "code", code)
		case len(a.Successors) > 1:
			return a, nil, refuse(CodeReceiver, "axis.receiver_split", "code", code, "candidates", strings.Join(a.Successors, ", "))
		}
		next, err := tx.Lookup(ctx, a.Successors)
		if err != nil {
			return a, nil, err
		}
		act := a.Act
		if a, ok = choose(a.Successors[0], next, now); !ok {
			return a, nil, refuse(CodeReceiver, "axis.receiver_closed", "code", code)
		}
		warn = &Note{Key: "axis.receiver_merged", Args: []any{"code", code, "successor", a.Code, "name", a.Name, "act", act}}
	}
	return a, nil, refuse(CodeReceiver, "axis.receiver_closed", "code", code)
}

// Agencies lists all, also those that ended.
func (h *Hub) Agencies(ctx context.Context) ([]Agency, error) { return h.Store.Agencies(ctx) }

// AgencyAt returns the agency that a code meant at a time.
func (h *Hub) AgencyAt(ctx context.Context, code string, at time.Time) (Agency, error) {
	list, err := h.Store.Lookup(ctx, []string{code})
	if err != nil {
		return Agency{}, err
	}
	a, ok := choose(code, list, at)
	if !ok {
		return a, errs.E(errs.NotFound, "axis.agency_unknown", nil)
	}
	return a, nil
}

// AgencyHistory returns what was changed in an agency's entry.
func (h *Hub) AgencyHistory(ctx context.Context, id int64) ([]Revision, error) {
	return h.Store.History(ctx, id)
}
