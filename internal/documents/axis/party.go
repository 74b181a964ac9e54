package axis

import (
	"strings"

	"truc/internal/orgcode"
)

// Party is who sends and fetches for agencies: "vxp:vidu.01", a system of the VXP protocol, or
// "node:VN/GOV/H36/documents", a subsystem of the exchange.
type Party string

const vxpPrefix, nodePrefix = "vxp:", "node:"

// VXP returns the party of a system of the VXP protocol.
func VXP(systemID string) Party { return Party(vxpPrefix + systemID) }

// Node returns the party of a subsystem of the exchange.
func Node(s orgcode.Subsystem) Party { return Party(nodePrefix + s.String()) }

// SystemID returns the identifier of a VXP system.
func (p Party) SystemID() (string, bool) { return strings.CutPrefix(string(p), vxpPrefix) }

// Subsystem returns the subsystem of a node.
func (p Party) Subsystem() (orgcode.Subsystem, bool) {
	rest, ok := strings.CutPrefix(string(p), nodePrefix)
	if !ok {
		return orgcode.Subsystem{}, false
	}
	s, err := orgcode.ParseSubsystem(rest)
	return s, err == nil
}

// Valid reports whether p is a party of either sort.
func (p Party) Valid() bool {
	if id, ok := p.SystemID(); ok {
		return systemID.MatchString(id)
	}
	_, ok := p.Subsystem()
	return ok
}
