package stream

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/deliver"
)

// handle brings messages to their end: it sends what is due, settles what has an outcome, and holds the rest while
// the endpoint is down. ctx says when to stop holding; work when to stop altogether. Where everything went well it is
// settled in the background, see settling.
func (w *Worker) handle(ctx, work context.Context, msgs []jetstream.Msg) {
	parcels := make([]*parcel, 0, len(msgs))
	for _, m := range msgs {
		if p := w.open(work, m); p != nil {
			parcels = append(parcels, p)
		}
	}
	stop := w.keepAlive(parcels)
	verdict := w.send(work, parcels)
	w.settled(ctx, work)
	if verdict.Kind == 0 && w.paused == "" {
		w.settleBehind(ctx, parcels, stop)
		return
	}
	defer stop()
	for {
		var err error
		parcels, err = w.settleAll(ctx, parcels)
		if verdict.Kind == 0 && err != nil {
			verdict = full(err)
		}
		if len(parcels) == 0 {
			break
		}
		if !w.await(ctx, work, verdict) {
			w.release(ctx, parcels)
			return
		}
		verdict = w.send(work, parcels)
	}
	if w.paused != "" {
		w.goOn(work)
	}
}

// full is the verdict where the bucket of failed events takes nothing.
func full(err error) deliver.Outcome {
	return deliver.Outcome{Kind: deliver.Pause, Reason: "bucket", Err: err}
}

// await waits until parcels can be sent again, and reports whether they are to be.
func (w *Worker) await(ctx, work context.Context, verdict deliver.Outcome) bool {
	var err error
	switch verdict.Kind {
	case deliver.Aborted:
		err = context.Cause(work)
	case deliver.Transient: // the record store asked for a rest
		err = sleep(ctx, verdict.After)
	default:
		err = w.hold(ctx, verdict)
	}
	return err == nil && ctx.Err() == nil
}

// settleAll settles parcels. It returns those that have to wait, and why where the reason is not that they are unsent.
func (w *Worker) settleAll(ctx context.Context, parcels []*parcel) (left []*parcel, failure error) {
	acks, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackGrace+w.cfg.AckWait)
	defer cancel()
	for p, err := range w.settle(acks, parcels) {
		if err != nil {
			left = append(left, p)
			if failure == nil {
				failure = err
			}
		}
	}
	return left, failure
}

// settling are parcels that are settled while the next ones are gathered and sent: acknowledgements wait for the disk,
// requests for the record store.
type settling struct {
	done chan struct{} // closed at the end; left, err and stop are not to be used before
	left []*parcel
	err  error
	stop func() // of their keepAlive
}

// settleBehind begins to settle parcels. There is one settling at a time.
func (w *Worker) settleBehind(ctx context.Context, parcels []*parcel, stop func()) {
	s := &settling{done: make(chan struct{}), stop: stop}
	w.behind = s
	go func() {
		defer close(s.done)
		s.left, s.err = w.settleAll(ctx, parcels)
	}()
}

// settled waits for what is settled in the background, and holds what could not be.
func (w *Worker) settled(ctx, work context.Context) {
	s := w.behind
	if s == nil {
		return
	}
	w.behind = nil
	<-s.done
	defer s.stop()
	for parcels, err := s.left, s.err; len(parcels) > 0; parcels, err = w.settleAll(ctx, parcels) {
		if !w.await(ctx, work, full(err)) {
			w.release(ctx, parcels)
			return
		}
	}
	if len(s.left) > 0 && w.paused != "" {
		w.goOn(work)
	}
}

// keepAlive asks the server for more time for the parcels, until the returned function is called.
func (w *Worker) keepAlive(parcels []*parcel) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(max(w.cfg.AckWait/3, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				for _, p := range parcels {
					if !p.settled.Load() {
						_ = p.msg.InProgress() // a lost one costs a redelivery
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

// send sends every statement that has no outcome yet. It returns the outcome that stopped it early, if one did: a
// Pause, an Aborted, or a Transient with the wait that the record store asked for.
func (w *Worker) send(ctx context.Context, parcels []*parcel) (verdict deliver.Outcome) {
	chunks := w.chunks(parcels)
	if len(chunks) == 0 {
		return deliver.Outcome{}
	}
	var mu sync.Mutex
	good, bad := false, false
	stopped := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return verdict.Kind != 0
	}
	one := func(chunk []*entry) {
		items := make([]deliver.Item, len(chunk))
		for i, e := range chunk {
			items[i] = deliver.Item{ID: e.statement.ID, JSON: e.statement.JSON}
		}
		outcomes := w.sender.Send(ctx, items)
		mu.Lock()
		defer mu.Unlock()
		for i, e := range chunk {
			o := outcomes[i]
			switch o.Kind {
			case deliver.Pause, deliver.Aborted:
				verdict = o
				continue // no outcome: it is sent again
			case deliver.Transient:
				bad = true
				if o.After > 0 {
					w.notBefore = later(w.notBefore, time.Now().Add(o.After))
					if verdict.Kind == 0 {
						verdict = o
					}
				}
			default:
				good = true
			}
			e.outcome = o
		}
	}
	if w.paused != "" { // look with one request first
		one(chunks[0])
		chunks = chunks[1:]
	}
	each(len(chunks), w.cfg.InFlight, func(i int) {
		if !stopped() {
			one(chunks[i])
		}
	})
	switch {
	case good:
		w.streak = 0
	case bad:
		w.streak++
	}
	return verdict
}

// chunks groups the statements without an outcome into requests: Batch statements each, or one event each.
func (w *Worker) chunks(parcels []*parcel) [][]*entry {
	var out [][]*entry
	var open []*entry
	for _, p := range parcels {
		for i := range p.items {
			it := &p.items[i]
			for j := range it.entries {
				if e := &it.entries[j]; e.outcome.Kind == 0 {
					open = append(open, e)
					if w.cfg.Batch > 1 && len(open) == w.cfg.Batch {
						out, open = append(out, open), nil
					}
				}
			}
			if w.cfg.Batch <= 1 && len(open) > 0 {
				out, open = append(out, open), nil
			}
		}
	}
	if len(open) > 0 {
		out = append(out, open)
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hold pauses the router's consumer, for all its workers, and waits until it is time to look again.
func (w *Worker) hold(ctx context.Context, why deliver.Outcome) error {
	if w.paused == "" {
		w.pause = w.cfg.PauseMin
	} else {
		w.pause = min(2*w.pause, w.cfg.PauseMax)
	}
	if w.paused != why.Reason {
		w.paused = why.Reason
		w.meter.Paused(w.cfg.Backend, w.cfg.Router, why.Reason)
		if n, ok := w.quiet.tell("pause " + why.Reason); ok {
			w.cfg.Logger.Error("router paused: nothing is lost, no attempt is used", "reason", why.Reason, "err", why.Err, "times", n)
		}
	}
	// Beyond the wait, so that it does not flow again before this worker has looked.
	until := time.Now().Add(w.pause + w.cfg.AckWait)
	if _, err := w.js.PauseConsumer(ctx, OutStream, DeliverDurable(w.cfg.Backend, w.cfg.Router), until); err != nil && ctx.Err() == nil {
		w.cfg.Logger.Warn("cannot pause the consumer; this worker waits all the same", "err", err)
	}
	return sleep(ctx, w.pause)
}

// goOn ends a pause.
func (w *Worker) goOn(ctx context.Context) {
	w.cfg.Logger.Info("router goes on", "reason", w.paused)
	w.paused = ""
	w.meter.Paused(w.cfg.Backend, w.cfg.Router, "")
	w.resume(ctx)
}

func (w *Worker) resume(ctx context.Context) {
	if _, err := w.js.ResumeConsumer(ctx, OutStream, DeliverDurable(w.cfg.Backend, w.cfg.Router)); err != nil {
		w.cfg.Logger.Warn("cannot resume the consumer; it resumes by itself", "err", err, "within", w.pause+w.cfg.AckWait)
	}
}
