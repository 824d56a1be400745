package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/mapping"
	"github.com/erbd/erbd/engine/route"
	"github.com/erbd/erbd/engine/stream"
)

// The bounds of a delivery message. A router's request takes as many messages as it needs; each message costs a disk
// write when it is acknowledged.
const (
	maxItems = 200
	maxBytes = 512 << 10
)

// lookupRetry is how long an event waits between two tries of a look-up that is down.
const lookupRetry = time.Second

// transformer turns groups of intake messages of one backend into delivery messages. It belongs to one goroutine.
type transformer struct {
	backend string
	log     *slog.Logger
	parser  *event.Parser
	set     *mapping.Set
	worker  *mapping.Worker
	wanted  []*route.Router
	limits  event.Limits
	memory  *sync.Pool // of delivery messages
	size    int        // of a delivery message, lately
	// id is what the ids of the messages of the group at hand start with.
	id string
	// statements are those of the event at hand.
	statements []stream.Statement
	// waiting is told why an event waits, and "" when it goes on.
	waiting func(err error)
	// current is the snapshot in force, which an event that waits turns to when it changes.
	current *atomic.Pointer[Snapshot]
	ledger  *ledger
}

// result is what a group of intake messages became.
type result struct {
	out     []stream.Message
	log     []byte  // statements for the statement log, a line each
	tallies []tally // of the messages
	// tally is that of the message at hand, whose unreadable events are asides; out holds the first of them, from
	// first on.
	tally         *tally
	first, asides int
}

// packers are what a group became so far, by router.
type packers map[*route.Router]*stream.Packer

// group transforms all events of a group with one snapshot. It returns an error only when ctx ends before all look-ups
// had an answer.
func (t *transformer) group(ctx context.Context, snap *Snapshot, g group) (*result, error) {
	b := snap.backend(t.backend)
	t.use(snap, b)
	r := &result{}
	p := packers{}
	t.id = fmt.Sprintf("%s.%s-%d.", t.backend, stream.MessageID(g.metas[0]), len(g.msgs))
	for i, m := range g.msgs {
		if err := t.message(ctx, snap, b, m, g.metas[i], p, r); err != nil {
			return nil, err
		}
	}
	for _, router := range snap.Routers.Backend(t.backend) {
		if p := p[router]; p != nil {
			messages := p.Messages()
			t.size = len(messages[0].Data) * 9 / 8
			r.out = append(r.out, t.ledger.counted(t.backend, router.Name, messages)...)
		}
	}
	return r, nil
}

// message transforms the events of an intake message.
func (t *transformer) message(ctx context.Context, snap *Snapshot, b *Backend, m jetstream.Msg, md *jetstream.MsgMetadata, p packers, r *result) error {
	id := t.backend + "." + stream.MessageID(md)
	r.begin(md.Sequence.Stream)
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
		} else if err := t.event(ctx, snap, b, ev, p, r); err != nil {
			return err
		}
		n++
	}
	r.end(id, m)
	return nil
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
func (t *transformer) event(ctx context.Context, snap *Snapshot, b *Backend, ev event.Event, p packers, r *result) error {
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
		if p[router] == nil {
			p[router] = &stream.Packer{Subject: stream.OutSubject(t.backend, router.Name), ID: t.id + router.Name, MaxItems: maxItems, MaxBytes: maxBytes, Memory: t.memory, Size: t.size}
		}
		if err := t.pack(p[router], router, ev, made.Statements, critical); err != nil {
			return err
		}
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

// pack packs what an event became for one router.
func (t *transformer) pack(p *stream.Packer, router *route.Router, ev event.Event, statements []mapping.Statement, critical bool) error {
	it := stream.Item{ID: statements[0].ID, Name: ev.Name, Critical: critical, Statements: t.statements[:0]}
	for _, s := range statements {
		doc := s.JSON
		if t.backend == backendXAPI {
			// The override_args of Caliper are those of the envelope, which is made at the delivery.
			var err error
			if doc, err = router.Override(doc); err != nil {
				return fmt.Errorf("override_args of router %s: %w", router, err)
			}
		}
		it.Statements = append(it.Statements, stream.Statement{ID: s.ID, JSON: doc})
	}
	t.statements = it.Statements
	if critical {
		it.Event = ev.JSON
	}
	p.Add(it)
	return nil
}

// maxAside is how many unreadable events of a message are kept one by one. A message of a megabyte can hold half a
// million: of such a one the whole is kept.
const maxAside = 16

// aside keeps what cannot be read.
func (r *result) aside(id string, n int, m jetstream.Msg, data []byte, why error) {
	r.tally.ends[endInvalid]++
	if r.asides++; r.asides > maxAside {
		return
	}
	r.out = append(r.out, stream.Message{
		Subject: "erb.bad.event", ID: "bad." + id + "." + strconv.Itoa(n), Data: bytes.Clone(data),
		Header: nats.Header{stream.HeaderReason: {reason(why)}, stream.HeaderOrigin: {m.Subject()}},
	})
}

// begin starts on the message at a place in the intake.
func (r *result) begin(seq uint64) {
	r.tallies = append(r.tallies, newTally(seq))
	r.tally, r.first, r.asides = &r.tallies[len(r.tallies)-1], len(r.out), 0
}

// end keeps the message in place of its unreadable events where they are many.
func (r *result) end(id string, m jetstream.Msg) {
	if r.asides <= maxAside {
		return
	}
	first := r.out[r.first].Header.Get(stream.HeaderReason)
	r.out = append(r.out[:r.first], stream.Message{
		Subject: "erb.bad.event", ID: "bad." + id, Data: bytes.Clone(m.Data()),
		Header: nats.Header{stream.HeaderReason: {fmt.Sprintf("%d events of this message cannot be read, the first: %s", r.asides, first)}, stream.HeaderOrigin: {m.Subject()}},
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
