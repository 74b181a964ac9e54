package pki

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"path/filepath"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"truc/internal/errs"
)

// Object identifiers of PBES2 (RFC 8018 Appendix A, B) and AES-CBC.
var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidHMACSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
	oidAES128CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

const (
	encryptedBlock = "ENCRYPTED PRIVATE KEY"
	// kdfRounds is what we write; kdfLeast and kdfMost bound what we read.
	kdfRounds = 600_000
	kdfLeast  = 1_000
	kdfMost   = 10_000_000
)

// LoadSealedKey reads a private key that is encrypted with a passphrase (PKCS#8 in PEM, PBES2 with PBKDF2 and AES), as
// "openssl pkcs8 -topk8 -v2 aes-256-cbc" and [SealKey] write it. The passphrase is the first line of another file. Neither
// may be readable for everybody on the machine. A wrong passphrase is an [errs.Denied] error.
func LoadSealedKey(path, passphraseFile string) (key crypto.Signer, err error) {
	defer errs.Wrap(&err, "key %s", path)
	pass, err := readSecret(passphraseFile)
	if err != nil {
		return nil, err
	}
	defer clear(pass)
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != encryptedBlock {
		return nil, errs.E(errs.Invalid, "pki.key_not_sealed", nil, "file", filepath.Base(path))
	}
	return openKey(path, block.Bytes, firstLine(pass))
}

func firstLine(text []byte) []byte {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r"))
}

// openKey decrypts an EncryptedPrivateKeyInfo and reads the key in it.
func openKey(path string, sealed, passphrase []byte) (crypto.Signer, error) {
	der, err := openPBES2(sealed, passphrase)
	if err != nil {
		return nil, errs.E(errs.Invalid, "pki.key_unreadable", err, "file", filepath.Base(path))
	}
	defer clear(der)
	key, err := parseKey(path, der)
	if err != nil { // nothing tells a wrong passphrase from a broken file
		return nil, errs.E(errs.Denied, "pki.key_passphrase", errors.New("the decrypted text is no key"), "file", filepath.Base(path))
	}
	return key, nil
}

// SealKey encrypts a private key with a passphrase: PBKDF2 with HMAC-SHA-256 and AES-256-CBC (RFC 8018), in PEM.
func SealKey(key crypto.Signer, passphrase []byte) ([]byte, error) {
	return sealKey(key, passphrase, kdfRounds)
}

func sealKey(key crypto.Signer, passphrase []byte, rounds int) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	out, err := sealPBES2(der, passphrase, rounds)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: encryptedBlock, Bytes: out}), nil
}

// sealPBES2 makes an EncryptedPrivateKeyInfo (RFC 5958 §3) of any content.
func sealPBES2(content, passphrase []byte, rounds int) ([]byte, error) {
	salt, iv := make([]byte, 16), make([]byte, aes.BlockSize)
	for _, b := range [][]byte{salt, iv} {
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
	}
	dk, err := pbkdf2.Key(sha256.New, string(passphrase), salt, rounds, 32)
	if err != nil {
		return nil, err
	}
	c, err := aes.NewCipher(dk)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(content)%aes.BlockSize
	sealed := append(bytes.Clone(content), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(c, iv).CryptBlocks(sealed, sealed) //nolint:gosec // the vector is random, see above
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidPBES2)
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidPBKDF2)
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1OctetString(salt)
						b.AddASN1Int64(int64(rounds))
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddASN1ObjectIdentifier(oidHMACSHA256)
							b.AddASN1NULL()
						})
					})
				})
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidAES256CBC)
					b.AddASN1OctetString(iv)
				})
			})
		})
		b.AddASN1OctetString(sealed)
	})
	return b.Bytes()
}

var errPBES2 = errors.New("not PBES2 with PBKDF2 and AES-CBC")

// openPBES2 decrypts an EncryptedPrivateKeyInfo (RFC 5958 §3).
func openPBES2(der, passphrase []byte) ([]byte, error) {
	in := cryptobyte.String(der)
	var info, alg, params, kdf, kdfParams, enc, iv, sealed, salt cryptobyte.String
	var oid, kdfOID, encOID asn1.ObjectIdentifier
	var rounds int
	if !in.ReadASN1(&info, cbasn1.SEQUENCE) || !in.Empty() || !info.ReadASN1(&alg, cbasn1.SEQUENCE) ||
		!info.ReadASN1(&sealed, cbasn1.OCTET_STRING) || !alg.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidPBES2) ||
		!alg.ReadASN1(&params, cbasn1.SEQUENCE) || !params.ReadASN1(&kdf, cbasn1.SEQUENCE) || !params.ReadASN1(&enc, cbasn1.SEQUENCE) ||
		!kdf.ReadASN1ObjectIdentifier(&kdfOID) || !kdfOID.Equal(oidPBKDF2) || !kdf.ReadASN1(&kdfParams, cbasn1.SEQUENCE) ||
		!kdfParams.ReadASN1(&salt, cbasn1.OCTET_STRING) || !kdfParams.ReadASN1Integer(&rounds) ||
		!enc.ReadASN1ObjectIdentifier(&encOID) || !enc.ReadASN1(&iv, cbasn1.OCTET_STRING) {
		return nil, errPBES2
	}
	if rounds < kdfLeast || rounds > kdfMost {
		return nil, fmt.Errorf("%w: %d rounds", errPBES2, rounds)
	}
	if !kdfParams.SkipOptionalASN1(cbasn1.INTEGER) {
		return nil, errPBES2
	}
	var digest func() hash.Hash // absent means SHA-1, which we do not use
	var prf cryptobyte.String
	var prfOID asn1.ObjectIdentifier
	if !kdfParams.ReadASN1(&prf, cbasn1.SEQUENCE) || !prf.ReadASN1ObjectIdentifier(&prfOID) {
		return nil, fmt.Errorf("%w: HMAC-SHA-1", errPBES2)
	}
	switch {
	case prfOID.Equal(oidHMACSHA256):
		digest = sha256.New
	case prfOID.Equal(oidHMACSHA512):
		digest = sha512.New
	default:
		return nil, errPBES2
	}
	size := map[string]int{oidAES128CBC.String(): 16, oidAES256CBC.String(): 32}[encOID.String()]
	if size == 0 || len(iv) != aes.BlockSize || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil, errPBES2
	}
	dk, err := pbkdf2.Key(digest, string(passphrase), salt, rounds, size)
	if err != nil {
		return nil, err
	}
	c, err := aes.NewCipher(dk)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(c, iv).CryptBlocks(out, sealed)
	pad := int(out[len(out)-1])
	if pad == 0 || pad > aes.BlockSize || !hmac.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, nil // a wrong passphrase, as far as anybody can tell; the caller finds no key in it
	}
	return out[:len(out)-pad], nil
}
