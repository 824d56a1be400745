package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/route"
	"github.com/erbd/erbd/engine/stream"
)

// The bounds of a delivery message. A router's request takes as many messages as it needs; larger ones are not
// faster.
const (
	maxItems = 200
	maxBytes = 512 << 10
)

// lookupRetry is how long an event waits between two tries of a look-up that is down.
const lookupRetry = time.Second

// transformer turns intake messages of one backend into delivery messages. It belongs to one goroutine.
type transformer struct {
	backend string
	log     *slog.Logger
	parser  *event.Parser
	set     *mapping.Set
	worker  *mapping.Worker
	wanted  []*route.Router
	limits  event.Limits
	// waiting is told why an event waits, and "" when it goes on.
	waiting func(err error)
	// current is the snapshot in force, which an event that waits turns to when it changes.
	current *atomic.Pointer[Snapshot]
	ledger  *ledger
}

// result is what one intake message became.
type result struct {
	seq   uint64 // place of the message in the intake
	out   []stream.Message
	log   []byte // statements for the statement log, a line each
	tally *tally
	// unreadable counts the events that are no events; out holds the first of them.
	unreadable int
}

// message transforms all events of an intake message with one snapshot. It returns an error only when ctx ends
// before all look-ups had an answer.
func (t *transformer) message(ctx context.Context, snap *Snapshot, m jetstream.Msg) (*result, error) {
	b := snap.backend(t.backend)
	t.use(snap, b)
	md, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("intake message: %w", err)
	}
	id := t.backend + "." + stream.MessageID(md)
	r := &result{seq: md.Sequence.Stream, tally: newTally()}
	items := map[*route.Router][]stream.Item{}
	n := 0
	for raw, err := range stream.Events(m.Headers(), m.Data()) {
		r.tally.accepted++
		if err != nil {
			r.aside(id, n, m, m.Data(), err)
			break
		}
		ev, err := t.parser.Parse(raw)
		if err != nil {
			r.aside(id, n, m, raw, err)
		} else if err := t.event(ctx, snap, b, ev, items, r); err != nil {
			return nil, err
		}
		n++
	}
	if r.unreadable > maxAside {
		r.asideWhole(id, m)
	}
	for _, router := range snap.Routers.Backend(t.backend) {
		list := items[router]
		if len(list) == 0 {
			continue
		}
		messages, err := stream.Pack(stream.OutSubject(t.backend, router.Name), id+"."+router.Name, list, maxItems, maxBytes)
		if err != nil {
			return nil, fmt.Errorf("pack the statements for router %s: %w", router, err)
		}
		r.out = append(r.out, t.ledger.counted(t.backend, router.Name, messages)...)
	}
	return r, nil
}

// use prepares for the mappings and limits of a snapshot.
func (t *transformer) use(snap *Snapshot, b *Backend) {
	if limits := snap.limits(); t.parser == nil || t.limits != limits {
		t.parser, t.limits = event.NewParser(limits), limits
	}
	if t.set != b.Set {
		t.set, t.worker = b.Set, b.Set.NewWorker()
	}
}

// event transforms one event for the routers that want it.
func (t *transformer) event(ctx context.Context, snap *Snapshot, b *Backend, ev event.Event, items map[*route.Router][]stream.Item, r *result) error {
	if !b.Names.Allows(ev.Name) {
		r.tally.ends[endFiltered]++
		return nil
	}
	if !b.Set.Has(ev.Name) {
		r.tally.ends[endUnmapped]++
		return nil
	}
	t.wanted = snap.Routers.Wanted(t.wanted[:0], t.backend, ev)
	if len(t.wanted) == 0 && b.Logging == loggingOff {
		r.tally.ends[endUnrouted]++
		return nil
	}
	made, err := t.transform(ctx, snap, ev)
	if err != nil {
		return err
	}
	if made.Outcome == mapping.Rejected {
		r.tally.ends[endRejected]++
		r.tally.rejected[made.Rejection.Field+" ("+made.Rejection.Pos.String()+")"]++
		t.log.Debug("event rejected", "backend", t.backend, "event", ev.Name, "field", made.Rejection.Field,
			"mapping", made.Rejection.Pos.String(), "reason", made.Rejection.Reason)
		return nil
	}
	r.tally.warnings += uint64(len(made.Warnings))
	if b.Logging != loggingOff {
		for _, s := range made.Statements {
			r.log = append(append(r.log, s.JSON...), '\n')
		}
	}
	if len(t.wanted) == 0 {
		r.tally.ends[endUnrouted]++
		return nil
	}
	r.tally.ends[transformed]++
	critical := snap.critical[ev.Name]
	for _, router := range t.wanted {
		it, err := item(t.backend, router, ev, made.Statements, critical)
		if err != nil {
			return err
		}
		items[router] = append(items[router], it)
	}
	return nil
}

// transform tries until the look-ups have an answer: an event is not rejected because a database is down.
// It gives up with errChanged when a new snapshot, which may look up elsewhere, is in force.
func (t *transformer) transform(ctx context.Context, snap *Snapshot, ev event.Event) (mapping.Result, error) {
	waited := false
	for {
		r := t.worker.Transform(ctx, ev)
		if r.Outcome != mapping.Failed {
			if waited {
				t.waiting(nil)
			}
			return r, nil
		}
		waited = true
		t.waiting(r.Err)
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(lookupRetry):
		}
		if t.current.Load() != snap {
			return r, errChanged
		}
	}
}

// item is what an event became for one router.
func item(backend string, router *route.Router, ev event.Event, statements []mapping.Statement, critical bool) (stream.Item, error) {
	it := stream.Item{ID: string([]byte(statements[0].ID)), Name: ev.Name, Critical: critical}
	for _, s := range statements {
		doc := bytes.Clone(s.JSON)
		if backend == backendXAPI {
			// The override_args of Caliper are those of the envelope, which is made at the delivery.
			var err error
			if doc, err = router.Override(doc); err != nil {
				return it, fmt.Errorf("override_args of router %s: %w", router, err)
			}
		}
		it.Statements = append(it.Statements, stream.Statement{ID: string([]byte(s.ID)), JSON: doc})
	}
	if critical {
		it.Event = bytes.Clone(ev.JSON)
	}
	return it, nil
}

// maxAside is how many unreadable events of a message are kept one by one. A message of a megabyte can hold half a
// million: of such a one the whole is kept.
const maxAside = 16

// aside keeps what cannot be read.
func (r *result) aside(id string, n int, m jetstream.Msg, data []byte, why error) {
	r.tally.ends[endInvalid]++
	if r.unreadable++; r.unreadable > maxAside {
		return
	}
	r.out = append(r.out, stream.Message{
		Subject: "erb.bad.event", ID: "bad." + id + "." + strconv.Itoa(n), Data: bytes.Clone(data),
		Header: nats.Header{stream.HeaderReason: {reason(why)}, stream.HeaderOrigin: {m.Subject()}},
	})
}

// asideWhole keeps a message in place of its unreadable events, which are all that r holds so far.
func (r *result) asideWhole(id string, m jetstream.Msg) {
	first := r.out[0].Header.Get(stream.HeaderReason)
	r.out = append(r.out[:0], stream.Message{
		Subject: "erb.bad.event", ID: "bad." + id, Data: bytes.Clone(m.Data()),
		Header: nats.Header{stream.HeaderReason: {fmt.Sprintf("%d events of this message cannot be read, the first: %s", r.unreadable, first)}, stream.HeaderOrigin: {m.Subject()}},
	})
}

// reason is an error in one line without event data: parse errors hold none.
func reason(err error) string {
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, []byte(err.Error())))
}

var (
	errStopped = errors.New("the stage was stopped")
	errChanged = errors.New("the configuration changed while an event waited")
)
