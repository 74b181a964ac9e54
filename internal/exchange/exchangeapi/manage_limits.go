package exchangeapi

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"truc/internal/exchange"
	"truc/internal/web/manage"
)

// ManageLimits declares limits of consumers and circuit breakers.
type ManageLimits struct {
	Service *exchange.Service
	// Configured are the limits of the configuration, Kept those that an operator has put in their place, nil for none.
	Configured, Kept []exchange.LimitRule
	// Keep puts limits where a start of the node finds them; nil goes back to those of the configuration.
	Keep func([]exchange.LimitRule) error

	mu sync.Mutex // guards Kept after the start
}

type limitsPut struct {
	Items []exchange.LimitRule `json:"items" doc:"all limits; what is not here ends"`
}

type usageView struct {
	Consumer string `json:"consumer"`
	Service  string `json:"service"`
	Running  int    `json:"running"`
	Today    int64  `json:"today"`
	Refused  int64  `json:"refused" doc:"since the node started"`
}

type circuitView struct {
	Kind     string    `json:"kind" enum:"peer,service"`
	Name     string    `json:"name"`
	State    string    `json:"state" enum:"closed,open,half_open"`
	Since    time.Time `json:"since,omitzero"`
	Failures int       `json:"failures" doc:"in a row"`
}

func (m *ManageLimits) inForce() []exchange.LimitRule {
	if m.Kept != nil {
		return m.Kept
	}
	return m.Configured
}

// put keeps limits and lets them hold; the caller holds mu. What cannot be read is refused before anything is kept.
func (m *ManageLimits) put(rules []exchange.LimitRule) error {
	if err := exchange.CheckLimits(rules); err != nil {
		return manage.BadInput("items", err)
	}
	if err := m.Keep(rules); err != nil {
		return err
	}
	m.Kept = rules
	return m.Service.SetLimits(m.inForce())
}

// Declare adds the operations.
func (m *ManageLimits) Declare(api *manage.API) error {
	roles := []manage.Role{manage.Service, manage.System}
	const tag = "limits"
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/limits", ID: "listLimits", Tag: tag, Summary: "List the limits of consumers", Roles: roles,
		}, func(context.Context, manage.None) (manage.List[exchange.LimitRule], error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return manage.List[exchange.LimitRule]{Items: slices.Clone(m.inForce())}, nil
		}),
		manage.Handle(api, manage.Operation{
			Method: "PUT", Path: "/api/exchange/limits", ID: "setLimits", Tag: tag, Summary: "Replace the limits of consumers; they hold instead of the configuration's, also after a start of the node",
			Roles: []manage.Role{manage.System}, Act: "exchange.limits.set",
		}, func(_ context.Context, in limitsPut) (struct{}, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return struct{}{}, m.put(append([]exchange.LimitRule{}, in.Items...))
		}),
		manage.Handle(api, manage.Operation{
			Method: "DELETE", Path: "/api/exchange/limits", ID: "resetLimits", Tag: tag, Summary: "Go back to the limits of the configuration",
			Roles: []manage.Role{manage.System}, Act: "exchange.limits.reset",
		}, func(context.Context, manage.None) (struct{}, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return struct{}{}, m.put(nil)
		}),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/limits/usage", ID: "listLimitUsage", Tag: tag, Summary: "How far consumers have come with their limits", Roles: roles,
		}, func(context.Context, manage.None) (manage.List[usageView], error) {
			var out manage.List[usageView]
			for _, u := range m.Service.LimitUsages() {
				out.Items = append(out.Items, usageView(u))
			}
			return out, nil
		}),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/circuits", ID: "listCircuits", Tag: tag, Summary: "Which peers and services are asked, and which are spared", Roles: roles,
		}, func(context.Context, manage.None) (manage.List[circuitView], error) {
			var out manage.List[circuitView]
			for _, c := range m.Service.Circuits() {
				out.Items = append(out.Items, circuitView(c))
			}
			return out, nil
		}),
	)
}
