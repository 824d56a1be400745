package lookup

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// memoSize is how many answers a memo keeps: the learners who are active at
// one time, not all there are. About 600 bytes each where all are in use.
const memoSize = 1 << 13

// memo keeps recent answers that never change, so that the same user of the
// next event costs no allocation. Each key has one place, which the latest
// key takes. Safe for concurrent use; the zero value is not: use newMemo.
type memo[T any] struct {
	seed  maphash.Seed
	slots []atomic.Pointer[memoEntry[T]]
}

type memoEntry[T any] struct {
	key   string
	value *T
}

func newMemo[T any]() *memo[T] {
	return &memo[T]{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[memoEntry[T]], memoSize)}
}

// get returns the value of the key, made by miss where it is not there. What
// miss returns with false is not kept.
func (m *memo[T]) get(key string, miss func(key string) (*T, bool)) *T {
	slot := &m.slots[maphash.String(m.seed, key)%memoSize]
	if e := slot.Load(); e != nil && e.key == key {
		return e.value
	}
	return m.set(slot, key, miss)
}

// find returns the value of the key where it is there, nil where it is not.
func (m *memo[T]) find(key string) *T {
	if e := m.slots[maphash.String(m.seed, key)%memoSize].Load(); e != nil && e.key == key {
		return e.value
	}
	return nil
}

// replace is get without a look at what is there.
func (m *memo[T]) replace(key string, miss func(key string) (*T, bool)) *T {
	return m.set(&m.slots[maphash.String(m.seed, key)%memoSize], key, miss)
}

func (m *memo[T]) set(slot *atomic.Pointer[memoEntry[T]], key string, miss func(key string) (*T, bool)) *T {
	key = strings.Clone(key) // it may be a view of the event's bytes
	value, keep := miss(key)
	if keep {
		slot.Store(&memoEntry[T]{key, value})
	}
	return value
}
