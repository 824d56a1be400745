//go:build darwin || freebsd || linux

package store

import "syscall"

// room returns what an unprivileged process may still write to the file system of a directory, and its size, in bytes.
func room(dir string) (free, size int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return max(0, int64(st.Bavail)) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil //nolint:unconvert // the types differ between systems
}
