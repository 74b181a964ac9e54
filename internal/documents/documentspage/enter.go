package documentspage

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"truc/internal/documents"
	"truc/internal/errs"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// enterPage takes a document that came on paper or by another way into the register.
type enterPage struct {
	ui.Page
	Notices                                                                                  []ui.Notice
	SenderName, SenderCode, Number, Notation, Date, Subject, Signer, SignerTitle, Due, Pages ui.Input
	Type, Urgency, Secrecy                                                                   ui.Select
	File                                                                                     ui.File
	Button                                                                                   ui.Button
}

// maxScan bounds the files of a paper that a clerk scans in one form; larger ones belong on the axis.
const maxScan = 64 << 20

func (p *Pages) enter(w http.ResponseWriter, r *http.Request) error {
	return p.templates.Render(w, r, http.StatusOK, "enter", p.enterPage(r, url.Values{}, nil))
}

func (p *Pages) enterPage(r *http.Request, form url.Values, problems ui.Problems) enterPage {
	page := enterPage{Page: p.newPage(r, "docs.enter.title")}
	page.Problems, page.Back = problems, "/documents/in"
	input := func(name, key string) ui.Input {
		return ui.Input{Name: name, Label: page.T(key), Value: form.Get(name), Error: problems.For(name)}
	}
	page.SenderName, page.SenderCode = input("senderName", "docs.enter.sender"), input("senderCode", "docs.enter.sender_code")
	page.SenderCode.Width, page.SenderCode.Optional = "20", true
	page.Number, page.Notation = input("number", "docs.filter.number"), input("notation", "docs.field.notation")
	page.Number.Width, page.Notation.Width = "10", "20"
	page.Date, page.Due = input("date", "docs.fact.date"), input("dueDate", "docs.field.due_date")
	page.Date.Type, page.Due.Type, page.Due.Optional = "date", "date", true
	page.Subject, page.Signer, page.SignerTitle = input("subject", "docs.field.subject"), input("signer", "docs.fact.signer"), input("signerTitle", "docs.enter.signer_title")
	page.Signer.Optional, page.SignerTitle.Optional = true, true
	page.Pages = input("pages", "docs.enter.pages")
	page.Pages.Width, page.Pages.InputMode, page.Pages.Optional = "4", "numeric", true
	page.Type = ui.Select{Name: "type", Label: page.T("docs.field.type"), Value: form.Get("type"), Empty: page.T("docs.field.choose"), Error: problems.For("type")}
	for _, t := range documents.Types() {
		page.Type.Options = append(page.Type.Options, ui.Option{Value: t.Code, Label: t.Name})
	}
	page.Urgency = ui.Select{Name: "urgency", Label: page.T("docs.field.urgency"), Value: form.Get("urgency"), Error: problems.For("urgency")}
	for u := documents.Normal; u.Valid(); u++ {
		page.Urgency.Options = append(page.Urgency.Options, ui.Option{Value: strconv.Itoa(int(u)), Label: page.T(u.Key())})
	}
	page.Secrecy = ui.Select{Name: "secrecy", Label: page.T("docs.field.secrecy"), Hint: page.T("docs.field.secrecy_hint"), Value: form.Get("secrecy"), Error: problems.For("secrecy")}
	for _, s := range documents.Secrecies() {
		page.Secrecy.Options = append(page.Secrecy.Options, ui.Option{Value: string(s), Label: page.T(s.Key())})
	}
	page.File = ui.File{Name: "files", Label: page.T("docs.enter.files"), Accept: []string{"PDF", "PNG", "JPG", "TIF"}, MaxMB: maxScan >> 20, Multiple: true, Optional: true, Error: problems.For("files")}
	page.Button = ui.Button{Text: page.T("docs.enter.go")}
	return page
}

func (p *Pages) enterDo(w http.ResponseWriter, r *http.Request) error {
	form, files, err := web.ReadUpload(w, r, maxScan)
	if err != nil {
		return err
	}
	number := func(name string) int {
		n, err := strconv.Atoi(strings.TrimSpace(form.Get(name)))
		if err != nil {
			return 0
		}
		return n
	}
	in := documents.PaperForm{
		SenderCode: form.Get("senderCode"), SenderName: form.Get("senderName"), Number: form.Get("number"), Notation: form.Get("notation"), Date: form.Get("date"),
		Type: form.Get("type"), Subject: form.Get("subject"), Signer: form.Get("signer"), SignerTitle: form.Get("signerTitle"),
		Urgency: documents.Urgency(number("urgency")), Secrecy: documents.Secrecy(form.Get("secrecy")), DueDate: form.Get("dueDate"), Pages: number("pages"),
	}
	for _, f := range files {
		in.Files = append(in.Files, documents.NewFile{Name: f.Name, Media: f.Type, Content: bytes.NewReader(f.Data)})
	}
	id, err := p.Desk.EnterPaper(r.Context(), p.who(r), in)
	if err != nil {
		problems := p.problems(r, err)
		if len(problems) == 0 && errs.KindOf(err) != errs.Invalid {
			return err
		}
		page := p.enterPage(r, form, problems)
		if len(problems) == 0 {
			page.Notices = []ui.Notice{{Tone: ui.Late, Alert: true, Title: page.T("docs.act.not_done"), Text: p.text(page.Lang, err)}}
		}
		return p.templates.Render(w, r, statusOf(err), "enter", page)
	}
	ui.Flash(w, "docs.flash.entered")
	return web.SeeOther(w, r, documentURL(documents.In, id, "check"))
}
