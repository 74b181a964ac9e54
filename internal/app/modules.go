package app

import "context"

// module is a row of the module table: the only list of modules there is.
type module struct {
	name string
	// needs names earlier rows that must run in the same process, so a cycle cannot be written.
	needs []string
	// configured reports whether a configuration without a module list wants the row; nil is always.
	configured func(*Config) bool
	start      func(*Node, context.Context) error
}

// modules is the module table. A row's start function lies in the file of the module's name and does all its wiring.
var modules = []module{
	{name: "identity", start: (*Node).startIdentity},
	{name: "audit", needs: []string{"identity"}, start: (*Node).startAudit},
	{name: "directory", needs: []string{"identity", "audit"}, start: (*Node).startDirectory},
	{name: "exchange", needs: []string{"identity", "audit", "directory"}, start: (*Node).startExchange},
	{name: "registers", needs: []string{"identity", "audit", "exchange"}, configured: func(c *Config) bool { return len(c.Registers) > 0 }, start: (*Node).startRegisters},
	{name: "services", needs: []string{"identity", "audit", "exchange"}, configured: func(c *Config) bool { return c.Desk.Enabled || c.Portal.Enabled }, start: (*Node).startServices},
	{name: "documents", needs: []string{"identity", "audit", "directory", "exchange"}, configured: func(c *Config) bool { return c.Documents.Enabled }, start: (*Node).startDocuments},
	{name: "axis", needs: []string{"identity", "audit", "directory", "exchange"}, configured: func(c *Config) bool { return c.Axis.Enabled }, start: (*Node).startAxis},
	{name: "oversight", needs: []string{"identity", "exchange"}, configured: func(c *Config) bool { return c.Oversight.Enabled }, start: (*Node).startOversight},
}

// Modules lists the names of the module table, for help texts.
func Modules() []string {
	out := make([]string, len(modules))
	for i, m := range modules {
		out[i] = m.name
	}
	return out
}
