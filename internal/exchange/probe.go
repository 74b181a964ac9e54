package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/orgcode"
)

// Step is one step of a connection test.
type Step struct {
	// Name is "directory", "address", "connect", "tls", "key" (together "channel" where they cannot be told apart),
	// "service", "log", "grant", "center" or "authority".
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

// ChannelTester is a [Carrier] that can open a channel to a peer step by step: address, connect, tls, key. It stops at
// the first step that fails.
type ChannelTester interface {
	TestChannel(ctx context.Context, p Peer) []Step
}

// Probe tests the way to a member, or to a service of five segments, step by step: the directory knows a node of it, the
// channel opens with the key the directory names, the node answers a signed request, both sides log it, and for a service
// the peer counts this node's subsystem among those that may call it. It calls metadata services, which everybody may.
func (s *Service) Probe(ctx context.Context, target string) []Step {
	memberID, service := target, orgcode.Service{}
	if sv, err := orgcode.ParseService(target); err == nil {
		memberID, service = sv.Owner().MemberID(), sv
	}
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
	if service.Code != "" {
		to = service.Owner()
	}
	if err := errors.Join(err1, err2); err != nil {
		step.OK, step.Key = false, "exchange.probe.no_node"
		return []Step{step}
	}
	steps := []Step{step}
	tested := false
	if hosts := s.opt.Directory.Hosts(to); len(hosts) > 0 {
		steps[0].Peer = hosts[0].ServerID
		if t, ok := s.opt.Carrier.(ChannelTester); ok && hosts[0].ServerID != s.opt.ServerID {
			tested = true
			for _, c := range t.TestChannel(ctx, hosts[0]) {
				c.Peer = hosts[0].ServerID
				steps = append(steps, c)
			}
			if !steps[len(steps)-1].OK {
				return steps
			}
		}
	} else {
		steps[0].OK, steps[0].Key = false, "exchange.probe.no_node"
		return steps
	}
	start := s.now()
	_, err := s.Call(ctx, Call{
		From: from, To: orgcode.Service{Instance: to.Instance, Class: to.Class, Member: to.Member, Subsystem: to.Code, Code: "listMethods"},
		Timeout: 15 * time.Second, Activity: "connection-test",
	})
	called := probeSteps(err, steps[0].Peer, s.now().Sub(start))
	if tested && len(called) > 1 {
		called = called[1:] // the channel was opened part by part
	}
	steps = append(steps, called...)
	if service.Code == "" || !steps[len(steps)-1].OK {
		return steps
	}
	return append(steps, s.probeGrant(ctx, from, service, steps[0].Peer))
}

// probeGrant asks the peer which services this node's subsystem may call.
func (s *Service) probeGrant(ctx context.Context, from orgcode.Subsystem, service orgcode.Service, peer string) Step {
	step := Step{Name: "grant", Peer: peer, Key: "exchange.probe.grant_none"}
	ask := service
	ask.Code = "allowedMethods"
	ans, err := s.Call(ctx, Call{From: from, To: ask, Timeout: 15 * time.Second, Activity: "connection-test"})
	if err != nil {
		if f, ok := errors.AsType[*Fault](err); ok {
			step.Fault = f.Type
		}
		step.Key, step.Args = errs.KeyOf(err)
		return step
	}
	var list struct {
		Service []struct {
			Code string `json:"service_code"`
		} `json:"service"`
	}
	if err := json.Unmarshal(ans.Body, &list); err != nil {
		return step
	}
	for _, sv := range list.Service {
		if sv.Code == service.Code {
			step.OK, step.Key = true, "exchange.probe.grant_ok"
		}
	}
	return step
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
