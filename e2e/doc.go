// Package e2e drives the whole product from outside: it starts the demonstration network with the built program
// and walks through it in a headless Chromium. It is a Go module of its own so that the browser driver never
// enters the product's go.mod, and it imports nothing of the product, because a user has only addresses too.
//
// A journey is a test that opens a [Tab], acts by what a person sees (labels, buttons, links), and calls
// [Tab.CheckPage] on each page it meets: accessibility by axe-core, no sideways scrolling, no missing text, a
// screenshot, at 360 and 1280 pixels. Anything the browser complains about meanwhile (a broken security policy, a
// missing file, a script error) fails the test at its end.
//
//	tab := e2e.Open(t, e2e.Demo(t).Center.URL)
//	tab.Follow("Dịch vụ công")
//	tab.CheckPage("services")
//
// Journeys that lead up to their matter answer forms by the names of controls ([Tab.Walk], [Tab.Act]); the matter
// itself is done by what a person sees. A form that is refused must say so in its title, in a summary that leads to
// the fields, and at each field. Signed files are judged by pdfsig and qpdf where these are installed (Debian:
// poppler-utils, libnss3-tools, qpdf).
//
// While a journey is being written, TRUC_TEST_DEMO names the folder of a network that already runs (with
// TRUC_TEST_BINARY its program), and TRUC_TEST_QUICK=1 leaves the checks of pages out.
//
// The browser is found as chromium, chromium-browser or google-chrome on the path, or at TRUC_TEST_CHROMIUM.
// testdata/axe.min.js is axe-core 4.14.1 from npm, unchanged (MPL-2.0, testdata/axe.LICENSE.txt); it is used in
// tests only and never served by the product.
package e2e
