package app

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// releaseProgram gives back the pages of the program file that only starting needed, such as the tables that compiled
// bundles and templates. They are read-only and stay in the page cache: what is needed again comes back at the price
// of a minor fault. On a machine that holds many nodes this is a third of what each of them occupies.
func releaseProgram() {
	exe, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		f := strings.Fields(line)
		if len(f) < 6 || f[5] != exe || f[1] != "r-xp" && f[1] != "r--p" {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		a, errA := strconv.ParseUint(from, 16, 64)
		b, errB := strconv.ParseUint(to, 16, 64)
		if errA != nil || errB != nil || b <= a {
			continue
		}
		// Advice about our own read-only file mappings cannot lose anything; when it is refused, nothing changes.
		_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, uintptr(a), uintptr(b-a), syscall.MADV_DONTNEED)
	}
}
