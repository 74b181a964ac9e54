package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"reflect"
	"strings"
	"sync"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
)

//go:embed templates/*.html
var templatesFS embed.FS

// Options configures a [Renderer].
type Options struct {
	Lang *i18n.Catalogue
	Site Site
	// Assets are the style sheet and fonts; nil takes [NewAssets] without an overlay.
	Assets *Assets
	// Nav returns the main navigation for who asks; nil shows none. Pages may bring their own.
	Nav func(r *http.Request, p reqctx.Principal) []NavItem
}

// Renderer parses and draws pages. It is safe for concurrent use.
type Renderer struct {
	opt   Options
	base  map[string]*template.Template // by language; cloned, never executed
	pages *Templates                    // the error page
}

// NewRenderer parses layout and components.
func NewRenderer(opt Options) (rd *Renderer, err error) {
	defer errs.Wrap(&err, "ui renderer")
	if opt.Assets == nil {
		if opt.Assets, err = NewAssets(nil); err != nil {
			return nil, err
		}
	}
	rd = &Renderer{opt: opt, base: map[string]*template.Template{}}
	for _, lang := range i18n.Langs {
		t, err := template.New("").Funcs(rd.funcs(lang)).ParseFS(templatesFS, "templates/*.html")
		if err != nil {
			return nil, err
		}
		rd.base[lang] = t
	}
	rd.pages, err = rd.Parse(pagesFS, "pages/*.html")
	return rd, err
}

// Assets returns the assets to mount under /assets/.
func (rd *Renderer) Assets() *Assets { return rd.opt.Assets }

// Templates are the pages of one package. A page is compiled when it is first asked for: a node has some sixty pages in
// two languages, and most nodes serve a handful of them, so that compiling all would be most of an idle node's heap.
type Templates struct {
	rd              *Renderer
	pages, partials map[string]string // file → text, checked when read
	names           map[string]string // page → file

	mu       sync.Mutex // guards compiled
	compiled map[compiledKey]*template.Template
}

type compiledKey struct{ lang, page string }

// Parse reads the files of fsys that match patterns. A file that defines "main" is a page, named by its base name
// without ".html"; the others are partials that all pages of the call may use. Every file is checked here, so that a
// mistake stops the start and not a request.
func (rd *Renderer) Parse(fsys fs.FS, patterns ...string) (*Templates, error) {
	pages, partials, err := rd.sortFiles(fsys, patterns)
	if err != nil {
		return nil, err
	}
	t := &Templates{rd: rd, pages: pages, partials: partials, names: map[string]string{}, compiled: map[compiledKey]*template.Template{}}
	for f := range pages {
		t.names[strings.TrimSuffix(path.Base(f), ".html")] = f
	}
	return t, nil
}

// page returns a compiled page, or nil when there is none of that name.
func (t *Templates) page(lang, name string) (*template.Template, error) {
	f, ok := t.names[name]
	base := t.rd.base[lang]
	if !ok || base == nil {
		return nil, nil
	}
	key := compiledKey{lang, name}
	t.mu.Lock()
	defer t.mu.Unlock()
	if tm := t.compiled[key]; tm != nil {
		return tm, nil
	}
	tm, err := base.Clone()
	if err != nil {
		return nil, fmt.Errorf("clone layout: %w", err)
	}
	for partial, text := range t.partials {
		if _, err := tm.New(partial).Parse(text); err != nil {
			return nil, fmt.Errorf("partial %s: %w", partial, err)
		}
	}
	if _, err := tm.New(f).Parse(t.pages[f]); err != nil {
		return nil, fmt.Errorf("page %s: %w", f, err)
	}
	t.compiled[key] = tm
	return tm, nil
}

func (rd *Renderer) sortFiles(fsys fs.FS, patterns []string) (pages, partials map[string]string, err error) {
	pages, partials = map[string]string{}, map[string]string{}
	for _, pattern := range patterns {
		files, err := fs.Glob(fsys, pattern)
		if err != nil {
			return nil, nil, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if len(files) == 0 {
			return nil, nil, fmt.Errorf("pattern %q matches no template", pattern)
		}
		for _, f := range files {
			b, err := fs.ReadFile(fsys, f)
			if err != nil {
				return nil, nil, fmt.Errorf("template: %w", err)
			}
			alone, err := template.New(f).Funcs(rd.funcs(i18n.Langs[0])).Parse(string(b))
			if err != nil {
				return nil, nil, fmt.Errorf("template %s: %w", f, err)
			}
			if alone.Lookup("main") != nil {
				pages[f] = string(b)
			} else {
				partials[f] = string(b)
			}
		}
	}
	return pages, partials, nil
}

// Render draws a page into a buffer and writes it with status. data is a struct, or a pointer to one, that embeds
// [Page]; it is copied, and the copy completed with what only the request knows.
func (t *Templates) Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	lang := reqctx.Lang(r.Context())
	tm, err := t.page(lang, strings.TrimSuffix(name, ".html"))
	if err == nil && tm == nil {
		err = fmt.Errorf("no template %q in %q", name, lang)
	}
	if err != nil {
		return errs.E(errs.Internal, "error.internal", err)
	}
	v, err := t.rd.complete(w, r, status, data)
	if err != nil {
		return errs.E(errs.Internal, "error.internal", fmt.Errorf("page %q: %w", name, err))
	}
	var buf bytes.Buffer
	if err := tm.ExecuteTemplate(&buf, "layout", v); err != nil {
		return errs.E(errs.Internal, "error.internal", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", lang)
	if h.Get("Cache-Control") == "" {
		// Commune offices lend their machines: the next person must not find pages by the back button.
		cache := "no-store"
		if reqctx.PrincipalOf(r.Context()).Anonymous() && status == http.StatusOK && r.Method == http.MethodGet {
			cache = "private, no-cache"
		}
		h.Set("Cache-Control", cache)
	}
	w.WriteHeader(status)
	w.Write(buf.Bytes())
	return nil
}

// complete returns a pointer to a copy of data whose Page has everything the layout needs.
func (rd *Renderer) complete(w http.ResponseWriter, r *http.Request, status int, data any) (any, error) {
	v := reflect.ValueOf(data)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("data is %T, not a struct", data)
	}
	c := reflect.New(v.Type())
	c.Elem().Set(v)
	var p *Page
	if direct, ok := reflect.TypeAssert[*Page](c); ok {
		// A page without data of its own is wrapped, so that templates find .Page everywhere.
		return rd.complete(w, r, status, struct{ Page }{*direct})
	}
	f := c.Elem().FieldByName("Page")
	if f.IsValid() && f.CanAddr() {
		p, _ = reflect.TypeAssert[*Page](f.Addr())
	}
	if p == nil {
		return nil, fmt.Errorf("%T does not embed ui.Page", data)
	}
	fresh := NewPage(r, "")
	p.Lang, p.Path, p.query, p.RequestID, p.cat = fresh.Lang, fresh.Path, fresh.query, fresh.RequestID, rd.opt.Lang
	p.Principal, p.Site = fresh.Principal, rd.opt.Site
	p.Error = p.Error || len(p.Problems) > 0
	if p.Nav == nil && rd.opt.Nav != nil {
		p.Nav = rd.opt.Nav(r, p.Principal)
	}
	p.Nav, p.Section.Items = currentNav(p.Nav, p.Path), currentNav(p.Section.Items, p.Path)
	if p.Notice == "" && status == http.StatusOK && r.Method == http.MethodGet {
		p.Notice = takeFlash(w, r, rd.opt.Lang, p.Lang)
	}
	return c.Interface(), nil
}
