// Package plainfile reads the files of a configuration. A pipe would be waited for, for ever, and a device such as
// /dev/zero never ends, so only regular files are read, and no more of them than is sensible.
package plainfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// MaxSize is the size of the largest file that Read and ReadFS read, in bytes: far more than any configuration.
const MaxSize = 16 << 20

// Errors of this package; test for them with errors.Is.
var (
	// ErrNotRegular: a pipe, a device or a socket.
	ErrNotRegular = errors.New("it is no regular file")
	// ErrTooLarge: more than MaxSize bytes.
	ErrTooLarge = fmt.Errorf("it is larger than %d MiB", MaxSize>>20)
)

// Open opens a file for reading, as os.Open does, or returns ErrNotRegular. Folders are opened.
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := regular(path, info); err != nil {
		return nil, err
	}
	return os.Open(path)
}

// Read reads a file, as os.ReadFile does, or returns ErrNotRegular or ErrTooLarge.
func Read(path string) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return all(path, f)
}

// ReadFS reads a file of a file system, as fs.ReadFile does, or returns ErrNotRegular or ErrTooLarge.
func ReadFS(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if err := regular(name, info); err != nil {
		return nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return all(name, f)
}

func regular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() || info.IsDir() { // which cannot be read, as the system says itself
		return nil
	}
	return &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
}

func all(path string, r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err == nil && len(b) > MaxSize {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrTooLarge}
	}
	return b, err
}
