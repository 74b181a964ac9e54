package r1test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Outcomes of a [Result].
const (
	Pass          = "pass"
	Fail          = "fail"
	NotApplicable = "not-applicable"
)

// Target is the endpoint that is asked, and what is set up behind it.
type Target struct {
	// URL is the address of the edge, "http://127.0.0.1:8080".
	URL *url.URL
	TLS *tls.Config
	// Client is the subsystem that asks, "VN/GOV/H36/onestop", Key its key at the node; empty where the connection is enough.
	Client, Key string
	// Service is one that the client may call with every method and path, "VN/GOV/G01/population/echo".
	Service string
	// Listener, when set, is where the service's provider forwards calls to: its address for the service ends in [BackendPath].
	// Without it the cases that look at what a service saw are not applicable.
	Listener net.Listener
	// All plays also the cases beyond the specification's named checks: of this product alone.
	All bool
	// Timeout bounds one case; 10 s when zero.
	Timeout time.Duration
}

// BackendPath is the path under which the suite's own service waits for calls.
const BackendPath = "/r1test"

// Result is what became of a case.
type Result struct {
	Section string   `json:"section"`
	Check   string   `json:"check,omitempty"`
	Name    string   `json:"name"`
	Outcome string   `json:"outcome"`
	Why     string   `json:"why,omitempty"`
	Faults  []string `json:"faults,omitempty"`
}

// identifiers of the network in which the cases are written.
const (
	fixtureClient  = "DEV/GOV/H07/ONESTOP"
	fixtureService = "DEV/GOV/B02/CSDL/residents"
)

// suite plays the cases one after the other.
type suite struct {
	t               Target
	client, service []string
	words           *strings.Replacer
	mu              sync.Mutex // guards what follows
	current         *Case
	seen            *Seen
}

// Run plays the cases that are applicable to a target. An error means that nothing could be played.
func Run(ctx context.Context, t Target) ([]Result, error) {
	s := &suite{t: t, client: strings.Split(t.Client, "/"), service: strings.Split(t.Service, "/")}
	if len(s.client) != 4 || len(s.service) != 5 || t.URL == nil || t.URL.Host == "" || t.URL.Scheme != "http" && t.URL.Scheme != "https" {
		return nil, errors.New("an address, a client of four segments and a service of five are needed")
	}
	if s.client[0] != s.service[0] || s.client[1] != s.service[1] {
		return nil, errors.New("client and service must be of one instance and one member class")
	}
	s.words = wordsOf(s.client, s.service)
	cases, err := Cases()
	if err != nil {
		return nil, err
	}
	if t.Listener != nil {
		srv := &http.Server{Handler: http.HandlerFunc(s.backend), ReadHeaderTimeout: 10 * time.Second}
		done := make(chan struct{})
		go func() { defer close(done); _ = srv.Serve(t.Listener) }()
		defer func() { _ = srv.Close(); <-done }()
	}
	var out []Result
	for i := range cases {
		c := &cases[i]
		r := Result{Section: c.Section, Check: c.ID(), Name: c.Name}
		switch why := s.applicable(c); {
		case why != "":
			r.Outcome, r.Why = NotApplicable, why
		default:
			if r.Faults = s.play(ctx, c); len(r.Faults) == 0 {
				r.Outcome = Pass
			} else {
				r.Outcome = Fail
			}
		}
		out = append(out, r)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
	}
	return out, nil
}

// wordsOf turns the identifiers of the cases into the target's, whole ones and parts.
func wordsOf(client, service []string) *strings.Replacer {
	pairs := []string{fixtureClient, strings.Join(client, "/"), fixtureService, strings.Join(service, "/")}
	for i, part := range strings.Split(fixtureService, "/") {
		if i != 1 { // the class stands in words of its own
			pairs = append(pairs, part, service[i])
		}
	}
	for i, part := range strings.Split(fixtureClient, "/") {
		if i > 1 {
			pairs = append(pairs, part, client[i])
		}
	}
	return strings.NewReplacer(append(pairs, "/GOV/", "/"+service[1]+"/")...)
}

var (
	otherPlaces = regexp.MustCompile(`CSDL/(hidden|disabled|personal|described|yaml)|serviceCode=|DEV/GOV/H07/ARCHIVE|DEV/GOV/B02/node|H07/node|"(member|service)":\[\{`)
	otherKeys   = regexp.MustCompile(`<(old key|archive key|token|proof)>`)
	ofOurs      = regexp.MustCompile(`(?im)^(truc-|x-api-key: [^<])`)
	respelled   = regexp.MustCompile(`CS%44L|resident%73|ONE%53TOP|%4[Ff]NESTOP`)
)

// applicable says why a case cannot be played, or nothing.
func (s *suite) applicable(c *Case) string {
	all := strings.Join(slices.Concat(c.Request, c.Response, c.Seen), "\n")
	request := strings.Join(c.Request, "\n")
	switch {
	case len(c.Directives) > 0:
		return "needs a node in another state: " + strings.Join(c.Directives, "; ")
	case c.ID() == "" && !s.t.All:
		return "is none of the named checks"
	case otherPlaces.MatchString(all):
		return "needs the network of the project's own tests"
	case respelled.MatchString(request) && (s.t.Client != fixtureClient || s.t.Service != fixtureService):
		return "spells the names of the project's own tests in another way"
	case otherKeys.MatchString(request):
		return "needs other keys than the client's"
	case ofOurs.MatchString(all) && !s.t.All:
		return "is of Truc alone"
	case strings.HasPrefix(request, "GET /listClients") && !strings.Contains(request, "<key>"):
		return "depends on a setting of the listener"
	case s.t.Key == "" && strings.Contains(all, "ssl_authentication_failed"):
		return "needs a client that must prove who it is"
	case s.t.Listener == nil && s.asksService(c):
		return "needs the suite's own service behind the provider (listen)"
	}
	return ""
}

// asksService reports whether the service must be asked, and answer, for the case to hold.
func (s *suite) asksService(c *Case) bool {
	head, _ := c.Expected()
	fault := slices.ContainsFunc(head, func(h string) bool { return strings.HasPrefix(h, "x-road-error: ") })
	return !fault && strings.Contains(strings.Join(c.Request, "\n"), fixtureService) || len(c.Seen) > 0 && c.Seen[0] != "nothing"
}

// backend is the service behind the provider: it notes what it sees and answers what the case says.
func (s *suite) backend(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	path, ok := strings.CutPrefix(r.RequestURI, BackendPath)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok || s.current == nil {
		http.NotFound(w, r)
		return
	}
	s.seen = &Seen{Line: strings.TrimSpace(r.Method + " " + path), Header: r.Header, Body: string(body)}
	s.current.Answer(w)
}

// play sends the request as raw text, because a client would tidy up what is tested, and returns what is wrong.
func (s *suite) play(ctx context.Context, c *Case) []string {
	s.mu.Lock()
	s.current, s.seen = c, nil
	s.mu.Unlock()
	timeout := s.t.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, body, err := s.exchange(ctx, c) //nolint:bodyclose // read and closed there
	if err != nil {
		return []string{"no answer: " + err.Error()}
	}
	faults := s.judgeAnswer(c, resp, body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
	if s.t.Listener == nil {
		return faults
	}
	own := *c
	own.Seen = slices.Clone(c.Seen)
	for i := range own.Seen {
		if i > 0 { // the first is a path, which is the case's own
			own.Seen[i] = s.words.Replace(own.Seen[i])
		}
	}
	return append(faults, own.Judge(s.seen, hopByHop)...)
}

// hopByHop are headers that the connection between node and service has of its own.
func hopByHop(name string) bool {
	return slices.Contains([]string{"host", "content-length", "connection", "transfer-encoding", "user-agent", "accept-encoding"}, strings.ToLower(name))
}

const maxAnswer = 1 << 20

func (s *suite) exchange(ctx context.Context, c *Case) (*http.Response, string, error) {
	address := s.t.URL.Host
	if s.t.URL.Port() == "" {
		address = net.JoinHostPort(s.t.URL.Hostname(), map[string]string{"http": "80", "https": "443"}[s.t.URL.Scheme])
	}
	var conn net.Conn
	var err error
	if s.t.URL.Scheme == "https" {
		conn, err = (&tls.Dialer{Config: s.t.TLS}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, "", err
	}
	defer conn.Close() //nolint:errcheck // the answer was read, or there is none
	if d, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(d); err != nil {
			return nil, "", err
		}
	}
	lines := c.Request
	if s.t.Key == "" {
		lines = slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.Contains(l, "<key>") })
	}
	raw := Raw(lines, func(head string) string {
		return strings.NewReplacer("<key>", s.t.Key, "edge.example", s.t.URL.Host).Replace(s.words.Replace(head))
	})
	if _, err := io.WriteString(conn, raw); err != nil {
		return nil, "", err
	}
	method, _, _ := strings.Cut(lines[0], " ")
	if method != http.MethodHead {
		method = http.MethodGet // what matters is whether the answer has a body
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp, string(bytes.TrimRight(body, "\r\n")), err
}

var (
	jsonMessage = regexp.MustCompile(`"message":"[^"]*"`)
	xmlMessage  = regexp.MustCompile(`<message>[^<]*</message>`)
)

// judgeAnswer compares the status, the headers that are expected, and the body. Reasons and the sentences of errors are
// each software's own, and a server may add headers, but none that X-Road has and the case does not.
func (s *suite) judgeAnswer(c *Case, resp *http.Response, body string) (faults []string) {
	head, want := c.Expected()
	// A consumer's node that knows the services of the network says so before the provider's could.
	const sooner, later = "server.clientproxy.unknown_service", "server.serverproxy.unknown_service"
	if body = strings.Replace(body, sooner, later, 1); resp.Header.Get("X-Road-Error") == sooner {
		resp.Header.Set("X-Road-Error", later)
	}
	if status := strings.Fields(head[0]); len(status) > 1 && status[1] != fmt.Sprint(resp.StatusCode) {
		faults = append(faults, fmt.Sprintf("the status is %d; want %s", resp.StatusCode, status[1]))
	}
	expected := map[string][]string{}
	for _, h := range head[1:] {
		name, value, _ := strings.Cut(s.words.Replace(h), ": ")
		expected[name] = append(expected[name], value)
	}
	for name, values := range expected {
		got := slices.Sorted(slices.Values(resp.Header.Values(name)))
		slices.Sort(values)
		if name == "content-type" { // "; charset" and ";charset", and letter case, are the same
			for i := range got {
				got[i] = strings.ToLower(strings.ReplaceAll(got[i], " ", ""))
			}
			for i := range values {
				values[i] = strings.ToLower(strings.ReplaceAll(values[i], " ", ""))
			}
		}
		if !slices.EqualFunc(values, got, Matches) {
			faults = append(faults, fmt.Sprintf("%s is %q; want %q", name, got, values))
		}
	}
	for name := range resp.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-road-") && expected[lower] == nil {
			faults = append(faults, fmt.Sprintf("%s is there: %q", lower, resp.Header.Values(name)))
		}
	}
	want = xmlMessage.ReplaceAllString(jsonMessage.ReplaceAllString(s.words.Replace(want), `"message":"<text>"`), "<message><text></message>")
	if want != "<any body>" && !Matches(strings.TrimRight(want, "\n"), body) {
		faults = append(faults, fmt.Sprintf("the body is %.300q; want %.300q", body, want))
	}
	slices.Sort(faults)
	return faults
}
