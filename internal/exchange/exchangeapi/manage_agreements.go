package exchangeapi

import (
	"context"
	"encoding/json"
	"errors"

	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/exchange/agreement"
	"truc/internal/reqctx"
	"truc/internal/web/manage"
)

// ManageAgreements declares the operations on agreements.
type ManageAgreements struct{ Agreements *exchange.Agreements }

// agreementItem is an agreement in a list.
type agreementItem struct {
	Content string   `json:"content_hash"`
	State   string   `json:"state" enum:"proposed,accepted,valid,rejected,revoked,expired"`
	Parties []string `json:"parties"`
	Signed  []string `json:"signed"`
	Waiting []string `json:"waiting"`
	// NotBefore and NotAfter are Unix seconds.
	NotBefore int64 `json:"not_before" doc:"Unix seconds"`
	NotAfter  int64 `json:"not_after" doc:"Unix seconds; the agreement ends at this moment"`
	// Grants are the grant hashes, as they stand in header and log, in the order of the document.
	Grants []string `json:"grant_hashes" doc:"hashes of the grants, in the order of the document, as they stand in logs"`
}

// agreementDetail is an agreement with all that was said.
type agreementDetail struct {
	agreementItem
	Document   json.RawMessage      `json:"document" doc:"the canonical text that was hashed and signed"`
	Statements []agreementStatement `json:"statements"`
}

// agreementStatement is what a party said.
type agreementStatement struct {
	Type     string `json:"type" enum:"accept,reject,revoke"`
	Member   string `json:"member"`
	KeyID    string `json:"key_id"`
	Reason   string `json:"reason"`
	SignedAt int64  `json:"signed_at" doc:"Unix seconds"`
	// Signature is base64.
	Signature string `json:"signature"`
}

func itemOf(v exchange.AgreementView) (agreementItem, error) {
	d := v.Document
	out := agreementItem{
		Content: v.Content, State: string(v.State), Parties: v.Parties(), Signed: list(v.Signed), Waiting: list(v.Waiting),
		NotBefore: d.Validity.NotBefore, NotAfter: d.Validity.NotAfter, Grants: []string{},
	}
	for i := range d.Grants {
		h, err := d.GrantHash(v.Content, i)
		if err != nil {
			return out, err
		}
		out.Grants = append(out.Grants, h)
	}
	return out, nil
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

type byContent struct {
	Content string `path:"content"`
}

type endAgreement struct {
	Content string `path:"content"`
	Reason  string `json:"reason,omitempty" doc:"for the other parties to read, up to 500 characters"`
}

type agreementDraft struct {
	Body manage.RawBody
}

type proposed struct {
	Content string `json:"content_hash"`
}

// Declare adds the operations. The methods behind them record the acts.
func (m *ManageAgreements) Declare(api *manage.API) error {
	roles := []manage.Role{manage.Service}
	const base, one, tag = "/api/exchange/agreements", "/api/exchange/agreements/{content}", "agreements"
	who := func(ctx context.Context) string { return reqctx.PrincipalOf(ctx).ID }
	return errors.Join(
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: base, ID: "listAgreements", Tag: tag, Summary: "List the agreements of this node's member", Roles: roles,
		}, func(ctx context.Context, _ manage.None) (manage.List[agreementItem], error) {
			out := manage.List[agreementItem]{Items: []agreementItem{}}
			views, err := m.Agreements.List(ctx)
			if err != nil {
				return out, err
			}
			for _, v := range views {
				it, err := itemOf(v)
				if err != nil {
					return out, err
				}
				out.Items = append(out.Items, it)
			}
			return out, nil
		}),
		manage.Handle(api, manage.Operation{
			Method: "GET", Path: one, ID: "getAgreement", Tag: tag, Summary: "Read an agreement with everything that was signed about it", Roles: roles,
		}, func(ctx context.Context, in byContent) (agreementDetail, error) {
			v, err := m.Agreements.Get(ctx, in.Content)
			if err != nil {
				return agreementDetail{}, err
			}
			it, err := itemOf(v)
			out := agreementDetail{agreementItem: it, Document: v.Raw, Statements: []agreementStatement{}}
			for _, s := range v.Statements {
				out.Statements = append(out.Statements, agreementStatement{Type: s.Type, Member: s.Member, KeyID: s.KeyID, Reason: s.Reason, SignedAt: s.SignedAt, Signature: s.Signature})
			}
			return out, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: base, ID: "proposeAgreement", Tag: tag, Summary: "Complete a draft, sign it and send it to the other parties",
			Roles: roles, Quiet: true, Status: 201, MaxBody: agreement.MaxDocument, Consumes: "application/json",
		}, func(ctx context.Context, in agreementDraft) (proposed, error) {
			if len(in.Body) == 0 {
				return proposed{}, errs.E(errs.Invalid, "exchange.agreement.fault.unreadable", nil)
			}
			content, err := m.Agreements.Propose(ctx, who(ctx), in.Body)
			return proposed{content}, err
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: one + "/accept", ID: "acceptAgreement", Tag: tag, Summary: "Sign an agreement for this node's member", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in byContent) (struct{}, error) {
			return struct{}{}, m.Agreements.Accept(ctx, who(ctx), in.Content)
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: one + "/reject", ID: "rejectAgreement", Tag: tag, Summary: "Refuse a proposal", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in endAgreement) (struct{}, error) {
			return struct{}{}, m.Agreements.Reject(ctx, who(ctx), in.Content, in.Reason)
		}),
		manage.Handle(api, manage.Operation{
			Method: "POST", Path: one + "/revoke", ID: "revokeAgreement", Tag: tag, Summary: "End an agreement; it holds here at once", Roles: roles, Quiet: true,
		}, func(ctx context.Context, in endAgreement) (struct{}, error) {
			return struct{}{}, m.Agreements.Revoke(ctx, who(ctx), in.Content, in.Reason)
		}),
	)
}
