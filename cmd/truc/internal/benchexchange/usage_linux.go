package benchexchange

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// cpuMicros is the user and system time of this process so far.
func cpuMicros() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return (u.Utime.Nano() + u.Stime.Nano()) / 1000
}

// residentBytes is the memory this process holds now.
func residentBytes() int64 {
	if v, ok := strings.CutSuffix(procField("/proc/self/status", "VmRSS"), " kB"); ok {
		if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
			return n << 10
		}
	}
	return 0
}

// openFiles counts the descriptors of this process, without the one that counts.
func openFiles() int64 {
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
