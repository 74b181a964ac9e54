package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"truc/edxml"
	"truc/internal/directory"
	"truc/internal/documents/axisapi/vxptest"
	"truc/internal/documents/receipt"
	"truc/internal/i18n"
)

// documentStory is the exchange of official documents, told through the pages of the desks and the VXP protocol. Each step
// looks before it acts, so that it can be run again after an interruption.
type documentStory struct {
	n   *Network
	out io.Writer
	// clerk, head and officer of Lâm Đồng, other is the clerk of Huế.
	clerk, head, officer, other *browser
	// one and two are the external systems.
	vxp      []VXPSystemDescription
	base     string
	one, two *vxptest.Client
	// mark tells this run's documents from others.
	mark     string
	incoming []byte
	heard    map[string]bool // statuses of our document, at the external system
	sent     string          // the province's document
	docID    string
}

// DocumentTale returns the exchange of documents between a province and systems of the VXP protocol, in steps.
func (n *Network) DocumentTale(out io.Writer) (*Tale, error) {
	d, err := n.l.describeVXP()
	if err != nil {
		return nil, err
	}
	s := &documentStory{
		n: n, out: out, clerk: newBrowser(), head: newBrowser(), officer: newBrowser(), other: newBrowser(), vxp: d.Systems, base: d.BaseURL,
		mark: time.Now().In(i18n.Zone).Format("150405.000"), heard: map[string]bool{},
	}
	s.one, s.two = s.client(0), s.client(1)
	return &Tale{Steps: []Step{
		{"a system of another vendor sends a document to a province, twice; it is one document", s.arrive},
		{"the province's arrival is told by itself; the clerk sees the checks and accepts", s.accept},
		{"the head assigns, the officer starts and finishes; each status comes back by itself", s.handle},
		{"a province drafts, the head signs, the clerk seals and sends to two systems and another province", s.send},
		{"the external system has a PDF with two valid signatures and answers; the other province accepts", s.delivered},
		{"the province follows its document; a receipt is proved offline, one changed byte breaks it", s.follow},
	}}, nil
}

func (s *documentStory) client(i int) *vxptest.Client {
	return vxptest.New(s.base, s.vxp[i].SystemID, s.vxp[i].Secret, time.Now())
}

func (s *documentStory) url(code, path string) string {
	for _, a := range s.n.l.agencies {
		if a.id() == code {
			return a.webURL() + path
		}
	}
	return path
}

// message is an edXML document of the first external system with a small PDF.
func (s *documentStory) message() ([]byte, error) {
	now := time.Now().In(i18n.Zone)
	day := edxml.Date{Year: now.Year(), Month: int(now.Month()), Day: now.Day()}
	pdf := "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj 3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
	number := strings.ReplaceAll(s.mark, ".", "")
	m := &edxml.Message{
		From: edxml.Organization{ID: s.vxp[0].Agency.Code, Name: s.vxp[0].Agency.Name}, To: []edxml.Organization{{ID: lamDong, Name: "UBND tỉnh Lâm Đồng"}},
		DocumentID: fmt.Sprintf("%s,%s,%s/BVD-VP", s.vxp[0].Agency.Code, day, number), Code: edxml.Code{Number: number, Notation: "BVD-VP"}, Place: "Hà Nội", Date: day,
		Type: edxml.DocumentType{Type: 2, Name: "Công văn"}, Subject: "V/v báo cáo kết quả số hóa hồ sơ " + s.mark, Content: "V/v báo cáo kết quả số hóa hồ sơ",
		Signer: edxml.Signer{Competence: "KT. BỘ TRƯỞNG", Position: "Thứ trưởng", FullName: "Trịnh Văn Mẫu"}, Other: edxml.OtherInfo{Copies: 1, Pages: 1, Direction: "false"},
		ToPlaces: []string{"Như trên", "Lưu: VT, VP"}, Trace: []edxml.Hop{{OrganID: s.vxp[0].Agency.Code, At: now}},
		Attachments: []edxml.Attachment{{ContentID: "cid:1", Name: "cong-van.pdf", Description: "Văn bản chính", ContentType: "application/pdf", Size: int64(len(pdf)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(pdf)), nil
		}}},
	}
	var b bytes.Buffer
	err := edxml.Write(&b, m)
	return b.Bytes(), err
}

func (s *documentStory) arrive(context.Context) (err error) {
	if s.incoming == nil {
		if s.incoming, err = s.message(); err != nil {
			return err
		}
	}
	for range 2 {
		r, err := s.one.Send(s.vxp[0].Agency.Code, "edoc", `["`+lamDong+`"]`, s.incoming) //nolint:contextcheck // the client is a model of one that knows no contexts
		if err != nil {
			return err
		}
		if r.Status != "OK" || r.DocID == "" || s.docID != "" && r.DocID != s.docID {
			return fmt.Errorf("sendEdoc answered %s %s %s %q; the first time it was %q", r.Status, r.ErrorCode, r.ErrorDesc, r.DocID, s.docID)
		}
		s.docID = r.DocID
	}
	return nil
}

// row finds this run's document in a list and returns its id and state.
func (s *documentStory) row(ctx context.Context, b *browser, list, words string) (id, state string, n int, err error) {
	p, err := b.get(ctx, list+"?q="+url.QueryEscape(words)+"&words="+url.QueryEscape(words))
	if err != nil {
		return "", "", 0, err
	}
	for _, tr := range p.all("tr") {
		if d := attr(tr, "data-document"); d != "" && strings.Contains(text(tr), words) {
			id, state, n = d, attr(tr, "data-state"), n+1
		}
	}
	return id, state, n, nil
}

// post opens the page of an act and sends its form with the values; what is shown afterwards must not be a fault.
func (s *documentStory) post(ctx context.Context, b *browser, at string, values url.Values) error {
	p, err := b.get(ctx, at)
	if err != nil {
		return err
	}
	var f *form
	for _, n := range p.all("form") {
		if strings.EqualFold(attr(n, "method"), "post") && strings.HasSuffix(at, attr(n, "action")) {
			f = p.read(n)
		}
	}
	if f == nil {
		return fmt.Errorf("%s has no form (%s)", p.url.Path, p.heading())
	}
	maps.Copy(f.values, values)
	if f.multi {
		f.multi = false
	}
	_, err = f.send(ctx, "POST", f.action, f.values)
	return err
}

// statuses fetches the statuses that wait for an external system and remembers what they say of a document.
func (s *documentStory) statuses(c *vxptest.Client, document string, into map[string]bool) error {
	r, err := c.Received("status")
	if err != nil {
		return err
	}
	for _, row := range r.Data {
		id, _ := row["docId"].(string)
		got, err := c.Download(id)
		if err != nil {
			return err
		}
		m, err := edxml.Read(bytes.NewReader(got.File), edxml.ReadOptions{Now: time.Now()})
		if err != nil {
			return err
		}
		if m.Status != nil && len(m.ResponseFor) > 0 && m.ResponseFor[0].DocumentID == document {
			into[m.Status.Code] = true
		}
		if _, err := c.Update(id, "done", ""); err != nil {
			return err
		}
	}
	return nil
}

// hears waits until the first external system has been told a status.
func (s *documentStory) hears(ctx context.Context, codes ...string) error {
	m, err := edxml.Read(bytes.NewReader(s.incoming), edxml.ReadOptions{Now: time.Now()})
	if err != nil {
		return err
	}
	return until(ctx, "status "+strings.Join(codes, ", "), func() (bool, error) { //nolint:contextcheck // the client is a model of one that knows no contexts
		if err := s.statuses(s.one, m.DocumentID, s.heard); err != nil {
			s.one.Close()
			return false, err
		}
		return !slices.ContainsFunc(codes, func(c string) bool { return !s.heard[c] }), fmt.Errorf("heard so far: %v", s.heard)
	})
}

func (s *documentStory) accept(ctx context.Context) error {
	list := s.url(lamDong, "/documents/in")
	if err := s.clerk.signIn(ctx, list, "officer", "o-h36.vanthu"); err != nil {
		return err
	}
	var id, state string
	err := until(ctx, "the document's arrival in the province", func() (ok bool, err error) {
		var n int
		id, state, n, err = s.row(ctx, s.clerk, list, s.mark)
		if n > 1 {
			return false, fmt.Errorf("it is there %d times", n)
		}
		return n == 1, err
	})
	if err != nil {
		return err
	}
	if err := s.hears(ctx, "01"); err != nil {
		return err
	}
	if state == "arrived" {
		if err := acceptDocument(ctx, s.clerk, s.url(lamDong, "/documents/in/"+id)); err != nil {
			return err
		}
	}
	return s.hears(ctx, "03")
}

func (s *documentStory) handle(ctx context.Context) error {
	list := s.url(lamDong, "/documents/in")
	if err := errors.Join(s.head.signIn(ctx, list, "officer", "o-h36.lanhdao"), s.officer.signIn(ctx, s.url(lamDong, "/documents"), "officer", "o-h36.hotich")); err != nil {
		return err
	}
	at := func() (id, state string, err error) {
		var n int
		id, state, n, err = s.row(ctx, s.head, list, s.mark)
		if err == nil && n != 1 {
			err = fmt.Errorf("the document is there %d times", n)
		}
		return id, state, err
	}
	for _, step := range []struct {
		from, act string
		by        *browser
		values    url.Values
	}{
		{"accepted", "assign", s.head, url.Values{"lead": {"h36.hotich"}, "instruction": {"Tham mưu báo cáo."}}},
		{"assigned", "start", s.officer, nil},
		{"working", "finish", s.officer, url.Values{"result": {"Đã tổng hợp số liệu."}}},
	} {
		id, state, err := at()
		if err != nil {
			return err
		}
		if state != step.from {
			continue
		}
		if err := s.post(ctx, step.by, s.url(lamDong, "/documents/in/"+id+"/do/"+step.act), step.values); err != nil {
			return fmt.Errorf("%s: %w", step.act, err)
		}
	}
	return s.hears(ctx, "04", "05", "06")
}

func (s *documentStory) subject() string { return "V/v phối hợp liên thông văn bản " + s.mark }

func (s *documentStory) send(ctx context.Context) error {
	list := s.url(lamDong, "/documents/out")
	for b, account := range map[*browser]string{s.officer: "o-h36.hotich", s.head: "o-h36.lanhdao", s.clerk: "o-h36.vanthu"} {
		if err := b.signIn(ctx, list, "officer", account); err != nil {
			return err
		}
	}
	id, _, n, err := s.row(ctx, s.officer, list, s.mark)
	if err != nil {
		return err
	}
	if n == 0 {
		err := s.post(ctx, s.officer, s.url(lamDong, "/documents/out/new"), url.Values{
			"type": {"CV"}, "unit": {"VP"}, "subject": {s.subject()}, "authority": {"TM. ỦY BAN NHÂN DÂN"}, "signer": {"h36.lanhdao"}, "urgency": {"0"},
			"body":       {"Thực hiện Quyết định số 28/2018/QĐ-TTg của Thủ tướng Chính phủ, Ủy ban nhân dân tỉnh đề nghị quý cơ quan phối hợp liên thông văn bản điện tử.\nTrân trọng./."},
			"addressees": {"Như nơi nhận"}, "receivers": {strings.Join([]string{s.vxp[0].Agency.Code, s.vxp[1].Agency.Code, hue}, " ")}, "toPlaces": {"Như trên\nLưu: VT"},
		})
		if err != nil {
			return err
		}
		if id, _, n, err = s.row(ctx, s.officer, list, s.mark); err != nil || n != 1 {
			return fmt.Errorf("the draft is there %d times: %w", n, err)
		}
	}
	s.sent = id
	for _, step := range []struct {
		from []string
		act  string
		by   *browser
		form url.Values
	}{
		{[]string{"drafting"}, "submit", s.officer, nil}, {[]string{"approved", "numbered"}, "sign", s.head, nil}, {[]string{"signed"}, "issue", s.clerk, url.Values{"when": {"now"}}},
	} {
		var state string
		if _, state, _, err = s.row(ctx, s.clerk, list, s.mark); err != nil || state == "" {
			_, state, _, err = s.row(ctx, s.officer, list, s.mark)
		}
		if err != nil {
			return err
		}
		if !slices.Contains(step.from, state) {
			continue
		}
		if err := s.post(ctx, step.by, s.url(lamDong, "/documents/out/"+id+"/do/"+step.act), step.form); err != nil {
			return fmt.Errorf("%s: %w", step.act, err)
		}
	}
	_, state, _, err := s.row(ctx, s.clerk, list, s.mark)
	if err != nil || state != "sent" {
		return fmt.Errorf("the document is %q: %w", state, err)
	}
	return nil
}

func (s *documentStory) delivered(ctx context.Context) error {
	if !s.heard["done "+s.one.System] { // not in an earlier try
		m, pdf, err := s.taken(ctx, s.one)
		if err != nil {
			return err
		}
		if err := s.bothSigned(ctx, pdf); err != nil {
			return err
		}
		for _, code := range []string{"03", "06"} {
			if err := s.report(m, code); err != nil { //nolint:contextcheck // the client is a model of one that knows no contexts
				return err
			}
		}
		if err := s.finish(s.one); err != nil { //nolint:contextcheck // the client is a model of one that knows no contexts
			return err
		}
	}
	if !s.heard["done "+s.two.System] {
		if _, _, err := s.taken(ctx, s.two); err != nil {
			return err
		}
		if err := s.finish(s.two); err != nil { //nolint:contextcheck // the client is a model of one that knows no contexts
			return err
		}
	}
	return s.acceptedInHue(ctx)
}

// finish takes over every document that waits for a system.
func (s *documentStory) finish(c *vxptest.Client) error {
	r, err := c.Received("edoc")
	if err != nil {
		return err
	}
	for _, row := range r.Data {
		id, _ := row["docId"].(string)
		if u, err := c.Update(id, "done", ""); err != nil || u.Status != "OK" {
			return fmt.Errorf("updateStatus: %v %w", u, err)
		}
	}
	s.heard["done "+c.System] = true
	return nil
}

func (s *documentStory) acceptedInHue(ctx context.Context) error {
	list := s.url(hue, "/documents/in")
	if err := s.other.signIn(ctx, list, "officer", "o-h57.vanthu"); err != nil {
		return err
	}
	var id, state string
	err := until(ctx, "the document's arrival in Huế", func() (ok bool, err error) {
		var n int
		id, state, n, err = s.row(ctx, s.other, list, s.mark)
		return n == 1, err
	})
	if err != nil || state != "arrived" {
		return err
	}
	return acceptDocument(ctx, s.other, s.url(hue, "/documents/in/"+id))
}

// acceptDocument looks at the checks of what arrived, as a clerk must, and accepts it.
func acceptDocument(ctx context.Context, clerk *browser, at string) error {
	p, err := clerk.get(ctx, at+"/check")
	if err != nil {
		return err
	}
	f, err := p.form("form-accept")
	if err != nil {
		return err
	}
	_, err = f.press(ctx, "")
	return err
}

func (s *documentStory) follow(ctx context.Context) error {
	var p *page
	err := until(ctx, "the statuses' way back", func() (_ bool, err error) {
		if p, err = s.clerk.get(ctx, s.url(lamDong, "/documents/out/"+s.sent)); err != nil {
			return false, err
		}
		seen := map[string]string{}
		for _, a := range p.all("article") {
			if code := attr(a, "data-receiver"); code != "" {
				seen[code] = text(a)
			}
		}
		done := strings.Contains(seen[s.vxp[0].Agency.Code], "Hoàn thành") || strings.Contains(seen[s.vxp[0].Agency.Code], "hoàn thành")
		accepted := strings.Contains(strings.ToLower(seen[hue]), "tiếp nhận")
		return len(seen) == 3 && done && accepted, fmt.Errorf("the page shows %v", seen)
	})
	if err != nil {
		return err
	}
	file, err := p.follow(ctx, "/receipts/")
	if err != nil {
		return err
	}
	trust := receipt.Trust{Now: time.Now(), Keys: receiptKeys}
	rep, err := receipt.Verify(file.body, trust)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(rep.Issuer, "VN/GOV/"+centerCode+"/") || rep.From != lamDong {
		return fmt.Errorf("the receipt is of %s for %s", rep.Issuer, rep.From)
	}
	bad := bytes.Clone(file.body)
	bad[len(bad)/3] ^= 1
	if _, err := receipt.Verify(bad, trust); err == nil {
		return errors.New("a receipt with a changed byte verifies")
	}
	return nil
}

// receiptKeys finds keys in the directory that a receipt carries.
func receiptKeys(envelope json.RawMessage) (func(string) (receipt.Key, error), error) {
	peek, err := directory.Peek(envelope)
	if err != nil {
		return nil, err
	}
	doc, _, err := peek.Anchor().Open(envelope)
	if err != nil {
		return nil, err
	}
	return func(kid string) (receipt.Key, error) {
		node, key, ok := doc.SigningKey(kid)
		if !ok {
			return receipt.Key{}, errors.New("the directory does not have the key")
		}
		pub, err := key.Public()
		return receipt.Key{Node: node.ID, Public: pub}, err
	}, nil
}
