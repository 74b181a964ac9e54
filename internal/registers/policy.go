package registers

import (
	"slices"
	"strings"

	"truc/internal/errs"
)

// Reader is who reads and why, as the exchange vouches for it.
type Reader struct {
	Subsystem, Agency, AgencyName string
	// UserID is the person on whose behalf, "VN099…" or the bare number. Personal data.
	UserID                   string
	Activity, Basis, Dossier string
	ExchangeID, RequestID    string
}

// Context is the purpose as the body of a request repeats it. What the exchange has logged rules; a body that says
// otherwise is refused.
type Context struct {
	Activity, Basis, Dossier string
}

// person returns the 12 digits of the user, or "".
func (r Reader) person() string {
	n := strings.TrimPrefix(r.UserID, "VN")
	if !personalNumber.MatchString(n) {
		return ""
	}
	return n
}

// Param names one fault of a request. Code is required, unknown, invalid or too_many.
type Param struct {
	Name, Code string
}

// ParamError lists what is wrong with a request; it stands as the cause of an errs.Error of kind Invalid. Names only:
// it repeats no value.
type ParamError struct{ Params []Param }

// Error implements error.
func (e *ParamError) Error() string {
	parts := make([]string, len(e.Params))
	for i, p := range e.Params {
		parts[i] = p.Name + " " + p.Code
	}
	return strings.Join(parts, ", ")
}

func badParams(params ...Param) error {
	return errs.E(errs.Invalid, "registers.params_invalid", &ParamError{Params: params})
}

// permit decides whether a reader may do a kind of read for the purpose it names, before anything is searched.
func (s *Schema) permit(r Reader, kind string, c *Context) (Activity, error) {
	var none Activity
	if r.Subsystem == "" {
		return none, errs.E(errs.Denied, "registers.caller_unknown", nil)
	}
	if r.Activity == "" || r.Basis == "" && r.Dossier == "" {
		return none, errs.E(errs.Denied, "registers.purpose_required", nil)
	}
	if c != nil && (c.Activity != r.Activity || c.Dossier != "" && c.Dossier != r.Dossier || c.Basis != "" && c.Basis != r.Basis) {
		return none, errs.E(errs.Denied, "registers.purpose_mismatch", nil)
	}
	a, ok := s.Activity(r.Activity)
	if !ok {
		return none, errs.E(errs.Denied, "registers.activity_unknown", nil, "activity", r.Activity)
	}
	if !a.Allows(r.Subsystem) || !slices.Contains(a.Checks, kind) {
		return none, errs.E(errs.Denied, "registers.recipient_denied", nil, "activity", a.ID)
	}
	if a.Dossier == "required" && r.Dossier == "" {
		return none, errs.E(errs.Denied, "registers.dossier_required", nil)
	}
	if a.Self && r.person() == "" {
		return none, errs.E(errs.Denied, "registers.self_only", nil)
	}
	return a, nil
}

const maxFields = 100

// release checks the fields a request names. One field outside the activity refuses the whole request: dropping it in
// silence would look like an empty value.
func (s *Schema) release(a Activity, fields []string) ([]string, error) {
	if len(fields) == 0 {
		return nil, badParams(Param{"fields", "required"})
	}
	if len(fields) > maxFields {
		return nil, badParams(Param{"fields", "too_many"})
	}
	var out []string
	for _, name := range fields {
		_, group, ok := s.Field(name)
		if !ok {
			return nil, badParams(Param{"fields", "unknown"})
		}
		if !slices.Contains(a.Groups, group) {
			return nil, errs.E(errs.Denied, "registers.field_denied", nil, "field", name)
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// lines returns one processing line for each person whose data are in the delivered fields. The first subject of a
// record owns it and sees every field that left; the others see what concerns them.
func (s *Schema) lines(r Reader, a Activity, kind string, v Values, fields []string) []Access {
	var out []Access
	for i, x := range s.subjectsOf(v) {
		about := fields
		if i > 0 {
			about = nil
			for _, f := range fields {
				if _, group, _ := s.Field(f); s.concerns(x.Subject, group) {
					about = append(about, f)
				}
			}
		}
		known := slices.ContainsFunc(out, func(l Access) bool { return l.SubjectID == x.number })
		if len(about) == 0 || known {
			continue
		}
		basis := r.Basis
		if basis == "" {
			basis = a.Basis
		}
		out = append(out, Access{
			SubjectID: x.number, Agency: r.Agency, AgencyName: r.AgencyName, Subsystem: r.Subsystem, Register: s.ID,
			Activity: a.ID, Purpose: a.Purpose.In("vi"), LegalBasis: basis, Dossier: r.Dossier,
			Fields: slices.Clone(about), Kind: kind, ExchangeID: r.ExchangeID, RequestID: r.RequestID,
		})
	}
	return out
}

// own reports whether the record belongs to the person on whose behalf the reader acts.
func (s *Schema) own(v Values, person string) bool {
	return slices.ContainsFunc(s.subjectsOf(v), func(x subjectNumber) bool { return x.Self && x.number == person })
}
