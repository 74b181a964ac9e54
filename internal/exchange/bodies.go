package exchange

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange/bodylog"
)

// BodyMode says what of a message's body this node keeps. Digests are always kept: they are in what was signed.
type BodyMode string

// The modes. BodyOff is stronger than BodyDigest: it also refuses what another setting of this node would turn on.
const (
	BodyDigest BodyMode = "digest"
	BodyFull   BodyMode = "full"
	BodyOff    BodyMode = "off"
)

// Valid reports whether it is one of the modes.
func (m BodyMode) Valid() bool { return m == BodyDigest || m == BodyFull || m == BodyOff }

// BodyPolicy says which bodies this node keeps, as the one who asks and as the one who answers.
type BodyPolicy struct {
	Log *bodylog.Log
	// Default holds for services that are not in Services (full identifiers) and whose offering says nothing.
	Default  BodyMode
	Services map[string]BodyMode
	// Subsystems holds for all exchanges of a subsystem of this node, as the one who asks or who answers, unless Services
	// says otherwise.
	Subsystems map[string]BodyMode
	// MaxStream is the longest streamed body that is kept, in bytes; 0 means [DefaultMaxStream].
	MaxStream int64
}

// SetBodies replaces the policy. Without one no body is kept.
func (s *Service) SetBodies(p *BodyPolicy) error {
	if p != nil {
		for service, m := range p.Services {
			if !m.Valid() {
				return fmt.Errorf("exchange: bodies of %s: mode %q", service, m)
			}
		}
		for subsystem, m := range p.Subsystems {
			if !m.Valid() {
				return fmt.Errorf("exchange: bodies of %s: mode %q", subsystem, m)
			}
		}
		if !p.Default.Valid() || p.Log == nil {
			return fmt.Errorf("exchange: bodies: mode %q", p.Default)
		}
	}
	s.bodies.Store(p)
	return nil
}

// mode of a service for a subsystem of this node: what is "off" stays off, then the node's setting for the service counts,
// then that for the subsystem, then the offering, then the default.
func (p *BodyPolicy) mode(service, subsystem string, offered BodyMode) BodyMode {
	set, ok := p.Services[service]
	if !ok {
		set, ok = p.Subsystems[subsystem]
	}
	switch {
	case set == BodyOff || offered == BodyOff, p.Default == BodyOff && !ok:
		return BodyOff
	case ok:
		return set
	case offered != "":
		return offered
	}
	return p.Default
}

// keepBody keeps a body when the policy or the grant says so. A body that must be kept and cannot be stops the exchange, like an entry
// that cannot be logged. Bodies that stream are kept while they pass, see keepStream.
func (x *exchangeState) keepBody(direction string, header http.Header, body []byte) *Fault {
	p := x.s.bodies.Load()
	if p == nil || header.Get(HeaderBody) != "" || header.Get("Content-Digest") == "" {
		return nil
	}
	if x.bodyMode(p) != BodyFull {
		return nil
	}
	if err := p.Log.Put(bodylog.Name{Role: x.role, Direction: direction, RequestID: x.msg.RequestID}, body); err != nil {
		return x.loggingFailed(err)
	}
	return nil
}

// keptBody returns a body that was kept; NotFound when it was not, or its time is over.
func (s *Service) keptBody(ctx context.Context, e *Entry) (io.ReadCloser, error) {
	p := s.bodies.Load()
	if p == nil {
		return nil, errs.E(errs.NotFound, "exchange.body_gone", nil)
	}
	return p.Log.Open(ctx, bodylog.Name{Role: e.Role, Direction: e.Direction, RequestID: e.RequestID}, time.UnixMicro(e.At))
}
