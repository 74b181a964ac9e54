package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"truc/internal/reqctx"
	"truc/internal/web/manage"
)

// pageRoles says who opens and uses each page of the exchange and the directory besides administrators: se security,
// re registration, sv service, sy system, ob observer. A new page must be written here.
const pageRoles = `
GET /directory/admin                                                    re ob
GET /directory/admin/groups                                             re ob
GET /directory/admin/join                                               re
GET /directory/admin/keys                                               se re sy ob
GET /directory/admin/leave                                              re
GET /directory/admin/revoke                                             re
GET /directory/admin/subsystems                                         re ob
POST /directory/admin/disable                                           re
POST /directory/admin/groups                                            re
POST /directory/admin/groups/delete                                     re
POST /directory/admin/join                                              re
POST /directory/admin/keys/leave                                        re
POST /directory/admin/leave                                             re
POST /directory/admin/keys/rotate                                       se
POST /directory/admin/maintenance                                       sy
POST /directory/admin/member                                            re
POST /directory/admin/policy                                            re
POST /directory/admin/revoke                                            re
POST /directory/admin/subsystems                                        re
POST /directory/admin/token                                             re
POST /directory/admin/token/delete                                      re
GET /exchange/admin                                                     sv sy ob
GET /exchange/admin/acts                                                se ob
GET /exchange/admin/agreements                                          sv ob
GET /exchange/admin/agreements/propose                                  sv
GET /exchange/admin/agreements/{content}                                sv ob
GET /exchange/admin/diagnostics                                         sy ob
GET /exchange/admin/faults                                              sv sy ob
GET /exchange/admin/groups                                              sv ob
GET /exchange/admin/keys                                                se sv ob
GET /exchange/admin/log                                                 se sy ob
GET /exchange/admin/operators                                           se ob
GET /exchange/admin/partners                                            sy ob
GET /exchange/admin/published                                           sv ob
GET /exchange/admin/published/certificate                               sv ob
GET /exchange/admin/publication-drafts/{id}                                sv
GET /exchange/admin/published/new                                       sv
GET /exchange/admin/published/rest                                      sv
GET /exchange/admin/published/{subsystem}/{service}                     sv ob
GET /exchange/admin/queue                                               sy ob
GET /exchange/admin/rules                                               sv ob
GET /exchange/admin/services                                            sv ob
GET /exchange/admin/test                                                sy
POST /exchange/admin/agreements/propose                                 sv
POST /exchange/admin/agreements/{content}                               sv
POST /exchange/admin/diagnostics/report                                 sy ob
POST /exchange/admin/evidence                                           se
POST /exchange/admin/groups                                             sv
POST /exchange/admin/groups/remove                                      sv
POST /exchange/admin/keys                                               se sv
POST /exchange/admin/keys/revoke                                        se sv
POST /exchange/admin/log/stamp                                          se
POST /exchange/admin/operators                                          se
POST /exchange/admin/operators/revoke                                   se
POST /exchange/admin/publication-drafts/{id}                               sv
POST /exchange/admin/publication-drafts/{id}/discard                       sv
POST /exchange/admin/published/new                                      sv
POST /exchange/admin/published/rest                                     sv
POST /exchange/admin/published/{subsystem}/{service}/delete             sv
POST /exchange/admin/published/{subsystem}/{service}/disable            sv
POST /exchange/admin/published/{subsystem}/{service}/edit               sv
POST /exchange/admin/published/{subsystem}/{service}/enable             sv
POST /exchange/admin/published/{subsystem}/{service}/end                sv
POST /exchange/admin/published/{subsystem}/{service}/endpoint           sv
POST /exchange/admin/published/{subsystem}/{service}/endpoint-delete    sv
POST /exchange/admin/published/{subsystem}/{service}/refresh            sv
POST /exchange/admin/published/{subsystem}/{service}/right              sv
POST /exchange/admin/published/{subsystem}/{service}/right-delete       sv
POST /exchange/admin/published/{subsystem}/{service}/test               sv
POST /exchange/admin/queue                                              sy
POST /exchange/admin/rules                                              sv
POST /exchange/admin/rules/remove                                       sv
POST /exchange/admin/test                                               sy
`

var shortRoles = map[string]manage.Role{"se": manage.Security, "re": manage.Registration, "sv": manage.Service, "sy": manage.System, "ob": manage.Observer}

// Officers on the pages have the roles that keys have, by the same table: every page of the exchange and the directory
// refuses who has no role for it, shows nothing that would be refused, and lets administrators in.
func TestOfficersOnPages(t *testing.T) {
	cfg := alone(t, with(modules[slices.IndexFunc(modules, func(m module) bool { return m.name == "exchange" })]))
	ctx, cancel := context.WithCancel(t.Context())
	node, err := Start(ctx, Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	defer func() { cancel(); <-done }()
	<-node.Ready()

	want := map[string][]manage.Role{}
	for line := range strings.Lines(strings.TrimSpace(pageRoles)) {
		f := strings.Fields(line)
		roles := []manage.Role{}
		for _, short := range f[2:] {
			roles = append(roles, shortRoles[short])
		}
		want[f[0]+" "+f[1]] = roles
	}
	do := func(pattern string, roles ...string) (int, string) {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.NewReplacer("{content}", "none", "{id}", "none", "{subsystem}", "none", "{service}", "none").Replace(path)
		r := httptest.NewRequest(method, path, strings.NewReader(""))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r = r.WithContext(reqctx.WithPrincipal(r.Context(), reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Roles: roles}))
		w := httptest.NewRecorder()
		node.mux.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	pages := map[string]bool{}
	for pattern, operations := range node.mux.Pages() {
		_, path, _ := strings.Cut(pattern, " ")
		if !strings.HasPrefix(path, "/exchange/") && !strings.HasPrefix(path, "/directory/") {
			continue
		}
		pages[pattern] = true
		if _, ok := want[pattern]; !ok {
			t.Errorf("%s: the page is in no table of roles (its operations: %v)", pattern, operations)
			continue
		}
		for _, role := range manage.Roles() {
			status, _ := do(pattern, string(role))
			if allowed := slices.Contains(want[pattern], role); allowed != (status != http.StatusForbidden) {
				t.Errorf("%s as %s: status %d", pattern, role, status)
			}
		}
		for _, others := range []string{"reception", "officer", "head", "register", "program", ""} {
			if status, _ := do(pattern, others); status != http.StatusForbidden {
				t.Errorf("%s as %q: status %d", pattern, others, status)
			}
		}
		if status, _ := do(pattern, "admin"); status == http.StatusForbidden || status >= 500 {
			t.Errorf("%s as admin: status %d", pattern, status)
		}
	}
	for pattern := range want {
		if !pages[pattern] {
			t.Errorf("%s is in the table of roles and not a page", pattern)
		}
	}
	lookOn(t, do, want)
	for role, want := range map[string]string{
		"security": "/exchange/admin/log", "registration": "/directory/admin", "service": "/exchange/admin", "system": "/exchange/admin", "observer": "/exchange/admin",
	} {
		if got := node.firstPage(reqctx.Principal{Kind: reqctx.Officer, Roles: []string{role}}); got != want {
			t.Errorf("the first page of %s is %s, want %s", role, got, want)
		}
	}
}

// lookOn opens every page that a role may open and holds its forms and links of navigation to the same table.
func lookOn(t *testing.T, do func(pattern string, roles ...string) (int, string), want map[string][]manage.Role) {
	t.Helper()
	forms := map[manage.Role]int{}
	for pattern, roles := range want {
		if !strings.HasPrefix(pattern, "GET ") || strings.Contains(pattern, "{") {
			continue
		}
		for _, role := range roles {
			status, body := do(pattern, string(role))
			if status != http.StatusOK {
				continue // such as a join that is not there
			}
			for _, part := range strings.Split(body, `<form method="post" action="`)[1:] {
				action, inside, _ := strings.Cut(part, `"`)
				inside, _, _ = strings.Cut(inside, "</form>")
				allowed, known := want["POST "+action]
				if known && strings.Contains(inside, "<button") && !slices.Contains(allowed, role) {
					t.Errorf("%s offers %s the form %s, which would be refused", pattern, role, action)
				}
				if known && strings.Contains(inside, "<button") {
					forms[role]++
				}
			}
			for _, part := range strings.Split(body, `href="`)[1:] {
				link, _, _ := strings.Cut(part, `"`)
				link, _, _ = strings.Cut(link, "?")
				if allowed, known := want["GET "+link]; known && !slices.Contains(allowed, role) {
					t.Errorf("%s shows %s a link to %s, which would be refused", pattern, role, link)
				}
			}
		}
	}
	for _, role := range []manage.Role{manage.Security, manage.Registration, manage.Service, manage.System} {
		if forms[role] == 0 {
			t.Errorf("%s is offered no form at all", role)
		}
	}
}
