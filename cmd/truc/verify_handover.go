package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"truc/internal/directory"
	"truc/internal/documents/receipt"
	"truc/internal/i18n"
	"truc/internal/pki"
)

// handover checks a receipt for what happened to an official document on its way.
func (v verifier) handover(content []byte, anchor, roots, document string) error {
	trust := receipt.Trust{Now: time.Now(), Keys: func(b json.RawMessage) (func(string) (receipt.Key, error), error) { return keysOf(b, anchor) }}
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
	rep, err := receipt.Verify(content, trust)
	if err != nil {
		return v.fail(err)
	}
	if document != "" {
		sum, err := fileDigest(document)
		if err != nil {
			return err
		}
		if sum != rep.SHA256 {
			return errors.New(v.cat.T(v.lang, "cmd.verify.handover.other_document"))
		}
		v.say("cmd.verify.handover.this_document")
	}
	events := map[receipt.Event]string{
		receipt.Accepted: v.cat.T(v.lang, "cmd.verify.handover.accepted"), receipt.Delivered: v.cat.T(v.lang, "cmd.verify.handover.delivered"),
		receipt.Opened: v.cat.T(v.lang, "cmd.verify.handover.opened"), receipt.Refused: v.cat.T(v.lang, "cmd.verify.handover.refused"),
	}
	fmt.Fprintf(v.out, "%s  %s\n", i18n.DateTime(rep.At), events[rep.Event])
	for _, l := range [][2]string{
		{"document", rep.DocumentID}, {"from", rep.From}, {"to", strings.Join(rep.To, ", ")}, {"reason", rep.Reason}, {"id", rep.DocID}, {"copy", rep.Copy}, {"sha256", rep.SHA256}, {"journal", rep.Journal}, {"issuer", rep.Issuer},
	} {
		if l[1] != "" {
			fmt.Fprintf(v.out, "  %-10s %s\n", l[0], l[1])
		}
	}
	if rep.Pending {
		v.say("cmd.verify.handover.pending")
	} else {
		v.say("cmd.verify.handover.stamped", "at", i18n.DateTime(rep.StampedAt), "authority", rep.Authority)
	}
	if rep.Revoked {
		v.say("cmd.verify.handover.revoked")
	}
	if anchor == "" {
		v.say("cmd.verify.not_anchored")
	} else {
		v.say("cmd.verify.anchored")
	}
	if rep.OwnRoots {
		v.say("cmd.verify.tsa_not_anchored")
	}
	return nil
}

// keysOf opens the directory of a receipt: signed by the key the reader knows, or, without one, by a key it names itself.
func keysOf(envelope []byte, anchor string) (func(string) (receipt.Key, error), error) {
	peek, err := directory.Peek(envelope)
	if err != nil {
		return nil, err
	}
	a := peek.Anchor()
	if anchor != "" {
		a.KeyIDs = []string{anchor}
	}
	doc, _, err := a.Open(envelope)
	if err != nil {
		return nil, err
	}
	return func(kid string) (receipt.Key, error) {
		k, err := keyIn(doc, kid)
		return receipt.Key{Node: k.ServerID, Public: k.Public, NotBefore: k.NotBefore, NotAfter: k.NotAfter, Revoked: k.Revoked}, err
	}, nil
}

func fileDigest(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it is only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
