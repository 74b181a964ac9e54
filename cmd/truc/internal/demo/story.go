package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"truc/internal/registers/synthetic"
)

// story is the whole main job, told through the HTTP interfaces that people and nodes use.
type story struct {
	n   *Network
	d   *Description
	out io.Writer

	citizen         *browser
	reception, head *browser
	officer         *browser
	draft, number   string
	result          []byte
	person          synthetic.Story
	// did are the acts that are known to have happened, tried those that may have: a person who was interrupted looks
	// before acting again.
	did, tried map[string]bool
}

// Step is one part of the story. It may be run again after it failed: what was done is not done twice.
type Step struct {
	About string
	Run   func(context.Context) error
}

// Tale is the story in parts, for tests that interrupt it.
type Tale struct {
	s     *story
	Steps []Step
}

// Filing returns the identifier of the filing and the number of its dossier, as far as the story has come.
func (t *Tale) Filing() (id, number string) { return t.s.draft, t.s.number }

// once does what is done once, unless it is known to have happened.
func (s *story) once(key string, f func() error) error {
	if s.did[key] {
		return nil
	}
	err := f()
	if err == nil {
		s.did[key] = true
	}
	return err
}

// Tale returns the story from the first click to the signed result.
func (n *Network) Tale(out io.Writer) (*Tale, error) {
	d, err := n.Describe()
	if err != nil {
		return nil, err
	}
	s := &story{
		n: n, d: d, out: out, citizen: newBrowser(), reception: newBrowser(), officer: newBrowser(), head: newBrowser(),
		did: map[string]bool{}, tried: map[string]bool{},
	}
	for _, p := range n.l.stories {
		if p.ID == "ha" {
			s.person = p
		}
	}
	return &Tale{s: s, Steps: []Step{
		{"a citizen finds the procedure by typing without accents", s.find},
		{"sees fee, exemptions and papers before starting; signs in; the form is filled from the population register", s.start},
		{"answers one thing per page and leaves in between: the draft survives", s.answer},
		{"uploads a paper; a file that lies about its type is refused", s.upload},
		{"checks the answers and submits; gets a dossier number and a slip as PDF", s.submit},
		{"pays: the first attempt fails, the second is confirmed twice and counted once", s.pay},
		{"reception judges each paper and receives; the due date follows from the working-time calendar", s.receive},
		{"the specialist asks for a supplement: the clock stands still; the citizen answers", s.supplement},
		{"the specialist checks the civil-status register over the exchange and proposes", s.propose},
		{"a wrong role is refused, the head sends back once, then signs", s.sign},
		{"the citizen downloads the result; both signatures are valid, one changed byte breaks them", s.download},
		{"rates the service, once", s.rate},
		{"sees every reading of the data at both registers and proves one offline", s.myData},
		{"a reading without a stated purpose is refused at the register", s.refused},
		{"a ministry's own system, published from its OpenAPI file, answers a province's program", s.published},
		{"killed registers and provinces do not stop a citizen, and nothing is lost or done twice", s.badDay},
		{"oversight counts it, and each number opens its list", s.oversight},
	}}, nil
}

// Story runs the main job and says each step. It returns an error at the first step that does not hold.
func (n *Network) Story(ctx context.Context, out io.Writer) error {
	tale, err := n.Tale(out)
	if err != nil {
		return err
	}
	documents, err := n.DocumentTale(out)
	if err != nil {
		return err
	}
	steps := slices.Concat(tale.Steps, documents.Steps)
	begin := time.Now()
	fmt.Fprintf(out, "network: %d nodes in %.1f s\n", len(n.l.agencies), n.Took.Seconds())
	for _, st := range steps {
		t := time.Now()
		if err := st.Run(ctx); err != nil {
			fmt.Fprintf(out, "FAILED  %s: %v\n", st.About, err)
			return fmt.Errorf("%s: %w", st.About, err)
		}
		fmt.Fprintf(out, "ok %5.1f s  %s\n", time.Since(t).Seconds(), st.About)
	}
	fmt.Fprintf(out, "%d steps held in %.1f s\n", len(steps), time.Since(begin).Seconds())
	return nil
}

func (s *story) portal(path string) string { return s.d.Center.URL + path }

func (s *story) node(code string) string {
	for _, n := range s.d.Nodes {
		if n.ID == code {
			return n.URL
		}
	}
	return ""
}

func (s *story) account(name string) string {
	for _, c := range s.d.Accounts.Citizens {
		if c.Name == name || c.ID == name {
			return c.ID
		}
	}
	for _, o := range s.d.Accounts.Officers {
		if o.Account == name {
			return o.ID
		}
	}
	return name
}

func expect(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func (s *story) find(ctx context.Context) error {
	p, err := s.citizen.get(ctx, s.portal("/"))
	if err != nil {
		return err
	}
	f, err := p.form("/procedures")
	if err != nil {
		return err
	}
	if p, err = f.set("q", "trich luc ho tich").press(ctx, ""); err != nil {
		return err
	}
	_, err = p.follow(ctx, "/procedures/2.000635")
	return err
}

// begin starts a draft as a person and returns its first page.
func (s *story) begin(ctx context.Context, b *browser, account, unit string) (*page, string, error) {
	p, err := b.get(ctx, s.portal("/procedures/2.000635"))
	if err != nil {
		return nil, "", err
	}
	f, err := p.form("form-start")
	if err != nil {
		return nil, "", err
	}
	f.set("unit", unit)
	if p, err = f.press(ctx, ""); err != nil && (p == nil || p.status >= 400) {
		return nil, "", err
	}
	if strings.Contains(p.url.Path, "/login") {
		if err = b.signInFrom(ctx, p, "citizen", account); err != nil {
			return nil, "", err
		}
		if p, err = b.get(ctx, s.portal("/procedures/2.000635")); err != nil {
			return nil, "", err
		}
		if f, err = p.form("form-start"); err != nil {
			return nil, "", err
		}
		if p, err = f.set("unit", unit).press(ctx, ""); err != nil {
			return nil, "", err
		}
	}
	parts := strings.Split(p.url.Path, "/")
	if len(parts) < 4 || parts[1] != "apply" {
		return nil, "", fmt.Errorf("expected a question, got %s: %s", p.url.Path, p.heading())
	}
	return p, parts[2], nil
}

func (s *story) start(ctx context.Context) error {
	p, err := s.citizen.get(ctx, s.portal("/procedures/2.000635"))
	if err != nil {
		return err
	}
	for _, want := range []string{"8.000 đồng", "Người có công với cách mạng", "Văn bản ủy quyền"} {
		if !p.has(want) {
			return fmt.Errorf("the procedure page does not say %q", want)
		}
	}
	if p, s.draft, err = s.begin(ctx, s.citizen, s.account("c-ha"), lamDong+".14"); err != nil {
		return err
	}
	if _, err := p.form("form-wrong-0"); err != nil {
		return errors.New("a value from a register cannot be reported as wrong")
	}
	return expect(p.has(s.person.Name), "the name was not filled in from the register")
}

// walk answers page by page until the papers or the last check; answers are given by control name.
func (s *story) walk(ctx context.Context, p *page, answers map[string]string) (*page, error) {
	for range 25 {
		last := p.url.Path[strings.LastIndexByte(p.url.Path, '/')+1:]
		if last == "papers" || last == "check" {
			return p, nil
		}
		f, err := p.form("form-" + last)
		if err != nil {
			return p, err
		}
		f.fill(answers)
		next, err := f.press(ctx, "")
		if err != nil {
			return next, err
		}
		p = next
	}
	return p, errors.New("the questions do not end")
}

func (s *story) answers() map[string]string {
	return map[string]string{
		"submitter.relation": "authorised", "event.kind": "birth", "event.subjectName": "Trần Quốc Bảo",
		"event.subjectBirthDate-day": "30", "event.subjectBirthDate-month": "11", "event.subjectBirthDate-year": "1988",
		"event.year": "1988", "event.place": "Phường Phú Xuân, thành phố Huế",
		"copies": "2", "delivery.method": "online", "contact.phone": "0950000101", "contact.email": "ha@example.vn", "declaration": "true",
	}
}

func (s *story) answer(ctx context.Context) error {
	p, err := s.citizen.get(ctx, s.portal("/apply/"+s.draft+"/requester"))
	if err != nil {
		return err
	}
	f, err := p.form("form-requester")
	if err != nil {
		return err
	}
	if _, err = f.press(ctx, ""); err != nil {
		return err
	}
	// The person goes away and comes back: the list of filings leads to the draft.
	if p, err = s.citizen.get(ctx, s.portal("/filings")); err != nil {
		return err
	}
	if p, err = p.follow(ctx, "/apply/"+s.draft); err != nil {
		return err
	}
	p, err = s.walk(ctx, p, s.answers())
	if err != nil {
		return err
	}
	return expect(strings.HasSuffix(p.url.Path, "/papers"), "expected the papers, got %s", p.url.Path)
}

// paperPDF is a small but real PDF.
var paperPDF = []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
	"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\nxref\n0 4\n0000000000 65535 f \n0000000009 00000 n \n" +
	"0000000052 00000 n \n0000000101 00000 n \ntrailer<</Size 4/Root 1 0 R>>\nstartxref\n164\n%%EOF\n")

func (s *story) upload(ctx context.Context) error {
	p, err := s.citizen.get(ctx, s.portal("/apply/"+s.draft+"/papers"))
	if err != nil {
		return err
	}
	f, err := p.form("form-papers")
	if err != nil {
		return err
	}
	if s.tried["upload"] && p.has("uỷ quyền của anh Bảo.pdf") {
		return nil
	}
	field := f.fileField("uy-quyen")
	if field == "" {
		return errors.New("there is no place for the authorisation")
	}
	f.files[field] = upload{"uy-quyen.pdf", "application/pdf", []byte("#!/bin/sh\necho not a PDF\n")}
	if refused, err := f.press(ctx, ""); err == nil {
		return fmt.Errorf("a script that calls itself a PDF was accepted (%s)", refused.url.Path)
	}
	s.tried["upload"] = true
	f.files[field] = upload{"uỷ quyền của anh Bảo.pdf", "application/pdf", paperPDF}
	p, err = f.press(ctx, "")
	if err != nil {
		return err
	}
	return expect(strings.HasSuffix(p.url.Path, "/check") || p.has("uỷ quyền của anh Bảo.pdf"), "the paper was not taken: %s", p.heading())
}

func (s *story) submit(ctx context.Context) error {
	if err := s.once("submit", func() error { return s.press(ctx) }); err != nil {
		return err
	}
	var err error
	if s.number, err = s.waitNumber(ctx, s.citizen, s.draft); err != nil {
		return err
	}
	return s.slip(ctx)
}

// press submits, and presses once more, as impatient people do.
func (s *story) press(ctx context.Context) error {
	p, err := s.citizen.get(ctx, s.portal("/apply/"+s.draft+"/check"))
	if err != nil && s.tried["submit"] { // the draft may have become a filing before the answer was lost
		if p, err = s.citizen.get(ctx, s.portal("/filings/"+s.draft+"/done")); err == nil {
			return nil
		}
	}
	if err != nil {
		return err
	}
	if s.tried["submit"] && strings.HasPrefix(p.url.Path, "/filings/") {
		return nil
	}
	if !p.has("16.000 đồng") {
		return errors.New("two copies should cost 16.000 đồng before submission")
	}
	f, err := p.form("form-check")
	if err != nil {
		return err
	}
	s.tried["submit"] = true
	f.set("declaration", "true")
	if _, err = f.press(ctx, ""); err != nil {
		return err
	}
	if again, err := f.press(ctx, ""); err != nil || again.data("filing") != s.draft {
		return fmt.Errorf("submitting twice did not lead to the same filing: %w", err)
	}
	return nil
}

// waitNumber waits until the agency has given the filing its number.
func (s *story) waitNumber(ctx context.Context, b *browser, filing string) (number string, err error) {
	err = until(ctx, "the dossier number", func() (bool, error) {
		p, err := b.get(ctx, s.portal("/filings/"+filing+"/done"))
		if err != nil {
			return false, err
		}
		number = p.data("number")
		return number != "", nil
	})
	return number, err
}

func (s *story) slip(ctx context.Context) error {
	return until(ctx, "the slip", func() (bool, error) {
		p, err := s.citizen.get(ctx, s.portal("/filings/"+s.draft))
		if err != nil {
			return false, err
		}
		if p, err = p.follow(ctx, "/documents/submission-"); err != nil {
			return false, err
		}
		return bytes.HasPrefix(p.body, []byte("%PDF-")), nil
	})
}

func (s *story) pay(ctx context.Context) error {
	for _, outcome := range []string{"insufficient", "twice"} {
		if err := s.once("pay "+outcome, func() error { return s.payAttempt(ctx, outcome) }); err != nil {
			return err
		}
	}
	return until(ctx, "the confirmation", func() (bool, error) {
		p, err := s.citizen.get(ctx, s.portal("/filings/"+s.draft))
		if err != nil {
			return false, err
		}
		_, err = p.form("form-pay")
		return err != nil, nil
	})
}

// payAttempt goes to the provider and lets the payment end in an outcome.
func (s *story) payAttempt(ctx context.Context, outcome string) error {
	p, err := s.citizen.get(ctx, s.portal("/filings/"+s.draft))
	if err != nil {
		return err
	}
	f, err := p.form("form-pay")
	if err != nil && s.tried["pay twice"] { // it was counted before the answer was lost
		return nil
	}
	if err != nil {
		return err
	}
	if p, err = f.press(ctx, ""); err != nil {
		return err
	}
	if !strings.HasPrefix(p.url.String(), s.d.Payment.URL) {
		return fmt.Errorf("expected the payment provider, got %s: %s", p.url, p.heading())
	}
	if f, err = p.form("/pay"); err != nil {
		return err
	}
	s.tried["pay "+outcome] = true
	if p, err = f.press(ctx, outcome); err != nil {
		return err
	}
	return expect(strings.HasPrefix(p.url.String(), s.d.Center.URL), "the provider did not lead back but to %s", p.url)
}

// state waits until the citizen's page shows a state.
func (s *story) state(ctx context.Context, states ...string) error {
	last := ""
	err := until(ctx, "state "+strings.Join(states, " or "), func() (bool, error) {
		p, err := s.citizen.get(ctx, s.portal("/filings/"+s.draft))
		if err != nil {
			return false, err
		}
		last = p.data("state")
		return slices.Contains(states, last), nil
	})
	if err != nil {
		return fmt.Errorf("the citizen's page still shows %q: %w", last, err)
	}
	return nil
}
