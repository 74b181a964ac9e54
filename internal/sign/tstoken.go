package sign

import (
	"crypto/x509"
	"time"
)

// TimestampTime returns the time that a token states (RFC 3161 genTime, UTC) without verifying anything; for a token that
// was verified when it was received.
func TimestampTime(token []byte) (time.Time, error) {
	m, err := parseCMS(token)
	if err != nil {
		return time.Time{}, err
	}
	if !m.typ.Equal(oidTSTInfo) || m.inner == nil {
		return time.Time{}, errToken
	}
	info, err := readTSTInfo(m.inner, nil)
	if err != nil {
		return time.Time{}, err
	}
	return info.Time, nil
}

// TimestampCertificates returns the certificates that a token carries.
func TimestampCertificates(token []byte) ([]*x509.Certificate, error) {
	m, err := parseCMS(token)
	if err != nil {
		return nil, err
	}
	return m.certs, nil
}
