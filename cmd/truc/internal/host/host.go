// Package host tells benchmarks where they run and what a process of theirs takes: processor time, memory, files.
package host

import (
	"io/fs"
	"path/filepath"
	"runtime"
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
