package servicespage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"truc/internal/services/bundle"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// defaultMaxBytes is the limit of a file where the bundle names none.
const defaultMaxBytes = 10 << 20

// kind is a media type as people call it; "" is not taken in at all.
func kind(media string) string {
	switch media {
	case "application/pdf":
		return "PDF"
	case "image/jpeg":
		return "JPG"
	case "image/png":
		return "PNG"
	}
	return ""
}

// sniff says what the bytes are, whatever name and type the browser gave them. A PDF must begin with its header: a
// page of HTML that carries one further down is not taken for a PDF. What is none of the known kinds is "".
func sniff(data []byte) string {
	if bytes.HasPrefix(data, []byte("%PDF-")) {
		return "application/pdf"
	}
	media, _, _ := strings.Cut(http.DetectContentType(data), ";")
	if media != "application/pdf" && kind(media) != "" {
		return media
	}
	return ""
}

// limits says in words which kinds are taken and how large a file may be, in MB.
func limits(accept []string, maxBytes int64) (words []string, mb int) {
	for _, a := range accept {
		if w := kind(a); w != "" {
			words = append(words, w)
		}
	}
	if len(accept) == 0 {
		words = []string{"PDF", "JPG", "PNG"}
	}
	if maxBytes <= 0 {
		maxBytes = defaultMaxBytes
	}
	return words, max(1, int(maxBytes>>20))
}

// size says a number of bytes: "84 kB", "1,2 MB".
func size(lang string, n int64) string {
	if n < 1<<20 {
		return strconv.FormatInt(max(1, n>>10), 10) + " kB"
	}
	s := strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64)
	if lang == "vi" {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s + " MB"
}

// keepFile stores the file of a file field of a form, by its hash.
func (p *Pages) keepFile(r *http.Request, f *bundle.Field, up web.Upload) (*ui.Problem, string, error) {
	words, mb := limits(f.Accept, f.MaxBytes)
	media := sniff(up.Data)
	switch {
	case len(up.Data) == 0:
		return &ui.Problem{Field: f.Name(), Key: "services.paper.empty"}, "", nil
	case len(up.Data) > mb<<20:
		return &ui.Problem{Field: f.Name(), Key: "services.paper.too_large", Args: []any{"max", mb}}, "", nil
	case media == "" || len(f.Accept) > 0 && !slices.Contains(f.Accept, media):
		return &ui.Problem{Field: f.Name(), Key: "services.paper.wrong_type", Args: []any{"accept", strings.Join(words, ", ")}}, "", nil
	}
	sum := sha256.Sum256(up.Data)
	sha := hex.EncodeToString(sum[:])
	return nil, sha, p.Portal.Store.PutBlob(r.Context(), sha, media, up.Data, p.Now())
}
