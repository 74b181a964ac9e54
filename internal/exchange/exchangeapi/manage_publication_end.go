package exchangeapi

import (
	"context"
	"time"

	"truc/internal/web/manage"
)

type publicationEnd struct {
	Subsystem string `path:"subsystem"`
	Service   string `path:"service"`
	EndsAt    int64  `json:"ends_at" doc:"Unix seconds; 0 takes the end away"`
}

func (m *ManagePublications) declareEnd(api *manage.API) error {
	return manage.Handle(api, manage.Operation{
		Method: "POST", Path: "/api/exchange/publications/{subsystem}/{service}/end", ID: "endPublication", Tag: "publications",
		Summary: "Say when a publication ends; from then on it is in no listing and calls find no such service", Roles: []manage.Role{manage.Service}, Quiet: true,
	}, func(ctx context.Context, in publicationEnd) (struct{}, error) {
		var at time.Time
		switch {
		case in.EndsAt < 0 || in.EndsAt > 253402300799: // the end of the year 9999
			return struct{}{}, manage.BadInput("ends_at", nil)
		case in.EndsAt > 0:
			at = time.Unix(in.EndsAt, 0)
		}
		return struct{}{}, m.Publications.SetEnd(ctx, in.Subsystem+"/"+in.Service, at)
	})
}
