package directoryapi

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/directory/directoryclient"
	"truc/internal/directory/directorystore"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pki"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
)

// world is a center behind HTTP with a clock in the test's hand.
type world struct {
	mu     sync.Mutex
	t      time.Time
	center *directory.Center
	client *directoryclient.Client
	// status are the answers of the interface, in order.
	status []int
}

func (w *world) now() time.Time          { w.mu.Lock(); defer w.mu.Unlock(); return w.t }
func (w *world) advance(d time.Duration) { w.mu.Lock(); w.t = w.t.Add(d); w.mu.Unlock() }
func key(t *testing.T, alg pki.Alg) crypto.Signer {
	t.Helper()
	k, err := pki.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type statusWriter struct {
	http.ResponseWriter
	w *world
}

func (s statusWriter) WriteHeader(code int) {
	s.w.status = append(s.w.status, code)
	s.ResponseWriter.WriteHeader(code)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)}
	db := storagetest.OpenSQLite(t)
	sub, err := fs.Sub(directorystore.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	if err := storage.Migrate(t.Context(), db, "directory", sub, w.t); err != nil {
		t.Fatal(err)
	}
	ca, err := pki.LoadOrCreateCA(t.TempDir(), "VN", w.t)
	if err != nil {
		t.Fatal(err)
	}
	mux := web.NewMux(web.Options{})
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { mux.ServeHTTP(statusWriter{rw, w}, r) }))
	t.Cleanup(srv.Close)
	w.center = &directory.Center{Capabilities: []string{"frames", "streams"}, Instance: "VN", URL: srv.URL, Key: key(t, pki.Ed25519), CA: ca, Store: &directorystore.Store{DB: db}, Now: w.now}
	(&API{Center: w.center}).Mount(mux)
	w.client = &directoryclient.Client{URL: srv.URL}
	for _, m := range []directory.Member{{Class: "GOV", Code: "H36", Name: i18n.Text{"vi": "Lâm Đồng", "en": "Lam Dong"}, Unit: "68"}, {Class: "GOV", Code: "G01", Name: i18n.Text{"vi": "Bộ Công an"}}} {
		if err := w.center.AddMember(t.Context(), "admin", m); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

type node struct {
	id   string
	keys directory.Keys
	f    *directory.Follower
	cert []byte
	dir  string
	opt  directory.FollowerOptions
}

func profile(member, sub string) directory.Profile {
	return directory.Profile{
		LinkURL: "https://127.0.0.1:7131", Subsystems: []string{"VN/GOV/" + member + "/" + sub},
		Services: []directory.Service{{ID: "VN/GOV/" + member + "/" + sub + "/facts", Name: i18n.Text{"vi": "Dữ kiện"}, Kind: "rest", Public: true}}, LogKey: "log+1+key",
	}
}

// join makes a node of a member.
func (w *world) join(t *testing.T, member, sub string) *node {
	t.Helper()
	return w.joinAs(t, member, "node1", sub)
}

func (w *world) joinAs(t *testing.T, member, server, sub string) *node {
	t.Helper()
	text, err := w.center.CreateToken(t.Context(), "admin", "VN/GOV/"+member, server, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	token, err := directory.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{id: token.Node, keys: directory.Keys{TLS: key(t, pki.P256), Signing: key(t, pki.Ed25519)}, dir: t.TempDir()}
	n.opt = directory.FollowerOptions{Dir: n.dir, Center: w.client, NodeID: n.id, Signing: n.keys.Signing, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	if n.f, err = directory.OpenFollower(n.opt, token.Trust()); err != nil {
		t.Fatal(err)
	}
	if n.cert, err = n.f.Join(t.Context(), token, n.keys, profile(member, sub)); err != nil {
		t.Fatal(err)
	}
	return n
}

func wantKey(t *testing.T, err error, key string) {
	t.Helper()
	if got, _ := errs.KeyOf(err); err == nil || got != key {
		t.Errorf("error %v; want %s", err, key)
	}
}

func TestJoin(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	text, err := w.center.CreateToken(ctx, "admin", "VN/GOV/H36", "node1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	token, err := directory.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	keys := directory.Keys{TLS: key(t, pki.P256), Signing: key(t, pki.Ed25519)}
	opt := directory.FollowerOptions{Dir: t.TempDir(), Center: w.client, Now: w.now}
	if _, err := directory.OpenFollower(opt, directory.Anchor{}); err == nil {
		t.Error("a follower opened without anything to trust")
	}
	f, err := directory.OpenFollower(opt, token.Trust())
	if err != nil {
		t.Fatal(err)
	}
	// Nothing that was changed in the token gets through.
	forged := token
	forged.Node = "VN/GOV/G01/node1"
	_, err = f.Join(ctx, forged, keys, profile("G01", "population"))
	wantKey(t, err, "directory.token_other_node")
	forged = token
	forged.Seed = strings.Repeat("A", 43)
	_, err = f.Join(ctx, forged, keys, profile("H36", "onestop"))
	wantKey(t, err, "directory.signature_wrong")
	// A node speaks for subsystems of its own member only.
	_, err = f.Join(ctx, token, keys, profile("G01", "population"))
	wantKey(t, err, "directory.document_invalid")
	_, err = f.Join(ctx, token, directory.Keys{TLS: keys.Signing, Signing: keys.Signing}, profile("H36", "onestop"))
	wantKey(t, err, "directory.keys_must_differ")

	cert, err := f.Join(ctx, token, keys, profile("H36", "onestop"))
	if err != nil {
		t.Fatal(err)
	}
	doc := f.Document()
	n, ok := doc.Node("VN/GOV/H36/node1")
	if !ok || n.TLSKeyID != pki.KeyID(keys.TLS.Public()) || len(n.Keys) != 1 || n.Keys[0].KeyID != pki.KeyID(keys.Signing.Public()) || n.LogKey != "log+1+key" {
		t.Errorf("node = %+v", n)
	}
	if s, ok := doc.Service("VN/GOV/H36/onestop/facts"); !ok || s.Node != n.ID {
		t.Errorf("service = %+v", s)
	}
	// A crash between reply and disk: the same keys may ask again, others may not.
	again, err := f.Join(ctx, token, keys, profile("H36", "onestop"))
	if err != nil || !bytes.Equal(again, cert) {
		t.Errorf("second join = %v, same certificate %v", err, bytes.Equal(again, cert))
	}
	_, err = f.Join(ctx, token, directory.Keys{TLS: key(t, pki.P256), Signing: keys.Signing}, profile("H36", "onestop"))
	wantKey(t, err, "directory.token_used")

	text, err = w.center.CreateToken(ctx, "admin", "VN/GOV/G01", "node1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if token, err = directory.ParseToken(text); err != nil {
		t.Fatal(err)
	}
	w.advance(2 * time.Hour)
	_, err = f.Join(ctx, token, directory.Keys{TLS: key(t, pki.P256), Signing: key(t, pki.Ed25519)}, profile("G01", "population"))
	wantKey(t, err, "directory.token_expired")
	// The center keeps no secret.
	st, err := w.center.State(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range st.Tokens {
		if strings.Contains(rec.PublicKey, token.Seed) {
			t.Error("the center stores the secret")
		}
	}
}

func TestFollow(t *testing.T) {
	w := newWorld(t)
	n := w.join(t, "H36", "onestop")
	ctx := t.Context()
	w.status = nil
	if err := n.f.Refresh(ctx); err != nil || len(w.status) != 1 || w.status[0] != http.StatusNotModified {
		t.Errorf("Refresh = %v, statuses %v; want 304", err, w.status)
	}
	version := n.f.Document().Version
	w.advance(2 * time.Minute)
	w.join(t, "G01", "population")
	if err := n.f.Refresh(ctx); err != nil || n.f.Document().Version != version+1 {
		t.Errorf("version %d, %v", n.f.Document().Version, err)
	}
	st, err := w.center.State(ctx)
	if err != nil || !st.Nodes[n.id].LastSeen.Equal(w.now()) {
		t.Errorf("last seen %v, want %v", st.Nodes[n.id].LastSeen, w.now())
	}
	// The center goes away; the level follows the age of its last word.
	n.opt.Center = away{}
	if n.f, err = directory.OpenFollower(n.opt, directory.Anchor{}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		want  directory.Level
	}{{0, directory.Fresh}, {11 * time.Minute, directory.Stale}, {24 * time.Hour, directory.Degraded}, {6 * 24 * time.Hour, directory.Expired}} {
		w.advance(step.after)
		wantKey(t, n.f.Refresh(ctx), "directory.center_unreachable")
		if got := n.f.Status(); got.Level != step.want || got.Fault == nil {
			t.Errorf("level = %+v; want %s", got, step.want)
		}
	}
}

type away struct{ directory.CenterAPI }

func (away) Document(context.Context, string, string) ([]byte, directory.Current, error) {
	return nil, directory.Current{}, errs.E(errs.Unavailable, "directory.center_unreachable", errors.New("away"))
}

// liar answers with what the test puts in.
type liar struct {
	directory.CenterAPI
	env []byte
	cur directory.Current
}

func (l *liar) Document(context.Context, string, string) ([]byte, directory.Current, error) {
	return l.env, l.cur, nil
}

func TestFollowerRefuses(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	n := w.join(t, "H36", "onestop")
	old, oldCur, err := w.center.Document(ctx, "", "")
	if err != nil {
		t.Fatal(err)
	}
	w.join(t, "G01", "population")
	good, cur, err := w.center.Document(ctx, "", "")
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{}
	n.opt.Center = l
	if n.f, err = directory.OpenFollower(n.opt, directory.Anchor{}); err != nil {
		t.Fatal(err)
	}
	before := n.f.Document().Version
	tamper := func(from, to string) []byte { return bytes.Replace(bytes.Clone(good), []byte(from), []byte(to), 1) }
	for name, env := range map[string][]byte{
		"changed":      tamper("https://127.0.0.1:7131", "https://127.0.0.9:7131"),
		"space":        tamper(`{"ca"`, `{ "ca"`),
		"instance":     tamper(`"instance":"VN"`, `"instance":"XX"`),
		"no signature": good[:bytes.Index(good, []byte(`,"signatures"`))],
		"cut":          good[:len(good)-1],
		"empty":        {},
		"extra":        append(bytes.Clone(good), '{', '}'),
	} {
		l.env, l.cur = env, cur
		if err := n.f.Refresh(ctx); err == nil || n.f.Document().Version != before {
			t.Errorf("%s: accepted (%v)", name, err)
		}
	}
	// Another center with a key of its own, same instance.
	other := newWorld(t)
	l.env, l.cur, err = other.center.Document(ctx, "", "")
	if err != nil {
		t.Fatal(err)
	}
	wantKey(t, n.f.Refresh(ctx), "directory.document_refused")
	// The statement of another key cannot make the copy fresh.
	l.env, l.cur.Hash = nil, directory.Hash(nil)
	if err := n.f.Refresh(ctx); err == nil {
		t.Error("a stranger confirmed the copy")
	}
	l.env, l.cur = good, cur
	if err := n.f.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	l.env, l.cur = old, oldCur
	wantKey(t, n.f.Refresh(ctx), "directory.document_older")
	// "Not modified" about an older document is no confirmation either.
	l.env = nil
	if err := n.f.Refresh(ctx); err == nil {
		t.Error("an old statement was believed")
	}
	w.advance(8 * 24 * time.Hour)
	l.env, l.cur = good, cur
	wantKey(t, n.f.Refresh(ctx), "directory.document_expired")
}

func TestDailyReissue(t *testing.T) {
	w := newWorld(t)
	n := w.join(t, "H36", "onestop")
	version := n.f.Document().Version
	if err := w.center.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.advance(25 * time.Hour)
	if err := errors.Join(n.f.Refresh(t.Context()), w.center.Refresh(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := n.f.Refresh(t.Context()); err != nil || n.f.Document().Version != version+1 {
		t.Errorf("version %d, %v; want %d", n.f.Document().Version, err, version+1)
	}
}

func TestPublish(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a, b := w.join(t, "H36", "onestop"), w.join(t, "G01", "population")
	p := profile("H36", "onestop")
	p.Services = append(p.Services, directory.Service{ID: "VN/GOV/H36/onestop/dossiers", Kind: "openapi", Personal: true})
	w.advance(time.Second)
	if err := a.f.Publish(ctx, a.id, a.keys, p); err != nil {
		t.Fatal(err)
	}
	if s, ok := a.f.Document().Service("VN/GOV/H36/onestop/dossiers"); !ok || !s.Personal || s.Node != a.id {
		t.Errorf("service = %+v", s)
	}
	// The same bytes again are a replay; a stranger's signature and a stranger's service are refused.
	req, err := directory.NewServicesUpdate("VN", a.id, a.keys, p, w.now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.client.Publish(ctx, req)
	wantKey(t, err, "directory.request_stale")
	w.advance(time.Second)
	wantKey(t, a.f.Publish(ctx, a.id, b.keys, p), "directory.signature_wrong")
	stolen := profile("G01", "population")
	stolen.Services[0].ID = "VN/GOV/H36/onestop/facts"
	if err := b.f.Publish(ctx, b.id, b.keys, stolen); !errs.Is(err, errs.Conflict) {
		t.Errorf("a stolen service: %v", err)
	}
}

// Two nodes of one member offer the same service; each takes back only its own offer.
func TestSeveralProviders(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a, b := w.join(t, "H36", "onestop"), w.joinAs(t, "H36", "node2", "onestop")
	const id = "VN/GOV/H36/onestop/facts"
	if s, ok := b.f.Document().Service(id); !ok || len(s.Nodes) != 2 || s.Nodes[0] != a.id || s.Nodes[1] != b.id || s.Node != a.id {
		t.Fatalf("service = %+v", s)
	}
	p := profile("H36", "onestop")
	p.Services = nil
	w.advance(time.Second)
	if err := a.f.Publish(ctx, a.id, a.keys, p); err != nil {
		t.Fatal(err)
	}
	if s, ok := a.f.Document().Service(id); !ok || len(s.Nodes) != 1 || s.Node != b.id {
		t.Errorf("service = %+v", s)
	}
	if err := w.center.RevokeNode(ctx, "admin", b.id, "x"); err != nil {
		t.Fatal(err)
	}
	if err := a.f.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if s, ok := a.f.Document().Service(id); ok {
		t.Errorf("service = %+v", s)
	}
}

func TestRenewAndRevoke(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	n := w.join(t, "H36", "onestop")
	if got, err := n.f.RenewIfDue(ctx, n.cert, n.id, n.keys); err != nil || got != nil {
		t.Errorf("renewed at once: %v", err)
	}
	w.advance(21 * 24 * time.Hour)
	if err := w.center.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.f.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	cert, err := n.f.RenewIfDue(ctx, n.cert, n.id, n.keys)
	if err != nil || cert == nil || bytes.Equal(cert, n.cert) {
		t.Fatalf("RenewIfDue = %v", err)
	}
	if err := w.center.RevokeNode(ctx, "admin", n.id, "máy bị mất"); err != nil {
		t.Fatal(err)
	}
	if err := n.f.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	doc := n.f.Document()
	if !doc.IsRevoked(pki.KeyID(n.keys.Signing.Public())) || !doc.IsRevoked(pki.KeyID(n.keys.TLS.Public())) {
		t.Error("the keys are not revoked")
	}
	if _, ok := doc.Service("VN/GOV/H36/onestop/facts"); ok {
		t.Error("the services are still offered")
	}
	if _, _, ok := doc.SigningKey(pki.KeyID(n.keys.Signing.Public())); !ok {
		t.Error("the key is gone, so old evidence cannot be checked")
	}
	w.advance(21 * 24 * time.Hour)
	_, err = n.f.RenewIfDue(ctx, cert, n.id, n.keys)
	wantKey(t, err, "directory.key_revoked")
	w.advance(time.Second)
	wantKey(t, n.f.Publish(ctx, n.id, n.keys, profile("H36", "onestop")), "directory.key_revoked")
}

// The old key names the new one, then the new one signs.
func TestChangeOfDirectoryKey(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	n := w.join(t, "H36", "onestop")
	next := key(t, pki.Ed25519)
	w.center.NextKeys = []directory.PublicKey{directory.NewPublicKey(publicOf(t, next), 0, 0)}
	w.advance(25 * time.Hour)
	if err := errors.Join(w.center.Refresh(ctx), n.f.Refresh(ctx)); err != nil {
		t.Fatal(err)
	}
	w.center.Key, w.center.NextKeys = next, nil
	w.advance(25 * time.Hour)
	if err := errors.Join(w.center.Refresh(ctx), n.f.Refresh(ctx)); err != nil {
		t.Fatal(err)
	}
	if a := n.f.Document().Anchor(); len(a.KeyIDs) != 1 || a.KeyIDs[0] != w.center.AnchorID() {
		t.Errorf("anchor = %+v", a)
	}
}

func publicOf(t *testing.T, k crypto.Signer) ed25519.PublicKey {
	t.Helper()
	pub, ok := k.Public().(ed25519.PublicKey)
	if !ok {
		t.Fatal("not an Ed25519 key")
	}
	return pub
}

// DISC-04: a service ends in the directory at its time, also when its node is away.
func TestEndedServiceDisappears(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a := w.join(t, "H36", "onestop")
	p := profile("H36", "onestop")
	p.Services = append(p.Services, directory.Service{ID: "VN/GOV/H36/onestop/dossiers", Kind: "rest", EndsAt: w.now().Add(time.Hour).Unix()})
	w.advance(time.Second)
	if err := a.f.Publish(ctx, a.id, a.keys, p); err != nil {
		t.Fatal(err)
	}
	s, ok := a.f.Document().Service("VN/GOV/H36/onestop/dossiers")
	if !ok || s.Ended(w.now()) {
		t.Fatalf("service = %+v", s)
	}
	w.advance(time.Hour)
	if !s.Ended(w.now()) { // whoever has the old document knows it too
		t.Errorf("service = %+v is not over", s)
	}
	w.join(t, "G01", "population") // the next document that the center signs
	if err := a.f.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if s, ok := a.f.Document().Service("VN/GOV/H36/onestop/dossiers"); ok {
		t.Errorf("after its end: %+v", s)
	}
}
