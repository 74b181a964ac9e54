package e2e

import (
	"strings"
	"testing"
)

// TestBirth registers a birth at Huế: the second procedure, another agency, with questions that depend on answers.
func TestBirth(t *testing.T) {
	n := Demo(t)
	c := n.AsCitizen(t, n.Person(t, "c-phuong").Name)
	c.Go("/procedures/" + birthCode)
	c.check("birth-procedure")
	filing := c.Begin(birthCode, "H57.14")
	answers := map[string]string{
		"requester.relation": "mother", "child.fullName": "Đặng Mai Khôi", "child.sex": "female",
		"child.birthDate-day": "5", "child.birthDate-month": "11", "child.birthDate-year": "2026", "child.bornAt": "facility",
		"child.place": "Bệnh viện Trung ương Huế, 16 Lê Lợi, thành phố Huế", "child.certificateNumber": "0123/2026",
		"child.ethnicity": "Kinh", "child.nationality": "Việt Nam", "child.homeTown": "Phường Phú Xuân, thành phố Huế",
		"father.known": "no", "delivery.method": "counter", "contact.phone": "0950000114", "declaration": "true",
	}
	var pages []string
	for range 15 {
		last := c.path()
		if last == "papers" || last == "check" {
			break
		}
		pages = append(pages, last)
		if last == "child" || last == "origin" || last == "fatherKnown" {
			c.check("birth-" + last)
		}
		c.Set("form-"+last, answers)
		c.Press("Tiếp tục")
		if c.path() == last {
			t.Fatalf("the answers to %s were not taken: %s", last, clip(c.Text("main"), 800))
		}
	}
	if got := strings.Join(pages, " "); strings.Contains(got, "father ") || strings.Contains(got, "mother") {
		t.Errorf("a mother who does not state the father is asked %s", got)
	}
	c.Want("Giấy chứng sinh")
	c.check("birth-papers")
	c.Walk(answers)
	c.Want("Đặng Mai Khôi", "Đăng ký khai sinh đúng hạn", "0 đồng")
	c.check("birth-check")
	number := c.Submit(filing)
	if !strings.HasPrefix(number, "H57.14-") {
		t.Fatalf("the number %q is not Huế's", number)
	}
	c.check("birth-done")

	r := n.AsOfficer(t, n.Account(t, "h57.tiepnhan"))
	r.Go("/desk?q=" + number)
	r.Follow(number)
	r.Want("Đặng Mai Khôi", "Đặng Thị Mai Phương")
	r.check("birth-dossier")
	r.Act(number, "receive", "processing", nil)
	c.UntilState(filing, "processing")
	c.check("birth-filing")
}
