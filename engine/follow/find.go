package follow

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// rotated is what rotation adds to the name of a log: a number or a date, and .gz.
var rotated = regexp.MustCompile(`^[.-][0-9][0-9T_.:-]*(\.gz)?$`)

// slack is how much earlier than the clock a file system may say that a file was written.
const slack = 2 * time.Second

// look takes notice of the file that is at the path now.
func (f *follower) look() {
	info, err := os.Stat(f.path)
	if err != nil {
		// While a log is rotated there is none for a moment.
		if len(f.sources) == 0 || !errors.Is(err, fs.ErrNotExist) {
			f.cannotOpen(err)
		}
		return
	}
	current := f.current()
	if current != nil && os.SameFile(current.info, info) {
		return
	}
	for _, s := range f.sources {
		if os.SameFile(s.info, info) {
			f.turnTo(s)
			return
		}
	}
	file, info, err := open(f.path)
	if err != nil {
		f.cannotOpen(err)
		return
	}
	if current != nil && os.SameFile(current.info, info) { // turned back meanwhile
		_ = file.Close()
		return
	}
	f.add(newSource(f.path, file, info, f.maxLine))
	f.turnTo(f.sources[len(f.sources)-1])
}

func (f *follower) cannotOpen(err error) {
	if why := "waits for " + f.path; f.waiting == "" {
		f.wait(why, err)
	}
}

// current is the source that is the log, nil when there is none.
func (f *follower) current() *source {
	for _, s := range f.sources {
		if !s.moved && !s.still {
			return s
		}
	}
	return nil
}

// turnTo makes a source the log; the one that was it goes on until it is silent.
func (f *follower) turnTo(log *source) {
	for _, s := range f.sources {
		if s == log {
			s.moved, s.path = false, f.path
		} else {
			s.moved = true
		}
	}
	f.dirty = true
	if strings.HasPrefix(f.waiting, "waits for ") {
		f.wait("", nil)
	}
}

func (f *follower) add(s *source) {
	f.sources = append(f.sources, s)
	f.dirty = true
}

// candidate is a file of the log's folder.
type candidate struct {
	path string
	info fs.FileInfo
}

// folder lists the log and the files beside it. Where the log is a link, those beside its target too.
func (f *follower) folder() (all []candidate) {
	dirs := []string{filepath.Dir(f.path)}
	if real, err := filepath.EvalSymlinks(f.path); err == nil && filepath.Dir(real) != dirs[0] {
		dirs = append(dirs, filepath.Dir(real))
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			f.say("other logs are not looked for: %v", err)
			continue
		}
		for _, e := range entries {
			p := filepath.Join(dir, e.Name())
			info, err := os.Stat(p)
			if err == nil && info.Mode().IsRegular() && !strings.HasPrefix(p, f.state) {
				all = append(all, candidate{p, info})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(f.rank(a.path), f.rank(b.path)) })
	return all
}

// rank is where a file is looked for first: rotated logs, compressed ones after the others; what has another name and
// may be anybody's copy; and the log itself last, which most likely is a new one even if it begins like the one before.
func (f *follower) rank(path string) int {
	switch {
	case path == f.path:
		return 3
	case !f.rotation(path):
		return 2
	case filepath.Ext(path) == ".gz":
		return 1
	}
	return 0
}

// rotation reports whether a file is named like the log after rotation.
func (f *follower) rotation(path string) bool {
	suffix, ok := strings.CutPrefix(filepath.Base(path), filepath.Base(f.path))
	return ok && rotated.MatchString(suffix)
}

// followed reports whether a file is a source already.
func (f *follower) followed(info fs.FileInfo) bool {
	return slices.ContainsFunc(f.sources, func(s *source) bool { return os.SameFile(s.info, info) })
}

// restore opens the files of a saved state, wherever they are now, and those that came and went since.
func (f *follower) restore(st *savedState) {
	f.finished = st.Finished
	if st.Saved.IsZero() {
		return
	}
	all := f.folder()
	for _, want := range st.Files {
		s := f.find(all, want)
		if s == nil {
			if want.Head.Length > 0 {
				f.say("a log that was followed until %s is gone: what was added to it after byte %d is not published", st.Saved.Local().Format(time.DateTime), want.Offset)
			}
			continue
		}
		s.moved = true // look knows better
		f.add(s)
	}
	for _, c := range all {
		if f.rotation(c.path) && c.info.ModTime().After(st.Saved.Add(-slack)) && !f.followed(c.info) {
			f.missed(c, st)
		}
	}
}

// find opens the file that a saved one is now: by identity, else by its first bytes.
func (f *follower) find(all []candidate, want savedFile) *source {
	for _, byIdentity := range []bool{true, false} {
		if !byIdentity && want.Head.Length == 0 {
			break // any file begins like that
		}
		for _, c := range all {
			device, inode := identity(c.info)
			if byIdentity && (inode == 0 || device != want.Device || inode != want.Inode) || f.followed(c.info) {
				continue
			}
			if s := f.try(c.path, want); s != nil {
				return s
			}
		}
	}
	return nil
}

// try opens a file as a saved one, nil when it is not that.
func (f *follower) try(path string, want savedFile) *source {
	file, info, err := open(path)
	if err != nil {
		return nil
	}
	s, ok := resume(path, file, info, want, f.maxLine)
	if !ok {
		_ = file.Close()
		return nil
	}
	return s
}

// missed reads a log that was written and rotated away while nothing followed.
func (f *follower) missed(c candidate, st *savedState) {
	file, info, err := open(c.path)
	if err != nil {
		f.say("a rotated log is not read: %v", err)
		return
	}
	head, _, err := readHead(file, headSize)
	known := func(p fingerprint) bool { return p.Length > 0 && p.of(head) }
	if err != nil || slices.ContainsFunc(st.Finished, known) || slices.ContainsFunc(st.Files, func(s savedFile) bool { return known(s.Head) }) {
		_ = file.Close()
		return
	}
	s := newSource(c.path, file, info, f.maxLine)
	begin, ok := resume(c.path, file, info, savedFile{ID: s.id}, f.maxLine)
	if !ok {
		_ = file.Close()
		return
	}
	begin.moved = true
	f.say("reads %s, which was written and rotated while nothing followed", c.path)
	f.add(begin)
}

// truncated starts a file anew that was truncated in its place, and reads the rest of what it held from its copy, which
// begins with head.
func (f *follower) truncated(s *source, head []byte) {
	was := s.saved()
	was.Head = fingerprintOf(head, headSize)
	var copied *source
	if was.Head.Length > 0 {
		for _, c := range f.folder() {
			if f.followed(c.info) {
				continue
			}
			if copied = f.try(c.path, was); copied != nil {
				break
			}
		}
	}
	if copied == nil {
		f.say("%s was truncated, and there is no copy of it in its folder: lines that were not read are lost", s.path)
	}
	if _, err := s.file.Seek(0, 0); err != nil {
		f.fault(s, err)
		return
	}
	fresh := newSource(s.path, s.file, s.info, f.maxLine)
	fresh.moved = s.moved
	*s = *fresh
	f.dirty = true
	if copied != nil {
		copied.still = true
		f.sources = append([]*source{copied}, f.sources...)
	}
}

// retire is done with a source.
func (f *follower) retire(s *source) {
	s.close()
	f.sources = slices.DeleteFunc(f.sources, func(one *source) bool { return one == s })
	if head := fingerprintOf(s.lines.head, headSize); head.Length > 0 {
		f.finished = append(f.finished, head)
		f.finished = slices.Clone(f.finished[max(0, len(f.finished)-maxFinished):])
	}
	f.dirty = true
}

// fault tells once what keeps a source from being read.
func (f *follower) fault(s *source, err error) {
	if text := err.Error(); s.fault != text {
		s.fault = text
		f.say("%s cannot be read: %s", s.path, text)
	}
}
