package app

import (
	"context"
	"errors"
	"os"

	"truc/internal/telemetry"
	"truc/internal/web/manage"
)

// dpkgStatus is where Debian and its like note what is installed.
const dpkgStatus = "/var/lib/dpkg/status"

// packageList is what is installed.
type packageList struct {
	Program []telemetry.Package `json:"program" doc:"what this program was built from"`
	System  []telemetry.Package `json:"system" doc:"packages of the machine; empty unless telemetry.packages is set, and where dpkg keeps none"`
}

// declarePackages adds the operation. Everything the machine has is listed only when the configuration says so: it is of use
// to who looks for a hole, too.
func (n *Node) declarePackages(status string) error {
	return manage.Handle(n.manage, manage.Operation{
		Method: "GET", Path: "/api/exchange/packages", ID: "listPackages", Tag: "monitoring", Summary: "What this program was built from, and, if the node says so, what is installed on its machine",
		Roles: []manage.Role{manage.System}, Sealed: true,
	}, func(context.Context, struct{}) (packageList, error) {
		out := packageList{Program: telemetry.ProgramPackages(), System: []telemetry.Package{}}
		if out.Program == nil {
			out.Program = []telemetry.Package{}
		}
		if !n.cfg.Telemetry.Packages {
			return out, nil
		}
		f, err := os.Open(status)
		if errors.Is(err, os.ErrNotExist) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		defer f.Close() //nolint:errcheck // only read
		list, err := telemetry.DebianPackages(f)
		if list != nil {
			out.System = list
		}
		return out, err
	})
}
