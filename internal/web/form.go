package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Upload is one file of a form, in memory: uploads hold papers of people and must not lie about in /tmp.
type Upload struct {
	// Field is the name of the input.
	Field string
	// Name is the file name as the person's machine calls it, without folders, in NFC. Show it, never open it.
	Name string
	// Type is what the first bytes look like, whatever the browser claimed.
	Type string
	Data []byte
}

const (
	// maxParts bounds the number of fields and files of one form.
	maxParts = 1000
	// maxText bounds what is typed into a form that carries files: the limit of such a form is for the files.
	maxText = 1 << 20
)

// ReadForm reads the body of a POST of at most max bytes (0: 1 MiB). Values are in NFC with \n as the end of line.
// Errors are Invalid or TooLarge. Files are dropped; see [ReadUpload].
func ReadForm(w http.ResponseWriter, r *http.Request, limit int64) (url.Values, error) {
	form, _, err := ReadUpload(w, r, limit)
	return form, err
}

// ReadUpload is [ReadForm] for forms that carry files.
func ReadUpload(w http.ResponseWriter, r *http.Request, limit int64) (form url.Values, files []Upload, err error) {
	if limit <= 0 {
		limit = 1 << 20
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/x-www-form-urlencoded":
		form, err = readURLEncoded(r.Body)
	case err == nil && kind == "multipart/form-data" && params["boundary"] != "":
		form, files, err = readMultipart(r)
	default:
		return nil, nil, errs.E(errs.Invalid, "web.form_type", nil)
	}
	if err != nil {
		return nil, nil, formError(err)
	}
	if form, err = clean(form); err != nil {
		return nil, nil, err
	}
	return form, files, nil
}

// Query returns the parameters of the address, cleaned like those of a form. What is malformed is dropped.
func Query(r *http.Request) url.Values {
	q, err := clean(r.URL.Query())
	if err != nil {
		return url.Values{}
	}
	return q
}

func formError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errs.E(errs.TooLarge, "error.too_large", err)
	}
	if _, ok := errors.AsType[*errs.Error](err); ok {
		return err
	}
	// The cause may quote the input: it is dropped.
	return errs.E(errs.Invalid, "web.form_broken", nil)
}

func readURLEncoded(body io.Reader) (url.Values, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	if strings.Count(string(b), "&") >= maxParts {
		return nil, errs.E(errs.TooLarge, "error.too_large", nil)
	}
	return url.ParseQuery(string(b))
}

func readMultipart(r *http.Request) (url.Values, []Upload, error) {
	mr, err := r.MultipartReader()
	if err != nil {
		return nil, nil, err
	}
	form, files, text := url.Values{}, []Upload(nil), 0
	for n := 0; ; n++ {
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return form, files, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if n >= maxParts {
			return nil, nil, errs.E(errs.TooLarge, "error.too_large", nil)
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case part.FileName() != "":
			if !utf8.ValidString(part.FileName()) {
				return nil, nil, errs.E(errs.Invalid, "web.form_broken", nil)
			}
			files = append(files, Upload{
				Field: part.FormName(), Name: fileName(part.FileName()), Type: http.DetectContentType(b), Data: b,
			})
		case part.FormName() != "" && !isEmptyFile(part.Header.Get("Content-Disposition")):
			if text += len(b); text > maxText {
				return nil, nil, errs.E(errs.TooLarge, "error.too_large", nil)
			}
			form.Add(part.FormName(), string(b))
		}
	}
}

// isEmptyFile reports whether a part is a file input that was left empty: filename="".
func isEmptyFile(disposition string) bool {
	_, params, err := mime.ParseMediaType(disposition)
	_, file := params["filename"]
	return err == nil && file
}

// fileName keeps the last element of a name, since some browsers send whole paths, without control characters.
func fileName(s string) string {
	s = i18n.NFC(s[strings.LastIndexAny(s, `/\`)+1:])
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

func clean(in url.Values) (url.Values, error) {
	out := make(url.Values, len(in))
	for k, vs := range in {
		if !utf8.ValidString(k) {
			return nil, errs.E(errs.Invalid, "web.form_broken", nil)
		}
		for _, v := range vs {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return nil, errs.E(errs.Invalid, "web.form_broken", nil)
			}
			v = strings.ReplaceAll(strings.ReplaceAll(v, "\r\n", "\n"), "\r", "\n")
			out.Add(k, i18n.NFC(v))
		}
	}
	return out, nil
}
