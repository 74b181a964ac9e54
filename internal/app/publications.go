package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"truc/internal/exchange/exchangeapi"
	"truc/internal/exchange/exchangepage"
	"truc/internal/exchange/exchangestore"
	"truc/internal/exchange/publication"
	"truc/internal/i18n"
)

// startPublications offers the services of the agency's own systems: those of the configuration and those that operators
// published.
func (n *Node) startPublications(ctx context.Context, store *exchangestore.Store) error {
	changed := make(chan struct{}, 1)
	identity := n.backendIdentity()
	n.publications = &publication.Service{
		Store: store, Drafts: store, Host: n.exchange, Member: n.cfg.MemberID(), Audit: n.act, Identity: identity, Now: n.now, Log: n.log,
		Fetcher:  &publication.Fetcher{Hosts: n.cfg.Exchange.FetchHosts},
		SetRules: n.access.SetPublished,
		Announce: func() {
			select {
			case changed <- struct{}{}:
			default: // the teller has not come to it yet, and will tell this change too
			}
		},
	}
	list, err := n.cfg.Exchange.declared()
	if err != nil {
		return err
	}
	if err := errors.Join(n.publications.Declare(ctx, list), n.publications.Sync(ctx)); err != nil {
		return err
	}
	n.every("exchange.publications", time.Second, n.publications.Sync)
	n.background("exchange.announce", func(ctx context.Context) error { return n.announce(ctx, changed) })
	operations := &exchangeapi.ManagePublications{Publications: n.publications, Text: n.messages.T}
	pages := &exchangepage.PublishedPages{Service: n.publications, Subsystems: n.cfg.subsystems(), Rules: n.exchange.Rules, Renderer: n.renderer}
	return errors.Join(operations.Declare(n.manage), pages.Mount(n.mux))
}

// announce tells the directory after each change what this node offers, until the center took it.
func (n *Node) announce(ctx context.Context, changed <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		if err := n.follower.Publish(ctx, n.cfg.ServerID(), n.keys, n.profile()); err == nil {
			continue
		}
		if err := n.publishLater(ctx); err != nil {
			return err
		}
	}
}

// backendIdentity returns the node's certificate for back ends, made when one is first asked for.
func (n *Node) backendIdentity() func() (*tls.Certificate, error) {
	var mu sync.Mutex
	var cert *tls.Certificate
	return func() (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if cert != nil && n.now().Before(cert.Leaf.NotAfter) {
			return cert, nil
		}
		c, err := n.keystore.LoadOrCreateClient(n.cfg.DataDir, "backend", n.cfg.ServerID(), n.now())
		if err == nil {
			cert = c
		}
		return c, err
	}
}

// declared reads the descriptions that the configuration names.
func (c *ExchangeConfig) declared() ([]publication.Published, error) {
	out := make([]publication.Published, 0, len(c.Publish))
	for _, p := range c.Publish {
		doc, err := os.ReadFile(p.File)
		if err != nil {
			return nil, fmt.Errorf("exchange.publish: %w", err)
		}
		s := publication.Published{
			Code: p.Code, Name: p.Name, About: p.About, Personal: p.Personal, Public: p.Public, Bodies: p.Bodies, Verify: p.Verify, AsyncOnly: p.AsyncOnly, Document: doc,
			Backend: publication.Backend{
				URL: p.Backend, Timeout: time.Duration(p.TimeoutSeconds) * time.Second, ServerName: p.ServerName, ClientCert: p.ClientCertificate, PlainHTTP: p.PlainHTTP,
			},
		}
		if s.Name == nil {
			s.Name = i18n.Text{"vi": p.Code}
		}
		if p.CAFile != "" {
			ca, err := os.ReadFile(p.CAFile)
			if err != nil {
				return nil, fmt.Errorf("exchange.publish: %w", err)
			}
			s.Backend.CA = string(ca)
		}
		out = append(out, s)
	}
	return out, nil
}

// ownSystems are the codes of the agency's own systems.
func (c *ExchangeConfig) ownSystems() []string {
	out := slices.Clone(c.Subsystems)
	for _, p := range c.Publish {
		if code, _, ok := strings.Cut(p.Code, "/"); ok {
			out = append(out, code)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
