package ui

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"truc/internal/i18n"
	"truc/internal/reqctx"
)

// Layout is the frame a page stands in.
type Layout string

// The layouts. Zero is Citizen.
const (
	Citizen Layout = ""        // one column of at most 680 px
	Officer Layout = "officer" // full width, dense
	Leader  Layout = "leader"  // full width, charts
)

// Site is what all pages of a node have in common. A node sets it once at start.
type Site struct {
	// Name stands beside the logo: "Cổng dịch vụ công". Owner is who answers for the site, in the footer.
	Name, Owner i18n.Text
	// Phase "test" shows the banner "Môi trường thử nghiệm"; empty shows none.
	Phase string
	// Phone, Email and Hours of the help desk; the same on every page (WCAG 3.2.6).
	Phone, Email string
	Hours        i18n.Text
	// Links of the footer, such as help, privacy, accessibility. Addresses on this site.
	Links []SiteLink
	// SignIn is the address of the sign-in page (default /login); SignOut takes a POST (default /logout).
	SignIn, SignOut string
	// NoSignIn says that nobody signs in here, so the header offers no way to it.
	NoSignIn bool
	// Emblem names an asset that the province ships, shown beside the name; the national emblem is not ours to ship.
	Emblem string
}

// SiteLink is a link whose text is data.
type SiteLink struct {
	Text i18n.Text
	URL  string
}

// NavItem is an entry of the main navigation.
type NavItem struct {
	// Text is shown as it is; Key is looked up in the catalogue. Give one of them.
	Text, Key string
	URL       string
	// Current marks the section the page belongs to. [Templates.Render] sets it by the longest matching prefix when
	// no item has it.
	Current bool
	// Operation is the id of the operation that opens the page; see [Page.Permitted].
	Operation string
	// Count is shown behind the text when it is not zero: waiting work.
	Count int
}

// Section is the navigation among the pages of one part of the site, below the main one. Zero shows none.
type Section struct {
	// Title names it for who hears the page, and is the text to unfold it on a narrow screen.
	Title string
	Items []NavItem
}

// Page is what the layout needs to know; every page struct embeds it as the field Page.
type Page struct {
	// Title names the page in the window and is meant for the h1 too. The layout adds site name and "Lỗi:".
	Title string
	Lang  string
	// Principal, Path, RequestID and Site are filled by NewPage and Render.
	Principal reqctx.Principal
	Path      string
	RequestID string
	Site      Site
	// Nav is the main navigation. Left nil, the renderer's own is used.
	Nav []NavItem
	// Section lists the neighbours of the page.
	Section Section
	// Error puts "Lỗi:" before the title. Problems does so too.
	Error bool
	// Problems are those of the form on the page: the layout shows the summary above the content. Components take
	// theirs with Problems.For.
	Problems Problems
	// Notice is a message of success in a banner at the top; [Flash] sets it across a redirect.
	Notice string
	// Back is the address of "‹ Quay lại"; empty shows none.
	Back   string
	Layout Layout
	// Wide widens a citizen page for a table.
	Wide bool

	may func(operation string) bool

	query string
	// bare keeps the address out of the links of an error page, which repeats nothing of a request.
	bare bool
	cat  *i18n.Catalogue
}

type catalogueKey struct{}

// WithCatalogue returns a context whose pages take their texts from c. The web multiplexer calls it.
func WithCatalogue(ctx context.Context, c *i18n.Catalogue) context.Context {
	return context.WithValue(ctx, catalogueKey{}, c)
}

// administrator is the role of officers who may use every page of their node.
const administrator = "admin"

type permissionsKey struct{}

// WithPermissions returns a context in which permits says which operations of the node the person may use.
func WithPermissions(ctx context.Context, permits func(operation string) bool) context.Context {
	return context.WithValue(ctx, permissionsKey{}, permits)
}

// May reports whether the person who asks may use an operation of the management interface, by its id. Administrators may
// use all; others what the context says; without a word nothing.
func May(ctx context.Context, operation string) bool {
	p := reqctx.PrincipalOf(ctx)
	if p.Kind != reqctx.Officer {
		return false
	}
	permits, ok := ctx.Value(permissionsKey{}).(func(string) bool)
	return p.Has(administrator) || ok && permits(operation)
}

// May reports whether who looks at the page may use an operation, so that the page offers nothing that would be refused.
func (p Page) May(operation string) bool { return p.may != nil && p.may(operation) }

// Permitted returns the entries of a navigation whose page the person may open.
func (p Page) Permitted(items []NavItem) []NavItem {
	var out []NavItem
	for _, it := range items {
		if it.Operation == "" || p.May(it.Operation) {
			out = append(out, it)
		}
	}
	return out
}

// BackTo returns the address when it is a page of the section, and none when the person may not open it.
func (p Page) BackTo(url string) string {
	for _, it := range p.Section.Items {
		if it.URL == url {
			return url
		}
	}
	return ""
}

// NewPage returns the page of a request, titled by a message.
func NewPage(r *http.Request, titleKey string, args ...any) Page {
	ctx := r.Context()
	p := Page{
		Lang: reqctx.Lang(ctx), Principal: reqctx.PrincipalOf(ctx), Path: r.URL.Path, query: r.URL.RawQuery,
		RequestID: reqctx.RequestID(ctx),
		may:       func(operation string) bool { return May(ctx, operation) },
	}
	p.cat, _ = ctx.Value(catalogueKey{}).(*i18n.Catalogue)
	if titleKey != "" {
		p.Title = p.T(titleKey, args...)
	}
	return p
}

// T returns a message in the language of the page.
func (p Page) T(key string, args ...any) string {
	if p.cat == nil {
		return "[" + key + "]"
	}
	return p.cat.T(p.Lang, key, args...)
}

// LangLink is one choice of the language switch.
type LangLink struct {
	Lang, Name, URL string
	Current         bool
}

// Languages lists the choices of the language switch.
func (p Page) Languages() []LangLink {
	names := map[string]string{"vi": "Tiếng Việt", "en": "English"}
	links := make([]LangLink, 0, len(i18n.Langs))
	for _, l := range i18n.Langs {
		q, err := url.ParseQuery(p.query)
		if err != nil || p.bare {
			q = url.Values{}
		}
		q.Set("lang", l)
		links = append(links, LangLink{Lang: l, Name: names[l], URL: "?" + q.Encode(), Current: l == p.Lang})
	}
	return links
}

// SignInURL is the link of the header; it leads back here.
func (p Page) SignInURL() string {
	in := p.Site.SignIn
	if in == "" {
		in = "/login"
	}
	if p.Path == in || p.Path == "" || p.bare {
		return in
	}
	next := p.Path
	if p.query != "" {
		next += "?" + p.query
	}
	return in + "?next=" + url.QueryEscape(next)
}

// SignOutURL is the address that takes the POST of the sign-out button.
func (p Page) SignOutURL() string {
	if p.Site.SignOut == "" {
		return "/logout"
	}
	return p.Site.SignOut
}

// currentNav marks the item that is the longest prefix of path, unless one is marked already.
func currentNav(items []NavItem, path string) []NavItem {
	best, out := -1, make([]NavItem, len(items))
	copy(out, items)
	for i, it := range out {
		if it.Current {
			return out
		}
		match := it.URL == path || it.URL != "/" && strings.HasPrefix(path, strings.TrimSuffix(it.URL, "/")+"/")
		if match && (best < 0 || len(it.URL) > len(out[best].URL)) {
			best = i
		}
	}
	if best >= 0 {
		out[best].Current = true
	}
	return out
}

const flashCookie = "flash"

// Flash leaves a message for the next page, across the redirect that follows a POST. Only a key travels, so that the
// cookie holds nothing personal.
func Flash(w http.ResponseWriter, key string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // a key, no secret: it may travel without TLS
		Name: flashCookie, Value: key, Path: "/", MaxAge: 60, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func takeFlash(w http.ResponseWriter, r *http.Request, c *i18n.Catalogue, lang string) string {
	k, err := r.Cookie(flashCookie)
	if err != nil || k.Value == "" {
		return ""
	}
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode}) //nolint:gosec // as above
	if c == nil || !c.Has(i18n.Langs[0], k.Value) {
		return ""
	}
	return c.T(lang, k.Value)
}
