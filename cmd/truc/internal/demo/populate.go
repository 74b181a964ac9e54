package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// errand is one dossier that the demonstration files so that desks, timelines and oversight have something to show.
type errand struct {
	citizen, province string
	kind              string // event
	copies            string
	// until is how far it goes: submitted, processing, waiting, signing, returned, refused, withdrawn.
	until string
	stars string
}

func errands() []errand {
	return []errand{
		{"c-bao", hue, "birth", "1", "returned", "5"},
		{"c-quynh", hue, "birth", "3", "returned", "4"},
		{"c-nghia", hue, "birth", "2", "returned", "5"},
		{"c-thanh", hue, "birth", "1", "signing", ""},
		{"c-quynh", hue, "birth", "1", "refused", ""},
		{"c-ha", lamDong, "birth", "2", "returned", "5"},
		{"c-ha", lamDong, "birth", "1", "processing", ""},
		{"c-bao", lamDong, "birth", "2", "waiting", ""},
		{"c-thanh", lamDong, "birth", "1", "submitted", ""},
		{"c-nghia", lamDong, "birth", "1", "withdrawn", ""},
	}
}

// Populate files a handful of dossiers and exchanges a handful of documents through the pages, once in the life of a
// demonstration. Like everything of the demonstration it goes through the interfaces people use, so that what it leaves
// behind is real.
func (n *Network) Populate(ctx context.Context) (filed, sent int, err error) {
	if filed, err = n.onceInLife("populated", func() (int, error) { return n.populateDossiers(ctx) }); err != nil {
		return filed, 0, err
	}
	sent, err = n.onceInLife("populated-documents", func() (int, error) { return n.populateDocuments(ctx) })
	return filed, sent, err
}

func (n *Network) onceInLife(name string, f func() (int, error)) (int, error) {
	mark := filepath.Join(n.l.opt.Dir, name)
	if _, err := os.Stat(mark); err == nil {
		return 0, nil
	}
	done, err := f()
	if err != nil {
		return done, err
	}
	return done, os.WriteFile(mark, []byte("This was done once.\n"), 0o600)
}

func (n *Network) populateDossiers(ctx context.Context) (filed int, err error) {
	d, err := n.Describe()
	if err != nil {
		return 0, err
	}
	crews := map[string]*crew{}
	for _, province := range []string{lamDong, hue} {
		if crews[province], err = newCrew(ctx, n, d, province); err != nil {
			return 0, err
		}
	}
	browsers := map[string]*browser{}
	for _, e := range errands() {
		if browsers[e.citizen] == nil {
			browsers[e.citizen] = newBrowser()
		}
		s := &story{n: n, d: d, citizen: browsers[e.citizen]}
		if err := s.run(ctx, e, crews[e.province]); err != nil {
			return filed, fmt.Errorf("errand of %s in %s until %s: %w", e.citizen, e.province, e.until, err)
		}
		filed++
	}
	return filed, nil
}

// crew are the officers of a province at work.
type crew struct {
	url                      string
	reception, officer, head *browser
}

func newCrew(ctx context.Context, n *Network, d *Description, province string) (*crew, error) {
	s := &story{n: n, d: d}
	c := &crew{url: s.node(province), reception: newBrowser(), officer: newBrowser(), head: newBrowser()}
	for b, account := range map[*browser]string{c.reception: ".tiepnhan", c.officer: ".hotich", c.head: ".lanhdao"} {
		if err := b.signIn(ctx, c.url+"/desk", "officer", s.account(strings.ToLower(province)+account)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *crew) act(ctx context.Context, b *browser, number, action string, values map[string]string) error {
	p, err := b.get(ctx, c.url+"/desk/dossiers/"+number+"/act/"+action)
	if err != nil {
		return err
	}
	f, err := p.form("form-" + action)
	if err != nil {
		return err
	}
	f.fill(values)
	for name := range f.radios() {
		if strings.HasPrefix(name, "verdict-") {
			f.set(name, "ok")
		}
	}
	_, err = f.press(ctx, "")
	return err
}

// run files one dossier and takes it as far as it shall go.
func (s *story) run(ctx context.Context, e errand, c *crew) error {
	p, filing, err := s.begin(ctx, s.citizen, s.account(e.citizen), e.province+".14")
	if err != nil {
		return err
	}
	s.draft = filing
	answers := map[string]string{
		"submitter.relation": "self", "event.kind": e.kind, "event.year": "1990", "event.place": "Nơi sinh theo giấy khai sinh",
		"copies": e.copies, "delivery.method": "online", "contact.phone": "0950000199", "declaration": "true",
	}
	if p, err = s.walk(ctx, p, answers); err != nil {
		return err
	}
	if strings.HasSuffix(p.url.Path, "/papers") {
		f, err := p.form("form-papers")
		if err != nil {
			return err
		}
		if p, err = f.press(ctx, ""); err != nil {
			return err
		}
	}
	f, err := p.form("form-check")
	if err != nil {
		return err
	}
	if _, err = f.set("declaration", "true").press(ctx, ""); err != nil {
		return err
	}
	if s.number, err = s.waitNumber(ctx, s.citizen, filing); err != nil {
		return err
	}
	return s.carry(ctx, e, c)
}

func (s *story) carry(ctx context.Context, e errand, c *crew) error {
	switch e.until {
	case "submitted":
		return nil
	case "withdrawn":
		p, err := s.citizen.get(ctx, s.portal("/filings/"+s.draft+"/withdraw"))
		if err != nil {
			return err
		}
		f, err := p.form("form-withdraw")
		if err != nil {
			return err
		}
		_, err = f.set("reason", "Đã tìm thấy bản gốc.").press(ctx, "")
		return err
	case "refused":
		return c.act(ctx, c.reception, s.number, "refuse", map[string]string{"reason": "Hồ sơ trùng với hồ sơ đã trả kết quả.", "legalBasis": "Điều 17 Nghị định 118/2025/NĐ-CP"})
	}
	if err := s.payDue(ctx); err != nil {
		return err
	}
	if err := c.act(ctx, c.reception, s.number, "receive", nil); err != nil || e.until == "processing" {
		return err
	}
	if e.until == "waiting" {
		return c.act(ctx, c.officer, s.number, "askMore", map[string]string{"reason": "Đề nghị bổ sung bản chụp giấy khai sinh cũ, nếu còn.", "legalBasis": "Điều 2 Nghị định 87/2020/NĐ-CP", "days": "5"})
	}
	p, err := c.officer.get(ctx, c.url+"/desk/dossiers/"+s.number)
	if err != nil {
		return err
	}
	f, err := p.form("form-check-civilstatus")
	if err != nil {
		return err
	}
	if _, err := f.press(ctx, ""); err != nil {
		return err
	}
	if err := c.act(ctx, c.officer, s.number, "propose", map[string]string{"opinion": "Thông tin khớp với CSDL hộ tịch."}); err != nil || e.until == "signing" {
		return err
	}
	if err := c.act(ctx, c.head, s.number, "sign", map[string]string{"confirm": "yes"}); err != nil {
		return err
	}
	if err := s.state(ctx, "returned"); err != nil || e.stars == "" {
		return err
	}
	if p, err = s.citizen.get(ctx, s.portal("/filings/"+s.draft+"/rate")); err != nil {
		return err
	}
	if f, err = p.form("form-rate"); err != nil {
		return err
	}
	_, err = f.set("stars", e.stars).press(ctx, "")
	return err
}

// payDue pays what is due; an exempt person owes nothing.
func (s *story) payDue(ctx context.Context) error {
	p, err := s.citizen.get(ctx, s.portal("/filings/"+s.draft))
	if err != nil {
		return err
	}
	f, err := p.form("form-pay")
	if err != nil { // nothing is due
		return nil //nolint:nilerr // no form is the answer
	}
	if p, err = f.press(ctx, ""); err != nil {
		return err
	}
	if f, err = p.form("/pay"); err != nil {
		return err
	}
	if _, err = f.press(ctx, "success"); err != nil {
		return err
	}
	return until(ctx, "the payment", func() (bool, error) {
		page, err := s.citizen.get(ctx, s.portal("/filings/"+s.draft))
		if err != nil {
			return false, err
		}
		if _, err = page.form("form-pay"); err == nil {
			return false, errors.New("the fee is still open")
		}
		return true, nil
	})
}
