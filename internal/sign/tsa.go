package sign

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/asn1"
	"io"
	"math/big"
	"mime"
	"net/http"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"truc/internal/errs"
)

// Media types of RFC 3161 §3.4.
const (
	queryType = "application/timestamp-query"
	replyType = "application/timestamp-reply"
)

// maxTSRequest is far above any honest request (about 100 bytes).
const maxTSRequest = 16 << 10

// PKIFailureInfo bits of RFC 3161 §2.4.2.
const (
	failBadAlg        = 0
	failBadRequest    = 2
	failBadDataFormat = 5
	failPolicy        = 15
	failExtension     = 16
	failSystem        = 25
)

// TSA is a time-stamp service (RFC 3161): an [http.Handler] for others and a [Timestamper] within the process.
// It is for development and demonstrations; its certificate says so.
type TSA struct {
	// Identity has a certificate whose critical and only purpose is timeStamping.
	Identity Identity
	Now      func() time.Time
	// Policy stands in each token; nil means the policy of the built-in service.
	Policy asn1.ObjectIdentifier
}

// accuracySeconds is the stated accuracy; genTime is cut to whole seconds, so it cannot be finer than this.
const accuracySeconds = 1

// ServeHTTP answers a time-stamp query. A query that cannot be granted is answered with a rejection in the
// protocol and status 200, as clients expect; wrong method or media type with a plain HTTP status.
func (t *TSA) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != queryType {
		http.Error(w, "want "+queryType, http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTSRequest))
	if err != nil {
		http.Error(w, "request too large or broken", http.StatusRequestEntityTooLarge)
		return
	}
	w.Header().Set("Content-Type", replyType)
	w.Write(t.Respond(body))
}

// Respond answers a TimeStampReq with a TimeStampResp, both DER.
func (t *TSA) Respond(query []byte) []byte {
	req, err := parseTSRequest(query)
	if err != nil {
		return rejection(failBadDataFormat)
	}
	switch {
	case req.hash == 0:
		return rejection(failBadAlg)
	case len(req.digest) != req.hash.Size():
		return rejection(failBadDataFormat)
	case req.extensions:
		return rejection(failExtension)
	case req.policy != nil && !req.policy.Equal(t.policy()):
		return rejection(failPolicy)
	case req.nonce != nil && req.nonce.BitLen() > 512:
		return rejection(failBadRequest)
	}
	token, err := t.token(req)
	if err != nil {
		return rejection(failSystem)
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Int64(0) })
		b.AddBytes(token)
	})
	return b.BytesOrPanic()
}

// Timestamp implements [Timestamper] without HTTP.
func (t *TSA) Timestamp(_ context.Context, digest []byte) ([]byte, error) {
	if len(digest) != crypto.SHA256.Size() {
		return nil, errs.E(errs.Internal, "sign.tsa_unavailable", errTSRequest)
	}
	token, err := t.token(&tsRequest{hash: crypto.SHA256, hashOID: oidSHA256, digest: digest, certReq: true})
	if err != nil {
		return nil, errs.E(errs.Unavailable, "sign.tsa_unavailable", err)
	}
	return token, nil
}

func (t *TSA) policy() asn1.ObjectIdentifier {
	if t.Policy != nil {
		return t.Policy
	}
	return oidDevPolicy
}

func (t *TSA) token(req *tsRequest) ([]byte, error) {
	if t.Identity.Cert == nil || !timestampPurpose(t.Identity.Cert) {
		return nil, errTokenPurpose
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1ObjectIdentifier(t.policy())
		addImprint(b, req.hashOID, req.digest)
		b.AddASN1BigInt(serial)
		b.AddASN1GeneralizedTime(t.Now().UTC().Truncate(time.Second))
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Int64(accuracySeconds) })
		// ordering is FALSE, the default, and so must be absent in DER: tokens of one second are not ordered.
		if req.nonce != nil {
			b.AddASN1BigInt(req.nonce)
		}
	})
	info, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return buildCMS(t.Identity, cmsContent{typ: oidTSTInfo, inner: info, digest: hashBytes(info), noCerts: !req.certReq})
}

func rejection(bit int) []byte {
	bits := make([]byte, bit/8+1)
	bits[bit/8] = 0x80 >> (bit % 8)
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(2) // rejection
			b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) {
				b.AddUint8(uint8(7 - bit%8)) // DER: trailing zero bits are not kept
				b.AddBytes(bits)
			})
		})
	})
	return b.BytesOrPanic()
}
