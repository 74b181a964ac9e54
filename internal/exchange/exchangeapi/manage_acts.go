package exchangeapi

import (
	"context"
	"time"

	"truc/internal/web/manage"
)

// AdminAct is one administrative act of the exchange or the directory, from the audit log.
type AdminAct struct {
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Action string    `json:"action" doc:"ends in .failed when the act was refused or went wrong"`
	Object string    `json:"object"`
}

type actQuery struct {
	Actor  string `query:"actor" doc:"only of this account or operator"`
	Object string `query:"object" doc:"only to this object"`
	Before int64  `query:"before" doc:"only acts with a smaller seq, for paging"`
	Limit  int    `query:"limit" doc:"at most 500; 100 if absent"`
}

// DeclareActs adds the operation that lists administrative acts, the newest first.
func DeclareActs(api *manage.API, acts func(ctx context.Context, actor, object string, before int64, limit int) ([]AdminAct, error)) error {
	return manage.Handle(api, manage.Operation{
		Method: "GET", Path: "/api/exchange/acts", ID: "listActs", Tag: "audit", Summary: "List administrative acts, newest first", Roles: []manage.Role{manage.Security},
	}, func(ctx context.Context, in actQuery) (manage.List[AdminAct], error) {
		if in.Limit <= 0 {
			in.Limit = 100
		}
		list, err := acts(ctx, in.Actor, in.Object, in.Before, min(in.Limit, 500))
		return manage.List[AdminAct]{Items: list}, err
	})
}
