package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"truc/internal/orgcode"
)

// Put offers a service, or replaces what was offered under the same code; the next request sees the change. Code and
// errors are those of [Service.Offer].
func (s *Service) Put(code string, o Offering, h http.Handler) error {
	id, err := s.offerable(code, o)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offers[id.String()] = offer{Offered: Offered{ID: id, Offering: o}, handler: h}
	return nil
}

// Withdraw takes a service back; the next request finds no such service. Unknown codes are no error.
func (s *Service) Withdraw(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.offers, s.member+"/"+code)
}

// offerable checks what may be offered under a code such as "population/person".
func (s *Service) offerable(code string, o Offering) (orgcode.Service, error) {
	id, err := orgcode.ParseService(s.member + "/" + code)
	if err != nil {
		return id, err
	}
	if !s.Hosts(id.Owner()) {
		return id, fmt.Errorf("exchange: this node does not host %s", id.Owner())
	}
	if slices.Contains(reservedCodes, id.Code) {
		return id, fmt.Errorf("exchange: service code %q is reserved", id.Code)
	}
	for _, e := range o.Endpoints {
		if _, err := compilePattern(e.Path); err != nil {
			return id, err
		}
	}
	return id, nil
}

// CheckOffer reports whether a code may be offered by this node: it is well-formed, not reserved (X-Road's metadata
// services), and of a subsystem this node hosts.
func (s *Service) CheckOffer(code string) error {
	_, err := s.offerable(code, Offering{})
	return err
}

// Failer is met by the [http.ResponseWriter] that a service's handler gets. A handler that cannot reach what it stands
// for calls Fail instead of writing an answer; the exchange then refuses the request with the fault
// "server.serverproxy." and code, such as "service_failed.network_error" (spec §2.6). After Fail nothing that the
// handler wrote reaches the caller as an answer.
type Failer interface {
	Fail(code string, err error)
}

// failure is what a handler said by [Failer].
type failure struct {
	code string
	err  error
}

// Fail implements [Failer]; the first call counts.
func (r *recorder) Fail(code string, err error) {
	if r.failed == nil {
		if err == nil {
			err = errors.New("the service failed")
		}
		r.failed = &failure{code: code, err: err}
	}
}

type targetKey struct{}

// TargetOf returns the target of the request that a service's handler serves: the very string that was signed, logged and
// matched (spec D12), with "" and "/" told apart, which [http.Request] cannot.
func TargetOf(ctx context.Context) (Target, bool) {
	t, ok := ctx.Value(targetKey{}).(Target)
	return t, ok
}

// WithTarget returns a context that carries the target, for those that call a service's handler.
func WithTarget(ctx context.Context, t Target) context.Context {
	return context.WithValue(ctx, targetKey{}, t)
}

// disabled is the refusal of a service that its owner switched off, with the owner's notice (X-Road: service_disabled).
func (x *exchangeState) disabled(o offer) *Fault {
	f := x.fault(atProvider, "service_disabled", nil, "service", o.ID.String(), "notice", o.Notice)
	f.Notice = o.Notice
	return f
}

// noticeIn takes the owner's notice out of the message of a refusal by a peer; it is foreign text that people and
// programs see, so it is cut and control characters are dropped.
func noticeIn(code, message string) string {
	if !slices.Contains([]string{"service_disabled", "maintenance_mode", codeConsumerOld, codeProviderOld}, code) {
		return ""
	}
	_, notice, _ := strings.Cut(message, ": ")
	notice = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\uFFFD' {
			return -1
		}
		return r
	}, notice)
	if r := []rune(notice); len(r) > MaxNotice {
		notice = string(r[:MaxNotice])
	}
	return notice
}

// MaxNotice is the length of a notice in characters.
const MaxNotice = 500

// CheckRules reports the first rule that cannot be read.
func CheckRules(rules []Rule) error {
	_, err := compileRules(rules)
	return err
}
