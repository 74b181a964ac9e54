//go:build !linux

package translog

import "os"

func datasync(f *os.File) error { return f.Sync() }
