package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
)

//go:embed css/*.css fonts/*.woff2 fonts/OFL.txt icons/*.svg js/*.js
var assetsFS embed.FS

// sheets are the parts of the style sheet, in order. A province overlays tokens.css.
var sheets = []string{"fonts.css", "tokens.css", "base.css", "layout.css", "forms.css", "components.css", "officer.css", "charts.css", "print.css"}

// Assets are the files all pages need, in memory, compressed once, under an address that changes with any of them.
type Assets struct {
	hash  string
	files map[string]asset
}

type asset struct {
	kind     string
	data, gz []byte
}

// NewAssets reads the embedded files. overlay, which may be nil, replaces files by name and adds others: a province
// ships its tokens.css and emblem.svg there.
func NewAssets(overlay fs.FS) (*Assets, error) {
	raw := map[string][]byte{}
	for _, src := range []fs.FS{assetsFS, overlay} {
		if src == nil {
			continue
		}
		err := fs.WalkDir(src, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := fs.ReadFile(src, p)
			raw[path.Base(p)] = b
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read assets: %w", err)
		}
	}
	var css bytes.Buffer
	for _, s := range sheets {
		if raw[s] == nil {
			return nil, errors.New("style sheet " + s + " is missing")
		}
		css.Write(raw[s])
		delete(raw, s)
	}
	raw["truc.css"] = css.Bytes()
	return pack(raw)
}

func pack(raw map[string][]byte) (*Assets, error) {
	names := make([]string, 0, len(raw))
	for n := range raw {
		names = append(names, n)
	}
	slices.Sort(names)
	h, a := sha256.New(), &Assets{files: map[string]asset{}}
	for _, n := range names {
		h.Write(fmt.Appendf(nil, "%s %d\n", n, len(raw[n])))
		h.Write(raw[n])
		f := asset{kind: contentType(n), data: raw[n]}
		if !strings.HasSuffix(n, ".woff2") && !strings.HasSuffix(n, ".png") { // compressed already
			var buf bytes.Buffer
			z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
			if err != nil {
				return nil, fmt.Errorf("compress %s: %w", n, err)
			}
			if _, err := z.Write(raw[n]); err != nil {
				return nil, fmt.Errorf("compress %s: %w", n, err)
			}
			if err := z.Close(); err != nil {
				return nil, fmt.Errorf("compress %s: %w", n, err)
			}
			f.gz = buf.Bytes()
		}
		a.files[n] = f
	}
	a.hash = hex.EncodeToString(h.Sum(nil))[:12]
	return a, nil
}

func contentType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".woff2":
		return "font/woff2"
	case ".json":
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

// URL returns the address of an asset. An unknown name is a mistake in a template and shows as a broken address.
func (a *Assets) URL(name string) string { return "/assets/" + a.hash + "/" + name }

// Has reports whether there is such an asset.
func (a *Assets) Has(name string) bool { _, ok := a.files[name]; return ok }

// Mount registers /assets/ and /favicon.ico, by the Mount method of a multiplexer.
func (a *Assets) Mount(m interface{ Mount(string, http.Handler) }) {
	m.Mount("GET /assets/", a)
	m.Mount("GET /favicon.ico", http.HandlerFunc(a.Favicon))
}

// ServeHTTP serves /assets/<hash>/<name>. An old hash, which pages of a version just replaced still use, gets
// today's file, uncached.
func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	dir, name := path.Split(strings.TrimPrefix(r.URL.Path, "/assets/"))
	f, ok := a.files[name]
	if !ok {
		http.Error(w, "404", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "no-cache")
	if dir == a.hash+"/" {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if f.gz != nil {
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			w.Write(f.gz)
			return
		}
	}
	w.Write(f.data)
}

// Favicon serves /favicon.ico for browsers that ask without reading the page.
func (a *Assets) Favicon(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Write(a.files["favicon.svg"].data)
}
