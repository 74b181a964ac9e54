package telemetry

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// Process registers what Prometheus' clients usually say about a Go process, as far as the system tells: memory,
// processor time, open files, goroutines. started is the start of the process.
func (r *Registry) Process(started time.Time) {
	one := func(name, help, kind string, f func() (float64, bool)) {
		r.Collect(name, help, kind, nil, func(emit func(float64, ...string)) {
			if v, ok := f(); ok {
				emit(v)
			}
		})
	}
	one("process_start_time_seconds", "Start of the process, in seconds since 1970.", "gauge", func() (float64, bool) {
		return float64(started.UnixMilli()) / 1000, true
	})
	one("process_resident_memory_bytes", "Resident memory.", "gauge", residentBytes)
	one("process_open_fds", "Open file descriptors.", "gauge", func() (float64, bool) { n, _, ok := Descriptors(); return float64(n), ok })
	one("process_max_fds", "Most file descriptors the process may open.", "gauge", func() (float64, bool) { _, n, ok := Descriptors(); return float64(n), ok })
	one("process_cpu_seconds_total", "User and system time used.", "counter", cpuSeconds)
	one("go_goroutines", "Goroutines that exist.", "gauge", func() (float64, bool) { return float64(runtime.NumGoroutine()), true })
	r.Collect("go_info", "Version of Go.", "gauge", []string{"version"}, func(emit func(float64, ...string)) { emit(1, runtime.Version()) })
	for _, m := range [][3]string{
		{"go_memstats_heap_inuse_bytes", "/memory/classes/heap/objects:bytes", "Memory of live and not yet swept objects."},
		{"go_memstats_sys_bytes", "/memory/classes/total:bytes", "Memory obtained from the system."},
		{"go_gc_heap_goal_bytes", "/gc/heap/goal:bytes", "Heap size at which the next collection ends."},
	} {
		one(m[0], m[2], "gauge", func() (float64, bool) { return sample(m[1]) })
	}
	one("go_gc_cycles_total", "Collections that have ended.", "counter", func() (float64, bool) { return sample("/gc/cycles/total:gc-cycles") })
}

func sample(name string) (float64, bool) {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0, false
	}
	return float64(s[0].Value.Uint64()), true
}

// residentBytes reads /proc, which is there on Linux only; elsewhere the figure is left out.
func residentBytes() (float64, bool) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0, false
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	return float64(n) * float64(os.Getpagesize()), err == nil
}

// Descriptors counts the open file descriptors of the process and the most it may have; false where the system does
// not tell.
func Descriptors() (open, limit int64, ok bool) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, 0, false
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, 0, false
	}
	b, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(string(b)) {
		if rest, found := strings.CutPrefix(line, "Max open files"); found {
			if f := strings.Fields(rest); len(f) > 0 {
				limit, _ = strconv.ParseInt(f[0], 10, 64) // "unlimited" is zero
			}
		}
	}
	return int64(len(names)) - 1, limit, true // one of them read the list
}

// cpuSeconds reads utime and stime (proc(5)); USER_HZ is 100 on every architecture that Linux knows today.
func cpuSeconds() (float64, bool) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, false
	}
	i := strings.LastIndexByte(string(b), ')') // the name before it may hold anything
	f := strings.Fields(string(b[i+1:]))
	if i < 0 || len(f) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return float64(user+system) / 100, err1 == nil && err2 == nil
}
