package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/erbd/erbd/engine/golden"
)

// settle is how long a burst of changes is waited for: editors write files in several steps.
const settle = 100 * time.Millisecond

// watch runs the cases, and again whenever a file changes: a changed case alone, everything after any other change.
func (a *app) watch(ctx context.Context, sel golden.Selection, f testFlags) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer w.Close()
	sets, err := a.sets()
	if err != nil {
		return err
	}
	for _, dir := range []string{a.golden, sets.Folder} {
		if dir != "" {
			if err := addTree(w, dir); err != nil {
				return err
			}
		}
	}
	rerun := func(changed []string) {
		if sets, err = a.again(ctx, sets, sel, f, changed); err != nil && !errors.Is(err, errFound) {
			a.report(err)
		}
		fmt.Fprintf(a.stdout, "watching %s\n", strings.TrimSpace(a.golden+" "+sets.Folder))
	}
	rerun(nil)
	changed := map[string]bool{}
	timer := time.NewTimer(settle)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-w.Events:
			if !ok {
				return nil
			}
			if ev.Op == fsnotify.Chmod || strings.HasPrefix(filepath.Base(ev.Name), ".") || strings.HasSuffix(ev.Name, "~") {
				continue
			}
			if info, err := os.Stat(ev.Name); err == nil && info.IsDir() {
				if err := addTree(w, ev.Name); err != nil {
					return err
				}
			}
			changed[ev.Name] = true
			timer.Reset(settle)
		case err, ok := <-w.Errors:
			if ok {
				fmt.Fprintf(a.stderr, "mapcheck: warning: watch files: %v\n", err)
			}
		case <-timer.C:
			var names []string
			for name := range changed {
				names = append(names, name)
			}
			clear(changed)
			rerun(names)
		}
	}
}

// again runs what changes touch and returns the mappings to go on with.
func (a *app) again(ctx context.Context, sets *golden.Sets, sel golden.Selection, f testFlags, changed []string) (*golden.Sets, error) {
	only := changed != nil
	for _, name := range changed {
		rel, err := filepath.Rel(a.golden, name)
		isCase := err == nil && !strings.HasPrefix(rel, "..") && strings.Count(filepath.ToSlash(rel), "/") == 2
		_, err = os.Stat(name)
		only = only && isCase && err == nil
	}
	if only {
		sel = golden.Selection{Patterns: changed, Run: sel.Run}
	} else if changed != nil {
		fresh, err := a.sets()
		if err != nil {
			return sets, err
		}
		sets = fresh
	}
	return sets, a.runCases(ctx, sets, sel, f)
}

// addTree watches a folder and those in it: folders, not files, as editors replace files.
func addTree(w *fsnotify.Watcher, dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return w.Add(path)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("watch files: %w", err)
	}
	return nil
}
