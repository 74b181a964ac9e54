package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/documents/axisapi"
	"truc/internal/documents/axispage"
	"truc/internal/web"
)

// openAxis opens the hub to administrators and, where one is configured, on a listener for VXP clients alone.
func (n *Node) openAxis(hub *axis.Hub) (err error) {
	if n.vxp.Proxies, err = n.cfg.proxies(); err != nil {
		return err
	}
	if err := (&axispage.Pages{Hub: hub, Renderer: n.renderer, Now: n.now}).Mount(n.mux); err != nil {
		return err
	}
	c := n.cfg.Axis
	if c.TLSListen == "" {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return fmt.Errorf("axis.tls_cert: %w", err)
	}
	n.background("axis.tls", func(ctx context.Context) error {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.TLSListen)
		if err != nil {
			return err
		}
		l = tls.NewListener(web.Guard(l, 0), axisapi.ServerTLS(cert))
		return web.Serve(ctx, n.vxp.Server(n.log, true), axisapi.Tolerant(l), 5*time.Second)
	})
	return nil
}
