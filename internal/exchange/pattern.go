package exchange

import "truc/internal/exchange/pathpattern"

// pattern is a compiled path pattern (spec §3.2); agreements speak the same language.
type pattern = pathpattern.Pattern

func compilePattern(s string) (pattern, error) { return pathpattern.Compile(s) }
