package directoryapi

import (
	"log/slog"
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/pki"
)

// asker is a node that wants to join with approval.
type asker struct {
	token directory.Token
	keys  directory.Keys
	f     *directory.Follower
}

func (w *world) asker(t *testing.T, server string, approval bool) *asker {
	t.Helper()
	text, err := w.center.Invite(t.Context(), "admin", directory.Invitation{Member: "VN/GOV/H36", Server: server, Lifetime: time.Hour, Approval: approval})
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{keys: directory.Keys{TLS: key(t, pki.P256), Signing: key(t, pki.Ed25519)}}
	if a.token, err = directory.ParseToken(text); err != nil {
		t.Fatal(err)
	}
	opt := directory.FollowerOptions{Dir: t.TempDir(), Center: w.client, Now: w.now, Log: slog.New(slog.DiscardHandler)}
	if a.f, err = directory.OpenFollower(opt, a.token.Trust()); err != nil {
		t.Fatal(err)
	}
	return a
}

// askerProfile holds characters that a careless encoder would write differently from what was signed.
func askerProfile() directory.Profile {
	p := profile("H36", "onestop")
	p.Services[0].Name["vi"] = "Dữ kiện <A&B>"
	return p
}

func (w *world) waiting(t *testing.T) []directory.PendingJoin {
	t.Helper()
	s, err := w.center.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Waiting(w.now())
}

func TestApproval(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a := w.asker(t, "node1", true)
	version := int64(0)
	for range 2 { // asking twice files once
		_, err := a.f.Join(ctx, a.token, a.keys, askerProfile())
		wantKey(t, err, "directory.join_pending")
	}
	if doc := a.f.Document(); doc != nil {
		t.Error("a node that waits was given the document as if it had joined")
	}
	list := w.waiting(t)
	if len(list) != 1 || list[0].TLSKeyID != pki.KeyID(a.keys.TLS.Public()) || list[0].SigningFingerprint() != directory.FingerprintText(pki.KeyID(a.keys.Signing.Public())) {
		t.Fatalf("waiting = %+v", list)
	}
	if s, err := w.center.State(ctx); err != nil || len(s.Nodes) != 0 {
		t.Fatalf("the node is registered before anybody decided: %v, %v", s.Nodes, err)
	}
	// Other keys cannot take the place of those the operator is comparing.
	thief := directory.Keys{TLS: key(t, pki.P256), Signing: key(t, pki.Ed25519)}
	_, err := a.f.Join(ctx, a.token, thief, askerProfile())
	wantKey(t, err, "directory.token_used")
	// What changed after it was shown is not approved unseen.
	p := askerProfile()
	p.LinkURL = "https://127.0.0.9:7131"
	_, err = a.f.Join(ctx, a.token, a.keys, p)
	wantKey(t, err, "directory.join_pending")
	wantKey(t, w.center.Approve(ctx, "admin", list[0].TokenID, list[0].Digest), "directory.join_changed")

	list = w.waiting(t)
	if err := w.center.Approve(ctx, "admin", list[0].TokenID, list[0].Digest); err != nil {
		t.Fatal(err)
	}
	wantKey(t, w.center.Approve(ctx, "admin", list[0].TokenID, list[0].Digest), "directory.join_unknown")
	if len(w.waiting(t)) != 0 {
		t.Error("it still waits")
	}
	cert, err := a.f.Join(ctx, a.token, a.keys, p)
	if err != nil || len(cert) == 0 {
		t.Fatalf("Join after approval = %v", err)
	}
	if n, ok := a.f.Document().Node(a.token.Node); !ok || n.LinkURL != p.LinkURL || a.f.Document().Version <= version {
		t.Errorf("node = %+v", n)
	}
}

func TestDecline(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a := w.asker(t, "node1", true)
	_, err := a.f.Join(ctx, a.token, a.keys, askerProfile())
	wantKey(t, err, "directory.join_pending")
	if err := w.center.Decline(ctx, "admin", w.waiting(t)[0].TokenID, "vân tay không khớp"); err != nil {
		t.Fatal(err)
	}
	_, err = a.f.Join(ctx, a.token, a.keys, askerProfile())
	wantKey(t, err, "directory.join_declined")
	wantKey(t, w.center.Approve(ctx, "admin", a.token.ID, ""), "directory.join_unknown")

	// A request ends with its token, for the node and for the operator.
	b := w.asker(t, "node2", true)
	_, err = b.f.Join(ctx, b.token, b.keys, askerProfile())
	wantKey(t, err, "directory.join_pending")
	late := w.waiting(t)[0]
	w.advance(2 * time.Hour)
	_, err = b.f.Join(ctx, b.token, b.keys, askerProfile())
	wantKey(t, err, "directory.token_expired")
	wantKey(t, w.center.Approve(ctx, "admin", late.TokenID, late.Digest), "directory.token_expired")
	if len(w.waiting(t)) != 0 {
		t.Error("an expired request is shown as waiting")
	}
}

// A node cannot get past an operator whom the instance's policy demands.
func TestPolicyDemandsApproval(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.center.SetPolicy(ctx, "admin", directory.Policy{Approval: true}); err != nil {
		t.Fatal(err)
	}
	a := w.asker(t, "node1", false)
	_, err := a.f.Join(ctx, a.token, a.keys, askerProfile())
	wantKey(t, err, "directory.join_pending")
	// A request that could never be approved is refused at once.
	b := w.asker(t, "node2", true)
	_, err = b.f.Join(ctx, b.token, b.keys, profile("G01", "population"))
	wantKey(t, err, "directory.document_invalid")
}
