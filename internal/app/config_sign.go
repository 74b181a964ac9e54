package app

import (
	"errors"
	"fmt"
	"time"
)

// SignConfig is whose keys sign results and documents here, and whose signatures are trusted.
type SignConfig struct {
	// Development issues keys from a built-in authority marked as test, with a built-in time-stamp service and answers
	// about revocation. Production refuses it.
	Development bool `toml:"development"`
	// Authority is the folder of the development authority; default "sign" in the data folder. Nodes on one machine that
	// name the same folder trust each other's documents.
	Authority string `toml:"authority"`
	// Level is "B-LT", so that a signature carries what is needed to check it in years to come, or "B-T". Default "B-LT".
	Level string `toml:"level"`
	// WithoutTimestampHours is for how long, from the first failure on, documents may leave without a time-stamp when no
	// authority of [timestamp] answers; they get one later. Default 24; -1 lets none leave.
	WithoutTimestampHours int `toml:"without_timestamp_hours"`
	// Roots is a PEM file with the certificates of the authorities whose signatures are trusted.
	Roots string `toml:"roots"`
	// Signer is the socket of the signer program, for keys in devices (PKCS #11).
	Signer string `toml:"signer"`
	// Keys are the keys of persons and of agencies. In development everybody without one gets one.
	Keys []SignKeyConfig `toml:"keys"`
}

// SignKeyConfig is one key.
type SignKeyConfig struct {
	// Account is the officer whose key it is, or Seal the code of the agency whose seal it is, such as "H36".
	Account string `toml:"account"`
	Seal    string `toml:"seal"`
	// Certificate is a PEM file: the certificate, then those between it and the root.
	Certificate string `toml:"certificate"`
	// File is the key, encrypted (PKCS #8), and PassphraseFile holds its passphrase in the first line; or Label is the name
	// of the key at the signer program.
	File           string `toml:"file"`
	PassphraseFile string `toml:"passphrase_file"`
	Label          string `toml:"label"`
	// Picture is a PNG file with a transparent background that stands on official documents: the officer's handwritten
	// signature in blue, or the seal in red. Without it the file is sign/pictures/<account>.png or seal-<code>.png in the data
	// folder, with small letters. Production needs one; development draws it.
	Picture string `toml:"picture"`
	// PictureWidth is the width of the seal in mm, since a seal is shown in its real size; default 36.
	PictureWidth float64 `toml:"picture_width"`
}

// withoutTimestamp is how long documents may leave without a time-stamp.
func (c *SignConfig) withoutTimestamp() time.Duration {
	return time.Duration(max(orInt(c.WithoutTimestampHours, 24), 0)) * time.Hour
}

func (c *Config) checkSign() []error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	s := &c.Sign
	if s.Level != "" && s.Level != "B-T" && s.Level != "B-LT" {
		bad("sign.level: %q is neither B-T nor B-LT", s.Level)
	}
	if s.WithoutTimestampHours < -1 || s.WithoutTimestampHours > 24*30 {
		bad("sign.without_timestamp_hours: %d is not between -1 and 720", s.WithoutTimestampHours)
	}
	seen := map[string]bool{}
	for i, k := range s.Keys {
		who := "account " + k.Account
		if k.Seal != "" {
			who = "seal " + k.Seal
		}
		if (k.Account == "") == (k.Seal == "") {
			bad("sign.keys %d: name either the account of an officer or the seal of an agency", i+1)
		} else if seen[who] {
			bad("sign.keys %d: a second key for %s", i+1, who)
		}
		seen[who] = true
		if k.Certificate == "" {
			bad("sign.keys %d: certificate names a PEM file", i+1)
		}
		if (k.File == "") == (k.Label == "") {
			bad("sign.keys %d: name either a file or a label at the signer program", i+1)
		}
		if k.File != "" && k.PassphraseFile == "" {
			bad("sign.keys %d: passphrase_file holds the passphrase of the encrypted key", i+1)
		}
		if k.PictureWidth != 0 && (k.Seal == "" || k.PictureWidth < 10 || k.PictureWidth > 80) {
			bad("sign.keys %d: picture_width is the width of a seal, 10 to 80 mm", i+1)
		}
		if k.Label != "" && s.Signer == "" {
			bad("sign.signer: name the socket of the signer program that keeps %q", k.Label)
		}
	}
	if c.Env == "production" && len(s.Keys) > 0 {
		if len(c.Timestamp.Authorities) == 0 {
			faults = append(faults, errors.New("timestamp.authorities: documents need a time-stamp; name an authority"))
		}
		if s.Roots == "" {
			faults = append(faults, errors.New("sign.roots: name the file of the authorities whose certificates sign documents"))
		}
	}
	return faults
}
