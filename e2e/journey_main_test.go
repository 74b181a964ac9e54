package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mainJourney is one dossier from the first search to the rating, seen by four people.
type mainJourney struct {
	t                        *testing.T // of the whole journey, so that a tab outlives the step that opened it
	n                        *Network
	citizen                  *Tab
	reception, officer, head *Tab
	filing, number           string
}

// TestMainJourney follows a copy of a birth record through the hands of everybody concerned. The citizen's browser
// runs no script. The steps build on each other.
func TestMainJourney(t *testing.T) {
	n := Demo(t)
	j := &mainJourney{t: t, n: n, citizen: OpenWithoutScript(t, n.Center.URL+"/")}
	steps := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"find", j.find},
		{"answer", j.answer},
		{"papers", j.papers},
		{"submit", j.submit},
		{"pay", j.pay},
		{"follow", j.follow},
		{"worklist", j.worklist},
		{"receive", j.receive},
		{"supplement", j.supplement},
		{"propose", j.propose},
		{"sign", j.sign},
		{"result", j.result},
		{"rate", j.rate},
	}
	for _, s := range steps {
		done := false
		t.Run(s.name, func(t *testing.T) {
			j.as(t)
			s.run(t)
			done = true
		})
		if !done { // it broke off, so those behind it make no sense; a fault of a page alone does not
			return
		}
	}
}

// as gives the tabs the test that runs, so that a failure names its step.
func (j *mainJourney) as(t *testing.T) {
	for _, tab := range []*Tab{j.citizen, j.reception, j.officer, j.head} {
		if tab != nil {
			tab.t = t
		}
	}
}

func (j *mainJourney) find(t *testing.T) {
	c := j.citizen
	c.check("home")
	c.Fill("Cần làm thủ tục gì?", "trich luc ho tich")
	c.Press("Tìm")
	c.check("procedures-found")
	c.Follow("Cấp bản sao trích lục hộ tịch")
	c.Want("8.000 đồng", "Người có công với cách mạng", "Văn bản ủy quyền")
	c.check("procedure")
	c.Press("Bắt đầu")
	if got := c.path(); got != "start" {
		t.Fatalf("starting without an office leads to %s", c.URL())
	}
	c.wantProblem("Chọn nơi nộp hồ sơ.")
	c.CheckPage("procedure-problem")
	c.Choose("Trung tâm Phục vụ hành chính công tỉnh Lâm Đồng")
	c.Press("Bắt đầu")
	c.check("login")
	c.Follow("Đăng nhập công dân")
	c.CheckPage("login-provider")
	c.Press("Nguyễn Thị Thu Hà")
}

// question is one page of the form.
type question struct {
	page    string
	answer  map[string]string
	problem string // what an empty page is told; "" when it may stay empty
}

func (j *mainJourney) answer(t *testing.T) {
	c := j.citizen
	if c.path() == extractCode { // signed in and back at the procedure
		c.Choose("Trung tâm Phục vụ hành chính công tỉnh Lâm Đồng")
		c.Press("Bắt đầu")
	}
	j.filing = c.draft()
	c.Want("Nguyễn Thị Thu Hà") // from the register
	c.check("question-requester")
	c.Press("Tiếp tục")
	a := extractAnswers()
	for _, q := range []question{
		{page: "relation", problem: "lỗi", answer: map[string]string{"submitter.relation": "authorised"}},
		{page: "kind", problem: "lỗi", answer: a},
		{page: "subject", problem: "lỗi", answer: a},
		{page: "event", problem: "lỗi", answer: a},
		{page: "copies", problem: "lỗi", answer: map[string]string{"copies": "2"}},
		{page: "delivery", problem: "lỗi", answer: a},
		{page: "contact", problem: "lỗi", answer: a},
	} {
		if got := c.path(); got != q.page {
			t.Fatalf("the question is %s; want %s", got, q.page)
		}
		c.check("question-" + q.page)
		c.empty("form-" + q.page)
		c.Send("form-"+q.page, "")
		c.wantProblem("")
		c.CheckPage("question-" + q.page + "-problem")
		c.Set("form-"+q.page, q.answer)
		c.Press("Tiếp tục")
	}
}

func (j *mainJourney) papers(t *testing.T) {
	c := j.citizen
	if c.path() != "papers" {
		t.Fatalf("no papers but %s", c.URL())
	}
	c.check("papers")
	c.SetFile("form-papers", "uy-quyen", "uy-quyen.pdf", []byte("#!/bin/sh\necho no PDF\n"))
	c.Press("Tiếp tục")
	c.wantProblem("")
	c.CheckPage("papers-problem")
	c.SetFile("form-papers", "uy-quyen", "uỷ quyền của anh Bảo.pdf", paper)
	c.Press("Tiếp tục")
	c.Want("uỷ quyền của anh Bảo.pdf", "16.000 đồng")
}

func (j *mainJourney) submit(t *testing.T) {
	c := j.citizen
	c.check("check")
	c.Press("Ký và nộp")
	c.wantProblem("")
	c.CheckPage("check-problem")
	c.Choose("Tôi cam đoan")
	c.Press("Ký và nộp")
	j.number = c.Number(j.filing)
	if !strings.HasPrefix(j.number, "H36.14-") {
		t.Fatalf("the number is %q", j.number)
	}
	c.check("done")
}

func (j *mainJourney) pay(t *testing.T) {
	c := j.citizen
	c.Go("/filings/" + j.filing)
	c.check("filing-unpaid")
	c.Press("Nộp phí")
	c.CheckPage("pay-provider")
	c.Send("/pay", "insufficient")
	c.Want("Thanh toán không thành công")
	c.CheckPage("filing-pay-failed")
	c.Press("Nộp phí")
	c.Send("/pay", "twice")
	c.Go("/filings/" + j.filing)
	c.Until("the confirmation", func() bool { return !c.HasForm("form-pay") })
	c.Want("16.000 đồng")
}

func (j *mainJourney) follow(t *testing.T) {
	c := j.citizen
	c.check("filing")
	c.Go("/filings")
	c.Want(j.number)
	c.check("filings")
	c.Go("/filings/" + j.filing)
	c.Until("the slip", func() bool { return c.link("/documents/submission-") != "" })
	b, header := c.fetch(c.link("/documents/submission-"))
	if got := header.Get("Content-Type"); got != "application/pdf" || !bytes.HasPrefix(b, []byte("%PDF-")) {
		t.Errorf("the slip is %q and begins %q", got, clip(string(b), 8))
	}
}

func (j *mainJourney) worklist(t *testing.T) {
	j.reception = j.n.AsOfficer(j.t, j.n.Account(t, "h36.tiepnhan"))
	j.as(t)
	r := j.reception
	r.Go("/desk")
	r.Want(j.number)
	r.check("desk")
	r.Go("/desk?q=" + j.number)
	r.Follow(j.number)
	r.Want("Nguyễn Thị Thu Hà")
	r.check("dossier")
}

func (j *mainJourney) receive(t *testing.T) {
	r := j.reception
	r.OpenAct(j.number, "receive")
	r.check("act-receive")
	r.Send("form-receive", "")
	r.wantProblem("")
	r.CheckPage("act-receive-problem")
	r.judge("receive")
	r.Send("form-receive", "")
	r.wantState("processing")
	if r.Data("due") == "" {
		t.Error("a received dossier has no due date")
	}
	r.check("dossier-received")
	j.citizen.UntilState(j.filing, "processing")
}

func (j *mainJourney) supplement(t *testing.T) {
	j.officer = j.n.AsOfficer(j.t, j.n.Account(t, "h36.hotich"))
	j.as(t)
	o, c := j.officer, j.citizen
	o.OpenAct(j.number, "askMore")
	o.check("act-ask-more")
	o.Send("form-askMore", "")
	o.wantProblem("")
	o.CheckPage("act-ask-more-problem")
	o.Act(j.number, "askMore", "waiting", map[string]string{
		"reason": "Văn bản ủy quyền bị mờ trang 2, đề nghị chụp lại.", "legalBasis": "Điều 2 Nghị định 87/2020/NĐ-CP", "days": "3", "wanted": "uy-quyen",
	})
	o.check("dossier-waiting")
	c.UntilState(j.filing, "waiting")
	c.Want("bị mờ trang 2")
	c.check("filing-waiting")
	c.Go("/")
	c.check("home-asked")
	c.Go("/filings/" + j.filing + "/supplement")
	c.check("supplement")
	c.Press("Gửi bổ sung")
	c.wantProblem("")
	c.CheckPage("supplement-problem")
	c.SetFile("form-supplement", "uy-quyen", "chup-lai.pdf", append(bytes.Clone(paper), '\n'))
	c.Fill("Lời nhắn cho cơ quan", "Đã chụp lại trang 2.")
	c.Press("Gửi bổ sung")
	c.UntilState(j.filing, "processing", "received")
}

func (j *mainJourney) propose(t *testing.T) {
	o := j.officer
	o.Go("/desk/dossiers/" + j.number)
	o.Until("the supplement at the desk", func() bool { return o.Data("state") == "processing" })
	o.Set("form-check-civilstatus", map[string]string{
		"by": "name", "kind": "birth", "fullName": "Trần Quốc Bảo", "birthDate-day": "30", "birthDate-month": "11", "birthDate-year": "1988",
	})
	o.Send("form-check-civilstatus", "")
	o.Want("Trần Đình Sơn") // the father, in the register
	o.check("dossier-checked")
	o.OpenAct(j.number, "propose")
	o.check("act-propose")
	o.Act(j.number, "propose", "signing", map[string]string{"opinion": "Thông tin khớp với CSDL hộ tịch, đề nghị ký."})
}

func (j *mainJourney) sign(t *testing.T) {
	j.head = j.n.AsOfficer(j.t, j.n.Account(t, "h36.lanhdao"))
	j.as(t)
	o, h := j.officer, j.head
	o.Expect("status 403")
	o.Go("/desk/dossiers/" + j.number + "/act/sign")
	if o.HasForm("form-sign") {
		t.Error("the specialist is offered to sign")
	}
	o.check("act-refused")
	h.OpenAct(j.number, "sendBack")
	h.check("act-send-back")
	h.Act(j.number, "sendBack", "processing", map[string]string{"reason": "Ghi rõ số quyển trong ý kiến."})
	o.Act(j.number, "propose", "signing", map[string]string{"opinion": "Đã ghi rõ số quyển."})
	h.OpenAct(j.number, "sign")
	h.check("act-sign")
	h.Act(j.number, "sign", "returned", map[string]string{"confirm": "yes"})
	h.check("dossier-returned")
	j.citizen.UntilState(j.filing, "returned")
	j.citizen.check("filing-returned")
}

func (j *mainJourney) result(t *testing.T) {
	c := j.citizen
	c.Go("/filings/" + j.filing)
	b, header := c.fetch(c.link("/documents/result-"))
	if got := header.Get("Content-Type"); got != "application/pdf" {
		t.Errorf("the result is %q", got)
	}
	checkSignatures(t, j.n, b)
}

// checkSignatures lets two programs that know nothing of ours judge a signed file.
func checkSignatures(t *testing.T, n *Network, result []byte) {
	t.Helper()
	for _, tool := range []string{"pdfsig", "certutil", "qpdf"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: poppler-utils, libnss3-tools and qpdf judge the signed file", tool)
		}
	}
	dir := t.TempDir()
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	ca := put("ca.pem", get(t, n.Node(t, "H36").URL+"/sign/ca.pem"))
	nss := "sql:" + filepath.Join(dir, "nss")
	if err := os.Mkdir(filepath.Join(dir, "nss"), 0o700); err != nil {
		t.Fatal(err)
	}
	run("certutil", "-N", "-d", nss, "--empty-password")
	run("certutil", "-A", "-d", nss, "-n", "ca", "-t", "CT,C,C", "-i", ca)
	good := put("result.pdf", result)
	said := run("pdfsig", "-nssdir", nss, good)
	// Behind the last signature lies the evidence for years to come (PAdES B-LT), which pdfsig remarks on.
	for want, times := range map[string]int{
		"ETSI.CAdES.detached": 2, "Signature is Valid.": 2, "Certificate is Trusted.": 2, "Not total document signed": 2,
	} {
		if got := strings.Count(said, want); got != times {
			t.Errorf("pdfsig says %q %d times; want %d:\n%s", want, got, times, said)
		}
	}
	if said := run("qpdf", "--check", good); !strings.Contains(said, "No syntax or stream encoding errors found") || strings.Contains(said, "WARNING") {
		t.Errorf("qpdf: %s", said)
	}
	broken := bytes.Clone(result)
	broken[bytes.Index(broken, []byte("stream"))+40] ^= 1
	if said := run("pdfsig", "-nssdir", nss, put("broken.pdf", broken)); strings.Contains(said, "Signature is Valid.") || !strings.Contains(said, "Digest Mismatch") {
		t.Errorf("pdfsig on a changed byte: %s", said)
	}
}

func (j *mainJourney) rate(t *testing.T) {
	c := j.citizen
	c.Go("/filings/" + j.filing + "/rate")
	c.check("rate")
	c.Press("Gửi đánh giá")
	c.wantProblem("")
	c.CheckPage("rate-problem")
	c.Choose("Rất hài lòng")
	c.Fill("Góp ý", "Nhanh, không phải đi lại.")
	c.Press("Gửi đánh giá")
	c.Want("Đã ghi nhận đánh giá")
	c.check("filing-rated")
}

func get(t *testing.T, address string) []byte {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(fmt.Errorf("%s: status %d: %w", address, res.StatusCode, err))
	}
	return b.Bytes()
}
