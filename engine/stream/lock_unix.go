//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package stream

import (
	"errors"
	"os"
	"syscall"
)

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
