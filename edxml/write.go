package edxml

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const nameBytes = 255 // of an attachment's name, as file systems have it

// Write writes m as known readers want it: the order of elements of the reference implementation, two blanks for each level, CRLF,
// base64 in one line. The same message gives the same bytes. It fails with an *Error for a message that Validate
// refuses, before it writes anything, and for an attachment whose file is not as Size and SHA256 say.
//
// Optional texts are written also when they are empty, since old checkers want the tags; but never an empty SteeringType,
// on which a known reader loses the whole document, and never an attachment without ContentType.
func Write(w io.Writer, m *Message) error {
	if err := writable(m); err != nil {
		return err
	}
	x := &writer{w: bufio.NewWriterSize(w, blockSize)}
	x.line(`<?xml version="1.0" encoding="UTF-8"?>`)
	x.line(`<edXML xmlns="` + Namespace + `">`)
	x.depth = 1
	x.open("edXMLEnvelope", ` xmlns:edXML="`+Namespace+`"`)
	x.open("edXMLHeader", "")
	if m.Status != nil {
		x.statusHeader(m)
		x.close("edXMLHeader")
		x.close("edXMLEnvelope")
	} else {
		x.documentHeader(m)
		x.trace(m)
		x.close("edXMLHeader")
		x.manifest(m)
		x.close("edXMLEnvelope")
		if err := x.files(m); err != nil {
			return err
		}
	}
	x.depth = 0
	x.line("</edXML>")
	if x.err != nil {
		return x.err
	}
	return x.w.Flush()
}

// writable refuses what Validate does, and what would make bytes that a reader stumbles over.
func writable(m *Message) error {
	if m.Status != nil {
		switch m.Status.Code {
		case "02", "13", "16": // a refusal, and a wish to have the document back, say why
			if m.Status.Description == "" {
				return documentError("N", "MessageHeader.Description", "reason_missing")
			}
		}
	}
	for i, a := range m.Attachments {
		const path = pathAttachment + ".AttachmentName"
		switch {
		case a.Name == "":
			return fileError("N", path, "missing")
		case len(a.Name) > nameBytes:
			return fileError("R", path, "too_long", nameBytes)
		case strings.ContainsAny(a.Name, "/\\:\x00"), strings.Trim(a.Name, ".") == "", !xmlText(a.Name),
			strings.TrimSpace(a.Name) != a.Name, strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return fileError("M", path, "bad_name")
		case extension(a.Name) == "":
			return fileError("M", path, "name_without_type")
		case a.Open == nil:
			return fileError("N", pathContent, "missing")
		}
		if i >= (Limits{}).withDefaults().Attachments {
			return documentError("R", pathAttachment, "too_many", i)
		}
	}
	if errs := Validate(m, time.Time{}); len(errs) > 0 {
		return errs[0]
	}
	return nil
}

type writer struct {
	w     *bufio.Writer
	depth int
	err   error
}

func (x *writer) raw(parts ...string) {
	for _, s := range parts {
		if x.err == nil {
			_, x.err = x.w.WriteString(s)
		}
	}
}

func (x *writer) indent() {
	for range x.depth {
		x.raw("  ")
	}
}

// line writes a line at the current depth.
func (x *writer) line(parts ...string) {
	x.indent()
	x.raw(parts...)
	x.raw("\r\n")
}

func (x *writer) open(name, attributes string) {
	x.line("<edXML:", name, attributes, ">")
	x.depth++
}

func (x *writer) close(name string) {
	x.depth--
	x.line("</edXML:", name, ">")
}

// text writes an element with a text, which may be empty.
func (x *writer) text(name, value string) {
	x.line("<edXML:", name, ">", x.escape(value), "</edXML:", name, ">")
}

// given writes the element only if there is a text.
func (x *writer) given(name, value string) {
	if value != "" {
		x.text(name, value)
	}
}

func (x *writer) number(name string, v int) { x.text(name, strconv.Itoa(v)) }

// escape fails on characters that XML cannot hold, rather than to send another text than the one that was signed.
func (x *writer) escape(s string) string {
	if !xmlText(s) && x.err == nil {
		x.err = documentError("M", "edXML", "bad_text")
	}
	if !strings.ContainsAny(s, "&<>\"\r") {
		return s
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", "&#13;").Replace(s)
}

// xmlText reports whether XML 1.0 can hold s.
func xmlText(s string) bool {
	for i, r := range s {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return false
		}
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return false
			}
		}
	}
	return true
}

func (x *writer) organization(name string, o Organization) {
	x.open(name, "")
	x.text("OrganId", o.ID)
	x.text("OrganizationInCharge", o.InCharge)
	x.text("OrganName", o.Name)
	x.text("OrganAdd", o.Address)
	x.text("Email", o.Email)
	x.text("Telephone", o.Telephone)
	x.text("Fax", o.Fax)
	x.text("Website", o.Website)
	x.close(name)
}

func (x *writer) documentHeader(m *Message) {
	x.open("MessageHeader", "")
	x.organization("From", m.From)
	for _, o := range m.To {
		x.organization("To", o)
	}
	x.text("DocumentId", m.DocumentID)
	x.open("Code", "")
	x.text("CodeNumber", m.Code.Number)
	x.text("CodeNotation", m.Code.Notation)
	x.close("Code")
	x.open("PromulgationInfo", "")
	x.text("Place", m.Place)
	x.text("PromulgationDate", m.Date.String())
	x.close("PromulgationInfo")
	x.open("DocumentType", "")
	x.number("Type", orDefault(m.Type.Type, 2))
	if m.Type.Detail >= 0 {
		x.number("TypeDetail", m.Type.Detail)
	}
	x.text("TypeName", m.Type.Name)
	x.close("DocumentType")
	x.text("Subject", m.Subject)
	x.text("Content", m.Content)
	x.open("SignerInfo", "")
	x.text("Competence", m.Signer.Competence)
	x.text("Position", m.Signer.Position)
	x.text("FullName", m.Signer.FullName)
	x.close("SignerInfo")
	x.given("DueDate", m.DueDate.String())
	x.other(m.Other)
	x.references(m.ResponseFor)
	if m.Steering != nil {
		x.number("SteeringType", *m.Steering)
	}
	if len(m.Tasks) > 0 {
		x.open("ResponseForTask", "")
		for _, t := range m.Tasks {
			x.text("TaskCode", t)
		}
		x.close("ResponseForTask")
	}
	x.text("ApplicationType", m.ApplicationType)
	if len(m.ToPlaces) > 0 {
		x.open("ToPlaces", "")
		for _, p := range m.ToPlaces {
			x.text("Place", p)
		}
		x.close("ToPlaces")
	}
	x.close("MessageHeader")
}

func orDefault(v, zero int) int {
	if v == 0 {
		return zero
	}
	return v
}

func (x *writer) other(o OtherInfo) {
	x.open("OtherInfo", "")
	x.number("Priority", o.Priority)
	x.text("SphereOfPromulgation", o.Sphere)
	x.text("TyperNotation", o.TyperNotation)
	x.number("PromulgationAmount", orDefault(o.Copies, 1))
	x.number("PageAmount", orDefault(o.Pages, 1))
	x.text("ReplyFors", o.ReplyFors)
	direction := o.Direction
	if direction == "" {
		direction = "false"
	}
	x.text("Direction", direction)
	x.text("ReferenceCodes", o.ReferenceCodes)
	if len(o.Appendixes) > 0 {
		x.open("Appendixes", "")
		for _, a := range o.Appendixes {
			x.text("Appendix", a)
		}
		x.close("Appendixes")
	}
	x.close("OtherInfo")
}

func (x *writer) references(refs []Reference) {
	for _, r := range refs {
		x.open("ResponseFor", "")
		x.text("OrganId", r.OrganID)
		x.text("Code", r.Code)
		x.text("DocumentId", r.DocumentID)
		x.text("PromulgationDate", r.Date.String())
		x.close("ResponseFor")
	}
}

func (x *writer) trace(m *Message) {
	b := m.Business
	x.open("TraceHeaderList", "")
	x.open("Bussiness", "")
	if b.Kind != New {
		x.given("DocumentId", b.DocumentID)
	}
	x.number("BussinessDocType", int(b.Kind))
	x.text("BussinessDocReason", b.Reason)
	x.number("Paper", b.Paper)
	for _, c := range b.Changes {
		x.open("BussinessDocumentInfo", "")
		x.number("DocumentInfo", digit(c.Content))
		x.number("DocumentReceiver", digit(c.Receivers))
		if len(c.List) > 0 {
			x.open("ReceiverList", "")
			for _, r := range c.List {
				x.open("Receiver", "")
				x.text("OrganId", r.OrganID)
				x.number("ReceiverType", digit(r.Added))
				x.close("Receiver")
			}
			x.close("ReceiverList")
		}
		x.close("BussinessDocumentInfo")
	}
	x.replaces(b.Replaces)
	for _, s := range b.Staff {
		x.staff(s)
	}
	x.close("Bussiness")
	for _, h := range m.Trace {
		x.open("TraceHeader", "")
		x.text("OrganId", h.OrganID)
		x.text("Timestamp", stamp(h.At))
		x.close("TraceHeader")
	}
	x.close("TraceHeaderList")
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (x *writer) replaces(list []Replaced) {
	if len(list) == 0 {
		return
	}
	x.open("ReplacementInfoList", "")
	for _, r := range list {
		x.open("ReplacementInfo", "")
		x.text("DocumentId", r.DocumentID)
		if len(r.OrganIDs) > 0 {
			x.open("OrganIdList", "")
			for _, id := range r.OrganIDs {
				x.text("OrganId", id)
			}
			x.close("OrganIdList")
		}
		x.close("ReplacementInfo")
	}
	x.close("ReplacementInfoList")
}

func (x *writer) staff(s Staff) {
	x.open("StaffInfo", "")
	x.text("Department", s.Department)
	x.text("DepartmentId", s.DepartmentID)
	x.text("Staff", s.Name)
	x.text("StaffId", s.ID)
	x.text("Email", s.Email)
	x.text("Mobile", s.Mobile)
	x.close("StaffInfo")
}

func (x *writer) statusHeader(m *Message) {
	x.open("MessageHeader", "")
	x.organization("From", m.From)
	x.references(m.ResponseFor)
	x.staff(m.Status.Staff)
	x.text("StatusCode", m.Status.Code)
	x.text("Description", m.Status.Description)
	x.text("Timestamp", stamp(m.Status.At))
	x.close("MessageHeader")
}
