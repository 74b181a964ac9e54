//go:build !linux

package host

import "time"

// On other systems these figures are zero: the product runs on Linux.

// CPUTime is the user and system time of this process so far.
func CPUTime() time.Duration { return 0 }

// ResetPeak forgets the peak of the memory.
func ResetPeak() {}

// PeakRSS is the most memory in bytes that this process held since [ResetPeak].
func PeakRSS() int64 { return 0 }

// RSS is the memory in bytes that this process holds now.
func RSS() int64 { return 0 }

// RSSAnon is the part of [RSS] that is this process's own.
func RSSAnon() int64 { return 0 }

// OpenFiles counts the descriptors of this process.
func OpenFiles() int64 { return 0 }

func cpuName() string { return "" }
