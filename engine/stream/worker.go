package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/failed"
)

// Sender delivers statements and says what became of each; *deliver.Client is one.
type Sender interface {
	Send(ctx context.Context, items []deliver.Item) []deliver.Outcome
}

// Keeper keeps critical events that cannot be delivered; *failed.Store is one. Keeping a record twice is harmless.
type Keeper interface {
	Put(ctx context.Context, r *failed.Record) error
}

// Meter counts what a worker does. Its methods are called from the worker's goroutines and must not block.
type Meter interface {
	// Acked: the message at a place in OutStream is acknowledged. It is false where that was told before: the message was
	// handed out twice, and its events are not to be counted again.
	Acked(seq uint64) bool
	// Carried: events that another run handed to the router (an earlier one, or another daemon) are this run's from now
	// on. It is called before they are settled.
	Carried(backend, router string, events int)
	// Settled: events came to their end. reason is the bounded word of the last outcome, "" when delivered.
	Settled(backend, router string, o Outcome, reason string, events int)
	// Retried: events wait for another attempt.
	Retried(backend, router, reason string, events int)
	// Paused: the router stopped for a reason, or goes on when reason is "".
	Paused(backend, router, reason string)
	// Unreadable: a message was kept aside.
	Unreadable(backend, router string)
}

// Defaults of a worker.
const (
	DefaultCountdown  = 30 * time.Second
	DefaultMaxRetries = 3
	DefaultInFlight   = 4
	DefaultPauseMin   = time.Second
	DefaultPauseMax   = time.Minute
	DefaultDrain      = 10 * time.Second
	DefaultIdle       = time.Second
	// ackGrace is how long the last acknowledgements may take after everything else has been stopped.
	ackGrace = 5 * time.Second
)

// WorkerConfig are the settings of one router's worker.
type WorkerConfig struct {
	Backend, Router string
	// Batch is the number of statements in a request; 0 or 1 sends each event by itself.
	Batch int
	// Flush is how long the first statement of a batch waits for the batch to fill.
	Flush time.Duration
	// InFlight is the number of requests at once; 0 means DefaultInFlight.
	InFlight int
	// MaxRetries is how often a transient failure is tried again; 0 means never.
	MaxRetries int
	// Countdown is the wait before another attempt, to which up to a quarter is added by chance, or more if the record
	// store asks for it; 0 means DefaultCountdown.
	Countdown time.Duration
	// AckWait is the consumer's, Lane.AckWait; 0 means DefaultAckWait.
	AckWait time.Duration
	// PauseMin and PauseMax bound the waits between looks at an endpoint that is down, each twice the one before;
	// 0 means DefaultPauseMin and DefaultPauseMax.
	PauseMin, PauseMax time.Duration
	// Idle is one wait for a message, and so how late a waiting worker notices that it has to stop; 0 means DefaultIdle.
	Idle time.Duration
	// Drain is how long requests may take after Run was told to stop; 0 means DefaultDrain.
	Drain time.Duration
	// Logger gets no event data; nil means none.
	Logger *slog.Logger
}

func (c WorkerConfig) withDefaults() (WorkerConfig, error) {
	if err := errors.Join(CheckName(c.Backend), CheckName(c.Router)); err != nil {
		return c, err
	}
	for name, v := range map[string]time.Duration{"flush": c.Flush, "countdown": c.Countdown, "ack wait": c.AckWait, "pause": min(c.PauseMin, c.PauseMax), "drain": c.Drain, "idle": c.Idle} {
		if v < 0 {
			return c, fmt.Errorf("%w: %s must not be negative", ErrWorker, name)
		}
	}
	if c.Batch < 0 || c.InFlight < 0 || c.MaxRetries < 0 {
		return c, fmt.Errorf("%w: batch, requests in flight and retries must not be negative", ErrWorker)
	}
	set := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	set(&c.Countdown, DefaultCountdown)
	set(&c.AckWait, DefaultAckWait)
	set(&c.PauseMin, DefaultPauseMin)
	set(&c.PauseMax, DefaultPauseMax)
	set(&c.Drain, DefaultDrain)
	set(&c.Idle, DefaultIdle)
	c.PauseMax = max(c.PauseMax, c.PauseMin)
	if c.InFlight == 0 {
		c.InFlight = DefaultInFlight
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("backend", c.Backend, "router", c.Router)
	return c, nil
}

// Worker delivers the messages of one router. Several workers, in one process or many, may share a router's
// consumer; each is used by one goroutine, the one that calls Run.
type Worker struct {
	cfg    WorkerConfig
	js     jetstream.JetStream
	pub    *Publisher
	sender Sender
	keeper Keeper
	meter  Meter
	quiet  repeats
	apart  apart

	consumer  jetstream.Consumer
	density   float64   // statements in a message, lately
	notBefore time.Time // the record store asked for a rest until then
	streak    int       // rounds without a success
	pause     time.Duration
	paused    string // reason, "" when not
	behind    *settling
}

// NewWorker checks the settings. Its errors wrap ErrName or ErrWorker.
func NewWorker(js jetstream.JetStream, pub *Publisher, s Sender, k Keeper, m Meter, cfg WorkerConfig) (*Worker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if js == nil || pub == nil || s == nil || k == nil || m == nil {
		return nil, fmt.Errorf("%w: a part is missing", ErrWorker)
	}
	return &Worker{cfg: cfg, js: js, pub: pub, sender: s, keeper: k, meter: m, density: 1}, nil
}

// Run delivers until ctx ends; then it takes no more messages, gives the requests under way (and what it has taken)
// at most Drain, acknowledges, and hands the rest back without using an attempt. It returns nil after that, or an
// error when the router's consumer does not exist.
func (w *Worker) Run(ctx context.Context) error {
	var err error
	w.consumer, err = w.js.Consumer(ctx, OutStream, DeliverDurable(w.cfg.Backend, w.cfg.Router))
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("consumer of %s router %s: %w", w.cfg.Backend, w.cfg.Router, err)
	}
	if w.consumer.CachedInfo().Paused {
		// By a worker that was killed in its pause, or by one of another process, which will pause again.
		w.resume(ctx)
	}
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // ends the work some time after ctx
		select {
		case <-ctx.Done():
			t := time.NewTimer(w.cfg.Drain)
			defer t.Stop()
			select {
			case <-t.C:
				cancel(fmt.Errorf("stopped %s after the stop: %w", w.cfg.Drain, context.Cause(ctx)))
			case <-done:
			}
		case <-done:
		}
	})
	defer func() {
		close(done)
		wg.Wait()
		cancel(nil)
	}()
	for ctx.Err() == nil {
		if w.rest(ctx) != nil {
			break
		}
		msgs, err := w.gather(ctx)
		if err != nil && ctx.Err() == nil {
			w.streak++
			if n, ok := w.quiet.tell("gather"); ok {
				w.cfg.Logger.Warn("cannot fetch statements", "err", err, "times", n)
			}
		}
		if len(msgs) > 0 {
			w.handle(ctx, work, msgs)
		} else {
			w.settled(ctx, work)
		}
	}
	w.settled(ctx, work)
	if w.paused != "" { // the next worker looks for itself
		final, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackGrace)
		defer cancel()
		w.resume(final)
		w.paused = ""
		w.meter.Paused(w.cfg.Backend, w.cfg.Router, "")
	}
	return nil
}

// rest waits as long as the record store asked, or as a row of failures suggests.
func (w *Worker) rest(ctx context.Context) error {
	wait := time.Until(w.notBefore)
	if w.streak > 0 {
		wait = max(wait, min(100*time.Millisecond<<min(w.streak, 20), w.cfg.Countdown))
	}
	if wait <= 0 {
		return ctx.Err()
	}
	return sleep(ctx, wait)
}

// gather takes messages until there are enough statements for a request, or the flush interval is over. It returns
// what it has when ctx ends.
func (w *Worker) gather(ctx context.Context) ([]jetstream.Msg, error) {
	var msgs []jetstream.Msg
	statements := 0
	take := func(b jetstream.MessageBatch, err error) error {
		if err != nil {
			return err
		}
		for m := range b.Messages() {
			msgs = append(msgs, m)
			statements += Count(m) // events that became several statements are few
		}
		if err := b.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return nil
	}
	if err := take(w.consumer.Fetch(1, jetstream.FetchMaxWait(w.cfg.Idle))); err != nil || len(msgs) == 0 {
		return msgs, err
	}
	flush, kept := time.Now().Add(w.cfg.Flush), time.Now()
	size := max(w.cfg.Batch, 1)
	want := func(statements int) int { return max(int(float64(statements)/w.density), 1) }
	// What is there already is taken for all requests in flight; only for the first is it worth waiting.
	if err := take(w.consumer.FetchNoWait(want(size*w.cfg.InFlight - statements))); err != nil {
		return msgs, err
	}
	for w.cfg.Batch > 1 && statements < size && ctx.Err() == nil {
		left := time.Until(flush)
		if left < time.Millisecond {
			break
		}
		if err := take(w.consumer.Fetch(want(size-statements), jetstream.FetchMaxWait(min(left, w.cfg.Idle)))); err != nil {
			return msgs, err
		}
		if time.Since(kept) >= w.cfg.AckWait/3 { // a batch may fill for longer than AckWait
			kept = time.Now()
			for _, m := range msgs {
				_ = m.InProgress() // a lost one costs a redelivery
			}
		}
	}
	w.density = max(1, 0.7*w.density+0.3*float64(statements)/float64(len(msgs)))
	return msgs, nil
}

// repeats lets a message that repeats itself be logged once, and again with the count after a while.
type repeats struct {
	mu   sync.Mutex
	seen map[string]*repeat
}

type repeat struct {
	at time.Time
	n  int
}

// quietTime is how long a repeated message is only counted.
const quietTime = 10 * time.Minute

// tell reports whether to log now, and how often it happened since it was logged last. Keys are bounded words.
func (r *repeats) tell(key string) (int, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]*repeat{}
	}
	e := r.seen[key]
	if e == nil {
		e = &repeat{}
		r.seen[key] = e
	}
	e.n++
	if !e.at.IsZero() && time.Since(e.at) < quietTime {
		return e.n, false
	}
	n := e.n
	e.at, e.n = time.Now(), 0
	return n, true
}
