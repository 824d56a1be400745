// Package source opens the look-up source on a server that the settings name:
// the buckets of NATS or the data base of the LMS.
package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/lookup/kv"
	"github.com/erbd/erbd/engine/lookup/mysql"
)

// Options of a [Source].
type Options struct {
	// LookupEnv follows references to secrets, usually os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// Connect connects to the message server, for lookup.type nats. The source
	// closes the connection.
	Connect func(*config.Settings) (*nats.Conn, error)
	// Health, where set, is told when the server fails, and with nil when it
	// answers again.
	Health func(error)
}

// Source is a [lookup.Source] on a server, with a cache. It connects when it is
// first asked, and again after a failure, so that it can be made before the
// server is there. It is safe for concurrent use. Close it when done.
type Source struct {
	open   func(context.Context) (*opened, error)
	opened atomic.Pointer[opened] // changes under mu only

	mu     sync.Mutex // guards the fields below; held while opening
	failed error      // of the last try to open
	after  time.Time  // of the next try
	closed bool
}

// opened is a source with what must be done to it.
type opened struct {
	*lookup.Cache
	check func(context.Context) error
	close func() error
}

// reopen is the time between two tries to open a source.
const reopen = time.Second

// New returns the source of lookup.type nats or mysql, without connecting.
// Errors are those of the settings: missing secrets, [mysql.ErrConfig].
func New(s *config.Settings, o Options) (*Source, error) {
	cache := lookup.CacheOptions{
		Size: s.Lookup.CacheSize, TTL: s.Lookup.CacheTTL, NegativeTTL: s.Lookup.NegativeTTL, Timeout: s.Lookup.Timeout, Health: o.Health,
	}
	switch kind := s.LookupType(); kind {
	case config.LookupNATS:
		return &Source{open: func(ctx context.Context) (*opened, error) { return openKV(ctx, s, o, cache) }}, nil
	case config.LookupMySQL:
		dsn, err := s.Lookup.DSN.Resolve(o.LookupEnv)
		if err != nil {
			return nil, fmt.Errorf("lookup.dsn: %w", err)
		}
		tls := s.Lookup.TLS
		db, err := mysql.Open(mysql.Config{DSN: dsn, CA: tls.CA, Cert: tls.Cert, Key: tls.Key, Timeout: s.Lookup.Timeout})
		if err != nil {
			return nil, err
		}
		src, c := &Source{}, lookup.NewCache(db, cache)
		src.opened.Store(&opened{Cache: c, check: db.Check, close: func() error {
			c.Close()
			return db.Close()
		}})
		return src, nil
	default:
		return nil, fmt.Errorf("lookup.type %s is on no server", kind)
	}
}

func openKV(ctx context.Context, s *config.Settings, o Options, cache lookup.CacheOptions) (*opened, error) {
	nc, err := o.Connect(s)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	src, err := kv.Open(ctx, js, kv.Buckets{Users: s.Lookup.UsersBucket, Courses: s.Lookup.CoursesBucket}, cache)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &opened{
		Cache: src.Cache,
		check: func(context.Context) error { return src.Err() },
		close: func() error {
			src.Close()
			nc.Close()
			return nil
		},
	}, nil
}

// get returns the open source; it opens it if that was not tried just now.
func (s *Source) get(ctx context.Context) (*opened, error) {
	if o := s.opened.Load(); o != nil {
		return o, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.opened.Load(); o != nil {
		return o, nil
	}
	switch {
	case s.closed:
		return nil, lookup.ErrClosed
	case s.failed != nil && time.Now().Before(s.after):
		return nil, s.failed
	}
	o, err := s.open(ctx)
	if err != nil {
		if ctx.Err() == nil { // else it says nothing about the server
			s.failed, s.after = err, time.Now().Add(reopen)
		}
		return nil, err
	}
	s.failed = nil
	s.opened.Store(o)
	return o, nil
}

// User implements [lookup.Source].
func (s *Source) User(ctx context.Context, key string) (*lookup.User, error) {
	o, err := s.get(ctx)
	if err != nil {
		return nil, err
	}
	return o.User(ctx, key)
}

// Course implements [lookup.Source].
func (s *Source) Course(ctx context.Context, id string) (*lookup.Course, error) {
	o, err := s.get(ctx)
	if err != nil {
		return nil, err
	}
	return o.Course(ctx, id)
}

// Check connects, and returns what is wrong: [kv.ErrNoBucket], [mysql.ErrSchema],
// or what the server or the network said.
func (s *Source) Check(ctx context.Context) error {
	o, err := s.get(ctx)
	if err != nil {
		return err
	}
	return o.check(ctx)
}

// Err returns why look-ups fail, nil while they do not.
func (s *Source) Err() error {
	if o := s.opened.Load(); o != nil {
		return o.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Stats returns the counts of the cache.
func (s *Source) Stats() (users, courses lookup.CacheStats) {
	if o := s.opened.Load(); o != nil {
		return o.Stats()
	}
	return users, courses
}

// forget drops what the cache has.
func (s *Source) forget() {
	if o := s.opened.Load(); o != nil {
		o.Forget()
	}
}

// Close ends the look-ups under way and disconnects. Later look-ups return [lookup.ErrClosed].
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if o := s.opened.Swap(nil); o != nil {
		return o.close()
	}
	return nil
}

// Keeper keeps a source open over reloads of the settings: as long as the
// settings of the source are the same, so is the source with its connection and
// cache. Sources that were replaced go on to work, for the events that still use
// them, until Release or Close. It is safe for concurrent use.
type Keeper struct {
	Options

	mu      sync.Mutex
	current *Source
	key     key
	old     []replaced
}

// replaced is a source that the settings do not name any more.
type replaced struct {
	*Source
	at time.Time
}

// key is what tells sources apart.
type key struct {
	lookup config.Lookup
	dsn    string
	nats   config.NATS
}

// Get returns the source that the settings name. Errors are those of [New].
func (k *Keeper) Get(s *config.Settings) (*Source, error) {
	next := key{lookup: s.Lookup}
	// These are no settings of the source.
	next.lookup.UnknownUsers, next.lookup.UnknownCourses, next.lookup.RetiredUsers, next.lookup.RetiredPrefix = "", "", "", ""
	next.lookup.Secret, next.lookup.Path, next.lookup.AnonymousUsers = config.Secret{}, "", ""
	if s.LookupType() == config.LookupMySQL {
		var err error
		if next.dsn, err = s.Lookup.DSN.Resolve(k.LookupEnv); err != nil {
			return nil, fmt.Errorf("lookup.dsn: %w", err)
		}
	} else {
		next.nats = s.NATS
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current != nil && k.key == next {
		return k.current, nil
	}
	made, err := New(s, k.Options)
	if err != nil {
		return nil, err
	}
	if k.current != nil {
		k.current.forget()
		k.old = append(k.old, replaced{k.current, time.Now()})
	}
	k.current, k.key = made, next
	return made, nil
}

// Current returns the source that Get returned last, nil if there is none.
func (k *Keeper) Current() *Source {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current
}

// Release closes the sources that were replaced longer than a time ago, but for
// one that is in force still; nil if there is none. Who asks a closed one gets
// [lookup.ErrClosed] and has to turn to the one in force.
func (k *Keeper) Release(inForce *Source, after time.Duration) (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.old = slices.DeleteFunc(k.old, func(s replaced) bool {
		if s.Source == inForce || time.Since(s.at) < after {
			return false
		}
		err = errors.Join(err, s.Close())
		return true
	})
	return err
}

// Close closes all sources.
func (k *Keeper) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var err error
	for _, s := range k.old {
		err = errors.Join(err, s.Close())
	}
	if k.current != nil {
		err = errors.Join(err, k.current.Close())
	}
	k.current, k.old = nil, nil
	return err
}
