package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"truc/internal/documents/documentsapi"
	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/delivery"
	"truc/internal/orgcode"
	"truc/internal/outbox"
)

// What agreements about official documents name as purpose.
const (
	documentsActivity = "document-exchange"
	documentsBasis    = "Quyết định 28/2018/QĐ-TTg"
)

// parcels meets the ports of documentsapi with the exchange of this node.
type parcels struct{ n *Node }

// Send implements [documentsapi.Post].
func (p parcels) Send(ctx context.Context, tx outbox.Querier, m documentsapi.Message) error {
	to, err := orgcode.ParseService(m.To)
	if err != nil {
		return err
	}
	_, err = p.n.delivery.Send(ctx, tx, delivery.Message{
		ID: exchangeID(m.ID), From: p.n.cfg.Subsystem(m.From), To: to, Path: m.Path, Query: m.Query, ContentType: m.ContentType, Body: m.Body, OrderKey: m.Order, Skip: true,
		Expires: p.n.now().Add(m.Life), Kind: m.Kind, Ref: m.Ref, Activity: documentsActivity, Basis: documentsBasis,
	})
	return err
}

// OnItsWay implements [documentsapi.Post].
func (p parcels) OnItsWay(ctx context.Context, from, id string) (body []byte, to string, err error) {
	m, err := p.n.delivery.Store.ByID(ctx, from, id)
	if err != nil {
		return nil, "", err
	}
	if m.State.Final() {
		return nil, "", errs.E(errs.NotFound, "documentsapi.payload_gone", fmt.Errorf("message %s is %s", id, m.State))
	}
	return m.Body, m.To.String(), nil
}

// fetchBegins bounds the wait for the beginning of an answer; the body may take longer as long as it moves.
const fetchBegins = 30 * time.Second

// Get implements [documentsapi.Exchange].
func (p parcels) Get(ctx context.Context, from, service, path string, offset int64) (int, io.ReadCloser, int64, error) {
	to, err := orgcode.ParseService(service)
	if err != nil {
		return 0, nil, 0, err
	}
	header := http.Header{}
	if offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	a, err := p.n.exchange.Call(ctx, exchange.Call{
		From: p.n.cfg.Subsystem(from), To: to, Method: http.MethodGet, Path: path, Header: header, Activity: documentsActivity, Basis: documentsBasis,
		Stream: true, Timeout: fetchBegins,
	})
	if err != nil {
		return 0, nil, 0, err
	}
	if a.BodyReader != nil {
		return a.Status, a.BodyReader, a.Length, nil
	}
	return a.Status, io.NopCloser(bytes.NewReader(a.Body)), int64(len(a.Body)), nil
}

// hearParcel makes the function that hears of outcomes of messages.
func hearParcel(ended func(context.Context, outbox.Querier, documentsapi.Outcome) error) delivery.OutcomeFunc {
	return func(ctx context.Context, tx delivery.Tx, o delivery.Outgoing) error {
		return ended(ctx, tx, documentsapi.Outcome{
			Kind: o.Kind, Ref: o.Ref, Answered: o.State == delivery.Answered, Refused: o.State == delivery.Dead, Answer: o.Answer,
		})
	}
}
