package registers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// memory is the smallest honest Store.
type memory struct {
	mu      sync.Mutex
	entries map[string][]StoredEntry
	reads   []ReadCount
	failing bool
}

func newMemory() *memory { return &memory{entries: map[string][]StoredEntry{}} }

func (m *memory) Append(_ context.Context, register string, entries []StoredEntry) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := int64(len(m.entries[register]) + 1)
	for i, e := range entries {
		e.N = first + int64(i)
		m.entries[register] = append(m.entries[register], e)
	}
	return first, nil
}

func (m *memory) latest(register string) map[string]StoredEntry {
	out := map[string]StoredEntry{}
	for _, e := range m.entries[register] {
		out[e.Key] = e
	}
	return out
}

func (m *memory) Get(_ context.Context, register string, keys []string) (out []Record, err error) {
	for key, e := range m.latest(register) {
		if slices.Contains(keys, key) {
			out = append(out, Record{Key: key, N: e.N, Hash: e.Hash, Values: e.Values})
		}
	}
	return out, nil
}

func (m *memory) Find(_ context.Context, register string, by Block, limit int) (out []Candidate, err error) {
	for key, e := range m.latest(register) {
		if by.AliasName != "" {
			if slices.Contains(e.Aliases, Alias{by.AliasName, by.AliasValue}) {
				out = append(out, Candidate{Key: key})
			}
			continue
		}
		for _, r := range e.Search {
			if slices.Contains(by.Born, r.Born) || len(by.Born) == 0 && r.Year == by.Year && (by.Province == "" || by.Province == r.Province) {
				out = append(out, Candidate{Key: key, NameFold: r.NameFold})
			}
		}
	}
	return out[:min(limit, len(out))], nil
}

func (m *memory) Entries(_ context.Context, register, key string, after int64, limit int) (out []Entry, err error) {
	for _, e := range m.entries[register] {
		if e.N > after && (key == "" || e.Key == key) && len(out) < limit {
			out = append(out, e.Entry)
		}
	}
	return out, nil
}

func (m *memory) CountRead(_ context.Context, c ReadCount) error {
	if m.failing {
		return errors.New("disk full")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads = append(m.reads, c)
	return nil
}

func (m *memory) Counts(_ context.Context, register, _ string) (c Counts, err error) {
	c.Entries, c.Records = int64(len(m.entries[register])), int64(len(m.latest(register)))
	for _, r := range m.reads {
		c.Delivered, c.Missed = c.Delivered+int64(r.Delivered), c.Missed+int64(r.Missed)
	}
	return c, nil
}

// logbook is a fake AccessLog.
type logbook struct {
	lines []Access
	err   error
}

func (l *logbook) RecordAccess(_ context.Context, lines ...Access) error {
	if l.err != nil {
		return l.err
	}
	l.lines = append(l.lines, lines...)
	return nil
}

var testDay = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func fixedNow() time.Time { return testDay }
