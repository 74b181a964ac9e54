package edxml

import (
	"strconv"
	"strings"
)

// header turns elements into values, and collects what was tolerated and the first thing that cannot be.
type header struct {
	p   *parser
	err error
}

func (h *header) fail(err *Error) {
	if h.err == nil {
		h.err = err
	}
}

// one returns the only child of that name, or nil. Two would let two readers see two different documents.
func (h *header) one(n *node, path, name string) *node {
	if n == nil {
		return nil
	}
	var found *node
	for _, k := range n.kids {
		if k.name != name {
			continue
		}
		if found != nil {
			h.fail(documentError("R", path+"."+name, "twice"))
			return found
		}
		found = k
	}
	return found
}

func (h *header) text(n *node, path, name string) string { return h.one(n, path, name).value() }

// integer reads a number; empty or no number counts as absent, with a note.
func (h *header) integer(n *node, path, name string, absent int) int {
	k := h.one(n, path, name)
	if k == nil {
		return absent
	}
	v, err := strconv.ParseInt(k.value(), 10, 32)
	if err != nil {
		h.p.note(path+"."+name, "not_number", absent)
		return absent
	}
	return int(v)
}

func (h *header) date(n *node, path, name string) Date {
	d, _ := h.readDate(n, path, name)
	return d
}

// readDate reports besides the date whether there was a text that is none.
func (h *header) readDate(n *node, path, name string) (d Date, unreadable bool) {
	s := h.text(n, path, name)
	if s == "" {
		return Date{}, false
	}
	d, odd, ok := tolerateDate(s)
	switch {
	case !ok:
		h.p.note(path+"."+name, "date_unreadable")
	case odd:
		h.p.note(path+"."+name, "date_form", d.String())
	}
	return d, !ok
}

func all(n *node, name string) []*node {
	var found []*node
	if n != nil {
		for _, k := range n.kids {
			if k.name == name {
				found = append(found, k)
			}
		}
	}
	return found
}

func values(nodes []*node) []string {
	var s []string
	for _, n := range nodes {
		if v := n.value(); v != "" {
			s = append(s, v)
		}
	}
	return s
}

// message builds the message from the tree.
func (p *parser) message() (*Message, error) {
	h := &header{p: p}
	env := h.one(p.root, "edXML", "edXMLEnvelope")
	if env == nil {
		return nil, missing("edXMLEnvelope")
	}
	head := h.one(env, "edXMLEnvelope", "edXMLHeader")
	mh := h.one(head, "edXMLHeader", "MessageHeader")
	if mh == nil {
		return nil, missing("MessageHeader")
	}
	h.one(env, "edXMLEnvelope", "edXMLBody")
	m := &Message{}
	h.main(m, mh)
	h.other(m, mh)
	h.trace(m, h.one(head, "edXMLHeader", "TraceHeaderList"))
	h.status(m, mh)
	h.attachments(m)
	if h.err != nil {
		return nil, h.err
	}
	return m, nil
}

func (h *header) organization(n *node, path string) Organization {
	return Organization{
		ID: h.text(n, path, "OrganId"), InCharge: h.text(n, path, "OrganizationInCharge"), Name: h.text(n, path, "OrganName"),
		Address: h.text(n, path, "OrganAdd"), Email: h.text(n, path, "Email"), Telephone: h.text(n, path, "Telephone"),
		Fax: h.text(n, path, "Fax"), Website: h.text(n, path, "Website"),
	}
}

func (h *header) main(m *Message, mh *node) {
	const top = "MessageHeader"
	m.From = h.organization(h.one(mh, top, "From"), top+".From")
	for _, to := range all(mh, "To") {
		m.To = append(m.To, h.organization(to, top+".To"))
	}
	m.DocumentID = h.text(mh, top, "DocumentId")
	code := h.one(mh, top, "Code")
	m.Code = Code{Number: h.text(code, top+".Code", "CodeNumber"), Notation: h.text(code, top+".Code", "CodeNotation")}
	prom := h.one(mh, top, "PromulgationInfo")
	m.Place = h.text(prom, top+".PromulgationInfo", "Place")
	var unreadable bool
	if m.Date, unreadable = h.readDate(prom, top+".PromulgationInfo", "PromulgationDate"); unreadable {
		h.fail(documentError("M", top+".PromulgationInfo.PromulgationDate", "bad_date"))
	}
	typ := h.one(mh, top, "DocumentType")
	m.Type = DocumentType{
		Type: h.integer(typ, top+".DocumentType", "Type", 2), Detail: h.integer(typ, top+".DocumentType", "TypeDetail", -1),
		Name: h.text(typ, top+".DocumentType", "TypeName"),
	}
	m.Subject, m.Content = h.text(mh, top, "Subject"), h.text(mh, top, "Content")
	signer := h.one(mh, top, "SignerInfo")
	m.Signer = Signer{
		Competence: h.text(signer, top+".SignerInfo", "Competence"), Position: h.text(signer, top+".SignerInfo", "Position"),
		FullName: h.text(signer, top+".SignerInfo", "FullName"),
	}
	m.DueDate = h.date(mh, top, "DueDate")
	for _, r := range all(mh, "ResponseFor") {
		const path = top + ".ResponseFor"
		m.ResponseFor = append(m.ResponseFor, Reference{
			OrganID: h.text(r, path, "OrganId"), Code: h.text(r, path, "Code"), DocumentID: h.text(r, path, "DocumentId"),
			Date: h.date(r, path, "PromulgationDate"),
		})
	}
	if k := h.one(mh, top, "SteeringType"); k != nil {
		if v, err := strconv.ParseInt(k.value(), 10, 32); err == nil {
			n := int(v)
			m.Steering = &n
		} else {
			h.p.note(top+".SteeringType", "not_number", 0)
		}
	}
	for _, r := range all(mh, "ResponseForTask") {
		m.Tasks = append(m.Tasks, values(all(r, "TaskCode"))...)
	}
	m.ApplicationType = h.text(mh, top, "ApplicationType")
	m.ToPlaces = values(all(h.one(mh, top, "ToPlaces"), "Place"))
}

func (h *header) other(m *Message, mh *node) {
	const path = "MessageHeader.OtherInfo"
	n := h.one(mh, "MessageHeader", "OtherInfo")
	m.Other = OtherInfo{
		Priority: h.integer(n, path, "Priority", 0), Sphere: h.text(n, path, "SphereOfPromulgation"),
		TyperNotation: h.text(n, path, "TyperNotation"), Copies: h.integer(n, path, "PromulgationAmount", 1),
		Pages: h.integer(n, path, "PageAmount", 1), ReplyFors: h.text(n, path, "ReplyFors"), Direction: h.text(n, path, "Direction"),
		ReferenceCodes: h.text(n, path, "ReferenceCodes"), Appendixes: values(all(h.one(n, path, "Appendixes"), "Appendix")),
	}
	if m.Other.Priority < 0 || m.Other.Priority > 4 {
		h.p.note(path+".Priority", "out_of_list", m.Other.Priority)
	}
	for _, c := range []struct {
		name string
		v    *int
	}{{"PromulgationAmount", &m.Other.Copies}, {"PageAmount", &m.Other.Pages}} {
		if *c.v < 0 || *c.v > 65535 {
			h.p.note(path+"."+c.name, "not_number", 1)
			*c.v = 1
		}
	}
}

func (h *header) trace(m *Message, list *node) {
	for _, t := range all(list, "TraceHeader") {
		const path = "TraceHeaderList.TraceHeader"
		hop := Hop{OrganID: h.text(t, path, "OrganId")}
		if s := h.text(t, path, "Timestamp"); s != "" {
			var odd, ok bool
			if hop.At, odd, ok = tolerateTime(s); !ok {
				h.p.note(path+".Timestamp", "date_unreadable")
			} else if odd {
				h.p.note(path+".Timestamp", "date_form", formatTime(hop.At))
			}
		}
		m.Trace = append(m.Trace, hop)
	}
	const path = "TraceHeaderList.Bussiness"
	b := h.one(list, "TraceHeaderList", "Bussiness")
	m.Business = Business{
		DocumentID: h.text(b, path, "DocumentId"), Kind: Kind(h.integer(b, path, "BussinessDocType", 0)),
		Reason: h.text(b, path, "BussinessDocReason"), Paper: h.integer(b, path, "Paper", 0),
	}
	if m.Business.Kind == New {
		m.Business.DocumentID = "" // some senders leave one there; it means nothing
	}
	if m.Business.Paper == 0 {
		m.Business.Paper = h.integer(list, "TraceHeaderList", "Paper", 0)
	}
	for _, c := range all(b, "BussinessDocumentInfo") {
		m.Business.Changes = append(m.Business.Changes, h.change(c))
	}
	for _, l := range all(b, "ReplacementInfoList") {
		for _, r := range all(l, "ReplacementInfo") {
			rep := Replaced{DocumentID: h.text(r, path+".ReplacementInfo", "DocumentId")}
			for _, o := range all(r, "OrganIdList") {
				rep.OrganIDs = append(rep.OrganIDs, values(all(o, "OrganId"))...)
			}
			m.Business.Replaces = append(m.Business.Replaces, rep)
		}
	}
	for _, s := range all(b, "StaffInfo") {
		if st := h.staff(s, path+".StaffInfo"); st != (Staff{}) {
			m.Business.Staff = append(m.Business.Staff, st)
		}
	}
	// What is plainly about an earlier document must not pass for a new one because its kind is missing.
	if len(m.Business.Changes)+len(m.Business.Replaces) > 0 && h.text(b, path, "BussinessDocType") == "" {
		h.fail(missing(path + ".BussinessDocType"))
	}
}

func (h *header) change(n *node) Change {
	const path = "TraceHeaderList.Bussiness.BussinessDocumentInfo"
	c := Change{Content: h.integer(n, path, "DocumentInfo", 0) == 1, Receivers: h.integer(n, path, "DocumentReceiver", 0) == 1}
	for _, l := range all(n, "ReceiverList") {
		for _, r := range all(l, "Receiver") {
			c.List = append(c.List, ReceiverChange{
				OrganID: h.text(r, path+".Receiver", "OrganId"), Added: h.integer(r, path+".Receiver", "ReceiverType", 0) == 1,
			})
		}
	}
	return c
}

func (h *header) staff(n *node, path string) Staff {
	return Staff{
		Department: h.text(n, path, "Department"), DepartmentID: h.text(n, path, "DepartmentId"), Name: h.text(n, path, "Staff"),
		ID: h.text(n, path, "StaffId"), Email: h.text(n, path, "Email"), Mobile: h.text(n, path, "Mobile"),
	}
}

// status makes m a status message if it is one: it has a status code, or names a document it responds to and has neither receivers nor
// anything that a document has.
func (h *header) status(m *Message, mh *node) {
	const top = "MessageHeader"
	code := h.one(mh, top, "StatusCode")
	bare := len(m.To) == 0 && m.Code == Code{} && m.Subject == "" && m.Date.IsZero()
	if code == nil && (!bare || len(m.ResponseFor) == 0) {
		return
	}
	st := &Status{Code: code.value(), Description: h.text(mh, top, "Description"), Staff: h.staff(h.one(mh, top, "StaffInfo"), top+".StaffInfo")}
	if len(st.Code) == 1 && strings.Contains("0123456789", st.Code) {
		h.p.note(top+".StatusCode", "status_form", "0"+st.Code)
		st.Code = "0" + st.Code
	}
	if s := h.text(mh, top, "Timestamp"); s != "" {
		var odd, ok bool
		if st.At, odd, ok = tolerateTime(s); !ok {
			h.p.note(top+".Timestamp", "date_unreadable")
		} else if odd {
			h.p.note(top+".Timestamp", "date_form", formatTime(st.At))
		}
	}
	m.Status = st
}

// attachments gives the files of the message what only the manifest says of them.
func (h *header) attachments(m *Message) {
	m.Attachments = h.p.files
	for i := range m.Attachments {
		a := &m.Attachments[i]
		ref := h.p.manifestEntry(a.ContentID, i)
		if a.Description == "" {
			a.Description = ref.kid("Description").value()
		}
		if t := ref.kid("ContentType").value(); t != "" && !strings.EqualFold(t, a.ContentType) {
			h.p.noteFile(i, "manifest_type", t, a.ContentType)
		}
	}
	if refs := h.p.manifest(); len(refs) > len(m.Attachments) {
		h.p.note("edXMLBody.edXMLManifest", "manifest_more", len(refs), len(m.Attachments))
	}
}
