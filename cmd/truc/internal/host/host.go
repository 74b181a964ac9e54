// Package host tells benchmarks where they run and what a process of theirs takes: processor time, memory, files.
package host

import (
	"io/fs"
	"path/filepath"
	"runtime"
	"runtime/metrics"
)

// Machine is where a benchmark ran.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"`
	CPU  string `json:"cpu,omitempty"`
	Go   string `json:"go"`
}

// This returns the machine of this process.
func This() Machine {
	return Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), CPU: cpuName(), Go: runtime.Version()}
}

// FolderSize adds up the files below a folder, in bytes.
func FolderSize(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// Heap is what Go's memory of this process consists of, in bytes.
type Heap struct {
	// Live is what the last collection found in use.
	Live int64
	// Mapped is what the runtime holds of the system's memory for all its purposes.
	Mapped int64
}

// HeapNow asks the runtime, without stopping the program.
func HeapNow() Heap {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	n := func(i int) int64 { return int64(s[i].Value.Uint64()) } //nolint:gosec // far below the limit
	return Heap{Live: n(0), Mapped: n(1) - n(2)}
}
