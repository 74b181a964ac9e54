package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"truc/internal/errs"
)

// Identity signs: a key, its certificate and the intermediate certificates up to, but without, the root.
type Identity struct {
	Signer crypto.Signer
	Cert   *x509.Certificate
	Chain  []*x509.Certificate
	// PSS makes an RSA key sign with RSASSA-PSS (RFC 8017 §8.1) instead of PKCS #1 v1.5. Some readers know only the latter.
	PSS bool
}

// signatureAlg says how an identity's key signs: digest, AlgorithmIdentifier.
func (id Identity) signatureAlg() (crypto.Hash, asn1.ObjectIdentifier, error) {
	if id.Signer == nil || id.Cert == nil {
		return 0, nil, errs.E(errs.Internal, "sign.identity", errors.New("no key or no certificate"))
	}
	pub, ok := id.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(id.Cert.PublicKey) {
		return 0, nil, errs.E(errs.Internal, "sign.identity", errors.New("the certificate is for another key"))
	}
	switch k := id.Signer.Public().(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 && id.PSS {
			return crypto.SHA256, oidRSAPSS, nil
		}
		if k.N.BitLen() >= 2048 {
			return crypto.SHA256, oidRSA, nil
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return crypto.SHA256, oidECSHA256, nil
		case elliptic.P384():
			return crypto.SHA384, oidECSHA384, nil
		}
	}
	return 0, nil, errs.E(errs.Invalid, "sign.key_kind", fmt.Errorf("key %T", id.Signer.Public()))
}

// cmsContent is what a SignedData is made over: either a digest of outside content, or content inside.
type cmsContent struct {
	noCerts bool // a time-stamp query may ask for a token without certificates
	typ     asn1.ObjectIdentifier
	inner   []byte                           // nil when detached
	digest  func(h crypto.Hash) []byte       // of the content
	stamp   func(sig []byte) ([]byte, error) // time-stamp token over a signature value; nil for none
}

// buildCMS makes a ContentInfo with SignedData (RFC 5652 §5) in DER with one signer. The signed attributes are
// exactly content-type, message-digest and signing-certificate-v2, as the PAdES and CAdES baselines want
// them; there is no signing-time, which PAdES forbids.
func buildCMS(id Identity, c cmsContent) ([]byte, error) {
	hash, sigOID, err := id.signatureAlg()
	if err != nil {
		return nil, err
	}
	attrs := signedAttributes(id.Cert, c.typ, c.digest(hash))
	set := attributeSet(cbasn1.SET, attrs) // signed as SET OF, stored under [0]
	h := hash.New()
	h.Write(set)
	var how crypto.SignerOpts = hash
	if sigOID.Equal(oidRSAPSS) {
		how = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	sig, err := id.Signer.Sign(rand.Reader, h.Sum(nil), how)
	if _, said := errors.AsType[*errs.Error](err); said { // the signer program is away, or busy
		return nil, err
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, "sign.key_failed", err)
	}
	var unsigned []byte
	if c.stamp != nil {
		token, err := c.stamp(sig)
		if err != nil {
			return nil, err
		}
		if token != nil {
			unsigned = attributeSet(cbasn1.Tag(1).ContextSpecific().Constructed(), [][]byte{attribute(oidTimeStampToken, func(b *cryptobyte.Builder) { b.AddBytes(token) })})
		}
	}

	version := int64(1)
	if !c.typ.Equal(oidData) {
		version = 3 // RFC 5652 §5.1: any content type other than id-data
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(version)
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, oidOf(hash), false) })
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(c.typ)
					if c.inner != nil {
						b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(c.inner) })
					}
				})
				if !c.noCerts {
					addCertificates(b, id)
				}
				b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(id.Cert.RawIssuer)
							b.AddASN1BigInt(id.Cert.SerialNumber)
						})
						addAlgorithm(b, oidOf(hash), false)
						b.AddBytes(attributeSet(cbasn1.Tag(0).ContextSpecific().Constructed(), attrs))
						if sigOID.Equal(oidRSAPSS) {
							addPSS(b, hash)
						} else {
							addAlgorithm(b, sigOID, sigOID.Equal(oidRSA))
						}
						b.AddASN1OctetString(sig)
						b.AddBytes(unsigned)
					})
				})
			})
		})
	})
	return b.Bytes()
}

func addCertificates(b *cryptobyte.Builder, id Identity) {
	certs := [][]byte{id.Cert.Raw}
	for _, c := range id.Chain {
		if !slices.ContainsFunc(certs, func(raw []byte) bool { return bytes.Equal(raw, c.Raw) }) {
			certs = append(certs, c.Raw)
		}
	}
	b.AddBytes(attributeSet(cbasn1.Tag(0).ContextSpecific().Constructed(), certs))
}

// addAlgorithm writes an AlgorithmIdentifier. RSA wants NULL parameters, digests and ECDSA want none (RFC 5754).
func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, null bool) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if null {
			b.AddASN1NULL()
		}
	})
}

// addPSS writes the AlgorithmIdentifier of RSASSA-PSS (RFC 4055 §3.1) with one digest for message and mask.
func addPSS(b *cryptobyte.Builder, hash crypto.Hash) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidRSAPSS)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tagCtx0, func(b *cryptobyte.Builder) { addAlgorithm(b, oidOf(hash), true) })
			b.AddASN1(tagCtx1, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidMGF1)
					addAlgorithm(b, oidOf(hash), true)
				})
			})
			b.AddASN1(cbasn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(hash.Size())) })
		})
	})
}

func signedAttributes(cert *x509.Certificate, typ asn1.ObjectIdentifier, digest []byte) [][]byte {
	return [][]byte{
		attribute(oidContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(typ) }),
		attribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) }),
		attribute(oidSigningCertV2, func(b *cryptobyte.Builder) { addSigningCertV2(b, cert) }),
	}
}

// addSigningCertV2 writes RFC 5035 §3 SigningCertificateV2 with one ESSCertIDv2; its hash algorithm is the
// default, SHA-256, and therefore left out.
func addSigningCertV2(b *cryptobyte.Builder, cert *x509.Certificate) {
	sum := sha256.Sum256(cert.Raw)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(sum[:])
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // IssuerSerial
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.Tag(4).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(cert.RawIssuer) })
					})
					b.AddASN1BigInt(cert.SerialNumber)
				})
			})
		})
	})
}

func attribute(oid asn1.ObjectIdentifier, value func(b *cryptobyte.Builder)) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.SET, value)
	})
	return b.BytesOrPanic() // fixed shapes of bounded size cannot fail
}

// attributeSet writes members as a DER SET OF, sorted by their encoding (X.690 §11.6), under the given tag.
func attributeSet(tag cbasn1.Tag, members [][]byte) []byte {
	sorted := slices.SortedFunc(slices.Values(members), bytes.Compare)
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, m := range sorted {
			b.AddBytes(m)
		}
	})
	return b.BytesOrPanic()
}
