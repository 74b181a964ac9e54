package app

import (
	"context"
	"time"

	"truc/internal/exchange"
)

// watchSpace looks every few seconds how much room the logs have; the reserve is checked in memory by each exchange.
func (n *Node) watchSpace(ctx context.Context) {
	n.space = &exchange.Space{
		Look:    func() (free, total uint64, ok bool) { return diskSpace(n.path("logs")) },
		Reserve: uint64(max(0, orInt(n.cfg.Evidence.ReserveMiB, 256))) << 20, Logger: n.log,
	}
	_ = n.space.Measure(ctx) // known before the first exchange; it has no errors
	n.every("evidence.space", 3*time.Second, n.space.Measure)
}
