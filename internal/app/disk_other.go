//go:build !linux

package app

// diskSpace is not told on this system.
func diskSpace(string) (free, total uint64, ok bool) { return 0, 0, false }
