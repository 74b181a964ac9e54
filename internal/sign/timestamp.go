package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"truc/internal/errs"
)

// Timestamper obtains a time-stamp token (RFC 3161 TimeStampToken, DER) over a SHA-256 digest. The token has
// been checked against the digest when the call returns. A service that cannot be reached or refuses is an
// [errs.Unavailable] error.
type Timestamper interface {
	Timestamp(ctx context.Context, digest []byte) (token []byte, err error)
}

// Timestampers asks several services in order and returns the first answer.
type Timestampers []Timestamper

// Timestamp implements [Timestamper].
func (ts Timestampers) Timestamp(ctx context.Context, digest []byte) ([]byte, error) {
	var all []error
	for _, t := range ts {
		token, err := t.Timestamp(ctx, digest)
		if err == nil {
			return token, nil
		}
		all = append(all, err)
	}
	return nil, errs.E(errs.Unavailable, "sign.tsa_unavailable", errors.Join(all...))
}

// tsRequest is RFC 3161 §2.4.1 TimeStampReq.
type tsRequest struct {
	hash       crypto.Hash // 0 when unknown to us
	hashOID    asn1.ObjectIdentifier
	digest     []byte
	policy     asn1.ObjectIdentifier
	nonce      *big.Int
	certReq    bool
	extensions bool
}

var errTSRequest = errors.New("malformed time-stamp request")

func parseTSRequest(der []byte) (*tsRequest, error) {
	in := cryptobyte.String(der)
	var seq, imprint, digest cryptobyte.String
	var version int64
	r := &tsRequest{}
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) || version != 1 || !seq.ReadASN1(&imprint, cbasn1.SEQUENCE) {
		return nil, errTSRequest
	}
	var err error
	if r.hashOID, _, err = readAlgorithm(&imprint); err != nil || !imprint.ReadASN1(&digest, cbasn1.OCTET_STRING) || !imprint.Empty() {
		return nil, errTSRequest
	}
	r.digest, r.hash = digest, hashOf(r.hashOID)
	if seq.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER) && !seq.ReadASN1ObjectIdentifier(&r.policy) {
		return nil, errTSRequest
	}
	if seq.PeekASN1Tag(cbasn1.INTEGER) {
		r.nonce = new(big.Int)
		if !seq.ReadASN1Integer(r.nonce) {
			return nil, errTSRequest
		}
	}
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) && !seq.ReadASN1Boolean(&r.certReq) {
		return nil, errTSRequest
	}
	r.extensions = seq.PeekASN1Tag(tagCtx0)
	if !seq.SkipOptionalASN1(tagCtx0) {
		return nil, errTSRequest
	}
	if !seq.Empty() {
		return nil, errTSRequest
	}
	return r, nil
}

func marshalTSRequest(digest []byte, nonce *big.Int) ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		addImprint(b, oidSHA256, digest)
		b.AddASN1BigInt(nonce)
		b.AddASN1Boolean(true) // certReq: the token must be checkable for years by itself
	})
	return b.Bytes()
}

func addImprint(b *cryptobyte.Builder, hash asn1.ObjectIdentifier, digest []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addAlgorithm(b, hash, false)
		b.AddASN1OctetString(digest)
	})
}

// parseTSResponse reads RFC 3161 §2.4.2 TimeStampResp and returns the token of a granted one.
func parseTSResponse(der []byte) (token []byte, err error) {
	in := cryptobyte.String(der)
	var seq, info cryptobyte.String
	var status int64
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1Integer(&status) {
		return nil, errors.New("malformed time-stamp response")
	}
	if status != 0 && status != 1 { // granted, grantedWithMods
		return nil, fmt.Errorf("time-stamp refused with status %d", status)
	}
	var el cryptobyte.String
	if !seq.ReadASN1Element(&el, cbasn1.SEQUENCE) || !seq.Empty() {
		return nil, errors.New("time-stamp response without token")
	}
	return el, nil
}

// TimestampInfo is what a verified token says.
type TimestampInfo struct {
	Time     time.Time // genTime, UTC
	Accuracy time.Duration
	Serial   *big.Int
	Policy   asn1.ObjectIdentifier
	Cert     *x509.Certificate // of the service
	Chain    []*x509.Certificate
	nonce    *big.Int
}

// Faults of a token.
var (
	errToken        = errors.New("malformed time-stamp token")
	errTokenImprint = errors.New("the time-stamp is over other data")
	errTokenRevoked = errors.New("the certificate of the time-stamp service was revoked")
	errTokenPurpose = errors.New("the certificate of the time-stamp service does not have timeStamping as its critical and only purpose")
)

// VerifyTimestamp checks a token over the content whose digest it asks for: CMS signature, imprint, critical and
// only purpose (RFC 3161 §2.3), ESS certificate id, and the chain to roots at the time the token states. now
// bounds that time from above, with a tolerance of five minutes for clocks.
func VerifyTimestamp(token []byte, digest func(crypto.Hash) []byte, roots *x509.CertPool, now time.Time) (info *TimestampInfo, err error) {
	return verifyTimestamp(token, digest, roots, now, nil)
}

func verifyTimestamp(token []byte, digest func(crypto.Hash) []byte, roots *x509.CertPool, now time.Time, more []*x509.Certificate) (info *TimestampInfo, err error) {
	defer errs.Wrap(&err, "time-stamp")
	if digest == nil {
		return nil, errTokenImprint
	}
	m, err := parseCMS(token)
	if err != nil {
		return nil, err
	}
	if !m.typ.Equal(oidTSTInfo) || m.inner == nil || len(m.signers) != 1 {
		return nil, errToken
	}
	info, err = readTSTInfo(m.inner, digest)
	if err != nil {
		return nil, err
	}
	cert, err := m.verify(&m.signers[0], hashBytes(m.inner), true)
	if err != nil {
		return nil, err
	}
	info.Cert = cert
	if !timestampPurpose(cert) {
		return nil, errTokenPurpose
	}
	if info.Time.After(now.Add(5 * time.Minute)) {
		return nil, fmt.Errorf("time-stamp from the future: %v", info.Time)
	}
	if roots == nil {
		return nil, errors.New("no roots for time-stamps")
	}
	info.Chain, err = trustedChain(cert, roots, slices.Concat(m.certs, more), info.Time, x509.ExtKeyUsageTimeStamping)
	return info, err
}

func timestampPurpose(cert *x509.Certificate) bool {
	if len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(cert.UnknownExtKeyUsage) != 0 {
		return false
	}
	for _, e := range cert.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 37}) {
			return e.Critical
		}
	}
	return false
}

func poolOf(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// readTSTInfo reads what a token states. digest computes the digest of the content; nil leaves the imprint unchecked.
func readTSTInfo(der []byte, digest func(crypto.Hash) []byte) (*TimestampInfo, error) {
	in := cryptobyte.String(der)
	var seq, imprint, hashed, gen cryptobyte.String
	var version int64
	info := &TimestampInfo{Serial: new(big.Int)}
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) || version != 1 ||
		!seq.ReadASN1ObjectIdentifier(&info.Policy) || !seq.ReadASN1(&imprint, cbasn1.SEQUENCE) {
		return nil, errToken
	}
	oid, _, err := readAlgorithm(&imprint)
	if err != nil || !imprint.ReadASN1(&hashed, cbasn1.OCTET_STRING) {
		return nil, errToken
	}
	hash := hashOf(oid)
	if hash == 0 {
		return nil, errWeak
	}
	if len(hashed) != hash.Size() || digest != nil && !bytes.Equal(hashed, digest(hash)) {
		return nil, errTokenImprint
	}
	if !seq.ReadASN1Integer(info.Serial) || !seq.ReadASN1(&gen, cbasn1.GeneralizedTime) {
		return nil, errToken
	}
	// RFC 3161 §2.4.2 wants Z and allows a fraction, which the parser accepts after the seconds.
	if info.Time, err = time.Parse("20060102150405Z", string(gen)); err != nil || !strings.HasSuffix(string(gen), "Z") {
		return nil, errToken
	}
	if seq.PeekASN1Tag(cbasn1.SEQUENCE) {
		if info.Accuracy, err = readAccuracy(&seq); err != nil {
			return nil, err
		}
	}
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) {
		var ordering bool
		if !seq.ReadASN1Boolean(&ordering) {
			return nil, errToken
		}
	}
	if seq.PeekASN1Tag(cbasn1.INTEGER) {
		info.nonce = new(big.Int)
		if !seq.ReadASN1Integer(info.nonce) {
			return nil, errToken
		}
	}
	return info, nil
}

func readAccuracy(seq *cryptobyte.String) (time.Duration, error) {
	var acc cryptobyte.String
	if !seq.ReadASN1(&acc, cbasn1.SEQUENCE) {
		return 0, errToken
	}
	var d time.Duration
	var n int64
	if acc.PeekASN1Tag(cbasn1.INTEGER) {
		if !acc.ReadASN1Integer(&n) || n < 0 || n > 86400 {
			return 0, errToken
		}
		d += time.Duration(n) * time.Second
	}
	for i, unit := range []time.Duration{time.Millisecond, time.Microsecond} {
		tag := cbasn1.Tag(uint8(i)).ContextSpecific()
		if acc.PeekASN1Tag(tag) {
			if !acc.ReadASN1Int64WithTag(&n, tag) || n < 1 || n > 999 {
				return 0, errToken
			}
			d += time.Duration(n) * unit
		}
	}
	return d, nil
}
