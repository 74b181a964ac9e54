package app

import (
	"fmt"
	"strings"

	"truc/internal/orgcode"
)

// DocumentsConfig keeps the official documents of an agency at this node: drafting, numbers, signatures, registers, sending
// and receiving over the document axis.
type DocumentsConfig struct {
	// Enabled starts the document desk and the service documents/inbox.
	Enabled bool `toml:"enabled"`
	// Axis is the subsystem of the document axis, such as "VN/GOV/G22/axis". Required.
	Axis string `toml:"axis"`
	// Offices are the agencies whose desk this node keeps. Default: the member itself.
	Offices []OfficeConfig `toml:"offices"`
	// MaxAttachmentMiB bounds one attachment; default 100. MaxMessageMiB bounds a whole message; default 512.
	MaxAttachmentMiB int64 `toml:"max_attachment_mib"`
	MaxMessageMiB    int64 `toml:"max_message_mib"`
	// SecretMarks are the words by which a text shows that it is a state secret, which may not be here at all; default
	// "Mật", "Tối mật", "Tuyệt mật".
	SecretMarks []string `toml:"secret_marks"`
	// TypeCode and Steering are written to edXML as DocumentType/Type and SteeringType, where published lists of codes
	// disagree; default 2 and 1 (unverified).
	TypeCode int `toml:"type_code"`
	Steering int `toml:"steering"`
}

// OfficeConfig is an agency whose document desk this node keeps.
type OfficeConfig struct {
	// Code is the agency's code, "H36" or one below the member's.
	Code string `toml:"code"`
	// Name is printed at the head of documents; default the member's. Superior is the agency above, where one is printed.
	Name     string `toml:"name"`
	Superior string `toml:"superior"`
	// Letters stand for the agency in notations, "UBND". Place is the place of issue, "Lâm Đồng".
	Letters string `toml:"letters"`
	Place   string `toml:"place"`
	// Units are parts whose letters stand in the notations of official letters.
	Units []UnitConfig `toml:"units"`
	// Address, Email, Telephone and Website are printed and sent.
	Address   string `toml:"address"`
	Email     string `toml:"email"`
	Telephone string `toml:"telephone"`
	Website   string `toml:"website"`
	// SeriesByType numbers each type of document by itself; default one series a year for all.
	SeriesByType bool `toml:"series_by_type"`
}

// UnitConfig is a part of an agency.
type UnitConfig struct {
	// Letters stand in notations, "VP"; Name is shown.
	Letters string `toml:"letters"`
	Name    string `toml:"name"`
}

// AxisConfig runs the document axis at this node: the hub that takes documents from nodes and from systems of the VXP
// protocol and hands them out. It belongs to the center.
type AxisConfig struct {
	// Enabled starts it.
	Enabled bool `toml:"enabled"`
	// Prefix is the path of the VXP protocol; default "/vxp". The second binding lies below it at /v1. A proxy in front must
	// not answer for this path by itself: clients take an error page for an empty inbox.
	Prefix string `toml:"prefix"`
	// BehindTLS says that a proxy in front of this node speaks TLS with the clients. Without it, and without a certificate of
	// the node's own, production refuses VXP requests.
	BehindTLS bool `toml:"behind_tls"`
	// TLSListen is host:port, such as ":8444", of a listener for VXP clients alone; default none, and they use that of
	// people. It speaks HTTP/1.1 only and mends header bytes that would be answered with a bare 400 otherwise, so prefer it
	// where this node speaks TLS by itself. TLSCert and TLSKey are its PEM files.
	TLSListen string `toml:"tls_listen"`
	TLSCert   string `toml:"tls_cert"`
	TLSKey    string `toml:"tls_key"`
	// LeaseMinutes is how long a copy may be in processing; default 15.
	LeaseMinutes int `toml:"lease_minutes"`
	// RetentionDays is how long contents are kept once every receiver has them; default 1825. The law names no period
	// (Decision 28/2018/QĐ-TTg).
	RetentionDays int `toml:"retention_days"`
	// MaxMessageMiB bounds a message; default 512.
	MaxMessageMiB int64 `toml:"max_message_mib"`
	// Strict refuses attachments that are not what their name says; default only notes it, since real clients send such.
	Strict bool `toml:"strict"`
	// SecrecyFile is a JSON file that says by which words, and where in a message, a state secret is known; a document that
	// shows one is refused. Default is the list of the program, internal/documents/axis/secrecy.json, which no legal text at
	// hand confirms: have it checked, and put the checked one here.
	SecrecyFile string `toml:"secrecy_file"`
	// Systems of the VXP protocol that are registered at the start, each once; others on the page /axis/systems.
	Systems []AxisSystemConfig `toml:"systems"`
	// Agencies that are registered at the start, each once; others on the page /axis/agencies.
	Agencies []AxisAgencyConfig `toml:"agencies"`
}

// AxisSystemConfig is a system of the VXP protocol.
type AxisSystemConfig struct {
	// ID is its identifier, Name who runs it.
	ID   string `toml:"id"`
	Name string `toml:"name"`
	// SecretFile holds the secret that both sides share; it is made when missing.
	SecretFile string `toml:"secret_file"`
	// MayRegister lets it register agencies below its own.
	MayRegister bool `toml:"may_register"`
}

// AxisAgencyConfig is an agency at the axis that no node of the network registers by itself.
type AxisAgencyConfig struct {
	// Code and Name of the agency; Old is its code of thirteen characters.
	Code string `toml:"code"`
	Name string `toml:"name"`
	Old  string `toml:"old"`
	// System is the VXP system that sends and receives for it; Node instead is a subsystem "VN/GOV/H36/documents".
	System string `toml:"system"`
	Node   string `toml:"node"`
}

// offices returns the offices with what they take from the member.
func (c *Config) offices() []OfficeConfig {
	list := c.Documents.Offices
	if len(list) == 0 {
		list = []OfficeConfig{{Code: c.Member}}
	}
	out := make([]OfficeConfig, len(list))
	for i, o := range list {
		if o.Name == "" {
			o.Name = c.Name.In("vi")
		}
		out[i] = o
	}
	return out
}

func (c *Config) checkDocuments() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if d := c.Documents; d.Enabled {
		if s, err := orgcode.ParseSubsystem(d.Axis); err != nil || s.Code != "axis" {
			bad("documents.axis: %q is no subsystem such as \"VN/GOV/G22/axis\"", d.Axis)
		}
		for _, o := range c.offices() {
			if o.Code != c.Member && !strings.HasPrefix(o.Code, c.Member+".") {
				bad("documents.offices.code: %q is neither the member nor below it", o.Code)
			}
			if o.Letters == "" {
				bad("documents.offices.letters: write the letters that stand for %s in notations, such as \"UBND\"", o.Code)
			}
		}
		if d.MaxAttachmentMiB < 0 || d.MaxMessageMiB < 0 || d.MaxMessageMiB > 1024 {
			bad("documents.max_message_mib: at most 1024")
		}
	}
	a := c.Axis
	if !a.Enabled {
		return faults
	}
	if a.Prefix != "" && (!strings.HasPrefix(a.Prefix, "/") || strings.HasSuffix(a.Prefix, "/") || len(a.Prefix) < 2) {
		bad("axis.prefix: %q is no path such as \"/vxp\"", a.Prefix)
	}
	if (a.TLSListen == "") != (a.TLSCert == "") || (a.TLSCert == "") != (a.TLSKey == "") || a.TLSListen != "" && !strings.Contains(a.TLSListen, ":") {
		bad("axis.tls_listen, axis.tls_cert and axis.tls_key: give all, with host:port, or none")
	}
	if a.LeaseMinutes < 0 || a.RetentionDays < 0 || a.MaxMessageMiB < 0 || a.MaxMessageMiB > 1024 {
		bad("axis: lease_minutes, retention_days and max_message_mib (at most 1024) are not negative")
	}
	for _, s := range a.Systems {
		if s.ID == "" || s.SecretFile == "" {
			bad("axis.systems: id and secret_file are needed")
		}
	}
	for _, g := range a.Agencies {
		if !orgcode.Valid(g.Code) || g.Name == "" || (g.System == "") == (g.Node == "") {
			bad("axis.agencies: %q needs a code, a name, and one of system and node", g.Code)
		}
	}
	return faults
}
