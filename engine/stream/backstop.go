package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/erbd/erbd/engine/deliver"
)

// exhaustedAdvisories is where the server tells that a message on OutStream has used up its deliveries.
const exhaustedAdvisories = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + OutStream + ".>"

// Backstop takes care of delivery messages that have used up the consumer's deliveries without a worker ending them:
// the server would leave them in the stream for ever. Workers give such messages up one delivery earlier, so this is
// for the cases that they cannot see. Several backstops share the work.
type Backstop struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	keeper Keeper
	meter  Meter
	run    Run
	log    *slog.Logger
}

// NewBackstop returns a backstop of a run; log may be nil.
func NewBackstop(nc *nats.Conn, js jetstream.JetStream, k Keeper, m Meter, run Run, log *slog.Logger) *Backstop {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Backstop{nc: nc, js: js, keeper: k, meter: m, run: run, log: log}
}

// Run listens until ctx ends. It returns an error only when it cannot listen.
func (b *Backstop) Run(ctx context.Context) error {
	advisories := make(chan *nats.Msg, 256)
	sub, err := b.nc.ChanQueueSubscribe(exhaustedAdvisories, "erbd", advisories)
	if err != nil {
		return fmt.Errorf("listen to the advisories of NATS: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-advisories:
			if err := b.rescue(ctx, m.Data); err != nil && ctx.Err() == nil {
				b.log.Error("a message that used up its deliveries stays in stream "+OutStream, "err", err)
			}
		}
	}
}

// rescue keeps what is critical of the message that an advisory names, and deletes it.
func (b *Backstop) rescue(ctx context.Context, advisory []byte) error {
	var a struct {
		Consumer   string `json:"consumer"`
		Sequence   uint64 `json:"stream_seq"`
		Deliveries int    `json:"deliveries"`
	}
	if err := json.Unmarshal(advisory, &a); err != nil || a.Sequence == 0 {
		return fmt.Errorf("%w: an advisory of the server", ErrFrame)
	}
	s, err := b.js.Stream(ctx, OutStream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", OutStream, err)
	}
	m, err := s.GetMsg(ctx, a.Sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // ended meanwhile
	}
	if err != nil {
		return fmt.Errorf("read message %d: %w", a.Sequence, err)
	}
	items, err := Unpack(m.Header, m.Data)
	backend, router, ok := strings.Cut(strings.TrimPrefix(m.Subject, outPrefix), ".")
	if err != nil || !ok {
		return fmt.Errorf("message %d: %w", a.Sequence, errors.Join(err, CheckName(router)))
	}
	first := headerTime(m.Header, HeaderFirst)
	if first.IsZero() {
		first = m.Time
	}
	last := deliver.Outcome{Reason: "redelivered", Answer: "used up its deliveries"}
	kept := 0
	for i := range items {
		if !items[i].Critical {
			continue
		}
		if err := b.keeper.Put(ctx, recordOf(backend, router, &items[i], a.Deliveries, first, last)); err != nil {
			return fmt.Errorf("message %d: %w", a.Sequence, err)
		}
		kept++
	}
	if err := s.DeleteMsg(ctx, a.Sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("delete message %d: %w", a.Sequence, err)
	}
	if !b.meter.Acked(a.Sequence) {
		return nil
	}
	if !b.run.owns(m.Header) {
		b.meter.Carried(backend, router, len(items))
	}
	if kept > 0 {
		b.meter.Settled(backend, router, Kept, last.Reason, kept)
	}
	if n := len(items) - kept; n > 0 {
		b.meter.Settled(backend, router, Dropped, last.Reason, n)
	}
	b.log.Error("a message used up its deliveries", "backend", backend, "router", router, "deliveries", a.Deliveries, "kept", kept, "dropped", len(items)-kept)
	return nil
}
