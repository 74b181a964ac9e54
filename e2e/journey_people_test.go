package e2e

import (
	"maps"
	"testing"
)

// TestPeople files for people whom systems forget: a name of eight words, a birth of which only the year is known,
// a person who is exempt from the fee, and one whose account is not strong enough.
func TestPeople(t *testing.T) {
	n := Demo(t)
	tests := []struct {
		id      string
		about   string
		answers map[string]string
		shows   []string // on the check before submission
	}{
		{id: "c-quynh", about: "long-name", shows: []string{"Công Tằng Tôn Nữ Thuỷ Quỳnh Như Ngọc", "8.000 đồng"}, answers: map[string]string{
			"event.subjectName": "Công Tằng Tôn Nữ Thuỷ Quỳnh Như Ngọc", "contact.email": "cong-tang-ton-nu-thuy-quynh-nhu-ngoc.phong-hanh-chinh@thuathienhue-example.gov.vn",
			"event.place": "ThịtrấnPhúBàihuyệnHươngThủytỉnhThừaThiênHuếnaythuộcphườngPhúBàithànhphốHuế",
		}},
		{id: "c-kbret", about: "year-only", shows: []string{"K'Brết", "1948"}, answers: map[string]string{
			"event.subjectName": "K'Brết", "event.subjectBirthDate-day": "", "event.subjectBirthDate-month": "", "event.subjectBirthDate-year": "",
		}},
		{id: "c-nghia", about: "exempt", shows: []string{"Hồ Văn Nghĩa", "Người có công với cách mạng"}},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			p := n.Person(t, tt.id)
			c := n.AsCitizen(t, p.Name)
			filing := c.Begin(extractCode, "H57.14")
			c.Want(p.Name)
			c.check("people-" + tt.about + "-question")
			answers := extractAnswers()
			maps.Copy(answers, tt.answers)
			c.Walk(answers)
			c.Want(tt.shows...)
			c.check("people-" + tt.about + "-check")
			c.Submit(filing)
			if tt.id == "c-nghia" && c.HasForm("form-pay") {
				t.Error("a person who is exempt is asked to pay")
			}
			c.Go("/filings/" + filing)
			c.check("people-" + tt.about + "-filing")
			if tt.id == "c-quynh" {
				r := n.AsOfficer(t, n.Account(t, "h57.tiepnhan"))
				r.Want(p.Name)
				r.check("people-long-name-desk")
				r.Follow(c.Data("number"))
				r.check("people-long-name-dossier")
			}
		})
	}
	t.Run("weak account", func(t *testing.T) {
		c := n.AsCitizen(t, n.Person(t, "c-ka-nga").Name)
		c.Go("/procedures/" + extractCode)
		c.check("people-weak-account")
	})
}
