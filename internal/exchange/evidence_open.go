package exchange

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	_ "embed" // the README of evidence packages
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"truc/internal/errs"
)

// evidenceReadme goes into every package.
//
//go:embed evidence_readme.txt
var evidenceReadme string

// Package is an opened evidence package; nothing in it has been believed yet.
type Package struct {
	ExchangeID string
	Node       string
	LogKey     string
	MadeAt     time.Time
	// Directory is the signed document at the time of export, Directories those in force when the entries were made.
	Directory   []byte
	Directories map[int64][]byte
	// TSARoots are the PEM certificates that the package claims its time-stamps lead to.
	TSARoots    []byte
	items       []packageItem
	checkpoints map[int64]packageCheckpoint
}

type packageItem struct {
	evidenceItem
	entry, receipt []byte
	// body is the Content-Digest of the body in the package.
	body string
}

type packageCheckpoint struct {
	evidenceCheckpoint
	note, stamped, token []byte
}

// OpenEvidence reads a package.
func OpenEvidence(b []byte) (*Package, error) {
	return OpenEvidenceFile(bytes.NewReader(b), int64(len(b)))
}

// OpenEvidenceFile reads a package from a file. Of the bodies of messages in it only digests are kept, so that they may be
// of any size.
func OpenEvidenceFile(r io.ReaderAt, size int64) (*Package, error) {
	p, err := openEvidence(r, size)
	if err != nil {
		return nil, errs.E(errs.Invalid, "exchange.evidence_unreadable", err)
	}
	return p, nil
}

func openEvidence(r io.ReaderAt, size int64) (*Package, error) {
	files, sums, err := unzip(r, size)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(files["manifest.json"]))
	dec.DisallowUnknownFields()
	var m evidenceManifest
	if err := dec.Decode(&m); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("bytes behind the manifest")
	}
	if m.Format != evidenceFormat {
		return nil, fmt.Errorf("format %q", m.Format)
	}
	delete(sums, "manifest.json")
	if len(sums) != len(m.Files) {
		return nil, errors.New("the manifest does not name exactly the files that are there")
	}
	for name, sum := range sums {
		if m.Files[name] != hex.EncodeToString(sum) {
			return nil, fmt.Errorf("file %s is not the one the manifest names", name)
		}
	}
	p := &Package{
		ExchangeID: m.ExchangeID, Node: m.Node, LogKey: m.LogKey, MadeAt: time.Unix(m.MadeAt, 0).UTC(), Directory: files["directory.json"],
		Directories: map[int64][]byte{}, TSARoots: files["tsa/roots.pem"], checkpoints: map[int64]packageCheckpoint{},
	}
	for _, v := range m.Directories {
		p.Directories[v] = files[directoryFile(v)]
	}
	for _, c := range m.Checkpoints {
		p.checkpoints[c.Size] = packageCheckpoint{c, files[c.file("note")], files[c.file("stamped")], files[c.file("tst")]}
	}
	for _, it := range m.Entries {
		item := packageItem{it, files[it.Entry], files[it.Receipt], ""}
		if sum := sums[it.Body]; sum != nil && strings.HasPrefix(it.Body, bodyFolder) {
			item.body = "sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"
		}
		p.items = append(p.items, item)
	}
	return p, nil
}

// maxBodies bounds the bodies in a package, which a verifier reads without keeping them.
const maxBodies = 64 << 30

// unzip reads all files, bounded in number and size, with the SHA-256 of each; of bodies it gives that alone.
func unzip(b io.ReaderAt, size int64) (files, sums map[string][]byte, err error) {
	z, err := zip.NewReader(b, size)
	if err != nil {
		return nil, nil, err
	}
	if len(z.File) > 1000 {
		return nil, nil, errors.New("too many files")
	}
	files, sums = map[string][]byte{}, map[string][]byte{}
	left, bodies := int64(maxEvidence), int64(maxBodies)
	for _, f := range z.File {
		if _, dup := sums[f.Name]; dup {
			return nil, nil, fmt.Errorf("file %s twice", f.Name)
		}
		room, kept := &left, new(bytes.Buffer)
		h := sha256.New()
		to := io.Writer(h)
		if strings.HasPrefix(f.Name, bodyFolder) {
			room = &bodies
		} else {
			to = io.MultiWriter(h, kept)
		}
		r, err := f.Open()
		if err != nil {
			return nil, nil, err
		}
		n, err := io.Copy(to, io.LimitReader(r, *room+1))
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, nil, err
		}
		if *room -= n; *room < 0 {
			return nil, nil, errors.New("the package is too large")
		}
		sums[f.Name] = h.Sum(nil)
		if room == &left {
			files[f.Name] = kept.Bytes()
		}
	}
	return files, sums, nil
}
