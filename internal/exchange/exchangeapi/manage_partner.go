package exchangeapi

import (
	"context"
	"errors"
	"time"

	"truc/internal/exchange"
	"truc/internal/web/manage"
)

// ManagePartner declares what is asked of partners about exchanges with them.
type ManagePartner struct{ Records *exchange.PartyRecords }

type partnerSpan struct {
	Partner string `query:"partner" doc:"member (VN/GOV/G01) or one of its nodes (VN/GOV/G01/node1)"`
	From    int64  `query:"from" doc:"Unix seconds; a day before to if absent, for a comparison"`
	To      int64  `query:"to" doc:"Unix seconds, exclusive"`
}

// spanOf reads two times in Unix seconds; 0 is open.
func spanOf(from, to int64) (f, t time.Time) {
	if from > 0 {
		f = time.Unix(from, 0)
	}
	if to > 0 {
		t = time.Unix(to, 0)
	}
	return f, t
}

type partnerRecords struct {
	Partner string `query:"partner" doc:"member or node"`
	From    int64  `query:"from" doc:"Unix seconds"`
	To      int64  `query:"to" doc:"Unix seconds, exclusive"`
	As      string `query:"as" doc:"subsystem of this node that asks; the first if absent"`
	Cursor  string `query:"cursor" doc:"next of the page before"`
}

type partnerEvidence struct {
	ID      string `path:"id" doc:"X-Road-Id"`
	Partner string `query:"partner" doc:"member or node"`
	As      string `query:"as" doc:"subsystem of this node that asks; the first if absent"`
	Persons bool   `query:"persons" doc:"with the ids of persons, which is personal data"`
}

// AuditObject implements [manage.Subject].
func (e partnerEvidence) AuditObject() string { return e.Partner + " " + e.ID }

// Declare adds the operations.
func (m *ManagePartner) Declare(api *manage.API) error {
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/partner-records", ID: "listPartnerRecords", Tag: "evidence",
			Summary: "Read what a partner's log holds of the exchanges with this node", Roles: []manage.Role{manage.System, manage.Service},
		}, func(ctx context.Context, in partnerRecords) (exchange.PartyPage, error) {
			if in.Partner == "" {
				return exchange.PartyPage{}, manage.BadInput("partner", nil)
			}
			from, to := spanOf(in.From, in.To)
			return m.Records.Of(ctx, in.As, in.Partner, from, to, in.Cursor)
		}),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: "/api/exchange/partner-comparison", ID: "compareWithPartner", Tag: "evidence",
			Summary: "Hold this node's log against a partner's: which exchanges one side lacks or has otherwise", Roles: []manage.Role{manage.System, manage.Security},
		}, func(ctx context.Context, in partnerSpan) (exchange.PartnerComparison, error) {
			if in.Partner == "" {
				return exchange.PartnerComparison{}, manage.BadInput("partner", nil)
			}
			from, to := spanOf(in.From, in.To)
			out, err := m.Records.Compare(ctx, in.Partner, from, to)
			if err != nil {
				return exchange.PartnerComparison{}, err
			}
			return *out, nil
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: "/api/exchange/partner-evidence/{id}", ID: "fetchPartnerEvidence", Tag: "evidence",
			Summary: "Fetch the evidence package that a partner has of an exchange", Roles: []manage.Role{manage.Security},
			Act: "exchange.evidence.fetch", Produces: "application/zip",
		}, func(ctx context.Context, in partnerEvidence) (manage.File, error) {
			if in.Partner == "" {
				return manage.File{}, manage.BadInput("partner", nil)
			}
			b, err := m.Records.EvidenceOf(ctx, in.As, in.Partner, in.ID, in.Persons)
			return manage.File{Name: "evidence-" + in.ID + ".zip", Type: "application/zip", Data: b}, err
		}),
	)
}
