package exchangeapi

import (
	"context"
	"errors"

	"truc/internal/exchange/publication"
	"truc/internal/i18n"
	"truc/internal/web/manage"
)

// publicationEdit are all parameters of a service; the address of its back end is kept when it is empty.
type publicationEdit struct {
	Subsystem string            `path:"subsystem"`
	Service   string            `path:"service"`
	Name      map[string]string `json:"name"`
	About     map[string]string `json:"about,omitempty"`
	Personal  bool              `json:"personal,omitempty"`
	Public    bool              `json:"public,omitempty"`
	Bodies    string            `json:"bodies,omitempty" doc:"full, digest or off; digest if empty"`
	Verify    *string           `json:"verify,omitempty" doc:"stream or before_forward; as it is if missing"`
	AsyncOnly *bool             `json:"async_only,omitempty" doc:"it takes messages alone; as it is if missing"`
	Backend   newBackend        `json:"backend"`
	SameHost  bool              `json:"same_host,omitempty" doc:"times and TLS hold for every published service at the same host"`
}

func (p publicationEdit) code() string { return p.Subsystem + "/" + p.Service }

type endpointAct struct {
	Subsystem string `path:"subsystem"`
	Service   string `path:"service"`
	Method    string `json:"method" doc:"* is any"`
	Path      string `json:"path" doc:"a pattern such as /stations/{id} or **"`
}

func (p endpointAct) code() string { return p.Subsystem + "/" + p.Service }

// declareEditing adds what changes a service that is there.
func (m *ManagePublications) declareEditing(api *manage.API) error {
	roles := []manage.Role{manage.Service}
	const at, tag = "/api/exchange/publications/{subsystem}/{service}", "publications"
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "PUT", Path: at, ID: "editPublication", Tag: tag, Summary: "Edit the parameters of a service", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in publicationEdit) (publicationView, error) {
			p := publication.Parameters{
				Name: i18n.Text(in.Name), About: i18n.Text(in.About), Personal: in.Personal, Public: in.Public, Bodies: in.Bodies, Backend: in.Backend.backend(), SameHost: in.SameHost, Verify: in.Verify, AsyncOnly: in.AsyncOnly,
			}
			if err := m.Publications.Edit(ctx, in.code(), p); err != nil {
				return publicationView{}, err
			}
			return m.view(ctx, in.code())
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: at + "/endpoints", ID: "addPublicationEndpoint", Tag: tag, Summary: "Add an endpoint that the description does not name", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in endpointAct) (struct{}, error) {
			return struct{}{}, m.Publications.AddEndpoint(ctx, in.code(), in.Method, in.Path)
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: at + "/endpoints/remove", ID: "removePublicationEndpoint", Tag: tag, Summary: "Remove an endpoint that was written by hand, with its rights", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in endpointAct) (struct{}, error) {
			return struct{}{}, m.Publications.DeleteEndpoint(ctx, in.code(), in.Method, in.Path)
		}),
	)
}
