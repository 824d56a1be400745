//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package follow

import (
	"io/fs"
	"syscall"
)

// identity returns device and inode, zeros where they are not known.
func identity(info fs.FileInfo) (device, inode uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev), uint64(st.Ino) //nolint:unconvert // their types differ between systems
	}
	return 0, 0
}
