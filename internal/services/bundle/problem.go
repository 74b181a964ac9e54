package bundle

import (
	"fmt"
	"strings"
)

// Problem is a fault of a bundle. Line is 0 when the whole file is meant.
type Problem struct {
	File               string
	Line               int
	Message, MessageEN string
	// Hint proposes what to do.
	Hint, HintEN string

	key string // of messages, for tests
}

// In returns "file:line: message (hint)" in vi or en.
func (p Problem) In(lang string) string {
	m, h := p.Message, p.Hint
	if lang == "en" {
		m, h = p.MessageEN, p.HintEN
	}
	at := p.File
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if h != "" {
		m += " → " + h
	}
	return at + ": " + m
}

// Problems are the faults of a bundle; empty = it may be published.
type Problems []Problem

// OK reports whether there are none.
func (ps Problems) OK() bool { return len(ps) == 0 }

// Error implements error, in Vietnamese.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.In("vi")
	}
	return strings.Join(lines, "\n")
}
