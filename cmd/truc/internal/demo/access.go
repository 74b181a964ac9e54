package demo

import (
	"context"
	"fmt"
	"net/http"
)

// SignIn returns the client of somebody who is signed in at a node; kind is "citizen" or "officer", account an
// identifier of the sign-in provider.
func (n *Network) SignIn(ctx context.Context, node, kind, account string) (*http.Client, error) {
	d, err := n.Describe()
	if err != nil {
		return nil, err
	}
	s := &story{n: n, d: d}
	page := "/filings"
	if kind == "officer" {
		page = "/desk"
	}
	b := newBrowser()
	err = b.signIn(ctx, s.node(node)+page, kind, account)
	return b.client, err
}

// StartDraft signs a citizen in and answers the questions of a draft up to the papers, or to the last check when
// there are none to hand in.
func (n *Network) StartDraft(ctx context.Context, account, unit string) (client *http.Client, draft string, err error) {
	d, err := n.Describe()
	if err != nil {
		return nil, "", err
	}
	s := &story{n: n, d: d}
	b := newBrowser()
	p, draft, err := s.begin(ctx, b, account, unit)
	if err != nil {
		return nil, "", err
	}
	answers := s.answers()
	if p, err = s.walk(ctx, p, answers); err != nil {
		return nil, "", fmt.Errorf("at %s: %w", p.url.Path, err)
	}
	return b.client, draft, nil
}
