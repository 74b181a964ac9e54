package exchange

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"truc/internal/errs"
)

// evidenceFormat names the package's layout.
const evidenceFormat = "truc-evidence-1"

// maxEvidence bounds what a verifier reads from a package.
const maxEvidence = 64 << 20

type evidenceManifest struct {
	Format     string         `json:"format"`
	ExchangeID string         `json:"exchange_id"`
	Node       string         `json:"node"`
	LogKey     string         `json:"log_key"`
	MadeAt     int64          `json:"made_at"`
	Entries    []evidenceItem `json:"entries"`
}

type evidenceItem struct {
	Index   int64  `json:"index"`
	Entry   string `json:"entry"`
	Receipt string `json:"receipt"`
	// Person is the opened X-Road-UserId of a request, when the export was asked to give it.
	Person string `json:"person,omitempty"`
}

const evidenceReadme = `Truc evidence package / Gói chứng cứ Truc

manifest.json   what is in the package / nội dung gói
entries/        log entries: who asked whom what, when, on which basis, with digests and signatures
                bản ghi nhật ký: ai hỏi ai, khi nào, căn cứ nào, kèm mã băm và chữ ký
receipts/       proofs that each entry is in the node's log (C2SP tlog-proof)
                chứng minh từng bản ghi nằm trong nhật ký của nút
directory.json  the signed directory document in force at export
                tài liệu danh bạ đã ký có hiệu lực khi xuất

How to check / Cách kiểm tra:   truc verify FILE
By hand: SHA-256 of 0x00 and the entry's bytes is the leaf of the Merkle tree (RFC 6962) that the receipt leads to
the root of; the root is in the checkpoint, signed by log_key. "signature" in an entry is Ed25519 over "base"
(RFC 9421), by the key whose SHA-256 (of the SubjectPublicKeyInfo, base64url) is "key_id" and which the directory
lists for the node. If the base holds "[sealed]", put the person's id from the manifest in its place first.
Bodies are not kept; "content-digest" in the base lets anyone who has the body check it.
`

// EvidenceOptions say what goes into a package.
type EvidenceOptions struct {
	// Persons adds the ids of persons, without which signatures that cover one cannot be checked. Personal data.
	Persons bool
	// Party, when set, is a subsystem: only exchanges in which it took part are given. Part narrows them to one direction.
	Party string
	Part  EvidencePart
}

// Evidence returns a package (ZIP) that proves what this node knows of an exchange. NotFound when it knows nothing.
func (s *Service) Evidence(ctx context.Context, exchangeID string, opt EvidenceOptions) (b []byte, err error) {
	defer errs.Wrap(&err, "evidence")
	if err := s.Flush(ctx); err != nil {
		return nil, err
	}
	rows, err := s.opt.Store.ByExchange(ctx, exchangeID)
	if err != nil {
		return nil, err
	}
	if rows = opt.keep(rows); len(rows) == 0 {
		return nil, errs.E(errs.NotFound, "exchange.evidence_none", nil)
	}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	m := evidenceManifest{Format: evidenceFormat, ExchangeID: exchangeID, Node: s.opt.ServerID, LogKey: s.opt.Log.VerifierKey(), MadeAt: s.now().Unix()}
	for _, row := range rows {
		for _, i := range opt.entries(row) {
			if i < 0 {
				continue
			}
			item, err := s.evidenceEntry(z, i, opt)
			if err != nil {
				return nil, err
			}
			m.Entries = append(m.Entries, item)
		}
	}
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{"manifest.json", manifest}, {"directory.json", s.opt.Directory.State().Envelope}, {"README.txt", []byte(evidenceReadme)}} {
		if err := addFile(z, f.name, f.data); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func (s *Service) evidenceEntry(z *zip.Writer, i int64, opt EvidenceOptions) (item evidenceItem, err error) {
	b, err := s.opt.Log.Entry(i)
	if err != nil {
		return item, err
	}
	receipt, err := s.opt.Log.Receipt(i)
	if err != nil {
		return item, err
	}
	item = evidenceItem{Index: i, Entry: fmt.Sprintf("entries/%d.json", i), Receipt: fmt.Sprintf("receipts/%d.tlog-proof", i)}
	if opt.Persons {
		e, err := decodeEntry(b)
		if err != nil {
			return item, err
		}
		if e.User != "" {
			salt, err := base64.StdEncoding.DecodeString(e.Salt)
			if err != nil {
				return item, err
			}
			if item.Person, err = s.seal.open(e.User, salt); err != nil {
				return item, errs.E(errs.Internal, "exchange.seal_lost", err)
			}
		}
	}
	if err := addFile(z, item.Entry, b); err != nil {
		return item, err
	}
	return item, addFile(z, item.Receipt, receipt)
}

func addFile(z *zip.Writer, name string, data []byte) error {
	w, err := z.Create(name)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// Package is an opened evidence package; nothing in it has been believed yet.
type Package struct {
	ExchangeID string
	Node       string
	LogKey     string
	MadeAt     time.Time
	// Directory is the signed document at the time of export.
	Directory []byte
	items     []packageItem
}

type packageItem struct {
	evidenceItem
	entry, receipt []byte
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
	var m evidenceManifest
	if err := json.Unmarshal(files["manifest.json"], &m); err != nil {
		return nil, err
	}
	if m.Format != evidenceFormat {
		return nil, fmt.Errorf("format %q", m.Format)
	}
	p := &Package{ExchangeID: m.ExchangeID, Node: m.Node, LogKey: m.LogKey, MadeAt: time.Unix(m.MadeAt, 0).UTC(), Directory: files["directory.json"]}
	for _, it := range m.Entries {
		p.items = append(p.items, packageItem{evidenceItem: it, entry: files[it.Entry], receipt: files[it.Receipt]})
	}
	return p, nil
}
