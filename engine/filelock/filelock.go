// Package filelock takes advisory locks of open files. The system drops a lock when its file is closed or its process
// ends, however it ends.
package filelock

import "errors"

var (
	// ErrHeld: another process, or another open file of this one, has the lock.
	ErrHeld = errors.New("file is locked")
	// ErrUnsupported: the system has no advisory locks.
	ErrUnsupported = errors.New("this system has no advisory file locks")
)
