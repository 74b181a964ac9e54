package exchangeapi

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/web/manage"
)

// ManageRecords declares operational records and the health of services.
type ManageRecords struct {
	Service *exchange.Service
	// Kept is how far back records are told; [exchange.RecordsKept] when zero.
	Kept time.Duration
}

type recordQuery struct {
	From   int64  `query:"recordsFrom" doc:"Unix seconds of monitoringDataTs, inclusive"`
	To     int64  `query:"recordsTo" doc:"Unix seconds, inclusive"`
	Client string `query:"client" doc:"subsystem: only what it asked, or what its services were asked"`
	Fields string `query:"outputFields" doc:"names of fields with commas between; all if absent"`
}

// Declare adds the operations.
func (m *ManageRecords) Declare(api *manage.API) error {
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/records", ID: "listRecords", Tag: "monitoring",
			Summary: "Operational records as JSON lines, oldest first, without those of the last minute. A program's key sees the records of its own " +
				"subsystem. The header Next-Records-From says where the next answer begins.",
			Roles: []manage.Role{manage.System, manage.Program},
		}, m.records),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/health", ID: "listHealth", Tag: "monitoring", Summary: "How services did during the last ten minutes",
			Roles: []manage.Role{manage.System, manage.Service},
		}, func(context.Context, manage.None) (manage.List[exchange.ServiceHealth], error) {
			return manage.List[exchange.ServiceHealth]{Items: m.Service.Health()}, nil
		}),
	)
}

func (m *ManageRecords) records(ctx context.Context, in recordQuery) (manage.Lines, error) {
	var fields []string
	if in.Fields != "" {
		known := exchange.RecordFields()
		for f := range strings.SplitSeq(in.Fields, ",") {
			if f = strings.TrimSpace(f); !slices.Contains(known, f) {
				return manage.Lines{}, errs.E(errs.Invalid, "exchange.records.field", nil)
			}
			fields = append(fields, f)
		}
	}
	if by := manage.OperatorOf(ctx); slices.Contains(by.Roles, manage.Program) {
		if in.Client != "" && in.Client != by.Subsystem {
			return manage.Lines{}, errs.E(errs.Denied, "exchange.records.own", nil)
		}
		in.Client = by.Subsystem
	}
	page, err := m.Service.RecordPage(ctx, exchange.RecordQuery{From: in.From, To: in.To, Client: in.Client, Kept: m.Kept})
	if err != nil {
		return manage.Lines{}, err
	}
	out := manage.Lines{Write: func(line func(v any) error) error {
		return m.Service.Records(ctx, page, func(r exchange.Record) error {
			if fields == nil {
				return line(r)
			}
			some, err := only(r, fields)
			if err != nil {
				return err
			}
			return line(some)
		})
	}}
	if page.Next > 0 {
		out.Next = strconv.FormatInt(page.Next, 10)
	}
	return out, nil
}

// only keeps some fields of a record.
func only(r exchange.Record, fields []string) (map[string]json.RawMessage, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	for _, f := range fields {
		if v, ok := all[f]; ok {
			out[f] = v
		}
	}
	return out, nil
}
