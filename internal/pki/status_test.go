package pki

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"truc/internal/errs"
)

// authority is a development authority that answers about revocation over HTTP.
type authority struct {
	ca     *DocumentCA
	r      *Responder
	url    string
	now    time.Time
	asked  int
	broken bool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{now: time.Now().UTC().Truncate(time.Second)}
	dir := t.TempDir()
	var err error
	if a.ca, err = LoadOrCreateDocumentCA(dir, "test", DocumentSubject{Name: "Authority"}, a.now); err != nil {
		t.Fatal(err)
	}
	if a.r, err = a.ca.Responder(dir, func() time.Time { return a.now }); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	count := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if a.asked++; a.broken {
				http.Error(w, "<html>", http.StatusBadGateway)
				return
			}
			h(w, r)
		}
	}
	mux.HandleFunc("GET /ocsp/{request...}", count(a.r.ServeHTTP))
	mux.HandleFunc("POST /ocsp", count(a.r.ServeHTTP))
	mux.HandleFunc("GET /crl", count(a.r.ServeCRL))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	a.url = srv.URL
	a.ca.OCSPURL, a.ca.CRLURL = srv.URL+"/ocsp", srv.URL+"/crl"
	return a
}

func (a *authority) issue(t *testing.T, use DocumentUse) *x509.Certificate {
	t.Helper()
	key, err := GenerateKey(P256)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.ca.Issue(key.Public(), use, DocumentSubject{Name: "Nguyễn Văn An"}, a.now, 365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (a *authority) client() *StatusClient {
	return &StatusClient{Client: &http.Client{Timeout: 5 * time.Second}, Now: func() time.Time { return a.now }}
}

func TestStatusOverHTTP(t *testing.T) {
	a := newAuthority(t)
	good, gone := a.issue(t, PersonUse), a.issue(t, PersonUse)
	when := a.now.Add(-time.Hour)
	if err := a.ca.Revoke(gone.SerialNumber, when, ReasonKeyCompromise); err != nil {
		t.Fatal(err)
	}
	if err := a.ca.Revoke(gone.SerialNumber, a.now, ReasonSuperseded); err != nil { // the first revocation stands
		t.Fatal(err)
	}
	for _, way := range []string{"OCSP", "CRL"} {
		c := a.client()
		ask := func(cert *x509.Certificate) CertStatus {
			t.Helper()
			asked := *cert
			if way == "CRL" {
				asked.OCSPServer = nil
			}
			e, err := c.With(context.Background()).Evidence(&asked, a.ca.Cert())
			if err != nil || (e.CRL != nil) != (way == "CRL") {
				t.Fatalf("%s: evidence %v, %v", way, e, err)
			}
			st, err := ReadEvidence(e, cert, a.ca.Cert())
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		from := a.now
		if way != "CRL" {
			from = a.now.Add(-statusBack) // NSS takes no answer that begins after the signature it judges
		}
		if st := ask(good); st.Revoked || !st.ThisUpdate.Equal(from) || !st.NextUpdate.Equal(a.now.Add(statusLife)) {
			t.Errorf("%s: good certificate: %+v", way, st)
		}
		if st := ask(gone); !st.Revoked || !st.RevokedAt.Equal(when) || st.Reason != ReasonKeyCompromise {
			t.Errorf("%s: revoked certificate: %+v", way, st)
		}
		before := a.asked
		ask(good)
		if a.asked != before {
			t.Errorf("%s: asked again although the answer holds", way)
		}
		a.now = a.now.Add(statusLife)
		ask(good)
		if a.asked == before {
			t.Errorf("%s: an answer was used after its time", way)
		}
	}
	a.broken = true
	if _, err := a.client().With(context.Background()).Evidence(good, a.ca.Cert()); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("authority away: %v; want unavailable", err)
	}
	plain := *good
	plain.OCSPServer, plain.CRLDistributionPoints = []string{"file:///etc/passwd", "ldap://x"}, nil
	if _, err := a.client().With(context.Background()).Evidence(&plain, a.ca.Cert()); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("odd addresses: %v; want unavailable", err)
	}
}

func TestResponderGet(t *testing.T) {
	a := newAuthority(t)
	cert := a.issue(t, SealUse)
	get := func(der []byte) (http.Header, []byte) {
		t.Helper()
		res, err := http.Get(a.url + "/ocsp/" + url.PathEscape(base64.StdEncoding.EncodeToString(der)))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.Header, b
	}
	query, err := ocsp.CreateRequest(cert, a.ca.Cert(), &ocsp.RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	header, body := get(query)
	if st, err := ReadOCSP(body, cert, a.ca.Cert()); err != nil || st.Revoked {
		t.Errorf("status %+v, %v", st, err)
	}
	if got := header.Get("Content-Type") + " " + header.Get("Cache-Control"); got != "application/ocsp-response max-age=86400, public, no-transform, must-revalidate" {
		t.Errorf("headers %q", got)
	}
	if _, body := get([]byte("x")); !bytes.Equal(body, ocsp.MalformedRequestErrorResponse) {
		t.Errorf("malformed request answered with %x", body)
	}
	other := newAuthority(t)
	if query, err = ocsp.CreateRequest(other.issue(t, SealUse), other.ca.Cert(), nil); err != nil {
		t.Fatal(err)
	}
	if _, body := get(query); !bytes.Equal(body, ocsp.UnauthorizedErrorResponse) {
		t.Errorf("a certificate of another authority answered with %x", body)
	}
	stranger := *cert
	stranger.SerialNumber = big.NewInt(5)
	if query, err = ocsp.CreateRequest(&stranger, a.ca.Cert(), nil); err != nil {
		t.Fatal(err)
	}
	_, body = get(query)
	if _, err := ReadOCSP(body, &stranger, a.ca.Cert()); err == nil {
		t.Error("a certificate that was never issued is called good")
	}
	if err := a.ca.Revoke(big.NewInt(5), a.now, 0); errs.KindOf(err) != errs.NotFound {
		t.Errorf("revoking what was never issued: %v", err)
	}
	if err := a.ca.Revoke(cert.SerialNumber, a.now, 7); errs.KindOf(err) != errs.Invalid {
		t.Errorf("reason 7: %v", err)
	}
}

// TestReadOCSPRefuses gives answers that somebody else than the authority signed.
func TestReadOCSPRefuses(t *testing.T) {
	a := newAuthority(t)
	cert, issuer := a.issue(t, PersonUse), a.ca.Cert()
	make := func(signer DocumentUse, by *authority) []byte {
		t.Helper()
		key, err := GenerateKey(P256)
		if err != nil {
			t.Fatal(err)
		}
		c, err := by.ca.Issue(key.Public(), signer, DocumentSubject{Name: "OCSP"}, a.now, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		der, err := ocsp.CreateResponse(issuer, c, ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: a.now, NextUpdate: a.now.Add(time.Hour), Certificate: c}, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	appointed := make(OCSPUse, a)
	if _, err := ReadOCSP(appointed, cert, issuer); err != nil {
		t.Errorf("an appointed responder: %v", err)
	}
	direct, err := ocsp.CreateResponse(issuer, issuer, ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: a.now, Certificate: issuer}, a.ca.ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := ReadOCSP(direct, cert, issuer); err != nil || !st.Current(a.now) || st.Current(a.now.Add(2*time.Hour)) {
		t.Errorf("the authority itself, without next update: %+v, %v", st, err)
	}
	for name, der := range map[string][]byte{
		"a person of the authority": make(PersonUse, a),
		"another authority":         make(OCSPUse, newAuthority(t)),
		"changed":                   flipLast(appointed, 900),
		"nothing":                   {},
		"rubbish behind":            append(bytes.Clone(appointed), 0),
	} {
		if _, err := ReadOCSP(der, cert, issuer); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ReadOCSP(appointed, a.issue(t, PersonUse), issuer); err == nil {
		t.Error("an answer about another certificate was accepted")
	}
}

func flipLast(b []byte, back int) []byte {
	out := bytes.Clone(b)
	out[len(out)-min(back, len(out))] ^= 1
	return out
}

func TestReadCRLRefuses(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	cert := a.issue(t, PersonUse)
	list := func(by *authority, ext ...pkix.Extension) []byte {
		t.Helper()
		der, err := x509.CreateRevocationList(zeros{}, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: a.now, NextUpdate: a.now.Add(time.Hour), ExtraExtensions: ext,
		}, by.ca.Cert(), by.ca.ca.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	if _, err := ReadCRL(list(a), cert, a.ca.Cert()); err != nil {
		t.Errorf("plain list: %v", err)
	}
	// IssuingDistributionPoint: [1] onlyContainsUserCerts TRUE covers a person, [2] onlyContainsCACerts TRUE does not.
	if _, err := ReadCRL(list(a, pkix.Extension{Id: oidIDP, Critical: true, Value: []byte{0x30, 3, 0x81, 1, 0xff}}), cert, a.ca.Cert()); err != nil {
		t.Errorf("list of end users: %v", err)
	}
	for name, der := range map[string][]byte{
		"another authority": list(other),
		"authorities only":  list(a, pkix.Extension{Id: oidIDP, Critical: true, Value: []byte{0x30, 3, 0x82, 1, 0xff}}),
		"some reasons only": list(a, pkix.Extension{Id: oidIDP, Critical: true, Value: []byte{0x30, 4, 0x83, 2, 1, 6}}),
		"changes only":      list(a, pkix.Extension{Id: oidDeltaCRL, Critical: true, Value: []byte{2, 1, 1}}),
		"unknown extension": list(a, pkix.Extension{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}),
		"changed":           flipLast(list(a), 10),
	} {
		if _, err := ReadCRL(der, cert, a.ca.Cert()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestLedgerSharedFolder has two processes use one authority: what one issues, the other can revoke and answer for.
func TestLedgerSharedFolder(t *testing.T) {
	a := newAuthority(t)
	second, err := LoadOrCreateDocumentCA(a.ca.book.dir, "test", DocumentSubject{Name: "Authority"}, a.now)
	if err != nil {
		t.Fatal(err)
	}
	cert := a.issue(t, PersonUse)
	if err := second.Revoke(cert.SerialNumber, a.now, 0); err != nil {
		t.Fatal(err)
	}
	if gone, ok := a.ca.book.revocation(cert.SerialNumber); !ok || !gone.At.Equal(a.now) {
		t.Errorf("in the first process: %+v %v", gone, ok)
	}
	again, err := LoadOrCreateDocumentCA(a.ca.book.dir, "test", DocumentSubject{Name: "Authority"}, a.now)
	if err != nil {
		t.Fatal(err)
	}
	if gone, ok := again.book.revocation(cert.SerialNumber); !ok || !gone.At.Equal(a.now) {
		t.Errorf("after a restart: %+v %v", gone, ok)
	}
	if err := os.WriteFile(filepath.Join(a.ca.book.dir, revokedFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateDocumentCA(a.ca.book.dir, "test", DocumentSubject{Name: "Authority"}, a.now); errs.KindOf(err) != errs.Invalid {
		t.Errorf("a broken record: %v; want invalid", err)
	}
}

// TestLoadOrIssueReplacesRevoked: a person whose certificate was revoked gets a new one.
func TestLoadOrIssueReplacesRevoked(t *testing.T) {
	a := newAuthority(t)
	dir := t.TempDir()
	get := func() *x509.Certificate {
		t.Helper()
		_, cert, err := a.ca.LoadOrIssue(dir, "person", PersonUse, DocumentSubject{Name: "An"}, a.now, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	first := get()
	if !get().Equal(first) {
		t.Error("a good certificate was replaced")
	}
	if err := a.ca.Revoke(first.SerialNumber, a.now, 0); err != nil {
		t.Fatal(err)
	}
	if get().Equal(first) {
		t.Error("a revoked certificate was handed out")
	}
}

// TestOCSPWithOpenSSL lets openssl ask our responder and check what it says (documents specification §7.3).
func TestOCSPWithOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	a := newAuthority(t)
	good, gone := a.issue(t, PersonUse), a.issue(t, PersonUse)
	if err := a.ca.Revoke(gone.SerialNumber, a.now, ReasonKeyCompromise); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file("ca.pem", EncodePEM(a.ca.Cert()))
	file("good.pem", EncodePEM(good))
	file("gone.pem", EncodePEM(gone))
	run := func(want string, args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("openssl %v: no %q in\n%s", args, want, out)
		}
	}
	for name, want := range map[string]string{"good": "good.pem: good", "gone": "gone.pem: revoked"} {
		run("Response verify OK", "ocsp", "-url", a.url+"/ocsp", "-issuer", "ca.pem", "-cert", name+".pem", "-CAfile", "ca.pem", "-no_nonce", "-respout", name+".ocsp")
		run(want, "ocsp", "-respin", name+".ocsp", "-issuer", "ca.pem", "-cert", name+".pem", "-CAfile", "ca.pem", "-no_nonce")
		run("Response verify OK", "ocsp", "-respin", name+".ocsp", "-issuer", "ca.pem", "-cert", name+".pem", "-CAfile", "ca.pem", "-no_nonce")
	}
	run("good.pem: good", "ocsp", "-url", a.url+"/ocsp", "-sha256", "-issuer", "ca.pem", "-cert", "good.pem", "-CAfile", "ca.pem", "-no_nonce")
	crl, err := a.r.CRL()
	if err != nil {
		t.Fatal(err)
	}
	file("list.crl", crl)
	run("verify OK", "crl", "-in", "list.crl", "-inform", "DER", "-CAfile", "ca.pem", "-noout")
	run("Key Compromise", "crl", "-in", "list.crl", "-inform", "DER", "-noout", "-text")
}

func FuzzReadStatus(f *testing.F) {
	now := time.Unix(1790000000, 0)
	key, err := GenerateKey(P256)
	if err != nil {
		f.Fatal(err)
	}
	issuer, err := selfSign(key, pkix.Name{CommonName: "CA"}, now)
	if err != nil {
		f.Fatal(err)
	}
	der, err := ocsp.CreateResponse(issuer, issuer, ocsp.Response{SerialNumber: big.NewInt(7), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	crl, err := x509.CreateRevocationList(zeros{}, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, issuer, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(crl)
	other := *issuer
	other.SerialNumber = big.NewInt(8)
	f.Fuzz(func(t *testing.T, b []byte) {
		if st, err := ReadOCSP(b, &other, issuer); err == nil {
			t.Errorf("an answer about certificate 8 that nobody signed: %+v", st)
		}
		if _, err := ReadCRL(b, &other, issuer); err == nil && !bytes.Contains(b, issuer.RawSubject) {
			t.Error("a list by somebody else was accepted")
		}
	})
}

func FuzzRespond(f *testing.F) {
	now := time.Unix(1790000000, 0)
	dir := f.TempDir()
	ca, err := LoadOrCreateDocumentCA(dir, "test", DocumentSubject{Name: "CA"}, now)
	if err != nil {
		f.Fatal(err)
	}
	r, err := ca.Responder(dir, func() time.Time { return now })
	if err != nil {
		f.Fatal(err)
	}
	query, err := ocsp.CreateRequest(ca.Cert(), ca.Cert(), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := ocsp.ParseResponse(r.Respond(b), nil)
		if _, refused := errors.AsType[ocsp.ResponseError](err); err != nil && !refused {
			t.Errorf("our answer cannot be read: %v", err)
		}
	})
}
