package exchangeapi

import (
	"context"
	"errors"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/access"
	"truc/internal/web/manage"
)

// ManageAccess declares the operations of access rules and local groups. The acts are recorded by [access.Service].
type ManageAccess struct {
	Access *access.Service
}

type accessRule struct {
	ID         string     `json:"id" doc:"empty for a rule that cannot be removed here"`
	Origin     string     `json:"origin" enum:"configuration,publication,managed"`
	Consumer   string     `json:"consumer" doc:"subsystem, group:subsystem/name for a local group or global:name for one of the directory; a star stands for any class or member"`
	Service    string     `json:"service"`
	Methods    []string   `json:"methods" doc:"none means all"`
	Path       string     `json:"path"`
	Activities []string   `json:"activities" doc:"none means any"`
	Basis      string     `json:"basis"`
	CreatedAt  *time.Time `json:"created_at,omitempty"`
	CreatedBy  string     `json:"created_by"`
}

type newAccessRule struct {
	Consumer   string   `json:"consumer" doc:"subsystem, group:subsystem/name for a local group or global:name for one of the directory; a star stands for any class or member"`
	Service    string   `json:"service" doc:"subsystem/service of this node"`
	Methods    []string `json:"methods,omitempty" doc:"none means all"`
	Path       string   `json:"path,omitempty" doc:"pattern; none means everything"`
	Activities []string `json:"activities,omitempty" doc:"none means any"`
	Basis      string   `json:"basis,omitempty"`
}

type accessRuleID struct {
	ID string `path:"id"`
}

type accessGroup struct {
	Code      string    `json:"code" doc:"subsystem/name: the group counts for services of that subsystem"`
	Name      string    `json:"name"`
	Members   []string  `json:"members"`
	ChangedAt time.Time `json:"changed_at"`
	ChangedBy string    `json:"changed_by"`
}

type accessGroupID struct {
	Subsystem string `path:"subsystem"`
	Name      string `path:"name"`
}

type newAccessGroup struct {
	Subsystem string   `path:"subsystem"`
	Code      string   `path:"name"`
	Name      string   `json:"name" doc:"for people to read"`
	Members   []string `json:"members" doc:"subsystem identifiers; they replace the ones before"`
}

// Declare adds the operations.
func (m *ManageAccess) Declare(api *manage.API) error {
	return errors.Join(m.declareRules(api), m.declareGroups(api))
}

func (m *ManageAccess) declareRules(api *manage.API) error {
	roles := []manage.Role{manage.Service}
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/rules", ID: "listRules", Tag: "services", Summary: "List the access rules in force, with where each comes from", Roles: roles,
		}, func(ctx context.Context, _ manage.None) (manage.List[accessRule], error) {
			var out manage.List[accessRule]
			rules, err := m.Access.Rules(ctx)
			for _, r := range rules {
				v := accessRule{r.ID, string(r.Origin), r.Consumer, r.Service, notNil(r.Methods), r.Path, notNil(r.Activities), r.Basis, nil, r.CreatedBy}
				if !r.CreatedAt.IsZero() {
					v.CreatedAt = &r.CreatedAt
				}
				out.Items = append(out.Items, v)
			}
			return out, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/rules", ID: "addRule", Tag: "services", Summary: "Let a subsystem or a group use a service", Roles: roles, Quiet: true, Status: 201,
		}, func(ctx context.Context, in newAccessRule) (struct {
			ID string `json:"id"`
		}, error,
		) {
			var out struct {
				ID string `json:"id"`
			}
			id, err := m.Access.AddRule(ctx, exchange.Rule{
				Consumer: in.Consumer, Service: in.Service, Methods: in.Methods, Path: in.Path, Activities: in.Activities, Basis: in.Basis,
			})
			out.ID = id
			return out, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "DELETE", Path: "/api/exchange/rules/{id}", ID: "removeRule", Tag: "services", Summary: "Take a managed access rule away", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in accessRuleID) (struct{}, error) {
			if in.ID == "" {
				return struct{}{}, errs.E(errs.NotFound, "exchange.access.rule_unknown", nil)
			}
			return struct{}{}, m.Access.RemoveRule(ctx, in.ID)
		}),
	)
}

func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (m *ManageAccess) declareGroups(api *manage.API) error {
	roles := []manage.Role{manage.Service}
	const one = "/api/exchange/groups/{subsystem}/{name}"
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/groups", ID: "listGroups", Tag: "services", Summary: "List the local groups", Roles: roles,
		}, func(ctx context.Context, _ manage.None) (manage.List[accessGroup], error) {
			var out manage.List[accessGroup]
			groups, err := m.Access.Groups(ctx)
			for _, g := range groups {
				out.Items = append(out.Items, accessGroup{g.Code, g.Name, notNil(g.Members), g.ChangedAt, g.ChangedBy})
			}
			return out, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "PUT", Path: one, ID: "saveGroup", Tag: "services", Summary: "Add a local group or replace its name and members", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in newAccessGroup) (struct{}, error) {
			return struct{}{}, m.Access.SaveGroup(ctx, access.Group{Code: in.Subsystem + "/" + in.Code, Name: in.Name, Members: in.Members})
		}),
		manage.Handle(api, manage.Operation{
			Method: "DELETE", Path: one, ID: "removeGroup", Tag: "services", Summary: "Remove a local group that no rule names", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in accessGroupID) (struct{}, error) {
			return struct{}{}, m.Access.RemoveGroup(ctx, in.Subsystem+"/"+in.Name)
		}),
	)
}
