package stream

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/erbd/erbd/engine/filelock"
)

// lockName is the lock file in the store directory.
const lockName = "erbd.lock"

// lock is the hold on a store directory.
type lock struct{ f *os.File }

// lockDir makes dir and takes its lock, or returns an error that wraps ErrLocked and names the holder.
func lockDir(dir string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the store directory: %w", err)
	}
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the store directory: %w", err)
	}
	// Without locks nothing would keep two servers off one directory: that is an error, too.
	if err := filelock.Try(f); err != nil {
		holder, _ := os.ReadFile(path)
		_ = f.Close()
		if errors.Is(err, filelock.ErrUnsupported) {
			return nil, fmt.Errorf("lock %s: %w: use an external NATS server", dir, err)
		}
		if errors.Is(err, filelock.ErrHeld) {
			err = ErrLocked
		}
		if pid, e := strconv.Atoi(strings.TrimSpace(string(holder))); errors.Is(err, ErrLocked) && e == nil {
			return nil, fmt.Errorf("%w: %s is held by process %d: stop it or choose another nats.store", ErrLocked, dir, pid)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	// The number only helps a reader; the lock is the system's.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &lock{f}, nil
}

// release gives the directory back. The file stays: removing it would let two processes lock two files.
// Releasing twice is fine.
func (l *lock) release() error {
	if err := l.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
