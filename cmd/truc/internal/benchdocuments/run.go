package benchdocuments

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"truc/cmd/truc/internal/host"
)

// process is a part, seen from the benchmark.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	first reply
}

func start(ctx context.Context, opt Options, c partConfig) (p *process, err error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, opt.Command[0], opt.Command[1:]...) //nolint:gosec // this very program
	cmd.Stderr, cmd.WaitDelay = opt.Log, 5*time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p = &process{name: c.Role, cmd: cmd, in: in, lines: bufio.NewScanner(out)}
	if p.first, err = p.ask(c); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// ask writes a line and reads the answer.
func (p *process) ask(q any) (r reply, err error) {
	if err := json.NewEncoder(p.in).Encode(q); err != nil {
		return r, fmt.Errorf("%s: %w", p.name, err)
	}
	if !p.lines.Scan() {
		return r, fmt.Errorf("%s: %w", p.name, errors.Join(p.lines.Err(), io.ErrUnexpectedEOF))
	}
	if err := json.Unmarshal(p.lines.Bytes(), &r); err != nil {
		return r, err
	}
	if r.Err != "" {
		return r, fmt.Errorf("%s: %s", p.name, r.Err)
	}
	return r, nil
}

// stop ends the part's input, at which it ends, and waits for it.
func (p *process) stop() error {
	_ = p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// Run measures each number of receivers, and the one document to many.
func Run(ctx context.Context, opt Options) (_ *Report, err error) {
	if opt.Size < 16 || len(opt.Receivers) == 0 || opt.Rounds < 1 || opt.Workers < 1 || opt.Workers > 50 || slices.Min(opt.Receivers) < 1 || slices.Max(opt.Receivers) > 500 {
		return nil, errors.New("give a size of 16 bytes or more, 1 to 500 receivers, one round or more and 1 to 50 workers")
	}
	r := &Report{
		Machine: host.This(), AttachmentBytes: opt.Size, Rounds: opt.Rounds, Workers: opt.Workers,
		Real: []string{
			"VXP protocol over TCP with its signatures and hashes", "messages checked, attachments decoded and hashed", "payloads on the disk before the answer",
			"copies, journal and signed receipts in SQLite with synchronous=FULL",
		},
		NotReal: []string{"no TLS", "receipts wait for their time-stamp", "no exchange: both sides are systems of the VXP protocol", "clients share the machine"},
	}
	bare, err := start(ctx, opt, partConfig{Role: roleBare, Dir: filepath.Join(opt.Dir, "bare")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	for _, n := range opt.Receivers {
		l, err := level(ctx, opt, n, bare, r)
		if err != nil {
			return nil, fmt.Errorf("%d receivers: %w", n, err)
		}
		r.Levels = append(r.Levels, *l)
	}
	if opt.Same > 0 {
		if r.Same, err = same(ctx, opt); err != nil {
			return nil, fmt.Errorf("one document to %d: %w", opt.Same, err)
		}
	}
	return r, nil
}

// turn is what one round took.
type turn struct{ wall, cpu, bareWall, bareCPU float64 } // ms; of a document, and of a pass

func level(ctx context.Context, opt Options, receivers int, bare *process, r *Report) (_ *Level, err error) {
	dir := filepath.Join(opt.Dir, fmt.Sprintf("hub-%d", receivers))
	hub, err := start(ctx, opt, partConfig{Role: roleHub, Dir: dir, Profile: opt.Profile, Workers: opt.Workers, Receivers: receivers})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, hub.stop(), os.RemoveAll(dir)) }()
	workers := make([]*worker, opt.Workers)
	for i := range workers {
		if workers[i], err = newWorker(i, hub.first, receivers, opt.Size, opt.Now); err != nil {
			return nil, err
		}
		defer workers[i].close()
	}
	file := filepath.Join(opt.Dir, "message")
	if err := os.WriteFile(file, workers[0].document, 0o600); err != nil {
		return nil, err
	}
	r.MessageBytes = len(workers[0].document)
	begin, length, err := content(workers[0].document)
	if err != nil {
		return nil, err
	}
	documents := opt.Documents
	if documents == 0 {
		documents = max(opt.Workers, 100/receivers)
	}
	if err := together(workers, opt.Workers); err != nil { //nolint:contextcheck // the SDK's client knows none; the first ones pay for connections and pages
		return nil, err
	}
	for _, w := range workers {
		clear(w.took)
	}
	before, err := hub.ask(question{Reset: true})
	if err != nil {
		return nil, err
	}
	var turns []turn
	for round := range opt.Rounds {
		var t turn
		measure := []func() error{
			func() error { //nolint:contextcheck // as above
				start := opt.Now()
				if err := together(workers, documents); err != nil {
					return err
				}
				t.wall = float64(opt.Now().Sub(start)) / 1e6 / float64(documents)
				after, err := hub.ask(question{})
				t.cpu = float64(after.CPU-before.CPU) / 1e3 / float64(documents)
				return err
			},
			func() error {
				passes := max(documents, min(documents*(1+receivers), 100))
				from, err := bare.ask(question{})
				if err != nil {
					return err
				}
				to, err := bare.ask(question{Passes: passes, Workers: opt.Workers, File: file, Begin: begin, Length: length})
				t.bareWall, t.bareCPU = float64(to.Took)/1e6/float64(passes), float64(to.CPU-from.CPU)/1e3/float64(passes)
				return err
			},
		}
		if round%2 == 1 { // who begins changes
			slices.Reverse(measure)
		}
		for _, f := range measure {
			if before, err = hub.ask(question{}); err != nil {
				return nil, err
			}
			if err := f(); err != nil {
				return nil, err
			}
		}
		turns = append(turns, t)
	}
	end, err := hub.ask(question{})
	if err != nil {
		return nil, err
	}
	l := sum(turns, receivers, r.MessageBytes)
	l.Documents, l.PeakRSSBytes, l.Steps = documents*opt.Rounds, end.Peak, steps(workers)
	return l, nil
}

// content finds the base64 text of the attachment.
func content(message []byte) (begin, length int64, err error) {
	at := bytes.LastIndex(message[:len(message)-100], []byte("ContentTransferEncoded xmlns"))
	if at < 0 {
		return 0, 0, errors.New("the message has no attachment")
	}
	at += bytes.IndexByte(message[at:], '>') + 1
	return int64(at), int64(bytes.IndexByte(message[at:], '<')), nil
}

// sum takes the medians of the rounds.
func sum(turns []turn, receivers, message int) *Level {
	median := func(f func(t turn) float64) float64 {
		v := make([]float64, len(turns))
		for i, t := range turns {
			v[i] = f(t)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	handed := float64(1 + receivers)
	mb := float64(message) * handed / 1e6
	wall, cpu := median(func(t turn) float64 { return t.wall }), median(func(t turn) float64 { return t.cpu })
	return &Level{
		Receivers: receivers, DocumentsPerSecond: 1e3 / wall, CopiesPerSecond: 1e3 / wall * float64(receivers), MBPerSecond: 1e3 / wall * mb,
		CPUms: cpu, CPUmsPerMB: cpu / mb,
		BarePassMs: median(func(t turn) float64 { return t.bareWall }), BarePassCPUms: median(func(t turn) float64 { return t.bareCPU }),
		Ratio: median(func(t turn) float64 { return t.wall / t.bareWall / handed }), CPURatio: median(func(t turn) float64 { return t.cpu / t.bareCPU / handed }),
		RatioOnce: median(func(t turn) float64 { return t.wall / t.bareWall }), CPURatioOnce: median(func(t turn) float64 { return t.cpu / t.bareCPU }),
	}
}

// same sends one large document to many receivers, lets each fetch it, and counts what is stored.
func same(ctx context.Context, opt Options) (_ *Same, err error) {
	dir := filepath.Join(opt.Dir, "same")
	hub, err := start(ctx, opt, partConfig{Role: roleHub, Dir: dir, Workers: 1, Receivers: opt.Same})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, hub.stop(), os.RemoveAll(dir)) }()
	w, err := newWorker(0, hub.first, opt.Same, opt.SameSize, opt.Now)
	if err != nil {
		return nil, err
	}
	defer w.close()
	before, err := hub.ask(question{Reset: true})
	if err != nil {
		return nil, err
	}
	begin := opt.Now()
	if err := w.one(1, false); err != nil { //nolint:contextcheck // as above
		return nil, err
	}
	s := &Same{Receivers: opt.Same, AttachmentBytes: opt.SameSize, MessageBytes: int64(len(w.document)), Seconds: opt.Now().Sub(begin).Seconds()}
	end, err := hub.ask(question{})
	if err != nil {
		return nil, err
	}
	s.RSSBytes, s.PeakRSSBytes = before.Peak, end.Peak
	err = filepath.WalkDir(filepath.Join(dir, "blobs"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 0 { // a lock is empty
			s.Files, s.Bytes = s.Files+1, s.Bytes+info.Size()
		}
		return err
	})
	if err == nil && (s.Files != 1 || s.Bytes != s.MessageBytes) {
		err = fmt.Errorf("%d files with %d bytes are stored, not one with %d", s.Files, s.Bytes, s.MessageBytes)
	}
	return s, err
}
