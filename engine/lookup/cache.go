package lookup

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of [CacheOptions].
const (
	DefaultCacheSize   = 100_000
	DefaultCacheTTL    = 10 * time.Minute
	DefaultNegativeTTL = time.Minute
	DefaultTimeout     = 5 * time.Second
	DefaultBatchSize   = 256
)

// CacheOptions are the bounds of a [Cache]. Zero means the default.
type CacheOptions struct {
	// Size is how many answers are kept of users, and as many of courses; those
	// used longest ago make room. Default [DefaultCacheSize], some 60 MB of users.
	Size int
	// TTL is how long an answer is kept; default [DefaultCacheTTL].
	TTL time.Duration
	// NegativeTTL is how long the answer is kept that somebody is unknown, at
	// most TTL; default [DefaultNegativeTTL].
	NegativeTTL time.Duration
	// Timeout bounds one question to the backend; default [DefaultTimeout].
	Timeout time.Duration
	// BatchSize is the most keys in one question; default [DefaultBatchSize].
	BatchSize int
	// Health, where set, is told when the backend fails, and with nil when it
	// answers again; not each further failure in between. Calls come one at a
	// time and must return soon.
	Health func(error)
}

func (o CacheOptions) withDefaults() CacheOptions {
	for _, d := range [...]struct {
		field *time.Duration
		value time.Duration
	}{{&o.TTL, DefaultCacheTTL}, {&o.NegativeTTL, DefaultNegativeTTL}, {&o.Timeout, DefaultTimeout}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	o.NegativeTTL = min(o.NegativeTTL, o.TTL)
	if o.Size <= 0 {
		o.Size = DefaultCacheSize
	}
	if o.BatchSize <= 0 {
		o.BatchSize = DefaultBatchSize
	}
	return o
}

// Cache is a [Source] that asks a [Backend] once for each key within the time
// that answers are kept. Misses of the same key wait for the same question;
// misses that arrive while a question is under way are asked together in the
// next one, so that there is one at a time for users and one for courses.
// Failures are not kept: the next look-up asks again. Keys of more than 512
// bytes are unknown without being asked for.
//
// It is safe for concurrent use. Close it when done.
type Cache struct {
	opt     CacheOptions
	users   *cached[User]
	courses *cached[Course]
	ctx     context.Context // of questions: they outlive the look-ups that wait for them
	cancel  context.CancelFunc
	work    sync.WaitGroup
	health  sync.Mutex // guards down and the calls of opt.Health
	down    error
}

// NewCache returns a cache over the backend, which stays the caller's to close, after the cache.
func NewCache(b Backend, opt CacheOptions) *Cache {
	c := &Cache{opt: opt.withDefaults()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.users = newCached(c, "users", b.Users)
	c.courses = newCached(c, "courses", b.Courses)
	return c
}

// User implements [Source].
func (c *Cache) User(ctx context.Context, key string) (*User, error) { return c.users.get(ctx, key) }

// Course implements [Source].
func (c *Cache) Course(ctx context.Context, id string) (*Course, error) {
	return c.courses.get(ctx, id)
}

// ForgetUser drops the answer for a key, also one that is just being asked for,
// so that the next look-up asks again. Answers under other keys of the same
// user stay.
func (c *Cache) ForgetUser(key string) { c.users.forget(key) }

// ForgetCourse is ForgetUser for a course.
func (c *Cache) ForgetCourse(id string) { c.courses.forget(id) }

// Forget drops all answers.
func (c *Cache) Forget() {
	c.users.forgetAll()
	c.courses.forgetAll()
}

// Err returns why the backend cannot be asked, nil while it can.
func (c *Cache) Err() error {
	c.health.Lock()
	defer c.health.Unlock()
	return c.down
}

// Close ends the questions under way and waits for them. Look-ups that wait, and
// later ones that are not in the cache, return [ErrClosed].
func (c *Cache) Close() {
	for _, end := range [...]func(){c.users.close, c.courses.close} {
		end()
	}
	c.cancel()
	c.work.Wait()
}

// asked tells the health after a question.
func (c *Cache) asked(err error) {
	if c.ctx.Err() != nil {
		return // closed: that is no failure
	}
	c.health.Lock()
	defer c.health.Unlock()
	changed := (err == nil) != (c.down == nil)
	c.down = err
	if changed && c.opt.Health != nil {
		c.opt.Health(err)
	}
}

// CacheStats are counts since the start of a [Cache], but for Entries and Waiting.
type CacheStats struct {
	// Hits were answered from the cache, with Unknown of them negative.
	Hits, Unknown uint64
	// Misses were not; Joined of them waited for a question that others had asked.
	Misses, Joined uint64
	// Questions went to the backend, with Keys in all; Failures of them had no answer.
	Questions, Keys, Failures uint64
	// Entries are the answers in the cache now, Waiting the keys asked for now.
	Entries, Waiting int
}

// Stats returns the counts of users and of courses.
func (c *Cache) Stats() (users, courses CacheStats) { return c.users.stats(), c.courses.stats() }

// cached is the half of a Cache for users or courses.
type cached[T any] struct {
	cache *Cache
	what  string // for messages
	ask   func(ctx context.Context, keys []string) (map[string]Answer[T], error)
	lru   *lru[T]

	mu      sync.Mutex // guards the fields below; taken before the locks of lru
	calls   map[string]*call[T]
	queue   []*call[T]
	running bool // a goroutine asks until queue is empty
	closed  bool

	hits, unknown, misses, joined, questions, keys, failures atomic.Uint64
}

// call is a key that is being asked for.
type call[T any] struct {
	key   string
	stale bool          // forgotten meanwhile; guarded by cached.mu
	done  chan struct{} // closed once value and err are set
	value *T
	err   error
}

func newCached[T any](c *Cache, what string, ask func(context.Context, []string) (map[string]Answer[T], error)) *cached[T] {
	return &cached[T]{cache: c, what: what, ask: ask, lru: newLRU[T](c.opt.Size), calls: map[string]*call[T]{}}
}

func (c *cached[T]) get(ctx context.Context, key string) (*T, error) {
	if key == "" || len(key) > maxMemoKey {
		return nil, ErrNotFound
	}
	if value, ok := c.lru.get(key, time.Now()); ok {
		return c.hit(value)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	waiting, value, ok := c.join(key)
	if ok {
		return c.hit(value)
	}
	if waiting == nil {
		return nil, ErrClosed
	}
	select {
	case <-waiting.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch {
	case waiting.err != nil:
		return nil, waiting.err
	case waiting.value == nil:
		return nil, ErrNotFound
	}
	return waiting.value, nil
}

func (c *cached[T]) hit(value *T) (*T, error) {
	c.hits.Add(1)
	if value == nil {
		c.unknown.Add(1)
		return nil, ErrNotFound
	}
	return value, nil
}
