package exchange

import (
	"slices"
	"strings"
)

// EvidencePart says which direction of an exchange a package holds.
type EvidencePart string

// The parts of an exchange.
const (
	EvidenceAll      EvidencePart = ""
	EvidenceRequest  EvidencePart = "request"
	EvidenceResponse EvidencePart = "response"
)

// keep drops what the party took no part in: ids of exchanges need not be unique, so one id may name those of others too.
func (o EvidenceOptions) keep(rows []Message) []Message {
	return slices.DeleteFunc(rows, func(m Message) bool {
		return o.Party != "" && !o.party(m) || len(o.entries(m)) == 0
	})
}

// party reports whether the party took part: it called, was called, or its member is one on whose behalf that was done.
// The last learns no ids of persons and no bodies: they went from the one that called to the one that was called.
func (o EvidenceOptions) party(m Message) bool {
	if m.Client == o.Party || strings.HasPrefix(m.Service, o.Party+"/") {
		return true
	}
	member := ownerOf(o.Party)
	return !o.Persons && !o.Bodies && member != "" && (m.Delegator == member || m.ServiceDelegator == member)
}

// entries returns the positions in the log that belong into the package; -1 where there is none is left out.
func (o EvidenceOptions) entries(m Message) []int64 {
	var out []int64
	if o.Part != EvidenceResponse && m.RequestIndex >= 0 {
		out = append(out, m.RequestIndex, m.RequestBodyIndex)
	}
	if o.Part != EvidenceRequest && m.ResponseIndex >= 0 {
		out = append(out, m.ResponseIndex, m.ResponseBodyIndex)
	}
	return out
}
