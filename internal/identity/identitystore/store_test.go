package identitystore_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/errs"
	"truc/internal/identity"
	"truc/internal/identity/identitystore"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

func citizen() identity.Claims {
	return identity.Claims{Issuer: "http://idp", Subject: "s1", PersonalID: "099204000123", FullName: "Nguyễn Văn An", Level: 2}
}

func each(t *testing.T, f func(t *testing.T, s *identity.Service, c *clock)) {
	storagetest.Module(t, "identity", identitystore.Migrations(), func(t *testing.T, db *storage.DB) {
		c := &clock{t: time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC)}
		st := &identitystore.Store{DB: db}
		f(t, &identity.Service{Sessions: st, Events: st, Officers: st, Now: c.now}, c)
	})
}

func mustSignIn(t *testing.T, s *identity.Service, kind reqctx.PrincipalKind, c identity.Claims) (string, identity.Session) {
	t.Helper()
	token, session, err := s.SignIn(t.Context(), kind, c, firefox)
	if err != nil {
		t.Fatal(err)
	}
	return token, session
}

func principal(t *testing.T, s *identity.Service, token string) reqctx.Principal {
	t.Helper()
	p, err := s.Principal(t.Context(), token, firefox)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCitizenSession(t *testing.T) {
	each(t, func(t *testing.T, s *identity.Service, c *clock) {
		token, session := mustSignIn(t, s, reqctx.Citizen, citizen())
		want := reqctx.Principal{Kind: reqctx.Citizen, ID: "099204000123", Name: "Nguyễn Văn An", Level: 2, Session: session.ID}
		if diff := cmp.Diff(want, principal(t, s, token)); diff != "" {
			t.Errorf("principal (-want +got):\n%s", diff)
		}
		if p := principal(t, s, token+"x"); !p.Anonymous() {
			t.Errorf("unknown token stands for %v", p)
		}
		list, err := s.LiveSessions(t.Context(), want)
		if err != nil || len(list) != 1 {
			t.Fatalf("LiveSessions = %v, %v; want one", list, err)
		}
		if diff := cmp.Diff(session, list[0]); diff != "" {
			t.Errorf("stored session (-want +got):\n%s", diff)
		}
		if list[0].Device != "Firefox, Linux" {
			t.Errorf("device = %q", list[0].Device)
		}
		// Use keeps it alive past the idle limit, up to the absolute one.
		for range 35 {
			c.advance(20 * time.Minute)
			if principal(t, s, token).Anonymous() {
				t.Fatalf("session ended although in use, after %v", c.t.Sub(session.CreatedAt))
			}
		}
		c.advance(20 * time.Minute)
		if !principal(t, s, token).Anonymous() {
			t.Error("session outlives 12 hours")
		}
	})
}

func TestIdle(t *testing.T) {
	each(t, func(t *testing.T, s *identity.Service, c *clock) {
		token, _ := mustSignIn(t, s, reqctx.Citizen, citizen())
		c.advance(30*time.Minute - time.Microsecond)
		if principal(t, s, token).Anonymous() {
			t.Error("ended before 30 idle minutes")
		}
		c.advance(30 * time.Minute)
		if !principal(t, s, token).Anonymous() {
			t.Error("still open after 30 idle minutes")
		}
		n, err := s.Sweep(t.Context(), time.Hour)
		if err != nil || n != 0 {
			t.Errorf("Sweep too early = %d, %v", n, err)
		}
		c.advance(time.Hour + time.Second)
		if n, err = s.Sweep(t.Context(), time.Hour); err != nil || n != 1 {
			t.Errorf("Sweep = %d, %v; want 1", n, err)
		}
	})
}

func TestSignOutAndRevoke(t *testing.T) {
	each(t, func(t *testing.T, s *identity.Service, c *clock) {
		first, _ := mustSignIn(t, s, reqctx.Citizen, citizen())
		c.advance(time.Second)
		second, two := mustSignIn(t, s, reqctx.Citizen, citizen())
		third, _ := mustSignIn(t, s, reqctx.Citizen, citizen())
		me := principal(t, s, first)
		other := citizen()
		other.PersonalID = "099204000999"
		stranger, _ := mustSignIn(t, s, reqctx.Citizen, other)
		if err := s.Revoke(t.Context(), principal(t, s, stranger), two.ID); !errs.Is(err, errs.NotFound) {
			t.Errorf("a stranger's revoke = %v; want not found", err)
		}
		if err := s.Revoke(t.Context(), me, two.ID); err != nil {
			t.Fatal(err)
		}
		if !principal(t, s, second).Anonymous() || principal(t, s, first).Anonymous() {
			t.Error("revoke ended the wrong session")
		}
		if err := s.RevokeOthers(t.Context(), me); err != nil {
			t.Fatal(err)
		}
		if !principal(t, s, third).Anonymous() || principal(t, s, first).Anonymous() {
			t.Error("revoke others ended the wrong sessions")
		}
		for range 2 { // the second time changes nothing
			if err := s.SignOut(t.Context(), first); err != nil {
				t.Fatal(err)
			}
		}
		if !principal(t, s, first).Anonymous() {
			t.Error("signed out and still open")
		}
		events, err := s.History(t.Context(), me, 20)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []identity.EventKind
		for _, e := range events {
			kinds = append(kinds, e.Kind)
			if e.Device != "Firefox, Linux" || e.Issuer != "http://idp" {
				t.Errorf("event %s lacks device or issuer", e.Kind)
			}
		}
		want := []identity.EventKind{identity.SignedOut, identity.Revoked, identity.Revoked, identity.SignedIn, identity.SignedIn, identity.SignedIn}
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	})
}

func TestRefusedClaims(t *testing.T) {
	tests := []struct {
		name   string
		kind   reqctx.PrincipalKind
		change func(*identity.Claims)
		want   string
	}{
		{"no number", reqctx.Citizen, func(c *identity.Claims) { c.PersonalID = "" }, "identity.not_citizen"},
		{"short number", reqctx.Citizen, func(c *identity.Claims) { c.PersonalID = "09920400012" }, "identity.claims_incomplete"},
		{"letters", reqctx.Citizen, func(c *identity.Claims) { c.PersonalID = "09920400012x" }, "identity.claims_incomplete"},
		{"no level", reqctx.Citizen, func(c *identity.Claims) { c.Level = 0 }, "identity.claims_incomplete"},
		{"no name", reqctx.Citizen, func(c *identity.Claims) { c.FullName = " " }, "identity.claims_incomplete"},
		{"citizen as officer", reqctx.Officer, func(*identity.Claims) {}, "identity.not_officer"},
		{"unknown officer", reqctx.Officer, func(c *identity.Claims) { c.Officer, c.Roles = "boss", []string{"admin"} }, "identity.officer_unknown"},
		{"system", reqctx.System, func(*identity.Claims) {}, "identity.kind_unknown"},
	}
	each(t, func(t *testing.T, s *identity.Service, _ *clock) {
		for _, tt := range tests {
			c := citizen()
			tt.change(&c)
			token, _, err := s.SignIn(t.Context(), tt.kind, c, firefox)
			if key, _ := errs.KeyOf(err); token != "" || key != tt.want {
				t.Errorf("%s: SignIn = %q, %v; want %s", tt.name, token, err, tt.want)
			}
		}
		events, err := s.Events.Events(t.Context(), reqctx.Officer, "boss", 10)
		if err != nil || len(events) != 1 || events[0].Kind != identity.Refused || events[0].Reason != "identity.officer_unknown" {
			t.Errorf("history of the unknown officer = %v, %v", events, err)
		}
	})
}

func TestOfficers(t *testing.T) {
	each(t, func(t *testing.T, s *identity.Service, c *clock) {
		lan := identity.Officer{Account: " H36.Lan ", Name: "Trần Thị Lan", Title: "Chuyên viên", Agency: "H36.14", Roles: []string{"officer", "reception", "officer"}}
		hung := identity.Officer{Account: "h36.hung", Name: "Lê Hùng", Agency: "H36", Roles: []string{"head"}, ValidTo: c.t.Add(time.Hour)}
		seed := func(list ...identity.Officer) {
			t.Helper()
			if err := s.Seed(t.Context(), list); err != nil {
				t.Fatal(err)
			}
		}
		seed(lan, hung)
		// What the token says about roles and agency decides nothing.
		claims := identity.Claims{Issuer: "http://idp", Officer: "h36.LAN", Agency: "G22", Roles: []string{"admin"}, Level: 2}
		token, session := mustSignIn(t, s, reqctx.Officer, claims)
		want := reqctx.Principal{
			Kind: reqctx.Officer, ID: "h36.lan", Name: "Trần Thị Lan", Agency: "H36.14", Roles: []string{"officer", "reception"}, Level: 2, Session: session.ID,
		}
		if diff := cmp.Diff(want, principal(t, s, token)); diff != "" {
			t.Errorf("principal (-want +got):\n%s", diff)
		}
		lan.Roles = []string{"head"}
		seed(lan, hung)
		if p := principal(t, s, token); !p.Has("head") || p.Has("reception") {
			t.Errorf("changed roles do not count at the next request: %v", p.Roles)
		}
		bosses, _ := mustSignIn(t, s, reqctx.Officer, identity.Claims{Officer: "h36.hung"})
		seed(hung) // Lan left
		if !principal(t, s, token).Anonymous() {
			t.Error("a leaver's session is open at the next request")
		}
		if _, _, err := s.SignIn(t.Context(), reqctx.Officer, claims, firefox); !errs.Is(err, errs.Denied) {
			t.Errorf("a leaver's sign-in = %v; want denied", err)
		}
		seed(lan, hung) // Lan came back; the session that ended stays ended
		if !principal(t, s, token).Anonymous() {
			t.Error("an ended session came back with its officer")
		}
		c.advance(14 * time.Minute)
		principal(t, s, bosses)
		if list, err := s.ActiveOfficers(t.Context()); err != nil || len(list) != 2 {
			t.Errorf("ActiveOfficers = %v, %v; want two", list, err)
		}
		c.advance(15 * time.Minute)
		if !principal(t, s, bosses).Anonymous() {
			t.Error("an officer's session outlives 15 idle minutes")
		}
		c.advance(time.Hour)
		if list, err := s.ActiveOfficers(t.Context()); err != nil || len(list) != 1 || list[0].Account != "h36.lan" {
			t.Errorf("ActiveOfficers = %v, %v; want Lan only", list, err)
		}
	})
}

func TestSeedFaults(t *testing.T) {
	st := &identity.Service{Now: time.Now} // no store: nothing may be written
	err := st.Seed(t.Context(), []identity.Officer{{Account: "a b", Agency: "H36"}, {Account: "x", Name: "X"}, {Account: "X", Name: "X", Agency: "H36", Roles: []string{""}}})
	if err == nil {
		t.Fatal("faulty officers were taken")
	}
}

func TestBindAgent(t *testing.T) {
	each(t, func(t *testing.T, s *identity.Service, _ *clock) {
		s.Limits.BindAgent = true
		token, _ := mustSignIn(t, s, reqctx.Citizen, citizen())
		if p, err := s.Principal(t.Context(), token, "curl/8"); err != nil || !p.Anonymous() {
			t.Errorf("token from another browser = %v, %v", p, err)
		}
		if !principal(t, s, token).Anonymous() {
			t.Error("the stolen session lives on")
		}
	})
}
