package failed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Attempt is what a replay's delivery came to.
type Attempt struct {
	// Delivered: the record store has every statement; the record is removed.
	Delivered bool
	// Left are the statements that are still undelivered; nil leaves those of the record.
	Left []Statement
	// Status, Reason and Answer are put into the record when it stays.
	Status         int
	Reason, Answer string
}

// Replay leases the record of key, calls send with it and then removes it or, if it was not delivered, counts the
// attempt and lets go. It reports whether the event was delivered. The context of send ends before the lease does.
// Errors: ErrNotFound when it is gone already (so it was delivered or purged), ErrLeased when another replay has it,
// or the error of send, with which the record stays as it was. lease 0 means DefaultLease.
func (s *Store) Replay(ctx context.Context, key string, lease time.Duration, send func(context.Context, *Record) (Attempt, error)) (bool, error) {
	if lease == 0 {
		lease = DefaultLease
	}
	e, err := s.Get(ctx, key)
	if err != nil {
		return false, err
	}
	now := time.Now()
	if e.Record.Lease.After(now) {
		return false, fmt.Errorf("%w: %q until %s", ErrLeased, key, e.Record.Lease.UTC().Format(time.RFC3339))
	}
	e.Record.Lease = now.Add(lease)
	if err := s.update(ctx, e); err != nil {
		return false, err
	}
	sending, cancel := context.WithTimeout(ctx, lease-lease/8)
	a, err := send(sending, &e.Record)
	cancel()

	// The outcome is written even if the caller was told to stop meanwhile.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err == nil && a.Delivered {
		err := s.kv.Purge(ctx, key, jetstream.LastRevision(e.Revision), jetstream.PurgeTTL(markers))
		if err != nil {
			return true, fmt.Errorf("remove the delivered event %q: %w", key, err)
		}
		return true, nil
	}
	e.Record.Lease = time.Time{}
	if err == nil {
		e.Record.Attempts++
		e.Record.Last = time.Now().UTC()
		e.Record.Status, e.Record.Reason, e.Record.Answer = a.Status, a.Reason, a.Answer
		if a.Left != nil {
			e.Record.Statements = a.Left
		}
	}
	return false, errors.Join(err, s.update(ctx, e))
}

// update writes an entry over the revision that was read.
func (s *Store) update(ctx context.Context, e *Entry) error {
	b, err := marshal(&e.Record)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	rev, err := s.kv.Update(ctx, e.Key, b, e.Revision)
	switch {
	case err == nil:
		e.Revision = rev
		return nil
	case errors.Is(err, jetstream.ErrKeyExists), wrongRevision(err):
		return fmt.Errorf("%w: %q was changed meanwhile", ErrLeased, e.Key)
	default:
		return writeError(err)
	}
}

func wrongRevision(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// Purge removes the records that a filter chooses and returns how many. Records under replay stay. What is no record goes
// only where the filter asks for nothing that is in a record.
func (s *Store) Purge(ctx context.Context, filter Filter) (int, error) {
	n := 0
	remove := func(e *Entry) error {
		if e.Record.Lease.After(time.Now()) {
			return nil
		}
		err := s.kv.Purge(ctx, e.Key, jetstream.LastRevision(e.Revision), jetstream.PurgeTTL(markers))
		switch {
		case err == nil:
			n++
			return nil
		case errors.Is(err, jetstream.ErrKeyExists), wrongRevision(err):
			return nil // a replay has just taken it
		default:
			return fmt.Errorf("remove failed event %q: %w", e.Key, err)
		}
	}
	if filter.Name == "" && filter.Before.IsZero() && filter.Since.IsZero() { // whatever is in them
		return n, s.each(ctx, filter, remove, func(e *Entry, _ error) error { return remove(e) })
	}
	err := s.Each(ctx, filter, remove)
	return n, err
}
