//go:build unix

package web

import (
	"math"
	"syscall"
)

// descriptorLimit is how many files this process may have open; 0 when it is not known.
func descriptorLimit() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return int(min(uint64(r.Cur), math.MaxInt32)) //nolint:unconvert // the type differs between systems
}
