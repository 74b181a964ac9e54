package host

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// CPUTime is the user and system time of this process so far.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ResetPeak forgets the peak of the memory, so that the second engine is not charged with the first one's.
func ResetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600) }

// PeakRSS is the most memory in bytes that this process held since [ResetPeak].
func PeakRSS() int64 { return statusBytes("VmHWM") }

// RSS is the memory in bytes that this process holds now.
func RSS() int64 { return statusBytes("VmRSS") }

// RSSAnon is the part of [RSS] that is this process's own; the rest are pages of files, such as those of the program, which the
// system takes back when it needs them.
func RSSAnon() int64 { return statusBytes("RssAnon") }

func statusBytes(name string) int64 {
	if v, ok := strings.CutSuffix(procField("/proc/self/status", name), " kB"); ok {
		if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
			return n << 10
		}
	}
	return 0
}

// OpenFiles counts the descriptors of this process, without the one that counts.
func OpenFiles() int64 {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return int64(len(names)) - 1
}

func cpuName() string { return procField("/proc/cpuinfo", "model name") }

func procField(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if k, v, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
