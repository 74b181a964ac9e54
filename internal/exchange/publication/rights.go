package publication

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"truc/internal/errs"
	"truc/internal/exchange"
)

var endpointMethods = []string{"*", http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodHead, http.MethodPatch, http.MethodTrace}

// AddEndpoint adds an endpoint that the description does not name; path is a pattern of the exchange.
func (s *Service) AddEndpoint(ctx context.Context, code, method, path string) error {
	return s.changeOwn(ctx, "endpoint.add", code, func(p *Published) error {
		var f Faults
		if !slices.Contains(endpointMethods, method) {
			f.add("method", "method")
		}
		if path = strings.TrimSpace(path); len(path) > 1000 || path != "**" && !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?# ") {
			f.add("path", "path")
		}
		if len(f) == 0 && has(p.Endpoints, method, path) {
			f.add("path", "endpoint_taken")
		}
		p.Endpoints = append(p.Endpoints, Endpoint{Method: method, Path: path, Manual: true})
		return f.orNil()
	})
}

// DeleteEndpoint removes an endpoint that was written by hand, with its rights.
func (s *Service) DeleteEndpoint(ctx context.Context, code, method, path string) error {
	return s.changeOwn(ctx, "endpoint.delete", code, func(p *Published) error {
		n := len(p.Endpoints)
		p.Endpoints = slices.DeleteFunc(p.Endpoints, func(e Endpoint) bool { return e.Manual && e.Method == method && e.Path == path })
		if len(p.Endpoints) == n {
			return errs.E(errs.NotFound, "exchange.publish.endpoint_unknown", nil)
		}
		p.Rights = slices.DeleteFunc(p.Rights, func(r Right) bool { return !p.grants(r) })
		return nil
	})
}

// Grant adds a right. Rights may be added to services of the configuration too.
func (s *Service) Grant(ctx context.Context, code string, r Right) error {
	return s.change(ctx, "right.add", code, func(p *Published) error {
		var f Faults
		r.Consumer, r.Basis = strings.TrimSpace(r.Consumer), strings.TrimSpace(r.Basis)
		if err := exchange.CheckRules([]exchange.Rule{{Consumer: r.Consumer, Service: p.Code, Path: r.Path}}); err != nil {
			f.add("consumer", "consumer")
		}
		if !p.grants(r) {
			f.add("endpoint", "endpoint")
		}
		if utf8.RuneCountInString(r.Basis) > 500 {
			f.add("basis", "basis")
		}
		for _, a := range r.Activities {
			if !activity(a) {
				f.add("activities", "activity")
				break
			}
		}
		if slices.ContainsFunc(p.Rights, func(x Right) bool {
			return x.Consumer == r.Consumer && x.Method == r.Method && x.Path == r.Path
		}) {
			f.add("consumer", "right_taken")
		}
		p.Rights = append(p.Rights, r)
		return f.orNil()
	})
}

func activity(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// Withdraw takes a right away.
func (s *Service) Withdraw(ctx context.Context, code, consumer, method, path string) error {
	return s.change(ctx, "right.remove", code, func(p *Published) error {
		n := len(p.Rights)
		p.Rights = slices.DeleteFunc(p.Rights, func(r Right) bool { return r.Consumer == consumer && r.Method == method && r.Path == path })
		if len(p.Rights) == n {
			return errs.E(errs.NotFound, "exchange.publish.right_unknown", nil)
		}
		return nil
	})
}
