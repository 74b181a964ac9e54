package translog

import (
	"errors"
	"os"
	"syscall"
)

// datasync is fdatasync(2), again when a signal interrupts it.
func datasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
