package agreement

import (
	"slices"
	"strings"
	"time"

	"truc/internal/exchange/pathpattern"
)

// Permit is a grant that all parties signed, ready to be asked about calls.
type Permit struct {
	// Hash names the grant, Content its agreement.
	Hash, Content string
	Grant         Grant
	// NotBefore and NotAfter bound its use.
	NotBefore, NotAfter time.Time
	// Rate is calls a second, Burst how many may come at once; zero is unbounded.
	Rate  float64
	Burst int64
	// Within is the longest time the log may go without a time-stamp; zero is unbounded.
	Within time.Duration

	keys  []string
	dir   Keys
	any   bool
	paths []pathpattern.Pattern
}

// Query is one call. Strings are full identifiers.
type Query struct {
	// Consumer is a subsystem, Service has five segments; Path is decoded and canonical (spec §3.3).
	Consumer, Service, Method, Path string
	// Activity is the purpose the call names.
	Activity string
	// Delegator is the member on whose behalf the call is made, "" when it is the consumer's own.
	Delegator string
	// KeyID signed the call; "" is not checked, which is for the consumer that chooses before it signs.
	KeyID string
	At    time.Time
}

// Verdict says whether a permit covers a call, and if not, why.
type Verdict int

// The verdicts, from the best to the worst match.
const (
	Allowed Verdict = iota
	// OutOfTime: the grant has ended or has not begun.
	OutOfTime
	// WrongKey: the key that signed is not one the grant names.
	WrongKey
	// WrongPurpose: the grant is for another activity.
	WrongPurpose
	// Outside: method or path are not granted.
	Outside
	// WrongDelegator: the grant is on behalf of somebody else, or of nobody.
	WrongDelegator
	// NoGrant: there is none for consumer and service.
	NoGrant
)

// String is for logs.
func (v Verdict) String() string {
	return [...]string{
		"allowed", "the grant is not in its time", "the key is not one the grant names", "the activity is not one the grant names",
		"method or path are not granted", "the grant is not on behalf of this party", "there is no grant",
	}[v]
}

// Check asks a permit about a call. It allocates nothing.
func (p *Permit) Check(q Query) Verdict {
	switch {
	case p.Grant.Consumer == nil || p.Grant.Consumer.Subsystem != q.Consumer || p.Grant.Service.ID != q.Service:
		return NoGrant
	case string(p.Grant.Delegator) != q.Delegator:
		return WrongDelegator
	case !p.any && !slices.Contains(p.Grant.Service.Methods, q.Method):
		return Outside
	case !slices.ContainsFunc(p.paths, func(m pathpattern.Pattern) bool { return m.Match(q.Path) }):
		return Outside
	case p.Grant.Purpose.Code != q.Activity:
		return WrongPurpose
	case q.KeyID != "" && !p.speaks(q.KeyID):
		return WrongKey
	case q.At.Before(p.NotBefore) || !q.At.Before(p.NotAfter):
		return OutOfTime
	}
	return Allowed
}

// speaks reports whether a key is one the grant names or a lawful successor of one.
func (p *Permit) speaks(keyID string) bool {
	return slices.Contains(p.keys, keyID) || slices.ContainsFunc(p.keys, func(old string) bool { return p.dir.Succeeds(keyID, old) })
}

// Snapshot is all that is agreed, at one moment. It does not change, so any number of requests may read it.
type Snapshot struct {
	byHash map[string]*Permit
	byPair map[pair][]*Permit
	all    []*Permit
}

type pair struct{ consumer, service string }

// Compile makes a snapshot of what all parties have accepted and nobody has ended. What has expired stays in it, so that
// a refusal can say so.
func Compile(list []*Agreement, keys Keys, now time.Time) (*Snapshot, error) {
	s := &Snapshot{byHash: map[string]*Permit{}, byPair: map[pair][]*Permit{}}
	for _, a := range list {
		st := a.Status(now)
		if st.End != nil || len(st.Waiting) > 0 {
			continue
		}
		for i := range a.Document.Grants {
			p, err := a.permit(i, keys)
			if err != nil {
				return nil, err
			}
			s.byHash[p.Hash] = p
			s.all = append(s.all, p)
			if p.Grant.Consumer != nil {
				k := pair{p.Grant.Consumer.Subsystem, p.Grant.Service.ID}
				s.byPair[k] = append(s.byPair[k], p)
			}
		}
	}
	return s, nil
}

func (a *Agreement) permit(i int, keys Keys) (*Permit, error) {
	g := a.Document.Grants[i]
	h, err := a.Document.GrantHash(a.Content, i)
	if err != nil {
		return nil, err
	}
	p := &Permit{
		Hash: h, Content: a.Content, Grant: g, NotBefore: time.Unix(a.Document.Validity.NotBefore, 0).UTC(), NotAfter: time.Unix(a.Document.Validity.NotAfter, 0).UTC(),
		dir: keys, any: slices.Contains(g.Service.Methods, "*"),
	}
	if g.Consumer != nil {
		for _, t := range g.Consumer.KeyThumbprints {
			p.keys = append(p.keys, strings.TrimPrefix(t, HashAlg+":"))
		}
	}
	if p.Rate, p.Burst, err = g.Limits.PerSecond(); err != nil {
		return nil, err
	}
	if p.Within, err = g.Evidence.Within(); err != nil {
		return nil, err
	}
	for _, path := range g.Service.Paths {
		m, err := pathpattern.Compile(path)
		if err != nil {
			return nil, err
		}
		p.paths = append(p.paths, m)
	}
	return p, nil
}

// ByHash returns the permit of a grant hash; nil when there is none.
func (s *Snapshot) ByHash(hash string) *Permit {
	if s == nil {
		return nil
	}
	return s.byHash[hash]
}

// Choose returns a permit that covers the call, the one that lasts longest. Without one the verdict is that of the
// nearest miss.
func (s *Snapshot) Choose(q Query) (*Permit, Verdict) {
	if s == nil {
		return nil, NoGrant
	}
	var found *Permit
	nearest := NoGrant
	for _, p := range s.byPair[pair{q.Consumer, q.Service}] {
		v := p.Check(q)
		if v == Allowed && (found == nil || p.NotAfter.After(found.NotAfter)) {
			found = p
		}
		nearest = min(nearest, v)
	}
	return found, nearest
}

// Reaches reports whether a consumer has a grant in its time for a service.
func (s *Snapshot) Reaches(consumer, service string, at time.Time) bool {
	if s == nil {
		return false
	}
	return slices.ContainsFunc(s.byPair[pair{consumer, service}], func(p *Permit) bool { return !at.Before(p.NotBefore) && at.Before(p.NotAfter) })
}

// Published returns the services that may be listed in the directory at a time, sorted.
func (s *Snapshot) Published(at time.Time) []string {
	var out []string
	if s == nil {
		return out
	}
	for _, p := range s.all {
		if p.Grant.publishes() && !at.Before(p.NotBefore) && at.Before(p.NotAfter) && !slices.Contains(out, p.Grant.Service.ID) {
			out = append(out, p.Grant.Service.ID)
		}
	}
	slices.Sort(out)
	return out
}

// Permits returns all permits, those of one service first by consumer.
func (s *Snapshot) Permits() []*Permit {
	if s == nil {
		return nil
	}
	out := slices.Clone(s.all)
	slices.SortStableFunc(out, func(a, b *Permit) int { return strings.Compare(a.Grant.Service.ID, b.Grant.Service.ID) })
	return out
}
