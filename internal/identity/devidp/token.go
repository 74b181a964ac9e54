package devidp

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"truc/internal/identity"
	"truc/internal/reqctx"
	"truc/internal/web"
)

// maxGrants bounds what strangers can make us remember.
const maxGrants = 10_000

// issueCode remembers a grant and returns its code.
func (p *Provider) issueCode(g *grant) (code string, ok bool) {
	now := p.now()
	g.at, g.expires = now, now.Add(codeTime)
	code = rand.Text() + rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range []map[string]*grant{p.codes, p.access} {
		for k, g := range m {
			if now.After(g.expires.Add(tokenTime)) {
				delete(m, k)
			}
		}
	}
	if len(p.codes) >= maxGrants {
		return "", false
	}
	p.codes[code] = g
	return code, true
}

// oauthError is an error answer of the token endpoint (RFC 6749 §5.2).
type oauthError struct {
	status int
	code   string
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	answer, fail := p.redeem(w, r)
	if fail != nil {
		p.opt.Log.LogAttrs(r.Context(), slog.LevelInfo, "token refused", slog.String("code", fail.code), slog.String("request_id", reqctx.RequestID(r.Context())))
		if fail.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
		}
		writeJSON(w, fail.status, map[string]string{"error": fail.code})
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// redeem gives tokens for a code. A code that comes twice was stolen or leaked: the tokens given for it are taken
// back as well (RFC 6749 §4.1.2).
func (p *Provider) redeem(w http.ResponseWriter, r *http.Request) (map[string]any, *oauthError) {
	form, err := web.ReadForm(w, r, 16<<10)
	if err != nil {
		return nil, &oauthError{http.StatusBadRequest, "invalid_request"}
	}
	for _, v := range form {
		if len(v) > 1 {
			return nil, &oauthError{http.StatusBadRequest, "invalid_request"}
		}
	}
	client, ok := p.authenticate(r, form)
	if !ok {
		return nil, &oauthError{http.StatusUnauthorized, "invalid_client"}
	}
	if form.Get("grant_type") != "authorization_code" {
		return nil, &oauthError{http.StatusBadRequest, "unsupported_grant_type"}
	}
	now := p.now()
	invalid := &oauthError{http.StatusBadRequest, "invalid_grant"}
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.codes[form.Get("code")]
	if g == nil || g.client != client.ID {
		return nil, invalid
	}
	if g.used {
		delete(p.access, g.access)
		return nil, invalid
	}
	g.used = true // even when what follows fails: a second guess at the verifier needs a new sign-in
	if now.After(g.expires) || form.Get("redirect_uri") != g.redirect || !verifierFits(form.Get("code_verifier"), g.challenge) {
		return nil, invalid
	}
	g.access = rand.Text() + rand.Text()
	id, err := p.sign(g)
	if err != nil {
		return nil, &oauthError{http.StatusInternalServerError, "server_error"}
	}
	token := *g
	token.expires = now.Add(tokenTime)
	p.access[g.access] = &token
	return map[string]any{
		"access_token": g.access, "token_type": "Bearer", "expires_in": int(tokenTime.Seconds()), "id_token": id, "scope": strings.Join(g.scopes, " "),
	}, nil
}

// authenticate checks the client's secret: client_secret_basic or client_secret_post, never both (RFC 6749 §2.3).
func (p *Provider) authenticate(r *http.Request, form url.Values) (Client, bool) {
	id, secret, basic := r.BasicAuth()
	if basic {
		var err1, err2 error
		id, err1 = url.QueryUnescape(id)
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil || form.Has("client_secret") || form.Has("client_id") && form.Get("client_id") != id {
			return Client{}, false
		}
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	c, known := p.clients[id]
	got, want := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(c.Secret))
	return c, known && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// verifierFits checks PKCE S256 (RFC 7636 §4.6). There is no other method and no way without.
func verifierFits(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 || challenge == "" {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// claims returns what the grant's scopes let out about the account.
func (p *Provider) claims(g *grant) map[string]any {
	a := p.accounts[g.account]
	c := map[string]any{"sub": p.subject(g.client, a.ID)}
	if a.Kind == reqctx.Citizen && slices.Contains(g.scopes, scopeCitizen) {
		c["personal_id"], c["full_name"], c["birthdate"], c["gender"] = a.PersonalID, a.FullName, a.Birthdate, a.Gender
	}
	if a.Kind == reqctx.Officer && slices.Contains(g.scopes, scopeOfficer) {
		c["officer"], c["full_name"], c["agency"], c["roles"] = a.Account, a.FullName, a.Agency, slices.Concat([]string{}, a.Roles)
	}
	return c
}

// sign returns the id_token of a grant (OpenID Connect Core §2).
func (p *Provider) sign(g *grant) (string, error) {
	c := p.claims(g)
	now := p.now()
	acr := identity.ACRLevel2
	if p.accounts[g.account].Level == 1 {
		acr = identity.ACRLevel1
	}
	c["iss"], c["aud"], c["iat"], c["exp"], c["auth_time"] = p.opt.Issuer, g.client, now.Unix(), now.Add(tokenTime).Unix(), g.at.Unix()
	c["acr"], c["amr"] = acr, []string{"demo"}
	if g.nonce != "" {
		c["nonce"] = g.nonce
	}
	sum := sha256.Sum256([]byte(g.access))
	c["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	signed, err := p.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	g := p.access[token]
	p.mu.Unlock()
	if !ok || g == nil || p.now().After(g.expires) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	writeJSON(w, http.StatusOK, p.claims(g))
}
