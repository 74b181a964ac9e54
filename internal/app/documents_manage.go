package app

import (
	"context"
	"errors"
	"io"
	"time"

	"truc/internal/documents"
	"truc/internal/documents/documentsapi"
	"truc/internal/errs"
	"truc/internal/web/manage"
)

// documentsQuery chooses documents of a desk. As names the officer on whose behalf a program asks: what that officer may not
// see or do, the program may not either.
type documentsQuery struct {
	As        string `query:"as" doc:"account of an officer of the desk"`
	Direction string `query:"direction" enum:"in,out" doc:"incoming or outgoing documents"`
	Words     string `query:"words" doc:"looked for without accents"`
	State     string `query:"state" doc:"only documents in this state"`
	Offset    int    `query:"offset"`
}

// documentRow is one document in a list.
type documentRow struct {
	ID        string    `json:"id"`
	Direction string    `json:"direction"`
	State     string    `json:"state"`
	Number    string    `json:"number" doc:"number and notation"`
	Date      string    `json:"date"`
	Subject   string    `json:"subject"`
	Party     string    `json:"party" doc:"sender, or receivers"`
	Urgency   int       `json:"urgency"`
	Due       time.Time `json:"due,omitzero"`
}

type documentList struct {
	Documents []documentRow `json:"documents"`
}

type documentByID struct {
	ID string `path:"id"`
	As string `query:"as" doc:"account of an officer of the desk"`
}

// documentStatus is where a document is at each receiver.
type documentStatus struct {
	ID        string           `json:"id"`
	State     string           `json:"state"`
	Receivers []documentReach  `json:"receivers"`
	Receipts  []documentsProof `json:"receipts" doc:"signed receipts that the axis has"`
}

type documentReach struct {
	Code   string         `json:"code"`
	Name   string         `json:"name"`
	Status string         `json:"status" doc:"the last business status, such as 03"`
	Steps  []documentStep `json:"steps"`
}

type documentStep struct {
	Stage   string    `json:"stage"`
	At      time.Time `json:"at,omitzero"`
	Seconds int64     `json:"seconds" doc:"since the stage before"`
}

type documentsProof struct {
	ID      string    `json:"id"`
	Event   string    `json:"event"`
	At      time.Time `json:"at"`
	Stamped bool      `json:"stamped"`
}

// documentOperations are what programs of the agency may do at its desk.
type documentOperations struct {
	n   *Node
	api *documentsapi.Desk
}

func (o *documentOperations) actor(ctx context.Context, account string) (documents.Actor, error) {
	p, err := o.n.identity.Officer(ctx, account)
	if err != nil {
		return documents.Actor{}, err
	}
	return documents.Actor{Account: p.Account, Name: p.Name, Title: p.Title, Agency: p.Agency, Roles: p.Roles}, nil
}

// declare adds the operations to the management interface. They need the role service, and act as an officer.
func (o *documentOperations) declare(api *manage.API) error {
	roles := []manage.Role{manage.Service}
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/documents", ID: "listDocuments", Tag: "documents", Summary: "List documents of the desk", Roles: roles, Sealed: true,
		}, o.list),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/documents/{id}/status", ID: "documentStatus", Tag: "documents", Summary: "Where a sent document is at each receiver", Roles: roles, Sealed: true,
		}, o.status),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/documents/{id}/file", ID: "getDocument", Tag: "documents", Summary: "Get the file of a document", Roles: roles, Sealed: true, Act: "documents.read", Produces: "application/pdf",
		}, o.file),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/documents/{id}/send", ID: "sendDocument", Tag: "documents", Summary: "Send an issued document", Roles: roles, Act: "documents.send_by_program",
		}, func(ctx context.Context, in documentByID) (struct{}, error) {
			by, err := o.actor(ctx, in.As)
			if err != nil {
				return struct{}{}, err
			}
			return struct{}{}, o.api.Desk.SendNow(ctx, by, in.ID)
		}),
	)
}

func (o *documentOperations) list(ctx context.Context, in documentsQuery) (documentList, error) {
	out := documentList{Documents: []documentRow{}}
	by, err := o.actor(ctx, in.As)
	if err != nil {
		return out, err
	}
	q := documents.Query{Words: in.Words, Offset: max(in.Offset, 0), Limit: 200}
	if in.State != "" {
		q.States = []documents.State{documents.State(in.State)}
	}
	find := o.api.Desk.ListIncoming
	if in.Direction == "out" {
		find = o.api.Desk.ListOutgoing
	}
	rows, err := find(ctx, by, q)
	for _, r := range rows {
		out.Documents = append(out.Documents, documentRow{
			ID: r.ID, Direction: string(r.Direction), State: string(r.State), Number: documents.Code{Number: r.Number, Notation: r.Notation}.String(), Date: r.Date,
			Subject: r.Subject, Party: r.Party, Urgency: int(r.Urgency), Due: r.Due,
		})
	}
	return out, err
}

func (o *documentOperations) status(ctx context.Context, in documentByID) (documentStatus, error) {
	out := documentStatus{ID: in.ID, Receivers: []documentReach{}, Receipts: []documentsProof{}}
	by, err := o.actor(ctx, in.As)
	if err != nil {
		return out, err
	}
	doc, err := o.api.Desk.Outgoing(ctx, by, in.ID)
	if err != nil {
		return out, err
	}
	out.State = string(doc.State)
	tracks, err := o.api.Desk.Track(ctx, by, in.ID)
	if err != nil {
		return out, err
	}
	for _, t := range tracks {
		r := documentReach{Code: t.Receiver.Code, Name: t.Receiver.Name, Status: string(t.Status), Steps: []documentStep{}}
		for _, s := range t.Steps {
			r.Steps = append(r.Steps, documentStep{Stage: string(s.Stage), At: s.At, Seconds: int64(s.Took.Seconds())})
		}
		out.Receivers = append(out.Receivers, r)
	}
	for _, news := range doc.News {
		if news.Event != documents.AxisAccepted || news.DocID == "" {
			continue
		}
		list, err := o.api.ReceiptsOf(ctx, news.DocID)
		if err != nil && !errs.Is(err, errs.Unavailable) && !errs.Is(err, errs.NotFound) {
			return out, err
		}
		for _, p := range list {
			out.Receipts = append(out.Receipts, documentsProof{ID: p.ID, Event: p.Event, At: p.At, Stamped: p.Stamped})
		}
	}
	return out, nil
}

func (o *documentOperations) file(ctx context.Context, in documentByID) (manage.File, error) {
	by, err := o.actor(ctx, in.As)
	if err != nil {
		return manage.File{}, err
	}
	id := ""
	if out, err := o.api.Desk.Outgoing(ctx, by, in.ID); err == nil {
		switch {
		case out.Main != nil:
			id = out.Main.ID
		case out.Signed != nil:
			id = out.Signed.ID
		}
	} else if !errs.Is(err, errs.NotFound) {
		return manage.File{}, err
	} else if doc, err := o.api.Desk.Incoming(ctx, by, in.ID); err != nil {
		return manage.File{}, err
	} else if len(doc.Files) > 0 {
		id = doc.Files[0].ID
	}
	if id == "" {
		return manage.File{}, errs.E(errs.NotFound, "documents.not_found", nil)
	}
	f, content, err := o.api.Desk.FileOf(ctx, by, in.ID, id)
	if err != nil {
		return manage.File{}, err
	}
	b, err := io.ReadAll(io.LimitReader(content, 64<<20))
	return manage.File{Name: f.Name, Type: f.Media, Data: b}, errors.Join(err, content.Close())
}
