package kv

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/lookup"
)

// LoadOptions say how [Load] fills the buckets.
type LoadOptions struct {
	Buckets
	// Prune deletes the users and courses that the table does not have.
	Prune bool
	// Progress, where set, counts the records that were dealt with; read it meanwhile.
	Progress *atomic.Int64
}

// Loaded counts keys: a user has up to two.
type Loaded struct{ Written, Unchanged, Deleted int }

// Load writes all users and courses of a table into the buckets, which it makes
// where they are not there. What is there already is not written again, so that
// those who watch the buckets see what changed. An error leaves what was written
// up to then; Load can run again.
func Load(ctx context.Context, js jetstream.JetStream, table *lookup.Table, opt LoadOptions) (Loaded, error) {
	var total Loaded
	if err := opt.Ensure(ctx, js); err != nil {
		return total, err
	}
	users, courses, err := opt.open(ctx, js)
	if err != nil {
		return total, err
	}
	err = load(ctx, users, opt, &total, func(put func(key string, record []byte) bool) error {
		for u := range table.Users() {
			record, err := lookup.MarshalUser(u)
			if err != nil {
				return err
			}
			for _, key := range UserKeys(u) {
				if !put(key, record) {
					return nil
				}
			}
		}
		return nil
	})
	if err != nil {
		return total, err
	}
	err = load(ctx, courses, opt, &total, func(put func(key string, record []byte) bool) error {
		for c := range table.Courses() {
			record, err := lookup.MarshalCourse(c)
			if err != nil {
				return err
			}
			if !put(CourseKey(c.ID), record) {
				return nil
			}
		}
		return nil
	})
	return total, err
}

// change is one record to write, or one key to delete.
type change struct {
	key    string
	record []byte // nil: delete
}

// load fills one bucket with what all gives to put, which returns false once
// something failed.
func load(ctx context.Context, kv jetstream.KeyValue, opt LoadOptions, total *Loaded, all func(put func(key string, record []byte) bool) error) error {
	there, seed, err := existing(ctx, kv)
	if err != nil {
		return fmt.Errorf("read bucket %s: %w", kv.Bucket(), err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	write, err := writer(ctx, kv)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", kv.Bucket(), err)
	}
	changes := make(chan change)
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for c := range changes {
				if ctx.Err() != nil {
					continue
				}
				if err := write(ctx, c); err != nil {
					cancel(fmt.Errorf("write to bucket %s: %w", kv.Bucket(), err))
				}
			}
		})
	}
	var done Loaded
	put := func(key string, record []byte) bool {
		if opt.Progress != nil {
			opt.Progress.Add(1)
		}
		old, ok := there[key]
		delete(there, key)
		if ok && old == maphash.Bytes(seed, record) {
			done.Unchanged++
			return ctx.Err() == nil
		}
		select {
		case changes <- change{key, bytes.Clone(record)}:
			done.Written++
			return true
		case <-ctx.Done():
			return false
		}
	}
	err = all(put)
	if opt.Prune && err == nil {
		for key := range there {
			if ctx.Err() != nil {
				break
			}
			changes <- change{key: key}
			done.Deleted++
		}
	}
	close(changes)
	wg.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	total.Written += done.Written
	total.Unchanged += done.Unchanged
	total.Deleted += done.Deleted
	return nil
}

// writer returns what writes one change.
func writer(ctx context.Context, kv jetstream.KeyValue) (func(context.Context, change) error, error) {
	status, err := kv.Status(ctx)
	if err != nil {
		return nil, err
	}
	forgets := status.LimitMarkerTTL() > 0
	return func(ctx context.Context, c change) error {
		var err error
		switch {
		case c.record != nil:
			_, err = kv.Put(ctx, c.key, c.record)
		case forgets: // the key may be a user's name: its mark goes as well after a time
			err = kv.Purge(ctx, c.key, jetstream.PurgeTTL(markers))
		default:
			err = kv.Delete(ctx, c.key)
		}
		return err
	}, nil
}

// existing returns a hash of each value that the bucket has.
func existing(ctx context.Context, kv jetstream.KeyValue) (map[string]uint64, maphash.Seed, error) {
	seed := maphash.MakeSeed()
	there := map[string]uint64{}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, seed, err
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case e, ok := <-w.Updates():
			if !ok {
				return nil, seed, fmt.Errorf("the connection was closed")
			}
			if e == nil {
				return there, seed, nil
			}
			there[e.Key()] = maphash.Bytes(seed, e.Value())
		case <-ctx.Done():
			return nil, seed, ctx.Err()
		}
	}
}
