package lastgood

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxDepth bounds folders in folders, and with them links that lead in circles.
const maxDepth = 8

// copyTree copies a file, or a folder with the files and folders in it, where symbolic links stand for what they lead
// to. Hidden names and what is neither file nor folder are left out. Files keep their time of change. left is how many
// bytes they may have; more is ErrTooLarge.
func copyTree(dst, src string, depth int, left *int64) error {
	info, err := os.Stat(src)
	if err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		return copyFile(dst, src, info, left)
	case !info.IsDir():
		return nil
	case depth == 0:
		return fmt.Errorf("%w: %s is too deep", ErrTooLarge, src)
	}
	if err := os.Mkdir(dst, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(src)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := copyTree(filepath.Join(dst, e.Name()), filepath.Join(src, e.Name()), depth-1, left); err != nil {
			return err
		}
	}
	return syncFolder(dst)
}

func copyFile(dst, src string, info os.FileInfo, left *int64) (err error) {
	from, err := os.Open(src)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(to, io.LimitReader(from, *left+1))
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if *left -= n; *left < 0 {
		return fmt.Errorf("%w: %s", ErrTooLarge, src)
	}
	return os.Chtimes(dst, info.ModTime(), info.ModTime())
}

func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncFolder brings the names in a folder to the disk, where the system can do that.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
