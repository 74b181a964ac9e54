package manage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/reqctx"
	"truc/internal/web"
)

// Role is what an operator's key may be used for. The five are those of X-Road's administrators.
type Role string

// The roles.
const (
	// Security keeps keys, certificates, witnesses, time-stamp authorities and the keys of operators.
	Security Role = "security"
	// Registration brings members, nodes and certificates into the network and takes them out.
	Registration Role = "registration"
	// Service publishes services and decides who may call them.
	Service Role = "service"
	// System runs the node: diagnostics, tests, backups, maintenance, the queue.
	System Role = "system"
	// Observer reads everything that is not secret, and changes nothing.
	Observer Role = "observer"
)

// Program is the role of a program's key at the edge, which sees what concerns its own subsystem. No operator has it.
const Program Role = "program"

// Roles lists all roles of operators.
func Roles() []Role { return []Role{Security, Registration, Service, System, Observer} }

// Operator is who uses the interface.
type Operator struct {
	// ID is shown in the audit log as the actor "operator:ID".
	ID    string
	Label string
	Roles []Role
	// Subsystem is the one of a [Program].
	Subsystem string
}

type operatorKey struct{}

// OperatorOf returns who uses an operation, in its handler.
func OperatorOf(ctx context.Context) Operator {
	o, _ := ctx.Value(operatorKey{}).(Operator)
	return o
}

// Actor is the operator's name in the audit log.
func (o Operator) Actor() string { return "operator:" + o.ID }

// Operation declares one operation.
type Operation struct {
	Method string
	// Path is the pattern of [http.ServeMux], such as "/api/exchange/operators/{id}".
	Path string
	// ID is the operationId, unique; Tag groups operations.
	ID, Tag, Summary string
	// Roles may use it. An operation with GET is open to [Observer] too, unless Sealed.
	Roles  []Role
	Sealed bool
	// Act is the event of the audit log, such as "exchange.operator.create". Everything but GET needs one, and so does
	// a GET that gives away what must be accounted for.
	Act string
	// Quiet says that the method behind the operation records the act by itself, or that nothing is changed by it.
	Quiet bool
	// Status of success; 200 when zero, 204 when the output is struct{}.
	Status int
	// MaxBody bounds the request; 1 MiB when zero.
	MaxBody int64
	// Produces is the media type of a [File]; "application/octet-stream" when empty.
	Produces string
	// Consumes is the media type of a [RawBody]; "application/octet-stream" when empty.
	Consumes string
}

// API is the interface of one node. Fill the fields, [Handle] the operations, then [API.Mount].
type API struct {
	// Title and Version stand in the document.
	Title, Version string
	// Authenticate finds the operator of a key: Unauthenticated when there is none.
	Authenticate func(ctx context.Context, secret string) (Operator, error)
	// Audit records an act before it happens.
	Audit func(ctx context.Context, actor, action, object string) error
	Now   func() time.Time

	once    sync.Once
	second  *web.Limiter
	minute  *web.Limiter
	ops     []*operation
	mounted bool
}

// operation is an Operation with its types.
type operation struct {
	Operation
	in, out reflect.Type
	run     func(w http.ResponseWriter, r *http.Request, by Operator) error
}

// Limits of the interface for each client address (X-Road's own).
const (
	perSecond = 20
	perMinute = 600
)

const defaultMaxBody = 1 << 20

// Handle adds an operation whose handler takes an In and answers an Out. It must be called before [API.Mount]; a
// declaration that contradicts itself is an error, which stops the start of the node.
func Handle[In, Out any](a *API, op Operation, h func(ctx context.Context, in In) (Out, error)) error {
	o := &operation{Operation: op, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out]()}
	if err := o.check(); err != nil {
		return fmt.Errorf("manage: operation %s: %w", op.ID, err)
	}
	for _, other := range a.ops {
		if other.ID == op.ID || other.Method == op.Method && other.Path == op.Path {
			return fmt.Errorf("manage: operation %s is declared twice", op.ID)
		}
	}
	if a.mounted {
		return fmt.Errorf("manage: operation %s comes after the interface was mounted", op.ID)
	}
	o.run = func(w http.ResponseWriter, r *http.Request, by Operator) error {
		in := new(In)
		if err := o.read(w, r, reflect.ValueOf(in).Elem()); err != nil {
			return err
		}
		object, act := objectOf(o.Operation, r, in), o.Act
		if named, ok := any(in).(Act); ok {
			act = named.AuditAct()
		}
		if o.Act != "" && !o.Quiet {
			if err := a.Audit(r.Context(), by.Actor(), act, object); err != nil {
				return err
			}
		}
		out, err := h(r.Context(), *in)
		if err != nil {
			if o.Act != "" && !o.Quiet {
				err = errors.Join(err, a.Audit(context.WithoutCancel(r.Context()), by.Actor(), act+".failed", object))
			}
			return err
		}
		return o.write(w, reflect.ValueOf(&out).Elem())
	}
	a.ops = append(a.ops, o)
	return nil
}

// Subject is implemented by inputs that know what the act is done to; otherwise the values of the path are taken.
type Subject interface{ AuditObject() string }

// Act is implemented by inputs that make another event of the act, such as one that also gives out personal data.
type Act interface{ AuditAct() string }

func objectOf(op Operation, r *http.Request, in any) string {
	if s, ok := in.(Subject); ok {
		return s.AuditObject()
	}
	var parts []string
	for _, name := range pathNames(op.Path) {
		parts = append(parts, r.PathValue(name))
	}
	return strings.Join(parts, " ")
}

func (o *operation) check() error {
	switch {
	case o.ID == "" || o.Summary == "" || o.Tag == "":
		return errors.New("it needs an id, a tag and a summary")
	case !strings.HasPrefix(o.Path, "/api/"):
		return errors.New("its path is not below /api/")
	case len(o.Roles) == 0:
		return errors.New("it names no role")
	case o.Method != http.MethodGet && o.Act == "" && !o.Quiet:
		return errors.New("it changes something and names no act for the audit log")
	case o.in.Kind() != reflect.Struct:
		return errors.New("its input is no struct")
	}
	for _, r := range o.Roles {
		if r != Program && !slices.Contains(Roles(), r) {
			return fmt.Errorf("there is no role %q", r)
		}
	}
	return o.checkInput()
}

// allows reports whether an operator may use the operation.
func (o *operation) allows(by Operator) bool {
	if o.Method == http.MethodGet && !o.Sealed && slices.Contains(by.Roles, Observer) {
		return true
	}
	return slices.ContainsFunc(by.Roles, func(r Role) bool { return slices.Contains(o.Roles, r) })
}

// Mount adds the operations and the document, at docPath, which everybody may read: it says what there is, not what is
// in it.
func (a *API) Mount(m *web.Mux, docPath string) error {
	doc, err := a.Document()
	if err != nil {
		return err
	}
	a.mounted = true
	m.HandleAPI("GET "+docPath, func(w http.ResponseWriter, r *http.Request) error {
		if err := a.limit(w, r); err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(doc)
		return nil
	})
	for _, o := range a.ops {
		m.HandleAPI(o.Method+" "+o.Path, a.guard(o))
	}
	return nil
}

// guard applies rate, key and role.
func (a *API) guard(o *operation) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := a.limit(w, r); err != nil {
			return err
		}
		secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || secret == "" || len(secret) > 256 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="truc"`)
			return errs.E(errs.Unauthenticated, "web.manage.no_key", nil)
		}
		by, err := a.Authenticate(r.Context(), secret)
		if err != nil {
			if errs.Is(err, errs.Unauthenticated) || errs.Is(err, errs.NotFound) {
				w.Header().Set("WWW-Authenticate", `Bearer realm="truc", error="invalid_token"`)
				return errs.E(errs.Unauthenticated, "web.manage.key_unknown", err)
			}
			return err
		}
		if !o.allows(by) {
			return errs.E(errs.Denied, "web.manage.role", nil, "roles", rolesText(o))
		}
		roles := make([]string, len(by.Roles))
		for i, role := range by.Roles {
			roles[i] = string(role)
		}
		ctx := reqctx.WithPrincipal(r.Context(), reqctx.Principal{Kind: reqctx.System, ID: by.Actor(), Name: by.Label, Roles: roles})
		ctx = context.WithValue(ctx, operatorKey{}, by)
		w.Header().Set("Cache-Control", "no-store")
		return o.run(w, r.WithContext(ctx), by)
	}
}

func rolesText(o *operation) string {
	out := make([]string, len(o.Roles))
	for i, r := range o.Roles {
		out[i] = string(r)
	}
	return strings.Join(out, ", ")
}

func (a *API) limit(w http.ResponseWriter, r *http.Request) error {
	a.once.Do(func() {
		a.second = web.NewLimiter(a.Now, time.Second/perSecond, perSecond, 10_000)
		a.minute = web.NewLimiter(a.Now, time.Minute/perMinute, perMinute, 10_000)
	})
	key := web.AddressKey(r)
	if err := a.second.Check(w, key); err != nil {
		return err
	}
	return a.minute.Check(w, key)
}
