package agreement

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/exchange/pathpattern"
	"truc/internal/jcs"
	"truc/internal/orgcode"
)

var httpMethods = []string{"*", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}

// Check finds what is wrong with the document itself, for a network and at a time.
func (d *Document) Check(instance string, now time.Time) error {
	switch {
	case d.HashAlg != HashAlg:
		return bad("hash_alg", "hash_alg", nil)
	case d.Instance != instance:
		return bad("instance", "instance", nil)
	case !isUUID(d.IV):
		return bad("iv", "iv", nil)
	case d.CreatedAt <= 0 || d.CreatedAt > now.Add(skew).Unix():
		return bad("created", "created_at", nil)
	case d.Validity.NotBefore <= 0 || d.Validity.NotAfter <= d.Validity.NotBefore || d.Validity.NotAfter > jcs.MaxNumber:
		return bad("validity", "validity", nil)
	case d.Validity.NotAfter <= now.Unix():
		return bad("past", "validity.not_after", nil)
	case len(d.Grants) == 0 || len(d.Grants) > maxGrants:
		return bad("grants", "grants", nil)
	}
	if field := d.checkBeside(); field != "" {
		return bad("beside", field, nil)
	}
	seen := map[string]bool{}
	for i := range d.Grants {
		g := &d.Grants[i]
		if g.publishes() != d.Grants[0].publishes() {
			return bad("mixed", "grants", nil)
		}
		if field, err := g.check(instance); field != "" {
			return bad("grant", "grants["+strconv.Itoa(i)+"]."+field, err)
		}
		h, err := d.GrantHash("", i)
		if err != nil {
			return bad("unreadable", "", err)
		}
		if seen[h] {
			return bad("grant", "grants["+strconv.Itoa(i)+"]", errors.New("the same grant twice"))
		}
		seen[h] = true
	}
	return nil
}

var propertyName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// checkBeside names the first of the properties, or the field of the external contract, that is wrong.
func (d *Document) checkBeside() (field string) {
	if len(d.Properties) > maxProperties {
		return "properties"
	}
	for _, name := range slices.Sorted(maps.Keys(d.Properties)) {
		if v := d.Properties[name]; !propertyName.MatchString(name) || v == "" || !clean(v, maxProperty) {
			return "properties"
		}
	}
	c := d.ExternalContract
	if c == nil {
		return ""
	}
	if c.Number == "" || !clean(c.Number, 200) {
		return "external_contract.number"
	}
	if _, err := time.Parse(time.DateOnly, c.Date); err != nil {
		return "external_contract.date"
	}
	if !IsHash(c.Digest) {
		return "external_contract.digest"
	}
	return ""
}

// check names the first field that is wrong.
func (g *Grant) check(instance string) (field string, err error) {
	id, err := orgcode.ParseService(g.Service.ID)
	if err != nil || id.Instance != instance || id.String() != g.Service.ID {
		return "service.id", err
	}
	switch g.Type {
	case Publish, Connect, DelegatedConnect, DelegatedPublish:
	default:
		return "type", nil
	}
	if (g.Type == DelegatedConnect) != (g.Delegator != "") || g.Delegator != "" && !isMemberOf(string(g.Delegator), instance) {
		return "delegator", nil
	}
	d := string(g.Service.Delegator)
	if g.Type == Publish && d != "" || g.Type == DelegatedPublish && d == "" || d != "" && (!isMemberOf(d, instance) || d == g.Provider()) {
		return "service.delegator", nil
	}
	if field, err := g.checkConsumer(instance); field != "" {
		return field, err
	}
	if field, err := g.checkTerms(); field != "" {
		return field, err
	}
	return "", nil
}

func (g *Grant) checkConsumer(instance string) (field string, err error) {
	if g.publishes() {
		if g.Consumer != nil {
			return "consumer", nil
		}
		return "", nil
	}
	if g.Consumer == nil {
		return "consumer", nil
	}
	sub, err := orgcode.ParseSubsystem(g.Consumer.Subsystem)
	if err != nil || sub.Instance != instance || sub.String() != g.Consumer.Subsystem {
		return "consumer.subsystem", err
	}
	if g.Caller() == g.Provider() {
		return "consumer.subsystem", errors.New("a member needs no agreement with itself")
	}
	if string(g.Delegator) == g.Caller() {
		return "delegator", nil
	}
	if n := len(g.Consumer.KeyThumbprints); n == 0 || n > maxList || hasRepeat(g.Consumer.KeyThumbprints) {
		return "consumer.key_thumbprints", nil
	}
	if slices.ContainsFunc(g.Consumer.KeyThumbprints, func(t string) bool { return !IsHash(t) }) {
		return "consumer.key_thumbprints", nil
	}
	if g.Purpose.Code == "" {
		return "purpose.code", nil
	}
	return "", nil
}

func (g *Grant) checkTerms() (field string, err error) {
	if len(g.Service.Methods) == 0 || len(g.Service.Methods) > len(httpMethods) || hasRepeat(g.Service.Methods) {
		return "service.methods", nil
	}
	for _, m := range g.Service.Methods {
		if !slices.Contains(httpMethods, m) {
			return "service.methods", nil
		}
	}
	if len(g.Service.Paths) == 0 || len(g.Service.Paths) > maxList || hasRepeat(g.Service.Paths) {
		return "service.paths", nil
	}
	for _, p := range g.Service.Paths {
		if _, err := pathpattern.Compile(p); err != nil || !clean(p, 1024) {
			return "service.paths", err
		}
	}
	for name, text := range map[string]string{"code": g.Purpose.Code, "processing_id": g.Purpose.ProcessingID} {
		if !clean(text, 100) || strings.ContainsAny(text, "; ") {
			return "purpose." + name, nil
		}
	}
	if !clean(g.Purpose.LegalBasis, maxText) || g.Purpose.LegalBasis == "" {
		return "purpose.legal_basis", nil
	}
	for name, list := range map[string][]string{"data_categories": g.Purpose.DataCategories, "fields": g.Purpose.Fields} {
		if len(list) > maxList || hasRepeat(list) || slices.ContainsFunc(list, func(s string) bool { return s == "" || !clean(s, 100) }) {
			return "purpose." + name, nil
		}
	}
	if _, _, err := g.Limits.PerSecond(); err != nil {
		return "limits.rate", err
	}
	const most = 1_000_000_000
	for name, n := range map[string]int64{"burst": g.Limits.Burst, "concurrent": g.Limits.Concurrent, "daily": g.Limits.Daily} {
		if n < 0 || n > most {
			return "limits." + name, nil
		}
	}
	if _, err := g.Evidence.Within(); err != nil {
		return "evidence.timestamp_within", err
	}
	if !slices.Contains([]string{"", "digest", "full"}, g.Evidence.Body) {
		return "evidence.body", nil
	}
	return "", nil
}

// PerSecond returns the rate in calls a second and the burst; zeros mean unbounded.
func (l Limits) PerSecond() (rate float64, burst int64, err error) {
	if l.Rate == "" {
		return 0, 0, nil
	}
	count, unit, _ := strings.Cut(l.Rate, "/")
	n, err := strconv.ParseInt(count, 10, 32)
	per := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	if err != nil || n <= 0 || per == 0 || strconv.FormatInt(n, 10) != count {
		return 0, 0, fmt.Errorf("rate %q is not like 50/s, 3000/m or 100000/h", l.Rate)
	}
	rate, burst = float64(n)/per, l.Burst
	if burst == 0 {
		burst = max(1, int64(rate))
	}
	return rate, burst, nil
}

// Within returns the longest time without a time-stamp; zero means unbounded.
func (e Evidence) Within() (time.Duration, error) {
	if e.TimestampWithin == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(e.TimestampWithin)
	if err != nil || d < time.Minute || d > 366*24*time.Hour || len(e.TimestampWithin) > 20 {
		return 0, fmt.Errorf("span %q is not like 24h", e.TimestampWithin)
	}
	return d, nil
}

func isMemberOf(id, instance string) bool {
	return IsMember(id) && strings.HasPrefix(id, instance+"/")
}

func hasRepeat(list []string) bool {
	for i, s := range list {
		if slices.Contains(list[:i], s) {
			return true
		}
	}
	return false
}

// clean reports whether a text is short enough and has no control characters.
func clean(s string, most int) bool {
	return len(s) <= most && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return r < 0x20 || r == 0x7f || r == '\uFFFD' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
		})
}

// isUUID reports whether s is a UUID in lower case (RFC 9562 §4).
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}
