package fakebank

import (
	"embed"
	"net/http"
	"net/url"
	"slices"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var files embed.FS

// payPage is pay.html.
type payPage struct {
	ui.Page
	Warning ui.Inset
	Facts   ui.SummaryList
	ID      string
	Buttons []payButton
	// Over is shown instead of the buttons when the payment is decided.
	Over *ui.Inset
	Next ui.Button
}

type payButton struct {
	Button ui.Button
	Text   string
}

// pay shows what is to be paid and asks how it shall end.
func (b *Bank) pay(w http.ResponseWriter, r *http.Request) error {
	params, err := parseParams(r.URL.RawQuery)
	if err != nil {
		return errs.E(errs.Invalid, "fakebank.request_broken", err)
	}
	p, m, err := b.readPay(params)
	if err != nil {
		return err
	}
	if p, err = b.open(p); err != nil {
		return err
	}
	if p, err = b.expire(p); err != nil {
		return err
	}
	// The merchant names the language of a first visit; the person's own switch comes after it.
	if _, err := r.Cookie(web.LangCookie); err != nil && params["vnp_Locale"] == "en" {
		r = r.WithContext(reqctx.WithLang(r.Context(), "en"))
	}
	page := payPage{Page: ui.NewPage(r, "fakebank.pay.title"), ID: p.ID}
	page.Warning = ui.Inset{Text: page.T("fakebank.watermark"), Warning: true}
	page.Facts = ui.SummaryList{Rows: []ui.SummaryRow{
		{Key: page.T("fakebank.pay.merchant"), Value: m.Name},
		{Key: page.T("fakebank.pay.amount"), Value: i18n.Money(page.Lang, p.Amount)},
		{Key: page.T("fakebank.pay.info"), Value: p.Info},
		{Key: page.T("fakebank.pay.ref"), Value: p.Ref},
		{Key: page.T("fakebank.pay.until"), Value: i18n.DateTime(p.Expires)},
	}}
	if p.Status == Pending {
		page.Buttons = buttons(page.Page)
	} else {
		page.Over = &ui.Inset{Text: page.T("fakebank.pay.over_" + string(p.Status))}
		page.Next = ui.Button{Text: page.T("fakebank.pay.back"), URL: b.returnURL(p)}
	}
	allowRedirect(w, r, p.ReturnURL)
	return b.templates.Render(w, r, http.StatusOK, "pay", page)
}

func buttons(page ui.Page) []payButton {
	list := make([]payButton, 0, len(Outcomes()))
	for _, o := range Outcomes() {
		pb := payButton{Button: ui.Button{Text: page.T("fakebank.outcome." + string(o)), Kind: "secondary", Name: "outcome", Value: string(o)}}
		if o == Success {
			pb.Button.Kind = ""
		}
		pb.Text = page.T("fakebank.outcome." + string(o) + "_text")
		list = append(list, pb)
	}
	return list
}

// allowRedirect lets the form end at the merchant: browsers hold the redirect after a POST against form-action.
func allowRedirect(w http.ResponseWriter, r *http.Request, target string) {
	if u, err := url.Parse(target); err == nil {
		web.SecurityHeaders([]string{u.Scheme + "://" + u.Host}, false)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	}
}

// readPay checks the parameters of a payment, the signature before anything they say.
func (b *Bank) readPay(q Params) (*Payment, Merchant, error) {
	m, ok := b.merchants[q["vnp_TmnCode"]]
	if !ok {
		return nil, m, errs.E(errs.Invalid, "fakebank.merchant_unknown", nil)
	}
	if !verify(q, m.Secret) {
		return nil, m, errs.E(errs.Denied, "fakebank.signature_wrong", nil)
	}
	wrong := func(name string) error { return errs.E(errs.Invalid, "fakebank.field_wrong", nil, "name", name) }
	for name, want := range map[string]string{"vnp_Version": "2.1.0", "vnp_Command": "pay", "vnp_CurrCode": "VND"} {
		if q[name] != want {
			return nil, m, wrong(name)
		}
	}
	for _, name := range []string{"vnp_TxnRef", "vnp_OrderInfo", "vnp_IpAddr"} {
		if q[name] == "" || name == "vnp_TxnRef" && len(q[name]) > 100 || name == "vnp_OrderInfo" && len([]rune(q[name])) > 255 {
			return nil, m, wrong(name)
		}
	}
	if l := q["vnp_Locale"]; l != "vn" && l != "en" {
		return nil, m, wrong("vnp_Locale")
	}
	if !webAddress(q["vnp_ReturnUrl"]) {
		return nil, m, wrong("vnp_ReturnUrl")
	}
	sum, ok := amount(q["vnp_Amount"])
	if !ok {
		return nil, m, wrong("vnp_Amount")
	}
	created, ok := readStamp(q["vnp_CreateDate"])
	if !ok {
		return nil, m, wrong("vnp_CreateDate")
	}
	expires := created.Add(15 * time.Minute)
	if q["vnp_ExpireDate"] != "" {
		if expires, ok = readStamp(q["vnp_ExpireDate"]); !ok {
			return nil, m, wrong("vnp_ExpireDate")
		}
	}
	return &Payment{
		Merchant: m.Code, Ref: q["vnp_TxnRef"], Amount: sum, Info: q["vnp_OrderInfo"], ReturnURL: q["vnp_ReturnUrl"],
		CreateDate: q["vnp_CreateDate"], Created: b.now(), Expires: expires, Status: Pending,
	}, m, nil
}

// expire ends a payment that nobody decided in time.
func (b *Bank) expire(p *Payment) (*Payment, error) {
	if p.Status != Pending || !b.now().After(p.Expires) {
		return p, nil
	}
	return b.change(p.ID, func(p *Payment) error {
		if p.Status == Pending {
			p.Status, p.Finished = Expired, b.now()
		}
		return nil
	})
}

// returnURL is where the browser goes with the signed result.
func (b *Bank) returnURL(p *Payment) string {
	u, err := url.Parse(p.ReturnURL)
	if err != nil {
		return "/" // cannot be: readPay parsed it
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += SignedQuery(p.result(), b.merchants[p.Merchant].Secret)
	return u.String()
}

// decide takes the button. A payment is decided once; a second press leads back with the first result.
func (b *Bank) decide(w http.ResponseWriter, r *http.Request) error {
	form, err := web.ReadForm(w, r, 4<<10)
	if err != nil {
		return err
	}
	o := Outcome(form.Get("outcome"))
	if !slices.Contains(Outcomes(), o) {
		return errs.E(errs.Invalid, "fakebank.outcome_unknown", nil)
	}
	p, err := b.change(form.Get("payment"), func(p *Payment) error {
		switch {
		case p.Status != Pending:
		case b.now().After(p.Expires):
			p.Status, p.Finished = Expired, b.now()
		default:
			p.finish(o, b.number(), b.now(), b.opt.LateBy)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.rouse()
	w.Header().Set("Cache-Control", "no-store")
	return web.SeeOther(w, r, b.returnURL(p))
}

// listPage is list.html.
type listPage struct {
	ui.Page
	Warning ui.Inset
	Table   ui.Table
}

// listed bounds the list of payments.
const listed = 50

// list shows the latest payments and what became of their notices, for whoever demonstrates.
func (b *Bank) list(w http.ResponseWriter, r *http.Request) error {
	page := listPage{Page: ui.NewPage(r, "fakebank.list.title")}
	page.Wide = true
	page.Warning = ui.Inset{Text: page.T("fakebank.watermark"), Warning: true}
	page.Table = ui.Table{
		Caption: page.T("fakebank.list.title"), HideCaption: true,
		Columns: []ui.Column{
			{Text: page.T("fakebank.list.when")},
			{Text: page.T("fakebank.pay.merchant")},
			{Text: page.T("fakebank.pay.ref")},
			{Text: page.T("fakebank.pay.amount"), Numeric: true},
			{Text: page.T("fakebank.list.status")},
			{Text: page.T("fakebank.list.notice")},
		},
		Empty: &ui.Empty{Title: page.T("fakebank.list.empty"), Text: page.T("fakebank.list.empty_text")},
	}
	b.mu.Lock()
	payments := b.sorted()
	b.mu.Unlock()
	slices.Reverse(payments)
	for _, p := range payments[:min(len(payments), listed)] {
		status := ui.Cell{Text: page.T("fakebank.status." + string(p.Status))}
		if p.Outcome != "" {
			status.Sub = page.T("fakebank.outcome." + string(p.Outcome))
		}
		page.Table.Rows = append(page.Table.Rows, ui.Row{Cells: []ui.Cell{
			{Text: i18n.DateTime(p.Created)},
			{Text: b.merchants[p.Merchant].Name},
			{Text: p.Ref, Head: true, Code: true},
			{Text: i18n.Money(page.Lang, p.Amount)},
			status,
			{Text: noticeText(page.Page, p)},
		}})
	}
	return b.templates.Render(w, r, http.StatusOK, "list", page)
}

func noticeText(page ui.Page, p *Payment) string {
	if len(p.Notices) == 0 {
		return page.T("fakebank.notice.none")
	}
	n := p.Notices[len(p.Notices)-1]
	for _, x := range p.Notices { // the one under way says more than the one after it
		if !x.Over {
			n = x
			break
		}
	}
	switch {
	case n.Over && (n.Answer == "00" || n.Answer == "02"):
		return page.T("fakebank.notice.taken", "answer", n.Answer, "n", n.Attempts)
	case n.Over:
		return page.T("fakebank.notice.given_up", "answer", n.Answer, "n", n.Attempts)
	}
	return page.T("fakebank.notice.waiting", "at", n.Due.In(i18n.Zone).Format("15:04:05"), "n", n.Attempts)
}
