package watch

import (
	"path/filepath"
	"slices"
)

// State is what files and folders looked like at one time. It is immutable.
type State struct{ seen snapshot }

// Look looks at files and folders, those that [Start] would watch. With a look
// before reading them and one afterwards a reader knows that all of them are of
// one time.
func Look(paths []string) State {
	k := newLook()
	for _, p := range absolute(paths) {
		k.path(p)
	}
	return State{k.seen}
}

// Same reports whether nothing has changed between two looks at the same paths:
// neither links, nor names, nor which files they are, nor their sizes and times.
func (s State) Same(t State) bool { return same(s.seen, t.seen) }

// absolute makes paths clean and independent of the working directory, without empty ones.
func absolute(paths []string) []string {
	var all []string
	for _, p := range paths {
		if p == "" {
			continue
		}
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		all = append(all, filepath.Clean(p))
	}
	return all
}

// Changed lists, in order, what looks different than in an earlier look at the
// same paths, has come or has gone: files, links and folders, with absolute
// paths in which the links of a watched folder's own path are followed.
func (s State) Changed(earlier State) []string {
	var names []string
	for name, info := range s.seen {
		before, ok := earlier.seen[name]
		if !ok || !same(snapshot{name: before}, snapshot{name: info}) {
			names = append(names, name)
		}
	}
	for name := range earlier.seen {
		if _, ok := s.seen[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
