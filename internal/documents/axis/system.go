package axis

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
)

// DefaultWindow is how far the time stamp of a VXP request may lie from ours, to both sides.
const DefaultWindow = 24 * time.Hour

// SystemForm is what an administrator says of a system of the VXP protocol.
type SystemForm struct {
	ID, Name string
	// Window is how far its time stamps may be off, to both sides: DefaultWindow when zero. Unlimited takes any, and is
	// allowed only with Addresses, for a stolen request could be repeated for ever.
	Window    time.Duration
	Unlimited bool
	// Addresses it may call from, as prefixes; empty is any.
	Addresses []netip.Prefix
	// MayRegister lets it register and delete agencies below its own: the body of that request is not signed.
	MayRegister bool
	// HashOptional takes documents without the hash of the file.
	HashOptional bool
	// RefuseRepeats answers the same document again with a refusal, rather than with the first answer.
	RefuseRepeats bool
}

// System is a system of the VXP protocol, without its secret.
type System struct {
	SystemForm
	Suspended        bool
	Created, Changed time.Time
	// OldUntil is until when the secret before the last change is taken too; zero when there is none.
	OldUntil time.Time
}

// Party returns the party that the system is.
func (s System) Party() Party { return VXP(s.ID) }

// StoredSystem is a system as it stands in the database.
type StoredSystem struct {
	System
	// Sealed and OldSealed are the secrets, readable with the hub's key only.
	Sealed, OldSealed string
}

// Credentials are a system with the secrets that it may sign with now. It must not be logged, and says so.
type Credentials struct {
	System
	Secrets []string
}

// LogValue implements [slog.LogValuer].
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.ID + " [secrets redacted]") }

// String implements fmt.Stringer, so that a careless %v prints no secret.
func (c Credentials) String() string { return c.ID + " [secrets redacted]" }

func (f *SystemForm) check() error {
	f.Name = i18n.NFC(f.Name)
	switch {
	case !systemID.MatchString(f.ID):
		return errs.E(errs.Invalid, "axis.system_id_invalid", nil)
	case f.Name == "" || !plain(f.Name, maxName):
		return errs.E(errs.Invalid, "axis.name_invalid", nil)
	case f.Window < 0 || f.Window > 366*24*time.Hour:
		return errs.E(errs.Invalid, "axis.window_invalid", nil)
	case f.Unlimited && len(f.Addresses) == 0:
		return errs.E(errs.Invalid, "axis.window_needs_addresses", nil)
	case len(f.Addresses) > 100:
		return errs.E(errs.Invalid, "axis.addresses_invalid", nil)
	}
	for _, a := range f.Addresses {
		if !a.IsValid() {
			return errs.E(errs.Invalid, "axis.addresses_invalid", nil)
		}
	}
	if f.Window == 0 {
		f.Window = DefaultWindow
	}
	return nil
}

// Systems lists the registered systems.
func (h *Hub) Systems(ctx context.Context) ([]System, error) {
	list, err := h.Store.Systems(ctx)
	out := make([]System, len(list))
	for i, s := range list {
		out[i] = s.System
	}
	return out, err
}

// System returns a system with its secrets, to check a request of it; errs.NotFound for one that is unknown or suspended.
func (h *Hub) System(ctx context.Context, id string) (Credentials, error) {
	s, err := h.Store.System(ctx, id)
	if err == nil && s.Suspended {
		err = errs.E(errs.NotFound, "axis.system_unknown", nil)
	}
	if err != nil {
		return Credentials{}, err
	}
	c := Credentials{System: s.System}
	sealed := []string{s.Sealed}
	if s.OldSealed != "" && h.now().Before(s.OldUntil) {
		sealed = append(sealed, s.OldSealed)
	}
	for _, x := range sealed {
		secret, err := h.unseal(x, id)
		if err != nil {
			return Credentials{}, err
		}
		c.Secrets = append(c.Secrets, secret)
	}
	return c, nil
}

// AddSystem registers a system and returns its secret, which is shown this once.
func (h *Hub) AddSystem(ctx context.Context, actor string, f SystemForm) (secret string, err error) {
	if err := f.check(); err != nil {
		return "", err
	}
	secret = newSecret()
	return secret, h.AddSystemWith(ctx, actor, f, secret)
}

// AddSystemWith is [Hub.AddSystem] with a secret that both sides have already, as when systems move here from another hub.
func (h *Hub) AddSystemWith(ctx context.Context, actor string, f SystemForm, secret string) error {
	if err := f.check(); err != nil {
		return err
	}
	if len(secret) < 16 || !plain(secret, 500) {
		return errs.E(errs.Invalid, "axis.secret_weak", nil)
	}
	return h.Store.InTx(ctx, func(tx Tx) error {
		if _, err := tx.System(ctx, f.ID); !errs.Is(err, errs.NotFound) {
			if err == nil {
				err = errs.E(errs.Conflict, "axis.system_known", nil)
			}
			return err
		}
		now := h.now()
		s := StoredSystem{System: System{SystemForm: f, Created: now, Changed: now}}
		return h.putSystem(ctx, tx, actor, "axis.system.add", s, secret)
	})
}

// putSystem writes a system, with a new secret unless that is empty, and says so in journal and audit log.
func (h *Hub) putSystem(ctx context.Context, tx Tx, actor, action string, s StoredSystem, secret string) (err error) {
	if secret != "" {
		if s.Sealed, err = h.seal(secret, s.ID); err != nil {
			return err
		}
	}
	s.Changed = h.now()
	if err := tx.PutSystem(ctx, s); err != nil {
		return err
	}
	if err := h.Audit.Act(ctx, tx, actor, action, s.ID); err != nil {
		return err
	}
	return h.record(ctx, tx, Entry{At: s.Changed.UnixMicro(), Event: EvSystem, Party: s.Party(), Note: action})
}

func (h *Hub) changeSystem(ctx context.Context, actor, action, id, secret string, f func(s *StoredSystem)) error {
	return h.Store.InTx(ctx, func(tx Tx) error {
		s, err := tx.System(ctx, id)
		if err != nil {
			return err
		}
		f(&s)
		return h.putSystem(ctx, tx, actor, action, s, secret)
	})
}

// ChangeSystem replaces what is said of a system; its secret stays.
func (h *Hub) ChangeSystem(ctx context.Context, actor string, f SystemForm) error {
	if err := f.check(); err != nil {
		return err
	}
	return h.changeSystem(ctx, actor, "axis.system.change", f.ID, "", func(s *StoredSystem) { s.SystemForm = f })
}

// RotateSecret gives a system a new secret, shown this once. The one before is taken for so long still, so that the system
// can be changed over without a gap; zero ends it at once.
func (h *Hub) RotateSecret(ctx context.Context, actor, id string, overlap time.Duration) (secret string, err error) {
	if overlap < 0 || overlap > 30*24*time.Hour {
		return "", errs.E(errs.Invalid, "axis.window_invalid", nil)
	}
	secret = newSecret()
	err = h.changeSystem(ctx, actor, "axis.system.rotate", id, secret, func(s *StoredSystem) {
		s.OldSealed, s.OldUntil = "", time.Time{}
		if overlap > 0 {
			s.OldSealed, s.OldUntil = s.Sealed, h.now().Add(overlap)
		}
	})
	return secret, err
}

// SuspendSystem shuts a system out, or lets it in again. What is addressed to its agencies waits for it.
func (h *Hub) SuspendSystem(ctx context.Context, actor, id string, suspended bool) error {
	action := "axis.system.resume"
	if suspended {
		action = "axis.system.suspend"
	}
	return h.changeSystem(ctx, actor, action, id, "", func(s *StoredSystem) { s.Suspended = suspended })
}

// newSecret has 256 bits, in characters that survive every header and properties file.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (h *Hub) aead() (cipher.AEAD, error) {
	if len(h.SealKey) != 32 {
		return nil, errors.New("axis: the seal key has not 32 bytes")
	}
	block, err := aes.NewCipher(h.SealKey)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal hides a secret with AES-256-GCM, bound to its system, so that rows cannot be swapped.
func (h *Hub) seal(secret, id string) (string, error) {
	a, err := h.aead()
	if err != nil {
		return "", err
	}
	nonce := make([]byte, a.NonceSize())
	_, _ = rand.Read(nonce) // it never fails
	return base64.StdEncoding.EncodeToString(a.Seal(nonce, nonce, []byte(secret), []byte(id))), nil
}

func (h *Hub) unseal(sealed, id string) (string, error) {
	a, err := h.aead()
	if err != nil {
		return "", err
	}
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(b) < a.NonceSize() {
		return "", errors.New("axis: the sealed secret is damaged")
	}
	n := a.NonceSize()
	secret, err := a.Open(nil, b[:n], b[n:], []byte(id))
	return string(secret), err
}
