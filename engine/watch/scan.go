package watch

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// snapshot is what the watched files look like, by path.
type snapshot map[string]fs.FileInfo

func same(a, b snapshot) bool {
	return maps.EqualFunc(a, b, func(a, b fs.FileInfo) bool {
		if a.IsDir() != b.IsDir() || !os.SameFile(a, b) {
			return false
		}
		return a.IsDir() || a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
}

// scan looks at all paths, watches the folders they are in now, and reports
// whether anything differs from the last look.
func (l *loop) scan() (changed bool) {
	for range maxLooks {
		look := newLook()
		for _, p := range l.paths {
			look.path(p)
		}
		fresh := l.rewatch(look)
		l.names, l.folders = look.names, look.folders
		changed = changed || l.seen != nil && !same(l.seen, look.seen)
		l.seen = look.seen
		if !fresh {
			break
		}
		// Something may have changed in a folder before its watch began.
	}
	return changed
}

// maxLooks bounds the looks of one scan where new folders come all the time.
const maxLooks = 4

// rewatch watches the folders of a look and no others. It reports whether there
// is any that was not watched before.
func (l *loop) rewatch(look *look) (fresh bool) {
	if l.fs == nil {
		return false
	}
	l.lame = false
	for dir := range l.dirs {
		if !look.dirs[dir] || l.replaced(dir, look.seen) {
			l.drop(dir)
		}
	}
	for dir := range look.dirs {
		if !l.dirs[dir] {
			l.add(dir)
			fresh = fresh || l.dirs[dir]
		}
	}
	return fresh
}

// replaced reports whether another folder is in the place of one.
func (l *loop) replaced(dir string, now snapshot) bool {
	before, after := l.seen[dir], now[dir]
	return before != nil && (after == nil || !os.SameFile(before, after))
}

// look is one look at all paths.
type look struct {
	seen    snapshot
	dirs    map[string]bool // to be watched
	names   map[string]bool
	folders []string
}

func newLook() *look {
	return &look{seen: snapshot{}, dirs: map[string]bool{}, names: map[string]bool{}}
}

// path looks at one of the watched paths.
func (k *look) path(p string) {
	k.follow(p, maxLinks)
	info, err := os.Stat(p)
	if err != nil {
		return
	}
	k.seen[p] = info
	if !info.IsDir() {
		return
	}
	if real, err := filepath.EvalSymlinks(p); err == nil {
		k.folder(real)
	}
}

// maxLinks bounds the symbolic links in a path, as systems do.
const maxLinks = 40

// follow watches all that decides about what a path leads to: the folder that
// it is in, that of each symbolic link on the way, and, where something does
// not exist, that in which it will have to appear.
func (k *look) follow(p string, links int) {
	volume := filepath.VolumeName(p)
	separator := string(filepath.Separator)
	parts := strings.Split(strings.Trim(p[len(volume):], separator), separator)
	dir := volume + separator
	for i, part := range parts {
		next := filepath.Join(dir, part)
		info, err := os.Lstat(next)
		link := err == nil && info.Mode()&fs.ModeSymlink != 0
		if err != nil || link || i == len(parts)-1 {
			k.watch(dir, next)
		}
		if err != nil {
			return
		}
		if link {
			target, err := os.Readlink(next)
			if err != nil || links == 0 {
				return
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(dir, target)
			}
			k.follow(filepath.Join(append([]string{target}, parts[i+1:]...)...), links-1)
			return
		}
		dir = next
	}
}

// watch makes events of a name in a folder count.
func (k *look) watch(dir, name string) {
	k.names[name] = true
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		k.dirs[dir], k.seen[dir] = true, info
	}
}

// folder looks at all files and folders below one; its path has no symbolic links.
func (k *look) folder(root string) {
	k.folders = append(k.folders, root)
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went away, or must not be read: the next look tells
		}
		if p != root && ignored(d.Name()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if info, err := os.Stat(p); err == nil { // of what a link points to
			k.seen[p] = info
		}
		switch {
		case d.IsDir():
			k.dirs[p] = true
		case d.Type()&fs.ModeSymlink != 0:
			k.follow(p, maxLinks)
		}
		return nil
	})
}
