// Package identityclient signs people in at an OpenID provider (authorization code with PKCE, OpenID Connect Core
// §3.1) and implements the port identity.Provider. It knows the wire; who may sign in is decided by identity.
//
// The provider is asked for its addresses and keys when they are first needed, so that a node starts, and its
// public pages work, while the provider is down.
package identityclient

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"truc/internal/errs"
	"truc/internal/identity"
	"truc/internal/reqctx"
)

// Client is one registration of this node at one provider. Fill the fields, then share it; it is safe for
// concurrent use.
type Client struct {
	// Issuer is the provider's identifier, compared letter by letter in discovery, answer and token.
	Issuer string
	// ID and Secret are those of the registration.
	ID, Secret string
	// RedirectURL is the full address of /login/callback at this node, registered at the provider.
	RedirectURL string
	// CitizenScopes and OfficerScopes are asked for besides openid and profile; nil takes "citizen" and
	// "officer", which the claims contract defines.
	CitizenScopes, OfficerScopes []string
	// HTTP is the client used towards the provider; nil takes one with a timeout of 8 seconds.
	HTTP *http.Client
	Now  func() time.Time

	mu    sync.Mutex
	found *found // nil until discovery succeeded; guarded by mu
}

var _ identity.Provider = (*Client)(nil)

// found is what discovery told.
type found struct {
	provider *oidc.Provider
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	meta     metadata
}

// metadata holds the members of the discovery document that go-oidc does not read (OpenID Connect Discovery §3,
// RFC 8414, RFC 9207 §3).
type metadata struct {
	IssInAnswer bool     `json:"authorization_response_iss_parameter_supported"`
	EndSession  string   `json:"end_session_endpoint"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	JWKS        string   `json:"jwks_uri"`
}

func (c *Client) http() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return &http.Client{Timeout: 8 * time.Second}
}

// discover returns what discovery told, asking now if it has not succeeded before.
func (c *Client) discover(ctx context.Context) (*found, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found != nil {
		return c.found, nil
	}
	down := func(err error) error { return errs.E(errs.Unavailable, "identity.provider_down", err) }
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, c.http()), 8*time.Second)
	defer cancel()
	p, err := oidc.NewProvider(ctx, c.Issuer)
	if err != nil {
		return nil, down(err)
	}
	f := &found{provider: p}
	if err := p.Claims(&f.meta); err != nil {
		return nil, down(err)
	}
	endpoint := p.Endpoint()
	if strings.HasPrefix(c.Issuer, "https:") {
		for _, u := range []string{endpoint.AuthURL, endpoint.TokenURL, f.meta.JWKS} {
			if !strings.HasPrefix(u, "https:") {
				return nil, down(fmt.Errorf("discovery names %q, which is not https", u))
			}
		}
	}
	// The method is chosen once: trying both would present the same code twice, and codes are for single use.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if len(f.meta.AuthMethods) > 0 && !slices.Contains(f.meta.AuthMethods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	f.oauth = oauth2.Config{ClientID: c.ID, ClientSecret: c.Secret, Endpoint: endpoint, RedirectURL: c.RedirectURL}
	f.verifier = p.Verifier(&oidc.Config{ClientID: c.ID, Now: c.Now})
	c.found = f
	return f, nil
}

// AuthURL implements [identity.Provider].
func (c *Client) AuthURL(ctx context.Context, f identity.Flow) (string, error) {
	d, err := c.discover(ctx)
	if err != nil {
		return "", err
	}
	o := d.oauth
	o.Scopes = append([]string{oidc.ScopeOpenID, "profile"}, c.scopes(f)...)
	return o.AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), nil
}

func (c *Client) scopes(f identity.Flow) []string {
	own, def := c.CitizenScopes, "citizen"
	if f.Kind == reqctx.Officer {
		own, def = c.OfficerScopes, "officer"
	}
	if own == nil {
		return []string{def}
	}
	return own
}

func refused(err error) error { return errs.E(errs.Denied, "identity.answer_refused", err) }

// Finish implements [identity.Provider]. The order of the checks matters: nothing is sent to the provider before
// the answer is known to belong to this browser's flow and to come from this issuer (mix-up, RFC 9207).
func (c *Client) Finish(ctx context.Context, f identity.Flow, answer url.Values) (_ identity.Claims, err error) {
	defer errs.Wrap(&err, "sign-in answer")
	for name, values := range answer {
		if len(values) > 1 {
			return identity.Claims{}, refused(fmt.Errorf("parameter %q twice", name)) // RFC 6749 §3.1
		}
	}
	if f.State == "" || subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(f.State)) != 1 {
		return identity.Claims{}, refused(errors.New("state differs"))
	}
	d, err := c.discover(ctx)
	if err != nil {
		return identity.Claims{}, err
	}
	if iss, ok := answer["iss"]; (ok || d.meta.IssInAnswer) && (len(iss) != 1 || iss[0] != c.Issuer) {
		return identity.Claims{}, refused(errors.New("iss differs"))
	}
	switch code := answer.Get("error"); {
	case code == "access_denied":
		return identity.Claims{}, errs.E(errs.Denied, "identity.cancelled", nil)
	case code == "temporarily_unavailable" || code == "server_error":
		return identity.Claims{}, errs.E(errs.Unavailable, "identity.provider_down", fmt.Errorf("provider: %.40q", code))
	case code != "":
		return identity.Claims{}, refused(fmt.Errorf("provider: %.40q", code))
	case answer.Get("code") == "":
		return identity.Claims{}, refused(errors.New("no code"))
	}
	ctx = oidc.ClientContext(ctx, c.http())
	token, err := d.oauth.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		if re, ok := errors.AsType[*oauth2.RetrieveError](err); ok && re.Response != nil && re.Response.StatusCode < 500 {
			return identity.Claims{}, refused(fmt.Errorf("token endpoint: %.40q", re.ErrorCode)) // its text may quote the person
		}
		return identity.Claims{}, errs.E(errs.Unavailable, "identity.provider_down", err)
	}
	return c.verify(ctx, d, f, token)
}

// rawClaims is the claims contract on the wire.
type rawClaims struct {
	Subject    string   `json:"sub"`
	PersonalID string   `json:"personal_id"`
	FullName   string   `json:"full_name"`
	Birthdate  string   `json:"birthdate"`
	Gender     string   `json:"gender"`
	ACR        string   `json:"acr"`
	Officer    string   `json:"officer"`
	Agency     string   `json:"agency"`
	Roles      []string `json:"roles"`
	AZP        string   `json:"azp"`
}

func (c *Client) verify(ctx context.Context, d *found, f identity.Flow, token *oauth2.Token) (identity.Claims, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return identity.Claims{}, refused(errors.New("no id_token"))
	}
	id, err := d.verifier.Verify(ctx, raw)
	if err != nil {
		return identity.Claims{}, refused(err)
	}
	if f.Nonce == "" || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 {
		return identity.Claims{}, refused(errors.New("nonce differs"))
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return identity.Claims{}, refused(err)
		}
	}
	var r rawClaims
	if err := id.Claims(&r); err != nil {
		return identity.Claims{}, refused(errors.New("claims cannot be read"))
	}
	// OpenID Connect Core §3.1.3.7, rules 4 and 5.
	if len(id.Audience) > 1 && r.AZP == "" || r.AZP != "" && r.AZP != c.ID {
		return identity.Claims{}, refused(errors.New("azp differs"))
	}
	if r.PersonalID == "" && r.Officer == "" && d.provider.UserInfoEndpoint() != "" {
		if err := c.userInfo(ctx, d, token, &r); err != nil {
			return identity.Claims{}, err
		}
	}
	return identity.Claims{
		Issuer: id.Issuer, Subject: id.Subject, PersonalID: r.PersonalID, FullName: r.FullName, Birthdate: r.Birthdate,
		Gender: r.Gender, Level: identity.LevelOfACR(r.ACR), Officer: r.Officer, Agency: r.Agency, Roles: r.Roles,
	}, nil
}

// userInfo asks for the claims that the provider keeps out of the token. The level stays that of the token, since
// only the token is about this sign-in.
func (c *Client) userInfo(ctx context.Context, d *found, token *oauth2.Token, r *rawClaims) error {
	info, err := d.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return errs.E(errs.Unavailable, "identity.provider_down", errors.New("userinfo does not answer"))
	}
	if info.Subject != r.Subject {
		return refused(errors.New("userinfo is about somebody else")) // OpenID Connect Core §5.3.2
	}
	acr, azp := r.ACR, r.AZP
	if err := info.Claims(r); err != nil {
		return refused(errors.New("userinfo cannot be read"))
	}
	r.ACR, r.AZP = acr, azp
	return nil
}

// EndURL implements [identity.Provider] (OpenID Connect RP-Initiated Logout §2). It never asks the provider: a
// page must not wait for it.
func (c *Client) EndURL(_ context.Context, returnTo string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found == nil || c.found.meta.EndSession == "" {
		return ""
	}
	u, err := url.Parse(c.found.meta.EndSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", c.ID)
	if returnTo != "" {
		q.Set("post_logout_redirect_uri", returnTo)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
