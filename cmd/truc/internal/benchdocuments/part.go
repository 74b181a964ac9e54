package benchdocuments

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"time"

	"truc/cmd/truc/internal/host"
	"truc/internal/blobs"
	"truc/internal/documents/axis"
	"truc/internal/documents/axisapi"
	"truc/internal/documents/axisstore"
	"truc/internal/documents/documentsapi"
	"truc/internal/documents/receipt"
	"truc/internal/documents/receiptstore"
	"truc/internal/i18n"
	"truc/internal/storage"
	"truc/lang"
)

const (
	roleHub  = "hub"
	roleBare = "bare"
)

// partConfig is the first line a part reads.
type partConfig struct {
	Role, Dir, Profile string
	// Workers and Receivers are how many systems and agencies the hub registers.
	Workers, Receivers int
}

// question is each further line.
type question struct {
	// Reset forgets the peak of memory.
	Reset bool
	// Passes of the bare work over File are asked for, by Workers side by side.
	Passes, Workers int
	File            string
	// Begin and Length are where the base64 text of the attachment stands in it.
	Begin, Length int64
}

// reply is what a part says: where it listens and with whom, then how it fares.
type reply struct {
	Addr    string            `json:",omitempty"`
	Secrets map[string]string `json:",omitempty"`
	// CPU is in µs since the start, Took in ns.
	CPU, Peak, Took int64
	Err             string `json:",omitempty"`
}

// Part is a process of the benchmark: it reads from in what it is to be, and lives until in ends.
func Part(ctx context.Context, in io.Reader, out, logTo io.Writer, now func() time.Time) (err error) {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return errors.New("a part is started by the benchmark only")
	}
	var c partConfig
	if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	first := reply{}
	if c.Role == roleHub {
		h, err := startHub(ctx, c, slog.New(slog.NewJSONHandler(logTo, &slog.HandlerOptions{Level: slog.LevelWarn})), now)
		if err != nil {
			return errors.Join(err, enc.Encode(reply{Err: err.Error()}))
		}
		defer func() { err = errors.Join(err, h.close()) }()
		first.Addr, first.Secrets = h.addr, h.secrets
	}
	if c.Profile != "" {
		f, err := os.Create(filepath.Join(c.Profile, fmt.Sprintf("%s-%d.pprof", c.Role, c.Receivers)))
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(err, f.Close())
		}
		defer func() { pprof.StopCPUProfile(); err = errors.Join(err, f.Close()) }()
	}
	if err := enc.Encode(first); err != nil {
		return err
	}
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return err
		}
		if err := enc.Encode(answer(q, c.Dir, now)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func answer(q question, dir string, now func() time.Time) (r reply) {
	if q.Reset {
		host.ResetPeak()
	}
	if q.Passes > 0 {
		start := now()
		if err := bareWork(q, dir); err != nil {
			r.Err = err.Error()
		}
		r.Took = int64(now().Sub(start))
	}
	r.CPU, r.Peak = host.CPUTime().Microseconds(), host.PeakRSS()
	return r
}

// bareWork does what nobody can do without who takes in a document: read it, decode and hash what is attached, write it and wait for
// the disk. Where the base64 text stands is known beforehand, and blocks are as large as the hub's.
func bareWork(q question, dir string) error {
	var wg sync.WaitGroup
	failed := make([]error, q.Workers)
	for w := range q.Workers {
		wg.Go(func() {
			for i := w; i < q.Passes && failed[w] == nil; i += q.Workers {
				failed[w] = barePass(q, filepath.Join(dir, fmt.Sprintf("bare-%d-%d", w, i)))
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

func barePass(q question, to string) (err error) {
	in, err := os.Open(q.File)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	defer func() { err = errors.Join(err, in.Close(), out.Close(), os.Remove(to)) }()
	if _, err := io.CopyN(out, in, q.Begin); err != nil {
		return err
	}
	h, text, raw := sha256.New(), make([]byte, 64<<10), make([]byte, 48<<10)
	for left := q.Length; left > 0; {
		block := text[:min(left, int64(len(text)))]
		if _, err := io.ReadFull(in, block); err != nil {
			return err
		}
		left -= int64(len(block))
		n, err := base64.StdEncoding.Decode(raw, block)
		if err != nil {
			return err
		}
		h.Write(raw[:n])
		if _, err := out.Write(block); err != nil {
			return err
		}
	}
	h.Sum(nil)
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

// hub is the running axis.
type hub struct {
	addr    string
	secrets map[string]string
	close   func() error
}

// nobody records acts: there are none beside the registration.
type nobody struct{}

// Act implements [axis.Audit].
func (nobody) Act(context.Context, axis.Tx, string, string, string) error { return nil }

func startHub(ctx context.Context, c partConfig, log *slog.Logger, now func() time.Time) (_ *hub, err error) {
	db, err := storage.Open(ctx, "sqlite:"+filepath.Join(c.Dir, "axis.db"), storage.Options{})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	for module, files := range map[string]fs.FS{"axis": axisstore.Migrations, "receipt": receiptstore.Migrations} {
		migrations, err := fs.Sub(files, "migrations")
		if err != nil {
			return nil, err
		}
		if err := storage.Migrate(ctx, db, module, migrations, now()); err != nil {
			return nil, err
		}
	}
	files, err := blobs.Open(filepath.Join(c.Dir, "blobs"))
	if err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	receipts := &receipt.Service{
		Store: &receiptstore.Store{DB: db}, Node: "VN/GOV/G22/center", Key: func() (crypto.Signer, string) { return key, "bench" },
		Directory: func() (int64, []byte) { return 1, nil }, DirectoryAt: func(int64) []byte { return nil }, Now: now, Log: log,
	}
	h := &axis.Hub{
		Store: &axisstore.Store{DB: db}, Blobs: files,
		Issuer: &documentsapi.Issuer{Receipts: receipts, Courier: &documentsapi.Courier{Subsystem: "axis", Blobs: files}},
		Audit:  nobody{}, SealKey: make([]byte, 32), Secrecy: axis.DefaultSecrecy(), Now: now, Log: log,
	}
	texts, err := i18n.Load(lang.FS)
	if err != nil {
		return nil, err
	}
	out := &hub{secrets: map[string]string{}}
	if err := out.register(ctx, h, c); err != nil {
		return nil, err
	}
	api := &axisapi.API{Hub: h, Blobs: files, Texts: texts, Plain: true, Now: now, Log: log}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	srv := api.Server(log, false)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(axisapi.Tolerant(l)) }()
	out.addr = "http://" + l.Addr().String() + axisapi.DefaultPrefix
	out.close = func() error {
		err := srv.Close()
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return errors.Join(err, db.Close())
	}
	return out, nil
}

// register gives each worker a sending system with an agency, and a receiving system with as many as are needed.
func (o *hub) register(ctx context.Context, h *axis.Hub, c partConfig) error {
	for w := range c.Workers {
		for _, s := range []struct {
			id    string
			codes []string
		}{{senderID(w), []string{senderCode(w)}}, {receiverID(w), receiverCodes(w, c.Receivers)}} {
			secret, err := h.AddSystem(ctx, "bench", axis.SystemForm{ID: s.id, Name: s.id})
			if err != nil {
				return err
			}
			o.secrets[s.id] = secret
			for _, code := range s.codes {
				if _, err := h.AdmitAgency(ctx, "bench", axis.AgencyForm{Code: code, Name: "Cơ quan " + code, Owner: axis.VXP(s.id)}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func senderID(w int) string   { return fmt.Sprintf("gui.%02d", w) }
func receiverID(w int) string { return fmt.Sprintf("nhan.%02d", w) }
func senderCode(w int) string { return fmt.Sprintf("H99.%02d", w+1) }

func receiverCodes(w, n int) []string {
	codes := make([]string, n)
	for i := range codes {
		codes[i] = fmt.Sprintf("G98.%02d.%03d", w+1, i+1)
	}
	return codes
}
