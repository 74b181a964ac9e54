package exchange

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/orgcode"
)

// guarded calls the service within the limits of its consumer and past its breaker (spec D31, D32).
func (x *exchangeState) guarded(ctx context.Context, req *WireRequest, t Target, client orgcode.Subsystem, h http.Handler) (*WireResponse, *Fault) {
	s := x.s
	service := t.Service.String()
	if slices.Contains(reservedCodes, t.Service.Code) {
		return x.dispatch(ctx, req, t, client, h)
	}
	adm, retry, ok := s.usage.admit(pair{x.msg.Client, service}, s.limitsFor(client, t.Service, req.Header.Get(HeaderGrant)), x.started)
	if !ok {
		f := x.fault(atProvider, "quota_exceeded", errors.New("the consumer's limit is reached"), "service", service)
		f.RetryAfter = retry
		return nil, f
	}
	defer adm.end()
	x.adm = adm
	wait, ok := s.backends.allow(service, x.started)
	if !ok {
		f := x.fault(atProvider, "circuit_open", nil, "service", service)
		f.RetryAfter = wait
		return nil, f
	}
	v := undecided // a panic above the handler's own says nothing of the service
	defer func() { s.backends.done(service, v, s.now()) }()
	resp, f := x.dispatch(ctx, req, t, client, h)
	v = x.backendVerdict(resp, f)
	if resp != nil {
		adm.took(int64(len(req.Body)+len(resp.Body)), s.now())
	}
	return resp, f
}

// backendVerdict judges the service behind the node. An answer of the service is its own business, also a refusal; that
// it cannot be reached, does not answer in a fair time or is out of order is a failure. A consumer that gives too little
// time must not be able to shut the service for others.
func (x *exchangeState) backendVerdict(resp *WireResponse, f *Fault) verdict {
	if x.cut != nil {
		return undecided
	}
	if f == nil && resp == nil {
		return healthy
	}
	if f == nil {
		if slices.Contains([]int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, resp.Status) {
			return failing
		}
		return healthy
	}
	switch head, _, _ := strings.Cut(f.Code(), "."); head {
	case "service_failed":
		return failing
	case "deadline_exceeded":
		if x.late() {
			return failing
		}
	}
	return undecided
}

const headerRetryAfter = "Retry-After"

// setRetryAfter writes whole seconds, rounded up.
func setRetryAfter(h http.Header, d time.Duration) {
	if d > 0 {
		h.Set(headerRetryAfter, strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10))
	}
}

// retryAfterOf reads what a peer wrote; a day is the longest that is believed.
func retryAfterOf(h http.Header) time.Duration {
	n, err := strconv.ParseUint(h.Get(headerRetryAfter), 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, 24*time.Hour)
}
