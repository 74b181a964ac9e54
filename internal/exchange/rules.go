package exchange

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"truc/internal/orgcode"
)

// What a rule's consumer begins with when it names a group instead of a subsystem (spec §3.2, LOCALGROUP and GLOBALGROUP).
const (
	// LocalGroup is followed by the group's code, "group:population/partners"; such a group counts for services of that
	// subsystem only.
	LocalGroup = "group:"
	// GlobalGroup is followed by the code of a group of the directory, "global:provinces".
	GlobalGroup = "global:"
)

// Rule lets one subsystem, or each of a group, use one service of this node. Everything not allowed by a rule is refused (spec D11).
type Rule struct {
	// Consumer is the subsystem, "VN/GOV/H36/onestop". A star for the member, "VN/GOV/*/onestop", or for class and
	// member, stands for every agency that runs this subsystem; the subsystem itself is always named. It may also be a
	// group, see [LocalGroup] and [GlobalGroup].
	Consumer string `json:"consumer" yaml:"consumer"`
	// Service is "population/person" or the full identifier.
	Service string `json:"service" yaml:"service"`
	// Methods are HTTP methods; "*" or none means all.
	Methods []string `json:"methods" yaml:"methods"`
	// Path is a pattern of spec §3.2; empty means "**".
	Path string `json:"path" yaml:"path"`
	// Activities are the purposes for which the call is allowed; none means any.
	Activities []string `json:"activities" yaml:"activities"`
	// Basis is the legal basis of the permission, for people to read.
	Basis string `json:"basis" yaml:"basis"`
	// Members are the subsystems of the group that Consumer names, at this moment. Whoever puts rules into force fills it
	// in; a group without members is nobody.
	Members []string `json:"-" toml:"-" yaml:"-"`
}

type ruleSet struct {
	rules    []Rule
	compiled []compiledRule
}

type compiledRule struct {
	consumer   orgcode.Subsystem // class and member may be "*"
	members    map[string]bool   // instead of consumer; not nil for a group
	service    string            // "subsystem/code"
	methods    []string
	path       pattern
	activities []string
}

func compileRules(rules []Rule) (*ruleSet, error) {
	rs := &ruleSet{rules: slices.Clone(rules)}
	for i, r := range rules {
		c := compiledRule{activities: r.Activities}
		code := r.Service
		if id, err := orgcode.ParseService(r.Service); err == nil {
			code = id.Subsystem + "/" + id.Code
		} else if strings.Count(code, "/") != 1 {
			return nil, fmt.Errorf("rule %d: service %q is neither subsystem/service nor a full identifier", i+1, r.Service)
		}
		path := r.Path
		if path == "" {
			path = "**"
		}
		p, err := compilePattern(path)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		c.service, c.path = code, p
		if err := c.setConsumer(r); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		if !slices.Contains(r.Methods, "*") {
			c.methods = r.Methods
		}
		rs.compiled = append(rs.compiled, c)
	}
	return rs, nil
}

// setConsumer reads whom the rule is about.
func (c *compiledRule) setConsumer(r Rule) (err error) {
	local, isLocal := strings.CutPrefix(r.Consumer, LocalGroup)
	global, isGlobal := strings.CutPrefix(r.Consumer, GlobalGroup)
	switch {
	case isLocal:
		if !groupRE.MatchString(local) {
			return fmt.Errorf("%q is no group such as population/partners", local)
		}
		if owner, _, _ := strings.Cut(local, "/"); !strings.HasPrefix(c.service, owner+"/") {
			return fmt.Errorf("the group %s counts for services of its own subsystem only", local)
		}
	case isGlobal:
		if !globalGroupRE.MatchString(global) {
			return fmt.Errorf("%q is no group of the directory", global)
		}
	default:
		c.consumer, err = parseConsumer(r.Consumer)
		return err
	}
	c.members = make(map[string]bool, len(r.Members))
	for _, m := range r.Members {
		c.members[m] = true
	}
	return nil
}

var (
	groupRE       = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}/[A-Za-z0-9._-]{1,64}$`)
	globalGroupRE = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// parseConsumer reads a subsystem whose class and member may be stars.
func parseConsumer(s string) (orgcode.Subsystem, error) {
	p := strings.Split(s, "/")
	if len(p) == 4 {
		for _, i := range []int{1, 2} {
			if p[i] == "*" {
				p[i] = "any"
			}
		}
	}
	sub, err := orgcode.ParseSubsystem(strings.Join(p, "/"))
	if err != nil {
		return sub, err
	}
	raw := strings.Split(s, "/")
	sub.Class, sub.Member = raw[1], raw[2]
	return sub, nil
}

// matches reports whether the rule is about this consumer.
func (c compiledRule) matches(consumer orgcode.Subsystem) bool {
	if c.members != nil {
		return c.members[consumer.String()]
	}
	return c.consumer.Instance == consumer.Instance && c.consumer.Code == consumer.Code &&
		(c.consumer.Class == "*" || c.consumer.Class == consumer.Class) && (c.consumer.Member == "*" || c.consumer.Member == consumer.Member)
}

// allows reports whether some rule lets the consumer make this call, and whether one would but for the activity.
func (rs *ruleSet) allows(consumer orgcode.Subsystem, service orgcode.Service, method, path, activity string) (ok, activityOnly bool) {
	code := service.Subsystem + "/" + service.Code
	for _, c := range rs.compiled {
		if !c.matches(consumer) || c.service != code || len(c.methods) > 0 && !slices.Contains(c.methods, method) || !c.path.Match(path) {
			continue
		}
		if len(c.activities) == 0 || slices.Contains(c.activities, activity) {
			return true, false
		}
		activityOnly = true
	}
	return false, activityOnly
}

// reaches reports whether some rule lets the consumer use the service at all.
func (rs *ruleSet) reaches(consumer orgcode.Subsystem, service orgcode.Service) bool {
	code := service.Subsystem + "/" + service.Code
	return slices.ContainsFunc(rs.compiled, func(c compiledRule) bool { return c.matches(consumer) && c.service == code })
}

// endpoints returns what the rules let the consumer call of a service.
func (rs *ruleSet) endpoints(consumer orgcode.Subsystem, service orgcode.Service) []Endpoint {
	code := service.Subsystem + "/" + service.Code
	var out []Endpoint
	for i, c := range rs.compiled {
		if !c.matches(consumer) || c.service != code {
			continue
		}
		path := rs.rules[i].Path
		if path == "" {
			path = "**"
		}
		if len(c.methods) == 0 {
			out = append(out, Endpoint{Method: "*", Path: path})
		}
		for _, m := range c.methods {
			out = append(out, Endpoint{Method: m, Path: path})
		}
	}
	return out
}
