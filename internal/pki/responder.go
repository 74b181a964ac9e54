package pki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	_ "crypto/sha1" //nolint:gosec // identifies the issuer in OCSP requests (RFC 6960 §4.1.1); nothing is signed with it
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"mime"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"truc/internal/errs"
)

// Media types of RFC 6960 Appendix A and RFC 2585.
const (
	ocspRequestType  = "application/ocsp-request"
	ocspResponseType = "application/ocsp-response"
	crlType          = "application/pkix-crl"
)

const (
	// maxOCSPRequest is far above any honest request (about 100 bytes).
	maxOCSPRequest = 16 << 10
	// statusLife is how long an answer about revocation may be kept by those who asked.
	statusLife = 24 * time.Hour
	// statusBack is how far back an answer reaches. Readers that check a signature as of the time it was made, as NSS does,
	// take no answer that begins after it.
	statusBack        = time.Hour
	responderLifetime = 30 * 24 * time.Hour
)

// Responder answers whether certificates of the development authority were revoked: OCSP over HTTP (RFC 6960,
// RFC 5019; GET and POST), lists of revoked certificates (CRL, RFC 5280 §5), and [Responder.Evidence] for those in
// the same process. It signs with a certificate of its own that the authority made for that purpose.
type Responder struct {
	ca  *DocumentCA
	dir string
	now func() time.Time

	mu   sync.Mutex // guards what follows
	key  crypto.Signer
	cert *x509.Certificate
}

// Responder makes the authority's responder, with its key in dir (ocsp.key, ocsp.pem).
func (d *DocumentCA) Responder(dir string, now func() time.Time) (*Responder, error) {
	r := &Responder{ca: d, dir: dir, now: now}
	_, _, err := r.identity()
	return r, err
}

// identity returns key and certificate and renews the latter in time.
func (r *Responder) identity() (crypto.Signer, *x509.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.cert != nil && r.cert.NotAfter.Sub(now) > responderLifetime/10 {
		return r.key, r.cert, nil
	}
	subject := DocumentSubject{Name: "OCSP " + r.ca.Cert().Subject.CommonName}
	if org := r.ca.Cert().Subject.Organization; len(org) > 0 {
		subject.Agency = org[0]
	}
	key, cert, err := r.ca.LoadOrIssue(r.dir, "ocsp", OCSPUse, subject, now, responderLifetime)
	if err != nil {
		return nil, nil, err
	}
	r.key, r.cert = key, cert
	return key, cert, nil
}

// ServeHTTP answers an OCSP request. In a GET request it is the last part of the path, in base64.
func (r *Responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var der []byte
	var err error
	switch req.Method {
	case http.MethodGet:
		der, err = base64.StdEncoding.DecodeString(req.PathValue("request"))
	case http.MethodPost:
		if mt, _, e := mime.ParseMediaType(req.Header.Get("Content-Type")); e != nil || mt != ocspRequestType {
			http.Error(w, "want "+ocspRequestType, http.StatusUnsupportedMediaType)
			return
		}
		der, err = io.ReadAll(http.MaxBytesReader(w, req.Body, maxOCSPRequest))
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		return
	}
	answer := ocsp.MalformedRequestErrorResponse
	if err == nil && len(der) <= maxOCSPRequest {
		answer = r.Respond(der)
	}
	w.Header().Set("Content-Type", ocspResponseType)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	if st, err := ocsp.ParseResponse(answer, nil); err == nil && req.Method == http.MethodGet {
		// RFC 5019 §6.2: those in between may keep the answer, but not longer than it holds.
		age := int(st.NextUpdate.Sub(r.now()) / time.Second)
		w.Header().Set("Cache-Control", "max-age="+strconv.Itoa(max(age, 0))+", public, no-transform, must-revalidate")
		w.Header().Set("Last-Modified", st.ThisUpdate.Format(http.TimeFormat))
		w.Header().Set("Expires", st.NextUpdate.Format(http.TimeFormat))
	}
	w.Write(answer) //nolint:gosec // DER that we made, under its own type
}

// Respond answers an OCSP request in DER with a response in DER. A certificate of another authority is answered with
// "unauthorized", one that the authority never issued with "unknown".
func (r *Responder) Respond(request []byte) []byte {
	req, err := ocsp.ParseRequest(request)
	if err != nil {
		return ocsp.MalformedRequestErrorResponse
	}
	if !ours(req, r.ca.Cert()) {
		return ocsp.UnauthorizedErrorResponse
	}
	answer, err := r.answer(req.SerialNumber, req.HashAlgorithm)
	if err != nil {
		return ocsp.InternalErrorErrorResponse
	}
	return answer
}

// ours compares the hashes that name the issuer in a request.
func ours(req *ocsp.Request, issuer *x509.Certificate) bool {
	key, err := publicKeyBits(issuer)
	if err != nil || !req.HashAlgorithm.Available() {
		return false
	}
	sum := func(b []byte) []byte {
		h := req.HashAlgorithm.New()
		h.Write(b)
		return h.Sum(nil)
	}
	return bytes.Equal(req.IssuerNameHash, sum(issuer.RawSubject)) && bytes.Equal(req.IssuerKeyHash, sum(key))
}

func publicKeyBits(cert *x509.Certificate) ([]byte, error) {
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	_, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &spki)
	return spki.PublicKey.RightAlign(), err
}

func (r *Responder) answer(serial *big.Int, hash crypto.Hash) ([]byte, error) {
	key, cert, err := r.identity()
	if err != nil {
		return nil, err
	}
	now := r.now().UTC().Truncate(time.Second)
	st := ocsp.Response{SerialNumber: serial, Status: ocsp.Good, ThisUpdate: now.Add(-statusBack), NextUpdate: now.Add(statusLife), Certificate: cert, IssuerHash: hash}
	if !r.ca.book.wasIssued(serial) {
		st.Status = ocsp.Unknown
	} else if gone, ok := r.ca.book.revocation(serial); ok {
		st.Status, st.RevokedAt, st.RevocationReason = ocsp.Revoked, gone.At, gone.Reason
	}
	return ocsp.CreateResponse(r.ca.Cert(), cert, st, key)
}

// Evidence implements [StatusSource] without HTTP.
func (r *Responder) Evidence(cert, issuer *x509.Certificate) (Evidence, error) {
	if !bytes.Equal(issuer.RawSubjectPublicKeyInfo, r.ca.Cert().RawSubjectPublicKeyInfo) {
		return Evidence{}, errs.E(errs.Unavailable, "pki.status_unavailable", errors.New("a certificate of another authority"))
	}
	der, err := r.answer(cert.SerialNumber, crypto.SHA1)
	return Evidence{OCSP: der}, err
}

// CRL returns the list of revoked certificates in DER (RFC 5280 §5), made now.
func (r *Responder) CRL() ([]byte, error) {
	now := r.now().UTC().Truncate(time.Second)
	tmpl := &x509.RevocationList{Number: big.NewInt(now.Unix()), ThisUpdate: now, NextUpdate: now.Add(statusLife)}
	for s, gone := range r.ca.book.all() {
		serial, ok := new(big.Int).SetString(s, 16)
		if !ok {
			return nil, errs.E(errs.Invalid, "pki.ledger_unreadable", nil, "file", filepath.Base(revokedFile))
		}
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: gone.At, ReasonCode: gone.Reason})
	}
	return x509.CreateRevocationList(rand.Reader, tmpl, r.ca.Cert(), r.ca.ca.key)
}

// ServeCRL serves [Responder.CRL].
func (r *Responder) ServeCRL(w http.ResponseWriter, _ *http.Request) {
	der, err := r.CRL()
	if err != nil {
		http.Error(w, "no list", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", crlType)
	w.Write(der)
}
