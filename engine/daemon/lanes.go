package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/failed"
	"github.com/erbd/erbd/engine/route"
	"github.com/erbd/erbd/engine/stream"
)

// lanes are the routers at work: one worker each. A router that changes goes on with its new settings, one that is
// removed goes on with its old ones until nothing waits for it.
type lanes struct {
	js     jetstream.JetStream
	pub    *stream.Publisher
	keeper *failed.Store
	ledger *ledger
	log    *slog.Logger
	// settings of the start: those that are used here change with a restart only.
	settings *config.Settings
	// observe is told of every request.
	observe func(k lane, reason string, items int, took time.Duration)

	mu      sync.Mutex
	running map[lane]*runningLane
	wg      sync.WaitGroup
}

type runningLane struct {
	router *route.Router
	sensor string
	stop   context.CancelFunc
	done   chan struct{}
	// removed is when the router left the file, zero while it is in it.
	removed time.Time
}

func newLanes(d *Daemon) *lanes {
	return &lanes{
		js: d.js, pub: d.pub, keeper: d.store, ledger: d.ledger, log: d.log, settings: d.opt.Settings, running: map[lane]*runningLane{},
		observe: func(k lane, reason string, items int, took time.Duration) {
			d.tracing.request(k, reason, items, took)
			d.requests.WithLabelValues(k.backend, k.router, reason).Observe(took.Seconds())
		},
	}
}

// client makes the client of a router.
func (ls *lanes) client(r *route.Router, sensor string) (*deliver.Client, error) {
	cfg := r.Delivery(sensor)
	k := lane{r.Backend, r.Name}
	cfg.Observe = func(reason string, items int, took time.Duration) { ls.observe(k, reason, items, took) }
	c, err := deliver.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("router %s: %w", r, err)
	}
	return c, nil
}

// apply starts, changes and retires workers so that they are those of the snapshot. Workers live until ctx ends.
func (ls *lanes) apply(ctx context.Context, snap *Snapshot) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	sensor := snap.Settings.Caliper.SensorID
	clients := map[lane]*deliver.Client{}
	for _, r := range snap.Routers.All() {
		if snap.backend(r.Backend) == nil {
			continue
		}
		k := lane{r.Backend, r.Name}
		if old := ls.running[k]; old != nil && old.sensor == sensor && sameRouter(old.router, r) {
			old.removed = time.Time{}
			continue
		}
		c, err := ls.client(r, sensor)
		if err != nil {
			for _, c := range clients {
				c.Close()
			}
			return err
		}
		clients[k] = c
	}
	var replaced []*runningLane
	for _, r := range snap.Routers.All() {
		k := lane{r.Backend, r.Name}
		c := clients[k]
		if c == nil {
			continue
		}
		if old := ls.running[k]; old != nil {
			replaced = append(replaced, old)
		}
		if err := ls.start(ctx, k, r, sensor, c); err != nil {
			return err
		}
	}
	waitFor(replaced, laneChange)
	for k, old := range ls.running {
		if wanted(snap, k) || !old.removed.IsZero() {
			continue
		}
		old.removed = time.Now()
		ls.log.Info("router removed: what waits for it is still delivered", "backend", k.backend, "router", k.router)
	}
	return nil
}

// drain starts workers for the routers that were removed before the start and for which something waits.
func (ls *lanes) drain(ctx context.Context, snap *Snapshot) error {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, r := range snap.Removed {
		k := lane{r.Backend, r.Name}
		if ls.running[k] != nil || snap.backend(r.Backend) == nil || !ls.waits(ctx, k) {
			continue
		}
		sensor := snap.Settings.Caliper.SensorID
		c, err := ls.client(r, sensor)
		if err != nil {
			return err
		}
		if err := ls.start(ctx, k, r, sensor, c); err != nil {
			return err
		}
		ls.running[k].removed = time.Now()
		ls.log.Info("router removed before the start: what waits for it is still delivered", "backend", k.backend, "router", k.router)
	}
	return nil
}

// waits reports whether anything waits for a router, or may: true where the server does not answer.
func (ls *lanes) waits(ctx context.Context, k lane) bool {
	c, err := ls.js.Consumer(ctx, stream.OutStream, stream.DeliverDurable(k.backend, k.router))
	if err != nil {
		return !errors.Is(err, jetstream.ErrConsumerNotFound)
	}
	info := c.CachedInfo()
	return info.NumPending > 0 || info.NumAckPending > 0
}

func wanted(snap *Snapshot, k lane) bool {
	for _, r := range snap.Routers.Backend(k.backend) {
		if r.Name == k.router {
			return snap.backend(k.backend) != nil
		}
	}
	return false
}

// sameRouter compares what a worker uses of a router: the overrides of xAPI are made before the delivery.
func sameRouter(a, b *route.Router) bool {
	da, db := a.Delivery(""), b.Delivery("")
	da.Override, db.Override, da.Observe, db.Observe = nil, nil, nil, nil
	return reflect.DeepEqual(da, db) && (a.Backend == backendXAPI || reflect.DeepEqual(a.Overrides, b.Overrides)) && a.Batch == b.Batch && a.Retry == b.Retry && a.Requests == b.Requests
}

const (
	// laneIdle is one wait of a worker for a message, and so the longest that a change of an idle router takes.
	laneIdle = 250 * time.Millisecond
	// laneChange is how long a reload waits for the workers of changed routers. One with a slow request takes longer;
	// the new one begins when it is done.
	laneChange = 2 * laneIdle
)

// waitFor waits until workers have ended, but not for long.
func waitFor(list []*runningLane, limit time.Duration) {
	t := time.NewTimer(limit)
	defer t.Stop()
	for _, run := range list {
		select {
		case <-run.done:
		case <-t.C:
			return
		}
	}
}

// start starts a worker. One that is at work for the same router is told to stop: it finishes its requests, and what
// waits goes on with the new one after that.
func (ls *lanes) start(ctx context.Context, k lane, r *route.Router, sensor string, c *deliver.Client) error {
	w, err := stream.NewWorker(ls.js, ls.pub, c, ls.keeper, ls.ledger, stream.WorkerConfig{
		Backend: k.backend, Router: k.router,
		Batch: r.BatchSize(), Flush: r.Batch.Interval, InFlight: r.Requests,
		MaxRetries: r.Retry.MaxRetries, Countdown: r.Retry.Countdown, AckWait: ackWait(ls.settings, r),
		Idle: laneIdle, Logger: ls.log,
	})
	if err != nil {
		c.Close()
		return fmt.Errorf("router %s: %w", r, err)
	}
	old := ls.running[k]
	if old != nil {
		old.stop()
	}
	lctx, stop := context.WithCancel(ctx)
	run := &runningLane{router: r, sensor: sensor, stop: stop, done: make(chan struct{})}
	ls.running[k] = run
	ls.wg.Go(func() {
		defer close(run.done)
		defer c.Close()
		defer stop()
		if old != nil {
			<-old.done
			ls.ledger.Paused(k.backend, k.router, "") // the new one looks for itself
		}
		for lctx.Err() == nil {
			err := w.Run(lctx)
			if err == nil || lctx.Err() != nil {
				return
			}
			ls.log.Error("the router's worker ended, it is started again", "backend", k.backend, "router", k.router, "error", err)
			sleep(lctx, 5*time.Second)
		}
	})
	return nil
}

// ackWait exceeds the time that one request takes, so that a lost sign of life costs nothing.
func ackWait(s *config.Settings, r *route.Router) time.Duration {
	return max(s.NATS.AckWait, r.Timeout+s.NATS.AckWait/3)
}

// topology is what JetStream needs for a snapshot.
func topology(snap *Snapshot) stream.Topology {
	t := stream.Topology{Replicas: snap.Settings.NATS.Replicas, AckWait: snap.Settings.NATS.AckWait, Backends: snap.backendNames()}
	for _, r := range snap.Routers.All() {
		if snap.backend(r.Backend) == nil {
			continue
		}
		t.Routers = append(t.Routers, stream.Lane{
			Backend: r.Backend, Router: r.Name, AckWait: ackWait(snap.Settings, r), MaxRetries: r.Retry.MaxRetries,
			MaxPending: max(stream.DefaultMaxPending, 4*r.BatchSize()*r.Requests),
		})
	}
	return t
}

// retire stops the workers of removed routers for which nothing waits any more, and for which nothing can come: no
// event under way sees them.
func (ls *lanes) retire(ctx context.Context, inUse func(lane) bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for k, run := range ls.running {
		if run.removed.IsZero() || inUse(k) {
			continue
		}
		if ls.waits(ctx, k) {
			continue
		}
		run.stop()
		<-run.done
		delete(ls.running, k)
		ls.log.Info("router drained", "backend", k.backend, "router", k.router)
	}
}

// list returns the routers at work and whether each is removed from the file.
func (ls *lanes) list() map[lane]bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	all := make(map[lane]bool, len(ls.running))
	for k, run := range ls.running {
		all[k] = !run.removed.IsZero()
	}
	return all
}

// wait returns when all workers have ended, after their context did.
func (ls *lanes) wait() { ls.wg.Wait() }
