package documents

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"truc/internal/errs"
	"truc/internal/orgcode"
)

// DraftForm is what an officer writes of a document: the parts of Decree 30/2020/NĐ-CP, article 8, and what edXML asks.
type DraftForm struct {
	// Type is the code of one of [Types].
	Type string `json:"type"`
	// Unit are the letters of the unit that drafts, for official letters.
	Unit string `json:"unit,omitempty"`
	// Notation overrules the composed one; usually empty.
	Notation string `json:"notation,omitempty"`
	// Subject is the "trích yếu", Summary the content in short, Body the text.
	Subject string `json:"subject"`
	Summary string `json:"summary,omitempty"`
	Body    string `json:"body"`
	// Addressees are the lines of "Kính gửi", ToPlaces those of "Nơi nhận".
	Addressees []string `json:"addressees,omitempty"`
	ToPlaces   []string `json:"toPlaces,omitempty"`
	// Receivers are codes of agencies at the axis.
	Receivers []string `json:"receivers,omitempty"`
	// Authority is "TM. ỦY BAN NHÂN DÂN" or "KT. CHỦ TỊCH"; Signer is the account of the competent person.
	Authority string `json:"authority,omitempty"`
	Signer    string `json:"signer"`
	// SignerName and SignerTitle are filled from the officers' table when the person signs.
	SignerName  string  `json:"signerName,omitempty"`
	SignerTitle string  `json:"signerTitle,omitempty"`
	Urgency     Urgency `json:"urgency,omitempty"`
	Secrecy     Secrecy `json:"secrecy,omitempty"`
	// DueDate is when an answer is expected, "2006-01-02".
	DueDate string `json:"dueDate,omitempty"`
	// Circulation is "phạm vi lưu hành", DrafterMark the drafter's sign.
	Circulation string   `json:"circulation,omitempty"`
	DrafterMark string   `json:"drafterMark,omitempty"`
	Copies      int      `json:"copies,omitempty"`
	Appendixes  []string `json:"appendixes,omitempty"`
	// Steering is edXML's SteeringType, 0 for the configured one; Tasks are task codes of the Government.
	Steering int      `json:"steering,omitempty"`
	Tasks    []string `json:"tasks,omitempty"`
	// PaperFollows says that a paper copy follows (28/2018, article 5.3: only where a rule says so).
	PaperFollows bool `json:"paperFollows,omitempty"`
}

// Problems are faults of a form: field → error with key and arguments.
type Problems map[string]*errs.Error

func (p Problems) add(field, key string, args ...any) {
	if p[field] == nil {
		p[field] = errs.E(errs.Invalid, key, nil, args...)
	}
}

// Error implements error; pages show the fields one by one.
func (p Problems) Error() string {
	var fields []string
	for f, e := range p {
		fields = append(fields, f+": "+e.Key)
	}
	slices.Sort(fields)
	return strings.Join(fields, "; ")
}

// err returns the problems as one error, nil when there are none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return errs.E(errs.Invalid, "documents.form_invalid", p)
}

// normal cleans the form.
func (f DraftForm) normal() DraftForm {
	f.Type, f.Unit, f.Notation = cleanLine(f.Type), cleanLine(f.Unit), cleanLine(f.Notation)
	f.Subject, f.Summary, f.Body = cleanLine(f.Subject), cleanLine(f.Summary), clean(f.Body)
	f.Addressees, f.ToPlaces, f.Appendixes = cleanLines(f.Addressees), cleanLines(f.ToPlaces), cleanLines(f.Appendixes)
	f.Tasks = cleanLines(f.Tasks)
	var receivers []string
	for _, r := range cleanLines(f.Receivers) {
		if !slices.Contains(receivers, r) {
			receivers = append(receivers, r)
		}
	}
	f.Receivers = receivers
	f.Authority, f.Signer = cleanLine(f.Authority), cleanLine(f.Signer)
	f.SignerName, f.SignerTitle = cleanLine(f.SignerName), cleanLine(f.SignerTitle)
	f.DueDate, f.Circulation, f.DrafterMark = cleanLine(f.DueDate), cleanLine(f.Circulation), cleanLine(f.DrafterMark)
	if f.Copies == 0 {
		f.Copies = 1
	}
	return f
}

// Check returns the faults of a form at an office; complete also wants what a document needs to be signed. A state secret
// is an error of its own, not a problem of a field: such a document has no place here.
func (d *Desk) Check(o Office, f DraftForm, complete bool) (DraftForm, error) {
	f = f.normal()
	if f.Secrecy != SecrecyNone || marked(d.marks(), f.Circulation, f.DrafterMark, f.Subject) {
		return f, errSecret()
	}
	p := Problems{}
	if _, ok := TypeOf(f.Type); !ok {
		p.add("type", "documents.type_unknown", "type", f.Type)
	} else if _, err := d.notation(o, f); err != nil {
		p.add("notation", "documents.notation_invalid", "notation", f.Notation)
	}
	long := func(field, s string, most int) {
		if utf8.RuneCountInString(s) > most {
			p.add(field, "documents.too_long", "most", most)
		}
	}
	lim := d.Limits.filled()
	long("subject", f.Subject, maxSubject)
	long("summary", f.Summary, maxSubject)
	long("body", f.Body, lim.Body)
	long("authority", f.Authority, maxPosition)
	long("circulation", f.Circulation, maxPosition)
	long("drafterMark", f.DrafterMark, 10)
	long("toPlaces", strings.Join(f.ToPlaces, "\n"), maxPlaces)
	long("addressees", strings.Join(f.Addressees, "\n"), maxPlaces)
	long("appendixes", strings.Join(f.Appendixes, "\n"), maxPlaces)
	if !f.Urgency.Valid() {
		p.add("urgency", "documents.urgency_unknown")
	}
	if f.Copies < 1 || f.Copies > 999 {
		p.add("copies", "documents.copies_invalid")
	}
	if f.Steering < 0 || f.Steering > 99 {
		p.add("steering", "documents.number_invalid")
	}
	if _, err := time.Parse(time.DateOnly, f.DueDate); f.DueDate != "" && err != nil {
		p.add("dueDate", "documents.date_invalid")
	}
	if len(f.Receivers) > lim.Receivers {
		p.add("receivers", "documents.receivers_too_many", "most", lim.Receivers)
	}
	for _, r := range f.Receivers {
		if !orgcode.Valid(r) || r == o.Code {
			p.add("receivers", "documents.receiver_unknown", "code", r)
		}
	}
	if complete {
		f.require(p)
	}
	return f, p.err()
}

// require adds what a document cannot be submitted without.
func (f DraftForm) require(p Problems) {
	if f.Subject == "" {
		p.add("subject", "documents.field_missing")
	}
	if f.Body == "" {
		p.add("body", "documents.field_missing")
	}
	if f.Signer == "" {
		p.add("signer", "documents.field_missing")
	}
	if len(f.Receivers) == 0 && len(f.ToPlaces) == 0 {
		p.add("receivers", "documents.field_missing")
	}
}

// notation is the form's own or the composed one.
func (d *Desk) notation(o Office, f DraftForm) (string, error) {
	if f.Notation != "" {
		return f.Notation, checkNotation(f.Notation)
	}
	return ComposeNotation(f.Type, o.Letters, f.Unit)
}
