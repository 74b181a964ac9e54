package manage

import (
	"slices"

	"truc/internal/reqctx"
)

// Permits reports whether an officer's roles allow an operation, as they would a key with the same roles. What is not an
// operation of this node is allowed to nobody.
func (a *API) Permits(p reqctx.Principal, id string) bool {
	o := a.find(id)
	if o == nil || p.Kind != reqctx.Officer {
		return false
	}
	var by Operator
	for _, r := range Roles() {
		if p.Has(string(r)) {
			by.Roles = append(by.Roles, r)
		}
	}
	return o.allows(by)
}

// Has reports whether there is an operation with this id.
func (a *API) Has(id string) bool { return a.find(id) != nil }

func (a *API) find(id string) *operation {
	i := slices.IndexFunc(a.ops, func(o *operation) bool { return o.ID == id })
	if i < 0 {
		return nil
	}
	return a.ops[i]
}
