package directoryapi

import (
	"testing"
	"time"

	"truc/internal/directory"
	"truc/internal/pki"
)

func TestChangeOfSigningKey(t *testing.T) {
	for _, alg := range []pki.Alg{pki.Ed25519, pki.P256} {
		t.Run(string(alg), func(t *testing.T) {
			w := newWorld(t)
			ctx := t.Context()
			n, other := w.join(t, "H36", "onestop"), w.join(t, "G01", "population")
			old, next := n.keys.Signing, key(t, alg)
			oldID, nextID := pki.KeyID(old.Public()), pki.KeyID(next.Public())
			// Neither another node nor somebody without the new key can announce it.
			_, err := n.f.AnnounceKey(ctx, n.id, other.keys.Signing, next)
			wantKey(t, err, "directory.signature_wrong")
			from, err := n.f.AnnounceKey(ctx, n.id, old, next)
			if err != nil || from.Sub(w.now()) < directory.Spread {
				t.Fatalf("AnnounceKey = %v, %v", from.Sub(w.now()), err)
			}
			if again, err := n.f.AnnounceKey(ctx, n.id, old, next); err != nil || !again.Equal(from) {
				t.Errorf("announced again: %v, %v; want %v", again, err, from)
			}
			_, err = n.f.AnnounceKey(ctx, n.id, old, key(t, alg))
			wantKey(t, err, "directory.key_changing")
			if n.f.TakesOver(n.id, nextID) {
				t.Error("the new key takes over before everybody can know it")
			}
			if err := other.f.Refresh(ctx); err != nil {
				t.Fatal(err)
			}
			doc := other.f.Document()
			if !doc.Succeeds(nextID, oldID) || doc.Succeeds(oldID, nextID) {
				t.Error("the new key does not succeed the old one")
			}
			publish := func(signing directory.Keys) error {
				w.advance(time.Second)
				return n.f.Publish(ctx, n.id, signing, profile("H36", "onestop"))
			}
			nextKeys := directory.Keys{TLS: n.keys.TLS, Signing: next}
			if err := publish(n.keys); err != nil {
				t.Errorf("the old key before the change: %v", err)
			}
			wantKey(t, publish(nextKeys), "directory.signature_wrong")
			w.advance(from.Sub(w.now()))
			if !n.f.TakesOver(n.id, nextID) || publish(nextKeys) != nil || publish(n.keys) != nil {
				t.Error("not both keys hold while one follows the other")
			}
			w.advance(61 * time.Minute)
			if err := publish(nextKeys); err != nil {
				t.Errorf("the new key: %v", err)
			}
			wantKey(t, publish(n.keys), "directory.signature_wrong")
			// The old key leaked years later: it stands for nobody, and the new one goes on.
			if err := w.center.RevokeKey(ctx, "admin", oldID, "lộ khoá"); err != nil {
				t.Fatal(err)
			}
			if err := other.f.Refresh(ctx); err != nil {
				t.Fatal(err)
			}
			if doc := other.f.Document(); doc.Succeeds(nextID, oldID) || !doc.IsRevoked(oldID) || doc.IsRevoked(nextID) {
				t.Error("the revoked key still has a successor, or took it along")
			}
			if err := publish(nextKeys); err != nil {
				t.Errorf("the new key after the old was revoked: %v", err)
			}
			wantKey(t, w.center.RevokeKey(ctx, "admin", nextID, "x"), "directory.key_in_force")
			wantKey(t, w.center.RevokeKey(ctx, "admin", pki.KeyID(n.keys.TLS.Public()), "x"), "directory.key_in_force")
		})
	}
}

func TestChangeOfChannelKey(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	n := w.join(t, "H36", "onestop")
	next := key(t, pki.P256)
	oldID, nextID := pki.KeyID(n.keys.TLS.Public()), pki.KeyID(next.Public())
	cert, err := n.f.RenewWith(ctx, n.id, n.keys.Signing, next)
	if err != nil {
		t.Fatal(err)
	}
	doc := n.f.Document()
	if !doc.Accepts(oldID) || !doc.Accepts(nextID) {
		t.Error("not both channel keys are accepted while the change spreads")
	}
	if st, err := directory.StateOfCertificate(cert, w.now()); err != nil || st.Days != 29 && st.Days != 30 {
		t.Errorf("certificate %+v, %v", st, err)
	}
	for range 2 {
		w.advance(13 * time.Hour)
		if err := w.center.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.f.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if doc := n.f.Document(); doc.Accepts(oldID) || !doc.Accepts(nextID) {
		t.Error("the old channel key is accepted for ever")
	}
	// A node that is revoked while the change spreads loses both keys.
	third := key(t, pki.P256)
	if _, err := n.f.RenewWith(ctx, n.id, n.keys.Signing, third); err != nil {
		t.Fatal(err)
	}
	if err := w.center.RevokeNode(ctx, "admin", n.id, "x"); err != nil {
		t.Fatal(err)
	}
	if err := n.f.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if doc := n.f.Document(); doc.Accepts(nextID) || doc.Accepts(pki.KeyID(third.Public())) {
		t.Error("a revoked node has a channel key left")
	}
}

// No key changes while the copy is degraded: nobody would learn of it.
func TestDegradedChangesNoKeys(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	n := w.join(t, "H36", "onestop")
	w.advance(25 * time.Hour)
	_, err := n.f.AnnounceKey(ctx, n.id, n.keys.Signing, key(t, pki.Ed25519))
	wantKey(t, err, "directory.degraded")
	_, err = n.f.RenewWith(ctx, n.id, n.keys.Signing, key(t, pki.P256))
	wantKey(t, err, "directory.degraded")
}

func TestCertificateAlarms(t *testing.T) {
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	to := from.Add(30 * 24 * time.Hour)
	day := 24 * time.Hour
	for _, c := range []struct {
		left time.Duration
		want directory.Alarm
	}{
		{30 * day, directory.NoAlarm},
		{10*day + time.Hour, directory.NoAlarm},
		{10*day - time.Hour, directory.NoAlarm}, // renewal has just begun
		{10*day - 4*time.Hour, directory.AlarmThird},
		{5 * day, directory.AlarmSixth},
		{3 * day, directory.AlarmThreeDays},
		{0, directory.AlarmEnded},
		{-day, directory.AlarmEnded},
	} {
		if got := directory.CertificateAlarm(from, to, to.Add(-c.left)); got != c.want {
			t.Errorf("%v left: %q, want %q", c.left, got, c.want)
		}
	}
}
