package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/erbd/erbd/engine/golden"
	"github.com/erbd/erbd/engine/watch"
)

// watch runs the cases, and again whenever a file changes: a changed case alone, everything after any other change.
func (a *app) watch(ctx context.Context, sel golden.Selection, f testFlags) error {
	sets, err := a.sets()
	if err != nil {
		return err
	}
	paths := []string{a.golden, sets.Folder}
	changes := make(chan struct{}, 1)
	w := watch.Start(paths, watch.Options{Failed: func(err error) {
		fmt.Fprintf(a.stderr, "mapcheck: warning: %v\n", err)
	}}, func() {
		select {
		case changes <- struct{}{}:
		default: // one is seen to already
		}
	})
	defer w.Close()
	seen := watch.Look(paths)
	rerun := func(changed []string) {
		if sets, err = a.again(ctx, sets, sel, f, changed); err != nil && !errors.Is(err, errFound) {
			a.report(err)
		}
		fmt.Fprintf(a.stdout, "watching %s\n", strings.TrimSpace(a.golden+" "+sets.Folder))
	}
	rerun(nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
		now := watch.Look(paths)
		changed := now.Changed(seen)
		if seen = now; len(changed) > 0 {
			rerun(changed)
		}
	}
}

// real is a path as the watcher names it: absolute, and without symbolic links.
func real(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}

// again runs what changes touch and returns the mappings to go on with.
func (a *app) again(ctx context.Context, sets *golden.Sets, sel golden.Selection, f testFlags, changed []string) (*golden.Sets, error) {
	only := changed != nil
	folder, patterns := real(a.golden), []string{}
	for _, name := range changed {
		rel, err := filepath.Rel(folder, name)
		patterns = append(patterns, filepath.Join(a.golden, rel))
		isCase := err == nil && !strings.HasPrefix(rel, "..") && strings.Count(filepath.ToSlash(rel), "/") == 2
		_, err = os.Stat(name)
		only = only && isCase && err == nil
	}
	if only {
		sel = golden.Selection{Patterns: patterns, Run: sel.Run}
	} else if changed != nil {
		fresh, err := a.sets()
		if err != nil {
			return sets, err
		}
		sets = fresh
	}
	return sets, a.runCases(ctx, sets, sel, f)
}
