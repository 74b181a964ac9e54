package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"truc/internal/audit"
	"truc/internal/documents/receipt"
	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/pki"
	"truc/internal/sign"
	"truc/lang"
)

// verify checks a file offline. What it is shows in its first bytes: a receipt for a hand-over of a document or
// for a reading of personal data, an evidence package or a PDF.
func verify(_ context.Context, s streams, args []string) error {
	fs := flag.NewFlagSet("verify", flag.ContinueOnError)
	fs.SetOutput(s.err)
	language := fs.String("lang", "vi", "language of the answer: vi or en")
	roots := fs.String("roots", "", "PEM file of authorities to trust, for signed PDF files and for the time-stamps of evidence packages")
	anchor := fs.String("anchor", "", "key id of the network's directory key, for evidence packages")
	document := fs.String("document", "", "edXML file that a receipt for a hand-over must be about")
	var keys stringList
	fs.Var(&keys, "key", "verifier key of the log to trust, for receipts; may be repeated")
	files, rest := []string{}, args
	for len(rest) > 0 { // options may stand before or behind the file
		if err := fs.Parse(rest); err != nil {
			return errUsageOr(err)
		}
		rest = fs.Args()
		if len(rest) > 0 {
			files, rest = append(files, rest[0]), rest[1:]
		}
	}
	if len(files) != 1 {
		fmt.Fprintln(s.err, "usage: truc verify FILE [-key VKEY] [-roots CA.pem] [-anchor KEYID] [-document FILE.edxml] [-lang vi|en]")
		return errUsage
	}
	cat, err := i18n.Load(lang.FS)
	if err != nil {
		return err
	}
	v := verifier{streams: s, cat: cat, lang: *language}
	if pkg, err := evidenceFile(files[0]); err != nil {
		return err
	} else if pkg != nil { // it may be far larger than memory
		defer pkg.Close() //nolint:errcheck // only read
		return v.evidence(pkg, *anchor, *roots)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	switch {
	case receipt.IsFile(content):
		return v.handover(content, *anchor, *roots, *document)
	case bytes.HasPrefix(content, []byte("%PDF-")):
		return v.pdf(content, *roots)
	case bytes.HasPrefix(content, []byte("PK")):
		return v.receipt(content, keys)
	}
	return errors.New("the file is neither a receipt of either kind, nor an evidence package, nor a PDF")
}

type stringList []string

func (l *stringList) String() string     { return fmt.Sprint([]string(*l)) }
func (l *stringList) Set(v string) error { *l = append(*l, v); return nil }

type verifier struct {
	streams
	cat  *i18n.Catalogue
	lang string
}

func (v verifier) say(key string, args ...any) { fmt.Fprintln(v.out, v.cat.T(v.lang, key, args...)) }

// fail turns an error with a message key into a sentence.
func (v verifier) fail(err error) error {
	key, args := errs.KeyOf(err)
	if v.cat.Has(v.lang, key) && key != "error.internal" {
		return errors.New(v.cat.T(v.lang, key, args...))
	}
	return err
}

func (v verifier) receipt(content []byte, keys []string) error {
	rep, err := audit.VerifyReceipt(content, audit.VerifyOptions{TrustedVKeys: keys})
	if err != nil {
		return v.fail(err)
	}
	for _, l := range rep.Lines {
		fmt.Fprintf(v.out, "%s  %s (%s)  %s  %v\n", i18n.DateTime(l.Time), l.AgencyName, l.Agency, l.Purpose, l.Fields)
		if l.Dossier != "" {
			fmt.Fprintf(v.out, "  %s: %s\n", v.cat.T(v.lang, "cmd.verify.dossier"), l.Dossier)
		}
	}
	for _, st := range rep.Statements {
		v.say(st.Key, st.Args...)
	}
	return nil
}

func (v verifier) pdf(content []byte, rootsFile string) error {
	opt := sign.VerifyOptions{Now: time.Now}
	if rootsFile != "" {
		b, err := os.ReadFile(rootsFile)
		if err != nil {
			return err
		}
		certs, err := pki.DecodePEM(b)
		if err != nil {
			return err
		}
		opt.Roots, opt.TSARoots = x509.NewCertPool(), x509.NewCertPool()
		for _, c := range certs {
			opt.Roots.AddCert(c)
			opt.TSARoots.AddCert(c)
		}
	}
	reports, err := sign.VerifyPDF(content, opt)
	if err != nil {
		return v.fail(err)
	}
	if len(reports) == 0 {
		return errors.New(v.cat.T(v.lang, "cmd.verify.no_signature"))
	}
	good := true
	for _, r := range reports {
		fmt.Fprintf(v.out, "%d. %s – ", r.Order, r.Signer)
		v.say(r.Verdict.Key, r.Verdict.Args...)
		for _, note := range r.Notes {
			fmt.Fprint(v.out, "   ")
			v.say(note.Key, note.Args...)
		}
		good = good && r.State == sign.Valid
	}
	if !good {
		return errors.New(v.cat.T(v.lang, "cmd.verify.not_valid"))
	}
	return nil
}
