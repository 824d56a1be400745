package lookup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// join returns the call that will answer the key, a new one where none is under
// way, or the answer if it has come meanwhile. The call is nil after close.
func (c *cached[T]) join(key string) (waiting *call[T], value *T, answered bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if waiting = c.calls[key]; waiting != nil {
		c.misses.Add(1)
		c.joined.Add(1)
		return waiting, nil, false
	}
	// finish puts answers into the cache before it removes their calls.
	if value, ok := c.lru.get(key, time.Now()); ok {
		return nil, value, true
	}
	if c.closed {
		return nil, nil, false
	}
	c.misses.Add(1)
	key = strings.Clone(key) // it may be a view of the event's bytes
	waiting = &call[T]{key: key, done: make(chan struct{})}
	c.calls[key] = waiting
	c.queue = append(c.queue, waiting)
	if !c.running {
		c.running = true
		c.cache.work.Go(c.run)
	}
	return waiting, nil, false
}

// run asks for what is in the queue until nothing is.
func (c *cached[T]) run() {
	for {
		calls := c.take()
		if calls == nil {
			return
		}
		keys := make([]string, len(calls))
		for i, w := range calls {
			keys[i] = w.key
		}
		answers, err := c.question(keys)
		c.finish(calls, answers, err)
	}
}

// take returns the calls of the next question, nil when there are none.
func (c *cached[T]) take() []*call[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	var calls []*call[T]
	n := 0
	for _, w := range c.queue {
		if len(calls) == c.cache.opt.BatchSize {
			break
		}
		n++
		// An earlier question may have answered this key on the way.
		if value, ok := c.lru.get(w.key, time.Now()); ok {
			c.end(w, value, nil)
			continue
		}
		calls = append(calls, w)
	}
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
	}
	if calls == nil {
		c.running = false
	}
	return calls
}

func (c *cached[T]) question(keys []string) (map[string]Answer[T], error) {
	c.questions.Add(1)
	c.keys.Add(uint64(len(keys)))
	timeout := c.cache.opt.Timeout
	ctx, cancel := context.WithTimeout(c.cache.ctx, timeout)
	defer cancel()
	answers, err := c.ask(ctx, keys)
	switch {
	case err == nil:
	case c.cache.ctx.Err() != nil:
		return nil, ErrClosed
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("%s: no answer within %s: %w", c.what, timeout, err)
	default:
		err = fmt.Errorf("%s: %w", c.what, err)
	}
	if err != nil {
		c.failures.Add(1)
	}
	c.cache.asked(err)
	return answers, err
}

// finish hands the answers out and keeps them.
func (c *cached[T]) finish(calls []*call[T], answers map[string]Answer[T], err error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		for key, a := range answers {
			if w := c.calls[key]; a.Value != nil && a.Err == nil && (w == nil || !w.stale) {
				c.lru.put(strings.Clone(key), a.Value, now.Add(c.cache.opt.TTL))
			}
		}
	}
	for _, w := range calls {
		a := answers[w.key]
		switch {
		case err != nil:
			c.end(w, nil, err)
		case a.Err != nil:
			c.end(w, nil, a.Err)
		default:
			if a.Value == nil && !w.stale {
				c.lru.put(w.key, nil, now.Add(c.cache.opt.NegativeTTL))
			}
			c.end(w, a.Value, nil)
		}
	}
}

// end answers a call; mu is held.
func (c *cached[T]) end(w *call[T], value *T, err error) {
	delete(c.calls, w.key)
	w.value, w.err = value, err
	close(w.done)
}

func (c *cached[T]) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.calls[key]; w != nil {
		w.stale = true
	}
	c.lru.remove(key)
}

func (c *cached[T]) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.calls {
		w.stale = true
	}
	c.lru.clear()
}

func (c *cached[T]) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

func (c *cached[T]) stats() CacheStats {
	c.mu.Lock()
	waiting := len(c.calls)
	c.mu.Unlock()
	return CacheStats{
		Hits: c.hits.Load(), Unknown: c.unknown.Load(), Misses: c.misses.Load(), Joined: c.joined.Load(),
		Questions: c.questions.Load(), Keys: c.keys.Load(), Failures: c.failures.Load(),
		Entries: c.lru.len(), Waiting: waiting,
	}
}
