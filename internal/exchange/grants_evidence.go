package exchange

import (
	"errors"
	"fmt"
	"strings"

	"truc/internal/exchange/agreement"
)

// grantEvidence holds this node to what a grant demands of its log, as the one who asks before anything is sent, and as the
// one who answers before the service is called: a time-stamp within the agreed span (spec D29), and bodies if they are
// to be kept. A node that may not or cannot keep them refuses, because the other side relies on what was signed.
func (x *exchangeState) grantEvidence(permit *agreement.Permit) *Fault {
	prefix := atProvider
	if x.role == RoleConsumer {
		prefix = atConsumer
	}
	if permit.Within > 0 && x.s.opt.Untimestamped != nil {
		if d := x.s.opt.Untimestamped(); d > permit.Within {
			return x.fault(prefix, "timestamping_failed", fmt.Errorf("no time-stamp for %s, the grant allows %s", d, permit.Within))
		}
	}
	if permit.Grant.Evidence.Body == string(BodyFull) {
		if p := x.s.bodies.Load(); p == nil || p.mode(x.msg.Service, x.ownSubsystem(), x.offeredBody()) == BodyOff {
			return x.loggingFailed(errors.New("the grant demands that bodies are kept, and this node keeps none of this service"))
		}
	}
	x.permit = permit
	return nil
}

// offeredBody is what this node's offering of the service says about bodies.
func (x *exchangeState) offeredBody() BodyMode {
	if x.role != RoleProvider {
		return ""
	}
	x.s.mu.RLock()
	defer x.s.mu.RUnlock()
	return x.s.offers[x.msg.Service].Body
}

// ownSubsystem is the subsystem of this node that takes part: the one who asks, or the one the service belongs to.
func (x *exchangeState) ownSubsystem() string {
	if x.role == RoleConsumer {
		return x.msg.Client
	}
	return x.msg.Service[:max(0, strings.LastIndexByte(x.msg.Service, '/'))]
}

// bodyMode is what is kept of this exchange's bodies: what the policy says, or more if the grant demands it.
func (x *exchangeState) bodyMode(p *BodyPolicy) BodyMode {
	m := p.mode(x.msg.Service, x.ownSubsystem(), x.offeredBody())
	if m == BodyDigest && x.permit != nil && x.permit.Grant.Evidence.Body == string(BodyFull) {
		return BodyFull
	}
	return m
}
