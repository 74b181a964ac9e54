package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"log/slog"
	"strings"
	"time"

	"truc/internal/reqctx"
)

// Session is one sign-in on one browser.
type Session struct {
	// ID is opaque and fit for logs and addresses; it does not open anything.
	ID   string
	Kind reqctx.PrincipalKind
	// Subject is the personal number of a citizen or the account of an officer. Personal data.
	Subject string
	Name    string
	Agency  string
	// Roles are those at sign-in, kept for the record. What counts is the officer table, read at each request.
	Roles []string
	Level int
	// Issuer is the provider that vouched.
	Issuer    string
	CreatedAt time.Time
	LastSeen  time.Time
	// IdleUntil moves with use; ExpiresAt never moves. The session is over at the earlier of the two.
	IdleUntil time.Time
	ExpiresAt time.Time
	// RevokedAt is zero while the session lives.
	RevokedAt time.Time
	// Device is a coarse name of browser and system for the person's own list; AgentHash the full header, hashed.
	Device    string
	AgentHash []byte
}

// Live reports whether the session opens anything at the given time.
func (s Session) Live(now time.Time) bool {
	return s.RevokedAt.IsZero() && now.Before(s.IdleUntil) && now.Before(s.ExpiresAt)
}

// Principal returns whom the session stands for.
func (s Session) Principal() reqctx.Principal {
	return reqctx.Principal{
		Kind: s.Kind, ID: s.Subject, Name: s.Name, Agency: s.Agency, Roles: s.Roles, Level: s.Level, Session: s.ID,
	}
}

// LogValue keeps personal data out of logs.
func (s Session) LogValue() slog.Value {
	return slog.GroupValue(slog.String("session", s.ID), slog.String("kind", string(s.Kind)))
}

// EventKind names what happened in a sign-in history. Append-only: the names are stored.
type EventKind string

// The events of a sign-in history.
const (
	SignedIn     EventKind = "signed_in"
	SignedOut    EventKind = "signed_out"
	Revoked      EventKind = "revoked"       // ended from the person's own list of sessions
	Refused      EventKind = "refused"       // the provider vouched, this node said no
	OfficerEnded EventKind = "officer_ended" // the officer left while signed in
	AgentChanged EventKind = "agent_changed" // the token came back from another browser
)

// Event is one line of a sign-in history.
type Event struct {
	At        time.Time
	Kind      EventKind
	Principal reqctx.PrincipalKind
	// Subject is the personal number or account; personal data, shown to its owner only.
	Subject string
	// Session is the session concerned, "" when none was opened.
	Session string
	Issuer  string
	Device  string
	// Reason is a message key when something was refused.
	Reason    string
	RequestID string
}

// hashToken is how a token is known to the store: a stolen database opens no session.
func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

func randomToken(rand io.Reader, n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

func randomID(rand io.Reader) (string, error) {
	b := make([]byte, 12)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", err
	}
	return hex.EncodeToString(b), nil
}

func hashAgent(userAgent string) []byte {
	sum := sha256.Sum256([]byte("user-agent\x00" + userAgent))
	return sum[:16]
}

// DeviceName returns "Firefox, Linux" from a User-Agent header: enough to recognise one's own sign-in, too
// little to track anybody. The result comes from closed lists, never from the header itself.
func DeviceName(userAgent string) string {
	pick := func(pairs ...string) string { // first match wins; order matters, for Edge also says Chrome
		for i := 0; i+1 < len(pairs); i += 2 {
			if strings.Contains(userAgent, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	browser := pick("Edg", "Edge", "coc_coc", "Cốc Cốc", "OPR/", "Opera", "SamsungBrowser", "Samsung Internet",
		"Firefox/", "Firefox", "FxiOS", "Firefox", "CriOS", "Chrome", "Chrome/", "Chrome", "Safari/", "Safari", "curl/", "curl")
	system := pick("Windows", "Windows", "Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Mac OS X", "macOS", "CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser == "":
		return system
	case system == "":
		return browser
	}
	return browser + ", " + system
}
