package demo

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"truc/internal/audit"
	"truc/internal/directory"
	"truc/internal/pki"
	"truc/internal/sign"
)

func (s *story) dossier(ctx context.Context, b *browser) (*page, error) {
	return b.get(ctx, s.node(lamDong)+"/desk/dossiers/"+s.number)
}

// act opens the page of an action, fills it and confirms; it leads to a state, "" when it should be refused. A person
// who lost the answer looks at the dossier first.
func (s *story) act(ctx context.Context, b *browser, action, to string, values map[string]string) (*page, error) {
	key := "act " + action + " " + to
	if s.tried[key] {
		p, err := s.dossier(ctx, b)
		if err != nil || p.data("state") == to {
			s.tried[key] = err != nil
			return p, err
		}
	}
	p, err := b.get(ctx, s.node(lamDong)+"/desk/dossiers/"+s.number+"/act/"+action)
	if err != nil {
		return p, err
	}
	f, err := p.form("form-" + action)
	if err != nil {
		return p, err
	}
	f.fill(values)
	for name := range f.radios() {
		if strings.HasPrefix(name, "verdict-") {
			f.set(name, "ok")
		}
	}
	s.tried[key] = true
	if p, err = f.press(ctx, ""); err != nil {
		return p, err
	}
	s.tried[key] = false
	return p, expect(p.data("state") == to, "expected the dossier to be %s after %s, it is %q", to, action, p.data("state"))
}

func (s *story) receive(ctx context.Context) error {
	if err := s.reception.signIn(ctx, s.node(lamDong)+"/desk", "officer", s.account("h36.tiepnhan")); err != nil {
		return err
	}
	p, err := s.reception.get(ctx, s.node(lamDong)+"/desk")
	if err != nil {
		return err
	}
	if p, err = p.follow(ctx, "/desk/dossiers/"+s.number); err != nil {
		return err
	}
	if !p.has(s.person.Name) {
		return errors.New("the desk does not show who files")
	}
	err = s.once("receive", func() error {
		p, err := s.act(ctx, s.reception, "receive", "processing", nil)
		if err != nil {
			return err
		}
		return expect(p.data("due") != "", "a received dossier has no due date")
	})
	if err != nil {
		return err
	}
	return s.state(ctx, "processing")
}

func (s *story) supplement(ctx context.Context) error {
	if err := s.officer.signIn(ctx, s.node(lamDong)+"/desk", "officer", s.account("h36.hotich")); err != nil {
		return err
	}
	err := s.once("askMore", func() error {
		_, err := s.act(ctx, s.officer, "askMore", "waiting", map[string]string{
			"reason": "Văn bản ủy quyền bị mờ trang 2, đề nghị chụp lại.", "legalBasis": "Điều 2 Nghị định 87/2020/NĐ-CP", "days": "3", "wanted": "uy-quyen",
		})
		return err
	})
	if err != nil {
		return err
	}
	if err := s.once("supplement", func() error { return s.supply(ctx) }); err != nil {
		return err
	}
	return s.state(ctx, "processing", "received")
}

func (s *story) supply(ctx context.Context) error {
	if !s.tried["supplement"] {
		if err := s.state(ctx, "waiting"); err != nil {
			return err
		}
	}
	p, err := s.citizen.get(ctx, s.portal("/filings/"+s.draft+"/supplement"))
	if s.tried["supplement"] && p != nil && p.status == http.StatusConflict { // it was taken before the answer was lost
		return nil
	}
	if err != nil {
		return err
	}
	if !p.has("bị mờ trang 2") {
		return errors.New("the citizen is not told what is missing")
	}
	f, err := p.form("form-supplement")
	if err != nil {
		return err
	}
	if field := f.fileField("uy-quyen"); field != "" {
		f.files[field] = upload{"uy-quyen-chup-lai.pdf", "application/pdf", append(bytes.Clone(paperPDF), '\n')}
	}
	s.tried["supplement"] = true
	_, err = f.set("note", "Đã chụp lại trang 2.").press(ctx, "")
	return err
}

func (s *story) propose(ctx context.Context) error {
	p, err := s.dossier(ctx, s.officer)
	if err != nil {
		return err
	}
	f, err := p.form("form-check-civilstatus")
	if err != nil {
		return err
	}
	f.fill(map[string]string{
		"by": "name", "kind": "birth", "fullName": "Trần Quốc Bảo", "birthDate-day": "30", "birthDate-month": "11", "birthDate-year": "1988",
	})
	if p, err = f.press(ctx, ""); err != nil {
		return err
	}
	if !p.has("Trần Đình Sơn") { // the father in the civil-status register
		return errors.New("the civil-status register's answer is not shown")
	}
	return s.once("propose", func() error {
		_, err := s.act(ctx, s.officer, "propose", "signing", map[string]string{"opinion": "Thông tin khớp với CSDL hộ tịch, đề nghị ký.", "answers.opinion": "Thông tin khớp"})
		return err
	})
}

func (s *story) sign(ctx context.Context) error {
	if err := s.once("sign refused", func() error { return s.wrongRole(ctx) }); err != nil {
		return err
	}
	if err := s.head.signIn(ctx, s.node(lamDong)+"/desk", "officer", s.account("h36.lanhdao")); err != nil {
		return err
	}
	for _, a := range []struct {
		by         *browser
		action, to string
		values     map[string]string
	}{
		{s.head, "sendBack", "processing", map[string]string{"reason": "Ghi rõ số quyển trong ý kiến."}},
		{s.officer, "propose", "signing", map[string]string{"opinion": "Đã ghi rõ số quyển."}},
	} {
		err := s.once("sign "+a.action, func() error {
			_, err := s.act(ctx, a.by, a.action, a.to, a.values)
			return err
		})
		if err != nil {
			return err
		}
	}
	err := s.once("sign", func() error {
		if !s.tried["act sign returned"] {
			preview, err := s.head.get(ctx, s.node(lamDong)+"/desk/dossiers/"+s.number+"/preview")
			if err != nil {
				return err
			}
			if !bytes.HasPrefix(preview.body, []byte("%PDF-")) {
				return errors.New("the head cannot look at the draft")
			}
		}
		_, err := s.act(ctx, s.head, "sign", "returned", map[string]string{"confirm": "yes"}) // an online result is returned at once
		return err
	})
	if err != nil {
		return err
	}
	return s.state(ctx, "returned")
}

func (s *story) wrongRole(ctx context.Context) error {
	p, err := s.officer.get(ctx, s.node(lamDong)+"/desk/dossiers/"+s.number+"/act/sign")
	if err == nil {
		return fmt.Errorf("the specialist could sign: %s", p.heading())
	}
	if p == nil || p.status != http.StatusForbidden {
		return fmt.Errorf("signing by the specialist was not refused as it should be: %w", err)
	}
	return nil
}

func (s *story) download(ctx context.Context) error {
	p, err := s.citizen.get(ctx, s.portal("/filings/"+s.draft))
	if err != nil {
		return err
	}
	if p, err = p.follow(ctx, "/documents/result-"); err != nil {
		return err
	}
	s.result = p.body
	b, err := fetch(ctx, s.node(lamDong)+"/sign/ca.pem")
	if err != nil {
		return err
	}
	certs, err := pki.DecodePEM(b)
	if err != nil || len(certs) == 0 {
		return fmt.Errorf("the authority's certificate: %w", errors.Join(err, errors.New("none")))
	}
	pool := x509.NewCertPool()
	pool.AddCert(certs[0])
	opt := sign.VerifyOptions{Roots: pool, TSARoots: pool, Now: time.Now}
	reports, err := sign.VerifyPDF(s.result, opt)
	if err != nil {
		return err
	}
	if len(reports) != 2 {
		return fmt.Errorf("the result has %d signatures; want that of the head and that of the agency", len(reports))
	}
	for _, r := range reports {
		if r.State != sign.Valid || r.Level != "B-LT" {
			return fmt.Errorf("signature %d: state %v, level %s", r.Order, r.State, r.Level)
		}
	}
	broken := bytes.Clone(s.result)
	broken[64] ^= 1 // of what the first signed; evidence at the end is not covered by them
	if reports, err = sign.VerifyPDF(broken, opt); err == nil {
		for _, r := range reports {
			if r.State == sign.Valid {
				return errors.New("a changed byte left a signature valid")
			}
		}
	}
	return nil
}

func (s *story) rate(ctx context.Context) error {
	p, err := s.citizen.get(ctx, s.portal("/filings/"+s.draft+"/rate"))
	if s.tried["rate"] && p != nil && p.status == http.StatusConflict { // it was counted before the answer was lost
		return nil
	}
	if err != nil {
		return err
	}
	f, err := p.form("form-rate")
	if err != nil {
		return err
	}
	s.tried["rate"] = true
	if _, err = f.set("stars", "5").set("comment", "Nhanh, không phải đi lại.").press(ctx, ""); err != nil {
		return err
	}
	if again, err := f.press(ctx, ""); err == nil && again.status < 400 {
		return errors.New("the service could be rated twice")
	}
	return nil
}

func (s *story) myData(ctx context.Context) error {
	p, err := s.citizen.get(ctx, s.portal("/my-data"))
	if err != nil {
		return err
	}
	var receipt *form
	for _, reg := range []string{"population", "civilstatus"} {
		if p.section("register", reg) == nil {
			return fmt.Errorf("the register %s is not on the page", reg)
		}
	}
	if f := p.formIn("register", "population"); f != nil {
		receipt = f
	}
	if receipt == nil {
		return errors.New("the reading of the population register for the form is not shown")
	}
	file, err := receipt.press(ctx, "")
	if err != nil {
		return err
	}
	key, err := s.auditKey(ctx, "VN/GOV/"+population+"/node1")
	if err != nil {
		return err
	}
	rep, err := audit.VerifyReceipt(file.body, audit.VerifyOptions{TrustedVKeys: []string{key}})
	if err != nil {
		return err
	}
	if !rep.KeyTrusted || len(rep.Lines) != 1 || rep.Lines[0].Agency != centerCode {
		return fmt.Errorf("the receipt proves %d lines, trusted %v", len(rep.Lines), rep.KeyTrusted)
	}
	broken := bytes.Clone(file.body)
	broken[len(broken)/2] ^= 1
	if _, err := audit.VerifyReceipt(broken, audit.VerifyOptions{TrustedVKeys: []string{key}}); err == nil {
		return errors.New("a changed receipt was accepted")
	}
	// The officer read the birth of the husband: that reading stands in his list, not in hers.
	husband := newBrowser()
	if err = husband.signIn(ctx, s.portal("/my-data"), "citizen", s.account("c-bao")); err != nil {
		return err
	}
	if p, err = husband.get(ctx, s.portal("/my-data")); err != nil {
		return err
	}
	return errors.Join(
		expect(p.formIn("register", "civilstatus") != nil, "the officer's reading is missing from the page of the person it concerns"),
		expect(p.has(s.number), "the reading does not name the dossier %s", s.number))
}

// auditKey reads the key of a node's audit log from the signed directory, not from the receipt.
func (s *story) auditKey(ctx context.Context, node string) (string, error) {
	b, err := fetch(ctx, s.portal("/directory/v1/document"))
	if err != nil {
		return "", err
	}
	doc, err := directory.Peek(b)
	if err != nil {
		return "", err
	}
	n, ok := doc.Node(node)
	if !ok || n.AuditKey == "" {
		return "", fmt.Errorf("the directory names no audit key of %s", node)
	}
	return n.AuditKey, nil
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", url, res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, 16<<20))
}

// refused calls a register as a program of the province would, through the X-Road edge of its own node.
func (s *story) refused(ctx context.Context) error {
	key := ""
	for _, k := range s.d.APIKeys {
		if k.Client == subsystem(lamDong, "onestop") {
			key = k.Key
		}
	}
	call := func(purpose, issue string) (int, string, error) {
		body := fmt.Sprintf(`{"type":"ByPersonalId","personalId":%q,"fullName":%q,"fields":["fullName"]}`, s.person.PersonalID, s.person.Name)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.node(lamDong)+"/r1/"+registerServices["population/person"]+"/query", strings.NewReader(body))
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Road-Client", subsystem(lamDong, "onestop"))
		req.Header.Set("Authorization", "Bearer "+key)
		if purpose != "" {
			req.Header.Set("Truc-Purpose", purpose)
		}
		if issue != "" {
			req.Header.Set("X-Road-Issue", issue)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		return res.StatusCode, res.Header.Get("X-Road-Error") + " " + string(b), err
	}
	if status, text, err := call("", ""); err != nil || status < 400 || strings.Contains(text, s.person.Name) {
		return fmt.Errorf("a reading without a purpose answered %d: %w", status, err)
	}
	if status, text, err := call("verify-dossier", ""); err != nil || status < 400 || strings.Contains(text, s.person.Name) {
		return fmt.Errorf("a reading without a dossier answered %d: %w", status, err)
	}
	status, text, err := call("verify-dossier", s.number)
	if err != nil || status != http.StatusOK || !strings.Contains(text, s.person.Name) {
		return fmt.Errorf("the same reading with a dossier answered %d %s: %w", status, text, err)
	}
	return nil
}

// badDay files a dossier while a register and the province are dead, and counts what came of it.
func (s *story) badDay(ctx context.Context) error {
	b := newBrowser()
	if err := errors.Join(s.n.halt(population), s.n.halt(hue)); err != nil {
		return err
	}
	defer s.n.resume(population, hue)
	p, filing, err := s.begin(ctx, b, s.account("c-thanh"), hue+".14")
	if err != nil {
		return err
	}
	if _, err := p.form("form-refill"); err != nil {
		return errors.New("nothing says that the register is away")
	}
	answers := s.answers()
	answers["submitter.relation"] = "self"
	answers["copies"] = "1"
	maps.Copy(answers, map[string]string{
		"requester.fullName": "Lê Văn Thành", "requester.birthDate-day": "3", "requester.birthDate-month": "9", "requester.birthDate-year": "1985",
		"requester.personalId": s.personalID("c-thanh"), "requester.residence": "42/6 đường Nguyễn Trãi, Huế",
	})
	if p, err = s.walk(ctx, p, answers); err != nil {
		return err
	}
	if strings.HasSuffix(p.url.Path, "/papers") { // the register did not answer, so the identity paper is asked for
		f, err := p.form("form-papers")
		if err != nil {
			return err
		}
		if field := f.fileField("giay-to-tuy-than"); field != "" {
			f.files[field] = upload{"can-cuoc.pdf", "application/pdf", paperPDF}
		}
		if p, err = f.press(ctx, ""); err != nil {
			return err
		}
	}
	f, err := p.form("form-check")
	if err != nil {
		return err
	}
	if p, err = f.set("declaration", "true").press(ctx, ""); err != nil {
		return fmt.Errorf("a citizen could not submit while nodes were away: %w", err)
	}
	if n := p.data("number"); n != "" {
		return fmt.Errorf("a dead province gave the number %s", n)
	}
	s.n.resume(population, hue)
	if err := errors.Join(s.n.Kill(centerCode), s.n.ready(ctx, s.n.l.center())); err != nil { // what was acknowledged survives the portal's own death
		return err
	}
	number, err := s.waitNumber(ctx, b, filing)
	if err != nil {
		return err
	}
	if p, err = b.get(ctx, s.portal("/filings")); err != nil {
		return err
	}
	return errors.Join(
		expect(strings.HasPrefix(number, hue+".14-"), "the number %s is not Huế's", number),
		expect(strings.Count(string(p.body), `data-number="`+number+`"`) == 1, "the dossier does not stand exactly once in the list"))
}

func (s *story) personalID(account string) string {
	for _, c := range s.d.Accounts.Citizens {
		if c.ID == account {
			return c.PersonalID
		}
	}
	return ""
}

func (s *story) oversight(ctx context.Context) error {
	b := newBrowser()
	return until(ctx, "oversight", func() (bool, error) {
		list, err := b.get(ctx, s.portal("/oversight/"+lamDong+"/done"))
		if err != nil {
			return false, err
		}
		if !list.has(s.number) {
			return false, fmt.Errorf("%s is not in the list of what Lâm Đồng has done", s.number)
		}
		p, err := b.get(ctx, s.portal("/oversight"))
		if err != nil {
			return false, err
		}
		_, err = p.follow(ctx, "/oversight/"+lamDong)
		return err == nil, err
	})
}
