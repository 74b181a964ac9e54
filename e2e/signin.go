package e2e

import "testing"

// AsCitizen opens the portal signed in as an invented person, through the development sign-in provider, in a tab
// with cookies of its own.
func (n *Network) AsCitizen(t testing.TB, name string) *Tab {
	t.Helper()
	tab := Open(t, n.Center.URL+"/login")
	tab.Follow("Đăng nhập công dân")
	tab.Press(name)
	tab.Want(name)
	return tab
}

// AsOfficer opens the officer's node signed in as that officer.
func (n *Network) AsOfficer(t testing.TB, o Officer) *Tab {
	t.Helper()
	tab := Open(t, o.Node+"/login")
	tab.Follow("Đăng nhập cán bộ")
	tab.Press(o.Name)
	tab.Want(o.Name)
	return tab
}
