package exchangeapi

import (
	"context"
	"errors"
	"time"

	"truc/internal/exchange/openapi"
	"truc/internal/exchange/publication"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web/manage"
)

// ManagePublications declares the operations of published services. The acts are recorded by [publication.Service].
type ManagePublications struct {
	Publications *publication.Service
	// Text is the message catalogue.
	Text func(lang, key string, args ...any) string
}

// publicationView is a published service as operators see it.
type publicationView struct {
	Code        string            `json:"code"`
	Kind        string            `json:"kind" enum:"OPENAPI3,REST"`
	Name        map[string]string `json:"name"`
	About       map[string]string `json:"about"`
	Personal    bool              `json:"personal"`
	Public      bool              `json:"public"`
	Bodies      string            `json:"bodies" enum:"full,digest,off"`
	Verify      string            `json:"verify" doc:"stream (also when empty) or before_forward: when the back end sees a large request"`
	AsyncOnly   bool              `json:"async_only" doc:"it takes messages alone"`
	Backend     backendView       `json:"backend"`
	Disabled    bool              `json:"disabled"`
	Notice      string            `json:"notice"`
	EndsAt      time.Time         `json:"ends_at,omitzero" doc:"when the publication ends; absent for never"`
	Declared    bool              `json:"declared" doc:"written in the node's configuration, and changed there"`
	Source      string            `json:"source" doc:"the address the description came from"`
	Endpoints   []endpointView    `json:"endpoints"`
	Rights      []rightView       `json:"rights"`
	Version     int64             `json:"version"`
	ChangedAt   time.Time         `json:"changed_at"`
	ChangedBy   string            `json:"changed_by"`
	Description string            `json:"description" doc:"the document as it was handed in"`
}

type backendView struct {
	URL               string `json:"url"`
	TimeoutSeconds    int    `json:"timeout_seconds"`
	ConnectSeconds    int    `json:"connect_seconds"`
	CA                string `json:"ca" doc:"PEM of the authorities or of the back end's own certificate"`
	ServerName        string `json:"server_name"`
	ClientCertificate bool   `json:"client_certificate"`
	PlainHTTP         bool   `json:"plain_http"`
}

func (b newBackend) backend() publication.Backend {
	return publication.Backend{
		URL: b.URL, Timeout: time.Duration(b.TimeoutSeconds) * time.Second, Connect: time.Duration(b.ConnectSeconds) * time.Second, CA: b.CA,
		ServerName: b.ServerName, ClientCert: b.ClientCertificate, PlainHTTP: b.PlainHTTP,
	}
}

type endpointView struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Manual bool   `json:"manual" doc:"written by hand, not of the description"`
}

type rightView struct {
	Consumer   string   `json:"consumer" doc:"subsystem; a star stands for any class or member"`
	Method     string   `json:"method" doc:"* with path ** is the whole service"`
	Path       string   `json:"path"`
	Activities []string `json:"activities"`
	Basis      string   `json:"basis"`
}

func viewOf(p *publication.Published) publicationView {
	v := publicationView{
		Code: p.Code, Kind: p.Kind, Name: p.Name, About: p.About, Personal: p.Personal, Public: p.Public, Bodies: p.Bodies, Verify: p.Verify, AsyncOnly: p.AsyncOnly, Disabled: p.Disabled, Notice: p.Notice,
		EndsAt: p.EndsAt, Declared: p.Declared, Source: p.Source, Version: p.Version, ChangedAt: p.ChangedAt, ChangedBy: p.ChangedBy, Description: string(p.Document),
		Backend: backendView{
			URL: p.Backend.URL, TimeoutSeconds: int(p.Backend.Timeout.Seconds()), ConnectSeconds: int(p.Backend.Connect.Seconds()), CA: p.Backend.CA,
			ServerName: p.Backend.ServerName, ClientCertificate: p.Backend.ClientCert, PlainHTTP: p.Backend.PlainHTTP,
		},
		Endpoints: []endpointView{}, Rights: []rightView{},
	}
	for _, e := range p.Endpoints {
		v.Endpoints = append(v.Endpoints, endpointView{e.Method, e.Path, e.Manual})
	}
	for _, r := range p.Rights {
		v.Rights = append(v.Rights, rightOf(r))
	}
	return v
}

func rightOf(r publication.Right) rightView {
	activities := r.Activities
	if activities == nil {
		activities = []string{}
	}
	return rightView{r.Consumer, r.Method, r.Path, activities, r.Basis}
}

// newBackend is a backendView whose parts, but for the address, have defaults.
type newBackend struct {
	URL               string `json:"url"`
	TimeoutSeconds    int    `json:"timeout_seconds,omitempty"`
	ConnectSeconds    int    `json:"connect_seconds,omitempty"`
	CA                string `json:"ca,omitempty" doc:"PEM of the authorities or of the back end's own certificate"`
	ServerName        string `json:"server_name,omitempty"`
	ClientCertificate bool   `json:"client_certificate,omitempty"`
	PlainHTTP         bool   `json:"plain_http,omitempty"`
}

type newPublication struct {
	Code     string            `json:"code" doc:"subsystem/service"`
	Name     map[string]string `json:"name"`
	About    map[string]string `json:"about,omitempty"`
	Personal bool              `json:"personal,omitempty"`
	Public   bool              `json:"public,omitempty"`
	Bodies   string            `json:"bodies,omitempty" doc:"full, digest or off; digest if empty"`
	Verify   string            `json:"verify,omitempty" doc:"stream (default) or before_forward: when the back end sees a large request"`
	Async    bool              `json:"async_only,omitempty" doc:"it takes messages alone"`
	Backend  newBackend        `json:"backend"`
	Document string            `json:"document,omitempty" doc:"OpenAPI 3.0 or 3.1, JSON or YAML; empty for plain REST"`
	Address  string            `json:"address,omitempty" doc:"fetch the document from here instead"`
}

type publicationID struct {
	Subsystem string `path:"subsystem"`
	Service   string `path:"service"`
}

func (p publicationID) code() string { return p.Subsystem + "/" + p.Service }

func (p newDescription) code() string { return p.Subsystem + "/" + p.Service }

func (p confirmation) code() string { return p.Subsystem + "/" + p.Service }

func (p disabling) code() string { return p.Subsystem + "/" + p.Service }

func (p newRight) code() string { return p.Subsystem + "/" + p.Service }

type newDescription struct {
	Subsystem string `path:"subsystem"`
	Service   string `path:"service"`
	Document  string `json:"document,omitempty"`
	Address   string `json:"address,omitempty" doc:"fetch the document from here instead"`
}

type changeView struct {
	Where    string `json:"where"`
	Text     string `json:"text"`
	Breaking bool   `json:"breaking"`
}

type proposal struct {
	Draft      string       `json:"draft"`
	Version    int64        `json:"version" doc:"of the service that the differences are shown for"`
	Changes    []changeView `json:"changes"`
	LostRights []rightView  `json:"lost_rights" doc:"rights to endpoints that are gone; they end with the refresh"`
}

type confirmation struct {
	Subsystem string `path:"subsystem"`
	Service   string `path:"service"`
	Draft     string `json:"draft"`
	Version   int64  `json:"version"`
}

type disabling struct {
	Subsystem string `path:"subsystem"`
	Service   string `path:"service"`
	Notice    string `json:"notice" doc:"what callers are told"`
}

type stepView struct {
	Name string `json:"name" enum:"dns,tcp,tls,http"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	MS   int64  `json:"ms"`
}

type newRight struct {
	Subsystem  string   `path:"subsystem"`
	Service    string   `path:"service"`
	Consumer   string   `json:"consumer"`
	Method     string   `json:"method" doc:"* with path ** is the whole service"`
	Path       string   `json:"path"`
	Activities []string `json:"activities,omitempty"`
	Basis      string   `json:"basis,omitempty"`
}

const maxPublicationBody = 3 * openapi.MaxSize

// Declare adds the operations.
func (m *ManagePublications) Declare(api *manage.API) error {
	return errors.Join(m.declareReading(api), m.declareDescriptions(api), m.declareStates(api), m.declareEditing(api), m.declareEnd(api))
}

func (m *ManagePublications) declareReading(api *manage.API) error {
	roles := []manage.Role{manage.Service}
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/publications", ID: "listPublications", Tag: "publications", Summary: "List the published services", Roles: roles,
		}, func(ctx context.Context, _ manage.None) (manage.List[publicationView], error) {
			var out manage.List[publicationView]
			list, err := m.Publications.List(ctx)
			for i := range list {
				v := viewOf(&list[i])
				v.Description = "" // one by one: descriptions are long
				out.Items = append(out.Items, v)
			}
			return out, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/publications/{subsystem}/{service}", ID: "getPublication", Tag: "publications", Summary: "Show a published service", Roles: roles,
		}, func(ctx context.Context, in publicationID) (publicationView, error) {
			p, err := m.Publications.Get(ctx, in.code())
			if err != nil {
				return publicationView{}, err
			}
			return viewOf(p), nil
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/publications/{subsystem}/{service}/test", ID: "testPublication", Tag: "publications",
			Summary: "Test the connection to the back end of a published service", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in publicationID) (manage.List[stepView], error) {
			var out manage.List[stepView]
			steps, err := m.Publications.TestBackend(ctx, in.code())
			for _, s := range steps {
				out.Items = append(out.Items, stepView{s.Name, s.OK, m.Text(reqctx.Lang(ctx), s.Key, s.Args...), s.Took.Milliseconds()})
			}
			return out, err
		}),
	)
}

func (m *ManagePublications) declareDescriptions(api *manage.API) error {
	roles := []manage.Role{manage.Service}
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/publications", ID: "publishService", Tag: "publications", Summary: "Publish a service of an own system",
			Roles: roles, Quiet: true, Status: 201, MaxBody: maxPublicationBody,
		}, func(ctx context.Context, in newPublication) (publicationView, error) {
			draft := ""
			if in.Document != "" || in.Address != "" {
				d, err := m.Publications.Propose(ctx, "", in.Address, []byte(in.Document))
				if err != nil {
					return publicationView{}, err
				}
				draft = d.ID
			}
			p := publication.Published{
				Code: in.Code, Name: i18n.Text(in.Name), About: i18n.Text(in.About), Personal: in.Personal, Public: in.Public, Bodies: in.Bodies, Verify: in.Verify, AsyncOnly: in.Async, Backend: in.Backend.backend(),
			}
			if err := m.Publications.Publish(ctx, p, draft); err != nil {
				return publicationView{}, err
			}
			return m.view(ctx, in.Code)
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/publications/{subsystem}/{service}/drafts", ID: "proposeDescription", Tag: "publications",
			Summary: "Hand in a new description and see what it changes; nothing takes effect yet", Roles: roles, Quiet: true, Status: 201, MaxBody: maxPublicationBody,
		}, m.propose),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/publications/{subsystem}/{service}/refresh", ID: "refreshPublication", Tag: "publications",
			Summary: "Confirm a description that was handed in", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in confirmation) (publicationView, error) {
			if err := m.Publications.Refresh(ctx, in.code(), in.Draft, in.Version); err != nil {
				return publicationView{}, err
			}
			return m.view(ctx, in.code())
		}),
	)
}

func (m *ManagePublications) view(ctx context.Context, code string) (publicationView, error) {
	p, err := m.Publications.Get(ctx, code)
	if err != nil {
		return publicationView{}, err
	}
	return viewOf(p), nil
}

func (m *ManagePublications) propose(ctx context.Context, in newDescription) (proposal, error) {
	out := proposal{Changes: []changeView{}, LostRights: []rightView{}}
	p, err := m.Publications.Get(ctx, in.code())
	if err != nil {
		return out, err
	}
	d, err := m.Publications.Propose(ctx, in.code(), in.Address, []byte(in.Document))
	if err != nil {
		return out, err
	}
	changes, lost, err := m.Publications.Compare(ctx, d)
	if err != nil {
		return out, err
	}
	out.Draft, out.Version = d.ID, p.Version
	for _, c := range changes {
		out.Changes = append(out.Changes, changeView{c.Where, m.Text(reqctx.Lang(ctx), c.Key, c.Args...), c.Breaking})
	}
	for _, r := range lost {
		out.LostRights = append(out.LostRights, rightOf(r))
	}
	return out, nil
}

func (m *ManagePublications) declareStates(api *manage.API) error {
	roles := []manage.Role{manage.Service}
	at := "/api/exchange/publications/{subsystem}/{service}"
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: at + "/disable", ID: "disablePublication", Tag: "publications", Summary: "Switch a service off, with a notice", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in disabling) (struct{}, error) {
			return struct{}{}, m.Publications.Disable(ctx, in.code(), in.Notice)
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: at + "/enable", ID: "enablePublication", Tag: "publications", Summary: "Switch a service on", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in publicationID) (struct{}, error) {
			return struct{}{}, m.Publications.Enable(ctx, in.code())
		}),
		manage.Handle(api, manage.Operation{
			Method: "DELETE", Path: at, ID: "deletePublication", Tag: "publications", Summary: "End a publication with its rights", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in publicationID) (struct{}, error) {
			return struct{}{}, m.Publications.Delete(ctx, in.code())
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: at + "/rights", ID: "addPublicationRight", Tag: "publications", Summary: "Let a subsystem call an endpoint or the whole service", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in newRight) (struct{}, error) {
			return struct{}{}, m.Publications.Grant(ctx, in.code(), publication.Right{Consumer: in.Consumer, Method: in.Method, Path: in.Path, Activities: in.Activities, Basis: in.Basis})
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: at + "/rights/remove", ID: "removePublicationRight", Tag: "publications", Summary: "Take a right away", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in newRight) (struct{}, error) {
			return struct{}{}, m.Publications.Withdraw(ctx, in.code(), in.Consumer, in.Method, in.Path)
		}),
	)
}
