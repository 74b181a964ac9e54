package app

import (
	"truc/internal/exchange"
	"truc/internal/exchange/delivery"
	"truc/internal/i18n"
)

// ExchangeConfig holds the access rules of the services this node offers. What no rule allows is refused.
type ExchangeConfig struct {
	Rules []exchange.Rule `toml:"rules"`
	// Agreements is "required", so that a call between members needs an agreement that both have signed, besides a rule,
	// or "off"; default "off". The policy of the network may require them in any case.
	Agreements string `toml:"agreements"`
	// AgreementsFor sets the same for single services, such as {"portal/notices" = "off"}; it goes before Agreements.
	AgreementsFor map[string]string `toml:"agreements_for"`
	// Terms are files with agreements (JSON) that this node's owner agrees to: the node proposes them to the other side,
	// or accepts them when the other side proposes the same. Identity, times of making and beginning, and keys may be
	// left out. Default none.
	Terms []string `toml:"terms"`
	// CenterMember is the member that keeps the directory, such as "VN/GOV/G22"; it signs agreements about publications.
	// The center itself knows.
	CenterMember string `toml:"center_member"`
	// Limits bound what consumers may ask of the services this node offers.
	Limits []exchange.LimitRule `toml:"limits"`
	// Signatures is "shared", so that messages on their way to one node in the same moment share a signature, each with
	// the proof that it is under it; or "message", so that each is signed alone. Default "shared".
	Signatures string `toml:"signatures"`
	// RequestHash is whether X-Road's x-road-request-hash is told to callers and looked at in answers; default true. What
	// binds an answer to its request is the signature, which does not depend on it.
	RequestHash *bool `toml:"request_hash"`
	// DecisionURL is a decision point that is asked about every request for a service of this node that rules and agreements
	// allow, as Open Policy Agent is asked: POST {"input": {method, path, consumer, service, purpose, dossier, grant,
	// headers}}. Only {"result": true} lets the request pass; no answer in time refuses it. Default none.
	DecisionURL string `toml:"decision_url"`
	// DecisionMillis bounds the answer in milliseconds; default 50, at most 5000.
	DecisionMillis int `toml:"decision_millis"`
	// Inboxes are services of systems behind this node that take messages.
	Inboxes []InboxConfig `toml:"inboxes"`
	// EventDays is how long events that services tell can be read again; default 90.
	EventDays int `toml:"event_days"`
	// CompatListAll makes listMethods name every service to every member, as X-Road does; default only public services and
	// those the caller may use.
	CompatListAll bool `toml:"compat_list_all"`
	// Keys of programs at the edge, made at the first start and written to a file.
	Keys []EdgeKeyConfig `toml:"keys"`
	// Operators are keys of the management interface, made at the first start and written to a file.
	Operators []OperatorKeyConfig `toml:"operators"`
	// Publish lists services of the agency's own systems that this node publishes; others are published on the page
	// /exchange/admin/services.
	Publish []PublishConfig `toml:"publish"`
	// Subsystems are the agency's own systems beside those of the modules: they may call services, and services of theirs
	// may be published. Those that Publish names need not be listed.
	Subsystems []string `toml:"subsystems"`
	// FetchHosts are hosts, "host" or "host:port", from which operators may fetch descriptions by http and at private
	// addresses; default none: https and public addresses only.
	FetchHosts []string `toml:"fetch_hosts"`
	// RecordsDays is how many days back operational records are told; default 7.
	RecordsDays int `toml:"records_days"`
}

// InboxConfig is a service that takes messages for a system behind the node (asynchronous delivery).
type InboxConfig struct {
	// Service is "subsystem/code", such as "onestop/inbox"; others are let in by rules.
	Service string `toml:"service"`
	// Name is shown in the catalogue, by language.
	Name i18n.Text `toml:"name"`
	// Webhook is the address that messages are pushed to, https or on this machine, signed with the node's key; without it
	// the system fetches them at /a1/inbox.
	Webhook string `toml:"webhook"`
}

// OperatorKeyConfig makes a key of the management interface (/api/exchange) and writes it to a file, once.
type OperatorKeyConfig struct {
	// Label is shown in the list of keys; default "configuration".
	Label string `toml:"label"`
	// File is where the secret is written; the database keeps its hash only.
	File string `toml:"file"`
	// Roles are some of security, registration, service, system and observer. At least one.
	Roles []string `toml:"roles"`
}

// EdgeKeyConfig makes an API key for a program of a subsystem and writes it to a file, once.
type EdgeKeyConfig struct {
	// Subsystem is the full identifier the program speaks for, such as "VN/GOV/H36/onestop".
	Subsystem string `toml:"subsystem"`
	// Label is shown in the list of keys.
	Label string `toml:"label"`
	// File is where the secret is written; the database keeps its hash only.
	File string `toml:"file"`
}

func (c InboxConfig) check() error {
	if c.Webhook == "" {
		return nil
	}
	return delivery.CheckWebhook(c.Webhook)
}
