package directorypage

import (
	"net/http"
	"strconv"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// mountOwn adds the page of this node's own keys and state.
func (p *Pages) mountOwn(m *web.Mux) {
	if p.Own == nil {
		return
	}
	m.HandleFor("GET /directory/admin/keys", p.keys, "getOwnKeys")
	m.HandleFor("POST /directory/admin/keys/rotate", p.rotate, "rotateSigningKey", "rotateTLSKey")
	m.HandleFor("POST /directory/admin/keys/leave", p.ownLeave, "leaveNetwork")
	m.HandleFor("POST /directory/admin/maintenance", p.maintenance, "setMaintenance")
}

type keysPage struct {
	ui.Page
	Certificate, Keys   ui.SummaryList
	Warning             *ui.Notice
	Kind                ui.Radios
	RotateSign, Rotate  ui.Button
	Maintained          *ui.Inset
	Notice              ui.Textarea
	Maintain, EndIt     ui.Button
	CanRotate, CanEndIt bool
	// Leave is nil at the center, which cannot leave.
	Leave *leaveForm
}

func (p *Pages) keys(w http.ResponseWriter, r *http.Request) error {
	return p.renderKeys(w, r, http.StatusOK, "", nil)
}

func (p *Pages) renderKeys(w http.ResponseWriter, r *http.Request, status int, notice string, problems ui.Problems) error {
	st, err := p.Own.KeyStatus()
	if err != nil {
		return err
	}
	pg := keysPage{Page: p.page(r, "directory.keys.title")}
	pg.Back, pg.Problems = pg.BackTo("/directory/admin"), problems
	tag := alarmTag(pg.Page, st.Certificate.Alarm)
	pg.Certificate = ui.SummaryList{Title: pg.T("directory.certificate"), Rows: []ui.SummaryRow{
		{Key: pg.T("directory.state"), Tag: tag},
		{Key: pg.T("directory.certificate_days"), Value: strconv.Itoa(st.Certificate.Days)},
		{Key: pg.T("directory.expires"), Value: i18n.DateTime(st.Certificate.NotAfter)},
		{Key: pg.T("directory.keys.tls"), Value: st.TLS},
	}}
	if st.State != "" {
		pg.Certificate.Rows = append(pg.Certificate.Rows, ui.SummaryRow{Key: pg.T("directory.leave.standing"), Tag: standingTag(pg.Page, st.State)})
	}
	if !st.NextTLS.IsZero() {
		pg.Certificate.Rows = append(pg.Certificate.Rows, ui.SummaryRow{Key: pg.T("directory.keys.next"), Value: i18n.DateTime(st.NextTLS)})
	}
	pg.Keys = ui.SummaryList{Title: pg.T("directory.keys.signing"), Rows: []ui.SummaryRow{
		{Key: pg.T("directory.keys.fingerprint"), Value: st.Signing},
		{Key: pg.T("directory.keys.kind"), Value: st.Alg},
	}}
	if !st.NextSigning.IsZero() {
		pg.Keys.Rows = append(pg.Keys.Rows, ui.SummaryRow{Key: pg.T("directory.keys.next"), Value: i18n.DateTime(st.NextSigning)})
	}
	if st.Certificate.Alarm != directory.NoAlarm {
		pg.Warning = &ui.Notice{Title: tag.Text, Text: pg.T("directory.keys.alarm_what"), Tone: tag.Tone}
	}
	pg.Kind = ui.Radios{
		Name: "kind", Legend: pg.T("directory.keys.kind"), Value: st.Alg, Inline: true,
		Options: []ui.Option{{Value: "ed25519", Label: "Ed25519"}, {Value: "p256", Label: "P-256"}},
	}
	pg.RotateSign = ui.Button{Text: pg.T("directory.keys.rotate_signing"), Kind: "secondary", Name: "key", Value: "signing"}
	pg.Rotate = ui.Button{Text: pg.T("directory.keys.rotate_tls"), Kind: "secondary", Name: "key", Value: "tls"}
	if notice == "" {
		notice = st.Maintenance
	}
	pg.Notice = ui.Textarea{
		Name: "notice", Label: pg.T("directory.maintenance.notice"), Hint: pg.T("directory.maintenance.hint"), Value: notice, Rows: 3,
		MaxLength: 300, Error: problems.For("notice"),
	}
	pg.Maintain = ui.Button{Text: pg.T("directory.maintenance.begin"), Kind: "secondary", Name: "do", Value: "begin"}
	if st.Maintenance != "" {
		pg.Maintained = &ui.Inset{Text: pg.T("directory.maintenance.now", "notice", st.Maintenance), Warning: true}
		pg.EndIt, pg.CanEndIt = ui.Button{Text: pg.T("directory.maintenance.end"), Name: "do", Value: "end"}, true
	}
	if p.Center == nil && (st.State != directory.Deleting && st.State != directory.Left || st.Leaving) {
		form := newLeaveForm(pg.Page, st.Leaving, problems)
		pg.Leave = &form
	}
	return p.templates.Render(w, r, status, "keys", pg)
}

func alarmTag(pg ui.Page, a directory.Alarm) *ui.Tag {
	switch a {
	case directory.NoAlarm:
		return &ui.Tag{Text: pg.T("directory.alarm.none"), Tone: ui.Done}
	case directory.AlarmThird:
		return &ui.Tag{Text: pg.T("directory.alarm.third"), Tone: ui.Soon}
	case directory.AlarmSixth:
		return &ui.Tag{Text: pg.T("directory.alarm.sixth"), Tone: ui.Soon}
	case directory.AlarmThreeDays:
		return &ui.Tag{Text: pg.T("directory.alarm.three_days"), Tone: ui.Late}
	default:
		return &ui.Tag{Text: pg.T("directory.alarm.ended"), Tone: ui.Late}
	}
}

func (p *Pages) rotate(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	if form["key"] == "tls" {
		_, err = p.Own.RotateTLS(r.Context(), actor(r))
	} else {
		_, err = p.Own.RotateSigning(r.Context(), actor(r), form["kind"])
	}
	if err != nil {
		return err
	}
	ui.Flash(w, "directory.keys.announced")
	return web.SeeOther(w, r, "/directory/admin/keys")
}

func (p *Pages) maintenance(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	notice, done := form["notice"], "directory.maintenance.begun"
	if form["do"] == "end" {
		notice, done = "", "directory.maintenance.ended"
	} else if notice == "" {
		var problems ui.Problems
		problems.Add("notice", "directory.maintenance.notice_missing")
		return p.renderKeys(w, r, http.StatusUnprocessableEntity, "", problems)
	}
	if err := p.Own.SetMaintenance(r.Context(), actor(r), notice); errs.Is(err, errs.Invalid) {
		var problems ui.Problems
		problems.Add("notice", "directory.maintenance_too_long")
		return p.renderKeys(w, r, http.StatusUnprocessableEntity, notice, problems)
	} else if err != nil {
		return err
	}
	ui.Flash(w, done)
	return web.SeeOther(w, r, "/directory/admin/keys")
}
