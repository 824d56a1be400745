// Package retry delivers events from the bucket of failed ones to their record stores again. Any number of retries
// may run at once, beside a daemon: each event is under a lease while it is sent, and it leaves the bucket only when
// the record store has it.
package retry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/failed"
)

// Outcome says what became of one event.
type Outcome string

// The outcomes. Of all but the first two the event is still in the bucket.
const (
	// Delivered: the record store has it (now, or before), and it left the bucket.
	Delivered Outcome = "delivered"
	// Gone: it was not in the bucket any more, or never.
	Gone Outcome = "gone"
	// Busy: another retry has it in its hands.
	Busy Outcome = "busy"
	// Left: the record store did not take it.
	Left Outcome = "left"
	// Skipped: it was not tried, since its router is unknown, down or wrongly set, or the run was interrupted.
	Skipped Outcome = "skipped"
	// Failed: it could not be made anew from its event, or the bucket could not be used.
	Failed Outcome = "failed"
)

// maxRest is the longest wait that a record store may ask for before its other events are skipped.
const maxRest = time.Minute

// ErrRouter is wrapped by the errors of a Target: there is nothing to send to.
var ErrRouter = errors.New("no such router")

// Sender delivers statements; *deliver.Client is one. It must be safe for concurrent use.
type Sender interface {
	Send(ctx context.Context, items []deliver.Item) []deliver.Outcome
}

// Bucket is what a retry needs of *failed.Store.
type Bucket interface {
	Replay(ctx context.Context, key string, lease time.Duration, send func(context.Context, *failed.Record) (failed.Attempt, error)) (bool, error)
}

// Options of Run.
type Options struct {
	// Target returns the sender of a router and the time limit of one of its requests. It is called for each event,
	// by several goroutines.
	Target func(backend, router string) (Sender, time.Duration, error)
	// Make, if set, makes the statements anew from the original event; else those of the record are sent. It is called
	// by several goroutines.
	Make func(ctx context.Context, r *failed.Record) ([]failed.Statement, error)
	// Rate is the most events in a second; 0: no limit.
	Rate float64
	// Parallel is the number of events under way at once; 0: 4.
	Parallel int
	// Report, if set, is called with each result, one at a time.
	Report func(Result)
}

// Result is what became of one event.
type Result struct {
	Key     string  `json:"key"`
	Outcome Outcome `json:"outcome"`
	// Reason is a word or sentence without data of the event, "" when it is delivered.
	Reason string `json:"reason,omitempty"`
}

// Run retries the events of keys, about in that order, and returns how many had each outcome. When ctx ends, what is
// not under way is skipped.
func Run(ctx context.Context, b Bucket, keys []failed.Key, opt Options) map[Outcome]int {
	if opt.Parallel <= 0 {
		opt.Parallel = 4
	}
	r := &run{opt: opt, bucket: b, counts: map[Outcome]int{}, down: map[string]string{}}
	var limiter *rate.Limiter
	if opt.Rate > 0 {
		limiter = rate.NewLimiter(rate.Limit(opt.Rate), 1)
	}
	var group errgroup.Group
	group.SetLimit(opt.Parallel)
	for _, key := range keys {
		if limiter != nil && !r.isDown(key) {
			_ = limiter.Wait(ctx) // an end of ctx shows below
		}
		group.Go(func() error {
			r.one(ctx, key)
			return nil
		})
	}
	_ = group.Wait()
	return r.counts
}

type run struct {
	opt    Options
	bucket Bucket

	mu     sync.Mutex // guards what follows, and Report
	counts map[Outcome]int
	down   map[string]string // routers that are not tried any more, and why
}

func (r *run) one(ctx context.Context, key failed.Key) {
	res := Result{Key: key.String()}
	if ctx.Err() != nil {
		res.Outcome, res.Reason = Skipped, "interrupted"
		r.report(res)
		return
	}
	if why := r.reasonDown(key); why != "" {
		res.Outcome, res.Reason = Skipped, why
		r.report(res)
		return
	}
	sender, timeout, err := r.opt.Target(key.Backend, key.Router)
	if err != nil {
		res.Outcome, res.Reason = Skipped, err.Error()
		r.report(res)
		return
	}
	var last deliver.Outcome
	// Of a batch that is refused each half is a request, so some of them are to fit into the lease.
	lease := max(failed.DefaultLease, 4*timeout)
	delivered, err := r.bucket.Replay(ctx, res.Key, lease, func(ctx context.Context, rec *failed.Record) (failed.Attempt, error) {
		var a failed.Attempt
		a, last, err = r.attempt(ctx, sender, rec)
		return a, err
	})
	switch {
	case errors.Is(err, failed.ErrNotFound):
		res.Outcome, res.Reason = Gone, "it is not in the bucket any more"
	case errors.Is(err, failed.ErrLeased):
		res.Outcome, res.Reason = Busy, "another retry has it"
	case delivered:
		res.Outcome = Delivered
		if err != nil { // it comes again, as a duplicate
			res.Reason = err.Error()
		}
	case last.Kind == deliver.Pause, last.Kind == deliver.Aborted:
		res.Outcome, res.Reason = Skipped, last.Reason
	case err != nil:
		res.Outcome, res.Reason = Failed, err.Error()
	default:
		res.Outcome, res.Reason = Left, last.Reason
	}
	if last.Kind == deliver.Pause {
		r.setDown(key, last.Reason)
	}
	if last.Kind == deliver.Transient && last.After > 0 {
		r.rest(ctx, key, last.After)
	}
	r.report(res)
}

// These errors keep the record as it is.
var (
	errNotTried = errors.New("the router cannot be used now")
	errNothing  = errors.New("there is no statement to send")
)

// attempt sends one event. The outcome returned is that of the statement that is to blame.
func (r *run) attempt(ctx context.Context, sender Sender, rec *failed.Record) (failed.Attempt, deliver.Outcome, error) {
	statements := rec.Statements
	if r.opt.Make != nil {
		var err error
		if statements, err = r.opt.Make(ctx, rec); err != nil {
			return failed.Attempt{}, deliver.Outcome{}, err
		}
	}
	if len(statements) == 0 {
		return failed.Attempt{}, deliver.Outcome{}, errNothing
	}
	items := make([]deliver.Item, len(statements))
	for i, s := range statements {
		items[i] = deliver.Item{ID: s.ID, JSON: s.JSON}
	}
	outcomes := sender.Send(ctx, items)
	var left []failed.Statement
	var last deliver.Outcome
	for i, o := range outcomes {
		if !o.Done() {
			left = append(left, statements[i])
			last = o
		}
	}
	switch {
	case len(left) == 0:
		return failed.Attempt{Delivered: true}, last, nil
	case len(left) == len(statements) && (last.Kind == deliver.Pause || last.Kind == deliver.Aborted):
		return failed.Attempt{}, last, fmt.Errorf("%w: %s", errNotTried, last.Reason)
	case len(left) == len(statements):
		left = nil // the record keeps its own, whatever was made anew
	}
	return failed.Attempt{Left: left, Status: last.Status, Reason: last.Reason, Answer: last.Answer}, last, nil
}

// rest waits as long as the record store asked for, or gives its other events up for this run.
func (r *run) rest(ctx context.Context, key failed.Key, wait time.Duration) {
	if wait > maxRest {
		r.setDown(key, fmt.Sprintf("the record store asks to come back in %s", wait))
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (r *run) report(res Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[res.Outcome]++
	if r.opt.Report != nil {
		r.opt.Report(res)
	}
}

func (r *run) isDown(key failed.Key) bool { return r.reasonDown(key) != "" }

func (r *run) reasonDown(key failed.Key) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.down[key.Backend+"/"+key.Router]
}

func (r *run) setDown(key failed.Key, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[key.Backend+"/"+key.Router] = why
}
