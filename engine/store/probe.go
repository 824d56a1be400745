package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	// probeName is a file in the store directory that shows whether it can be written.
	probeName = "erbd.probe"
	// probeBytes is its size: room for the states that the server writes as it opens and closes the store.
	probeBytes = 256 << 10
)

// Probe writes a file into a directory, to the disk, and removes it. The error is the system's.
func Probe(dir string) (err error) {
	path := filepath.Join(dir, probeName)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeBytes))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}

// Check returns an error that wraps ErrDown unless a server could keep its store in dir. A directory that does not
// exist is made.
func Check(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrDown, err)
	}
	if err := Probe(dir); err != nil {
		return fmt.Errorf("%w: %w", ErrDown, err)
	}
	return nil
}
