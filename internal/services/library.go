package services

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"sync"
	"time"

	"truc/internal/errs"
	"truc/internal/i18n"
	"truc/internal/services/bundle"
)

// Library holds the published procedures of a node in memory: the current version of each, and every older
// version that a dossier may still be pinned to.
type Library struct {
	Store LibraryStore
	Now   func() time.Time

	mu      sync.RWMutex // guards what follows
	byHash  map[string]*bundle.Procedure
	current map[string]*bundle.Procedure
}

// Load reads all published versions from the store.
func (l *Library) Load(ctx context.Context) (err error) {
	defer errs.Wrap(&err, "load procedures")
	versions, err := l.Store.ProcedureVersions(ctx)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if l.At(v.Hash) != nil {
			continue
		}
		files, err := bundle.Unpack(v.Archive)
		if err != nil {
			return fmt.Errorf("%s %s: %w", v.Code, v.Version, err)
		}
		p, problems := bundle.Load(files)
		if !problems.OK() {
			return fmt.Errorf("%s %s: %w", v.Code, v.Version, problems)
		}
		l.put(p, v.Current)
	}
	return nil
}

// Publish checks a bundle, keeps it and makes it the current version of its procedure. Publishing what is current
// already does nothing. by is the account of the person who publishes.
func (l *Library) Publish(ctx context.Context, files fs.FS, by string) (p *bundle.Procedure, problems bundle.Problems, err error) {
	p, problems = bundle.Load(files)
	if !problems.OK() {
		return nil, problems, nil
	}
	if cur := l.Current(p.Code); cur != nil && cur.Hash == p.Hash {
		return cur, nil, nil
	}
	archive, err := bundle.Pack(files)
	if err != nil {
		return nil, nil, err
	}
	err = l.Store.PutProcedure(ctx, ProcedureVersion{
		Code: p.Code, Hash: p.Hash, Version: p.Version.ID, Archive: archive, PublishedAt: l.Now(), PublishedBy: by,
	})
	if err != nil {
		return nil, nil, err
	}
	l.put(p, true)
	return p, nil, nil
}

func (l *Library) put(p *bundle.Procedure, current bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byHash == nil {
		l.byHash, l.current = map[string]*bundle.Procedure{}, map[string]*bundle.Procedure{}
	}
	l.byHash[p.Hash] = p
	if current {
		l.current[p.Code] = p
	}
}

// Current returns the version of a procedure that takes new dossiers, or nil.
func (l *Library) Current(code string) *bundle.Procedure {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.current[code]
}

// At returns a version by its hash, or nil.
func (l *Library) At(hash string) *bundle.Procedure {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.byHash[hash]
}

// All returns the current versions, by code.
func (l *Library) All() []*bundle.Procedure {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]*bundle.Procedure, 0, len(l.current))
	for _, p := range l.current {
		out = append(out, p)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Code < out[j].Code })
	return out
}

// Search returns the current procedures whose name, keywords, field or code hold every word of the query,
// whatever its accents; the best match first. An empty query returns all.
func (l *Library) Search(query string) []*bundle.Procedure {
	words := strings.Fields(i18n.Fold(query))
	all := l.All()
	if len(words) == 0 {
		return all
	}
	type hit struct {
		p     *bundle.Procedure
		score int
	}
	var hits []hit
	for _, p := range all {
		name := i18n.Fold(p.Name.In("vi") + " " + p.Name.In("en"))
		rest := i18n.Fold(strings.Join(p.Keywords, " ") + " " + p.Field.Name.In("vi") + " " + p.Field.Name.In("en") + " " + p.Summary.In("vi") + " " + p.Code)
		score := 0
		for _, w := range words {
			switch {
			case strings.Contains(" "+name+" ", " "+w+" "):
				score += 4
			case strings.Contains(name, w):
				score += 3
			case strings.Contains(rest, w):
				score++
			default:
				score = -1 << 20
			}
		}
		if strings.Contains(name, strings.Join(words, " ")) {
			score += 10
		}
		if score > 0 {
			hits = append(hits, hit{p, score})
		}
	}
	sort.SliceStable(hits, func(i, j int) bool { return hits[i].score > hits[j].score })
	out := make([]*bundle.Procedure, len(hits))
	for i, h := range hits {
		out[i] = h.p
	}
	return out
}

// flowOf adapts a bundle's flow to what the fold asks.
type flowOf struct{ p *bundle.Procedure }

func (f flowOf) Paused(state string) bool {
	s := f.p.Flow.State(state)
	return s != nil && s.Paused
}

func (f flowOf) Final(state string) bool {
	s := f.p.Flow.State(state)
	return s != nil && s.Final
}

func (f flowOf) Done(state string) bool {
	s := f.p.Flow.State(state)
	if s == nil {
		return false
	}
	switch s.National {
	case 3, 7, 8, 9, 10:
		return true
	}
	return false
}

// newID returns 20 letters and digits that cannot be guessed.
func newID() string {
	b := make([]byte, 13)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))[:20]
}

var errNoProcedure = errors.New("no such procedure version at this node")
