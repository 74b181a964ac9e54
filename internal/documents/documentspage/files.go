package documentspage

import (
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// file hands out a file of a document as a stream, with ranges, so that an attachment of any size can be fetched and
// fetched on.
func (p *Pages) file(w http.ResponseWriter, r *http.Request) error {
	f, content, err := p.Desk.FileOf(r.Context(), p.who(r), r.PathValue("id"), r.PathValue("file"))
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // it was only read
	return web.ServeFile(w, r, web.File{Name: f.Name, Type: mediaOf(f), Inline: true}, content)
}

// receipt hands out a signed receipt; truc verify checks it.
func (p *Pages) receipt(w http.ResponseWriter, r *http.Request) error {
	sha := r.PathValue("sha")
	content, err := p.Desk.ReceiptOf(r.Context(), p.who(r), r.PathValue("id"), sha)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // it was only read
	return web.ServeFile(w, r, web.File{Name: "bien-nhan-" + sha[:min(8, len(sha))] + ".json", Type: "application/json"}, content)
}

// mediaOf is what a browser may believe of a file: a file that lies about itself is bytes.
func mediaOf(f documents.File) string {
	if f.Lies || f.Media == "" {
		return "application/octet-stream"
	}
	return f.Media
}

// preview prints a draft as it would be signed, with a watermark.
func (p *Pages) preview(w http.ResponseWriter, r *http.Request) error {
	pdf, err := p.Desk.Preview(r.Context(), p.who(r), r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, web.File{Name: "du-thao.pdf", Type: "application/pdf", Inline: true, Data: pdf})
}

// attach takes one file, as a stream: the version comes before it in the form.
func (p *Pages) attach(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	err := p.takeFile(w, r, id)
	if err == nil {
		ui.Flash(w, "docs.flash.attached")
		return web.SeeOther(w, r, documentURL(documents.Out, id)+"#attachments")
	}
	switch errs.KindOf(err) {
	case errs.Invalid, errs.TooLarge, errs.Conflict:
		page, failed := p.outgoingPage(r, id)
		if failed != nil {
			return failed
		}
		page.Attach.Error = &ui.Problem{Field: page.Attach.Name, Text: p.text(page.Lang, err)}
		page.Problems = ui.Problems{*page.Attach.Error}
		return p.templates.Render(w, r, statusOf(err), "outgoing", page)
	default:
		return err
	}
}

func (p *Pages) takeFile(w http.ResponseWriter, r *http.Request, id string) error {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return errs.E(errs.Invalid, "web.form_type", err)
	}
	r.Body = http.MaxBytesReader(w, r.Body, p.Desk.MaxAttachment()+1<<20)
	parts := multipart.NewReader(r.Body, params["boundary"])
	var version int64
	for range 8 {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errs.E(errs.Invalid, "web.form_type", err)
		}
		switch part.FormName() {
		case "version":
			b, err := io.ReadAll(io.LimitReader(part, 32))
			if err != nil {
				return errs.E(errs.Invalid, "docs.problem.version", err)
			}
			if version, err = strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err != nil || version <= 0 {
				return errs.E(errs.Invalid, "docs.problem.version", err)
			}
		case "file":
			if part.FileName() == "" {
				return errs.E(errs.Invalid, "docs.problem.no_file", nil)
			}
			_, err := p.Desk.Attach(r.Context(), p.who(r), id, version, part.FileName(), part.Header.Get("Content-Type"), part)
			return err
		}
	}
	return errs.E(errs.Invalid, "docs.problem.no_file", nil)
}

func (p *Pages) detach(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, maxForm)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	version, err := versionOf(form)
	if err != nil {
		return err
	}
	if err := p.Desk.Detach(r.Context(), p.who(r), id, version, form.Get("file")); err != nil {
		p.Log.InfoContext(r.Context(), "an attachment was not taken off", slog.Any("error", err))
		return err
	}
	ui.Flash(w, "docs.flash.detached")
	return web.SeeOther(w, r, documentURL(documents.Out, id)+"#attachments")
}

func versionOf(form url.Values) (int64, error) {
	version, err := strconv.ParseInt(form.Get("version"), 10, 64)
	if err != nil || version <= 0 {
		return 0, errs.E(errs.Invalid, "docs.problem.version", err)
	}
	return version, nil
}
