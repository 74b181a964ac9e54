package directorypage

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"truc/internal/directory"
	"truc/internal/directory/directorystore"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pki"
	"truc/internal/reqctx"
	"truc/internal/storage"
	"truc/internal/storage/storagetest"
	"truc/internal/web"
	"truc/internal/web/ui"
	"truc/lang"
)

// ownNode notes what the pages ask of the node.
type ownNode struct {
	st   directory.KeyStatus
	acts []string
}

func (o *ownNode) KeyStatus() (directory.KeyStatus, error) { return o.st, nil }

func (o *ownNode) RotateSigning(_ context.Context, actor, alg string) (time.Time, error) {
	o.acts = append(o.acts, actor+" signing "+alg)
	return time.Time{}, nil
}

func (o *ownNode) RotateTLS(_ context.Context, actor string) (time.Time, error) {
	o.acts = append(o.acts, actor+" tls")
	return time.Time{}, nil
}

func (o *ownNode) SetMaintenance(_ context.Context, actor, notice string) error {
	o.acts = append(o.acts, actor+" maintenance "+notice)
	o.st.Maintenance = notice
	return nil
}

func (o *ownNode) Leave(_ context.Context, actor, act, reason string, whole bool) (*directory.Leave, error) {
	o.acts = append(o.acts, actor+" leave "+act+" "+reason)
	o.st.State, o.st.Leaving = directory.Registered, act == directory.LeaveAsk
	if o.st.Leaving {
		o.st.State = directory.Deleting
	}
	return &directory.Leave{Whole: whole}, nil
}

// waitingJoin files a join that an operator must decide on.
func waitingJoin(t *testing.T, center *directory.Center, f *directory.Follower) (id, digest string) {
	t.Helper()
	text, err := center.Invite(t.Context(), "a", directory.Invitation{Member: "VN/GOV/H36", Server: "node9", Lifetime: time.Hour, Approval: true})
	if err != nil {
		t.Fatal(err)
	}
	token, err := directory.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	var keys directory.Keys
	if keys.TLS, err = pki.GenerateKey(pki.P256); err != nil {
		t.Fatal(err)
	}
	if keys.Signing, err = pki.GenerateKey(pki.Ed25519); err != nil {
		t.Fatal(err)
	}
	_, err = f.Join(t.Context(), token, keys, directory.Profile{LinkURL: "https://127.0.0.1:7139", Subsystems: []string{"VN/GOV/H36/onestop"}})
	if key, _ := errs.KeyOf(err); key != "directory.join_pending" {
		t.Fatalf("Join = %v", err)
	}
	s, err := center.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := s.Requests[token.ID]
	return p.TokenID, p.Digest
}

// newCenter is a center with one member, the province H36.
func newCenter(t *testing.T, clock func() time.Time) *directory.Center {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db := storagetest.OpenSQLite(t)
	sub, err := fs.Sub(directorystore.Migrations, "migrations")
	must(err)
	must(storage.Migrate(t.Context(), db, "directory", sub, clock()))
	ca, err := pki.LoadOrCreateCA(t.TempDir(), "VN", clock())
	must(err)
	key, err := pki.GenerateKey(pki.Ed25519)
	must(err)
	center := &directory.Center{Instance: "VN", URL: "http://127.0.0.1:7100", Key: key, CA: ca, Store: &directorystore.Store{DB: db}, Now: clock}
	must(center.AddMember(t.Context(), "a", directory.Member{Class: "GOV", Code: "H36", Name: i18n.Text{"vi": "Lâm Đồng", "en": "Lam Dong"}}))
	return center
}

func TestPages(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	center := newCenter(t, clock)
	center.Capabilities = []string{"frames", "streams"}
	text, err := center.CreateToken(t.Context(), "a", "VN/GOV/H36", "node1", time.Hour)
	must(err)
	token, err := directory.ParseToken(text)
	must(err)
	f, err := directory.OpenFollower(directory.FollowerOptions{Dir: t.TempDir(), Center: center, Now: clock, Log: slog.New(slog.DiscardHandler)}, token.Trust())
	must(err)
	tlsKey, err := pki.GenerateKey(pki.P256)
	must(err)
	signKey, err := pki.GenerateKey(pki.Ed25519)
	must(err)
	_, err = f.Join(t.Context(), token, directory.Keys{TLS: tlsKey, Signing: signKey}, directory.Profile{
		LinkURL: "https://127.0.0.1:7131", Subsystems: []string{"VN/GOV/H36/onestop"},
		Services: []directory.Service{{ID: "VN/GOV/H36/onestop/facts", Name: i18n.Text{"vi": "Dữ kiện hồ sơ"}, Kind: "rest", Public: true}, {ID: "VN/GOV/H36/onestop/hidden", Kind: "rest"}},
	})
	must(err)
	cat, err := i18n.Load(lang.FS)
	must(err)
	rd, err := ui.NewRenderer(ui.Options{Lang: cat})
	must(err)
	mux := web.NewMux(web.Options{Lang: cat, Renderer: rd})
	own := &ownNode{st: directory.KeyStatus{Alg: "ed25519", Certificate: directory.CertificateState{Days: 2, NotAfter: now.Add(48 * time.Hour), Alarm: directory.AlarmThreeDays}}}
	must((&Pages{Center: center, Follower: f, Renderer: rd, Now: clock, Own: own}).Mount(mux))
	pendingID, digest := waitingJoin(t, center, f)
	do := func(method, path, language string, form url.Values, p reqctx.Principal) (int, string) {
		r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		r = r.WithContext(reqctx.WithLang(reqctx.WithPrincipal(r.Context(), p), language))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		body := w.Body.String()
		if strings.Contains(body, "[directory.") || strings.Contains(body, "ZgotmplZ") {
			t.Errorf("%s (%s) lacks a text:\n%s", path, language, body)
		}
		return w.Code, body
	}
	admin := reqctx.Principal{Kind: reqctx.Officer, ID: "lan", Roles: []string{"admin"}}
	for _, tt := range []struct {
		name, method, path string
		form               url.Values
		who                reqctx.Principal
		status             int
		want, not          []string
	}{
		{"catalogue for everybody", "GET", "/directory", nil, reqctx.Principal{}, 200, []string{"Dữ kiện hồ sơ", "VN/GOV/H36"}, []string{"onestop/hidden"}},
		{"administration", "GET", "/directory/admin", nil, admin, 200, []string{"VN/GOV/H36/node1", "https://127.0.0.1:7131", "30", center.Fingerprint()}, nil},
		{"administration for nobody", "GET", "/directory/admin", nil, reqctx.Principal{}, 303, nil, nil},
		{"administration for others", "GET", "/directory/admin", nil, reqctx.Principal{Kind: reqctx.Officer, ID: "x"}, 403, nil, nil},
		{"member without name", "POST", "/directory/admin/member", url.Values{"code": {"G01"}}, admin, 422, []string{"tr-"}, nil},
		{"member", "POST", "/directory/admin/member", url.Values{"code": {"G01"}, "name_vi": {"Bộ Công an"}}, admin, 303, nil, nil},
		{"token too long", "POST", "/directory/admin/token", url.Values{"member": {"VN/GOV/G01"}, "node": {"node1"}, "hours": {"99"}}, admin, 422, nil, []string{"truc1."}},
		{"token for a taken name", "POST", "/directory/admin/token", url.Values{"member": {"VN/GOV/H36"}, "node": {"node1"}, "hours": {"1"}}, admin, 422, nil, []string{"truc1."}},
		{"token", "POST", "/directory/admin/token", url.Values{"member": {"VN/GOV/G01"}, "node": {"node1"}, "hours": {"1"}}, admin, 200, []string{"truc join --token truc1."}, nil},
		{"token is shown once", "GET", "/directory/admin", nil, admin, 200, []string{"VN/GOV/G01/node1"}, []string{"truc1."}},
		{"a join that waits", "GET", "/directory/admin", nil, admin, 200, []string{"VN/GOV/H36/node9", "/directory/admin/join?id=" + pendingID}, nil},
		{"its fingerprints", "GET", "/directory/admin/join?id=" + pendingID, nil, admin, 200, []string{"VN/GOV/H36/onestop", digest, "compared"}, nil},
		{"another join", "GET", "/directory/admin/join?id=x", nil, admin, 404, nil, nil},
		{"approved unread", "POST", "/directory/admin/join", url.Values{"id": {pendingID}, "digest": {digest}, "do": {"approve"}}, admin, 422, []string{"tr-"}, nil},
		{"approved by others", "POST", "/directory/admin/join", url.Values{"id": {pendingID}, "digest": {digest}, "do": {"approve"}, "compared": {"yes"}}, reqctx.Principal{Kind: reqctx.Officer, ID: "x"}, 403, nil, nil},
		{"approved as it was not shown", "POST", "/directory/admin/join", url.Values{"id": {pendingID}, "digest": {"0"}, "do": {"approve"}, "compared": {"yes"}}, admin, 422, nil, nil},
		{"declined without reason", "POST", "/directory/admin/join", url.Values{"id": {pendingID}, "do": {"decline"}}, admin, 422, nil, nil},
		{"approved", "POST", "/directory/admin/join", url.Values{"id": {pendingID}, "digest": {digest}, "do": {"approve"}, "compared": {"yes"}}, admin, 303, nil, nil},
		{"approved twice", "POST", "/directory/admin/join", url.Values{"id": {pendingID}, "digest": {digest}, "do": {"approve"}, "compared": {"yes"}}, admin, 404, nil, nil},
		{"group of strangers", "POST", "/directory/admin/groups", url.Values{"code": {"all"}, "name_vi": {"Tất cả"}, "members": {"XX/GOV/H36/onestop"}}, admin, 422, []string{"XX/GOV/H36/onestop"}, nil},
		{"group", "POST", "/directory/admin/groups", url.Values{"code": {"all"}, "name_vi": {"Tất cả"}, "members": {"VN/GOV/H36/onestop"}}, admin, 303, nil, nil},
		{"groups", "GET", "/directory/admin/groups", nil, admin, 200, []string{"VN/GOV/H36/onestop", "Tất cả"}, nil},
		{"group deleted", "POST", "/directory/admin/groups/delete", url.Values{"code": {"all"}}, admin, 303, nil, nil},
		{"systems", "GET", "/directory/admin/subsystems", nil, admin, 200, []string{"VN/GOV/H36/onestop", `<a href="/directory/admin/subsystems" aria-current="page">`, `<a href="/directory/admin/groups">`}, []string{"name_vi"}},
		{"one system", "GET", "/directory/admin/subsystems?id=VN/GOV/H36/onestop", nil, admin, 200, []string{"name_vi"}, nil},
		{"nobody's system", "GET", "/directory/admin/subsystems?id=VN/GOV/H99/onestop", nil, admin, 404, nil, nil},
		{"system without a name", "POST", "/directory/admin/subsystems", url.Values{"id": {"VN/GOV/H36/onestop"}, "state": {"disabled"}}, admin, 422, []string{"Nhập tên tiếng Việt"}, nil},
		{"system with a long name", "POST", "/directory/admin/subsystems", url.Values{"id": {"VN/GOV/H36/onestop"}, "state": {"disabled"}, "name_vi": {strings.Repeat("ậ", 201)}}, admin, 422, []string{"200 ký tự"}, nil},
		{"system in an invented state", "POST", "/directory/admin/subsystems", url.Values{"id": {"VN/GOV/H36/onestop"}, "state": {"deleting"}, "name_vi": {"Một cửa"}}, admin, 422, []string{"Chọn trạng thái"}, nil},
		{"nobody's system named", "POST", "/directory/admin/subsystems", url.Values{"id": {"VN/GOV/H99/onestop"}, "state": {"registered"}, "name_vi": {"Một cửa"}}, admin, 404, nil, nil},
		{"system named by others", "POST", "/directory/admin/subsystems", url.Values{"id": {"VN/GOV/H36/onestop"}, "state": {"disabled"}, "name_vi": {"Một cửa"}}, reqctx.Principal{Kind: reqctx.Officer, ID: "x"}, 403, nil, nil},
		{"system named", "POST", "/directory/admin/subsystems", url.Values{"id": {"VN/GOV/H36/onestop"}, "state": {"disabled"}, "name_vi": {" Một cửa <Lâm Đồng> "}, "name_en": {"One-stop"}}, admin, 303, nil, nil},
		{"systems, one named", "GET", "/directory/admin/subsystems?id=VN/GOV/H36/onestop", nil, admin, 200, []string{`value="Một cửa &lt;Lâm Đồng&gt;"`, `value="disabled" checked`}, nil},
		{"policy", "POST", "/directory/admin/policy", url.Values{"policy": {"approval"}, "requires": {"streams"}}, admin, 303, nil, nil},
		{"demanded", "GET", "/directory/admin/groups", nil, admin, 200, []string{`value="streams" checked`, ": VN/GOV/"}, nil},
		{"policy of the unknown", "POST", "/directory/admin/policy", url.Values{"requires": {"teleports"}}, admin, 400, nil, nil},
		{"keys", "GET", "/directory/admin/keys", nil, admin, 200, []string{"P-256", "tr-"}, nil},
		{"keys for others", "GET", "/directory/admin/keys", nil, reqctx.Principal{Kind: reqctx.Officer, ID: "x"}, 403, nil, nil},
		{"change of key", "POST", "/directory/admin/keys/rotate", url.Values{"key": {"signing"}, "kind": {"p256"}}, admin, 303, nil, nil},
		{"maintenance without a word", "POST", "/directory/admin/maintenance", url.Values{"do": {"begin"}}, admin, 422, nil, nil},
		{"maintenance", "POST", "/directory/admin/maintenance", url.Values{"do": {"begin"}, "notice": {"đến 22 giờ"}}, admin, 303, nil, nil},
		{"in maintenance", "GET", "/directory/admin/keys", nil, admin, 200, []string{"đến 22 giờ"}, nil},
		{"disable", "POST", "/directory/admin/disable", url.Values{"node": {"VN/GOV/H36/node9"}, "do": {"disable"}}, admin, 303, nil, nil},
		{"revoke asks", "GET", "/directory/admin/revoke?node=VN/GOV/H36/node1", nil, admin, 200, []string{"VN/GOV/H36/node1"}, nil},
		{"revoke wants a reason", "POST", "/directory/admin/revoke", url.Values{"node": {"VN/GOV/H36/node1"}}, admin, 422, nil, nil},
		{"revoke by others", "POST", "/directory/admin/revoke", url.Values{"node": {"VN/GOV/H36/node1"}, "reason": {"x"}}, reqctx.Principal{Kind: reqctx.Officer, ID: "x"}, 403, nil, nil},
		{"revoke", "POST", "/directory/admin/revoke", url.Values{"node": {"VN/GOV/H36/node1"}, "reason": {"Máy bị mất"}}, admin, 303, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			languages := i18n.Langs
			if tt.method == "POST" {
				languages = languages[:1]
			}
			for _, l := range languages {
				status, body := do(tt.method, tt.path, l, tt.form, tt.who)
				if status != tt.status {
					t.Fatalf("status %d, want %d\n%s", status, tt.status, body)
				}
				for _, s := range tt.want {
					if !strings.Contains(body, s) {
						t.Errorf("(%s) lacks %q", l, s)
					}
				}
				for _, s := range tt.not {
					if strings.Contains(body, s) {
						t.Errorf("(%s) shows %q", l, s)
					}
				}
			}
		})
	}
	if d := cmp.Diff([]string{"lan signing p256", "lan maintenance đến 22 giờ"}, own.acts); d != "" {
		t.Errorf("acts (-want +got):\n%s", d)
	}
	if s, err := center.State(t.Context()); err != nil || !s.Policy.Approval || len(s.Groups) != 0 || s.Nodes["VN/GOV/H36/node9"].State != directory.Disabled {
		t.Errorf("state after the acts: %+v, %v", s, err)
	}
	if err := f.Refresh(t.Context()); err != nil || !f.Document().IsRevoked(pki.KeyID(tlsKey.Public())) {
		t.Errorf("after revocation: %v", err)
	}
	x, ok := f.Document().Subsystem("VN/GOV/H36/onestop")
	if want := (directory.Subsystem{ID: "VN/GOV/H36/onestop", Name: i18n.Text{"vi": "Một cửa <Lâm Đồng>", "en": "One-stop"}, State: directory.Disabled}); !ok || cmp.Diff(want, x) != "" {
		t.Errorf("the named system in the document: %+v", x)
	}
}
