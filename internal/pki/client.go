package pki

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"truc/internal/errs"
)

const (
	clientLifetime = 3 * 365 * 24 * time.Hour
	// clientRenewal is how long before its end a certificate is made anew, with the same key.
	clientRenewal = 60 * 24 * time.Hour
)

// LoadOrCreateClient reads the certificate that a node shows to its own agency's systems (name.key, name.pem in dir), or
// makes it: self-signed with a P-256 key that never leaves the node, for those systems to trust by hand. Near its end it
// is made anew with the same key.
func LoadOrCreateClient(dir, name, subject string, now time.Time) (*tls.Certificate, error) {
	return (*KeyStore)(nil).LoadOrCreateClient(dir, name, subject, now)
}

// LoadOrCreateClient is the function [LoadOrCreateClient] with the key as the store keeps it.
func (s *KeyStore) LoadOrCreateClient(dir, name, subject string, now time.Time) (_ *tls.Certificate, err error) {
	defer errs.Wrap(&err, "client certificate %s in %s", name, dir)
	key, err := s.LoadOrCreate(filepath.Join(dir, name+".key"), P256)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name+".pem")
	cert, err := loadCert(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && KeyID(cert.PublicKey) == KeyID(key.Public()) && now.Before(cert.NotAfter.Add(-clientRenewal)) {
		return TLSCertificate(key, cert), nil
	}
	serial, err := randomSerial()
	if err != nil {
		return nil, err
	}
	cert, err = create(&x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: subject, Organization: []string{"Truc"}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(clientLifetime), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, nil, key.Public(), key)
	if err != nil {
		return nil, err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, EncodePEM(cert), 0o600); err != nil {
		return nil, err
	}
	return TLSCertificate(key, cert), os.Rename(tmp, path)
}
