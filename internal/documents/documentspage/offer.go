package documentspage

import (
	"truc/internal/documents"
	"truc/internal/web/ui"
)

// offer is an act that may be done now. The desk decides again when it is done.
type offer struct {
	name string
	// url is another page than that of the act.
	url  string
	main bool
}

// outgoingOffers are the acts of an officer on an outgoing document, the one to do next first.
func outgoingOffers(by documents.Actor, o *documents.Outgoing) []offer {
	mine := o.Holder == by.Account
	edit := offer{name: "edit", url: documentURL(documents.Out, o.ID, "edit")}
	clerk := by.Has(documents.RoleClerk)
	signer := by.Has(documents.RoleHead) && o.Form.Signer == by.Account
	switch o.State {
	case documents.Drafting:
		if !mine {
			return nil
		}
		list := []offer{{name: "submit", main: true}, edit}
		if o.Drafter == by.Account {
			list = append(list, offer{name: "discard"})
		}
		return list
	case documents.Reviewing:
		if mine {
			return []offer{{name: "approve", main: true}, {name: "return"}, edit}
		}
		if o.Drafter == by.Account {
			return []offer{{name: "takeback"}}
		}
	case documents.Approved:
		if signer {
			return []offer{{name: "sign", main: true}, {name: "return"}, edit}
		}
		if o.Drafter == by.Account {
			return []offer{{name: "takeback"}}
		}
	case documents.Numbered:
		if signer {
			return []offer{{name: "sign", main: true}, {name: "void"}}
		}
	case documents.Signed:
		switch {
		case clerk:
			return []offer{{name: "issue", main: true}, {name: "void"}}
		case o.SignedBy == by.Account:
			return []offer{{name: "void"}}
		}
	case documents.Issued:
		var list []offer
		if clerk && len(o.Form.Receivers) > 0 {
			list = append(list, offer{name: "send", main: true}, offer{name: "schedule"})
		}
		return append(append(list, amendOffers()...), copyOffer(clerk)...)
	case documents.Sent:
		if clerk && o.Rejected() {
			return []offer{{name: "again", main: true}}
		}
		list := append(amendOffers(), copyOffer(clerk)...)
		if clerk || by.Has(documents.RoleHead) {
			list = append([]offer{{name: "recall"}}, list...)
		}
		return list
	default:
	}
	return nil
}

// copyOffer is for clerks only.
func copyOffer(clerk bool) []offer {
	if !clerk {
		return nil
	}
	return []offer{{name: "copy"}}
}

func amendOffers() []offer { return []offer{{name: "update"}, {name: "replace"}, {name: "revoke"}} }

// incomingOffers are the acts of an officer on an incoming document.
func incomingOffers(by documents.Actor, in *documents.Incoming) []offer {
	list := incomingSteps(by, in)
	switch in.State {
	case documents.Accepted, documents.Assigned, documents.Working, documents.Done:
		return append(list, copyOffer(by.Has(documents.RoleClerk))...)
	default:
		return list
	}
}

func incomingSteps(by documents.Actor, in *documents.Incoming) []offer {
	clerk := by.Has(documents.RoleClerk)
	var list []offer
	if x := in.OpenRecall(); x != nil && clerk {
		switch {
		case in.MayAgree():
			list = append(list, offer{name: "agree", main: true})
		default:
			list = append(list, offer{name: "cancel", main: true})
		}
		if in.State != documents.Cancelled {
			list = append(list, offer{name: "decline"})
		}
	}
	main := len(list) == 0
	switch in.State {
	case documents.Arrived:
		if clerk {
			list = append(list, offer{name: "check", url: documentURL(documents.In, in.ID, "check"), main: main})
		}
	case documents.Accepted:
		if by.Has(documents.RoleHead) {
			list = append(list, offer{name: "assign", main: main}, offer{name: "finish"})
		}
		list = append(list, offer{name: "opine"})
	case documents.Assigned, documents.Working:
		if handles(by, in) {
			if in.State == documents.Assigned {
				list = append(list, offer{name: "start", main: main}, offer{name: "finish"})
			} else {
				list = append(list, offer{name: "finish", main: main})
			}
			list = append(list, offer{name: "reply"}, offer{name: "progress"})
		}
		list = append(list, offer{name: "opine"})
		if by.Has(documents.RoleHead) {
			list = append(list, offer{name: "assign"})
		}
	case documents.Done:
		list = append(list, offer{name: "reply"})
	default:
	}
	return list
}

func handles(by documents.Actor, in *documents.Incoming) bool {
	if by.Has(documents.RoleHead) {
		return true
	}
	for _, x := range in.People {
		if x.Account == by.Account {
			return true
		}
	}
	return false
}

// fillOffers puts the one next step first.
func (p *Pages) fillOffers(page *documentPage, list []offer) {
	for _, o := range list {
		url := o.url
		if url == "" {
			url = documentURL(page.Dir, page.ID, "do", o.name)
		}
		text := page.T("docs.act." + o.name)
		if o.main {
			page.Main = &ui.Button{Text: text, URL: url, Kind: "accent"}
			page.MainHint = page.T("docs.act." + o.name + "_hint")
			continue
		}
		page.Others = append(page.Others, actLink{Name: o.name, Text: text, URL: url})
	}
}

func offered(list []offer, name string) bool {
	for _, o := range list {
		if o.name == name && o.url == "" {
			return true
		}
	}
	return false
}
