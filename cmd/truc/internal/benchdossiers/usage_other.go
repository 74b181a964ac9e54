//go:build !linux

package benchdossiers

import "time"

// On other systems these figures are zero: the product runs on Linux.

func cpuTime() time.Duration { return 0 }
func resetPeak()             {}
func peakRSS() int64         { return 0 }
func cpuName() string        { return "" }
