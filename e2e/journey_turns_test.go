package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// TestTurns follows dossiers that do not end the straight way, each on the citizen's page.
func TestTurns(t *testing.T) {
	n := Demo(t)
	c := n.AsCitizen(t, n.Person(t, "c-long").Name)
	reception := n.AsOfficer(t, n.Account(t, "h36.tiepnhan"))
	officer, head := n.AsOfficer(t, n.Account(t, "h36.hotich")), n.AsOfficer(t, n.Account(t, "h36.lanhdao"))
	tabs := []*Tab{c, reception, officer, head}
	run := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			for _, tab := range tabs {
				tab.t = t
			}
			f(t)
		})
		for _, tab := range tabs {
			tab.t = t
		}
	}
	run("drafts", func(t *testing.T) { testDrafts(t, c) })
	run("withdraw", func(t *testing.T) { testWithdraw(t, c, reception) })
	run("refuse", func(t *testing.T) { testRefuse(t, c, reception) })
	run("extend and deliver", func(t *testing.T) { testExtend(t, n, c, reception, officer, head) })
}

func testDrafts(t *testing.T, c *Tab) {
	kept := c.Begin(extractCode, "H36.14")
	c.Press("Tiếp tục")
	c.Set("form-relation", map[string]string{"submitter.relation": "parent"})
	c.Press("Lưu và làm sau")
	gone := c.Begin(extractCode, "H36.14")
	c.Go("/filings")
	c.check("filings-drafts")
	c.Send("form-delete-"+gone, "")
	c.Go("/filings")
	if c.link("/apply/"+gone) != "" {
		t.Error("a deleted draft is still in the list")
	}
	c.Go(c.link("/apply/" + kept))
	if c.path() == "relation" {
		if got := Value[string](c, `document.querySelector('#form-relation [name="submitter.relation"]:checked')?.value ?? ''`); got != "parent" {
			t.Errorf("the draft came back with %q", got)
		}
	} else if c.path() != "kind" {
		t.Errorf("the draft goes on at %s", c.URL())
	}
	c.Expect("status 404")
	c.Go("/apply/" + gone + "/relation")
	c.check("draft-gone")
}

func testWithdraw(t *testing.T, c, reception *Tab) {
	filing, number := c.File(extractCode, "H36.14", extractAnswers())
	c.Go("/filings/" + filing)
	c.Follow("Rút hồ sơ")
	c.check("withdraw")
	c.Fill("Lý do", "Đã tìm thấy bản cũ.")
	c.Press("Rút hồ sơ")
	c.UntilState(filing, "withdrawn")
	c.check("filing-withdrawn")
	reception.Go("/desk/dossiers/" + number)
	reception.Until("the withdrawal at the desk", func() bool { return reception.Data("state") == "withdrawn" })
	testTrack(t, c, number)
}

// testTrack looks a dossier up without signing in: with the right digits, with wrong ones, and too often.
func testTrack(t *testing.T, c *Tab, number string) {
	a := Open(t, Value[string](c, "location.origin")+"/track")
	a.check("track")
	a.Press("Tra cứu")
	a.wantProblem("Nhập mã hồ sơ.")
	a.CheckPage("track-problem")
	find := func(digits string) {
		a.Go("/track")
		a.Fill("Mã hồ sơ", number)
		a.Fill("Bốn số cuối", digits)
		a.Press("Tra cứu")
	}
	find("0112") // Vũ Hoàng Long's personal number ends so
	a.Want(number, "Đã rút")
	if a.Has("Vũ Hoàng Long") {
		t.Error("the name is shown to somebody who is not signed in")
	}
	a.CheckPage("track-found")
	find("9999")
	a.wantProblem("Không có hồ sơ nào khớp")
	a.Expect("status 429")
	for range 8 {
		if find("9998"); a.Has("Gửi quá nhiều yêu cầu") {
			a.CheckPage("track-limited")
			return
		}
	}
	t.Error("nobody is stopped who guesses the digits")
}

func testRefuse(t *testing.T, c, reception *Tab) {
	filing, number := c.File(extractCode, "H36.14", extractAnswers())
	reception.OpenAct(number, "refuse")
	reception.check("act-refuse")
	reception.Act(number, "refuse", "refused", map[string]string{
		"reason": "Sự kiện chưa được đăng ký. Đăng ký khai sinh trước rồi xin trích lục.", "legalBasis": "Điều 63 Luật Hộ tịch",
	})
	c.UntilState(filing, "refused")
	c.Want("Sự kiện chưa được đăng ký", "Phiếu từ chối tiếp nhận")
	if c.Has("Dự kiến có kết quả") || c.Has("Chưa nộp") {
		t.Error("a refused filing still promises a result or asks for the fee")
	}
	c.check("filing-refused")
	c.wantPDF("/documents/slip-03")
}

func testExtend(t *testing.T, n *Network, c, reception, officer, head *Tab) {
	answers := extractAnswers()
	answers["delivery.method"] = "counter"
	filing, number := c.File(extractCode, "H36.14", answers)
	c.Pay(n, filing, "success")
	reception.Act(number, "receive", "processing", nil)
	head.OpenAct(number, "extend")
	head.check("act-extend")
	before := dueOf(head, number)
	head.Act(number, "extend", "processing", map[string]string{"amount": "1", "reason": "Chờ đối chiếu sổ gốc lưu tại Huế."})
	if after := dueOf(head, number); after <= before {
		t.Errorf("the extension moves the due time from %s to %s", before, after)
	}
	c.Go("/filings/" + filing)
	c.Until("the letter of apology", func() bool { return c.link("/documents/slip-04") != "" })
	c.Want("Chờ đối chiếu sổ gốc")
	c.check("filing-extended")
	c.wantPDF("/documents/slip-04")

	officer.Go("/desk/dossiers/" + number)
	officer.Set("form-check-civilstatus", map[string]string{
		"by": "name", "kind": "birth", "fullName": "Trần Quốc Bảo", "birthDate-day": "30", "birthDate-month": "11", "birthDate-year": "1988",
	})
	officer.Send("form-check-civilstatus", "")
	officer.Act(number, "propose", "signing", map[string]string{"opinion": "Khớp sổ gốc, đề nghị ký."})
	head.Act(number, "sign", "done", map[string]string{"confirm": "yes"})
	c.UntilState(filing, "done")
	c.check("filing-done")
	reception.OpenAct(number, "deliver")
	reception.check("act-deliver")
	reception.Act(number, "deliver", "returned", map[string]string{"channel": "counter"})
	c.UntilState(filing, "returned")
}

func dueOf(desk *Tab, number string) string {
	desk.t.Helper()
	desk.Go("/desk/dossiers/" + number)
	return desk.Attr("#dossier", "data-due")
}

// wantPDF fails unless the first link that contains part leads to a PDF.
func (tab *Tab) wantPDF(part string) {
	tab.t.Helper()
	b, header := tab.fetch(tab.link(part))
	if header.Get("Content-Type") != "application/pdf" || !bytes.HasPrefix(b, []byte("%PDF-")) {
		tab.t.Errorf("%s is %q and begins %q", part, header.Get("Content-Type"), clip(string(b), 8))
	}
}

// TestStrangers knocks at doors that are not theirs.
func TestStrangers(t *testing.T) {
	n := Demo(t)
	c := n.AsCitizen(t, n.Person(t, "c-bao").Name)
	t.Run("a citizen at the administration", func(t *testing.T) {
		c.Expect("status 403")
		c.Go("/directory/admin")
		c.check("denied-citizen")
		res, _ := c.send(http.MethodGet, "/directory/admin", nil, nil)
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("status %d; want 403", res.StatusCode)
		}
	})
	t.Run("an administrator in a dossier", func(t *testing.T) {
		a := n.AsOfficer(t, n.Account(t, "h36.quantri"))
		a.Go("/desk")
		a.check("desk-admin")
		a.Expect("status 403")
		a.Go("/desk/dossiers/H36.14-261122-0001")
		a.check("denied-admin")
	})
	t.Run("a missing filing", func(t *testing.T) {
		c.Expect("status 404")
		c.Go(n.Center.URL + "/filings/no-such-filing")
		c.check("missing-filing")
	})
	t.Run("a form of another site", func(t *testing.T) {
		for _, header := range []map[string]string{
			{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://example.vn"},
		} {
			res, b := c.send(http.MethodPost, "/procedures/"+extractCode+"/start", map[string][]string{"unit": {"H36.14"}}, header)
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%v: status %d; want 403: %s", header, res.StatusCode, clip(string(b), 200))
			}
		}
	})
	t.Run("signing out", func(t *testing.T) {
		c.Go(n.Center.URL + "/filings")
		c.Press("Đăng xuất")
		res, _ := c.send(http.MethodGet, "/filings", nil, nil)
		if res.StatusCode != http.StatusSeeOther || !strings.Contains(res.Header.Get("Location"), "/login") {
			t.Errorf("after signing out the list answers %d %s", res.StatusCode, res.Header.Get("Location"))
		}
	})
}
