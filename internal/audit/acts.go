package audit

import (
	"context"
	"time"
)

// RecordedAct is an administrative act of the exchange or the directory, or a sign-in of an officer or operator, as the
// page shows it. It names no citizen.
type RecordedAct struct {
	Seq                   int64
	At                    time.Time
	Actor, Action, Object string
}

// ActQuery asks for acts older than Before (zero: the newest), by one actor and to one object where they are given.
type ActQuery struct {
	Before        int64
	Actor, Object string
	Limit         int
}

// ActReader reads what was recorded by [Service.Act] for the exchange, the directory and signing in; acts of officers in
// dossiers are not among them. The newest come first.
type ActReader interface {
	Acts(ctx context.Context, q ActQuery) ([]RecordedAct, error)
}
