package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"truc/internal/errs"
)

const (
	// MaxNodeLifetime bounds a node's certificate; short life stands in for a status protocol.
	MaxNodeLifetime = 30 * 24 * time.Hour
	rootLifetime    = 10 * 365 * 24 * time.Hour
	// backdate lets a node whose clock is a little behind use its certificate at once.
	backdate = 5 * time.Minute
)

// CA is a certificate authority with its key in this process.
type CA struct {
	Cert *x509.Certificate
	key  crypto.Signer
}

// LoadOrCreateCA reads the authority in dir (root.pem, root.key), or makes one: a P-256 root that signs leaves
// only (path length 0) and lives ten years.
func LoadOrCreateCA(dir, name string, now time.Time) (*CA, error) {
	return (*KeyStore)(nil).LoadOrCreateCA(dir, name, now)
}

// LoadOrCreateCA is the function [LoadOrCreateCA] with the key as the store keeps it.
func (s *KeyStore) LoadOrCreateCA(dir, name string, now time.Time) (*CA, error) {
	return loadOrCreateRoot(s, dir, pkix.Name{CommonName: name, Organization: []string{"Truc"}}, now)
}

func loadOrCreateRoot(keys *KeyStore, dir string, subject pkix.Name, now time.Time) (ca *CA, err error) {
	defer errs.Wrap(&err, "authority in %s", dir)
	key, err := keys.LoadOrCreate(filepath.Join(dir, "root.key"), P256)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "root.pem")
	cert, err := loadCert(path)
	if errors.Is(err, fs.ErrNotExist) {
		cert, err = selfSign(key, subject, now)
		if err == nil {
			err = createFile(path, EncodePEM(cert), 0o644)
		}
		if errors.Is(err, fs.ErrExist) {
			cert, err = loadCert(path)
		}
	}
	if err != nil {
		return nil, err
	}
	if KeyID(cert.PublicKey) != KeyID(key.Public()) {
		return nil, errs.E(errs.Conflict, "pki.ca_mismatch", nil)
	}
	if now.After(cert.NotAfter) {
		return nil, errs.E(errs.Conflict, "pki.ca_expired", nil)
	}
	return &CA{Cert: cert, key: key}, nil
}

func selfSign(key crypto.Signer, subject pkix.Name, now time.Time) (*x509.Certificate, error) {
	serial, err := randomSerial()
	if err != nil {
		return nil, err
	}
	return create(&x509.Certificate{
		SerialNumber: serial, Subject: subject,
		NotBefore: now.Add(-backdate), NotAfter: now.Add(rootLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 0, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, key.Public(), key)
}

// create signs a template; a nil parent means self-signed.
func create(tmpl, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	if parent == nil {
		parent = tmpl
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// randomSerial returns 127 random bits: positive and within the 20 octets of RFC 5280 §4.1.2.2.
func randomSerial() (*big.Int, error) {
	for {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
		if err != nil || n.Sign() > 0 {
			return n, err
		}
	}
}

// NodeSubject is who a node certificate is for. The request's own subject and names are not looked at: the
// operator who approves a node decides them.
type NodeSubject struct {
	Instance, Class, Member, Server string
	Hosts                           []string // DNS names and IP addresses
}

var segment = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

var hostname = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// URI returns the name that a node certificate carries: spiffe://<instance>/node/<class>/<member>/<server>.
// A urn: name would have no host and break verification under name constraints.
func (s NodeSubject) URI() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: strings.ToLower(s.Instance), Path: "/node/" + s.Class + "/" + s.Member + "/" + s.Server}
}

func (s NodeSubject) validate() error {
	for _, v := range []string{s.Instance, s.Class, s.Member, s.Server} {
		if !segment.MatchString(v) || strings.Trim(v, ".") == "" {
			return errs.E(errs.Invalid, "pki.node_name", fmt.Errorf("segment %q", v))
		}
	}
	for _, h := range s.Hosts {
		if net.ParseIP(h) == nil && (len(h) > 253 || !hostname.MatchString(h)) {
			return errs.E(errs.Invalid, "pki.node_host", fmt.Errorf("host %q", h))
		}
	}
	return nil
}

// NodeOf reads the node name from a certificate that [CA.IssueNode] made; the instance comes back lower-case.
func NodeOf(cert *x509.Certificate) (s NodeSubject, ok bool) {
	for _, u := range cert.URIs {
		parts := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
		if u.Scheme == "spiffe" && len(parts) == 4 && parts[0] == "node" {
			return NodeSubject{Instance: u.Host, Class: parts[1], Member: parts[2], Server: parts[3]}, true
		}
	}
	return NodeSubject{}, false
}

// NewCSR makes a certificate request whose signature proves possession of key (RFC 2986). The name is a hint
// for the operator only.
func NewCSR(key crypto.Signer, name string) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
}

// IssueNode makes a node certificate for client and server authentication from a request. It returns an
// [errs.Invalid] error for a request without proof of possession, a key we do not use, a name that does not
// fit into a URI, or a lifetime above [MaxNodeLifetime].
func (ca *CA) IssueNode(csrDER []byte, s NodeSubject, now time.Time, lifetime time.Duration) (cert *x509.Certificate, err error) {
	defer errs.Wrap(&err, "issue node certificate")
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return nil, errs.E(errs.Invalid, "pki.csr_unreadable", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, errs.E(errs.Invalid, "pki.csr_proof", err)
	}
	if AlgOf(csr.PublicKey) == "" {
		return nil, errs.E(errs.Invalid, "pki.key_alg_unknown", nil, "alg", csr.PublicKeyAlgorithm.String())
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	if lifetime <= 0 || lifetime > MaxNodeLifetime {
		return nil, errs.E(errs.Invalid, "pki.lifetime", fmt.Errorf("lifetime %v", lifetime))
	}
	serial, err := randomSerial()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: s.Member + "/" + s.Server, Organization: []string{s.Instance + "/" + s.Class + "/" + s.Member}},
		NotBefore:    now.Add(-backdate), NotAfter: ca.notAfter(now, lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		URIs:        []*url.URL{s.URI()},
	}
	for _, h := range s.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	return create(tmpl, ca.Cert, csr.PublicKey, ca.key)
}

// notAfter keeps a leaf from outliving its authority, which would only fail later and less clearly.
func (ca *CA) notAfter(now time.Time, lifetime time.Duration) time.Time {
	if end := now.Add(lifetime); end.Before(ca.Cert.NotAfter) {
		return end
	}
	return ca.Cert.NotAfter
}

// Pool returns a pool that trusts this authority alone.
func (ca *CA) Pool() *x509.CertPool { return Pool(ca.Cert) }

// Pool returns a pool of the given roots.
func Pool(roots ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range roots {
		p.AddCert(c)
	}
	return p
}

// Fingerprint returns the lower-case hexadecimal SHA-256 of the whole certificate.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// EncodePEM writes certificates as PEM, in order.
func EncodePEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// DecodePEM reads certificates from PEM and ignores blocks of other types.
func DecodePEM(b []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errs.E(errs.Invalid, "pki.cert_unreadable", err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errs.E(errs.Invalid, "pki.cert_unreadable", errors.New("no CERTIFICATE block"))
	}
	return certs, nil
}

func loadCert(path string) (*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	certs, err := DecodePEM(b)
	if err != nil {
		return nil, err
	}
	return certs[0], nil
}
