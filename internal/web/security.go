package web

import (
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// SecurityHeaders sets the headers that narrow down what a page may do in a browser. formAction names origins
// besides our own that forms may lead to.
func SecurityHeaders(formAction []string, https bool) Middleware {
	csp := strings.Join([]string{
		"default-src 'self'",
		"object-src 'none'",
		"base-uri 'none'",
		strings.Join(append([]string{"form-action 'self'"}, formAction...), " "),
		"frame-ancestors 'none'",
	}, "; ")
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hd := w.Header()
			hd.Set("Content-Security-Policy", csp)
			hd.Set("Referrer-Policy", "same-origin")
			hd.Set("X-Content-Type-Options", "nosniff")
			hd.Set("X-Frame-Options", "DENY")
			hd.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()")
			hd.Set("Cross-Origin-Opener-Policy", "same-origin")
			hd.Set("Cross-Origin-Resource-Policy", "same-origin")
			if https {
				hd.Set("Strict-Transport-Security", "max-age=31536000")
			}
			h.ServeHTTP(w, r)
		})
	}
}

// File describes a stored file that is handed to a browser.
type File struct {
	// Name is the name to save it under; accents are kept.
	Name string
	// Type is the media type found when the file was taken in.
	Type string
	// Inline lets the browser show it, also in a frame of our own pages. It is honoured for PDF and pictures only:
	// anything else from outside could run in our name.
	Inline bool
	Data   []byte
	// Write, when set, writes the content instead of Data; it may be of any size.
	Write func(w io.Writer) error
}

// WriteFile sends f, safely whatever it contains.
func WriteFile(w http.ResponseWriter, f File) error {
	fileHeader(w, f)
	if f.Write != nil {
		return f.Write(&steady{w: w, rc: http.NewResponseController(w)})
	}
	w.Write(f.Data)
	return nil
}

// ServeFile is [WriteFile] for content that is read while it is sent, whole or the range that was asked for. Data is not
// used.
func ServeFile(w http.ResponseWriter, r *http.Request, f File, content io.ReadSeeker) error {
	fileHeader(w, f)
	http.ServeContent(w, r, "", time.Time{}, content)
	return nil
}

// fileHeader says what a file is and that it may do nothing.
func fileHeader(w http.ResponseWriter, f File) {
	hd := w.Header()
	kind, show := "attachment", false
	switch f.Type {
	case "application/pdf", "image/png", "image/jpeg":
		show = f.Inline
	}
	csp := "default-src 'none'; sandbox; frame-ancestors 'none'"
	if show {
		kind = "inline"
		// No sandbox here: the PDF viewers of browsers do not start inside one.
		csp = "default-src 'none'; img-src 'self'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
		hd.Set("X-Frame-Options", "SAMEORIGIN")
	}
	hd.Set("Content-Security-Policy", csp)
	hd.Set("Content-Type", f.Type)
	hd.Set("Content-Disposition", mime.FormatMediaType(kind, map[string]string{"filename": fileName(f.Name)}))
	hd.Set("X-Content-Type-Options", "nosniff")
	hd.Set("Cache-Control", "private, no-store")
}

// steadyWrite is how long a reader of a long file may stand still.
const steadyWrite = time.Minute

// steady writes an answer of any length: the server's limit on the whole becomes one on each part.
type steady struct {
	w  io.Writer
	rc *http.ResponseController
}

// Write implements [io.Writer].
func (s *steady) Write(b []byte) (int, error) {
	_ = s.rc.SetWriteDeadline(time.Now().Add(steadyWrite)) //nolint:forbidigo // the deadline of a socket is wall-clock time
	return s.w.Write(b)
}
