package lookup

import (
	"hash/maphash"
	"sync"
	"time"
)

// lruShards is how many locks a large lru has.
const lruShards = 16

// lru keeps the answers that were used last, each until it expires. A nil value
// is the answer that nobody has the key. Safe for concurrent use.
type lru[T any] struct {
	seed   maphash.Seed
	shards []lruShard[T]
}

type lruShard[T any] struct {
	mu      sync.Mutex
	entries map[string]*lruEntry[T]
	ring    lruEntry[T] // next is the latest entry, prev the oldest
	max     int
}

type lruEntry[T any] struct {
	key        string
	value      *T
	expires    time.Time
	prev, next *lruEntry[T]
}

// newLRU returns an lru for size answers, rounded up to a multiple of lruShards
// unless it is small.
func newLRU[T any](size int) *lru[T] {
	n := lruShards
	if size < 64*lruShards {
		n = 1
	}
	l := &lru[T]{seed: maphash.MakeSeed(), shards: make([]lruShard[T], n)}
	for i := range l.shards {
		s := &l.shards[i]
		s.entries, s.max = map[string]*lruEntry[T]{}, (size+n-1)/n
		s.ring.prev, s.ring.next = &s.ring, &s.ring
	}
	return l
}

func (l *lru[T]) shard(key string) *lruShard[T] {
	if len(l.shards) == 1 {
		return &l.shards[0]
	}
	return &l.shards[maphash.String(l.seed, key)%uint64(len(l.shards))]
}

func (l *lru[T]) get(key string, now time.Time) (value *T, ok bool) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil {
		return nil, false
	}
	e.unlink()
	if !now.Before(e.expires) {
		delete(s.entries, key)
		return nil, false
	}
	s.latest(e)
	return e.value, true
}

// put keeps key, which must not change afterwards.
func (l *lru[T]) put(key string, value *T, expires time.Time) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[key]; e != nil {
		e.unlink()
		e.value, e.expires = value, expires
		s.latest(e)
		return
	}
	if len(s.entries) >= s.max {
		oldest := s.ring.prev
		oldest.unlink()
		delete(s.entries, oldest.key)
	}
	e := &lruEntry[T]{key: key, value: value, expires: expires}
	s.entries[key] = e
	s.latest(e)
}

func (l *lru[T]) remove(key string) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[key]; e != nil {
		e.unlink()
		delete(s.entries, key)
	}
}

func (l *lru[T]) clear() {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		clear(s.entries)
		s.ring.prev, s.ring.next = &s.ring, &s.ring
		s.mu.Unlock()
	}
}

func (l *lru[T]) len() (n int) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

func (e *lruEntry[T]) unlink() { e.prev.next, e.next.prev = e.next, e.prev }

func (s *lruShard[T]) latest(e *lruEntry[T]) {
	e.prev, e.next = &s.ring, s.ring.next
	e.prev.next, e.next.prev = e, e
}
