package exchange

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
)

// OperatorRoles are the roles of the management interface, those of X-Road's administrators: security keeps keys and
// certificates, registration brings members in and out, service publishes and grants, system runs the node, observer
// reads.
var OperatorRoles = []string{"security", "registration", "service", "system", "observer"}

// OperatorKey lets a program or a person's command line use the management interface of this node.
type OperatorKey struct {
	ID string `json:"id"`
	// Hash is the hex SHA-256 of the secret, which is random, so no slow hash is needed.
	Hash  string   `json:"-"`
	Label string   `json:"label" doc:"who or what uses the key"`
	Roles []string `json:"roles"`
	// CreatedBy is an account, "operator:ID" or "system".
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	// RevokedAt is zero while the key may be used.
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

// OperatorStore keeps the keys of operators.
type OperatorStore interface {
	AddOperator(ctx context.Context, k OperatorKey) error
	// OperatorByHash returns a key that has not been revoked; NotFound otherwise.
	OperatorByHash(ctx context.Context, hash string) (OperatorKey, error)
	Operators(ctx context.Context) ([]OperatorKey, error)
	// RevokeOperator fails with NotFound when there is no such key in use.
	RevokeOperator(ctx context.Context, id string, at time.Time) error
}

// Operators makes, finds and revokes the keys of operators. Its callers record what they do in the audit log first.
type Operators struct {
	Store OperatorStore
	Now   func() time.Time
}

const operatorPrefix = "truc_operator_"

// Create makes a key with some of [OperatorRoles]. The secret is returned this once and kept nowhere. Errors are Invalid.
func (o *Operators) Create(ctx context.Context, by, label string, roles []string) (secret string, k OperatorKey, err error) {
	label = strings.TrimSpace(label)
	if label == "" || len(label) > 200 {
		return "", k, errs.E(errs.Invalid, "exchange.operators.label_missing", nil)
	}
	roles = slices.Compact(slices.Sorted(slices.Values(roles)))
	if len(roles) == 0 {
		return "", k, errs.E(errs.Invalid, "exchange.operators.role_missing", nil)
	}
	for _, r := range roles {
		if !slices.Contains(OperatorRoles, r) {
			return "", k, errs.E(errs.Invalid, "exchange.operators.role_missing", fmt.Errorf("there is no role %q", r))
		}
	}
	secret = operatorPrefix + rand.Text() + rand.Text()
	k = OperatorKey{ID: strings.ToLower(rand.Text()[:12]), Hash: hashSecret(secret), Label: label, Roles: roles, CreatedAt: o.Now().UTC().Truncate(time.Microsecond), CreatedBy: by}
	return secret, k, o.Store.AddOperator(ctx, k)
}

// Find returns the key of a secret: Unauthenticated when it is unknown or revoked.
func (o *Operators) Find(ctx context.Context, secret string) (OperatorKey, error) {
	if !strings.HasPrefix(secret, operatorPrefix) {
		return OperatorKey{}, errs.E(errs.Unauthenticated, "exchange.key_unknown", nil)
	}
	k, err := o.Store.OperatorByHash(ctx, hashSecret(secret))
	if errs.Is(err, errs.NotFound) {
		return k, errs.E(errs.Unauthenticated, "exchange.key_unknown", err)
	}
	return k, err
}

// List returns all keys, the oldest first.
func (o *Operators) List(ctx context.Context) ([]OperatorKey, error) { return o.Store.Operators(ctx) }

// Revoke ends a key at once.
func (o *Operators) Revoke(ctx context.Context, id string) error {
	return o.Store.RevokeOperator(ctx, id, o.Now().UTC())
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
