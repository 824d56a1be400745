package loadtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/erbd/erbd/engine/stream"
	"github.com/erbd/erbd/engine/workload"
)

// The bounds of one call of the publisher: as many events as "erbd publish" sends at once, in as many calls.
const (
	callEvents  = 3200
	callsAtOnce = 3
	// fullWait is how long to wait while the intake is full.
	fullWait = 250 * time.Millisecond
)

// publisher sends the events of a workload to a daemon.
type publisher struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	pub *stream.Publisher
	mix *workload.Mix
}

func newPublisher(ctx context.Context, address string, always bool, mix *workload.Mix) (*publisher, error) {
	nc, err := stream.Connect(stream.ConnectOptions{URL: address, Name: "erbd bench"})
	if err != nil {
		return nil, err
	}
	p := &publisher{nc: nc, mix: mix}
	features := stream.Features{}
	if p.js, err = jetstream.New(nc); err == nil {
		features, err = stream.Detect(ctx, nc, p.js)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	p.pub = stream.NewPublisher(nc, p.js, features, always)
	return p, nil
}

func (p *publisher) close() { p.nc.Close() }

// all publishes events from a number on as fast as the daemon stores them.
func (p *publisher) all(ctx context.Context, first uint64, events, pack int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(callsAtOnce)
	end := first + uint64(events)
	for n := first; n < end && ctx.Err() == nil; {
		until := min(end, n+max(callEvents/uint64(pack), 1)*uint64(pack))
		msgs := p.messages(n, until, pack)
		g.Go(func() error { return p.store(ctx, msgs) })
		n = until
	}
	return g.Wait()
}

func (p *publisher) messages(n, end uint64, pack int) []stream.Message {
	lines := make([][]byte, 0, end-n)
	for i := n; i < end; i++ {
		lines = append(lines, p.mix.Append(make([]byte, 0, 2048), i))
	}
	return stream.PackEvents(stream.PublishSubject, fmt.Sprintf("bench.%d", n), lines, pack, 0)
}

// store publishes messages until all are stored; while the intake is full it waits.
func (p *publisher) store(ctx context.Context, msgs []stream.Message) error {
	for {
		err := p.pub.Publish(ctx, msgs...)
		var failures *stream.PublishError
		if !errors.As(err, &failures) {
			return err
		}
		var left []stream.Message
		for i, why := range failures.Failed {
			if !errors.Is(why, stream.ErrFull) {
				return err
			}
			left = append(left, msgs[i])
		}
		msgs = left
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(fullWait):
		}
	}
}

// steady publishes events at a rate, each a message, and returns when each was published.
func (p *publisher) steady(ctx context.Context, first uint64, events, rate int) ([]int64, error) {
	sent := make([]int64, events)
	futures := make([]jetstream.PubAckFuture, 0, events)
	start := time.Now()
	for i := range events {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if wait := time.Until(due); wait > time.Millisecond {
			time.Sleep(wait)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		msg := &nats.Msg{Subject: stream.PublishSubject, Data: p.mix.Append(nil, first+uint64(i))}
		sent[i] = time.Now().UnixNano()
		f, err := p.js.PublishMsgAsync(msg, jetstream.WithStallWait(patience))
		if err != nil {
			return nil, fmt.Errorf("publish: %w", err)
		}
		futures = append(futures, f)
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return nil, fmt.Errorf("publish: %w", err)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return sent, nil
}
