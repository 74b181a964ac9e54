package exchange

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

// HealthSpan is the time over which the health of services is told.
const HealthSpan = 600 * time.Second

const (
	healthSlots = 10
	slotSpan    = HealthSpan / healthSlots
	maxHealth   = 2000 // services
)

// ServiceHealth is how a service did at this node during the last [HealthSpan] (X-Road's getSecurityServerHealthData).
type ServiceHealth struct {
	Service string `json:"service"`
	Role    string `json:"role" enum:"consumer,provider"`
	// LastSuccess and LastFailure are the last since the node started.
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastFailure time.Time `json:"last_failure,omitzero"`
	Successes   int64     `json:"successes"`
	Failures    int64     `json:"failures"`
	// Duration is in seconds, the sizes in bytes; of successes only.
	Duration     Spread `json:"duration_seconds"`
	RequestSize  Spread `json:"request_bytes"`
	ResponseSize Spread `json:"response_bytes"`
}

// Spread is how values lie; all zero when there were none.
type Spread struct {
	Min    float64 `json:"min"`
	Mean   float64 `json:"mean"`
	Max    float64 `json:"max"`
	StdDev float64 `json:"std_dev"`
}

// healthTable holds the services' figures in slots of a minute, which fall away as they age.
type healthTable struct {
	mu    sync.Mutex // guards all below
	byKey map[healthKey]*serviceHealth
}

type healthKey struct {
	role    int
	service string
}

type serviceHealth struct {
	success, failure time.Time
	slots            [healthSlots]healthSlot
}

type healthSlot struct {
	number               int64 // of the slot since 1970; what is older is stale
	successes, failures  int64
	duration, size, back spread
}

// spread sums values so that mean and deviation can be had later.
type spread struct {
	n                  int64
	min, max, sum, sq2 float64
}

func (s *spread) add(v float64) {
	if s.n == 0 || v < s.min {
		s.min = v
	}
	if s.n == 0 || v > s.max {
		s.max = v
	}
	s.n++
	s.sum += v
	s.sq2 += v * v
}

func (s *spread) merge(o spread) {
	if o.n == 0 {
		return
	}
	if s.n == 0 || o.min < s.min {
		s.min = o.min
	}
	if s.n == 0 || o.max > s.max {
		s.max = o.max
	}
	s.n += o.n
	s.sum += o.sum
	s.sq2 += o.sq2
}

func (s *spread) result() Spread {
	if s.n == 0 {
		return Spread{}
	}
	mean := s.sum / float64(s.n)
	return Spread{Min: s.min, Mean: mean, Max: s.max, StdDev: math.Sqrt(max(0, s.sq2/float64(s.n)-mean*mean))}
}

// note counts an exchange that is over. A table that is full counts no new services: the metrics still do.
func (h *healthTable) note(role int, service string, m *Message, now time.Time) {
	key := healthKey{role, service}
	number := now.UnixNano() / int64(slotSpan)
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.byKey[key]
	if s == nil {
		if len(h.byKey) >= maxHealth {
			return
		}
		if h.byKey == nil {
			h.byKey = map[healthKey]*serviceHealth{}
		}
		s = &serviceHealth{}
		h.byKey[key] = s
	}
	slot := &s.slots[number%healthSlots]
	if slot.number != number {
		*slot = healthSlot{number: number}
	}
	if m.Outcome != "ok" {
		s.failure = now
		slot.failures++
		return
	}
	s.success = now
	slot.successes++
	slot.duration.add(m.Duration.Seconds())
	slot.size.add(float64(m.RequestSize))
	slot.back.add(float64(m.ResponseSize))
}

// Health returns how services did lately, sorted by service and role.
func (s *Service) Health() []ServiceHealth {
	now := s.now()
	oldest := now.UnixNano()/int64(slotSpan) - healthSlots
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	out := make([]ServiceHealth, 0, len(s.health.byKey))
	for k, v := range s.health.byKey {
		h := ServiceHealth{Service: k.service, Role: roleNames[k.role], LastSuccess: v.success, LastFailure: v.failure}
		var d, req, resp spread
		for _, slot := range v.slots {
			if slot.number <= oldest {
				continue
			}
			h.Successes += slot.successes
			h.Failures += slot.failures
			d.merge(slot.duration)
			req.merge(slot.size)
			resp.merge(slot.back)
		}
		h.Duration, h.RequestSize, h.ResponseSize = d.result(), req.result(), resp.result()
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b ServiceHealth) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Role, b.Role))
	})
	return out
}
