package directoryapi

import (
	"context"
	"errors"
	"time"

	"truc/internal/directory"
	"truc/internal/web/manage"
)

// ManageOwn declares what operators do with the keys and the state of the very node that they ask. The node records each
// act before it happens.
type ManageOwn struct {
	Node directory.OwnNode
}

type signingKey struct {
	Alg string `json:"alg,omitempty" enum:"ed25519,p256" doc:"kind of the new key; the kind it has when left out"`
}

type announced struct {
	From time.Time `json:"from" doc:"when the new key takes over"`
}

type maintenance struct {
	Notice string `json:"notice" doc:"what callers are told; empty ends maintenance"`
}

const ownTag = "node"

// Declare adds the operations.
func (m *ManageOwn) Declare(api *manage.API) error {
	security := []manage.Role{manage.Security}
	return errors.Join(
		m.declareLeave(api),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/directory/own", ID: "getOwnKeys", Tag: ownTag, Summary: "Show the node's certificate, the fingerprints of its keys and its state",
			Roles: []manage.Role{manage.Security, manage.Registration, manage.System},
		}, func(context.Context, manage.None) (directory.KeyStatus, error) { return m.Node.KeyStatus() }),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/directory/own/signing-key", ID: "rotateSigningKey", Tag: ownTag, Summary: "Change the signing key, with overlap",
			Roles: security, Act: "directory.key.rotate_signing", Quiet: true,
		}, func(ctx context.Context, in signingKey) (announced, error) {
			from, err := m.Node.RotateSigning(ctx, by(ctx), in.Alg)
			return announced{from}, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/directory/own/tls-key", ID: "rotateTLSKey", Tag: ownTag, Summary: "Change the channel key, with overlap",
			Roles: security, Act: "directory.key.rotate_tls", Quiet: true,
		}, func(ctx context.Context, _ manage.None) (announced, error) {
			from, err := m.Node.RotateTLS(ctx, by(ctx))
			return announced{from}, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "PUT", Path: "/api/directory/own/maintenance", ID: "setMaintenance", Tag: ownTag, Summary: "Refuse calls with a notice, or end that",
			Roles: []manage.Role{manage.System}, Act: "directory.maintenance", Quiet: true,
		}, func(ctx context.Context, in maintenance) (struct{}, error) {
			return struct{}{}, m.Node.SetMaintenance(ctx, by(ctx), in.Notice)
		}),
	)
}
