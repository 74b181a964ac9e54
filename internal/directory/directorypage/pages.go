// Package directorypage shows the network: to everybody its members and public services, to administrators of the
// center also nodes, tokens and revocation.
package directorypage

import (
	"embed"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

//go:embed *.html
var files embed.FS

// Pages are the pages of the directory.
type Pages struct {
	// Center is nil on nodes that only follow.
	Center   *directory.Center
	Follower *directory.Follower
	Renderer *ui.Renderer
	Now      func() time.Time
	// Own is this node's keys and state.
	Own directory.OwnNode

	templates *ui.Templates
}

// Mount adds the routes.
func (p *Pages) Mount(m *web.Mux) (err error) {
	if p.templates, err = p.Renderer.Parse(files, "*.html"); err != nil {
		return err
	}
	m.Handle("GET /directory", p.catalogue)
	m.HandleFor("GET /directory/admin", p.admin, p.overview())
	p.mountOwn(m)
	if p.Center == nil {
		return nil
	}
	p.mountNetwork(m)
	p.mountLeaves(m)
	m.HandleFor("POST /directory/admin/member", p.memberAdd, "addMember")
	m.HandleFor("POST /directory/admin/token", p.tokenCreate, "createToken")
	m.HandleFor("POST /directory/admin/token/delete", p.tokenDelete, "deleteToken")
	m.HandleFor("GET /directory/admin/revoke", p.revokeAsk, "revokeNode")
	m.HandleFor("POST /directory/admin/revoke", p.revoke, "revokeNode")
	return nil
}

type cataloguePage struct {
	ui.Page
	Members, Services ui.Table
	Version           ui.Inset
}

// catalogue is the public list of who takes part and what is offered.
func (p *Pages) catalogue(w http.ResponseWriter, r *http.Request) error {
	pg := cataloguePage{Page: ui.NewPage(r, "directory.catalogue.title")}
	pg.Wide = true
	doc := p.Follower.Document()
	if doc == nil {
		return errs.E(errs.Unavailable, "directory.no_document", nil)
	}
	pg.Members = memberTable(pg.Page, doc)
	pg.Services = ui.Table{
		Caption: pg.T("directory.catalogue.services"),
		Columns: []ui.Column{{Text: pg.T("directory.service")}, {Text: pg.T("directory.member")}, {Text: pg.T("directory.service.personal")}},
		Empty:   &ui.Empty{Title: pg.T("directory.catalogue.no_services")},
	}
	for _, s := range doc.Services {
		if !s.Public || s.Ended(p.Now()) {
			continue
		}
		personal := pg.T("directory.no")
		if s.Personal {
			personal = pg.T("directory.yes")
		}
		pg.Services.Rows = append(pg.Services.Rows, ui.Row{Cells: []ui.Cell{
			{Text: orID(s.Name.In(pg.Lang), s.ID), Sub: s.ID, Head: true}, {Text: memberName(doc, s.ID, pg.Lang), Sub: s.Description.In(pg.Lang)}, {Text: personal},
		}})
	}
	pg.Version = ui.Inset{Text: pg.T("directory.catalogue.version", "version", doc.Version, "at", i18n.DateTime(time.Unix(doc.IssuedAt, 0)))}
	return p.templates.Render(w, r, http.StatusOK, "catalogue", pg)
}

func memberTable(pg ui.Page, doc *directory.Document) ui.Table {
	t := ui.Table{
		Caption: pg.T("directory.members"),
		Columns: []ui.Column{{Text: pg.T("directory.member")}, {Text: pg.T("directory.code")}, {Text: pg.T("directory.nodes"), Numeric: true}},
		Empty:   &ui.Empty{Title: pg.T("directory.no_members")},
	}
	for _, m := range doc.Members {
		if m.State == directory.Left {
			continue
		}
		n := 0
		for _, node := range doc.Nodes {
			if node.Member == m.ID(doc.Instance) && !doc.IsRevoked(node.TLSKeyID) {
				n++
			}
		}
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: m.Name.In(pg.Lang), Head: true}, {Text: m.ID(doc.Instance), Code: true}, {Text: strconv.Itoa(n)}}})
	}
	return t
}

func memberName(doc *directory.Document, id, lang string) string {
	parts := strings.SplitN(id, "/", 4)
	if len(parts) < 3 {
		return id
	}
	member := strings.Join(parts[:3], "/")
	if m, ok := doc.Member(member); ok {
		return m.Name.In(lang)
	}
	return member
}

func orID(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

type adminPage struct {
	ui.Page
	Status         ui.SummaryList
	Nodes, Members ui.Table
	// Waiting and Revoked are the center's.
	Waiting, Leaves, Revoked ui.Table
	Center                   bool
	Tokens                   []tokenRow
	NoTokens                 ui.Empty
	// The two forms.
	Code, NameVI, NameEN, Unit, NodeName, Hours ui.Input
	Member                                      ui.Select
	Approval                                    ui.Checkboxes
	Add, Create                                 ui.Button
}

type tokenRow struct {
	ID, Node, State string
	Until           time.Time
	Delete          *ui.Button
}

func (p *Pages) admin(w http.ResponseWriter, r *http.Request) error {
	pg, err := p.adminPage(r, nil, nil)
	if err != nil {
		return err
	}
	return p.templates.Render(w, r, http.StatusOK, "admin", pg)
}

// adminPage builds the page; form and problems are those of a form that was refused.
func (p *Pages) adminPage(r *http.Request, form map[string]string, problems ui.Problems) (*adminPage, error) {
	pg := &adminPage{Page: p.page(r, "directory.admin.title"), Center: p.Center != nil}
	pg.Problems = problems
	st := p.Follower.Status()
	pg.Status = ui.SummaryList{Title: pg.T("directory.admin.copy"), Rows: []ui.SummaryRow{
		{Key: pg.T("directory.level"), Tag: &ui.Tag{Text: pg.T("directory.level." + string(st.Level)), Tone: levelTone(st.Level)}},
		{Key: pg.T("directory.version"), Value: strconv.FormatInt(st.Version, 10)},
		{Key: pg.T("directory.confirmed"), Value: i18n.DateTime(st.Confirmed)},
		{Key: pg.T("directory.expires"), Value: i18n.DateTime(st.ExpiresAt)},
	}}
	if doc := p.Follower.Document(); doc != nil {
		pg.Members = memberTable(pg.Page, doc)
	}
	if p.Center == nil {
		pg.Nodes = p.nodeTable(pg.Page, p.followedNodes())
		return pg, nil
	}
	s, err := p.Center.State(r.Context())
	if err != nil {
		return nil, err
	}
	pg.Status.Rows = append(pg.Status.Rows, ui.SummaryRow{Key: pg.T("directory.fingerprint"), Value: p.Center.Fingerprint()})
	pg.Nodes = p.nodeTable(pg.Page, s)
	pg.Waiting, pg.Revoked = p.waitingTable(pg.Page, s), revokedTable(pg.Page, s)
	pg.Leaves, pg.Members = leavesTable(pg.Page, s), p.memberStates(pg.Page, s)
	p.tokenForms(pg, s, form, problems)
	return pg, nil
}

func levelTone(l directory.Level) ui.Tone {
	switch l {
	case directory.Fresh:
		return ui.Done
	case directory.Stale, directory.Degraded:
		return ui.Soon
	default:
		return ui.Late
	}
}

// followedNodes gives the nodes of the copy the shape the center's registry has.
func (p *Pages) followedNodes() *directory.State {
	s := &directory.State{Nodes: map[string]directory.NodeRecord{}, Revoked: map[string]directory.Revocation{}}
	doc := p.Follower.Document()
	if doc == nil {
		return s
	}
	for _, n := range doc.Nodes {
		s.Nodes[n.ID] = directory.NodeRecord{Node: n}
	}
	for _, id := range doc.Revoked {
		s.Revoked[id] = directory.Revocation{KeyID: id}
	}
	return s
}

func (p *Pages) nodeTable(pg ui.Page, s *directory.State) ui.Table {
	t := ui.Table{
		Caption: pg.T("directory.nodes"), Dense: true,
		Columns: []ui.Column{
			{Text: pg.T("directory.node")},
			{Text: pg.T("directory.link_url")},
			{Text: pg.T("directory.subsystems")},
			{Text: pg.T("directory.last_seen")},
			{Text: pg.T("directory.certificate_days"), Numeric: true},
			{Text: pg.T("directory.state")},
		},
		Empty: &ui.Empty{Title: pg.T("directory.no_nodes")},
	}
	ids := make([]string, 0, len(s.Nodes))
	for id := range s.Nodes {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		n := s.Nodes[id]
		days, tag := "–", &ui.Tag{Text: pg.T("directory.state.active"), Tone: ui.Done}
		if !n.NotAfter.IsZero() {
			left := int(n.NotAfter.Sub(p.Now()).Hours() / 24)
			days = strconv.Itoa(left)
			if left < 10 {
				tag = &ui.Tag{Text: pg.T("directory.state.certificate_ending"), Tone: ui.Soon}
			}
		}
		url := ""
		switch s.StandingOf(n, p.Now()) {
		case directory.Left:
			tag = standingTag(pg, directory.Left)
		case directory.Deleting:
			tag = &ui.Tag{Text: pg.T("directory.state.revoked"), Tone: ui.Late}
			if n.Leaving {
				tag = standingTag(pg, directory.Deleting)
			}
		case directory.Disabled:
			tag = &ui.Tag{Text: pg.T("directory.standing.disabled"), Tone: ui.Soon}
		case directory.Failed:
			tag = &ui.Tag{Text: pg.T("directory.alarm.ended"), Tone: ui.Late}
		default:
			if n.Maintenance != "" {
				tag = &ui.Tag{Text: pg.T("directory.maintenance"), Tone: ui.Soon}
			}
		}
		if _, gone := s.Revoked[n.TLSKeyID]; !gone && p.Center != nil && pg.May("revokeNode") {
			url = "/directory/admin/revoke?node=" + n.ID
		}
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{
			{Text: n.ID, URL: url, Head: true},
			{Text: n.LinkURL, Sub: n.Maintenance},
			{Text: strings.Join(n.Subsystems, " ")},
			{Text: i18n.DateTime(n.LastSeen)},
			{Text: days},
			{Tag: tag},
		}})
	}
	return t
}

func (p *Pages) tokenForms(pg *adminPage, s *directory.State, form map[string]string, problems ui.Problems) {
	pg.NoTokens = ui.Empty{Title: pg.T("directory.no_tokens")}
	for _, t := range s.Tokens {
		row := tokenRow{ID: t.ID, Node: t.Node, Until: t.ExpiresAt, State: pg.T("directory.token.waiting")}
		switch {
		case !t.UsedAt.IsZero():
			row.State = pg.T("directory.token.used")
		case p.Now().After(t.ExpiresAt):
			row.State = pg.T("directory.token.expired")
		case s.StandingOfToken(t, p.Now()) == directory.Registering:
			row.State = pg.T("directory.standing.registering")
		case s.StandingOfToken(t, p.Now()) == directory.Failed:
			row.State = pg.T("directory.pending.declined_state")
		}
		if t.UsedAt.IsZero() {
			row.Delete = &ui.Button{Text: pg.T("directory.token.delete"), Kind: "secondary", Name: "id", Value: t.ID}
		}
		pg.Tokens = append(pg.Tokens, row)
	}
	sort.Slice(pg.Tokens, func(i, j int) bool { return pg.Tokens[i].Until.After(pg.Tokens[j].Until) })
	in := func(name, label, hint, width string) ui.Input {
		return ui.Input{Name: name, Label: pg.T(label), Hint: pg.T(hint), Value: form[name], Error: problems.For(name), Width: width}
	}
	pg.Code = in("code", "directory.code", "directory.code.hint", "10")
	pg.NameVI = in("name_vi", "directory.name_vi", "directory.name.hint", "")
	pg.NameEN = in("name_en", "directory.name_en", "directory.name.hint", "")
	pg.Unit = in("unit", "directory.unit", "directory.unit.hint", "4")
	pg.NodeName = in("node", "directory.node_name", "directory.node_name.hint", "12")
	pg.Hours = in("hours", "directory.hours", "directory.hours.hint", "4")
	pg.Hours.InputMode = "numeric"
	if pg.NodeName.Value == "" {
		pg.NodeName.Value = "node1"
	}
	if pg.Hours.Value == "" {
		pg.Hours.Value = "72"
	}
	pg.Member = ui.Select{Name: "member", Label: pg.T("directory.member"), Value: form["member"], Empty: pg.T("directory.choose"), Error: problems.For("member")}
	ids := make([]string, 0, len(s.Members))
	for id := range s.Members {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		pg.Member.Options = append(pg.Member.Options, ui.Option{Value: id, Label: s.Members[id].Name.In(pg.Lang) + " (" + id + ")"})
	}
	pg.Approval = ui.Checkboxes{
		Name: "approval", Legend: pg.T("directory.token.approval"), NoLegend: true,
		Options: []ui.Option{{Value: "yes", Label: pg.T("directory.token.approval"), Hint: pg.T("directory.token.approval_hint")}},
	}
	pg.Add = ui.Button{Text: pg.T("directory.member.add"), Kind: "secondary"}
	pg.Create = ui.Button{Text: pg.T("directory.token.create")}
}

// readForm takes the first value of each field.
func readForm(w http.ResponseWriter, r *http.Request) (map[string]string, error) {
	v, err := web.ReadForm(w, r, 64<<10)
	form := make(map[string]string, len(v))
	for k := range v {
		form[k] = strings.TrimSpace(v.Get(k))
	}
	return form, err
}

// refused shows the administration page again with the problems of a form.
func (p *Pages) refused(w http.ResponseWriter, r *http.Request, form map[string]string, problems ui.Problems) error {
	pg, err := p.adminPage(r, form, problems)
	if err != nil {
		return err
	}
	return p.templates.Render(w, r, http.StatusUnprocessableEntity, "admin", pg)
}

func (p *Pages) memberAdd(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	var problems ui.Problems
	if form["code"] == "" {
		problems.Add("code", "directory.code.missing")
	}
	if form["name_vi"] == "" {
		problems.Add("name_vi", "directory.name.missing")
	}
	if len(problems) == 0 {
		err := p.Center.AddMember(r.Context(), actor(r), directory.Member{
			Class: "GOV", Code: form["code"], Unit: form["unit"],
			Name: i18n.Text{"vi": form["name_vi"], "en": form["name_en"]},
		})
		if errs.Is(err, errs.Invalid) {
			problems.Add("code", "directory.member_invalid")
		} else if err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return p.refused(w, r, form, problems)
	}
	ui.Flash(w, "directory.member.added")
	return web.SeeOther(w, r, "/directory/admin")
}

type tokenPage struct {
	ui.Page
	Panel   ui.Panel
	Token   string
	Command string
}

// tokenCreate answers with the page itself instead of a redirect: the secret is shown once and kept nowhere.
func (p *Pages) tokenCreate(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	var problems ui.Problems
	hours, herr := strconv.Atoi(form["hours"])
	if herr != nil || hours < 1 || hours > int(directory.TokenLifetime.Hours()) {
		problems.Add("hours", "directory.token_lifetime", "hours", int(directory.TokenLifetime.Hours()))
	}
	if form["member"] == "" {
		problems.Add("member", "directory.member.missing")
	}
	token := ""
	if len(problems) == 0 {
		token, err = p.Center.Invite(r.Context(), actor(r), directory.Invitation{
			Member: form["member"], Server: form["node"], Lifetime: time.Duration(hours) * time.Hour, Approval: form["approval"] == "yes",
		})
		switch {
		case errs.Is(err, errs.Invalid), errs.Is(err, errs.Conflict):
			key, args := errs.KeyOf(err)
			problems.Add("node", key, args...)
		case err != nil:
			return err
		}
	}
	if len(problems) > 0 {
		return p.refused(w, r, form, problems)
	}
	pg := tokenPage{Page: p.page(r, "directory.token.title"), Token: token, Command: "truc join --token " + token}
	pg.Back = pg.BackTo("/directory/admin")
	pg.Panel = ui.Panel{Title: pg.T("directory.token.created"), Label: pg.T("directory.node"), Ref: form["member"] + "/" + form["node"], Text: pg.T("directory.token.once")}
	w.Header().Set("Cache-Control", "no-store")
	return p.templates.Render(w, r, http.StatusOK, "token", pg)
}

func (p *Pages) tokenDelete(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if err := p.Center.DeleteToken(r.Context(), actor(r), form["id"]); err != nil {
		return err
	}
	ui.Flash(w, "directory.token.deleted")
	return web.SeeOther(w, r, "/directory/admin")
}

type revokePage struct {
	ui.Page
	Node   string
	Warn   ui.Inset
	Reason ui.Textarea
	Revoke ui.Button
	// Disable takes the node out of use for a time, or puts it back.
	Disable ui.Button
}

func (p *Pages) revokeAsk(w http.ResponseWriter, r *http.Request) error {
	return p.renderRevoke(w, r, http.StatusOK, web.Query(r).Get("node"), "", nil)
}

func (p *Pages) renderRevoke(w http.ResponseWriter, r *http.Request, status int, node, reason string, problems ui.Problems) error {
	pg := revokePage{Page: p.page(r, "directory.revoke.title", "node", node), Node: node}
	pg.Back, pg.Problems = pg.BackTo("/directory/admin"), problems
	pg.Warn = ui.Inset{Text: pg.T("directory.revoke.warning"), Warning: true}
	pg.Reason = ui.Textarea{Name: "reason", Label: pg.T("directory.revoke.reason"), Value: reason, Error: problems.For("reason"), MaxLength: 500}
	pg.Disable = ui.Button{Text: pg.T("directory.node.disable"), Kind: "secondary", Name: "do", Value: "disable"}
	if doc := p.Follower.Document(); doc != nil {
		if n, ok := doc.Node(node); ok && n.State == directory.Disabled {
			pg.Disable = ui.Button{Text: pg.T("directory.node.enable"), Kind: "secondary", Name: "do", Value: "enable"}
		}
	}
	pg.Revoke = ui.Button{Text: pg.T("directory.revoke.do"), Kind: "danger"}
	return p.templates.Render(w, r, status, "revoke", pg)
}

func (p *Pages) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if form["reason"] == "" || len(form["reason"]) > 2000 {
		var problems ui.Problems
		problems.Add("reason", "directory.revoke.reason_missing")
		return p.renderRevoke(w, r, http.StatusUnprocessableEntity, form["node"], form["reason"], problems)
	}
	if err := p.Center.RevokeNode(r.Context(), actor(r), form["node"], form["reason"]); err != nil {
		return err
	}
	ui.Flash(w, "directory.revoke.done")
	return web.SeeOther(w, r, "/directory/admin")
}

// actor is the account that acts.
func actor(r *http.Request) string { return reqctx.PrincipalOf(r.Context()).ID }
