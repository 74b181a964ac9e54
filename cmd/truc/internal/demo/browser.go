package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// browser is a person's browser without JavaScript: it follows links and redirects, keeps cookies and sends forms with
// what stands in them. It sends the fetch metadata a browser would, so the protections of the site are in the way as
// in real life.
type browser struct {
	client *http.Client
	// signing is set once a sign-in was begun: it may have worked although the answer was lost.
	signing bool
}

func newBrowser() *browser {
	jar, _ := cookiejar.New(nil) // never fails without options
	return &browser{client: &http.Client{Jar: jar, Timeout: 30 * time.Second}}
}

// page is what a browser shows.
type page struct {
	b      *browser
	status int
	url    *url.URL
	media  string
	body   []byte
	doc    *html.Node
}

func (b *browser) do(req *http.Request) (*page, error) {
	req.Header.Set("Accept", "text/html,application/xhtml+xml,application/pdf;q=0.9,*/*;q=0.8")
	req.Header.Set("User-Agent", "Mozilla/5.0 (truc demo)")
	res, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	p := &page{b: b, status: res.StatusCode, url: res.Request.URL, media: res.Header.Get("Content-Type"), body: body}
	if strings.HasPrefix(p.media, "text/html") {
		if p.doc, err = html.Parse(bytes.NewReader(body)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// get opens an address; a status of 400 and above is an error that quotes the heading of the page.
func (b *browser) get(ctx context.Context, to string) (*page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return nil, err
	}
	p, err := b.do(req)
	if err != nil {
		return nil, err
	}
	return p, p.fault()
}

func (p *page) fault() error {
	if p.status < 400 {
		return nil
	}
	what := p.heading()
	if bad := p.first("tr-errors"); bad != nil {
		what += ": " + text(bad)
	}
	if note := p.first("tr-notice"); note != nil {
		what += ": " + text(note)
	}
	return fmt.Errorf("%s answered %d: %s", p.url.Path, p.status, what)
}

// form is an HTML form with its controls as they stand.
type form struct {
	page    *page
	node    *html.Node
	method  string
	action  string
	multi   bool
	values  url.Values
	buttons []*html.Node
	files   map[string]upload
}

type upload struct {
	name, media string
	content     []byte
}

// form returns the form with the id, or the first form whose action ends with it.
func (p *page) form(id string) (*form, error) {
	var found *html.Node
	for _, n := range p.all("form") {
		if attr(n, "id") == id || strings.HasSuffix(attr(n, "action"), id) {
			if strings.EqualFold(attr(n, "method"), "post") {
				return p.read(n), nil
			}
			if found == nil {
				found = n
			}
		}
	}
	if found != nil {
		return p.read(found), nil
	}
	return nil, fmt.Errorf("%s has no form %q (%s)", p.url.Path, id, p.heading())
}

func (p *page) read(n *html.Node) *form {
	f := &form{page: p, node: n, method: strings.ToUpper(attr(n, "method")), action: attr(n, "action"), values: url.Values{}, files: map[string]upload{}}
	f.multi = attr(n, "enctype") == "multipart/form-data"
	for c := range n.Descendants() {
		if c.Type != html.ElementNode || has(c, "disabled") {
			continue
		}
		name := attr(c, "name")
		switch c.DataAtom {
		case atom.Input:
			switch attr(c, "type") {
			case "submit", "button", "image":
				f.buttons = append(f.buttons, c)
			case "radio", "checkbox":
				if has(c, "checked") {
					f.values.Add(name, orDefault(attr(c, "value"), "on"))
				}
			case "file":
			default:
				if name != "" {
					f.values.Add(name, attr(c, "value"))
				}
			}
		case atom.Textarea:
			f.values.Add(name, text(c))
		case atom.Select:
			for o := range c.Descendants() {
				if o.DataAtom == atom.Option && has(o, "selected") {
					f.values.Add(name, attr(o, "value"))
				}
			}
		case atom.Button:
			if t := attr(c, "type"); t == "" || t == "submit" {
				f.buttons = append(f.buttons, c)
			}
		}
	}
	return f
}

// has reports whether the form has a control of that name.
func (f *form) control(name string) bool {
	for c := range f.node.Descendants() {
		if c.Type == html.ElementNode && attr(c, "name") == name {
			return true
		}
	}
	return false
}

func (f *form) set(name, value string) *form { f.values.Set(name, value); return f }

// fill sets those of the values that the form has controls for.
func (f *form) fill(values map[string]string) {
	for name, v := range values {
		if f.control(name) {
			f.values.Set(name, v)
		}
	}
}

// press sends the form with the button whose name, value or words match; "" is the first button.
func (f *form) press(ctx context.Context, button string) (*page, error) {
	values := url.Values{}
	for k, v := range f.values {
		values[k] = slices.Clone(v)
	}
	action, method := f.action, f.method
	found := button == ""
	for i, b := range f.buttons {
		if button == "" && i > 0 {
			break
		}
		if button != "" && attr(b, "value") != button && attr(b, "name") != button && !strings.Contains(text(b), button) {
			continue
		}
		found = true
		if name := attr(b, "name"); name != "" {
			values.Set(name, attr(b, "value"))
		}
		if a := attr(b, "formaction"); a != "" {
			action = a
		}
		break
	}
	if !found {
		return nil, fmt.Errorf("%s: the form has no button %q", f.page.url.Path, button)
	}
	return f.send(ctx, method, action, values)
}

func (f *form) send(ctx context.Context, method, action string, values url.Values) (*page, error) {
	to, err := f.page.url.Parse(action)
	if err != nil {
		return nil, err
	}
	if method != http.MethodPost {
		to.RawQuery = values.Encode()
		return f.page.b.get(ctx, to.String())
	}
	body, contentType := io.Reader(strings.NewReader(values.Encode())), "application/x-www-form-urlencoded"
	if f.multi {
		var buf bytes.Buffer
		w := multipart.NewWriter(&buf)
		for k, vs := range values {
			for _, v := range vs {
				if err := w.WriteField(k, v); err != nil {
					return nil, err
				}
			}
		}
		for field, u := range f.files {
			h := textproto.MIMEHeader{}
			h.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q; filename=%q`, field, u.name))
			h.Set("Content-Type", u.media)
			part, err := w.CreatePart(h)
			if err != nil {
				return nil, err
			}
			if _, err := part.Write(u.content); err != nil {
				return nil, err
			}
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		body, contentType = &buf, w.FormDataContentType()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Origin", f.page.url.Scheme+"://"+f.page.url.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	p, err := f.page.b.do(req)
	if err != nil {
		return nil, err
	}
	if err := p.fault(); err != nil {
		return p, err
	}
	return p, nil
}

// follow opens the first link whose address contains part.
func (p *page) follow(ctx context.Context, part string) (*page, error) {
	for _, a := range p.all("a") {
		if href := attr(a, "href"); strings.Contains(href, part) {
			to, err := p.url.Parse(href)
			if err != nil {
				return nil, err
			}
			return p.b.get(ctx, to.String())
		}
	}
	return nil, fmt.Errorf("%s has no link with %q (%s)", p.url.Path, part, p.heading())
}

func (p *page) all(tag string) []*html.Node {
	var out []*html.Node
	if p.doc == nil {
		return nil
	}
	for n := range p.doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == tag {
			out = append(out, n)
		}
	}
	return out
}

// first returns the first element with the class.
func (p *page) first(class string) *html.Node {
	if p.doc == nil {
		return nil
	}
	for n := range p.doc.Descendants() {
		if n.Type == html.ElementNode && slices.Contains(strings.Fields(attr(n, "class")), class) {
			return n
		}
	}
	return nil
}

// data returns the value of the first data attribute of that name on the page.
func (p *page) data(name string) string {
	if p.doc == nil {
		return ""
	}
	for n := range p.doc.Descendants() {
		if n.Type == html.ElementNode && has(n, "data-"+name) {
			return attr(n, "data-"+name)
		}
	}
	return ""
}

func (p *page) heading() string {
	if h := p.all("h1"); len(h) > 0 {
		return text(h[0])
	}
	if len(p.body) > 120 {
		return string(p.body[:120])
	}
	return string(p.body)
}

func (p *page) has(words string) bool {
	return p.doc != nil && strings.Contains(text(p.doc), words)
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

var space = regexp.MustCompile(`\s+`)

func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode && (c.Parent == nil || c.Parent.DataAtom != atom.Style && c.Parent.DataAtom != atom.Script) {
			b.WriteString(c.Data)
			b.WriteByte(' ')
		}
	}
	return strings.TrimSpace(space.ReplaceAllString(b.String(), " "))
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// signIn goes to a page that needs a person, and signs in as an account of the test provider.
func (b *browser) signIn(ctx context.Context, to, kind, account string) error {
	p, err := b.get(ctx, to)
	if err != nil {
		return err
	}
	if b.signing && !strings.Contains(p.url.Path, "/login") && !strings.Contains(p.url.Path, "/idp/") {
		return nil
	}
	return b.signInFrom(ctx, p, kind, account)
}

// signInFrom signs in from the page that asks for it.
func (b *browser) signInFrom(ctx context.Context, p *page, kind, account string) error {
	var err error
	if !strings.Contains(p.url.Path, "/login") && !strings.Contains(p.url.Path, "/idp/") {
		return errors.New("the page did not ask to sign in")
	}
	if strings.Contains(p.url.Path, "/login") {
		if p, err = p.follow(ctx, "kind="+kind); err != nil {
			return err
		}
	}
	f, err := p.form("/idp/authorize")
	if err != nil {
		return err
	}
	b.signing = true
	_, err = f.press(ctx, account)
	return err
}

// fileField returns the name of the file control that contains part, or "".
func (f *form) fileField(part string) string {
	for c := range f.node.Descendants() {
		if c.DataAtom == atom.Input && attr(c, "type") == "file" && strings.Contains(attr(c, "name"), part) {
			return attr(c, "name")
		}
	}
	return ""
}

// until repeats f until it returns true, for what travels between nodes.
func until(ctx context.Context, what string, f func() (bool, error)) error {
	deadline := time.Now().Add(25 * time.Second)
	for {
		ok, err := f()
		if ok {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%s did not happen in time: %w", what, errors.Join(err, ctx.Err(), errors.New("waited long enough")))
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// radios returns the names of the radio groups of a form.
func (f *form) radios() map[string]bool {
	out := map[string]bool{}
	for c := range f.node.Descendants() {
		if c.DataAtom == atom.Input && attr(c, "type") == "radio" {
			out[attr(c, "name")] = true
		}
	}
	return out
}

// section returns the element whose data attribute has the value.
func (p *page) section(name, value string) *html.Node {
	if p.doc == nil {
		return nil
	}
	for n := range p.doc.Descendants() {
		if n.Type == html.ElementNode && attr(n, "data-"+name) == value {
			return n
		}
	}
	return nil
}

// formIn returns the first form inside a section, or nil.
func (p *page) formIn(name, value string) *form {
	sec := p.section(name, value)
	if sec == nil {
		return nil
	}
	for n := range sec.Descendants() {
		if n.DataAtom == atom.Form {
			return p.read(n)
		}
	}
	return nil
}
