// Package pathpattern holds the pattern language of access rules and agreements (exchange spec §3.2, as X-Road matches).
// It knows nothing of who may call what.
package pathpattern

import (
	"errors"
	"strings"
)

// Pattern is a compiled path pattern: "*" is any run without "/", "**" any run, a backslash makes a star or a backslash
// literal, everything else is itself; the whole string must match, letter case and a slash at the end included.
type Pattern struct {
	tokens []token
}

type token struct {
	kind tokenKind
	char byte
}

type tokenKind int

const (
	literal tokenKind = iota
	star
	doubleStar
)

const maxPattern = 1024

// Compile reads a pattern of up to 1024 bytes.
func Compile(s string) (Pattern, error) {
	if len(s) > maxPattern {
		return Pattern{}, errors.New("the path pattern is too long")
	}
	var p Pattern
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '*' || s[i+1] == '\\'):
			i++
			p.tokens = append(p.tokens, token{kind: literal, char: s[i]})
		case s[i] == '*':
			run := len(s[i:]) - len(strings.TrimLeft(s[i:], "*"))
			kind := star
			if run > 1 {
				kind = doubleStar
			}
			p.tokens = append(p.tokens, token{kind: kind})
			i += run - 1
		default:
			p.tokens = append(p.tokens, token{kind: literal, char: s[i]})
		}
	}
	return p, nil
}

// Match runs the pattern as a set of states over the path, so its time is bounded by the product of both lengths
// and no input can make it backtrack.
func (p Pattern) Match(path string) bool {
	n := len(p.tokens)
	var small [2][64]bool // on the stack: patterns are short, and every request is matched against some
	cur, next := small[0][:], small[1][:]
	if n >= len(cur) {
		cur, next = make([]bool, n+1), make([]bool, n+1)
	}
	cur[0] = true
	p.skip(cur)
	for i := 0; i < len(path); i++ {
		clear(next)
		for s := range n {
			if !cur[s] {
				continue
			}
			switch t := p.tokens[s]; t.kind {
			case doubleStar:
				next[s] = true
			case star:
				if path[i] != '/' {
					next[s] = true
				}
			default:
				if path[i] == t.char {
					next[s+1] = true
				}
			}
		}
		p.skip(next)
		cur, next = next, cur
	}
	return cur[n]
}

// skip lets stars match nothing.
func (p Pattern) skip(states []bool) {
	for s, t := range p.tokens {
		if states[s] && t.kind != literal {
			states[s+1] = true
		}
	}
}
