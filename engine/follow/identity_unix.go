//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package follow

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// identity returns device and inode, zeros where they are not known.
func identity(info fs.FileInfo) (device, inode uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), uint64(st.Ino) //nolint:unconvert // their types differ between systems
	}
	return 0, 0
}

// flock takes the advisory lock of an open file without waiting. The system drops it when the process ends.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrLocked
		default:
			return err
		}
	}
}
