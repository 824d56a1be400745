package kv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/lookup"
	"github.com/erbd/erbd/engine/natskey"
)

const (
	// inFlight is how many values are asked for at a time; NATS has no question for several.
	inFlight = 32
	// rewatch is the wait before the buckets are watched again.
	rewatch = time.Second
)

// Source is a [lookup.Source] over the buckets. It keeps answers and drops those
// that change in the buckets, so that new and changed users are seen at once.
// It is safe for concurrent use. Close it before the connection.
type Source struct {
	*lookup.Cache
	backend *backend
	js      jetstream.JetStream
	cancel  context.CancelFunc
	done    chan struct{} // closed when watch ended
}

// Open starts to watch the buckets and returns the source. ctx is for opening
// only. Errors: [ErrNoBucket] and what NATS says.
func Open(ctx context.Context, js jetstream.JetStream, buckets Buckets, opt lookup.CacheOptions) (*Source, error) {
	users, courses, err := buckets.open(ctx, js)
	if err != nil {
		return nil, err
	}
	s := &Source{backend: &backend{users, courses}, js: js, done: make(chan struct{})}
	s.Cache = lookup.NewCache(s.backend, opt)
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	w, err := s.watchers(watching)
	if err != nil {
		cancel()
		s.Cache.Close()
		return nil, err
	}
	go s.watch(watching, w)
	return s, nil
}

// Close ends the watch and the look-ups under way, and waits for them.
func (s *Source) Close() {
	s.cancel()
	<-s.done
	s.Cache.Close()
}

// watchers are the open watches of both buckets.
type watchers struct{ users, courses jetstream.KeyWatcher }

func (w *watchers) stop() {
	_ = w.users.Stop()
	_ = w.courses.Stop()
}

func (s *Source) watchers(ctx context.Context) (*watchers, error) {
	users, err := s.backend.users.WatchAll(ctx, jetstream.UpdatesOnly(), jetstream.MetaOnly())
	if err != nil {
		return nil, fmt.Errorf("watch bucket %s: %w", s.backend.users.Bucket(), err)
	}
	courses, err := s.backend.courses.WatchAll(ctx, jetstream.UpdatesOnly(), jetstream.MetaOnly())
	if err != nil {
		_ = users.Stop()
		return nil, fmt.Errorf("watch bucket %s: %w", s.backend.courses.Bucket(), err)
	}
	return &watchers{users, courses}, nil
}

// watch forgets what changes, until ctx ends. After a lost connection it watches
// anew and forgets all, since it may have missed something.
func (s *Source) watch(ctx context.Context, w *watchers) {
	defer close(s.done)
	changes := s.js.Conn().StatusChanged(nats.CONNECTED)
	defer s.js.Conn().RemoveStatusListener(changes)
	back := (<-chan nats.Status)(changes)
	for {
		s.follow(ctx, w, back)
		w.stop()
		for w = nil; w == nil; {
			if ctx.Err() != nil {
				return
			}
			var err error
			if w, err = s.watchers(ctx); err == nil {
				break
			}
			select {
			case <-ctx.Done():
			case _, ok := <-back:
				if !ok {
					back = nil // the connection was closed for good
				}
			case <-time.After(rewatch):
			}
		}
		s.Forget()
	}
}

// follow returns when the watches are to be opened anew, or ctx ended.
func (s *Source) follow(ctx context.Context, w *watchers, back <-chan nats.Status) {
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-back:
			if ok {
				return
			}
			back = nil // the connection was closed for good
		case e, ok := <-w.users.Updates():
			if !ok {
				return
			}
			if e == nil {
				continue
			}
			if user, ok := userOf(e.Key()); ok {
				s.ForgetUser(user)
			}
		case e, ok := <-w.courses.Updates():
			if !ok {
				return
			}
			if e == nil {
				continue
			}
			if id, err := natskey.Decode(e.Key()); err == nil && id != "" {
				s.ForgetCourse(id)
			}
		}
	}
}

// backend reads the buckets; it implements [lookup.Backend].
type backend struct{ users, courses jetstream.KeyValue }

// Users implements [lookup.Backend]. A key of digits is an id first, then a name.
func (b *backend) Users(ctx context.Context, keys []string) (map[string]lookup.Answer[lookup.User], error) {
	return each(ctx, keys, func(ctx context.Context, key string) (*lookup.User, error) {
		if id, ok := lookup.UserID(key); ok {
			u, err := b.user(ctx, IDKey(id), func(u *lookup.User) bool {
				same := u.ID == 0 || u.ID == id
				u.ID = id
				return same
			})
			if u != nil || err != nil {
				return u, err
			}
		}
		return b.user(ctx, NameKey(key), func(u *lookup.User) bool {
			same := u.Username == "" || u.Username == key
			u.Username = key
			return same
		})
	})
}

func (b *backend) user(ctx context.Context, key string, fits func(*lookup.User) bool) (*lookup.User, error) {
	record, err := get(ctx, b.users, key)
	if record == nil {
		return nil, err
	}
	u, err := lookup.UnmarshalUser(record)
	if err != nil {
		return nil, fmt.Errorf("%w: bucket %s: %w", ErrRecord, b.users.Bucket(), err)
	}
	if !fits(u) {
		return nil, fmt.Errorf("%w: bucket %s: the user has another id or name than its key", ErrRecord, b.users.Bucket())
	}
	return u, nil
}

// Courses implements [lookup.Backend].
func (b *backend) Courses(ctx context.Context, ids []string) (map[string]lookup.Answer[lookup.Course], error) {
	return each(ctx, ids, func(ctx context.Context, id string) (*lookup.Course, error) {
		record, err := get(ctx, b.courses, CourseKey(id))
		if record == nil {
			return nil, err
		}
		c, err := lookup.UnmarshalCourse(record)
		if err != nil {
			return nil, fmt.Errorf("%w: bucket %s: %w", ErrRecord, b.courses.Bucket(), err)
		}
		if c.ID != "" && c.ID != id {
			return nil, fmt.Errorf("%w: bucket %s: the course has another id than its key", ErrRecord, b.courses.Bucket())
		}
		c.ID = id
		if c.DisplayName == "" {
			c.DisplayName = id
		}
		return c, nil
	})
}

// get returns the value of a key, nil if there is none.
func get(ctx context.Context, kv jetstream.KeyValue, key string) ([]byte, error) {
	e, err := kv.Get(ctx, key)
	switch {
	case err == nil:
		return e.Value(), nil
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, nil
	}
	return nil, fmt.Errorf("bucket %s: %w", kv.Bucket(), err)
}

// each asks for all keys, several at a time. Faults of records are those of
// their keys; any other fault is that of the whole question.
func each[T any](ctx context.Context, keys []string, one func(context.Context, string) (*T, error)) (map[string]lookup.Answer[T], error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	answers := make(map[string]lookup.Answer[T], len(keys))
	var wg sync.WaitGroup
	for w := range min(inFlight, len(keys)) {
		wg.Go(func() {
			for i := w; i < len(keys) && ctx.Err() == nil; i += inFlight {
				value, err := one(ctx, keys[i])
				if err != nil && !errors.Is(err, ErrRecord) {
					cancel(err)
					return
				}
				mu.Lock()
				answers[keys[i]] = lookup.Answer[T]{Value: value, Err: err}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return answers, nil
}
