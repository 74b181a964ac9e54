package benchdossiers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"truc/internal/audit"
	"truc/internal/exchange"
	"truc/internal/exchange/delivery"
	"truc/internal/orgcode"
	"truc/internal/outbox"
	"truc/internal/services"
)

const (
	portalService = "VN/GOV/G22/portal/notices"
	civilService  = "VN/GOV/G15/civilstatus/event"
)

// network answers at once in place of the exchange: the register knows everybody, the portal takes every notice.
type network struct {
	calls, notices atomic.Int64
}

// Call implements [services.Exchange].
func (x *network) Call(_ context.Context, c services.ExchangeCall) (services.ExchangeAnswer, error) {
	id := "bench-" + strconv.FormatInt(x.calls.Add(1), 10)
	switch c.To {
	case civilService:
		var q struct {
			PersonalID string `json:"personalId"`
		}
		if err := json.Unmarshal(c.Body, &q); err != nil {
			return services.ExchangeAnswer{}, err
		}
		b, err := json.Marshal(map[string]any{"records": []any{birthRecord(q.PersonalID)}})
		return services.ExchangeAnswer{Status: http.StatusOK, ContentType: "application/json", Body: b, ID: id}, err
	}
	return services.ExchangeAnswer{}, errors.New("the benchmark offers no service " + c.To)
}

// portalSide takes every message at once, in place of the exchange and the portal behind it.
type portalSide struct{ *network }

// Call implements [delivery.Caller].
func (x portalSide) Call(_ context.Context, c exchange.Call) (*exchange.Answer, error) {
	if c.To.String() != portalService {
		return nil, errors.New("the benchmark sends nothing to " + c.To.String())
	}
	x.notices.Add(1)
	return &exchange.Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{}`), ExchangeID: c.ID}, nil
}

// poster meets [services.Post] with the exchange's delivery, in the caller's transaction.
type poster struct {
	delivery *delivery.Service
	now      func() time.Time
}

// Send implements [services.Post].
func (p poster) Send(ctx context.Context, tx services.Queue, m services.PostMessage) error {
	q, ok := tx.(outbox.Querier)
	if !ok {
		return errors.New("the transaction cannot hold a message")
	}
	to, err := orgcode.ParseService(m.To)
	if err != nil {
		return err
	}
	from := orgcode.Subsystem{Instance: to.Instance, Class: to.Class, Member: agency, Code: m.From}
	_, err = p.delivery.Send(ctx, q, delivery.Message{
		ID: m.ID, From: from, To: to, Path: m.Path, ContentType: m.ContentType, Body: m.Body, OrderKey: m.Order, Skip: m.Skip,
		Expires: p.now().Add(m.Life), UserID: m.UserID, Activity: m.Activity, Basis: m.Basis, Dossier: m.Dossier,
	})
	return err
}

// Tell implements [services.Post].
func (p poster) Tell(ctx context.Context, tx services.Queue, service, typ, key string, data []byte) error {
	q, ok := tx.(outbox.Querier)
	if !ok {
		return errors.New("the transaction cannot hold an event")
	}
	id, err := orgcode.ParseService("VN/GOV/" + agency + "/" + service)
	if err != nil {
		return err
	}
	_, err = p.delivery.Publish(ctx, q, id, typ, key, data)
	return err
}

// birthRecord has the fields that the register delivers for an extract. Nobody has a number that begins with 099.
func birthRecord(id string) map[string]any {
	return map[string]any{
		"eventNumber": "KS-" + id, "kind": "birth", "registrationNumber": "123/2004", "book": "02/2004", "registeredOn": "2004-03-10",
		"eventDate": "2004-02-29",
		"place":     map[string]any{"provinceName": "Tỉnh Lâm Đồng", "communeName": "Phường Mẫu", "office": "Ủy ban nhân dân phường Mẫu, tỉnh Lâm Đồng"},
		"subject": map[string]any{
			"personalId": id, "fullName": "Nguyễn Hữu Đặng Thuỷ Quỳnh", "birthDate": "2004-02-29", "sex": "female", "nationality": "Việt Nam",
			"ethnicity": "Kinh", "birthPlace": "Bệnh viện Mẫu, tỉnh Lâm Đồng", "homeTown": "Phường Mẫu, tỉnh Lâm Đồng",
		},
		"mother": map[string]any{"fullName": "Đặng Thị Thử"}, "father": map[string]any{"fullName": "Nguyễn Hữu Mẫu"},
	}
}

// tally counts transactions by who makes them.
type tally struct{ desk, relay, audit, log, performed, payload atomic.Int64 }

// countedDesk counts the transactions of the desk.
type countedDesk struct {
	services.DeskStore
	n *tally
}

// InTx implements [services.DeskStore].
func (c countedDesk) InTx(ctx context.Context, f func(tx services.DeskTx) error) error {
	c.n.desk.Add(1)
	return c.DeskStore.InTx(ctx, f)
}

// PutBlob implements [services.DeskStore].
func (c countedDesk) PutBlob(ctx context.Context, sha256, media string, content []byte, now time.Time) error {
	c.n.desk.Add(1)
	return c.DeskStore.PutBlob(ctx, sha256, media, content, now)
}

// countedAudit counts the batches of the audit module.
type countedAudit struct {
	audit.Store
	n *tally
}

// Write implements [audit.Store].
func (c countedAudit) Write(ctx context.Context, f func(w audit.Writer) error) error {
	c.n.audit.Add(1)
	return c.Store.Write(ctx, f)
}

// countedLog counts the writes of the transparency log.
type countedLog struct {
	audit.Log
	n *tally
}

// AppendNoWait implements [audit.Log].
func (c countedLog) AppendNoWait(entries ...[]byte) (int64, func(context.Context) error, error) {
	c.n.log.Add(1)
	return c.Log.AppendNoWait(entries...)
}

// counted counts the messages a handler performs and the bytes they carried, which the outbox forgets afterwards.
func (n *tally) counted(h outbox.Handler) outbox.Handler {
	return func(ctx context.Context, m outbox.Message) error {
		err := h(ctx, m)
		if err == nil {
			n.performed.Add(1)
			n.payload.Add(int64(len(m.Payload)))
		}
		return err
	}
}

// acts meets [services.Audit] with the audit module, in the caller's transaction.
type acts struct{ audit *audit.Service }

// Act implements [services.Audit].
func (a acts) Act(ctx context.Context, tx services.Queue, actor, action, object string) error {
	q, ok := tx.(outbox.Querier)
	if !ok {
		return errors.New("the transaction cannot hold an audit entry")
	}
	return a.audit.Act(ctx, q, audit.Entry{Actor: actor, Action: action, Object: object})
}
