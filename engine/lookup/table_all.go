package lookup

import (
	"iter"
	"maps"
	"slices"
)

// Users yields all users: those with ids in their order, then the others by name.
func (t *Table) Users() iter.Seq[*User] {
	return func(yield func(*User) bool) {
		for _, e := range t.ids {
			if !yield(t.unpack(e.start)) {
				return
			}
		}
		for _, start := range t.names {
			if u := t.unpack(start); u.ID == 0 && !yield(u) {
				return
			}
		}
	}
}

// Courses yields all courses in the order of their ids.
func (t *Table) Courses() iter.Seq[*Course] {
	return func(yield func(*Course) bool) {
		for _, id := range slices.Sorted(maps.Keys(t.courses)) {
			if !yield(t.courses[id]) {
				return
			}
		}
	}
}
