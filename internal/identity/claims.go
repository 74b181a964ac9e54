package identity

import (
	"log/slog"
	"strings"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/reqctx"
)

// Claims is what a provider says about a person: the claims contract of this platform. For citizens PersonalID,
// FullName and Level matter; for officers only Officer does, because the node's own table says the rest.
type Claims struct {
	Issuer  string
	Subject string // "sub", pairwise: another number at every node
	// Citizen.
	PersonalID string // "personal_id", 12 digits
	FullName   string // "full_name"
	Birthdate  string // "birthdate", 2006-01-02
	Gender     string // "gender"
	Level      int    // from "acr": vn:loa:1 or vn:loa:2
	// Officer. Agency and Roles are what the provider believes; they are shown nowhere and decide nothing.
	Officer string // "officer", the account name
	Agency  string
	Roles   []string
}

// LogValue keeps personal data out of logs.
func (c Claims) LogValue() slog.Value {
	return slog.GroupValue(slog.String("issuer", c.Issuer), slog.Int("level", c.Level))
}

// ACR values of the claims contract; the level is that of Decree 69/2024/NĐ-CP Article 5.
const (
	ACRLevel1 = "vn:loa:1"
	ACRLevel2 = "vn:loa:2"
)

// LevelOfACR returns 1 or 2, or 0 for a value outside the contract.
func LevelOfACR(acr string) int {
	switch acr {
	case ACRLevel1:
		return 1
	case ACRLevel2:
		return 2
	}
	return 0
}

// maxName bounds what a provider may make us store; the longest registered names stay far below.
const maxName = 200

// citizen checks the claims for a citizen's sign-in and returns the session they allow.
func (c Claims) citizen() (Session, error) {
	if c.PersonalID == "" {
		return Session{}, errs.E(errs.Denied, "identity.not_citizen", nil)
	}
	name := i18n.NFC(strings.TrimSpace(c.FullName))
	if !validPersonalID(c.PersonalID) || name == "" || len(name) > maxName || c.Level < 1 || c.Level > 2 {
		return Session{}, errs.E(errs.Denied, "identity.claims_incomplete", nil)
	}
	return Session{Kind: reqctx.Citizen, Subject: c.PersonalID, Name: name, Level: c.Level, Issuer: c.Issuer}, nil
}

// validPersonalID reports whether s has the form of a personal number: 12 digits
// (Law on Identification 26/2023/QH15 Article 12).
func validPersonalID(s string) bool {
	if len(s) != 12 {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
