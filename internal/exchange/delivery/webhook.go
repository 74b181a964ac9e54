package delivery

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"truc/internal/exchange"
	"truc/internal/outbox"
	"truc/internal/pki"
)

// The signature of a webhook (RFC 9421): label, tag, and what it always covers. A system that takes webhooks checks it
// with its node's signing key, which the directory lists.
const (
	webhookLabel = "truc"
	webhookTag   = "truc-webhook"
)

var webhookCovers = []string{"@method", "@target-uri", "content-type", "content-digest", "x-road-client", "x-road-id", "x-road-service"}

// maxWebhookAnswer bounds what a webhook may answer.
const maxWebhookAnswer = 1 << 20

// CheckWebhook reports whether an address may receive webhooks: https, or http on this very machine.
func CheckWebhook(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("webhook %q is not an address", address)
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return fmt.Errorf("webhook %q must be https", address)
	}
	return nil
}

// push gives one received message to its webhook; it is the outbox handler of [TopicPush].
func (s *Service) push(ctx context.Context, seq int64) error {
	in, err := s.Store.InBySeq(ctx, nil, seq)
	if err != nil {
		return err
	}
	finish := func(f func(in *Incoming)) error {
		return s.Store.InTx(ctx, func(tx Tx) error {
			in, err := s.Store.InBySeq(ctx, tx, seq)
			if err != nil || in.State.Final() {
				return err
			}
			f(&in)
			if in.State.Final() {
				in.Done = s.Now()
			}
			return s.Store.PutIn(ctx, tx, in)
		})
	}
	switch {
	case in.State == Dead:
		return outbox.Permanent(errors.New(in.Error))
	case in.State.Final():
		return nil
	case !s.Now().Before(in.Expires):
		return finish(func(in *Incoming) { in.State = Expired })
	}
	mode := s.Modes[strings.Join(strings.Split(in.Service, "/")[3:], "/")]
	if mode.Push == "" {
		return errors.New("the webhook of this service is not configured any more")
	}
	a, err := s.callWebhook(ctx, mode.Push, in)
	if err != nil {
		return outbox.Away(errors.Join(errors.New("the webhook cannot be reached"), finish(func(in *Incoming) {
			in.Attempts, in.Error = in.Attempts+1, "the webhook cannot be reached"
		})))
	}
	ok, again := verdict(a.Status)
	cause := fmt.Errorf("the webhook answered %d", a.Status)
	switch {
	case ok && a.Status < 300:
		return finish(func(in *Incoming) {
			in.State, in.Attempts, in.Error = Delivered, in.Attempts+1, ""
			if len(a.Body) > 0 {
				in.State, in.Answer = Answered, a
			}
		})
	case again:
		return errors.Join(cause, finish(func(in *Incoming) { in.Attempts, in.Error = in.Attempts+1, cause.Error() }))
	default: // a redirect is refused like any other no: the address is configuration, not the webhook's to change
		if err := finish(func(in *Incoming) {
			in.State, in.Attempts, in.Error, in.Answer = Dead, in.Attempts+1, cause.Error(), Answer{Status: a.Status}
		}); err != nil {
			return err
		}
		return outbox.Permanent(cause)
	}
}

func (s *Service) callWebhook(ctx context.Context, address string, in Incoming) (a Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	target := strings.TrimSuffix(address, "/") + in.Path
	if in.Query != "" {
		target += "?" + in.Query
	}
	r, err := http.NewRequestWithContext(ctx, in.Method, target, bytes.NewReader(in.Body))
	if err != nil {
		return a, err
	}
	if in.ContentType == "" {
		in.ContentType = "application/octet-stream" // a field that is signed must be there
	}
	for name, v := range map[string]string{
		"Content-Type": in.ContentType, "Content-Digest": exchange.ContentDigest(in.Body), exchange.HeaderClient: in.Sender, exchange.HeaderID: in.ID,
		exchange.HeaderService: in.Service, exchange.HeaderPurpose: in.Purpose, exchange.HeaderIssue: in.Dossier, exchange.HeaderUserID: in.UserID,
		HeaderOrderKey: in.OrderKey,
	} {
		if v != "" {
			r.Header.Set(name, v)
		}
	}
	if err := signWebhook(s.Signing, s.Now(), webhookCovers, r); err != nil {
		return a, err
	}
	resp, err := s.HTTP.Do(r)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxWebhookAnswer))
	if err != nil {
		return a, err
	}
	return Answer{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"), Body: body}, nil
}

// SignWebhook signs a request that tells a system of the agency something else than a message: like a webhook, but for the
// fields that only messages have. It adds Content-Digest.
func SignWebhook(key crypto.Signer, now time.Time, r *http.Request, body []byte) error {
	r.Header.Set("Content-Digest", exchange.ContentDigest(body))
	return signWebhook(key, now, webhookCovers[:4], r)
}

// signWebhook adds the fields Signature-Input and Signature (RFC 9421 §3.1).
func signWebhook(key crypto.Signer, now time.Time, covers []string, r *http.Request) error {
	pub := key.Public()
	alg := "ed25519"
	if _, ok := pub.(*ecdsa.PublicKey); ok {
		alg = "ecdsa-p256-sha256"
	}
	params := `("` + strings.Join(covers, `" "`) + `");created=` + fmt.Sprint(now.Unix()) + `;keyid="` + pki.KeyID(pub) + `";alg="` + alg + `";tag="` + webhookTag + `"`
	var base strings.Builder
	for _, c := range covers {
		v := r.Header.Get(c)
		switch c {
		case "@method":
			v = r.Method
		case "@target-uri":
			v = r.URL.String()
		}
		fmt.Fprintf(&base, "%q: %s\n", c, v)
	}
	base.WriteString(`"@signature-params": ` + params)
	sig, err := rawSignature(key, []byte(base.String()))
	if err != nil {
		return err
	}
	r.Header.Set("Signature-Input", webhookLabel+"="+params)
	r.Header.Set("Signature", webhookLabel+"=:"+base64.StdEncoding.EncodeToString(sig)+":")
	return nil
}

// rawSignature signs as RFC 9421 §3.3 says: Ed25519 over the base, P-256 over its SHA-256 as 64 raw bytes.
func rawSignature(key crypto.Signer, base []byte) ([]byte, error) {
	switch pub := key.Public().(type) {
	case ed25519.PublicKey:
		return key.Sign(rand.Reader, base, crypto.Hash(0))
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			return nil, errors.New("the signing key is not on P-256")
		}
		sum := sha256.Sum256(base)
		der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &rs); err != nil {
			return nil, err
		}
		raw := make([]byte, 64)
		rs.R.FillBytes(raw[:32])
		rs.S.FillBytes(raw[32:])
		return raw, nil
	default:
		return nil, errors.New("the signing key is neither Ed25519 nor P-256")
	}
}
