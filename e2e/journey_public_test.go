package e2e

import "testing"

// TestPublicPages reads what anybody may read without signing in, in both languages.
func TestPublicPages(t *testing.T) {
	n := Demo(t)
	tests := []struct{ name, path, shows string }{
		{name: "home", path: "/", shows: ""},
		{name: "procedures", path: "/procedures", shows: "trích lục"},
		{name: "procedures-found", path: "/procedures?q=trich+luc", shows: "trích lục"},
		{name: "procedure", path: "/procedures/2.000635", shows: "2.000635"},
		{name: "track", path: "/track"},
		{name: "directory", path: "/directory", shows: "H36"},
		{name: "login", path: "/login"},
		{name: "oversight", path: "/oversight"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tab := Open(t, n.Center.URL+tt.path)
			if tt.shows != "" {
				tab.Want(tt.shows)
			}
			tab.CheckPageIn("public-"+tt.name, "vi", "en")
		})
	}
	t.Run("missing", func(t *testing.T) {
		tab := newTab(t)
		tab.Expect("status 404")
		tab.Go(n.Center.URL + "/no-such-page")
		tab.CheckPageIn("public-missing", "vi", "en")
	})
}
