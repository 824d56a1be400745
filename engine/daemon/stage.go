package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/erbd/erbd/engine/store"
	"github.com/erbd/erbd/engine/stream"
)

// The bounds of one round of a stage.
const (
	// roundEvents bounds what is in memory, where it is shared by the routers; roundMessages is half of what the consumer
	// gives out, since there are two hands.
	roundEvents   = 4000
	roundMessages = stream.DefaultMaxPending / hands
	roundWait     = time.Second
	fullWait      = 500 * time.Millisecond
	stopGrace     = 3 * time.Second
)

// hands is the number of stages of a backend: while one waits for what it publishes, another one transforms.
const hands = 2

// stage is the transformation of one backend: it takes messages from the intake, publishes what they became and
// acknowledges them. Several share the work of a backend.
type stage struct {
	backend  string
	consumer jetstream.Consumer
	pub      *stream.Publisher
	ledger   *ledger
	log      *slog.Logger
	snapshot *atomic.Pointer[Snapshot]
	logs     *statementLogs
	// heartbeat is how often the server is told that messages are under way.
	heartbeat time.Duration
	tracing   *tracing
	guard     *store.Guard // nil with an external server
	js        jetstream.JetStream
	steadily  func(func() error) error // see Daemon.hold

	workers []*transformer
	memory  sync.Pool // of delivery messages
	*crew
	density float64 // events in a message, lately
	// using is the snapshot that the messages under way see, nil between rounds.
	using atomic.Pointer[Snapshot]
}

// crew is what the stages of a backend share.
type crew struct {
	trouble notice
	// fetching is held by the one that fetches: of two at once each would get every other message, and no group would
	// have more than one.
	fetching sync.Mutex
}

// newStages returns the stages of a backend.
func newStages(ctx context.Context, d *Daemon, backend string) ([]*stage, error) {
	shared := &crew{trouble: notice{log: d.log.With("backend", backend)}}
	var list []*stage
	for range hands {
		s, err := newStage(ctx, d, backend, shared)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func newStage(ctx context.Context, d *Daemon, backend string, shared *crew) (*stage, error) {
	c, err := d.js.Consumer(ctx, stream.RawStream, stream.TransformDurable(backend))
	if err != nil {
		return nil, fmt.Errorf("intake of backend %s: %w", backend, err)
	}
	s := &stage{backend: backend, consumer: c, pub: d.pub, ledger: d.ledger, log: d.log.With("backend", backend), snapshot: &d.snapshot, logs: d.logs, heartbeat: d.opt.Settings.NATS.AckWait / 3, tracing: d.tracing, guard: d.guard, js: d.js, steadily: d.hold, crew: shared, density: 1}
	for range runtime.GOMAXPROCS(0) {
		s.workers = append(s.workers, &transformer{backend: backend, log: d.log, waiting: s.waiting, current: &d.snapshot, ledger: d.ledger, memory: &s.memory})
	}
	return s, nil
}

// waiting says once that events wait for a look-up, and once that they go on.
func (s *stage) waiting(err error) {
	if err != nil {
		s.trouble.say("events wait for a look-up that is down", err)
		return
	}
	s.trouble.over("look-ups answer again")
}

// Run transforms until ctx ends. What it then has in its hands is finished where nothing stands in the way, and
// handed back otherwise.
func (s *stage) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if s.tight() {
			sleep(ctx, roundWait)
			continue
		}
		msgs, err := s.fetch()
		if err != nil {
			if s.tight() {
				continue // the store was closed meanwhile
			}
			if s.gone(ctx, err) {
				return fmt.Errorf("intake of backend %s: %w", s.backend, err)
			}
			s.trouble.say("the intake does not answer", err)
			sleep(ctx, fullWait)
			continue
		}
		if len(msgs) > 0 {
			s.round(ctx, msgs)
		}
	}
	return nil
}

// gone reports whether the consumer does not exist any more. A store that is closed says so, too, and opens again.
func (s *stage) gone(ctx context.Context, err error) bool {
	if !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrConsumerDeleted) {
		return false
	}
	err = s.steadily(func() error {
		_, err := s.js.Consumer(ctx, stream.RawStream, stream.TransformDurable(s.backend))
		return err
	})
	return errors.Is(err, jetstream.ErrConsumerNotFound)
}

// tight reports whether events have to wait for the store, of which its guard speaks.
func (s *stage) tight() bool { return s.guard != nil && s.guard.Tight() != "" }

func (s *stage) fetch() (msgs []jetstream.Msg, err error) {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	events := 0
	take := func(b jetstream.MessageBatch, err error) error {
		if err != nil {
			return err
		}
		for m := range b.Messages() {
			msgs = append(msgs, m)
			events += stream.Count(m)
		}
		return b.Error()
	}
	if err := take(s.consumer.Fetch(1, jetstream.FetchMaxWait(roundWait))); err != nil || len(msgs) == 0 {
		return msgs, ignoreTimeout(err)
	}
	routers := len(s.snapshot.Load().Routers.Backend(s.backend))
	more := min(int(float64(roundEvents/max(routers, 1)-events)/max(s.density, float64(events))), roundMessages-1)
	if more > 0 {
		err = take(s.consumer.FetchNoWait(more))
	}
	s.density = max(1, float64(events)/float64(len(msgs)))
	return msgs, ignoreTimeout(err)
}

// group is a row of intake messages without a gap, whose statements are packed together.
type group struct {
	msgs  []jetstream.Msg
	metas []*jetstream.MsgMetadata // of the messages
}

// grouped makes groups of messages, each about a delivery message large. Messages that are not from JetStream, of
// which there are none, are left out.
func grouped(msgs []jetstream.Msg) (groups []group) {
	events, bytes := 0, 0
	next := uint64(0)
	for i, m := range msgs {
		md, err := m.Metadata()
		if err != nil {
			next = 0
			continue
		}
		n := stream.Count(m)
		if next != md.Sequence.Stream || events+n > maxItems || bytes+len(m.Data()) > maxBytes {
			groups = append(groups, group{})
			events, bytes = 0, 0
		}
		g := &groups[len(groups)-1]
		g.msgs, g.metas = append(g.msgs, msgs[i]), append(g.metas, md)
		events, bytes, next = events+n, bytes+len(m.Data()), md.Sequence.Stream+1
	}
	return groups
}

// round transforms messages, publishes what they became, and acknowledges them.
func (s *stage) round(ctx context.Context, msgs []jetstream.Msg) {
	stop := s.hold(msgs)
	defer stop()
	events, published := 0, 0
	end := s.tracing.round(ctx, s.backend, len(msgs))
	defer func() { end(events, published) }()
	snap := s.take()
	defer s.using.Store(nil)
	if snap.backend(s.backend) == nil {
		giveBack(msgs)
		sleep(ctx, roundWait)
		return
	}
	groups := grouped(msgs)
	results := make([]*result, len(groups))
	var next atomic.Int64
	var g errgroup.Group
	for _, w := range s.workers[:min(len(s.workers), len(groups))] {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(groups) {
					return nil
				}
				r, err := w.group(ctx, snap, groups[i])
				for errors.Is(err, errChanged) {
					r, err = w.group(ctx, s.snapshot.Load(), groups[i])
				}
				if err != nil {
					return err
				}
				results[i] = r
			}
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() == nil {
			s.trouble.say("messages cannot be transformed", err)
			sleep(ctx, fullWait)
		}
	}
	var out []stream.Message
	for _, r := range results {
		if r != nil {
			out = append(out, r.out...)
			for _, t := range r.tallies {
				events += int(t.accepted)
			}
		}
	}
	published = len(out)
	if err := s.publish(ctx, out); err != nil {
		giveBack(msgs)
		return
	}
	for i, r := range results {
		if r == nil {
			giveBack(groups[i].msgs)
			continue
		}
		s.logs.write(s.backend, r.log)
		s.acknowledge(groups[i].msgs, r.tallies)
	}
}

// acknowledge acknowledges the messages of a group, whose statements are stored, and books what became of them. Without
// a connection it cannot, and they come again.
func (s *stage) acknowledge(msgs []jetstream.Msg, tallies []tally) {
	for i, m := range msgs {
		if err := m.Ack(); err != nil {
			s.trouble.say("the intake does not take acknowledgements", err)
			continue
		}
		s.ledger.add(s.backend, &tallies[i])
	}
}

// take returns the snapshot in force, and lets everybody know that it is in use before anything is done with it.
func (s *stage) take() *Snapshot {
	for {
		snap := s.snapshot.Load()
		s.using.Store(snap)
		if s.snapshot.Load() == snap {
			return snap
		}
	}
}

// publish stores the delivery messages and waits while their stream is full. Doing it again after a lost answer
// stores nothing twice.
func (s *stage) publish(ctx context.Context, out []stream.Message) error {
	for first := true; len(out) > 0; first = false {
		// A stop leaves publishing a few seconds: what is transformed should be stored.
		pctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stream.DefaultAckWait)
		grace := context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })
		err := s.pub.Publish(pctx, out...)
		grace()
		cancel()
		if err == nil {
			s.trouble.over("statements are stored again")
			if first {
				s.recycle(out)
			}
			return nil
		}
		var left []stream.Message
		wait := true
		var failures *stream.PublishError
		if errors.As(err, &failures) {
			wait = false
			for i := range out {
				switch why := failures.Failed[i]; {
				case why == nil:
				case errors.Is(why, stream.ErrTooLarge):
					left = append(left, s.smaller(out[i])...)
				default:
					left, wait = append(left, out[i]), true
				}
			}
		} else {
			left = out
		}
		if out = left; !wait {
			continue
		}
		s.trouble.say("statements cannot be stored, the intake waits", err)
		if ctx.Err() != nil {
			return errStopped
		}
		sleep(ctx, fullWait)
	}
	return nil
}

// recycle takes back the memory of messages that were all stored at once. After a failure something may still be about
// to send them.
func (s *stage) recycle(out []stream.Message) {
	for i := range out {
		if b := out[i].Data; cap(b) <= 2*maxBytes {
			s.memory.Put(&b)
		}
	}
}

// hold keeps messages in the hands of the stage until the returned function is called.
func (s *stage) hold(msgs []jetstream.Msg) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(s.heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				for _, m := range msgs {
					if err := m.InProgress(); err != nil {
						break
					}
				}
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

func giveBack(msgs []jetstream.Msg) {
	for _, m := range msgs {
		if m.Nak() != nil {
			return // the server gives them to somebody when AckWait is over
		}
	}
}

func ignoreTimeout(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, jetstream.ErrNoMessages) {
		return nil
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// notice logs a trouble once when it begins and once when it is over.
type notice struct {
	log *slog.Logger
	mu  sync.Mutex
	now string
}

func (n *notice) say(what string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now != what {
		n.now = what
		n.log.Warn(what, "error", err)
	}
}

func (n *notice) over(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now != "" {
		n.now = ""
		n.log.Info(what)
	}
}
