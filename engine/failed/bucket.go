// Package failed keeps critical events that could not be delivered in a key-value bucket of JetStream, until an
// operator replays or purges them.
//
// A record is created once: putting it again while it is there changes nothing, so a crash between the put and the
// acknowledgement of the message is harmless. A replay takes a lease on the record by a write that names the
// revision it read; of two replays at once one gets it. The record is removed only after its delivery.
package failed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is the name of the bucket.
const Bucket = "erb_failed"

// Defaults of the bucket.
const (
	// DefaultMaxBytes bounds the bucket. A full bucket takes nothing: it never drops what it has.
	DefaultMaxBytes = 1 << 30
	// DefaultLease is how long a replay owns a record: above the time that its delivery takes.
	DefaultLease = 2 * time.Minute
	// headroom is what the stream behind the bucket has beyond MaxBytes, so that a full bucket can still write leases
	// and the marks of removal.
	headroom = 16 << 20
	// markers is how long the bucket remembers that a record was removed.
	markers = time.Hour
)

// Errors of the package, for errors.Is.
var (
	// ErrFull: the bucket is full; the event must stay where it is.
	ErrFull = errors.New("bucket of failed events is full")
	// ErrTooLarge: the record is larger than the bucket takes, even without the original event.
	ErrTooLarge = errors.New("failed event is too large to keep")
	// ErrNotFound: no record has that key.
	ErrNotFound = errors.New("no such failed event")
	// ErrLeased: another replay owns the record.
	ErrLeased = errors.New("failed event is being replayed")
	// ErrKey: a key that no record can have.
	ErrKey = errors.New("unusable key of a failed event")
	// ErrRecord: the bucket holds something else under the key.
	ErrRecord = errors.New("unreadable failed event")
	// ErrIncompatible: the bucket exists with other settings.
	ErrIncompatible = errors.New("bucket of failed events exists with other settings")
)

// Options of the bucket.
type Options struct {
	// Replicas is 1 (default), or 3 or 5 on a cluster.
	Replicas int
	// MaxBytes bounds the bucket; 0 means DefaultMaxBytes.
	MaxBytes int64
}

// Store is the bucket. It is safe for concurrent use and needs no closing.
type Store struct{ kv jetstream.KeyValue }

// Open makes the bucket, or adjusts the size and replicas of an existing one. It may wrap ErrIncompatible.
func Open(ctx context.Context, js jetstream.JetStream, o Options) (*Store, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	cfg := jetstream.KeyValueConfig{
		Bucket: Bucket, Description: "critical events that could not be delivered", Storage: jetstream.FileStorage, History: 1,
		MaxBytes: o.MaxBytes + headroom, Replicas: max(o.Replicas, 1), LimitMarkerTTL: markers,
	}
	kv, err := js.KeyValue(ctx, Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = js.CreateKeyValue(ctx, cfg)
		if errors.Is(err, jetstream.ErrBucketExists) { // another process was faster
			kv, err = js.KeyValue(ctx, Bucket)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", Bucket, err)
	}
	st, err := kv.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", Bucket, err)
	}
	have := st.Config()
	switch {
	case have.TTL != 0:
		return nil, fmt.Errorf("%w: it forgets after %s (ttl): events would be lost; rename or delete it", ErrIncompatible, have.TTL)
	case have.Storage != jetstream.FileStorage:
		return nil, fmt.Errorf("%w: it is held in memory: events would be lost; rename or delete it", ErrIncompatible)
	case have.MaxBytes == cfg.MaxBytes && have.Replicas == cfg.Replicas && have.LimitMarkerTTL != 0:
		return &Store{kv}, nil
	}
	if kv, err = js.UpdateKeyValue(ctx, cfg); err != nil {
		return nil, fmt.Errorf("%w: %w: change it by hand", ErrIncompatible, err)
	}
	return &Store{kv}, nil
}

// Attach returns the bucket that a daemon has made, for the commands. ErrNotFound when there is none.
func Attach(ctx context.Context, js jetstream.JetStream) (*Store, error) {
	kv, err := js.KeyValue(ctx, Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("%w: bucket %s does not exist: has erbd serve run here?", ErrNotFound, Bucket)
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", Bucket, err)
	}
	return &Store{kv}, nil
}

// Put keeps a record. If it is there already nothing changes. A record that is too large is kept without its original
// event. Errors: ErrFull and ErrTooLarge; after any error the event must not be given up elsewhere.
func (s *Store) Put(ctx context.Context, r *Record) error {
	key := r.Key().String()
	if len(key) > maxID+200 {
		return fmt.Errorf("%w: the id has %d bytes", ErrKey, len(r.ID))
	}
	_, used, limit, err := s.Usage(ctx)
	if err != nil {
		return err
	}
	c := *r
	c.Version = recordVersion
	for {
		b, err := marshal(&c)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRecord, err)
		}
		if limit > 0 && used+uint64(len(b)) > limit {
			if _, err := s.Get(ctx, key); err == nil {
				return nil
			}
			return fmt.Errorf("%w: %d of %d bytes are used: replay or purge some (erbd failed), or raise its limit", ErrFull, used, limit)
		}
		_, err = s.kv.Create(ctx, key, b)
		switch {
		case err == nil, errors.Is(err, jetstream.ErrKeyExists):
			return nil
		case tooLarge(err) && len(c.Event) > 0:
			c.Event = nil
			continue
		}
		return writeError(err)
	}
}

// Get returns the record of a key as Key.String writes it. Errors: ErrNotFound, and ErrRecord with an entry that has key
// and revision alone.
func (s *Store) Get(ctx context.Context, key string) (*Entry, error) {
	e, err := s.kv.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrInvalidKey):
		return nil, fmt.Errorf("%w: %.200q", ErrNotFound, key)
	case err != nil:
		return nil, fmt.Errorf("read failed event %q: %w", key, err)
	}
	out := &Entry{Key: key, Revision: e.Revision()}
	if err := json.Unmarshal(e.Value(), &out.Record); err != nil {
		return &Entry{Key: key, Revision: e.Revision()}, fmt.Errorf("%w: %q: %w", ErrRecord, key, err)
	}
	if _, err := ParseKey(key); err != nil {
		return &Entry{Key: key, Revision: e.Revision()}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if out.Record.Version != recordVersion {
		return &Entry{Key: key, Revision: e.Revision()}, fmt.Errorf("%w: %q has version %d: written by a newer erbd?", ErrRecord, key, out.Record.Version)
	}
	return out, nil
}

// Each calls f for the records that a filter chooses, in no order, one in memory at a time, until f returns an error,
// which Each returns. Records that vanish meanwhile are left out. What is no record, since somebody else has put it
// there, holds up none of the others: after them Each returns ErrRecord.
func (s *Store) Each(ctx context.Context, filter Filter, f func(*Entry) error) error {
	var first error
	n := 0
	err := s.each(ctx, filter, f, func(_ *Entry, err error) error {
		if n++; first == nil {
			first = err
		}
		return nil
	})
	if err == nil && n > 1 {
		err = fmt.Errorf("%w (and %d more)", first, n-1)
	} else if err == nil {
		err = first
	}
	return err
}

// each is Each with a function for what is no record, of which only key and revision are known.
func (s *Store) each(ctx context.Context, filter Filter, f func(*Entry) error, bad func(*Entry, error) error) error {
	keys, err := s.keys(ctx, filter)
	if err != nil {
		return err
	}
	for _, key := range keys {
		e, err := s.Get(ctx, key)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if errors.Is(err, ErrRecord) {
			if err := bad(e, err); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if !filter.match(&e.Record) {
			continue
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) keys(ctx context.Context, filter Filter) ([]string, error) {
	list, err := s.kv.ListKeysFiltered(ctx, filter.keys())
	if err != nil {
		return nil, fmt.Errorf("list the failed events: %w", err)
	}
	var keys []string
	seen := map[string]bool{} // a key that changes while it is listed comes twice
	for k := range list.Keys() {
		if !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list the failed events: %w", err)
	}
	return keys, nil
}

// Count returns the number of records. It costs one look where there are none, and else a list of the keys.
func (s *Store) Count(ctx context.Context) (uint64, error) {
	records, _, _, err := s.Usage(ctx)
	if err != nil || records == 0 {
		return 0, err
	}
	keys, err := s.keys(ctx, Filter{})
	return uint64(len(keys)), err
}

// Usage returns the number of records (with marks of removal), the bytes of the bucket and their bound, 0 for none.
func (s *Store) Usage(ctx context.Context) (records, bytes, limit uint64, err error) {
	st, err := s.kv.Status(ctx)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("bucket %s: %w", Bucket, err)
	}
	return st.Values(), st.Bytes(), uint64(max(st.Config().MaxBytes-headroom, 0)), nil
}

// tooLarge reports whether a write failed for its size.
func tooLarge(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) || (errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum)
}

func writeError(err error) error {
	var api *jetstream.APIError
	switch {
	case tooLarge(err):
		return fmt.Errorf("%w: raise max_payload of the NATS server: %w", ErrTooLarge, err)
	case errors.As(err, &api) && (strings.Contains(api.Description, "exceeded") || strings.Contains(api.Description, "insufficient")):
		return fmt.Errorf("%w: replay or purge some (erbd failed), or raise its limit: %w", ErrFull, err)
	default:
		return fmt.Errorf("keep failed event: %w", err)
	}
}
