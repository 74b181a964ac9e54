package edxml

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// length is how long a text may be, in characters: longer ones are noted, those above hard refused.
type length struct {
	path, value string
	max, hard   int
}

// lengths lists the texts of m whose length is limited (Decree 30/2020/NĐ-CP, Appendix VI, and what hubs store).
func lengths(m *Message) []length {
	var ls []length
	add := func(path, value string, n int) { ls = append(ls, length{path, value, n, 2 * n}) }
	exact := func(path, value string, n int) { ls = append(ls, length{path, value, n, n}) }
	organ := func(path string, o Organization) {
		exact(path+".OrganId", o.ID, 35)
		add(path+".OrganizationInCharge", o.InCharge, 500)
		add(path+".OrganName", o.Name, 200)
		add(path+".OrganAdd", o.Address, 500)
		add(path+".Email", o.Email, 100)
		add(path+".Telephone", o.Telephone, 20)
		add(path+".Fax", o.Fax, 20)
		add(path+".Website", o.Website, 20)
	}
	const top = "MessageHeader"
	organ(top+".From", m.From)
	for _, o := range m.To {
		organ(top+".To", o)
	}
	exact(top+".DocumentId", m.DocumentID, 255)
	add(top+".Code.CodeNumber", m.Code.Number, 11)
	add(top+".Code.CodeNotation", m.Code.Notation, 30)
	add(top+".PromulgationInfo.Place", m.Place, 50)
	add(top+".DocumentType.TypeName", m.Type.Name, 100)
	add(top+".Subject", m.Subject, 500)
	add(top+".Content", m.Content, 500)
	add(top+".SignerInfo.Position", m.Signer.Position, 100)
	add(top+".SignerInfo.FullName", m.Signer.FullName, 50)
	add(top+".OtherInfo.SphereOfPromulgation", m.Other.Sphere, 100)
	add(top+".OtherInfo.TyperNotation", m.Other.TyperNotation, 10)
	for _, r := range m.ResponseFor {
		exact(top+".ResponseFor.OrganId", r.OrganID, 35)
		exact(top+".ResponseFor.DocumentId", r.DocumentID, 255)
	}
	for _, p := range m.ToPlaces {
		add(top+".ToPlaces.Place", p, 150)
	}
	exact("TraceHeaderList.Bussiness.DocumentId", m.Business.DocumentID, 255)
	for _, r := range m.Business.Replaces {
		exact("TraceHeaderList.Bussiness.ReplacementInfoList.ReplacementInfo.DocumentId", r.DocumentID, 255)
	}
	return ls
}

func longNotes(m *Message) []Note {
	var notes []Note
	for _, l := range lengths(m) {
		if len(l.value) > l.max && utf8.RuneCountInString(l.value) > l.max {
			notes = append(notes, Note{Path: l.path, Key: "long", Args: []any{l.max}})
		}
	}
	return notes
}

// Validate says what is missing or wrong in m, all of it; nothing when m may travel. now lets a date of issue later
// than tomorrow be refused; the zero time leaves that out.
func Validate(m *Message, now time.Time) []*Error {
	var errs []*Error
	need := func(path, value string) {
		if value == "" {
			errs = append(errs, missing(path))
		}
	}
	const top = "MessageHeader"
	need(top+".From.OrganId", m.From.ID)
	need(top+".From.OrganName", m.From.Name)
	if m.Status != nil {
		if len(m.ResponseFor) == 0 {
			errs = append(errs, missing(top+".ResponseFor.OrganId"), missing(top+".ResponseFor.DocumentId"))
		} else {
			need(top+".ResponseFor.OrganId", m.ResponseFor[0].OrganID)
			need(top+".ResponseFor.DocumentId", m.ResponseFor[0].DocumentID)
		}
		need(top+".StatusCode", m.Status.Code)
		if c := m.Status.Code; c != "" && !twoDigits(c) {
			errs = append(errs, documentError("M", top+".StatusCode", "bad_status"))
		}
	} else {
		errs = append(errs, validateDocument(m, now)...)
	}
	for _, l := range lengths(m) {
		if len(l.value) > l.hard && utf8.RuneCountInString(l.value) > l.hard {
			errs = append(errs, documentError("R", l.path, "too_long", l.max))
		}
	}
	return errs
}

func validateDocument(m *Message, now time.Time) []*Error {
	var errs []*Error
	need := func(path string, absent bool) {
		if absent {
			errs = append(errs, missing(path))
		}
	}
	const top = "MessageHeader"
	need(top+".To", len(m.To) == 0)
	seen := map[string]bool{}
	for _, o := range m.To {
		need(top+".To.OrganId", o.ID == "")
		if o.ID != "" && seen[o.ID] {
			errs = append(errs, documentError("R", top+".To.OrganId", "receiver_twice", o.ID))
		}
		seen[o.ID] = true
	}
	need(top+".Code.CodeNumber", m.Code.Number == "")
	need(top+".Code.CodeNotation", m.Code.Notation == "")
	switch {
	case m.Date.IsZero():
		need(top+".PromulgationInfo.PromulgationDate", true)
	case !m.Date.valid():
		errs = append(errs, documentError("M", top+".PromulgationInfo.PromulgationDate", "bad_date"))
	case !now.IsZero() && m.Date.After(DateOf(now).AddDays(1)):
		errs = append(errs, documentError("R", top+".PromulgationInfo.PromulgationDate", "future_date", m.Date.String()))
	}
	need(top+".Subject", m.Subject == "")
	const business = "TraceHeaderList.Bussiness"
	switch k := m.Business.Kind; {
	case k < New || k > Replacement:
		errs = append(errs, documentError("R", business+".BussinessDocType", "bad_kind", strconv.Itoa(int(k))))
	case k == Update:
		need(business+".DocumentId", len(Originals(m)) == 0)
	case k == Replacement:
		need(business+".ReplacementInfoList.ReplacementInfo.DocumentId", len(Originals(m)) == 0)
	case k == Revocation:
		need(business+".DocumentId", len(Originals(m)) == 0)
	}
	return errs
}

func twoDigits(s string) bool {
	return len(s) == 2 && s[0] >= '0' && s[0] <= '9' && s[1] >= '0' && s[1] <= '9'
}
