//go:build !linux

package app

// releaseProgram does nothing where the system has no such advice.
func releaseProgram() {}
