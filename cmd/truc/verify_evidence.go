package main

import (
	"archive/zip"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/errs"
	"truc/internal/exchange"
	"truc/internal/i18n"
	"truc/internal/pki"
)

// evidenceFile opens a file that is a ZIP and no receipt; nil for any other.
func evidenceFile(path string) (_ *os.File, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	var mark [2]byte
	if _, err := f.ReadAt(mark[:], 0); err != nil || string(mark[:]) != "PK" {
		return nil, f.Close()
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	z, err := zip.NewReader(f, st.Size())
	if err == nil && slices.ContainsFunc(z.File, func(e *zip.File) bool { return e.Name == "records.json" }) {
		return nil, f.Close()
	}
	return f, nil // a damaged one is told as such
}

// evidence tells of each entry of a package what is good, bad or not provided.
func (v verifier) evidence(f *os.File, anchor, roots string) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	pkg, err := exchange.OpenEvidenceFile(f, st.Size())
	if err != nil {
		return v.fail(err)
	}
	trust, note, err := evidenceTrust(pkg, anchor)
	if err != nil {
		return v.fail(err)
	}
	trust.Now = time.Now()
	if roots != "" {
		b, err := os.ReadFile(roots)
		if err != nil {
			return err
		}
		certs, err := pki.DecodePEM(b)
		if err != nil {
			return err
		}
		trust.TSARoots = x509.NewCertPool()
		for _, c := range certs {
			trust.TSARoots.AddCert(c)
		}
	}
	rep := pkg.Verify(trust)
	v.tellEvidence(rep)
	v.say(note)
	if roots == "" {
		v.say("cmd.verify.tsa_not_anchored")
	}
	if !rep.OK {
		return errors.New(v.cat.T(v.lang, "cmd.verify.not_valid"))
	}
	return nil
}

func (v verifier) tellEvidence(rep *exchange.EvidenceReport) {
	verdicts := map[exchange.Verdict]string{
		exchange.Good: v.cat.T(v.lang, "cmd.verify.good"), exchange.Bad: v.cat.T(v.lang, "cmd.verify.bad"), exchange.NotProvided: v.cat.T(v.lang, "cmd.verify.not_provided"),
	}
	items := map[string]string{
		"inclusion": v.cat.T(v.lang, "cmd.verify.item.inclusion"), "signature": v.cat.T(v.lang, "cmd.verify.item.signature"),
		"directory": v.cat.T(v.lang, "cmd.verify.item.directory"), "witnesses": v.cat.T(v.lang, "cmd.verify.item.witnesses"),
		"timestamp": v.cat.T(v.lang, "cmd.verify.item.timestamp"), "body": v.cat.T(v.lang, "cmd.verify.item.body"),
	}
	fmt.Fprintf(v.out, "%s  %s\n", rep.ExchangeID, rep.Node)
	for _, e := range rep.Entries {
		fmt.Fprintf(v.out, "%s  %s/%s  %s → %s  %s\n", i18n.DateTime(e.At), e.Role, e.Direction, e.Client, e.Service, e.Outcome)
		for _, c := range e.Verdicts() {
			more := ""
			switch {
			case c.Name == "signature":
				more = e.Signer
			case c.Name == "witnesses":
				more = strings.Join(e.WitnessedBy, ", ")
			case c.Name == "body" && e.TooLarge:
				more = v.cat.T(v.lang, "cmd.verify.body_too_large")
			case c.Name == "timestamp" && c.Verdict == exchange.Good:
				more = v.cat.T(v.lang, "cmd.verify.before", "at", i18n.DateTime(e.Before))
			}
			fmt.Fprintf(v.out, "  %-28s %-16s %s\n", items[c.Name], verdicts[c.Verdict], more)
		}
		if e.Reason != "" {
			fmt.Fprintf(v.out, "  %s\n", e.Reason)
		}
	}
}

// evidenceTrust takes keys from the directory documents in the package, after checking them against the anchor. Without
// an anchor the package can only be held against itself, and the answer says so.
func evidenceTrust(pkg *exchange.Package, anchor string) (exchange.Trust, string, error) {
	note := "cmd.verify.anchored"
	instance, _, _ := strings.Cut(pkg.Node, "/")
	a := directory.Anchor{Instance: instance, KeyIDs: []string{anchor}}
	if anchor == "" {
		note = "cmd.verify.not_anchored"
		var env directory.Envelope
		if err := json.Unmarshal(pkg.Directory, &env); err != nil {
			return exchange.Trust{}, "", err
		}
		a.KeyIDs = nil
		for _, sig := range env.Signatures {
			a.KeyIDs = append(a.KeyIDs, sig.KeyID)
		}
	}
	doc, _, err := a.Open(pkg.Directory)
	if err != nil {
		return exchange.Trust{}, "", err
	}
	versions := map[int64]*directory.Document{doc.Version: doc}
	for version, b := range pkg.Directories {
		old, _, err := a.Open(b)
		if err != nil {
			return exchange.Trust{}, "", fmt.Errorf("directory document %d: %w", version, err)
		}
		if old.Version != version {
			return exchange.Trust{}, "", fmt.Errorf("directory document %d is version %d", version, old.Version)
		}
		versions[version] = old
	}
	return exchange.Trust{
		Key: func(id string) (exchange.Key, error) { return keyIn(doc, id) },
		KeyAt: func(version int64, id string) (exchange.Key, bool, error) {
			old, ok := versions[version]
			if !ok {
				return exchange.Key{}, false, nil
			}
			k, err := keyIn(old, id)
			return k, true, err
		},
		Witness: func(w exchange.WitnessKey) bool {
			for _, d := range versions {
				for _, known := range d.Witnesses {
					if known.Node == w.Node && known.Key == w.Key {
						return true
					}
				}
			}
			return false
		},
		LogKey: func(server string) (string, error) {
			node, ok := doc.Node(server)
			if !ok {
				return "", errs.E(errs.NotFound, "exchange.member_unknown", nil)
			}
			return node.LogKey, nil
		},
	}, note, nil
}

func keyIn(doc *directory.Document, id string) (exchange.Key, error) {
	node, key, ok := doc.SigningKey(id)
	if !ok {
		return exchange.Key{}, errs.E(errs.NotFound, "exchange.key_unknown", nil)
	}
	pub, err := key.Public()
	k := exchange.Key{ID: id, Public: pub, ServerID: node.ID, Revoked: doc.IsRevoked(id)}
	if key.NotBefore > 0 {
		k.NotBefore = time.Unix(key.NotBefore, 0)
	}
	if key.NotAfter > 0 {
		k.NotAfter = time.Unix(key.NotAfter, 0)
	}
	return k, err
}
