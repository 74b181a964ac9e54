package exchangeapi

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/reqctx"
	"truc/internal/web/manage"
)

// Manage declares the operations of the exchange's own management: keys, services, rules, messages, evidence, tests.
// Other parts of the exchange declare theirs beside it.
type Manage struct {
	Service   *exchange.Service
	Store     exchange.Store
	Keys      exchange.KeyStore
	Operators *exchange.Operators
	Now       func() time.Time
}

// Declare adds the operations.
func (m *Manage) Declare(api *manage.API) error {
	return errors.Join(m.declareOperators(api), m.declareKeys(api), m.declareServices(api), m.declareMessages(api))
}

type newOperator struct {
	Label string   `json:"label" doc:"who or what uses the key"`
	Roles []string `json:"roles" doc:"some of security, registration, service, system, observer"`
}

// AuditObject implements [manage.Subject].
func (n newOperator) AuditObject() string { return n.Label }

type createdOperator struct {
	exchange.OperatorKey
	Secret string `json:"secret" doc:"shown this once"`
}

type byID struct {
	ID string `path:"id"`
}

func (m *Manage) declareOperators(api *manage.API) error {
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/operators", ID: "listOperators", Tag: "operators", Summary: "List the keys of operators",
			Roles: []manage.Role{manage.Security},
		}, func(ctx context.Context, _ manage.None) (manage.List[exchange.OperatorKey], error) {
			keys, err := m.Operators.List(ctx)
			return manage.List[exchange.OperatorKey]{Items: keys}, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/operators", ID: "createOperator", Tag: "operators", Summary: "Make a key for an operator",
			Roles: []manage.Role{manage.Security}, Act: "exchange.operator.create", Status: 201,
		}, func(ctx context.Context, in newOperator) (createdOperator, error) {
			secret, k, err := m.Operators.Create(ctx, reqctx.PrincipalOf(ctx).ID, in.Label, in.Roles)
			return createdOperator{k, secret}, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "DELETE", Path: "/api/exchange/operators/{id}", ID: "revokeOperator", Tag: "operators", Summary: "Revoke the key of an operator",
			Roles: []manage.Role{manage.Security}, Act: "exchange.operator.revoke",
		}, func(ctx context.Context, in byID) (struct{}, error) {
			return struct{}{}, m.Operators.Revoke(ctx, in.ID)
		}),
	)
}

// apiKey is a key of a program at the edge, without its hash.
type apiKey struct {
	ID        string `json:"id"`
	Kind      string `json:"kind" enum:"api_key,mtls,bound_token"`
	Subsystem string `json:"subsystem"`
	Label     string `json:"label"`
	// ErrorCodes is empty for what the listener does.
	ErrorCodes string    `json:"error_codes,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	CreatedBy  string    `json:"created_by"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
}

func apiKeyOf(k exchange.APIKey) apiKey {
	return apiKey{k.ID, k.Kind, k.Subsystem, k.Label, k.ErrorCodes, k.CreatedAt, k.CreatedBy, k.RevokedAt}
}

type newKey struct {
	Subsystem  string `json:"subsystem"`
	Label      string `json:"label" doc:"the program"`
	Kind       string `json:"kind,omitempty" doc:"api_key (default), mtls or bound_token"`
	Key        string `json:"key,omitempty" doc:"for mtls a certificate or public key in PEM, for bound_token a public JWK or PEM"`
	ErrorCodes string `json:"error_codes,omitempty" doc:"snake or legacy; default as the listener"`
}

// AuditObject implements [manage.Subject].
func (n newKey) AuditObject() string { return n.Subsystem }

type createdKey struct {
	apiKey
	Secret string `json:"secret,omitempty" doc:"shown this once; none for mtls"`
}

func (m *Manage) declareKeys(api *manage.API) error {
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/keys", ID: "listKeys", Tag: "keys", Summary: "List the keys of programs at the edge",
			Roles: []manage.Role{manage.Security, manage.Service},
		}, func(ctx context.Context, _ manage.None) (manage.List[apiKey], error) {
			keys, err := m.Keys.Keys(ctx)
			var out manage.List[apiKey]
			for _, k := range keys {
				out.Items = append(out.Items, apiKeyOf(k))
			}
			return out, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/keys", ID: "createKey", Tag: "keys", Summary: "Let a program use the edge",
			Roles: []manage.Role{manage.Security, manage.Service}, Act: "exchange.key.create", Status: 201,
		}, func(ctx context.Context, in newKey) (createdKey, error) {
			// The interface has recorded the act.
			clients := exchange.Clients{Store: m.Keys, Subsystems: m.Service.Subsystems(), Now: m.Now}
			k, secret, err := clients.Create(ctx, reqctx.PrincipalOf(ctx).ID, exchange.NewClient{
				Subsystem: in.Subsystem, Label: in.Label, Kind: in.Kind, Key: in.Key, ErrorCodes: in.ErrorCodes,
			})
			return createdKey{apiKeyOf(k), secret}, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "DELETE", Path: "/api/exchange/keys/{id}", ID: "revokeKey", Tag: "keys", Summary: "Revoke the key of a program",
			Roles: []manage.Role{manage.Security, manage.Service}, Act: "exchange.key.revoke",
		}, func(ctx context.Context, in byID) (struct{}, error) {
			return struct{}{}, m.Keys.RevokeKey(ctx, in.ID, m.Now().UTC())
		}),
	)
}

type offeredService struct {
	ID        string              `json:"id"`
	Name      map[string]string   `json:"name"`
	Kind      string              `json:"kind" enum:"REST,OPENAPI3"`
	Personal  bool                `json:"personal" doc:"a call must state its purpose"`
	Public    bool                `json:"public"`
	Endpoints []exchange.Endpoint `json:"endpoints"`
}

func (m *Manage) declareServices(api *manage.API) error {
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/services", ID: "listServices", Tag: "services", Summary: "List the services this node offers",
			Roles: []manage.Role{manage.Service},
		}, func(context.Context, manage.None) (manage.List[offeredService], error) {
			var out manage.List[offeredService]
			for _, o := range m.Service.Offers() {
				kind := "REST"
				if len(o.OpenAPI) > 0 {
					kind = "OPENAPI3"
				}
				out.Items = append(out.Items, offeredService{o.ID.String(), o.Name, kind, o.Personal, o.Public, o.Endpoints})
			}
			return out, nil
		}),
	)
}

type messageQuery struct {
	Role    string `query:"role" enum:"consumer,provider"`
	Client  string `query:"client" doc:"subsystem identifier"`
	Service string `query:"service" doc:"service identifier"`
	Faults  bool   `query:"faults" doc:"only those that failed"`
	Before  int64  `query:"before" doc:"only rows with a smaller seq, for paging"`
	Limit   int    `query:"limit" doc:"at most 500; 100 if absent"`
}

// message is a row of the index.
type message struct {
	Seq           int64     `json:"seq"`
	ExchangeID    string    `json:"exchange_id"`
	RequestID     string    `json:"request_id"`
	Role          string    `json:"role" enum:"consumer,provider"`
	Client        string    `json:"client"`
	Service       string    `json:"service"`
	Method        string    `json:"method"`
	Path          string    `json:"path"`
	Status        int       `json:"status"`
	Outcome       string    `json:"outcome"`
	At            time.Time `json:"at"`
	DurationMS    float64   `json:"duration_ms"`
	RequestIndex  int64     `json:"request_index" doc:"position in the log, -1 for none"`
	ResponseIndex int64     `json:"response_index"`
	RequestSize   int64     `json:"request_size"`
	ResponseSize  int64     `json:"response_size"`
	Activity      string    `json:"activity"`
	Dossier       string    `json:"dossier"`
}

type evidenceOf struct {
	ID      string `path:"id" doc:"X-Road-Id"`
	Persons bool   `query:"persons" doc:"with the ids of persons, which is personal data"`
	Bodies  bool   `query:"bodies" doc:"with the bodies of messages as far as they were kept, which may be personal data"`
}

// AuditAct implements [manage.Act].
func (e evidenceOf) AuditAct() string {
	switch {
	case e.Bodies:
		return "exchange.evidence.export_bodies"
	case e.Persons:
		return "exchange.evidence.export_persons"
	}
	return "exchange.evidence.export"
}

type probeOf struct {
	Member string `json:"member" doc:"member identifier, such as VN/GOV/G01"`
}

type probeStep struct {
	Name  string  `json:"name"`
	Peer  string  `json:"peer"`
	OK    bool    `json:"ok"`
	Code  string  `json:"code" doc:"what was found, a message key"`
	Fault string  `json:"fault" doc:"type of the fault, if any"`
	MS    float64 `json:"ms"`
}

func (m *Manage) declareMessages(api *manage.API) error {
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/messages", ID: "listMessages", Tag: "messages", Summary: "List exchanges, newest first",
			Roles: []manage.Role{manage.System, manage.Service},
		}, m.messages),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/evidence/{id}", ID: "exportEvidence", Tag: "messages", Summary: "Export the evidence of an exchange",
			Roles: []manage.Role{manage.Security}, Act: "exchange.evidence.export", Produces: "application/zip",
		}, func(ctx context.Context, in evidenceOf) (manage.File, error) {
			opt := exchange.EvidenceOptions{Persons: in.Persons, Bodies: in.Bodies}
			file := manage.File{Name: "evidence-" + in.ID + ".zip", Type: "application/zip"}
			if !in.Bodies {
				b, err := m.Service.Evidence(ctx, in.ID, opt)
				file.Data = b
				return file, err
			}
			// With bodies it may be of any size; whether there is anything is known before the answer begins.
			if _, err := m.Service.Evidence(ctx, in.ID, exchange.EvidenceOptions{Persons: in.Persons}); err != nil {
				return file, err
			}
			file.Write = func(w io.Writer) error { return m.Service.WriteEvidence(ctx, w, in.ID, opt) }
			return file, nil
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/test/member", ID: "testMember", Tag: "diagnostics", Summary: "Test the way to a member, step by step",
			Roles: []manage.Role{manage.System}, Quiet: true,
		}, func(ctx context.Context, in probeOf) (manage.List[probeStep], error) {
			var out manage.List[probeStep]
			for _, s := range m.Service.Probe(ctx, in.Member) {
				out.Items = append(out.Items, probeStep{s.Name, s.Peer, s.OK, s.Key, s.Fault, milliseconds(s.Took)})
			}
			return out, nil
		}),
	)
}

func (m *Manage) messages(ctx context.Context, in messageQuery) (manage.List[message], error) {
	var out manage.List[message]
	if err := m.Service.Flush(ctx); err != nil {
		return out, err
	}
	rows, err := m.Store.Recent(ctx, exchange.Filter{Role: in.Role, Client: in.Client, Service: in.Service, Faults: in.Faults, Before: in.Before, Limit: in.Limit})
	for _, r := range rows {
		out.Items = append(out.Items, message{
			Seq: r.Seq, ExchangeID: r.ExchangeID, RequestID: r.RequestID, Role: r.Role, Client: r.Client, Service: r.Service, Method: r.Method, Path: r.Path,
			Status: r.Status, Outcome: r.Outcome, At: r.At, DurationMS: milliseconds(r.Duration), RequestIndex: r.RequestIndex, ResponseIndex: r.ResponseIndex,
			RequestSize: r.RequestSize, ResponseSize: r.ResponseSize, Activity: r.Activity, Dossier: r.Dossier,
		})
	}
	return out, err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// AuthenticateOperator meets [manage.API] with the keys of operators, and with those of programs, which may ask for what
// concerns their own subsystem.
func AuthenticateOperator(ops *exchange.Operators, programs exchange.KeyStore) func(ctx context.Context, secret string) (manage.Operator, error) {
	return func(ctx context.Context, secret string) (manage.Operator, error) {
		k, err := ops.Find(ctx, secret)
		if errs.Is(err, errs.Unauthenticated) {
			if p, perr := programs.KeyByHash(ctx, HashKey(secret)); perr == nil {
				return manage.Operator{ID: "program-" + p.ID, Label: p.Label, Roles: []manage.Role{manage.Program}, Subsystem: p.Subsystem}, nil
			} else if !errs.Is(perr, errs.NotFound) {
				return manage.Operator{}, perr
			}
		}
		if err != nil {
			return manage.Operator{}, err
		}
		o := manage.Operator{ID: k.ID, Label: k.Label}
		for _, r := range k.Roles {
			if slices.Contains(manage.Roles(), manage.Role(r)) {
				o.Roles = append(o.Roles, manage.Role(r))
			}
		}
		if len(o.Roles) == 0 {
			return o, errs.E(errs.Denied, "exchange.operators.role_missing", nil)
		}
		return o, nil
	}
}
