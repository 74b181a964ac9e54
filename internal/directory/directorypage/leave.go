package directorypage

import (
	"net/http"
	"slices"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// mountLeaves adds the page on which the center's operator lets go who asked to leave.
func (p *Pages) mountLeaves(m *web.Mux) {
	m.HandleFor("GET /directory/admin/leave", p.leaveAsk, "approveLeave", "declineLeave")
	m.HandleFor("POST /directory/admin/leave", p.leaveDecide, "approveLeave", "declineLeave")
}

// leavesTable lists who asked to leave and waits for a decision.
func leavesTable(pg ui.Page, s *directory.State) ui.Table {
	t := ui.Table{
		Caption: pg.T("directory.leaves"), Dense: true,
		Columns: []ui.Column{{Text: pg.T("directory.node")}, {Text: pg.T("directory.leave.what")}, {Text: pg.T("directory.leave.reason")}, {Text: pg.T("directory.pending.since")}},
		Empty:   &ui.Empty{Title: pg.T("directory.pending.none")},
	}
	for _, l := range s.LeavesThatWait() {
		url := ""
		if pg.May("approveLeave") {
			url = "/directory/admin/leave?node=" + l.Node
		}
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{
			{Text: l.Node, URL: url, Head: true}, {Text: leaveScope(pg, l)}, {Text: l.Reason}, {Text: i18n.DateTime(time.Unix(l.FiledAt, 0))},
		}})
	}
	return t
}

func leaveScope(pg ui.Page, l directory.Leave) string {
	if l.Whole {
		return pg.T("directory.leave.whole", "member", l.Member)
	}
	return pg.T("directory.leave.node")
}

// memberStates lists the members with where each stands, as only the center knows it.
func (p *Pages) memberStates(pg ui.Page, s *directory.State) ui.Table {
	t := ui.Table{
		Caption: pg.T("directory.members"),
		Columns: []ui.Column{{Text: pg.T("directory.member")}, {Text: pg.T("directory.code")}, {Text: pg.T("directory.state")}},
		Empty:   &ui.Empty{Title: pg.T("directory.no_members")},
	}
	ids := make([]string, 0, len(s.Members))
	for id := range s.Members {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		st := s.StandingOfMember(id, p.Now())
		t.Rows = append(t.Rows, ui.Row{Cells: []ui.Cell{{Text: s.Members[id].Name.In(pg.Lang), Head: true}, {Text: id, Code: true}, {Tag: standingTag(pg, st)}}})
	}
	return t
}

func standingTag(pg ui.Page, st directory.Standing) *ui.Tag {
	tone := ui.Neutral
	switch st {
	case directory.Registered:
		tone = ui.Done
	case directory.Registering, directory.Disabled, directory.Deleting:
		tone = ui.Soon
	case directory.Failed:
		tone = ui.Late
	case directory.Saved, directory.Left:
	}
	return &ui.Tag{Text: pg.T("directory.standing." + string(st)), Tone: tone}
}

type leavePage struct {
	ui.Page
	Node             string
	Request          ui.SummaryList
	Warn             ui.Inset
	Reason           ui.Textarea
	Approve, Decline ui.Button
}

func (p *Pages) leaveAsk(w http.ResponseWriter, r *http.Request) error {
	return p.renderLeave(w, r, http.StatusOK, web.Query(r).Get("node"), "", nil)
}

func (p *Pages) renderLeave(w http.ResponseWriter, r *http.Request, status int, node, reason string, problems ui.Problems) error {
	s, err := p.Center.State(r.Context())
	if err != nil {
		return err
	}
	l, ok := s.Leaves[node]
	if !ok || l.State != directory.Deleting {
		return errs.E(errs.NotFound, "directory.leave_unknown", nil)
	}
	pg := leavePage{Page: p.page(r, "directory.leave.title", "node", node), Node: node}
	pg.Back, pg.Problems = pg.BackTo("/directory/admin"), problems
	pg.Request = ui.SummaryList{Title: node, Rows: []ui.SummaryRow{
		{Key: pg.T("directory.member"), Value: orID(s.Members[l.Member].Name.In(pg.Lang), l.Member)},
		{Key: pg.T("directory.leave.what"), Value: leaveScope(pg.Page, l)},
		{Key: pg.T("directory.leave.reason"), Value: l.Reason},
		{Key: pg.T("directory.pending.since"), Value: i18n.DateTime(time.Unix(l.FiledAt, 0))},
	}}
	pg.Warn = ui.Inset{Text: pg.T("directory.leave.warning"), Warning: true}
	pg.Reason = ui.Textarea{Name: "reason", Label: pg.T("directory.pending.reason"), Value: reason, Error: problems.For("reason"), MaxLength: 500, Rows: 3}
	pg.Approve = ui.Button{Text: pg.T("directory.leave.approve"), Kind: "danger", Name: "do", Value: "approve"}
	pg.Decline = ui.Button{Text: pg.T("directory.leave.decline"), Kind: "secondary", Name: "do", Value: "decline"}
	return p.templates.Render(w, r, status, "leave", pg)
}

func (p *Pages) leaveDecide(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	done := "directory.leave.approved"
	switch {
	case form["do"] == "decline" && (form["reason"] == "" || len(form["reason"]) > directory.MaxLeaveReason):
		var problems ui.Problems
		problems.Add("reason", "directory.leave.decline_reason")
		return p.renderLeave(w, r, http.StatusUnprocessableEntity, form["node"], form["reason"], problems)
	case form["do"] == "decline":
		done = "directory.leave.declined"
		err = p.Center.DeclineLeave(r.Context(), actor(r), form["node"], form["reason"])
	case form["do"] == "approve":
		err = p.Center.ApproveLeave(r.Context(), actor(r), form["node"])
	default:
		err = errs.E(errs.Invalid, "directory.request_malformed", nil)
	}
	if err != nil {
		return err
	}
	ui.Flash(w, done)
	return web.SeeOther(w, r, "/directory/admin")
}

// leaveForm is the part of the page of this node's keys with which it asks to leave.
type leaveForm struct {
	Leaving       bool
	Reason        ui.Textarea
	Whole         ui.Checkboxes
	Ask, Withdraw ui.Button
}

func newLeaveForm(pg ui.Page, leaving bool, problems ui.Problems) leaveForm {
	return leaveForm{
		Leaving: leaving,
		Reason:  ui.Textarea{Name: "reason", Label: pg.T("directory.leave.reason"), Hint: pg.T("directory.leave.reason_hint"), Rows: 3, MaxLength: 500, Error: problems.For("reason")},
		Whole: ui.Checkboxes{Name: "whole", Legend: pg.T("directory.leave.all_nodes"), NoLegend: true, Options: []ui.Option{
			{Value: "yes", Label: pg.T("directory.leave.all_nodes"), Hint: pg.T("directory.leave.all_nodes_hint")},
		}},
		Ask:      ui.Button{Text: pg.T("directory.leave.ask"), Kind: "danger", Name: "do", Value: directory.LeaveAsk},
		Withdraw: ui.Button{Text: pg.T("directory.leave.withdraw"), Kind: "secondary", Name: "do", Value: directory.LeaveWithdraw},
	}
}

func (p *Pages) ownLeave(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	act, done := directory.LeaveAsk, "directory.leave.asked"
	if form["do"] == directory.LeaveWithdraw {
		act, done = directory.LeaveWithdraw, "directory.leave.withdrawn"
	}
	if act == directory.LeaveAsk && form["reason"] == "" {
		var problems ui.Problems
		problems.Add("reason", "directory.leave_reason_missing")
		return p.renderKeys(w, r, http.StatusUnprocessableEntity, "", problems)
	}
	if _, err := p.Own.Leave(r.Context(), actor(r), act, form["reason"], form["whole"] == "yes"); err != nil {
		return err
	}
	ui.Flash(w, done)
	return web.SeeOther(w, r, "/directory/admin/keys")
}
