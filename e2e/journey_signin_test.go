package e2e

import (
	"strings"
	"testing"
)

// page is a page to read after signing in.
type page struct{ name, path, shows string }

func readPages(t *testing.T, tab *Tab, pages []page) {
	t.Helper()
	base := Value[string](tab, "location.origin")
	for _, p := range pages {
		tab.Go(base + p.path)
		if p.shows != "" {
			tab.Want(p.shows)
		}
		tab.CheckPageIn(p.name, "vi", "en")
		sep := "?"
		if strings.Contains(p.path, "?") {
			sep = "&"
		}
		tab.Go(base + p.path + sep + "lang=vi")
	}
}

func TestCitizenSignsIn(t *testing.T) {
	n := Demo(t)
	tab := Open(t, n.Center.URL+"/my-data")
	tab.Follow("Đăng nhập công dân")
	tab.CheckPage("signin-provider")
	citizen := n.Accounts.Citizens[0]
	tab.Press(citizen.Name)
	tab.Want(citizen.Name)
	if got, want := tab.URL(), n.Center.URL+"/my-data"; got != want {
		t.Errorf("after signing in the tab shows %s; want %s", got, want)
	}
	readPages(t, tab, []page{
		{name: "citizen-my-data", path: "/my-data"},
		{name: "citizen-filings", path: "/filings"},
		{name: "citizen-account", path: "/login/account", shows: citizen.Name},
	})
	tab.Press("Đăng xuất")
	tab.Go(n.Center.URL + "/my-data")
	tab.Want("Đăng nhập công dân")
}

func TestOfficersSignIn(t *testing.T) {
	n := Demo(t)
	t.Run("reception", func(t *testing.T) {
		tab := n.AsOfficer(t, n.Officer(t, "H36", "reception"))
		readPages(t, tab, []page{{name: "desk", path: "/desk"}})
		tab.Expect("status 403")
		tab.Go("/exchange/admin")
		tab.CheckPageIn("denied", "vi", "en")
	})
	t.Run("administrator of the center", func(t *testing.T) {
		tab := n.AsOfficer(t, n.Officer(t, "G22", "admin"))
		readPages(t, tab, []page{
			{name: "admin-directory", path: "/directory/admin", shows: "H36"},
			{name: "admin-directory-keys", path: "/directory/admin/keys"},
			{name: "admin-directory-groups", path: "/directory/admin/groups"},
			{name: "admin-directory-systems", path: "/directory/admin/subsystems"},
			{name: "admin-directory-system", path: "/directory/admin/subsystems?id=VN/GOV/H36/onestop", shows: "H36"},
			{name: "admin-exchange", path: "/exchange/admin"},
			{name: "admin-exchange-services", path: "/exchange/admin/services"},
			{name: "admin-exchange-published", path: "/exchange/admin/published"},
			{name: "admin-exchange-publish-new", path: "/exchange/admin/published/new"},
			{name: "admin-exchange-publish-rest", path: "/exchange/admin/published/rest"},
			{name: "admin-exchange-agreements", path: "/exchange/admin/agreements"},
			{name: "admin-exchange-agreements-propose", path: "/exchange/admin/agreements/propose"},
			{name: "admin-exchange-rules", path: "/exchange/admin/rules"},
			{name: "admin-exchange-groups", path: "/exchange/admin/groups"},
			{name: "admin-exchange-queue", path: "/exchange/admin/queue"},
			{name: "admin-exchange-keys", path: "/exchange/admin/keys"},
			{name: "admin-exchange-test", path: "/exchange/admin/test"},
			{name: "admin-exchange-log", path: "/exchange/admin/log"},
			{name: "admin-exchange-diagnostics", path: "/exchange/admin/diagnostics"},
			{name: "admin-exchange-partners", path: "/exchange/admin/partners"},
			{name: "admin-exchange-faults", path: "/exchange/admin/faults"},
			{name: "admin-exchange-acts", path: "/exchange/admin/acts", shows: "directory."},
			{name: "admin-exchange-operators", path: "/exchange/admin/operators"},
			{name: "admin-axis", path: "/axis"},
			{name: "admin-axis-late", path: "/axis/late"},
			{name: "admin-axis-journal", path: "/axis/journal"},
			{name: "admin-axis-agencies", path: "/axis/agencies"},
			{name: "admin-axis-systems", path: "/axis/systems"},
		})
	})
	t.Run("administrator of a ministry that publishes its own system", func(t *testing.T) {
		tab := n.AsOfficer(t, n.Officer(t, "G15", "admin"))
		readPages(t, tab, []page{
			{name: "admin-exchange-published-list", path: "/exchange/admin/published", shows: "notary/offices"},
			{name: "admin-exchange-published-service", path: "/exchange/admin/published/notary/offices", shows: "/v1/offices/*"},
		})
	})
	t.Run("register owner", func(t *testing.T) {
		tab := n.AsOfficer(t, n.Officer(t, "G01", "register"))
		readPages(t, tab, []page{{name: "registers", path: "/registers"}})
	})
}
