package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/deliver"
	"github.com/erbd/erbd/engine/failed"
)

// ackTries is how long an acknowledgement is tried: longer than a cluster takes for a new leader.
const ackTries = 15 * time.Second

// doubleAck acknowledges a message and waits for the server's word. An acknowledgement that went down with a server is
// tried again with the next one.
func doubleAck(ctx context.Context, m jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, ackTries)
	defer cancel()
	for {
		one, end := context.WithTimeout(ctx, silence)
		err := m.DoubleAck(one)
		end()
		lost := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrDisconnected)
		if !lost || ctx.Err() != nil {
			return err
		}
		if sleep(ctx, 250*time.Millisecond) != nil {
			return err
		}
	}
}

// acksInFlight bounds the acknowledgements of one worker that wait for the server's word.
const acksInFlight = 16

// parcel is one message in the hands of a worker.
type parcel struct {
	msg     jetstream.Msg
	seq     uint64 // in the stream
	id      string // in the stream, see MessageID
	made    int    // attempts so far with the coming one
	first   time.Time
	foreign bool // another run published it
	items   []parcelItem
	settled atomic.Bool
}

type parcelItem struct {
	Item
	at      int // place in the message
	entries []entry
}

// entry is a statement and what became of it.
type entry struct {
	statement Statement
	outcome   deliver.Outcome
}

// open unpacks a message. It returns nil for one that is not to be sent now: it is not due, or unreadable and kept
// aside.
func (w *Worker) open(ctx context.Context, m jetstream.Msg) *parcel {
	md, err := m.Metadata()
	if err != nil { // not from JetStream: cannot happen on a consumer
		_ = m.Term()
		return nil
	}
	h := m.Headers()
	deliveries := int(md.NumDelivered)
	if due := headerTime(h, HeaderNotBefore); !due.IsZero() {
		// The first delivery only begins the wait, even when it comes late: so exactly one delivery is no attempt.
		if deliveries == 1 {
			_ = m.NakWithDelay(min(max(time.Until(due), time.Millisecond), deliver.MaxRetryAfter+w.cfg.Countdown*2))
			return nil
		}
		deliveries--
	}
	items, err := Unpack(h, m.Data())
	if err != nil {
		w.unreadable(ctx, m, err)
		return nil
	}
	p := &parcel{msg: m, seq: md.Sequence.Stream, id: MessageID(md), first: headerTime(h, HeaderFirst), foreign: !w.pub.Run.owns(h), items: make([]parcelItem, 0, len(items))}
	if p.first.IsZero() {
		p.first = md.Timestamp
	}
	p.made = int(headerInt(h, HeaderAttempts)) + deliveries
	// Close to the consumer's limit a message is given up here, where it can be kept, not by the server.
	worn := int(md.NumDelivered) >= w.cfg.MaxRetries+deliverMargin-1
	for i, it := range items {
		if w.apart.has(p.id, i) {
			continue
		}
		one := parcelItem{Item: it, at: i, entries: make([]entry, len(it.Statements))}
		for j, s := range it.Statements {
			one.entries[j].statement = s
			if worn {
				one.entries[j].outcome = deliver.Outcome{Kind: deliver.Permanent, Reason: "redelivered",
					Err: fmt.Errorf("was delivered to workers %d times without coming to an end", md.NumDelivered)}
			}
		}
		p.items = append(p.items, one)
	}
	return p
}

func (w *Worker) unreadable(ctx context.Context, m jetstream.Msg, reason error) {
	if err := SetAside(ctx, w.pub, m, reason.Error()); err != nil {
		w.cfg.Logger.Error("cannot keep an unreadable message aside; it stays queued", "err", err)
		_ = m.NakWithDelay(w.cfg.Countdown)
		return
	}
	_ = m.TermWithReason("unreadable, kept in " + BadStream)
	w.meter.Unreadable(w.cfg.Backend, w.cfg.Router)
	if n, ok := w.quiet.tell("unreadable"); ok {
		w.cfg.Logger.Error("unreadable message kept aside", "err", reason, "times", n)
	}
}

// end is the outcome of an event and why.
type end struct {
	outcome Outcome
	reason  string
}

// settle acknowledges every parcel whose statements all have an outcome. It yields each parcel that has to wait: with
// the error of the keeper, or errUnsent.
func (w *Worker) settle(ctx context.Context, parcels []*parcel) iter.Seq2[*parcel, error] {
	errs := make([]error, len(parcels))
	each(len(parcels), acksInFlight, func(i int) { errs[i] = w.settleOne(ctx, parcels[i]) })
	return func(yield func(*parcel, error) bool) {
		for i, p := range parcels {
			if !yield(p, errs[i]) {
				return
			}
		}
	}
}

func (w *Worker) settleOne(ctx context.Context, p *parcel) error {
	for _, it := range p.items {
		for _, e := range it.entries {
			if e.outcome.Kind == 0 {
				return errUnsent
			}
		}
	}
	var ends []end
	var again []part
	var wait time.Duration
	reason := ""
	whole := true // every statement of the message has to be sent again
	for i := range p.items {
		it := &p.items[i]
		rest, o := it.left(p.made > w.cfg.MaxRetries)
		if rest != nil {
			again = append(again, part{it.at, *rest})
			whole = whole && len(rest.Statements) == len(it.Statements)
			wait, reason = max(wait, o.After), o.Reason
			continue
		}
		whole = false
		e, err := w.finish(ctx, p, it)
		if err != nil {
			return err
		}
		ends = append(ends, e)
	}
	wait = max(wait, w.cfg.Countdown+time.Duration(rand.Int64N(int64(w.cfg.Countdown)/4+1)))
	defer p.settled.Store(true)
	switch {
	case len(again) == 0:
		if err := doubleAck(ctx, p.msg); err != nil {
			w.ackFailed(err)
			return nil
		}
		w.ended(p, ends)
	case whole:
		if err := p.msg.NakWithDelay(wait); err != nil {
			w.ackFailed(err)
		}
	default:
		err := w.republish(ctx, p, again, p.made, time.Now().Add(wait))
		if err != nil {
			// What was delivered is sent again with the rest and found to be a duplicate.
			if n, ok := w.quiet.tell("republish"); ok {
				w.cfg.Logger.Warn("cannot take a message apart; all of it is sent again", "err", err, "times", n)
			}
			_ = p.msg.NakWithDelay(wait)
			return nil
		}
		if err := doubleAck(ctx, p.msg); err != nil {
			w.ackFailed(err)
			return nil
		}
		w.ended(p, ends)
	}
	if len(again) > 0 {
		w.meter.Retried(w.cfg.Backend, w.cfg.Router, reason, len(again))
		if n, ok := w.quiet.tell("retry " + reason); ok {
			w.cfg.Logger.Warn("delivery failed, will be tried again", "reason", reason, "events", len(again), "attempt", p.made, "times", n)
		}
	}
	return nil
}

// ended counts the events that came to their end with a message that is acknowledged.
func (w *Worker) ended(p *parcel, ends []end) {
	w.apart.forget(p.id)
	if !w.meter.Acked(p.seq) {
		return // it was out of sight for longer than AckWait, say in a pause of the process
	}
	if p.foreign && len(ends) > 0 {
		w.meter.Carried(w.cfg.Backend, w.cfg.Router, len(ends))
	}
	for _, e := range ends {
		w.meter.Settled(w.cfg.Backend, w.cfg.Router, e.outcome, e.reason, 1)
	}
}

func (w *Worker) ackFailed(err error) {
	if n, ok := w.quiet.tell("ack"); ok {
		w.cfg.Logger.Warn("cannot acknowledge; the message will come again", "err", err, "times", n)
	}
}

// left returns what of an item has to be sent again, and one of the outcomes that say so, or nil when it is at its
// end. A refused statement stays with its item until the item is at its end, so that one record keeps all it lost.
func (it *parcelItem) left(exhausted bool) (*Item, deliver.Outcome) {
	i := slices.IndexFunc(it.entries, func(e entry) bool { return e.outcome.Kind == deliver.Transient })
	if i < 0 || exhausted {
		return nil, deliver.Outcome{}
	}
	return it.without(deliver.Outcome.Done), it.entries[i].outcome
}

// without returns the item less the statements whose outcome is done, its Prior with them.
func (it *parcelItem) without(done func(deliver.Outcome) bool) *Item {
	rest := it.Item
	rest.Statements = nil
	for _, e := range it.entries {
		if done(e.outcome) {
			rest.Prior = max(rest.Prior, endOf(e.outcome))
		} else {
			rest.Statements = append(rest.Statements, e.statement)
		}
	}
	return &rest
}

func endOf(o deliver.Outcome) Outcome {
	if o.Kind == deliver.Duplicate {
		return Duplicate
	}
	return Delivered
}

// finish ends an item: it keeps or drops what could not be delivered.
func (w *Worker) finish(ctx context.Context, p *parcel, it *parcelItem) (end, error) {
	rest := it.without(deliver.Outcome.Done)
	if len(rest.Statements) == 0 {
		return end{outcome: rest.Prior}, nil
	}
	var last deliver.Outcome
	for _, e := range it.entries {
		if !e.outcome.Done() {
			last = e.outcome
		}
	}
	if !it.Critical {
		if n, ok := w.quiet.tell("dropped " + last.Reason); ok {
			w.cfg.Logger.Error("event dropped", "reason", last.Reason, "err", last.Err, "attempts", p.made, "times", n)
		}
		return end{Dropped, last.Reason}, nil
	}
	if err := w.keeper.Put(ctx, recordOf(w.cfg.Backend, w.cfg.Router, rest, p.made, p.first, last)); err != nil {
		return end{}, err
	}
	if n, ok := w.quiet.tell("kept " + last.Reason); ok {
		w.cfg.Logger.Error("critical event kept in bucket "+failed.Bucket, "reason", last.Reason, "err", last.Err, "attempts", p.made, "times", n)
	}
	return end{Kept, last.Reason}, nil
}

func recordOf(backend, router string, it *Item, attempts int, first time.Time, last deliver.Outcome) *failed.Record {
	r := &failed.Record{
		Backend: backend, Router: router, ID: it.ID, Name: it.Name, Event: json.RawMessage(it.Event), Attempts: attempts,
		Status: last.Status, Reason: last.Reason, Answer: last.Answer, First: first.UTC(), Last: time.Now().UTC(),
	}
	for _, s := range it.Statements {
		r.Statements = append(r.Statements, failed.Statement{ID: s.ID, JSON: json.RawMessage(s.JSON)})
	}
	return r
}

// part is an item, or what is left of it, and its place in its message.
type part struct {
	at   int
	item Item
}

// republish stores items as messages of their own, together. The ids are made of the message's own place in the
// stream, so that doing it again after a crash changes nothing. From then on they are this run's, except those that an
// earlier run had stored.
func (w *Worker) republish(ctx context.Context, p *parcel, items []part, attempts int, notBefore time.Time) error {
	msgs := make([]Message, len(items))
	var stored []int
	fresh := 0
	for i, it := range items {
		h := packedHeader(1)
		h.Set(HeaderAttempts, strconv.Itoa(attempts))
		h.Set(HeaderFirst, strconv.FormatInt(p.first.UnixMilli(), 10))
		if !notBefore.IsZero() {
			h.Set(HeaderNotBefore, strconv.FormatInt(notBefore.UnixMilli(), 10))
		}
		msgs[i] = Message{Subject: OutSubject(w.cfg.Backend, w.cfg.Router), ID: fmt.Sprintf("apart.%s.%d", p.id, it.at), Header: h, Data: AppendItem(nil, it.item), Stored: func(seq uint64) {
			stored = append(stored, it.at)
			if w.pub.Run.New(seq) {
				fresh++
			}
		}}
	}
	err := w.pub.PublishTogether(ctx, msgs...)
	w.apart.add(p.id, stored)
	if p.foreign && fresh > 0 {
		w.meter.Carried(w.cfg.Backend, w.cfg.Router, fresh)
	}
	return err
}

// release hands parcels back when the worker has to stop. Their attempts are not used up: the content is published
// anew with the attempts that were made. Where that fails the message itself comes again.
func (w *Worker) release(ctx context.Context, parcels []*parcel) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackGrace)
	defer cancel()
	each(len(parcels), acksInFlight, func(i int) { w.releaseOne(ctx, parcels[i]) })
}

func (w *Worker) releaseOne(ctx context.Context, p *parcel) {
	defer p.settled.Store(true)
	var rest []part
	var ends []end
	for i := range p.items {
		if it := p.items[i].without(deliver.Outcome.Done); len(it.Statements) > 0 {
			rest = append(rest, part{p.items[i].at, *it})
		} else {
			ends = append(ends, end{outcome: it.Prior})
		}
	}
	err := w.republish(ctx, p, rest, max(p.made-1, 0), time.Time{})
	if err == nil {
		err = doubleAck(ctx, p.msg)
	}
	if err != nil {
		w.cfg.Logger.Warn("cannot hand a message back by publishing it; it comes again", "err", err)
		_ = p.msg.Nak()
		return
	}
	w.ended(p, ends)
}

// each calls f for 0 … n-1, at most limit at once, and waits for all.
func each(n, limit int, f func(int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, limit)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
