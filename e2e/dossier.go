package e2e

import (
	"strings"
	"testing"
)

// paper is a small but real PDF that stands for whatever has to be uploaded.
var paper = []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
	"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\nxref\n0 4\n0000000000 65535 f \n0000000009 00000 n \n" +
	"0000000052 00000 n \n0000000101 00000 n \ntrailer<</Size 4/Root 1 0 R>>\nstartxref\n164\n%%EOF\n")

// The two procedures of the demonstration.
const (
	extractCode = "2.000635" // copy of a civil-status extract
	birthCode   = "1.001193" // birth registration
)

// extractAnswers ask for one copy of the birth of the person who asks.
func extractAnswers() map[string]string {
	return map[string]string{
		"submitter.relation": "self", "event.kind": "birth", "event.subjectName": "Trần Quốc Bảo",
		"event.subjectBirthDate-day": "30", "event.subjectBirthDate-month": "11", "event.subjectBirthDate-year": "1988",
		"event.year": "1988", "event.place": "Phường Phú Xuân, thành phố Huế", "copies": "1", "delivery.method": "online",
		"contact.phone": "0950000101", "contact.email": "ha@example.vn", "declaration": "true",
	}
}

// Begin starts a draft at a unit and returns it; the tab shows its first page.
func (tab *Tab) Begin(code, unit string) (draft string) {
	tab.t.Helper()
	tab.Go("/procedures/" + code)
	tab.Set("form-start", map[string]string{"unit": unit})
	tab.Send("form-start", "")
	return tab.draft()
}

// draft returns the draft whose page the tab shows.
func (tab *Tab) draft() string {
	tab.t.Helper()
	parts := strings.Split(Value[string](tab, "location.pathname"), "/")
	if len(parts) < 4 || parts[1] != "apply" {
		tab.t.Fatalf("no question of a form but %s: %s", tab.URL(), clip(tab.Text("body"), 600))
	}
	return parts[2]
}

// Walk answers page after page until the check before submission, uploading whatever is required.
func (tab *Tab) Walk(answers map[string]string) {
	tab.t.Helper()
	for range 25 {
		switch last := tab.path(); last {
		case "check":
			return
		case "papers":
			tab.uploadAll()
			tab.Send("form-papers", "")
			if tab.path() == "papers" {
				tab.t.Fatalf("the papers were not taken: %s", clip(tab.Text("main"), 800))
			}
		default:
			tab.Set("form-"+last, answers)
			tab.Send("form-"+last, "")
			if tab.path() == last {
				tab.t.Fatalf("the answers to %s were not taken: %s", last, clip(tab.Text("main"), 800))
			}
		}
	}
	tab.t.Fatal("the questions do not end")
}

func (tab *Tab) uploadAll() {
	tab.t.Helper()
	for _, name := range Value[[]string](tab, `[...document.querySelectorAll('#form-papers input[type=file]')].map(e => e.name)`) {
		tab.SetFile("form-papers", name, "giay-to.pdf", paper)
	}
}

// Submit declares, submits and waits for the number the agency gives.
func (tab *Tab) Submit(filing string) (number string) {
	tab.t.Helper()
	tab.Set("form-check", map[string]string{"declaration": "true"})
	tab.Send("form-check", "")
	return tab.Number(filing)
}

// Number waits for the number of a filing on the page that follows submission.
func (tab *Tab) Number(filing string) (number string) {
	tab.t.Helper()
	tab.Go("/filings/" + filing + "/done")
	tab.Until("the dossier number", func() bool {
		number = tab.Data("number")
		return number != ""
	})
	return number
}

// File files a dossier from start to number.
func (tab *Tab) File(code, unit string, answers map[string]string) (filing, number string) {
	tab.t.Helper()
	filing = tab.Begin(code, unit)
	tab.Walk(answers)
	return filing, tab.Submit(filing)
}

// Pay pays what is due with an outcome of the simulator.
func (tab *Tab) Pay(n *Network, filing, outcome string) {
	tab.t.Helper()
	tab.Go(n.Center.URL + "/filings/" + filing)
	tab.Send("form-pay", "")
	if !strings.HasPrefix(tab.URL(), n.Payment.URL) {
		tab.t.Fatalf("no payment provider but %s", tab.URL())
	}
	tab.Send("/pay", outcome)
	if !strings.HasPrefix(tab.URL(), n.Center.URL) {
		tab.t.Fatalf("the provider does not lead back but to %s", tab.URL())
	}
}

// Account returns the officer of an account.
func (n *Network) Account(t testing.TB, account string) Officer {
	t.Helper()
	for _, o := range n.Accounts.Officers {
		if o.Account == account {
			return o
		}
	}
	t.Fatalf("the network has no officer %s", account)
	return Officer{}
}

// Person returns the citizen of an id.
func (n *Network) Person(t testing.TB, id string) Citizen {
	t.Helper()
	for _, c := range n.Accounts.Citizens {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("the network has no citizen %s", id)
	return Citizen{}
}

// OpenAct opens the page of an action on a dossier at the officer's desk.
func (tab *Tab) OpenAct(number, action string) {
	tab.t.Helper()
	tab.Go("/desk/dossiers/" + number + "/act/" + action)
	if !tab.HasForm("form-" + action) {
		tab.t.Fatalf("%s is not open on %s: %s", action, number, clip(tab.Text("main"), 800))
	}
}

// Act does an action at the desk: every paper in order, the rest as values say. It fails unless the dossier is in
// the state afterwards.
func (tab *Tab) Act(number, action, state string, values map[string]string) {
	tab.t.Helper()
	tab.OpenAct(number, action)
	tab.judge(action)
	tab.Set("form-"+action, values)
	tab.Send("form-"+action, "")
	tab.wantState(state)
}

// judge calls every paper of the action good.
func (tab *Tab) judge(action string) {
	tab.t.Helper()
	verdicts := map[string]string{}
	for _, name := range Value[[]string](tab, `[...document.querySelectorAll('input[type=radio][name^="verdict-"]')].map(e => e.name)`) {
		verdicts[name] = "ok"
	}
	tab.Set("form-"+action, verdicts)
}

func (tab *Tab) wantState(state string) {
	tab.t.Helper()
	if got := tab.Data("state"); got != state {
		tab.t.Fatalf("the dossier is %q; want %q; the page says:\n%s", got, state, clip(tab.Text("main"), 800))
	}
}
