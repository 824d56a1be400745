// Package watch tells when files or folders change.
//
// It watches folders, never files, since editors and deployments put new files
// in the place of old ones. Symbolic links are followed: a change of the link
// counts, and so does one of the file behind it. Kubernetes brings a new
// ConfigMap by turning one link, ..data; that counts as well. Where the file
// system tells nothing, as network ones do, a slow rescan finds the change.
package watch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Defaults of [Options].
const (
	DefaultQuiet  = 100 * time.Millisecond
	DefaultRescan = 5 * time.Second
)

// pollRescan is how often a watcher looks that gets no events.
const pollRescan = time.Second

// maxQuiet is how many times Quiet a stream of changes may put off the call.
const maxQuiet = 5

// Options of a [Watcher]. The zero value has the defaults.
type Options struct {
	// Quiet is how long nothing must change before Changed is called, so that one
	// edit is one call; at most five times as long after the first change.
	// Default [DefaultQuiet].
	Quiet time.Duration
	// Rescan is the time between two looks at all files, for file systems without
	// events; default [DefaultRescan].
	Rescan time.Duration
	// Poll uses no events of the file system, only the rescan, by default once a second.
	Poll bool
	// Failed, where set, is told why events are not to be had, such as a limit of
	// the system; the watcher then looks once a second. It is called once for each
	// new reason, from the watcher's goroutine.
	Failed func(error)
}

// Watcher calls a function when files change. Close it when done.
type Watcher struct {
	opt     Options
	changed func()
	paths   chan replacement
	stop    chan struct{}
	done    chan struct{}
	once    sync.Once
}

// Start watches the files and folders; those that do not exist are waited for.
// A folder counts with all folders in it. Names that editors and systems use for
// their own files do not count: those that start with a dot or #, and those that
// end in ~, .swp, .swx, .tmp or .bak.
//
// changed is called from one goroutine, never twice at a time, after something
// may have changed: now and then it is called for nothing, so it should compare.
// What changes while it runs leads to a further call.
func Start(paths []string, opt Options, changed func()) *Watcher {
	if opt.Quiet <= 0 {
		opt.Quiet = DefaultQuiet
	}
	if opt.Rescan <= 0 {
		opt.Rescan = DefaultRescan
		if opt.Poll {
			opt.Rescan = pollRescan
		}
	}
	w := &Watcher{opt: opt, changed: changed, paths: make(chan replacement), stop: make(chan struct{}), done: make(chan struct{})}
	l := &loop{w: w}
	l.start(paths)
	go l.run()
	return w
}

// Watch replaces the files and folders that are watched. Changes between a look
// at the new ones by the caller and the return of Watch may go unseen: look
// afterwards. It must not be called from within the function that Start got, but
// may be from a goroutine that it started.
func (w *Watcher) Watch(paths []string) {
	r := replacement{paths, make(chan struct{})}
	select {
	case w.paths <- r:
		<-r.done
	case <-w.done:
	}
}

// replacement are the paths to be watched from now on.
type replacement struct {
	paths []string
	done  chan struct{} // closed once they are
}

// Close ends the watching and waits for a call that is under way, so it must not
// be called from within the function that Start got. Closing twice is fine.
func (w *Watcher) Close() {
	w.once.Do(func() { close(w.stop) })
	<-w.done
}

// loop is the state of the watcher's goroutine.
type loop struct {
	w       *Watcher
	paths   []string
	fs      *fsnotify.Watcher // nil: no events
	dirs    map[string]bool   // with a watch
	names   map[string]bool   // paths whose events count by themselves
	folders []string          // watched with all that is in them
	seen    snapshot
	reason  string // of the last call of Failed
	lame    bool   // some folder has no watch: look once a second

	quiet  *time.Timer
	first  time.Time // of the changes that changed was not called for; zero: none
	dirty  bool      // something changed for sure
	events <-chan fsnotify.Event
	errors <-chan error
}

func (l *loop) start(paths []string) {
	l.quiet = time.NewTimer(time.Hour)
	l.quiet.Stop()
	l.dirs = map[string]bool{}
	if !l.w.opt.Poll {
		fs, err := fsnotify.NewWatcher()
		if err != nil {
			l.lame = true
			l.failed(fmt.Errorf("watch files: %w: they are looked at once a second instead", err))
		} else {
			l.fs, l.events, l.errors = fs, fs.Events, fs.Errors
		}
	}
	l.set(paths)
}

// set watches other paths.
func (l *loop) set(paths []string) {
	l.paths = absolute(paths)
	l.scan()
}

func (l *loop) run() {
	defer close(l.w.done)
	if l.fs != nil {
		defer l.fs.Close()
	}
	defer l.quiet.Stop()
	rescan := time.NewTimer(l.interval())
	defer rescan.Stop()
	for {
		select {
		case <-l.w.stop:
			return
		case r := <-l.w.paths:
			l.set(r.paths)
			close(r.done)
		case e := <-l.events:
			l.event(e)
		case err := <-l.errors:
			l.dirty = true // events were lost
			l.failed(err)
			l.soon()
		case <-rescan.C:
			if l.scan() {
				l.dirty = true
				l.soon()
			}
			rescan.Reset(l.interval())
		case <-l.quiet.C:
			l.first = time.Time{}
			changed := l.scan() || l.dirty
			l.dirty = false
			if changed {
				l.w.changed()
			}
		}
	}
}

func (l *loop) interval() time.Duration {
	if l.lame {
		return min(l.w.opt.Rescan, pollRescan)
	}
	return l.w.opt.Rescan
}

// soon calls changed when it has been quiet for a while.
func (l *loop) soon() {
	now := time.Now()
	if l.first.IsZero() {
		l.first = now
	}
	wait := min(l.w.opt.Quiet, l.first.Add(maxQuiet*l.w.opt.Quiet).Sub(now))
	l.quiet.Reset(max(wait, 0))
}

// event takes an event of the file system. One on a watched path counts; any
// other in a watched folder is a reason to look, but does not put that off.
func (l *loop) event(e fsnotify.Event) {
	if e.Op == fsnotify.Chmod {
		return
	}
	if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
		l.drop(e.Name) // the watch of a folder goes with it
	}
	switch {
	case l.counts(e.Name):
		l.dirty = true
		l.soon()
	case l.first.IsZero() && (!ignored(filepath.Base(e.Name)) || isDataLink(e.Name)):
		l.soon()
	}
}

// counts reports whether a path is a watched one or in a watched folder.
func (l *loop) counts(path string) bool {
	if l.names[path] {
		return true
	}
	for _, folder := range l.folders {
		rest, ok := strings.CutPrefix(path, folder+string(filepath.Separator))
		if !ok {
			continue
		}
		for part := range strings.SplitSeq(rest, string(filepath.Separator)) {
			if ignored(part) {
				return false
			}
		}
		return true
	}
	return false
}

func (l *loop) failed(err error) {
	if err == nil || err.Error() == l.reason {
		return
	}
	l.reason = err.Error()
	if l.w.opt.Failed != nil {
		l.w.opt.Failed(err)
	}
}

// ignored reports whether a name is of the kind that does not count.
func ignored(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "~") || name == "4913" { // which vim tries first
		return true
	}
	switch filepath.Ext(name) {
	case ".swp", ".swx", ".tmp", ".bak":
		return true
	}
	return false
}

// isDataLink reports whether the path is the link of a Kubernetes volume.
func isDataLink(path string) bool { return filepath.Base(path) == "..data" }

// add watches a folder, if it can be.
func (l *loop) add(dir string) {
	if l.fs == nil || l.dirs[dir] {
		return
	}
	switch err := l.fs.Add(dir); {
	case err == nil:
		l.dirs[dir] = true
	case !errors.Is(err, os.ErrNotExist):
		l.lame = true
		l.failed(fmt.Errorf("watch folder %s: %w: it is looked at once a second instead", dir, err))
	}
}

// drop ends the watch of a folder, if there is one.
func (l *loop) drop(dir string) {
	if l.dirs[dir] {
		_ = l.fs.Remove(dir) // it may be gone already
		delete(l.dirs, dir)
	}
}
