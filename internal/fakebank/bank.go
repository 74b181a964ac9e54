package fakebank

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/web"
	"truc/internal/web/ui"
)

// Merchant is who receives money.
type Merchant struct {
	// Code is vnp_TmnCode; Secret signs in both directions.
	Code, Secret string
	// NoticeURL takes the notices; registered here and never taken from a request.
	NoticeURL string
	// Name is shown to the payer.
	Name string
}

// Options configures a bank. Log, Client and the durations may be left out.
type Options struct {
	Merchants []Merchant
	// StatePath is the file that payments live in; its folder is made when missing.
	StatePath string
	Renderer  *ui.Renderer
	Lang      *i18n.Catalogue
	Now       func() time.Time
	Log       *slog.Logger
	// Client sends the notices; nil takes one with a timeout of 5 seconds.
	Client *http.Client
	// LateBy is how late a late notice is; default 20 seconds.
	LateBy time.Duration
	// RetryEvery is the first pause before a notice is sent again; the pause grows by as much each time, up to
	// 5 minutes. Default 5 seconds.
	RetryEvery time.Duration
	// MaxAttempts is how often a notice is sent before the bank gives up; default 12.
	MaxAttempts int
}

// Bank is the simulated gateway. It is an [http.Handler] for a listener of its own.
type Bank struct {
	opt       Options
	merchants map[string]Merchant
	templates *ui.Templates
	handler   http.Handler
	wake      chan struct{} // holds one token when there may be something due

	mu       sync.Mutex
	payments map[string]*Payment // by id; guarded by mu, values are replaced and never changed
	refs     map[string]string   // merchant and reference → id; guarded by mu
	next     int64               // transaction number; guarded by mu

	sending sync.Mutex // held while notices are sent, so that none goes out twice at once
}

// stateFile is the form of the state on disk.
type stateFile struct {
	Version  int        `json:"version"`
	Next     int64      `json:"next"`
	Payments []*Payment `json:"payments"`
}

// maxPayments bounds the state; the oldest that are over make room.
const maxPayments = 5000

// New checks the options, reads the state and makes the bank.
func New(opt Options) (_ *Bank, err error) {
	defer errs.Wrap(&err, "fake bank")
	b := &Bank{
		opt: opt, merchants: map[string]Merchant{}, wake: make(chan struct{}, 1), payments: map[string]*Payment{}, refs: map[string]string{}, next: 14_000_001,
	}
	var problems []error
	for _, m := range opt.Merchants {
		if m.Code == "" || m.Secret == "" || m.Name == "" {
			problems = append(problems, fmt.Errorf("merchant %q: needs a code, a secret and a name", m.Code))
		}
		if !webAddress(m.NoticeURL) {
			problems = append(problems, fmt.Errorf("merchant %q: the notice address needs http(s)://host/path", m.Code))
		}
		if _, dup := b.merchants[m.Code]; dup {
			problems = append(problems, fmt.Errorf("merchant %q: listed twice", m.Code))
		}
		b.merchants[m.Code] = m
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	b.defaults()
	if err := b.load(); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if b.templates, err = opt.Renderer.Parse(files, "*.html"); err != nil {
		return nil, err
	}
	mux := web.NewMux(web.Options{Log: b.opt.Log, Renderer: opt.Renderer, Lang: opt.Lang})
	b.mount(mux)
	b.handler = web.Public(mux, web.PublicOptions{Log: opt.Log, Now: opt.Now, MaxBody: 64 << 10})
	return b, nil
}

func (b *Bank) defaults() {
	if b.opt.Log == nil {
		b.opt.Log = slog.New(slog.DiscardHandler)
	}
	if b.opt.Client == nil {
		b.opt.Client = &http.Client{Timeout: 5 * time.Second}
	}
	if b.opt.LateBy <= 0 {
		b.opt.LateBy = 20 * time.Second
	}
	if b.opt.RetryEvery <= 0 {
		b.opt.RetryEvery = 5 * time.Second
	}
	if b.opt.MaxAttempts <= 0 {
		b.opt.MaxAttempts = 12
	}
}

func (b *Bank) mount(mux *web.Mux) {
	mux.Mount("GET /assets/", b.opt.Renderer.Assets())
	mux.Handle("GET /{$}", b.list)
	mux.Handle("GET /pay", b.pay)
	mux.Handle("POST /pay", b.decide)
	mux.Mount("POST /api/query", http.HandlerFunc(b.query))
	mux.Mount("POST /api/refund", http.HandlerFunc(b.refund))
}

// ServeHTTP implements [http.Handler].
func (b *Bank) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.handler.ServeHTTP(w, r) }

func (b *Bank) now() time.Time { return b.opt.Now().UTC().Truncate(time.Microsecond) }

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Fragment == ""
}

// Payment returns the truth about a merchant's reference, for tests.
func (b *Bank) Payment(merchant, ref string) (Payment, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.payments[b.refs[merchant+"\x00"+ref]]
	if !ok {
		return Payment{}, false
	}
	return *p.clone(), true
}

// open returns the payment of a request, new or known. Conflict when the reference was used for another payment.
func (b *Bank) open(p *Payment) (*Payment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := p.Merchant + "\x00" + p.Ref
	if known, ok := b.payments[b.refs[key]]; ok {
		if known.Amount != p.Amount || known.CreateDate != p.CreateDate || known.ReturnURL != p.ReturnURL || known.Info != p.Info {
			return nil, errs.E(errs.Conflict, "fakebank.ref_used", nil, "ref", p.Ref)
		}
		return known, nil
	}
	p.ID = rand.Text()
	b.makeRoom()
	if len(b.payments) >= maxPayments {
		return nil, errs.E(errs.Limited, "fakebank.full", nil)
	}
	return p, b.put(p)
}

// change applies f to a copy of a payment and keeps the copy once it is on disk.
func (b *Bank) change(id string, f func(p *Payment) error) (*Payment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.payments[id]
	if !ok {
		return nil, errs.E(errs.NotFound, "fakebank.unknown", nil)
	}
	c := p.clone()
	if err := f(c); err != nil {
		return nil, err
	}
	return c, b.put(c)
}

// put keeps p in memory and on disk, or in neither. The caller holds mu.
func (b *Bank) put(p *Payment) error {
	before, known := b.payments[p.ID]
	b.payments[p.ID], b.refs[p.Merchant+"\x00"+p.Ref] = p, p.ID
	if err := b.save(); err != nil {
		if known {
			b.payments[p.ID] = before
		} else {
			delete(b.payments, p.ID)
			delete(b.refs, p.Merchant+"\x00"+p.Ref)
		}
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// makeRoom drops the oldest payment that is over when the state is full. The caller holds mu.
func (b *Bank) makeRoom() {
	if len(b.payments) < maxPayments {
		return
	}
	for _, p := range b.sorted() {
		over := !slices.ContainsFunc(p.Notices, func(n Notice) bool { return !n.Over })
		if over && (p.Status != Pending || b.now().After(p.Expires)) {
			delete(b.payments, p.ID)
			delete(b.refs, p.Merchant+"\x00"+p.Ref)
			return
		}
	}
}

// sorted lists the payments, oldest first. The caller holds mu.
func (b *Bank) sorted() []*Payment {
	list := make([]*Payment, 0, len(b.payments))
	for _, p := range b.payments {
		list = append(list, p)
	}
	slices.SortFunc(list, func(x, y *Payment) int {
		if c := x.Created.Compare(y.Created); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return list
}

// number returns the next transaction number. The caller holds mu, as [Bank.change] does.
func (b *Bank) number() string {
	b.next++
	return strconv.FormatInt(b.next, 10)
}

// save writes the state so that a crash leaves the old file or the new one. The caller holds mu.
func (b *Bank) save() error {
	data, err := json.MarshalIndent(stateFile{Version: 1, Next: b.next, Payments: b.sorted()}, "", " ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(b.opt.StatePath), ".fakebank-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // fails after the rename, as it should
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), b.opt.StatePath)
}

func (b *Bank) load() error {
	if err := os.MkdirAll(filepath.Dir(b.opt.StatePath), 0o700); err != nil {
		return err
	}
	data, err := os.ReadFile(b.opt.StatePath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var s stateFile
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if s.Version != 1 {
		return fmt.Errorf("version %d is not known", s.Version)
	}
	b.next = max(s.Next, b.next)
	for _, p := range s.Payments {
		b.payments[p.ID], b.refs[p.Merchant+"\x00"+p.Ref] = p, p.ID
	}
	return nil
}
