package exchange

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"truc/internal/errs"
	"truc/internal/exchange/notary"
	"truc/internal/pki"
	"truc/internal/sign"
	"truc/internal/translog"
)

// evidenceFormat names the package's layout.
const evidenceFormat = "truc-evidence-2"

// maxEvidence bounds what a verifier reads from a package.
const maxEvidence = 256 << 20

type evidenceManifest struct {
	Format      string               `json:"format"`
	ExchangeID  string               `json:"exchange_id"`
	Node        string               `json:"node"`
	LogKey      string               `json:"log_key"`
	MadeAt      int64                `json:"made_at"`
	Entries     []evidenceItem       `json:"entries"`
	Checkpoints []evidenceCheckpoint `json:"checkpoints"`
	// Directories are the versions of the directory document in directory/VERSION.json; directory.json is the newest.
	Directories []int64 `json:"directories"`
	// Files holds the hex SHA-256 of every other file.
	Files map[string]string `json:"files"`
}

type evidenceItem struct {
	Index   int64  `json:"index"`
	Entry   string `json:"entry"`
	Receipt string `json:"receipt"`
	// Checkpoint is the tree size of the confirmed checkpoint that the receipt leads to; 0 when none is confirmed.
	Checkpoint int64 `json:"checkpoint"`
	// Person is the opened X-Road-UserId of a request, when the export was asked to give it.
	Person string `json:"person,omitempty"`
	// Body is the file of the message's body, when it was kept and asked for.
	Body string `json:"body,omitempty"`
}

// evidenceCheckpoint is a checkpoint with its confirmations: checkpoints/SIZE.note is the note with cosignatures,
// checkpoints/SIZE.stamped the exact bytes under the time-stamp, checkpoints/SIZE.tst the token.
type evidenceCheckpoint struct {
	Size int64 `json:"size"`
	// Witnesses are those whose cosignatures the note carries.
	Witnesses []WitnessKey `json:"witnesses"`
	Stamped   bool         `json:"stamped"`
	Authority string       `json:"authority"`
}

func (c evidenceCheckpoint) file(kind string) string {
	return "checkpoints/" + strconv.FormatInt(c.Size, 10) + "." + kind
}

// EvidenceOptions say what goes into a package.
type EvidenceOptions struct {
	// Persons adds the ids of persons, without which signatures that cover one cannot be checked. Personal data.
	Persons bool
	// Party, when set, is a subsystem: only exchanges in which it took part are given. Part narrows them to one direction.
	Party string
	Part  EvidencePart
	// Bodies adds the bodies of messages as far as they were kept. They may hold personal data.
	Bodies bool
}

// WitnessKey names a witness and the key of its cosignatures (a note verifier key).
type WitnessKey struct {
	Node string `json:"node"`
	Key  string `json:"key"`
}

// EvidenceSources give what a package holds beyond the log itself; each may be nil.
type EvidenceSources struct {
	// Notary knows the confirmed checkpoints.
	Notary interface {
		Confirmed(ctx context.Context, index int64) (notary.Row, error)
		RootsOf(authority string) []byte
	}
	// Directory returns the signed directory document of a version; nil when it was not kept.
	Directory func(version int64) []byte
	// Witnesses lists the witnesses of the network.
	Witnesses func() []WitnessKey
}

// SetSources says where evidence packages take what is not in the log.
func (s *Service) SetSources(src EvidenceSources) { s.sources.Store(&src) }

// packer writes one package.
type packer struct {
	s     *Service
	src   EvidenceSources
	opt   EvidenceOptions
	m     evidenceManifest
	files map[string][]byte
	// bodies are read twice, once for their hash and once for the package, because they may not fit into memory.
	bodies map[string]*Entry
}

// Evidence returns a package (ZIP) that proves what this node knows of an exchange. NotFound when it knows nothing.
func (s *Service) Evidence(ctx context.Context, exchangeID string, opt EvidenceOptions) ([]byte, error) {
	var buf bytes.Buffer
	if err := s.WriteEvidence(ctx, &buf, exchangeID, opt); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// WriteEvidence is [Service.Evidence] for packages whose bodies may be of any size. Nothing is written when it returns
// NotFound.
func (s *Service) WriteEvidence(ctx context.Context, w io.Writer, exchangeID string, opt EvidenceOptions) (err error) {
	defer errs.Wrap(&err, "evidence")
	if err := s.Flush(ctx); err != nil {
		return err
	}
	rows, err := s.opt.Store.ByExchange(ctx, exchangeID)
	if err != nil {
		return err
	}
	if rows = opt.keep(rows); len(rows) == 0 {
		return errs.E(errs.NotFound, "exchange.evidence_none", nil)
	}
	p := &packer{s: s, opt: opt, files: map[string][]byte{}, bodies: map[string]*Entry{}, m: evidenceManifest{
		Format: evidenceFormat, ExchangeID: exchangeID, Node: s.opt.ServerID, LogKey: s.opt.Log.VerifierKey(), MadeAt: s.now().Unix(),
		Checkpoints: []evidenceCheckpoint{}, Directories: []int64{},
	}}
	if src := s.sources.Load(); src != nil {
		p.src = *src
	}
	var indexes []int64
	for _, row := range rows {
		of, err := s.ownEntries(&row, opt.entries(row))
		if err != nil {
			return err
		}
		indexes = append(indexes, of...)
	}
	if len(indexes) == 0 {
		return errs.E(errs.NotFound, "exchange.evidence_elsewhere", nil)
	}
	slices.SortFunc(indexes, func(a, b int64) int { return int(b - a) }) // the last first: its confirmation covers all
	for _, i := range indexes {
		if err := p.entry(ctx, i); err != nil {
			return err
		}
	}
	slices.Reverse(p.m.Entries)
	p.files["directory.json"] = s.opt.Directory.State().Envelope
	p.files["README.txt"] = []byte(evidenceReadme)
	if note := s.opt.Log.Pruned(); note != nil {
		p.files["pruned.note"] = note
	}
	return p.zip(ctx, w)
}

// ownEntries returns those of a row's entries that are in this process's log. Several processes of an agency share an
// index, and each has a log of its own, in which an index names another entry.
func (s *Service) ownEntries(m *Message, indexes []int64) ([]int64, error) {
	var out []int64
	for _, i := range indexes {
		if i < 0 || i >= s.opt.Log.Size() {
			continue
		}
		b, err := s.opt.Log.Entry(i)
		if errors.Is(err, translog.ErrPruned) {
			out = append(out, i) // who asks is told that it was
			continue
		}
		if err != nil {
			return nil, err
		}
		if e, err := decodeEntry(b); err == nil && e.ExchangeID == m.ExchangeID && e.RequestID == m.RequestID && e.Role == m.Role {
			out = append(out, i)
		}
	}
	return out, nil
}

func (p *packer) entry(ctx context.Context, i int64) error {
	b, err := p.s.opt.Log.Entry(i)
	if errors.Is(err, translog.ErrPruned) {
		return errs.E(errs.NotFound, "exchange.evidence_pruned", err)
	}
	if err != nil {
		return err
	}
	e, err := decodeEntry(b)
	if err != nil {
		return err
	}
	item := evidenceItem{Index: i, Entry: fmt.Sprintf("entries/%d.json", i), Receipt: fmt.Sprintf("receipts/%d.tlog-proof", i)}
	receipt, err := p.confirm(ctx, &item)
	if err != nil {
		return err
	}
	p.files[item.Entry], p.files[item.Receipt] = b, receipt
	if p.opt.Persons && e.User != "" {
		salt, err := base64.StdEncoding.DecodeString(e.Salt)
		if err != nil {
			return err
		}
		if item.Person, err = p.s.seal.open(e.User, salt); err != nil {
			return errs.E(errs.Internal, "exchange.seal_lost", err)
		}
	}
	if p.opt.Bodies {
		body, err := p.s.keptBody(ctx, e)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
		if err == nil {
			item.Body = fmt.Sprintf("%s%d", bodyFolder, i)
			p.bodies[item.Body] = e
			if err := body.Close(); err != nil {
				return err
			}
		}
	}
	if p.src.Directory != nil && !slices.Contains(p.m.Directories, e.Directory) {
		if doc := p.src.Directory(e.Directory); doc != nil {
			p.m.Directories = append(p.m.Directories, e.Directory)
			p.files[directoryFile(e.Directory)] = doc
		}
	}
	p.m.Entries = append(p.m.Entries, item)
	return nil
}

func directoryFile(version int64) string {
	return "directory/" + strconv.FormatInt(version, 10) + ".json"
}

// confirm makes the receipt of an entry, to a checkpoint that others have confirmed when there is one.
func (p *packer) confirm(ctx context.Context, item *evidenceItem) ([]byte, error) {
	for _, c := range p.m.Checkpoints { // one that is in the package covers the entry too, if it is not much later
		if c.Size > item.Index {
			item.Checkpoint = c.Size
			return p.s.opt.Log.ReceiptIn(item.Index, c.Size, p.files[c.file("note")])
		}
	}
	if p.src.Notary == nil {
		return p.s.opt.Log.Receipt(item.Index)
	}
	row, err := p.src.Notary.Confirmed(ctx, item.Index)
	if errs.Is(err, errs.NotFound) {
		return p.s.opt.Log.Receipt(item.Index)
	}
	if err != nil {
		return nil, err
	}
	if err := p.checkpoint(row); err != nil {
		return nil, err
	}
	item.Checkpoint = row.Size
	return p.s.opt.Log.ReceiptIn(item.Index, row.Size, row.Note)
}

func (p *packer) checkpoint(row notary.Row) error {
	c := evidenceCheckpoint{Size: row.Size, Witnesses: []WitnessKey{}, Stamped: row.Token != nil, Authority: row.Authority}
	p.files[c.file("note")] = row.Note
	if p.src.Witnesses != nil {
		for _, w := range p.src.Witnesses() {
			if _, err := translog.VerifyCosignature(row.Note, w.Key); err == nil {
				c.Witnesses = append(c.Witnesses, w)
			}
		}
	}
	if c.Stamped {
		bare, err := translog.StripCosignatures(row.Note, p.m.LogKey)
		if err != nil {
			return err
		}
		p.files[c.file("stamped")], p.files[c.file("tst")] = bare, row.Token
		certs, err := sign.TimestampCertificates(row.Token)
		if err != nil {
			return err
		}
		p.files["tsa/chain.pem"] = append(p.files["tsa/chain.pem"], pki.EncodePEM(certs...)...)
		if roots := p.src.Notary.RootsOf(row.Authority); roots != nil && p.files["tsa/roots.pem"] == nil {
			p.files["tsa/roots.pem"] = roots
		}
	}
	p.m.Checkpoints = append(p.m.Checkpoints, c)
	return nil
}

// bodyFolder holds the bodies of messages in a package.
const bodyFolder = "bodies/"

func (p *packer) zip(ctx context.Context, out io.Writer) error {
	p.m.Files = map[string]string{}
	for name, data := range p.files {
		sum := sha256.Sum256(data)
		p.m.Files[name] = hex.EncodeToString(sum[:])
	}
	for name, e := range p.bodies {
		h := sha256.New()
		if err := p.copyBody(ctx, h, e); err != nil {
			return err
		}
		p.m.Files[name] = hex.EncodeToString(h.Sum(nil))
	}
	manifest, err := json.MarshalIndent(p.m, "", "  ")
	if err != nil {
		return err
	}
	z := zip.NewWriter(out)
	if err := addFile(z, "manifest.json", manifest); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		if err := addFile(z, name, p.files[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.bodies)) {
		w, err := z.Create(name)
		if err != nil {
			return err
		}
		if err := p.copyBody(ctx, w, p.bodies[name]); err != nil {
			return err
		}
	}
	return z.Close()
}

func (p *packer) copyBody(ctx context.Context, w io.Writer, e *Entry) error {
	r, err := p.s.keptBody(ctx, e)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, readerWithContext{ctx, r})
	return errors.Join(err, r.Close())
}

// readerWithContext ends with its context.
type readerWithContext struct {
	ctx context.Context //nolint:containedctx // it lives as long as one copy
	io.Reader
}

// Read implements [io.Reader].
func (r readerWithContext) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func addFile(z *zip.Writer, name string, data []byte) error {
	w, err := z.Create(name)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
