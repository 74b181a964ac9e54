package servicesdesk

import (
	"net/http"
	"strings"

	"truc/internal/web"
)

// document hands out a slip or result of the dossier.
func (p *Pages) document(w http.ResponseWriter, r *http.Request) error {
	ref, content, err := p.Desk.Document(r.Context(), who(r), r.PathValue("number"), r.PathValue("doc"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: r.PathValue("number") + "-" + ref.Kind + ".pdf", Type: ref.Media, Inline: true, Data: content})
}

// paper hands out an uploaded paper. Its media type is what was found when it was taken in; whatever is no PDF or picture
// is never shown in our name.
func (p *Pages) paper(w http.ResponseWriter, r *http.Request) error {
	ref, content, err := p.Desk.Paper(r.Context(), who(r), r.PathValue("number"), r.PathValue("sha"))
	if err != nil {
		return err
	}
	media := http.DetectContentType(content)
	if !viewable(media) {
		media = "application/octet-stream"
	}
	return web.WriteFile(w, web.File{Name: ref.File, Type: media, Inline: true, Data: content})
}

func viewable(media string) bool {
	return media == "application/pdf" || media == "image/png" || media == "image/jpeg"
}

func picture(media string) bool { return strings.HasPrefix(media, "image/") && viewable(media) }

// preview draws the result as it would be signed.
func (p *Pages) preview(w http.ResponseWriter, r *http.Request) error {
	pdf, err := p.Desk.Preview(r.Context(), who(r), r.PathValue("number"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: r.PathValue("number") + "-du-thao.pdf", Type: "application/pdf", Inline: true, Data: pdf})
}
