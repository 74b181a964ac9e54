package exchangeapi

import (
	"context"
	"fmt"
	"net"
	"strings"

	"truc/internal/errs"
	"truc/internal/exchange"
)

// dialFunc opens a TCP connection and marks its failure as one that sent nothing.
func dialFunc(d *net.Dialer) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", exchange.ErrNotSent, err)
		}
		return c, nil
	}
}

// carryError is the error of a request that got no answer. A channel that was refused for the peer's certificate carried
// nothing either.
func carryError(err error, p exchange.Peer) error {
	if key, _ := errs.KeyOf(err); strings.HasPrefix(key, "pki.") {
		err = fmt.Errorf("%w: %w", exchange.ErrNotSent, err)
	}
	return errs.E(errs.Unavailable, "exchange.peer_unreachable", err, "peer", p.Member)
}
