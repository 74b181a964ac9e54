package documents

import (
	"context"
	"slices"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// Outgoing returns a document of this office and keeps that it was opened.
func (d *Desk) Outgoing(ctx context.Context, by Actor, id string) (*Outgoing, error) {
	out, _, err := d.outgoing(ctx, by, id)
	if err != nil {
		return nil, err
	}
	return out, d.Store.Opened(ctx, Opening{Document: id, Account: by.Account, Name: by.Name, What: "document", At: d.now()})
}

// Incoming returns a document from elsewhere and keeps that it was opened.
func (d *Desk) Incoming(ctx context.Context, by Actor, id string) (*Incoming, error) {
	s, _, err := d.find(ctx, by, id, In)
	if err != nil {
		return nil, err
	}
	in := foldIncoming(id, s.Events)
	if err := d.tellOpened(ctx, id, in); err != nil {
		return nil, err
	}
	return in, d.Store.Opened(ctx, Opening{Document: id, Account: by.Account, Name: by.Name, What: "document", At: d.now()})
}

// tellOpened tells the axis, once, that somebody here has opened what arrived: its sender gets a receipt for it.
func (d *Desk) tellOpened(ctx context.Context, id string, in *Incoming) error {
	if in.Arrival.Channel != "axis" || in.Arrival.Message == "" {
		return nil
	}
	before, err := d.Store.Openings(ctx, id, 1)
	if err != nil || len(before) > 0 {
		return err
	}
	b, err := d.Blobs.Put(strings.NewReader(KindOpened))
	if err != nil {
		return err
	}
	return d.Store.InTx(ctx, func(tx Tx) error {
		if seen, err := tx.Seen(ctx, OpenedPrefix+in.Arrival.Message, d.now()); err != nil || seen {
			return err
		}
		return d.Carrier.Carry(ctx, tx, Carriage{ID: OpenedPrefix + in.Arrival.Message, Kind: KindOpened, From: in.Office, Payload: b, DocumentID: in.Arrival.DocumentID, Urgency: in.Arrival.Urgency})
	})
}

// Keeps reports whether a blob belongs to a document: the sweep of the blob store asks before it removes one.
func (d *Desk) Keeps(ctx context.Context, sha256 string) (bool, error) {
	return d.Store.Refers(ctx, sha256)
}

// Openings returns who opened a document, the latest first: for those who may see all of the office.
func (d *Desk) Openings(ctx context.Context, by Actor, id string) ([]Opening, error) {
	if _, err := d.need(by, RoleClerk, RoleHead); err != nil {
		return nil, err
	}
	if _, _, err := d.find(ctx, by, id, ""); err != nil {
		return nil, err
	}
	return d.Store.Openings(ctx, id, 500)
}

// Track returns where a sent document is, one entry for each receiver.
func (d *Desk) Track(ctx context.Context, by Actor, id string) ([]Track, error) {
	out, _, err := d.outgoing(ctx, by, id)
	if err != nil {
		return nil, err
	}
	return out.Tracks(), nil
}

// restrict bounds a query to what the officer may see.
func (d *Desk) restrict(by Actor, q Query) (Query, error) {
	o, err := d.OfficeOf(by)
	if err != nil {
		return q, err
	}
	q.Office = o.Code
	if !by.Has(RoleClerk) && !by.Has(RoleHead) {
		q.Viewer = by.Account
	}
	if q.Limit <= 0 || q.Limit > 500 {
		q.Limit = 50
	}
	q.Offset = max(q.Offset, 0)
	q.Words = i18n.Fold(q.Words)
	q.Number = strings.TrimSpace(q.Number)
	return q, nil
}

// ListOutgoing and ListIncoming return one page of the documents the officer may see.
func (d *Desk) ListOutgoing(ctx context.Context, by Actor, q Query) ([]Row, error) {
	q.Direction = Out
	return d.Search(ctx, by, q)
}

// ListIncoming is [Desk.ListOutgoing] for documents from elsewhere.
func (d *Desk) ListIncoming(ctx context.Context, by Actor, q Query) ([]Row, error) {
	q.Direction = In
	return d.Search(ctx, by, q)
}

// Search finds documents of both directions by number, date, agency and words without accents.
func (d *Desk) Search(ctx context.Context, by Actor, q Query) ([]Row, error) {
	q, err := d.restrict(by, q)
	if err != nil {
		return nil, err
	}
	return d.Store.List(ctx, q)
}

// FollowUp returns the incoming documents that are being handled, urgent ones and the nearest limits first.
func (d *Desk) FollowUp(ctx context.Context, by Actor, q Query) ([]Row, error) {
	q.Direction, q.Sort = In, "urgent"
	q.States = []State{Accepted, Assigned, Working}
	return d.Search(ctx, by, q)
}

// Agencies returns who can be written to, for the choice of receivers; words are looked for without accents.
func (d *Desk) Agencies(ctx context.Context, by Actor, words string) ([]Agency, error) {
	o, err := d.OfficeOf(by)
	if err != nil {
		return nil, err
	}
	all, err := d.Carrier.Agencies(ctx)
	if err != nil {
		return nil, err
	}
	words = i18n.Fold(words)
	var out []Agency
	for _, a := range all {
		if a.Code != o.Code && !a.Closed && strings.Contains(i18n.Fold(a.Code+" "+a.Name), words) {
			out = append(out, a)
		}
	}
	return out, nil
}

// People returns who of the office can be given work; role "" is everybody.
func (d *Desk) People(ctx context.Context, by Actor, role string) ([]Person, error) {
	o, err := d.OfficeOf(by)
	if err != nil {
		return nil, err
	}
	all, err := d.Officers.People(ctx, o.Code)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(p Person) bool { return role != "" && !slices.Contains(p.Roles, role) }), nil
}

// Alert is something that wants attention.
type Alert struct {
	// Kind is a clock ("clock.send"), a flag ("flag.duplicate_id") or "certificate".
	Kind string
	Row  Row
	Due  time.Time
	// Late is set when the limit has passed.
	Late bool
	// Certificate and Days are set for one that expires.
	Certificate Certificate
	Days        int
}

// Key returns the message key of the alert.
func (a Alert) Key() string { return "documents.alert." + strings.ReplaceAll(a.Kind, ".", "_") }

// Alerts returns what wants attention of what the officer may see: limits of the law that have passed or pass today,
// duplicates, contradictions, refusals; and certificates that expire soon. Urgent documents and passed limits first.
func (d *Desk) Alerts(ctx context.Context, by Actor) ([]Alert, error) {
	now := d.now()
	soon, err := d.warnUntil(now)
	if err != nil {
		return nil, err
	}
	var out []Alert
	rows, err := d.Search(ctx, by, Query{DueBefore: soon, Sort: "urgent", Limit: 500})
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		out = append(out, Alert{Kind: "clock." + string(r.Clock), Row: r, Due: r.Due, Late: r.Due.Before(now)})
	}
	if rows, err = d.Search(ctx, by, Query{Flagged: true, Sort: "urgent", Limit: 500}); err != nil {
		return nil, err
	}
	for _, r := range rows {
		for _, f := range r.Flags {
			out = append(out, Alert{Kind: "flag." + f, Row: r, Due: r.Due})
		}
	}
	expiring, err := d.expiring(ctx, by, now)
	return append(out, expiring...), err
}

// warnUntil is how far ahead limits are shown: until the next working morning has passed, so that nobody goes home over
// one.
func (d *Desk) warnUntil(now time.Time) (time.Time, error) {
	t, err := d.Calendar().EndOfNextMorning(now)
	return t.Add(time.Microsecond), err
}

// alertDays are how long before its end a certificate is announced: from each of these days on, until the next.
func alertDays() []int { return []int{60, 30, 14, 7, 1} }

// expiring returns the certificates of the office that end within the longest of [alertDays], or have ended.
func (d *Desk) expiring(ctx context.Context, by Actor, now time.Time) ([]Alert, error) {
	if d.Certificates == nil || !by.Has(RoleClerk) && !by.Has(RoleHead) {
		return nil, nil
	}
	o, err := d.OfficeOf(by)
	if err != nil {
		return nil, err
	}
	certs, err := d.Certificates.Certificates(ctx, o.Code)
	if err != nil {
		return nil, errs.E(errs.Unavailable, "documents.certificates_away", err)
	}
	var out []Alert
	for _, c := range certs {
		if days, announce := announceExpiry(c.NotAfter, now); announce {
			out = append(out, Alert{Kind: "certificate", Certificate: c, Due: c.NotAfter, Days: days, Late: days <= 0})
		}
	}
	return out, nil
}

// announceExpiry tells at which of [alertDays] an end stands: 60 means that between 60 and 30 days are left; 0 that it has
// passed.
func announceExpiry(end, now time.Time) (days int, announce bool) {
	if !now.Before(end) {
		return 0, true
	}
	for _, n := range alertDays() {
		if end.Sub(now) <= time.Duration(n)*24*time.Hour {
			days, announce = n, true
		}
	}
	return days, announce
}

// Expiring returns the certificates whose end enters a new one of [alertDays] within the day before now: a job tells staff
// once about each.
func (d *Desk) Expiring(ctx context.Context, office string) ([]Alert, error) {
	if d.Certificates == nil {
		return nil, nil
	}
	certs, err := d.Certificates.Certificates(ctx, office)
	if err != nil {
		return nil, err
	}
	now := d.now()
	var out []Alert
	for _, c := range certs {
		days, announce := announceExpiry(c.NotAfter, now)
		before, announced := announceExpiry(c.NotAfter, now.Add(-24*time.Hour))
		if announce && (!announced || before != days) {
			out = append(out, Alert{Kind: "certificate", Certificate: c, Due: c.NotAfter, Days: days, Late: days <= 0})
		}
	}
	return out, nil
}
