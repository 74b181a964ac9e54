package app

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/pki"
	"truc/internal/sign"
)

// developmentAuthority is the built-in authority with its time-stamp service and its answers about revocation.
type developmentAuthority struct {
	ca        *pki.DocumentCA
	tsa       *sign.TSA
	responder *pki.Responder
}

// developmentAuthority makes the built-in authority, once; production refuses it.
func (n *Node) developmentAuthority() (*developmentAuthority, error) {
	if n.development != nil {
		return n.development, nil
	}
	subject, dir := pki.DocumentSubject{Name: "Truc " + n.cfg.Name.In("vi"), Agency: n.cfg.Name.In("vi")}, n.path("sign")
	if n.cfg.Sign.Authority != "" { // of several nodes
		subject, dir = pki.DocumentSubject{Name: "Truc " + n.cfg.Instance}, n.cfg.Sign.Authority
	}
	ca, err := pki.LoadOrCreateDocumentCA(dir, n.cfg.Env, subject, n.now())
	if err != nil {
		return nil, err
	}
	if base := n.cfg.Web.URL; base != "" {
		ca.OCSPURL, ca.CRLURL, ca.IssuerURL = base+"/sign/ocsp", base+"/sign/crl.der", base+"/sign/ca.cer"
	}
	responder, err := ca.Responder(n.path("sign"), n.now)
	if err != nil {
		return nil, err
	}
	key, cert, err := ca.LoadOrIssue(n.path("sign"), "tsa", pki.TSAUse, pki.DocumentSubject{Name: "Truc TSA " + n.cfg.Member, Agency: n.cfg.Name.In("vi")}, n.now(), 365*24*time.Hour)
	if err != nil {
		return nil, err
	}
	n.development = &developmentAuthority{ca: ca, tsa: &sign.TSA{Identity: sign.Identity{Signer: key, Cert: cert}, Now: n.now}, responder: responder}
	return n.development, nil
}

// mount opens the authority to others: time-stamps, certificate, revocation.
func (d *developmentAuthority) mount(n *Node) {
	n.mux.Mount("POST /tsa", d.tsa)
	n.mux.Mount("POST /sign/ocsp", d.responder)
	n.mux.Mount("GET /sign/ocsp/{request...}", d.responder)
	n.mux.Mount("GET /sign/crl.der", http.HandlerFunc(d.responder.ServeCRL))
	n.bypass = append(n.bypass, "POST /tsa", "POST /sign/ocsp")
	file := func(media string, content []byte) func(http.ResponseWriter, *http.Request) error {
		return func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", media)
			_, err := w.Write(content)
			return err
		}
	}
	n.mux.HandleAPI("GET /sign/ca.pem", file("application/x-pem-file", pki.EncodePEM(d.ca.Cert())))
	n.mux.HandleAPI("GET /sign/ca.cer", file("application/pkix-cert", d.ca.Cert().Raw))
}

// documentKeys are the keys of persons and agencies at this node, what stamps the time, and whom the node trusts. Results
// of procedures and official documents are signed through it.
type documentKeys struct {
	cfg      *SignConfig
	env      string
	dir      string // where development keys lie
	log      *slog.Logger
	now      func() time.Time
	dev      *developmentAuthority // nil outside development
	stamper  sign.Timestamper      // nil without a service
	roots    *x509.CertPool
	tsaRoots *x509.CertPool
	status   *pki.StatusClient
	outage   *outage

	mu    sync.Mutex // guards known
	known map[string]sign.Identity
}

// keysOfDocuments makes the node's keys for documents, once.
func (n *Node) keysOfDocuments() (*documentKeys, error) {
	if n.documentKeys != nil {
		return n.documentKeys, nil
	}
	k := &documentKeys{
		cfg: &n.cfg.Sign, env: n.cfg.Env, dir: n.path("sign"), log: n.log, now: n.now,
		roots: x509.NewCertPool(), tsaRoots: x509.NewCertPool(), known: map[string]sign.Identity{},
		status: &pki.StatusClient{Client: &http.Client{Timeout: 5 * time.Second}, Now: n.now},
		outage: &outage{file: n.path("sign", "without-timestamp"), limit: n.cfg.Sign.withoutTimestamp(), now: n.now},
	}
	if n.cfg.Sign.Development {
		dev, err := n.developmentAuthority()
		if err != nil {
			return nil, err
		}
		k.dev = dev
		k.roots.AddCert(dev.ca.Cert())
		k.tsaRoots.AddCert(dev.ca.Cert())
		dev.mount(n)
	}
	if n.cfg.Sign.Roots != "" {
		b, err := os.ReadFile(n.cfg.Sign.Roots)
		if err != nil {
			return nil, fmt.Errorf("sign.roots: %w", err)
		}
		certs, err := pki.DecodePEM(b)
		if err != nil {
			return nil, fmt.Errorf("sign.roots: %w", err)
		}
		for _, c := range certs {
			k.roots.AddCert(c)
			k.tsaRoots.AddCert(c)
		}
	}
	authorities, err := n.authorities()
	if err != nil {
		return nil, err
	}
	var services sign.Timestampers
	for _, a := range authorities {
		services = append(services, a.Client)
		k.tsaRoots.AppendCertsFromPEM(a.Roots)
	}
	if len(services) > 0 {
		k.stamper = services
	}
	n.documentKeys = k
	return k, k.checkCertificates()
}

// checkCertificates reads every configured certificate, so that a wrong file shows at the start and not at the first
// signature. A device may still be away then.
func (k *documentKeys) checkCertificates() error {
	var faults []error
	for _, kc := range k.cfg.Keys {
		if _, _, err := k.certificates(kc); err != nil {
			faults = append(faults, fmt.Errorf("sign.keys: %s: %w", kc.Certificate, err))
		}
	}
	return errors.Join(faults...)
}

func (k *documentKeys) certificates(kc SignKeyConfig) (*x509.Certificate, []*x509.Certificate, error) {
	b, err := os.ReadFile(kc.Certificate)
	if err != nil {
		return nil, nil, err
	}
	certs, err := pki.DecodePEM(b)
	if err != nil {
		return nil, nil, err
	}
	if k.env == pki.Production && slices.ContainsFunc(certs, pki.IsTest) {
		return nil, nil, errs.E(errs.Denied, "pki.test_ca_in_production", nil)
	}
	return certs[0], certs[1:], nil
}

// person is who signs.
type person struct{ account, name, title, agency, code string }

// ofPerson returns the key of an officer: [errs.Denied] when there is none, [errs.Unavailable] when it is away.
func (k *documentKeys) ofPerson(ctx context.Context, p person) (sign.Identity, error) {
	return k.identity(ctx, func(kc SignKeyConfig) bool { return kc.Account == p.account }, "person-"+safeName(p.account), pki.PersonUse,
		pki.DocumentSubject{Name: p.name, Title: p.title, Agency: p.agency, Code: p.code})
}

// ofAgency returns the key of an agency's seal. In development it is made for the first name it is asked under, so results
// and documents of a node, which name their agency differently, have one each: main is that of results. Errors as of ofPerson.
func (k *documentKeys) ofAgency(ctx context.Context, code, name string, main bool) (sign.Identity, error) {
	file := "seal"
	if !main {
		file = "seal-" + safeName(code)
	}
	return k.identity(ctx, func(kc SignKeyConfig) bool { return kc.Seal == code }, file, pki.SealUse, pki.DocumentSubject{Name: name, Agency: name, Code: code})
}

func (k *documentKeys) identity(ctx context.Context, is func(SignKeyConfig) bool, file string, use pki.DocumentUse, subject pki.DocumentSubject) (sign.Identity, error) {
	at := slices.IndexFunc(k.cfg.Keys, func(kc SignKeyConfig) bool { return (kc.Account != "" || kc.Seal != "") && is(kc) })
	if at < 0 && k.dev != nil {
		key, cert, err := k.dev.ca.LoadOrIssue(k.dir, file, use, subject, k.now(), 365*24*time.Hour)
		if err != nil {
			return sign.Identity{}, errs.E(errs.Unavailable, "sign.key_failed", err)
		}
		return sign.Identity{Signer: key, Cert: cert}, nil
	}
	if at < 0 {
		return sign.Identity{}, errs.E(errs.Denied, "sign.no_key", fmt.Errorf("no key for %s", file))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if id, ok := k.known[file]; ok {
		return id, nil
	}
	kc := k.cfg.Keys[at]
	cert, chain, err := k.certificates(kc)
	if err != nil {
		return sign.Identity{}, errs.E(errs.Unavailable, "sign.key_failed", err)
	}
	var key crypto.Signer
	if kc.Label != "" {
		key, err = pki.NewRemoteSigner(ctx, k.cfg.Signer, kc.Label)
	} else {
		key, err = pki.LoadSealedKey(kc.File, kc.PassphraseFile)
	}
	if err != nil {
		return sign.Identity{}, err
	}
	id := sign.Identity{Signer: key, Cert: cert, Chain: chain}
	if pki.KeyID(cert.PublicKey) != pki.KeyID(key.Public()) {
		return sign.Identity{}, errs.E(errs.Unavailable, "sign.identity", fmt.Errorf("%s is not the certificate of its key", kc.Certificate))
	}
	k.known[file] = id
	return id, nil
}

// signPDF signs now, with a time-stamp. While no service answers it goes without, inside the stated limit.
func (k *documentKeys) signPDF(ctx context.Context, pdf []byte, opt sign.PDFOptions) ([]byte, error) {
	opt.Time, opt.Timestamper = k.now(), k.timestamper()
	return sign.SignPDF(ctx, pdf, opt)
}

// signFile makes a detached signature, as signPDF does.
func (k *documentKeys) signFile(ctx context.Context, content []byte, id sign.Identity) ([]byte, error) {
	return sign.SignDetached(ctx, content, sign.DetachedOptions{Identity: id, Timestamper: k.timestamper()})
}

func (k *documentKeys) timestamper() sign.Timestamper {
	if k.stamper == nil {
		return nil
	}
	return patientStamper{k}
}

// patientStamper answers without a token while the services are away for less than the limit.
type patientStamper struct{ k *documentKeys }

// Timestamp implements [sign.Timestamper].
func (p patientStamper) Timestamp(ctx context.Context, digest []byte) ([]byte, error) {
	token, err := p.k.stamper.Timestamp(ctx, digest)
	if err == nil {
		return token, p.k.outage.over()
	}
	if ctx.Err() != nil || !p.k.outage.tolerated() {
		return nil, err
	}
	p.k.log.WarnContext(ctx, "a document was signed without a time-stamp, since no service answers", slog.Any("error", err))
	return nil, nil
}

// outage remembers across restarts since when no time-stamp service answers.
type outage struct {
	file  string
	limit time.Duration
	now   func() time.Time
	mu    sync.Mutex
}

func (o *outage) over() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := os.Remove(o.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// tolerated notes the first failure and reports whether the limit has not passed since. A file that cannot be kept counts
// as passed: a limit that nobody can measure is none.
func (o *outage) tolerated() bool {
	if o.limit <= 0 {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	b, err := os.ReadFile(o.file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(o.file), 0o700); err != nil {
			return false
		}
		return os.WriteFile(o.file, []byte(strconv.FormatInt(o.now().Unix(), 10)), 0o600) == nil
	}
	since, perr := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return err == nil && perr == nil && o.now().Sub(time.Unix(since, 0)) < o.limit
}

// finish adds what is needed to check the signatures in years to come. An authority that cannot be asked leaves the file
// as it is; raise comes back to it.
func (k *documentKeys) finish(ctx context.Context, pdf []byte) ([]byte, error) {
	if k.cfg.Level == "B-T" {
		return pdf, nil
	}
	reports, err := k.verify(ctx, pdf)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(reports, func(r sign.Report) bool { return r.TimeSource != sign.TimeStamped }) {
		return pdf, nil
	}
	out, err := sign.ExtendPDF(pdf, k.verifyOptions(ctx))
	if errs.KindOf(err) == errs.Unavailable {
		k.log.WarnContext(ctx, "a signed document was left without evidence about revocation", slog.Any("error", err))
		return pdf, nil
	}
	return out, err
}

// raise adds whatever a signed PDF still lacks, a time-stamp over the file and evidence about revocation, and reports
// whether something was added. [errs.Unavailable] means to try again later.
func (k *documentKeys) raise(ctx context.Context, pdf []byte) (raised []byte, changed bool, err error) {
	if k.stamper == nil {
		return nil, false, errs.E(errs.Unavailable, "sign.tsa_unavailable", errors.New("no service is configured"))
	}
	raised, err = sign.RaisePDF(ctx, pdf, k.stamper, k.verifyOptions(ctx))
	return raised, err == nil && !bytes.Equal(raised, pdf), err
}

func (k *documentKeys) verify(ctx context.Context, pdf []byte) ([]sign.Report, error) {
	return sign.VerifyPDF(pdf, k.verifyOptions(ctx))
}

func (k *documentKeys) verifyOptions(ctx context.Context) sign.VerifyOptions {
	return sign.VerifyOptions{Roots: k.roots, TSARoots: k.tsaRoots, Revocation: statusOf{k, k.status.With(ctx)}, Now: k.now}
}

// statusOf asks our own authority without going over the network, and others where their certificates say.
type statusOf struct {
	k      *documentKeys
	remote pki.StatusSource
}

// Evidence implements [pki.StatusSource].
func (s statusOf) Evidence(cert, issuer *x509.Certificate) (pki.Evidence, error) {
	if dev := s.k.dev; dev != nil && dev.ca.Cert().Equal(issuer) {
		return dev.responder.Evidence(cert, issuer)
	}
	return s.remote.Evidence(cert, issuer)
}
