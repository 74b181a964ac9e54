package exchange

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/orgcode"
)

// Step is one step of a connection test.
type Step struct {
	// Name is "directory", "channel", "service" or "log".
	Name string
	// Peer is the node that was tested.
	Peer string
	OK   bool
	// Key and Args say what was found; Fault is the type of the fault, if any.
	Key   string
	Args  []any
	Fault string
	Took  time.Duration
}

// Probe tests the way to a member step by step: the directory knows a node of it, the channel opens with the key the
// directory names, the node answers a signed request, and both sides log it. It calls a metadata service, which
// everybody may.
func (s *Service) Probe(ctx context.Context, memberID string) []Step {
	dir := s.opt.Directory.State()
	step := Step{Name: "directory", OK: dir.Level != "expired", Key: "exchange.probe.directory_ok", Args: []any{"version", dir.Version, "level", dir.Level}}
	if !step.OK {
		step.Key = "exchange.directory_expired"
		return []Step{step}
	}
	members := s.opt.Directory.Members()
	i := slices.IndexFunc(members, func(m Member) bool { return m.ID == memberID })
	if i < 0 || len(members[i].Subsystems) == 0 || len(s.opt.Subsystems) == 0 {
		step.OK, step.Key = false, "exchange.probe.no_node"
		return []Step{step}
	}
	from, err1 := orgcode.ParseSubsystem(s.opt.Subsystems[0])
	to, err2 := orgcode.ParseSubsystem(members[i].Subsystems[0])
	if err := errors.Join(err1, err2); err != nil {
		step.OK, step.Key = false, "exchange.probe.no_node"
		return []Step{step}
	}
	if hosts := s.opt.Directory.Hosts(to); len(hosts) > 0 {
		step.Peer = hosts[0].ServerID
	}
	start := s.now()
	_, err := s.Call(ctx, Call{
		From: from, To: orgcode.Service{Instance: to.Instance, Class: to.Class, Member: to.Member, Subsystem: to.Code, Code: "listMethods"},
		Timeout: 15 * time.Second, Activity: "connection-test",
	})
	return append([]Step{step}, probeSteps(err, step.Peer, s.now().Sub(start))...)
}

// probeSteps reads off a fault how far the call came.
func probeSteps(err error, peer string, took time.Duration) []Step {
	steps := []Step{
		{Name: "channel", Peer: peer, OK: true, Key: "exchange.probe.channel_ok"},
		{Name: "service", Peer: peer, OK: true, Key: "exchange.probe.service_ok", Took: took},
		{Name: "log", Peer: peer, OK: true, Key: "exchange.probe.log_ok"},
	}
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		return steps
	}
	at := 1
	switch code := f.Code(); {
	case code == "network_error" || code == "deadline_exceeded" || strings.HasPrefix(code, "unknown_"):
		at = 0
	case code == "logging_failed":
		at = 2
	}
	steps[at].OK, steps[at].Fault = false, f.Type
	steps[at].Key, steps[at].Args = errs.KeyOf(deepest(err))
	return steps[:at+1]
}

// deepest returns the innermost error of ours: of a channel that fails, the cause matters and not that it failed.
func deepest(err error) error {
	found := err
	for e := err; e != nil; e = errors.Unwrap(e) {
		if _, ok := e.(*errs.Error); ok { //nolint:errorlint // each link of the chain is looked at on its own
			found = e
		}
	}
	return found
}
