package exchange

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"truc/internal/orgcode"
)

// Limits bound what one consumer may ask of one service (spec D31). Zero fields do not bound.
type Limits struct {
	// Rate is calls a second, Burst how many may come at once; Burst defaults to one second of Rate, at least 1.
	Rate  float64
	Burst int
	// Concurrent is how many calls may be under way.
	Concurrent int
	// BytesPerSecond counts bodies both ways. A body that streams is slowed down to it; small ones run up a debt that
	// later calls wait for.
	BytesPerSecond int64
	// Daily is calls a day, of the time zone in [Options].
	Daily int64
}

// Tighten returns the smaller of each bound: a grant gives limits and the node may only lower them.
func (l Limits) Tighten(o Limits) Limits {
	return Limits{
		Rate: least(l.Rate, o.Rate), Burst: least(l.Burst, o.Burst), Concurrent: least(l.Concurrent, o.Concurrent),
		BytesPerSecond: least(l.BytesPerSecond, o.BytesPerSecond), Daily: least(l.Daily, o.Daily),
	}
}

func least[T cmp.Ordered](a, b T) T {
	var none T
	if a == none || b != none && b < a {
		return b
	}
	return a
}

func (l Limits) burst() float64 { return max(1, cmp.Or(float64(l.Burst), math.Ceil(l.Rate))) }

// LimitRule sets limits for consumers of a service of this node. Where several match, the tightest of each holds.
type LimitRule struct {
	// Consumer is a subsystem as in [Rule]; empty stands for everybody, each by itself.
	Consumer string `json:"consumer" toml:"consumer"`
	// Service is "population/person" or the full identifier; empty stands for all.
	Service string `json:"service" toml:"service"`
	// Rate is calls in a time, "50/s", "600/m", "1000/h"; empty does not limit.
	Rate string `json:"rate" toml:"rate"`
	// Burst is how many calls may come at once; default one second of Rate.
	Burst int `json:"burst" toml:"burst"`
	// Concurrent is how many calls may be under way.
	Concurrent int `json:"concurrent" toml:"concurrent"`
	// BytesPerSecond counts bodies of requests and answers together.
	BytesPerSecond int64 `json:"bytes_per_second" toml:"bytes_per_second"`
	// Daily is calls a day.
	Daily int64 `json:"daily" toml:"daily"`
}

// ParseRate reads "50/s", "600/m" or "1000/h" as calls a second; empty is 0.
func ParseRate(s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	n, unit, _ := strings.Cut(s, "/")
	count, err := strconv.ParseUint(n, 10, 32)
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	if err != nil || count == 0 || seconds == 0 {
		return 0, fmt.Errorf("rate %q is not a number of calls a second, minute or hour such as \"50/s\"", s)
	}
	return float64(count) / seconds, nil
}

type limitRule struct {
	everybody bool
	consumer  compiledRule
	service   string
	limits    Limits
}

func compileLimits(rules []LimitRule) ([]limitRule, error) {
	var out []limitRule
	for i, r := range rules {
		c := limitRule{everybody: r.Consumer == "", service: r.Service}
		var err error
		if !c.everybody {
			if c.consumer.consumer, err = parseConsumer(r.Consumer); err != nil {
				return nil, fmt.Errorf("limit %d: %w", i+1, err)
			}
		}
		if id, err := orgcode.ParseService(r.Service); err == nil {
			c.service = id.Subsystem + "/" + id.Code
		} else if r.Service != "" && strings.Count(r.Service, "/") != 1 {
			return nil, fmt.Errorf("limit %d: service %q is neither subsystem/service nor a full identifier", i+1, r.Service)
		}
		if min(int64(r.Burst), int64(r.Concurrent), r.BytesPerSecond, r.Daily) < 0 {
			return nil, fmt.Errorf("limit %d: a limit is negative", i+1)
		}
		c.limits = Limits{Burst: r.Burst, Concurrent: r.Concurrent, BytesPerSecond: r.BytesPerSecond, Daily: r.Daily}
		if c.limits.Rate, err = ParseRate(r.Rate); err != nil {
			return nil, fmt.Errorf("limit %d: %w", i+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// CheckLimits says what is wrong with limits, if anything.
func CheckLimits(rules []LimitRule) error {
	_, err := compileLimits(rules)
	return err
}

// SetLimits replaces the limits; they hold from the next request on, counts go on. One that cannot be read refuses
// them all.
func (s *Service) SetLimits(rules []LimitRule) error {
	compiled, err := compileLimits(rules)
	if err != nil {
		return err
	}
	s.limits.Store(&limitSet{rules: slices.Clone(rules), compiled: compiled})
	return nil
}

// LimitRules returns the limits in force.
func (s *Service) LimitRules() []LimitRule {
	if set := s.limits.Load(); set != nil {
		return slices.Clone(set.rules)
	}
	return nil
}

// limitSet is replaced whole.
type limitSet struct {
	rules    []LimitRule
	compiled []limitRule
}

// limitsFor returns what bounds a consumer's use of a service: the node's limits and those of the grant.
func (s *Service) limitsFor(consumer orgcode.Subsystem, service orgcode.Service, grant string) Limits {
	var l Limits
	if s.opt.GrantLimits != nil {
		l = s.opt.GrantLimits(consumer, service, grant)
	}
	if p := s.permits.Load().ByHash(grant); p != nil {
		g := p.Grant.Limits
		l = l.Tighten(Limits{Rate: p.Rate, Burst: int(p.Burst), Concurrent: int(g.Concurrent), Daily: g.Daily})
	}
	set := s.limits.Load()
	if set == nil {
		return l
	}
	for _, r := range set.compiled {
		if r.service != "" && r.service != service.Subsystem+"/"+service.Code || !r.everybody && !r.consumer.matches(consumer) {
			continue
		}
		l = l.Tighten(r.limits)
	}
	return l
}

// restoreDaily takes the calls of today from the index, which [Service.Reindex] has just completed from the log. A daily
// limit is therefore no looser after a restart, except by calls that a crash kept from both.
func (s *Service) restoreDaily(ctx context.Context) error {
	now := s.now()
	calls, err := s.opt.Store.CallsSince(ctx, now.Add(s.usage.nextDay(now)).Add(-24*time.Hour))
	if err != nil {
		return err
	}
	for _, c := range calls {
		s.usage.restore(pair{c.Client, c.Service}, c.N, now)
	}
	return nil
}

// LimitUsage is how far a consumer has come with a service.
type LimitUsage struct {
	Consumer, Service string
	// Running calls, and those of today.
	Running int
	Today   int64
	// Refused calls since the node started.
	Refused int64
}

// LimitUsages tells what is used of limits, sorted.
func (s *Service) LimitUsages() []LimitUsage { return s.usage.list(s.now()) }

// maxLimited bounds the pairs of consumer and service that are counted. Only pairs that the rules let pass get here.
const maxLimited = 20_000

// pair is what is limited.
type pair struct{ consumer, service string }

// limiter counts the use of limits. It knows no clock: every act is told the time.
type limiter struct {
	zone *time.Location
	most int

	mu    sync.Mutex // guards all below
	used  map[pair]*used
	swept time.Time
}

type used struct {
	limits  Limits // as last applied, to judge whether the entry may be forgotten
	at      time.Time
	tokens  float64
	bytes   float64 // may be negative: a debt
	running int
	day     int
	today   int64
	refused int64
}

func newLimiter(zone *time.Location, most int) *limiter {
	if zone == nil {
		zone = time.UTC
	}
	return &limiter{zone: zone, most: most, used: map[pair]*used{}}
}

// admission is a call that was let in; end must be called once, whatever became of it.
type admission struct {
	l    *limiter
	u    *used
	rate int64 // bytes a second, 0 is no bound
}

// dayOf numbers days of the zone; nextDay is when the next begins.
func (l *limiter) dayOf(now time.Time) int {
	y, m, d := now.In(l.zone).Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func (l *limiter) nextDay(now time.Time) time.Duration {
	y, m, d := now.In(l.zone).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, l.zone).Sub(now)
}

// admit lets a call in, or says after how long to ask again. A refusal takes nothing.
func (l *limiter) admit(p pair, lim Limits, now time.Time) (a *admission, retry time.Duration, ok bool) {
	if lim == (Limits{}) {
		return nil, 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.used[p]
	if u == nil {
		if len(l.used) >= l.most && !l.sweep(now) {
			return nil, time.Second, false
		}
		u = &used{at: now, tokens: lim.burst(), bytes: float64(lim.BytesPerSecond), day: l.dayOf(now)}
		l.used[p] = u
	}
	u.limits = lim
	u.turn(now, l.dayOf(now))
	const soon = time.Second
	switch {
	case lim.Daily > 0 && u.today >= lim.Daily:
		retry = l.nextDay(now)
	case lim.Concurrent > 0 && u.running >= lim.Concurrent:
		retry = soon
	case lim.Rate > 0 && u.tokens < 1:
		retry = seconds((1 - u.tokens) / lim.Rate)
	case lim.BytesPerSecond > 0 && u.bytes < 0:
		retry = seconds(-u.bytes / float64(lim.BytesPerSecond))
	}
	if retry > 0 {
		u.refused++
		return nil, retry, false
	}
	u.tokens--
	u.running++
	u.today++
	return &admission{l: l, u: u, rate: lim.BytesPerSecond}, 0, true
}

// seconds rounds up, so that whoever waits that long is let in.
func seconds(s float64) time.Duration {
	return time.Duration(math.Ceil(s*1e6))*time.Microsecond + time.Microsecond
}

// turn brings the buckets to now. A clock that steps back fills nothing.
func (u *used) turn(now time.Time, day int) {
	passed := max(now.Sub(u.at).Seconds(), 0)
	u.at = now
	u.tokens = min(u.limits.burst(), max(u.tokens, 0)+passed*u.limits.Rate)
	u.bytes = min(float64(u.limits.BytesPerSecond), u.bytes+passed*float64(u.limits.BytesPerSecond))
	if day > u.day {
		u.day, u.today = day, 0
	}
}

// sweep forgets pairs whose state is that of a new one. It looks through all, so at most once a second.
func (l *limiter) sweep(now time.Time) bool {
	if d := now.Sub(l.swept); d >= 0 && d < time.Second {
		return false
	}
	l.swept = now
	day := l.dayOf(now)
	for p, u := range l.used {
		u.turn(now, day)
		full := u.tokens >= u.limits.burst() || u.limits.Rate == 0
		if u.running == 0 && full && u.bytes >= float64(u.limits.BytesPerSecond) && (u.limits.Daily == 0 || u.today == 0) {
			delete(l.used, p)
		}
	}
	return len(l.used) < l.most
}

// took notes n bytes.
func (a *admission) took(n int64, now time.Time) {
	if a == nil || a.rate == 0 {
		return
	}
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.u.turn(now, a.l.dayOf(now))
	a.u.bytes -= float64(n)
}

// debt is how long a stream must pause for what it took.
func (a *admission) debt(now time.Time) time.Duration {
	if a == nil || a.rate == 0 {
		return 0
	}
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.u.turn(now, a.l.dayOf(now))
	if a.u.bytes >= 0 {
		return 0
	}
	return seconds(-a.u.bytes / float64(a.rate))
}

func (a *admission) end() {
	if a == nil {
		return
	}
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.u.running--
}

// restore counts calls of today that an earlier process let in.
func (l *limiter) restore(p pair, calls int64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.used[p]
	if u == nil {
		if len(l.used) >= l.most {
			return
		}
		u = &used{at: now, tokens: 1, day: l.dayOf(now), limits: Limits{Daily: 1}}
		l.used[p] = u
	}
	u.today += calls
}

func (l *limiter) list(now time.Time) []LimitUsage {
	l.mu.Lock()
	defer l.mu.Unlock()
	day := l.dayOf(now)
	out := make([]LimitUsage, 0, len(l.used))
	for p, u := range l.used {
		lu := LimitUsage{Consumer: p.consumer, Service: p.service, Running: u.running, Today: u.today, Refused: u.refused}
		if u.day != day {
			lu.Today = 0
		}
		out = append(out, lu)
	}
	slices.SortFunc(out, func(a, b LimitUsage) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Consumer, b.Consumer))
	})
	return out
}
