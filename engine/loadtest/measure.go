package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/erbd/erbd/engine/workload"
	"github.com/erbd/erbd/golden"
)

// Measure makes the runs. Its temporary folders are gone and its daemons have ended when it returns. Errors wrap
// ErrOptions, or say what happened to a daemon.
func Measure(ctx context.Context, o Options) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	mix, err := workload.Load()
	if err != nil {
		return nil, err
	}
	size := 0
	for n := range mix.Total() {
		size += len(mix.Append(nil, uint64(n)))
	}
	r := &Report{
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.GOMAXPROCS(0),
		Events: o.Events, EventBytes: size / mix.Total(), Batch: o.Batch, Rate: o.Rate,
	}
	for _, setup := range o.Runs {
		run, err := measure(ctx, &o, setup, mix)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setup, err)
		}
		r.Runs = append(r.Runs, *run)
	}
	return r, nil
}

// bench is one run.
type bench struct {
	*Options
	setup    Setup
	mix      *workload.Mix
	dir      string
	receiver *receiver
	daemon   *process
	next     uint64 // the number of the next event
}

func measure(ctx context.Context, o *Options, setup Setup, mix *workload.Mix) (run *Run, err error) {
	b := &bench{Options: o, setup: setup, mix: mix}
	if b.dir, err = os.MkdirTemp(o.Dir, "erbd-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return nil, err
	}
	if b.receiver, err = newReceiver(ctx); err != nil {
		return nil, err
	}
	defer func() { b.receiver.close() }()
	if err := b.configure(); err != nil {
		return nil, err
	}
	run = &Run{Setup: setup}
	o.tell("%s: %d events", setup, o.Events)
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.daemon.stop()) }()
	run.Start = b.daemon.start.Seconds()
	if err := b.throughput(ctx, run); err != nil {
		return nil, err
	}
	if o.Rate > 0 && o.Steady > 0 {
		o.tell("%s: %s at %d events/s", setup, o.Steady, o.Rate)
		if err := b.latency(ctx, run); err != nil {
			return nil, err
		}
	}
	run.Peak = peak(b.daemon.cmd.Process.Pid)
	if err := b.daemon.check(ctx, b.next*uint64(setup.Routers)); err != nil {
		return nil, err
	}
	if o.Backlog > 0 {
		if err := b.backlog(ctx, run); err != nil {
			return nil, err
		}
	}
	return run, nil
}

// configure writes the files of the daemon's configuration.
func (b *bench) configure() error {
	names := make([]string, 0, len(b.mix.Shares()))
	for _, s := range b.mix.Shares() {
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	users, err := golden.FS.ReadFile("lms.json")
	if err != nil {
		return err
	}
	type object = map[string]any
	var routers []object
	for i := range b.setup.Routers {
		routers = append(routers, object{
			"name": fmt.Sprintf("receiver%d", i), "url": b.receiver.url(i),
			"batch": object{"enabled": true, "size": b.Batch, "interval": b.Interval.String()},
		})
	}
	settings := object{
		"nats":   object{"listen": "127.0.0.1:0", "store": filepath.Join(b.dir, "data"), "sync_always": b.setup.Always},
		"http":   object{"listen": "127.0.0.1:0"},
		"lookup": object{"path": filepath.Join(b.dir, "lms.json")},
		"xapi":   object{"names": names}, "routers": filepath.Join(b.dir, "routers.json"),
		"state": "off", "log": object{"format": "json"},
	}
	write := func(name string, data []byte, err error) error {
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(b.dir, name), data, 0o600)
	}
	text, err := json.Marshal(settings)
	err = write("erbd.yaml", text, err)
	list, listErr := json.Marshal(object{"xapi": routers})
	return errors.Join(err, write("routers.json", list, listErr), write("lms.json", users, nil))
}

func (b *bench) start(ctx context.Context) (err error) {
	b.daemon, err = start(ctx, b.Program, filepath.Join(b.dir, "erbd.yaml"), b.Env)
	return err
}

// take returns the number of the first of so many events.
func (b *bench) take(events int) (first uint64) {
	first = b.next
	b.next += uint64(events)
	return first
}

// throughput publishes events as fast as they are stored, and waits for the last delivery.
func (b *bench) throughput(ctx context.Context, run *Run) error {
	p, err := newPublisher(ctx, b.daemon.nats, b.setup.Always, b.mix)
	if err != nil {
		return err
	}
	defer p.close()
	before, err := b.daemon.usage(ctx)
	if err != nil {
		return err
	}
	run.Idle = before.resident
	first := b.take(b.Events)
	b.receiver.expect(b.setup.Routers, first, b.Events)
	own, began := processor(), time.Now()
	if err := p.all(ctx, first, b.Events, b.setup.Pack); err != nil {
		return err
	}
	run.Stored = float64(b.Events) / time.Since(began).Seconds()
	if err := b.receiver.wait(ctx, b.daemon.died); err != nil {
		return err
	}
	run.Seconds = time.Since(began).Seconds()
	run.Others = 1e6 * (processor() - own) / float64(b.Events)
	run.PerSec = float64(b.Events) / run.Seconds
	after, err := b.finished(ctx)
	run.CPU = 1e6 * (after.cpu - before.cpu) / float64(b.Events)
	return err
}

// finished returns the usage when the last acknowledgement is settled.
func (b *bench) finished(ctx context.Context) (usage, error) {
	if err := b.daemon.settled(ctx); err != nil {
		return usage{}, err
	}
	return b.daemon.usage(ctx)
}

// latency publishes at a steady rate.
func (b *bench) latency(ctx context.Context, run *Run) error {
	p, err := newPublisher(ctx, b.daemon.nats, b.setup.Always, b.mix)
	if err != nil {
		return err
	}
	defer p.close()
	events := max(int(b.Steady.Seconds()*float64(b.Rate)), 1)
	// The last batch waits in vain to be filled, so more are published than count.
	all := events + 2*b.Batch
	first := b.take(all)
	b.receiver.expect(b.setup.Routers, first, all)
	sent, err := p.steady(ctx, first, all, b.Rate)
	if err != nil {
		return err
	}
	if err := b.receiver.wait(ctx, b.daemon.died); err != nil {
		return err
	}
	if err := b.daemon.settled(ctx); err != nil {
		return err
	}
	var took []float64
	for _, at := range b.receiver.at {
		for i, arrived := range at[:events] {
			took = append(took, float64(arrived-sent[i])/1e6)
		}
	}
	slices.Sort(took)
	run.Latency = &Latency{Events: events, P50: took[len(took)/2], P99: took[len(took)*99/100], Max: took[len(took)-1]}
	return nil
}

// backlog lets events wait for a receiver that is down, ends the daemon, and measures how another one starts and
// delivers them.
func (b *bench) backlog(ctx context.Context, run *Run) error {
	b.tell("%s: a backlog of %d events", b.setup, b.Options.Backlog)
	b.receiver.close()
	p, err := newPublisher(ctx, b.daemon.nats, b.setup.Always, b.mix)
	if err == nil {
		first := b.take(b.Options.Backlog)
		b.receiver.expect(b.setup.Routers, first, b.Options.Backlog)
		err = p.all(ctx, first, b.Options.Backlog, b.setup.Pack)
		p.close()
	}
	if err == nil {
		err = b.daemon.transformed(ctx)
	}
	if err = errors.Join(err, b.daemon.stop(), b.receiver.open(ctx)); err != nil {
		return err
	}
	before := time.Now()
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.receiver.wait(ctx, b.daemon.died); err != nil {
		return err
	}
	took := time.Since(before) // it delivers before it is ready
	after, err := b.finished(ctx)
	run.Backlog = &Backlog{
		Events: b.Options.Backlog, Start: b.daemon.start.Seconds(), PerSec: float64(b.Options.Backlog) / took.Seconds(),
		CPU: 1e6 * after.cpu / float64(b.Options.Backlog), Peak: peak(b.daemon.cmd.Process.Pid),
	}
	return err
}
