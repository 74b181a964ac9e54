package exchange

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	_ "embed" // the README of evidence packages
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	entry, receipt, body []byte
}

type packageCheckpoint struct {
	evidenceCheckpoint
	note, stamped, token []byte
}

// OpenEvidence reads a package.
func OpenEvidence(b []byte) (*Package, error) {
	p, err := openEvidence(b)
	if err != nil {
		return nil, errs.E(errs.Invalid, "exchange.evidence_unreadable", err)
	}
	return p, nil
}

func openEvidence(b []byte) (*Package, error) {
	files, err := unzip(b)
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
	delete(files, "manifest.json")
	if len(files) != len(m.Files) {
		return nil, errors.New("the manifest does not name exactly the files that are there")
	}
	for name, data := range files {
		if sum := sha256.Sum256(data); m.Files[name] != hex.EncodeToString(sum[:]) {
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
		p.items = append(p.items, packageItem{it, files[it.Entry], files[it.Receipt], files[it.Body]})
	}
	return p, nil
}

// unzip reads all files, bounded in number and size.
func unzip(b []byte) (map[string][]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	if len(z.File) > 1000 {
		return nil, errors.New("too many files")
	}
	files, left := map[string][]byte{}, int64(maxEvidence)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(r, left+1))
		_ = r.Close()
		if err != nil {
			return nil, err
		}
		if left -= int64(len(data)); left < 0 {
			return nil, errors.New("the package is too large")
		}
		if _, dup := files[f.Name]; dup {
			return nil, fmt.Errorf("file %s twice", f.Name)
		}
		files[f.Name] = data
	}
	return files, nil
}
