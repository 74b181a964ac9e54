package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"time"

	"truc/internal/errs"
)

// TSAClient asks a time-stamp service over HTTP (RFC 3161 §3.4).
type TSAClient struct {
	URL    string
	Client *http.Client
	// Roots are the authorities of the service's certificate.
	Roots *x509.CertPool
	Now   func() time.Time
	// Tolerance bounds how far the stated time may lie from our clock; 0 means five minutes.
	Tolerance time.Duration
}

// Timestamp implements [Timestamper]. It sends a nonce, asks for the certificate, and checks status, imprint,
// nonce, purpose, certificate id, chain and time before it returns the token.
func (c *TSAClient) Timestamp(ctx context.Context, digest []byte) (token []byte, err error) {
	if len(digest) != crypto.SHA256.Size() {
		return nil, errs.E(errs.Internal, "sign.tsa_unavailable", errTSRequest)
	}
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, err
	}
	token, err = c.ask(ctx, digest, nonce)
	if err != nil {
		return nil, errs.E(errs.Unavailable, "sign.tsa_unavailable", err)
	}
	now := c.Now()
	info, err := VerifyTimestamp(token, onlySHA256(digest), c.Roots, now)
	if err == nil && (info.nonce == nil || info.nonce.Cmp(nonce) != 0) {
		err = errors.New("the nonce is not ours")
	}
	tolerance := c.Tolerance
	if tolerance == 0 {
		tolerance = 5 * time.Minute
	}
	if err == nil && now.Sub(info.Time).Abs() > tolerance {
		err = fmt.Errorf("the service says %v, our clock %v", info.Time, now)
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, "sign.tsa_bad_answer", err)
	}
	return token, nil
}

func (c *TSAClient) ask(ctx context.Context, digest []byte, nonce *big.Int) ([]byte, error) {
	query, err := marshalTSRequest(digest, nonce)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", queryType)
	req.Header.Set("Accept", replyType)
	res, err := c.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if mt, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); res.StatusCode != http.StatusOK || err != nil || mt != replyType {
		return nil, fmt.Errorf("answer %s with type %q", res.Status, res.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 256<<10))
	if err != nil {
		return nil, err
	}
	return parseTSResponse(body)
}

// onlySHA256 answers for a digest that was made before, whose content is not at hand.
func onlySHA256(digest []byte) func(crypto.Hash) []byte {
	return func(h crypto.Hash) []byte {
		if h != crypto.SHA256 {
			return nil
		}
		return digest
	}
}
