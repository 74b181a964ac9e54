package app

import "syscall"

// diskSpace tells the free and the whole space of the file system that holds a path, in bytes.
func diskSpace(path string) (free, total uint64, ok bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, 0, false
	}
	size := uint64(max(st.Bsize, 0))
	return st.Bavail * size, st.Blocks * size, true
}
