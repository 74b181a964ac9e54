package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pdfdoc"
	"truc/internal/pki"
	"truc/internal/services"
	"truc/internal/sign"
	"truc/internal/web"
)

// signingNode is just enough of a node to sign.
func signingNode(t *testing.T, c Config) (*Node, *signatures) {
	t.Helper()
	if c.DataDir == "" {
		c.DataDir = t.TempDir()
	}
	c.Instance, c.Member, c.Name = "VN", "H36", i18n.Text{"vi": "UBND tỉnh Lâm Đồng", "en": "Lâm Đồng"}
	clock := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	n := &Node{cfg: &c, log: slog.New(slog.DiscardHandler), now: func() time.Time { return clock }, mux: web.NewMux(web.Options{})}
	s, err := n.startSignatures()
	if err != nil {
		t.Fatal(err)
	}
	return n, s.(*signatures)
}

func resultRequest(t *testing.T) services.SignRequest {
	t.Helper()
	doc, err := pdfdoc.Render([]byte(`<h1>Giấy chứng nhận</h1><p>Nội dung</p>`), pdfdoc.Options{Now: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	return services.SignRequest{
		PDF: doc.PDF, Officer: "h36.chutich", Name: "Nguyễn Văn An", Title: "Chủ tịch", AgencyName: "UBND tỉnh Lâm Đồng", Reason: "Trả kết quả",
		PersonPage: 1, PersonBox: [4]float64{300, 100, 480, 160}, SealPage: 1, SealBox: [4]float64{80, 100, 260, 160},
	}
}

func levels(t *testing.T, s *signatures, pdf []byte) (out []string) {
	t.Helper()
	reports, err := s.Verify(t.Context(), pdf)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		if r.State != sign.Valid {
			t.Errorf("signature %d: state %v, %v", r.Order, r.State, r.Problem)
		}
		out = append(out, r.Level)
	}
	return out
}

func TestSignResultIsLongTerm(t *testing.T) {
	for level, want := range map[string]string{"": "B-LT B-LT", "B-T": "B-T B-T"} {
		n, s := signingNode(t, Config{Sign: SignConfig{Development: true, Level: level}, Web: WebConfig{URL: "http://127.0.0.1:1"}})
		pdf, err := s.SignResult(t.Context(), resultRequest(t))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(levels(t, s, pdf), " "); got != want {
			t.Errorf("level %q gives %s; want %s", level, got, want)
		}
		cert, err := os.ReadFile(n.path("sign", "person-h36.chutich.pem"))
		if err != nil {
			t.Fatal(err)
		}
		certs, err := pki.DecodePEM(cert)
		if err != nil || len(certs[0].OCSPServer) != 1 || certs[0].OCSPServer[0] != "http://127.0.0.1:1/sign/ocsp" {
			t.Errorf("the certificate names %v for revocation, %v", certs[0].OCSPServer, err)
		}
	}
}

func TestSignFileDetached(t *testing.T) {
	_, s := signingNode(t, Config{Sign: SignConfig{Development: true}})
	id, err := s.keys.ofAgency(t.Context(), "H36.14", "Sở Mẫu", false)
	if err != nil {
		t.Fatal(err)
	}
	content := []byte("tệp đính kèm")
	p7s, err := s.keys.signFile(t.Context(), content, id)
	if err != nil {
		t.Fatal(err)
	}
	if r := sign.VerifyDetached(content, p7s, s.keys.verifyOptions(t.Context())); r.State != sign.Valid || r.Level != "B-T" || r.Signer != "Sở Mẫu" || r.Revocation.State != sign.NotRevoked {
		t.Errorf("report %+v", r)
	}
}

// TestRevokedPersonGetsNewCertificate: a revoked certificate signs nothing any more, here or later.
func TestRevokedPersonGetsNewCertificate(t *testing.T) {
	n, s := signingNode(t, Config{Sign: SignConfig{Development: true}})
	p := person{account: "h36.chutich", name: "Nguyễn Văn An"}
	id, err := s.keys.ofPerson(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.development.ca.Revoke(id.Cert.SerialNumber, n.now().Add(-time.Hour), pki.ReasonKeyCompromise); err != nil {
		t.Fatal(err)
	}
	pdf, err := s.keys.signPDF(t.Context(), resultRequest(t).PDF, sign.PDFOptions{Identity: id}) // somebody kept the old key
	if err != nil {
		t.Fatal(err)
	}
	reports, err := s.Verify(t.Context(), pdf)
	if err != nil || reports[0].State != sign.Revoked {
		t.Errorf("signed with a revoked certificate: %+v, %v", reports, err)
	}
	if again, err := s.keys.ofPerson(t.Context(), p); err != nil || again.Cert.Equal(id.Cert) {
		t.Errorf("the revoked certificate is still in use: %v", err)
	}
}

type stoppable struct {
	sign.Timestamper
	away bool
}

func (s *stoppable) Timestamp(ctx context.Context, digest []byte) ([]byte, error) {
	if s.away {
		return nil, errs.E(errs.Unavailable, "sign.tsa_unavailable", errors.New("away"))
	}
	return s.Timestamper.Timestamp(ctx, digest)
}

// TestTimestampOutage: documents leave at B-B for the stated time, then none does; what left is raised later. A restart in
// between starts no new time.
func TestTimestampOutage(t *testing.T) {
	n, s := signingNode(t, Config{Sign: SignConfig{Development: true, WithoutTimestampHours: 2}})
	tsa := &stoppable{Timestamper: s.keys.stamper, away: true}
	s.keys.stamper = tsa
	clock := n.now()
	n.development.tsa.Now = func() time.Time { return clock }
	move := func(s *signatures, d time.Duration) {
		clock = clock.Add(d)
		s.keys.now, s.keys.outage.now = func() time.Time { return clock }, func() time.Time { return clock }
	}
	pdf, err := s.SignResult(t.Context(), resultRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(levels(t, s, pdf), " "); got != "B-B B-B" {
		t.Errorf("without a service: %s; want B-B", got)
	}
	if _, _, err := s.keys.raise(t.Context(), pdf); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("raised without a service: %v", err)
	}
	_, restarted := signingNode(t, *n.cfg)
	restarted.keys.stamper = tsa
	move(restarted, 119*time.Minute)
	if _, err := restarted.SignResult(t.Context(), resultRequest(t)); err != nil {
		t.Errorf("inside the limit: %v", err)
	}
	move(restarted, 2*time.Minute)
	if _, err := restarted.SignResult(t.Context(), resultRequest(t)); errs.KindOf(err) != errs.Unavailable {
		t.Errorf("after the limit: %v; want unavailable", err)
	}
	tsa.away = false
	move(s, 0)
	raised, changed, err := s.keys.raise(t.Context(), pdf)
	if err != nil || !changed {
		t.Fatalf("raise: %v, %v", changed, err)
	}
	if got := strings.Join(levels(t, s, raised), " "); got != "B-LT B-LT B-LT" { // two signatures and the time-stamp over the file
		t.Errorf("raised to %s", got)
	}
	if _, changed, err = s.keys.raise(t.Context(), raised); err != nil || changed {
		t.Errorf("raised a second time: %v, %v", changed, err)
	}
	if _, err := s.SignResult(t.Context(), resultRequest(t)); err != nil {
		t.Fatal(err)
	}
	tsa.away = true // a new outage, a new time
	if _, err := s.SignResult(t.Context(), resultRequest(t)); err != nil {
		t.Errorf("a new outage: %v", err)
	}
}

// TestConfiguredKeys signs with keys in encrypted files, as production does, and refuses what production must not use.
func TestConfiguredKeys(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	ca, err := pki.LoadOrCreateDocumentCA(filepath.Join(dir, "ca"), "test", pki.DocumentSubject{Name: "CA"}, now)
	if err != nil {
		t.Fatal(err)
	}
	pass := write("pass", []byte("mật khẩu\n"))
	configured := func(name string, use pki.DocumentUse) SignKeyConfig {
		t.Helper()
		key, err := pki.GenerateKey(pki.RSA2048)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := ca.Issue(key.Public(), use, pki.DocumentSubject{Name: name}, now, time.Hour*24*365)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := pki.SealKey(key, []byte("mật khẩu"))
		if err != nil {
			t.Fatal(err)
		}
		return SignKeyConfig{Certificate: write(name+".pem", pki.EncodePEM(cert)), File: write(name+".key", sealed), PassphraseFile: pass}
	}
	an, seal := configured("an", pki.PersonUse), configured("seal", pki.SealUse)
	an.Account, seal.Seal = "h36.chutich", "H36"
	c := Config{Sign: SignConfig{Roots: write("roots.pem", pki.EncodePEM(ca.Cert())), Keys: []SignKeyConfig{an, seal}}}
	if faults := c.checkSign(); len(faults) != 0 {
		t.Fatal(faults)
	}
	n, s := signingNode(t, c)
	if n.development == nil { // its time-stamp service, in development only
		t.Fatal("no time-stamp service")
	}
	pdf, err := s.SignResult(t.Context(), resultRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	reports, err := s.Verify(t.Context(), pdf)
	if err != nil || len(reports) != 2 || reports[0].Signer != "an" || reports[1].Signer != "seal" {
		t.Errorf("reports %+v, %v", reports, err)
	}
	if _, err := s.keys.ofPerson(t.Context(), person{account: "h36.khac"}); errs.KindOf(err) != errs.Denied {
		t.Errorf("somebody without a key: %v; want denied", err)
	}
	c.Env = pki.Production
	c.DataDir = t.TempDir()
	n.cfg.Env, n.documentKeys = pki.Production, nil
	if _, err := n.keysOfDocuments(); err == nil || !strings.Contains(err.Error(), "pki.test_ca_in_production") {
		t.Errorf("test certificates in production: %v", err)
	}
	if faults := errors.Join(c.checkSign()...); faults == nil || !strings.Contains(faults.Error(), "timestamp.authorities") {
		t.Errorf("production without time-stamps: %v", faults)
	}
}

func TestSignConfigFaults(t *testing.T) {
	key := SignKeyConfig{Account: "a", Certificate: "c", File: "f", PassphraseFile: "p"}
	change := func(f func(*SignKeyConfig)) SignConfig {
		k := key
		f(&k)
		return SignConfig{Keys: []SignKeyConfig{k}}
	}
	for want, c := range map[string]SignConfig{
		"":                              {Keys: []SignKeyConfig{key}},
		"sign.level":                    {Level: "B-LTA"},
		"sign.without_timestamp_hours":  {WithoutTimestampHours: 721},
		"a second key for account a":    {Keys: []SignKeyConfig{key, key}},
		"either the account":            change(func(k *SignKeyConfig) { k.Seal = "H36" }),
		"either a file or a label":      change(func(k *SignKeyConfig) { k.Label = "x" }),
		"certificate names a PEM file":  change(func(k *SignKeyConfig) { k.Certificate = "" }),
		"passphrase_file":               change(func(k *SignKeyConfig) { k.PassphraseFile = "" }),
		"sign.signer: name the socket ": change(func(k *SignKeyConfig) { k.File, k.Label = "", "x" }),
	} {
		err := errors.Join((&Config{Sign: c}).checkSign()...)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("faults %v; want %q", err, want)
		}
	}
}
