//go:build !linux

package benchexchange

// On other systems these figures are zero: the product runs on Linux.

func cpuMicros() int64     { return 0 }
func residentBytes() int64 { return 0 }
func openFiles() int64     { return 0 }
func cpuName() string      { return "" }
