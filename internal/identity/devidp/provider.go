package devidp

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"truc/internal/identity"
	"truc/internal/reqctx"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// SyntheticPrefix begins every synthetic personal number: a province code that nobody has.
const SyntheticPrefix = "099"

// codeTime bounds the life of a code (FAPI 2.0 Security Profile §5.3.2.1 allows 60 seconds).
const codeTime = 60 * time.Second

// tokenTime bounds access tokens and id_tokens.
const tokenTime = 10 * time.Minute

// Account is a synthetic person.
type Account struct {
	// ID is unique here and stays the same across restarts.
	ID   string
	Kind reqctx.PrincipalKind // Citizen or Officer
	// FullName is shown and put into the token.
	FullName string
	// Note says in a few words who this is in the story, "mẹ của bé An" or "Phó Chủ tịch".
	Note string
	// Citizens. Level is 1 or 2; 0 means 2.
	PersonalID, Birthdate, Gender string
	Level                         int
	// Officers. Account is the name the nodes know; AgencyName is for the list.
	Account, Agency, AgencyName string
	Roles                       []string
}

// Client is a node that signs people in here.
type Client struct {
	ID, Secret string
	// Name is shown to the person: "Cổng dịch vụ công".
	Name string
	// RedirectURLs and LogoutURLs are compared letter by letter.
	RedirectURLs, LogoutURLs []string
}

// Options configures a provider. All but Log are needed.
type Options struct {
	// Issuer is the address under which the provider is reached, without a slash at the end.
	Issuer string
	// Env is the environment of the node. "production" is refused.
	Env      string
	Accounts []Account
	Clients  []Client
	// KeyPath is the file of the signing key (PEM); it is made when missing.
	KeyPath  string
	Renderer *ui.Renderer
	Now      func() time.Time
	Log      *slog.Logger
}

// Provider is the OpenID provider.
type Provider struct {
	opt       Options
	path      string // of the issuer
	clients   map[string]Client
	accounts  map[string]Account
	key       *ecdsa.PrivateKey
	keyID     string
	signer    jose.Signer
	salt      []byte // makes subjects pairwise
	templates *ui.Templates

	mu     sync.Mutex
	codes  map[string]*grant // by code; guarded by mu
	access map[string]*grant // by access token; guarded by mu
}

// grant is one sign-in, from the choice of an account on.
type grant struct {
	client, redirect, challenge, nonce string
	scopes                             []string
	account                            string
	at, expires                        time.Time
	used                               bool
	access                             string // token given for the code, taken back when the code is used again
}

// ErrProduction is returned by [New] in production.
var ErrProduction = errors.New("the development sign-in provider does not start in production")

// New checks the options, all at once, and makes the provider.
func New(opt Options) (*Provider, error) {
	if strings.EqualFold(strings.TrimSpace(opt.Env), "production") {
		return nil, ErrProduction
	}
	p := &Provider{
		opt: opt, clients: map[string]Client{}, accounts: map[string]Account{}, codes: map[string]*grant{}, access: map[string]*grant{},
	}
	if p.opt.Log == nil {
		p.opt.Log = slog.New(slog.DiscardHandler)
	}
	if err := errors.Join(p.readIssuer(), p.readAccounts(), p.readClients()); err != nil {
		return nil, fmt.Errorf("development sign-in provider: %w", err)
	}
	var err error
	if p.key, err = loadKey(opt.KeyPath); err != nil {
		return nil, fmt.Errorf("development sign-in provider: key: %w", err)
	}
	if err := p.prepareKey(); err != nil {
		return nil, fmt.Errorf("development sign-in provider: key: %w", err)
	}
	if p.templates, err = opt.Renderer.Parse(pages, "*.html"); err != nil {
		return nil, fmt.Errorf("development sign-in provider: %w", err)
	}
	return p, nil
}

func (p *Provider) readIssuer() error {
	u, err := url.Parse(p.opt.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(p.opt.Issuer, "/") {
		return fmt.Errorf("issuer %q: needs http(s)://host[/path] without a slash at the end", p.opt.Issuer)
	}
	p.path = u.Path
	return nil
}

func (p *Provider) readAccounts() error {
	var problems []error
	for _, a := range p.opt.Accounts {
		bad := func(text string) { problems = append(problems, fmt.Errorf("account %q: %s", a.ID, text)) }
		if a.ID == "" || a.FullName == "" {
			bad("needs an id and a name")
		}
		if _, dup := p.accounts[a.ID]; dup {
			bad("listed twice")
		}
		switch a.Kind {
		case reqctx.Citizen:
			if len(a.PersonalID) != 12 || !strings.HasPrefix(a.PersonalID, SyntheticPrefix) {
				bad("needs a synthetic personal number of 12 digits that begins with " + SyntheticPrefix)
			}
			if a.Level == 0 {
				a.Level = 2
			}
		case reqctx.Officer:
			if a.Account == "" {
				bad("needs the officer's account name")
			}
			a.Level = 2
		default:
			bad("is neither citizen nor officer")
		}
		p.accounts[a.ID] = a
	}
	return errors.Join(problems...)
}

func (p *Provider) readClients() error {
	var problems []error
	for _, c := range p.opt.Clients {
		if c.ID == "" || c.Secret == "" || len(c.RedirectURLs) == 0 {
			problems = append(problems, fmt.Errorf("client %q: needs an id, a secret and a redirect address", c.ID))
		}
		for _, s := range slices.Concat(c.RedirectURLs, c.LogoutURLs) {
			if u, err := url.Parse(s); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" {
				problems = append(problems, fmt.Errorf("client %q: address %q: needs http(s)://host/path without #", c.ID, s))
			}
		}
		if _, dup := p.clients[c.ID]; dup {
			problems = append(problems, fmt.Errorf("client %q: listed twice", c.ID))
		}
		p.clients[c.ID] = c
	}
	return errors.Join(problems...)
}

// Mount adds the routes of the provider, all open: signing in is what they are for.
func (p *Provider) Mount(mux *web.Mux) {
	mux.Handle("GET "+p.path+"/authorize", p.authorize)
	mux.Handle("POST "+p.path+"/authorize", p.choose)
	mux.Handle("GET "+p.path+"/end_session", p.endSession)
	mux.Mount("GET "+p.path+"/.well-known/openid-configuration", http.HandlerFunc(p.discovery))
	mux.Mount("GET "+p.path+"/jwks", http.HandlerFunc(p.jwks))
	mux.Mount("POST "+p.path+"/token", http.HandlerFunc(p.token))
	mux.Mount("GET "+p.path+"/userinfo", http.HandlerFunc(p.userInfo))
}

func (p *Provider) now() time.Time { return p.opt.Now() }

// subject returns the pairwise identifier of an account at a client (OpenID Connect Core §8.1): two nodes that
// compare their subjects learn nothing.
func (p *Provider) subject(client, account string) string {
	mac := hmac.New(sha256.New, p.salt)
	mac.Write([]byte(client + "\x00" + account))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// discovery serves OpenID Connect Discovery §3.
func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	iss := p.opt.Issuer
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": iss, "authorization_endpoint": iss + "/authorize", "token_endpoint": iss + "/token",
		"userinfo_endpoint": iss + "/userinfo", "jwks_uri": iss + "/jwks", "end_session_endpoint": iss + "/end_session",
		"scopes_supported":         []string{"openid", "profile", scopeCitizen, scopeOfficer},
		"response_types_supported": []string{"code"}, "response_modes_supported": []string{"query"},
		"grant_types_supported": []string{"authorization_code"}, "subject_types_supported": []string{"pairwise"},
		"id_token_signing_alg_values_supported":          []string{string(jose.ES256)},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":               []string{"S256"},
		"acr_values_supported":                           []string{identity.ACRLevel1, identity.ACRLevel2},
		"claims_supported":                               []string{"sub", "personal_id", "full_name", "birthdate", "gender", "acr", "officer", "agency", "roles"},
		"authorization_response_iss_parameter_supported": true,
		"request_parameter_supported":                    false, "request_uri_parameter_supported": false, "claims_parameter_supported": false,
	})
}
