//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package stream

import (
	"errors"
	"os"
)

// flock refuses: without advisory locks nothing keeps two servers off one directory.
func flock(*os.File) error {
	return errors.New("this system has no advisory file locks: use an external NATS server")
}
