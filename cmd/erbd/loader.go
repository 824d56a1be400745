package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/erbd/erbd/engine/cli"
	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/daemon"
	"github.com/erbd/erbd/engine/lastgood"
	"github.com/erbd/erbd/engine/lookup/source"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/watch"
	"github.com/erbd/erbd/engine/yamldoc"
)

// loader loads the snapshots of one daemon, and remembers those that are in force. The daemon calls it from one
// goroutine at a time.
type loader struct {
	a   *app
	log *slog.Logger
	// running are the settings that the daemon started with, state its folder of state, "" for none.
	running *config.Settings
	state   string
	started bool

	// paths gets the files to watch when they are others than before. The last one counts.
	paths   chan []string
	watched []string

	looked     watch.State    // of the last load
	files      lastgood.Files // of the last load
	remembered string         // hash of what is remembered
	trouble    string         // of remembering, logged last
	exposed    string         // warned of last
}

func newLoader(a *app, s *config.Settings, log *slog.Logger) *loader {
	return &loader{a: a, log: log, running: s, state: s.StateDir(), paths: make(chan []string, 1), watched: a.watched(s)}
}

// load is the daemon's Load: it reads everything anew. When the daemon starts and a file is broken, it gives the
// configuration that worked last, with the fault.
func (l *loader) load(ctx context.Context) (*daemon.Snapshot, error) {
	snap, s, err := l.stable(ctx)
	switch {
	case err == nil:
		if !l.started {
			snap.Removed = l.removed(s, snap.Routers)
		}
		return snap, nil
	case l.started:
		return nil, spelled(err)
	case s == nil: // the daemon starts with settings that are remembered
		s = l.running
	}
	return l.recall(s, err)
}

// recallSettings returns the settings that are remembered, in place of those that are at fault; nil where there are
// none. They are looked for where flags, variables or what can be read of the file say that the state is.
func (a *app) recallSettings(fault error) *config.Settings {
	file := a.settingsFile()
	if f := (*cli.Failure)(nil); file == "" || errors.As(fault, &f) && f.Usage {
		return nil
	}
	content := readableSettings(file)
	s, err := a.readSettings(content)
	if err != nil {
		return nil // flags or variables are at fault as well
	}
	dir := s.StateDir()
	if dir == "" {
		return nil
	}
	c, err := lastgood.Open(dir)
	if origin, absErr := filepath.Abs(file); err != nil || absErr != nil || c.Files.Settings == "" || c.Origin != origin {
		return nil
	}
	if content, err = plainfile.Read(c.Files.Settings); err != nil {
		return nil
	}
	if s, err = a.readSettings(content); err != nil || s.StateDir() != dir {
		return nil
	}
	return s
}

// readableSettings is what a broken file of settings says about the folder of the state, as a file of its own. Where
// the file is no YAML it is what stands before that.
func readableSettings(file string) []byte {
	src, err := plainfile.Read(file)
	if err != nil {
		return []byte("{}")
	}
	doc, faults := yamldoc.Parse(file, src)
	if (doc == nil || doc.Root == nil) && len(faults) > 0 {
		if n := faults[0].Pos.Line; n > 1 {
			doc, _ = yamldoc.Parse(file, bytes.Join(bytes.SplitAfterN(src, []byte("\n"), n)[:n-1], nil))
		}
	}
	if doc == nil || doc.Root == nil {
		return []byte("{}")
	}
	text := func(n *yamldoc.Node) any {
		if n == nil || n.Kind != yamldoc.Scalar || n.Tag != yamldoc.String {
			return nil
		}
		return n.Text
	}
	nats := doc.Root.Get("nats")
	out, err := json.Marshal(map[string]any{
		"state": text(doc.Root.Get("state")), "nats": map[string]any{"store": text(nats.Get("store")), "url": text(nats.Get("url"))},
	})
	if err != nil {
		return []byte("{}")
	}
	return out
}

// The looks at files that change while they are read.
const (
	maxReads  = 10
	readAgain = 50 * time.Millisecond
)

// stable loads files that are all of one time: a load during which any of them changes does not count. The settings
// are nil where they are at fault.
func (l *loader) stable(ctx context.Context) (*daemon.Snapshot, *config.Settings, error) {
	for range maxReads {
		before := watch.Look(l.watched)
		s, err := l.a.settings()
		if s != nil && l.watch(s) {
			continue // these have not been looked at
		}
		var snap *daemon.Snapshot
		if err == nil {
			restart := s.Pin(l.running)
			if snap, err = l.a.loadSnapshot(s, filesOf(s)); err == nil {
				snap.Restart = restart
			}
		}
		if before.Same(watch.Look(l.watched)) {
			l.looked = before
			if s != nil {
				l.files = filesOf(s)
				l.files.Settings = l.a.settingsFile()
			}
			return snap, s, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(readAgain):
		}
	}
	return nil, nil, errors.New("the files change all the time while they are read: they are read again when they rest")
}

// recall loads what is remembered in place of what is broken.
func (l *loader) recall(s *config.Settings, fault error) (*daemon.Snapshot, error) {
	if l.state == "" {
		return nil, fault
	}
	c, err := lastgood.Open(l.state)
	if errors.Is(err, lastgood.ErrNone) {
		return nil, fault
	}
	var snap *daemon.Snapshot
	if err == nil {
		snap, err = l.a.loadSnapshot(s, c.Files)
	}
	if err != nil {
		return nil, joined(fault, cli.Fail(fmt.Errorf("the configuration that worked last cannot be used either: %w", err)))
	}
	snap.Fault, snap.Remembered = spelled(fault), c.Time
	return snap, nil
}

// releaseAfter is how long look-up sources that were replaced serve the events that use them.
const releaseAfter = time.Minute

// inForce remembers the files of a snapshot that the daemon uses now.
func (l *loader) inForce(snap *daemon.Snapshot) {
	src, _ := snap.Lookups.(*source.Source)
	if err := l.a.sources.Release(src, releaseAfter); err != nil {
		l.log.Warn("a source of users and courses that was replaced did not close well", "error", err)
	}
	l.warnOfExposure(snap)
	if l.state == "" || snap.Fault != nil || snap.Hash == l.remembered {
		return
	}
	if !l.started {
		if c, err := lastgood.Open(l.state); err == nil && c.Hash == snap.Hash {
			l.remembered = snap.Hash
			return
		}
	}
	paths := slices.Clone(l.watched)
	unchanged := func() bool { return l.looked.Same(watch.Look(paths)) }
	err := lastgood.ErrChanged
	if unchanged() {
		if err := l.keepLeaving(snap.Routers); err != nil {
			l.log.Warn("routers that were removed are forgotten at the next start", "error", err)
		}
		err = lastgood.Save(l.state, l.files, snap.Hash, unchanged)
	}
	switch {
	case err == nil:
		l.remembered, l.trouble = snap.Hash, ""
	case errors.Is(err, lastgood.ErrChanged): // what they become is loaded next
	case err.Error() != l.trouble:
		l.trouble = err.Error()
		l.log.Warn("the configuration cannot be remembered: a start while a file is broken will fail", "error", err)
	}
}

// watch lets other files be watched where the settings name others than before, and reports whether they do.
func (l *loader) watch(s *config.Settings) bool {
	paths := l.a.watched(s)
	if slices.Equal(paths, l.watched) {
		return false
	}
	l.watched = paths
	select {
	case <-l.paths: // nobody has taken the ones before
	default:
	}
	l.paths <- paths
	return true
}
