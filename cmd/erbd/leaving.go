package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/lastgood"
	"github.com/erbd/erbd/engine/plainfile"
	"github.com/erbd/erbd/engine/route"
)

// leavingFolder holds, in the folder of the state, the routers files of before from which routers were removed: a
// router delivers what waits for it also when the daemon starts again before it is done.
const (
	leavingFolder = "routers-removed"
	maxLeaving    = 20
)

// removed are the routers that are remembered but not in the file any more, as far as they can still be used; of
// several with one name the last.
func (l *loader) removed(s *config.Settings, now *route.Set) (gone []*route.Router) {
	for _, file := range l.routersBefore() {
		before, err := l.a.parseRouters(s, file)
		if err != nil {
			continue
		}
		for _, r := range leaving(before, now) {
			if !slices.ContainsFunc(gone, func(o *route.Router) bool { return o.Backend == r.Backend && o.Name == r.Name }) {
				gone = append(gone, r)
			}
		}
	}
	return gone
}

func leaving(before, now *route.Set) (gone []*route.Router) {
	for _, r := range before.All() {
		if !slices.ContainsFunc(now.Backend(r.Backend), func(o *route.Router) bool { return o.Name == r.Name }) {
			gone = append(gone, r)
		}
	}
	return gone
}

// routersBefore lists the routers files that are remembered, the newest first.
func (l *loader) routersBefore() (files []string) {
	if l.state == "" {
		return nil
	}
	if c, err := lastgood.Open(l.state); err == nil && c.Files.Routers != "" {
		files = append(files, c.Files.Routers)
	}
	older, err := filepath.Glob(filepath.Join(l.state, leavingFolder, "*.yaml"))
	if err != nil {
		return files
	}
	slices.Sort(older)
	slices.Reverse(older)
	return append(files, older...)
}

// keepLeaving keeps the routers file that is remembered, before another one takes its place, where routers of it
// have left.
func (l *loader) keepLeaving(now *route.Set) error {
	c, err := lastgood.Open(l.state)
	if errors.Is(err, lastgood.ErrNone) || err == nil && c.Files.Routers == "" {
		return nil
	}
	if err != nil {
		return err
	}
	before, err := l.a.parseRouters(l.running, c.Files.Routers)
	if err != nil || len(leaving(before, now)) == 0 {
		return nil // what cannot be used now was of no use before
	}
	src, err := plainfile.Read(c.Files.Routers)
	if err != nil {
		return fmt.Errorf("removed routers: %w", err)
	}
	dir := filepath.Join(l.state, leavingFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("removed routers: %w", err)
	}
	name := filepath.Join(dir, strconv.FormatInt(time.Now().UnixNano(), 10)+".yaml")
	if err := os.WriteFile(name, src, 0o600); err != nil {
		return fmt.Errorf("removed routers: %w", err)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil
	}
	slices.Sort(kept)
	for _, old := range kept[:max(0, len(kept)-maxLeaving)] {
		if err := os.Remove(old); err != nil {
			return fmt.Errorf("removed routers: %w", err)
		}
	}
	return nil
}
