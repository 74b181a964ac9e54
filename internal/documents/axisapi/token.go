package axisapi

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"truc/internal/documents/axis"
	"truc/internal/errs"
	"truc/internal/web"
)

// tokenLife is how long a bearer token is good for.
const tokenLife = 30 * time.Minute

// tokenMark keeps what is signed for a token apart from the signed headers of VXP, which begin with a brace.
const tokenMark = "truc-axis-token-1\n" //nolint:gosec // no secret

// newToken makes a bearer token for a system: its id, when the token ends and a nonce, under an HMAC with the system's secret. Nothing
// is stored, every process of the center knows it, and a new secret ends all tokens.
func newToken(s axis.Credentials, now time.Time) string {
	var nonce [12]byte
	rand.Read(nonce[:]) // never fails since Go 1.24
	text := s.ID + "\n" + strconv.FormatInt(now.Add(tokenLife).Unix(), 10) + "\n" + base64.RawURLEncoding.EncodeToString(nonce[:])
	return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + mac([]byte(s.Secrets[0]), []byte(tokenMark+text))
}

// tokenSystem returns the system that a token says it is of, before anything is proved.
func tokenSystem(token string) (text, sum, system string, until time.Time, ok bool) {
	enc, sum, found := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(enc)
	if !found || err != nil || len(raw) > 256 {
		return "", "", "", time.Time{}, false
	}
	parts := strings.Split(string(raw), "\n")
	if len(parts) != 3 {
		return "", "", "", time.Time{}, false
	}
	at, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return "", "", "", time.Time{}, false
	}
	return string(raw), sum, parts[0], time.Unix(at, 0), true
}

// bearer authenticates a request of the REST binding. X-SystemId and X-SecretKey, which existing programs send besides, must not
// contradict the token.
func (a *API) bearer(r *http.Request) (*request, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, errs.E(errs.Unauthenticated, "axis.rest.token", nil)
	}
	text, sum, id, until, ok := tokenSystem(strings.TrimSpace(token))
	if !ok {
		return nil, a.deniedV1(r, "", errMAC)
	}
	s, err := a.system(r.Context(), id)
	if err != nil {
		return nil, err
	}
	proved := 0
	for _, secret := range s.Secrets {
		proved |= subtle.ConstantTimeCompare([]byte(mac([]byte(secret), []byte(tokenMark+text))), []byte(sum))
	}
	now := a.Now()
	switch {
	case s.ID == "":
		return nil, a.deniedV1(r, id, errUnknown)
	case proved != 1:
		return nil, a.deniedV1(r, id, errMAC)
	case !now.Before(until):
		return nil, a.deniedV1(r, id, errOutsideHours)
	case r.Header.Get("X-SystemId") != "" && r.Header.Get("X-SystemId") != s.ID,
		r.Header.Get("X-SecretKey") != "" && !anySecret(s, r.Header.Get("X-SecretKey")):
		return nil, a.deniedV1(r, id, errHeaderValue)
	}
	if err := a.mayCome(r, s.System); err != nil {
		return nil, a.deniedV1(r, id, err)
	}
	return &request{system: s.System, now: now}, nil
}

func anySecret(s axis.Credentials, shown string) bool {
	same := 0
	for _, secret := range s.Secrets {
		same |= subtle.ConstantTimeCompare([]byte(secret), []byte(shown))
	}
	return same == 1
}

func (a *API) deniedV1(r *http.Request, id string, cause error) error {
	_ = a.denied(r, id, cause)
	return errs.E(errs.Unauthenticated, "axis.rest.token", nil)
}

// login is the form of existing programs; all but the first two members are taken and mean nothing here.
type login struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

type tokenData struct {
	Token     string `json:"token"`
	ExpiresIn int    `json:"expiresIn"`
}

type loginReply struct {
	Success bool      `json:"success"`
	Message string    `json:"message"`
	Data    tokenData `json:"data"`
}

// grant is the answer to client credentials (RFC 6749 §5.1).
type grant struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
}

func (a *API) v1Login(w http.ResponseWriter, r *http.Request) error {
	var in login
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	s, err := a.credentials(r, in.Username, in.Password)
	if err != nil {
		return err
	}
	return a.writeV1(w, loginReply{Success: true, Data: tokenData{newToken(s, a.Now()), int(tokenLife / time.Second)}})
}

// v1Token gives a token for client credentials, in HTTP Basic or in the form (RFC 6749 §4.4 and §2.3.1).
func (a *API) v1Token(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, smallBody)
	if err := r.ParseForm(); err != nil {
		return errs.E(errs.Invalid, "axis.rest.grant", err)
	}
	if r.PostForm.Get("grant_type") != "client_credentials" {
		return errs.E(errs.Invalid, "axis.rest.grant", nil)
	}
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	s, err := a.credentials(r, id, secret)
	if err != nil {
		return err
	}
	return a.writeV1(w, grant{newToken(s, a.Now()), "Bearer", int(tokenLife / time.Second)})
}

// credentials compares a secret. One address may be wrong a number of times, then it waits: here, unlike in VXP, the secret itself
// is shown, so it could be guessed at.
func (a *API) credentials(r *http.Request, id, secret string) (axis.Credentials, error) {
	s, err := a.system(r.Context(), id)
	if err != nil {
		return axis.Credentials{}, err
	}
	if err := a.mayCome(r, s.System); err != nil {
		return axis.Credentials{}, a.deniedV1(r, id, err)
	}
	if !anySecret(s, secret) || s.ID == "" {
		if leave, ok := a.wrong.enter(web.AddressKey(r), a.Now(), Limits{PerSecond: 1, AtOnce: 20}); ok {
			leave()
			return axis.Credentials{}, a.deniedV1(r, id, errMAC)
		}
		return axis.Credentials{}, errs.E(errs.Limited, "axis.vxp.busy", nil)
	}
	return s, nil
}
