package stream

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Defaults of the topology.
const (
	DefaultDuplicates   = 10 * time.Minute
	DefaultAckWait      = 30 * time.Second
	DefaultRawBytes     = 2 << 30
	DefaultOutBytes     = 4 << 30
	DefaultBadBytes     = 64 << 20
	DefaultOutPerRouter = 1_000_000
	DefaultMaxPending   = 1000
	// TransformMaxDeliver bounds the deliveries of an event message that kills or stalls the transformation.
	TransformMaxDeliver = 50
	// deliverMargin is how many deliveries a router's message has beyond its attempts: for crashes and restarts,
	// which are no attempts.
	deliverMargin = 50
)

// setupSubjects stand in for RawSubjects while the consumers are made, see Ensure.
const setupSubjects = "erb.setup.>"

// Topology is what erbd needs of JetStream. The zero value of a field means its default.
type Topology struct {
	// Replicas of every stream: 1 (default), or 3 or 5 on a cluster.
	Replicas int
	// RawBytes, OutBytes and BadBytes bound the streams, in bytes. A full RawStream or OutStream refuses messages;
	// BadStream drops its oldest.
	RawBytes, OutBytes, BadBytes int64
	// OutPerRouter bounds the messages that wait for one router, so that a dead one leaves room for the others.
	OutPerRouter int64
	// Duplicates is how long message ids are remembered; it must exceed the longest time from a crash to the retry.
	Duplicates time.Duration
	// AckWait and MaxPending are those of the transform consumers.
	AckWait    time.Duration
	MaxPending int
	// Backends that are enabled: each gets a consumer on RawStream.
	Backends []string
	// Routers: each gets a consumer on OutStream.
	Routers []Lane
	// Closed makes RawStream refuse every event as if it were full, until Ensure or EnsureIntake without it.
	Closed bool
}

// Lane is the consumer of one router.
type Lane struct {
	Backend, Router string
	// AckWait must exceed the time that one request takes; 0 means DefaultAckWait. While a worker holds a message it
	// asks for more time, so the flush interval need not fit in.
	AckWait time.Duration
	// MaxRetries is the router's; the consumer allows a margin above it, since deliveries are no attempts.
	MaxRetries int
	// MaxPending bounds the messages in the hands of workers or waiting for their retry: about four times the batch
	// times the requests in flight. 0 means DefaultMaxPending.
	MaxPending int
}

func (t Topology) withDefaults() Topology {
	set := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	set(&t.RawBytes, DefaultRawBytes)
	set(&t.OutBytes, DefaultOutBytes)
	set(&t.BadBytes, DefaultBadBytes)
	set(&t.OutPerRouter, DefaultOutPerRouter)
	t.Replicas = max(t.Replicas, 1)
	if t.Duplicates == 0 {
		t.Duplicates = DefaultDuplicates
	}
	if t.AckWait == 0 {
		t.AckWait = DefaultAckWait
	}
	if t.MaxPending == 0 {
		t.MaxPending = DefaultMaxPending
	}
	return t
}

// Ensure makes or updates the streams and consumers. It deletes nothing and can run any number of times, in several
// processes at once. Errors: ErrName, ErrIncompatible.
//
// A new intake stream takes events only after the consumers of all backends exist, since a stream that keeps
// messages by interest acknowledges and forgets what no consumer waits for.
func (t Topology) Ensure(ctx context.Context, js jetstream.JetStream, f Features) error {
	t = t.withDefaults()
	for _, b := range t.Backends {
		if err := CheckName(b); err != nil {
			return fmt.Errorf("backend: %w", err)
		}
	}
	for _, l := range t.Routers {
		if err := errors.Join(CheckName(l.Backend), CheckName(l.Router)); err != nil {
			return fmt.Errorf("router: %w", err)
		}
	}
	raw := t.intake(f)
	out := jetstream.StreamConfig{
		Name: OutStream, Description: "statements that wait for their delivery", Subjects: []string{OutSubjects},
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
		MaxBytes: t.OutBytes, MaxMsgs: -1, MaxMsgsPerSubject: t.OutPerRouter, Replicas: t.Replicas, Duplicates: t.Duplicates, AllowAtomicPublish: f.Atomic,
	}
	bad := jetstream.StreamConfig{
		Name: BadStream, Description: "messages that could not be read", Subjects: []string{BadSubjects},
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld,
		MaxBytes: t.BadBytes, MaxMsgs: -1, MaxMsgsPerSubject: -1, Replicas: t.Replicas, Duplicates: t.Duplicates,
	}
	// Downstream first: nothing is taken in before there is a place for what comes of it.
	for _, cfg := range []jetstream.StreamConfig{bad, out} {
		if err := ensureStream(ctx, js, cfg); err != nil {
			return err
		}
	}
	for _, l := range t.Routers {
		if err := ensureConsumer(ctx, js, OutStream, l.consumer(t.Replicas)); err != nil {
			return err
		}
	}
	_, err := js.Stream(ctx, RawStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		setup := raw
		setup.Subjects = []string{setupSubjects}
		if _, err = js.CreateStream(ctx, setup); errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			err = nil // another process was faster
		}
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", RawStream, err)
	}
	for _, b := range t.Backends {
		c := jetstream.ConsumerConfig{
			Durable: TransformDurable(b), Description: "transformation for " + b, AckPolicy: jetstream.AckExplicitPolicy, AckWait: t.AckWait,
			MaxDeliver: TransformMaxDeliver, MaxAckPending: t.MaxPending, MaxWaiting: 512, Replicas: t.Replicas,
		}
		if err := ensureConsumer(ctx, js, RawStream, c); err != nil {
			return err
		}
	}
	return ensureStream(ctx, js, raw)
}

// closedBytes is the bound of an intake that takes nothing.
const closedBytes = 1

func (t Topology) intake(f Features) jetstream.StreamConfig {
	if t.Closed {
		t.RawBytes = closedBytes // what is stored stays: only a new message is measured against it
	}
	return jetstream.StreamConfig{
		Name: RawStream, Description: "events that wait for their transformation", Subjects: []string{RawSubjects},
		Retention: jetstream.InterestPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxBytes: t.RawBytes, MaxMsgs: -1, MaxMsgsPerSubject: -1, Replicas: t.Replicas, Duplicates: t.Duplicates, AllowAtomicPublish: f.Atomic,
	}
}

// EnsureIntake brings RawStream, which exists, to the settings of the topology: Closed, or open.
func (t Topology) EnsureIntake(ctx context.Context, js jetstream.JetStream, f Features) error {
	return ensureStream(ctx, js, t.withDefaults().intake(f))
}

func (l Lane) consumer(replicas int) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Durable: DeliverDurable(l.Backend, l.Router), Description: "delivery to " + l.Backend + " router " + l.Router,
		FilterSubject: OutSubject(l.Backend, l.Router), AckPolicy: jetstream.AckExplicitPolicy, AckWait: l.AckWait,
		MaxDeliver: l.MaxRetries + deliverMargin, MaxAckPending: l.MaxPending, MaxWaiting: 512, Replicas: replicas,
	}
	if c.AckWait == 0 {
		c.AckWait = DefaultAckWait
	}
	if c.MaxAckPending == 0 {
		c.MaxAckPending = DefaultMaxPending
	}
	return c
}

// ensureStream makes a stream, or brings an existing one to the settings that erbd needs and leaves its others.
func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, want)
		if err == nil {
			return nil
		}
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s, err = js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", want.Name, err)
	}
	have := s.CachedInfo().Config
	switch {
	case have.Retention != want.Retention:
		return incompatible("stream", want.Name, "retention", have.Retention, want.Retention)
	case have.Storage != want.Storage:
		return incompatible("stream", want.Name, "storage", have.Storage, want.Storage)
	case have.Mirror != nil || have.Sealed || have.NoAck:
		return incompatible("stream", want.Name, "kind", "a mirror, sealed or without acks", "a plain stream")
	}
	next := have
	next.Subjects = slices.Clone(want.Subjects)
	for _, sub := range have.Subjects { // an operator's own subjects stay
		if sub != setupSubjects && !slices.Contains(next.Subjects, sub) {
			next.Subjects = append(next.Subjects, sub)
		}
	}
	next.Discard, next.DiscardNewPerSubject = want.Discard, want.DiscardNewPerSubject
	next.MaxBytes, next.MaxMsgsPerSubject = want.MaxBytes, want.MaxMsgsPerSubject
	next.Replicas, next.Duplicates, next.AllowAtomicPublish = want.Replicas, want.Duplicates, want.AllowAtomicPublish
	if reflect.DeepEqual(have, next) {
		return nil
	}
	if _, err := js.UpdateStream(ctx, next); err != nil {
		return fmt.Errorf("%w: stream %s: %w: change it by hand, or drain and delete it", ErrIncompatible, want.Name, err)
	}
	return nil
}

// ensureConsumer makes a durable consumer, or updates an existing one. A pause stays as it is.
func ensureConsumer(ctx context.Context, js jetstream.JetStream, stream string, want jetstream.ConsumerConfig) error {
	c, err := js.Consumer(ctx, stream, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if _, err = js.CreateConsumer(ctx, stream, want); err == nil {
			return nil
		}
		if errors.Is(err, jetstream.ErrConsumerExists) {
			c, err = js.Consumer(ctx, stream, want.Durable)
		}
	}
	if err != nil {
		return fmt.Errorf("consumer %s of stream %s: %w", want.Durable, stream, err)
	}
	have := c.CachedInfo().Config
	switch {
	case have.AckPolicy != want.AckPolicy:
		return incompatible("consumer", want.Durable, "ack policy", have.AckPolicy, want.AckPolicy)
	case have.DeliverPolicy != want.DeliverPolicy:
		return incompatible("consumer", want.Durable, "deliver policy", have.DeliverPolicy, want.DeliverPolicy)
	case have.DeliverSubject != "":
		return incompatible("consumer", want.Durable, "kind", "push", "pull")
	case len(have.BackOff) > 0:
		return incompatible("consumer", want.Durable, "backoff", have.BackOff, "none")
	}
	next := have
	next.FilterSubject, next.FilterSubjects = want.FilterSubject, nil
	next.AckWait, next.MaxDeliver, next.MaxAckPending, next.Replicas = want.AckWait, want.MaxDeliver, want.MaxAckPending, want.Replicas
	if reflect.DeepEqual(have, next) {
		return nil
	}
	if _, err := js.UpdateConsumer(ctx, stream, next); err != nil {
		return fmt.Errorf("%w: consumer %s of stream %s: %w: delete it by hand if nothing waits in it", ErrIncompatible, want.Durable, stream, err)
	}
	return nil
}

func incompatible(kind, name, field string, have, want any) error {
	return fmt.Errorf("%w: %s %s has %s %v where erbd needs %v: rename or delete it, or use another account", ErrIncompatible, kind, name, field, have, want)
}

// Stale is a consumer that the topology does not list any more.
type Stale struct {
	Stream, Consumer string
	// Pending is the number of messages that wait for it.
	Pending uint64
}

// Stale lists the consumers on erbd's streams that no backend or router of the topology owns. A transform consumer
// of a disabled backend makes RawStream keep events for ever, so it should be removed (Remove) when the daemon
// starts; the messages of a removed router wait until the router is back or the operator removes its consumer.
func (t Topology) Stale(ctx context.Context, js jetstream.JetStream) ([]Stale, error) {
	own := map[string]bool{}
	for _, b := range t.Backends {
		own[TransformDurable(b)] = true
	}
	for _, l := range t.Routers {
		own[DeliverDurable(l.Backend, l.Router)] = true
	}
	var out []Stale
	for _, name := range []string{RawStream, OutStream} {
		s, err := js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", name, err)
		}
		list := s.ListConsumers(ctx)
		for c := range list.Info() {
			ours := strings.HasPrefix(c.Name, "transform_") || strings.HasPrefix(c.Name, "deliver_")
			if ours && !own[c.Name] {
				out = append(out, Stale{Stream: name, Consumer: c.Name, Pending: c.NumPending + uint64(c.NumAckPending)})
			}
		}
		if err := list.Err(); err != nil {
			return nil, fmt.Errorf("list the consumers of stream %s: %w", name, err)
		}
	}
	return out, nil
}

// Remove deletes a stale consumer; one that is gone already is fine.
func (s Stale) Remove(ctx context.Context, js jetstream.JetStream) error {
	err := js.DeleteConsumer(ctx, s.Stream, s.Consumer)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("delete consumer %s of stream %s: %w", s.Consumer, s.Stream, err)
	}
	return nil
}
