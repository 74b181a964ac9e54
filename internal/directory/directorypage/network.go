package directorypage

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// mountNetwork adds the pages with which the center's operator rules the network.
func (p *Pages) mountNetwork(m *web.Mux) {
	m.HandleFor("GET /directory/admin/join", p.joinAsk, "approveJoin", "declineJoin")
	m.HandleFor("POST /directory/admin/join", p.joinDecide, "approveJoin", "declineJoin")
	m.HandleFor("POST /directory/admin/disable", p.disable, "disableNode", "enableNode")
	m.HandleFor("GET /directory/admin/groups", p.groups, "getDirectory")
	m.HandleFor("POST /directory/admin/groups", p.groupSave, "setGlobalGroup")
	m.HandleFor("POST /directory/admin/groups/delete", p.groupDelete, "deleteGlobalGroup")
	m.HandleFor("GET /directory/admin/subsystems", p.subsystems, "getDirectory")
	m.HandleFor("POST /directory/admin/subsystems", p.subsystemSave, "setSubsystem")
	m.HandleFor("POST /directory/admin/policy", p.policy, "setPolicy")
}

// waitingTable lists the joins that wait for a decision.
func (p *Pages) waitingTable(pg ui.Page, s *directory.State) ui.Table {
	t := ui.Table{
		Caption: pg.T("directory.pending"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("directory.node")}, {Text: pg.T("directory.link_url")}, {Text: pg.T("directory.pending.since")}},
		Empty:   &ui.Empty{Title: pg.T("directory.pending.none")},
	}
	for _, x := range s.Waiting(p.Now()) {
		url := ""
		if pg.May("approveJoin") {
			url = "/directory/admin/join?id=" + x.TokenID
		}
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{
			{Text: x.Node, URL: url, Head: true}, {Text: x.LinkURL}, {Text: i18n.DateTime(time.Unix(x.FiledAt, 0))},
		}})
	}
	return t
}

// revokedTable lists keys that ended before their time.
func revokedTable(pg ui.Page, s *directory.State) ui.Table {
	t := ui.Table{
		Caption: pg.T("directory.revocations"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("directory.node")}, {Text: pg.T("directory.keys.fingerprint")}, {Text: pg.T("directory.revoke.reason")}, {Text: pg.T("directory.revoked_at")}},
		Empty:   &ui.Empty{Title: pg.T("directory.revocations.none")},
	}
	list := make([]directory.Revocation, 0, len(s.Revoked))
	for _, x := range s.Revoked {
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b directory.Revocation) int {
		if c := b.At.Compare(a.At); c != 0 {
			return c
		}
		return strings.Compare(a.KeyID, b.KeyID)
	})
	for _, x := range list {
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: x.Node, Head: true}, {Text: directory.FingerprintText(x.KeyID), Code: true}, {Text: x.Reason}, {Text: i18n.DateTime(x.At)}}})
	}
	return t
}

type joinPage struct {
	ui.Page
	ID, Digest       string
	Request          ui.SummaryList
	Warn             ui.Inset
	Compared         ui.Checkboxes
	Reason           ui.Textarea
	Approve, Decline ui.Button
}

func (p *Pages) joinAsk(w http.ResponseWriter, r *http.Request) error {
	return p.renderJoin(w, r, http.StatusOK, web.Query(r).Get("id"), "", nil)
}

func (p *Pages) renderJoin(w http.ResponseWriter, r *http.Request, status int, id, reason string, problems ui.Problems) error {
	s, err := p.Center.State(r.Context())
	if err != nil {
		return err
	}
	waiting := s.Waiting(p.Now())
	i := slices.IndexFunc(waiting, func(x directory.PendingJoin) bool { return x.TokenID == id })
	if i < 0 {
		return errs.E(errs.NotFound, "directory.join_unknown", nil)
	}
	x := waiting[i]
	pg := joinPage{Page: p.page(r, "directory.pending.title", "node", x.Node), ID: id, Digest: x.Digest}
	pg.Back, pg.Problems = pg.BackTo("/directory/admin"), problems
	name := ""
	if m, ok := s.Members[x.Member]; ok {
		name = m.Name.In(pg.Lang)
	}
	pg.Request = ui.SummaryList{Title: x.Node, Rows: []ui.SummaryRow{
		{Key: pg.T("directory.member"), Value: orID(name, x.Member)},
		{Key: pg.T("directory.link_url"), Value: x.LinkURL},
		{Key: pg.T("directory.subsystems"), Lines: x.Subsystems},
		{Key: pg.T("directory.keys.tls"), Value: x.TLSFingerprint()},
		{Key: pg.T("directory.keys.signing"), Value: x.SigningFingerprint()},
		{Key: pg.T("directory.pending.since"), Value: i18n.DateTime(time.Unix(x.FiledAt, 0))},
	}}
	pg.Warn = ui.Inset{Text: pg.T("directory.pending.compare")}
	pg.Compared = ui.Checkboxes{
		Name: "compared", Legend: pg.T("directory.pending.compared"), NoLegend: true, Error: problems.For("compared"),
		Options: []ui.Option{{Value: "yes", Label: pg.T("directory.pending.compared")}},
	}
	pg.Reason = ui.Textarea{Name: "reason", Label: pg.T("directory.pending.reason"), Value: reason, Error: problems.For("reason"), MaxLength: 500, Rows: 3}
	pg.Approve = ui.Button{Text: pg.T("directory.pending.approve"), Name: "do", Value: "approve"}
	pg.Decline = ui.Button{Text: pg.T("directory.pending.decline"), Kind: "danger", Name: "do", Value: "decline"}
	return p.templates.Render(w, r, status, "join", pg)
}

func (p *Pages) joinDecide(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	var problems ui.Problems
	done := "directory.pending.approved"
	switch {
	case form["do"] == "decline" && (form["reason"] == "" || len(form["reason"]) > 2000):
		problems.Add("reason", "directory.revoke.reason_missing")
	case form["do"] == "decline":
		done = "directory.pending.declined"
		err = p.Center.Decline(r.Context(), actor(r), form["id"], form["reason"])
	case form["compared"] != "yes":
		problems.Add("compared", "directory.pending.compared_missing")
	default:
		err = p.Center.Approve(r.Context(), actor(r), form["id"], form["digest"])
		if errs.Is(err, errs.Conflict) || errs.Is(err, errs.Invalid) {
			key, args := errs.KeyOf(err)
			problems.Add("compared", key, args...)
			err = nil
		}
	}
	switch {
	case err != nil:
		return err
	case len(problems) > 0:
		return p.renderJoin(w, r, http.StatusUnprocessableEntity, form["id"], form["reason"], problems)
	}
	ui.Flash(w, done)
	return web.SeeOther(w, r, "/directory/admin")
}

func (p *Pages) disable(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	disable := form["do"] == "disable"
	if err := p.Center.DisableNode(r.Context(), actor(r), form["node"], disable); err != nil {
		return err
	}
	done := "directory.node.enabled"
	if disable {
		done = "directory.node.disabled"
	}
	ui.Flash(w, done)
	return web.SeeOther(w, r, "/directory/admin")
}

type groupsPage struct {
	ui.Page
	Groups               []groupRow
	None                 ui.Empty
	Code, NameVI, NameEN ui.Input
	Members              ui.Textarea
	Save                 ui.Button
	Policy, Requires     ui.Checkboxes
	SavePolicy           ui.Button
}

type groupRow struct {
	Code, Name string
	Members    []string
	Delete     ui.Button
}

func (p *Pages) groups(w http.ResponseWriter, r *http.Request) error {
	return p.renderGroups(w, r, http.StatusOK, nil, nil)
}

func (p *Pages) renderGroups(w http.ResponseWriter, r *http.Request, status int, form map[string]string, problems ui.Problems) error {
	s, err := p.Center.State(r.Context())
	if err != nil {
		return err
	}
	pg := groupsPage{Page: p.page(r, "directory.groups.title")}
	pg.Back, pg.Problems = pg.BackTo("/directory/admin"), problems
	pg.None = ui.Empty{Title: pg.T("directory.groups.none")}
	for _, g := range s.Groups {
		pg.Groups = append(pg.Groups, groupRow{
			Code: g.Code, Name: g.Name.In(pg.Lang), Members: g.Members,
			Delete: ui.Button{Text: pg.T("directory.groups.delete"), Kind: "secondary", Name: "code", Value: g.Code},
		})
	}
	slices.SortFunc(pg.Groups, func(a, b groupRow) int { return strings.Compare(a.Code, b.Code) })
	in := func(name, label, hint, width string) ui.Input {
		return ui.Input{Name: name, Label: pg.T(label), Hint: pg.T(hint), Value: form[name], Error: problems.For(name), Width: width}
	}
	pg.Code = in("code", "directory.groups.code", "directory.groups.code_hint", "20")
	pg.NameVI = in("name_vi", "directory.name_vi", "directory.groups.name_hint", "")
	pg.NameEN = in("name_en", "directory.name_en", "directory.groups.name_hint", "")
	pg.Members = ui.Textarea{Name: "members", Label: pg.T("directory.groups.members"), Hint: pg.T("directory.groups.members_hint"), Value: form["members"], Error: problems.For("members")}
	pg.Save = ui.Button{Text: pg.T("directory.groups.save")}
	pg.Policy = ui.Checkboxes{Name: "policy", Legend: pg.T("directory.policy"), Options: []ui.Option{
		{Value: "approval", Label: pg.T("directory.policy.approval"), Hint: pg.T("directory.policy.approval_hint")},
		{Value: "agreements", Label: pg.T("directory.policy.agreements"), Hint: pg.T("directory.policy.agreements_hint")},
		{Value: "expired", Label: pg.T("directory.policy.expired"), Hint: pg.T("directory.policy.expired_hint")},
	}}
	pg.Requires = ui.Checkboxes{Name: "requires", Legend: pg.T("directory.policy.requires"), Hint: pg.T("directory.policy.requires_hint"), Values: s.Policy.Requires}
	for _, c := range p.Center.Capabilities {
		pg.Requires.Options = append(pg.Requires.Options, ui.Option{
			Value: c, Label: pg.T("directory.capability."+strings.ReplaceAll(c, "-", "_")) + " (" + c + ")", Hint: withoutCapability(pg.Page, s, c),
		})
	}
	for name, on := range map[string]bool{"approval": s.Policy.Approval, "agreements": s.Policy.Agreements, "expired": s.Policy.ContinueExpired} {
		if on {
			pg.Policy.Values = append(pg.Policy.Values, name)
		}
	}
	pg.SavePolicy = ui.Button{Text: pg.T("directory.policy.save"), Kind: "secondary"}
	return p.templates.Render(w, r, status, "groups", pg)
}

// withoutCapability names the nodes that a demand would cut off.
func withoutCapability(pg ui.Page, s *directory.State, capability string) string {
	var out []string
	for id, n := range s.Nodes {
		if _, gone := s.Revoked[n.TLSKeyID]; !gone && !slices.Contains(n.Capabilities, capability) {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return pg.T("directory.policy.all_have")
	}
	slices.Sort(out)
	const most = 10
	list := strings.Join(out[:min(most, len(out))], ", ")
	if len(out) > most {
		list += ", …"
	}
	return pg.T("directory.policy.lacking", "count", len(out), "nodes", list)
}

func (p *Pages) groupSave(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	err = p.Center.SetGroup(r.Context(), actor(r), directory.Group{
		Code: form["code"], Name: i18n.Text{"vi": form["name_vi"], "en": form["name_en"]}, Members: strings.Fields(form["members"]),
	})
	if errs.Is(err, errs.Invalid) {
		var problems ui.Problems
		problems.Add("code", "directory.group_invalid")
		return p.renderGroups(w, r, http.StatusUnprocessableEntity, form, problems)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "directory.groups.saved")
	return web.SeeOther(w, r, "/directory/admin/groups")
}

func (p *Pages) groupDelete(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if err := p.Center.DeleteGroup(r.Context(), actor(r), form["code"]); err != nil {
		return err
	}
	ui.Flash(w, "directory.groups.deleted")
	return web.SeeOther(w, r, "/directory/admin/groups")
}

func (p *Pages) policy(w http.ResponseWriter, r *http.Request) error {
	v, err := web.ReadForm(w, r, 64<<10)
	if err != nil {
		return err
	}
	on := func(name string) bool { return slices.Contains(v["policy"], name) }
	err = p.Center.SetPolicy(r.Context(), actor(r), directory.Policy{Approval: on("approval"), Agreements: on("agreements"), ContinueExpired: on("expired"), Requires: v["requires"]})
	if err != nil {
		return err
	}
	ui.Flash(w, "directory.policy.saved")
	return web.SeeOther(w, r, "/directory/admin/groups")
}
