package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Limits of publishing.
const (
	// batchMessages is the most messages that a server takes in one atomic batch.
	batchMessages = 1000
	// batchBytes bounds an atomic batch, which the server holds twice.
	batchBytes = 8 << 20
	// batchesInFlight bounds the atomic batches of one publisher: the server allows 50 per stream from all clients.
	batchesInFlight = 16
	// ackWait is how long to wait for the server's word if the caller's context allows.
	ackWait = 30 * time.Second
	// silence is how long to wait for any word. A server of a cluster that goes down takes what it was asked with it;
	// asking another one again after that time is harmless for messages with ids.
	silence = 5 * time.Second
)

// Headers of atomic batches; nats.go has no names for them.
const (
	headerBatchID  = "Nats-Batch-Id"
	headerBatchSeq = "Nats-Batch-Sequence"
	headerBatchEnd = "Nats-Batch-Commit"
)

// Error codes of the server; nats.go has no names for them.
const (
	codeStoreFailed      jetstream.ErrorCode = 10077 // mostly "maximum … exceeded": the stream or the subject's share of it is full
	codeResources        jetstream.ErrorCode = 10023 // insufficient resources
	codeAccountResources jetstream.ErrorCode = 10002 // resource limits exceeded for account
	codeStorageResources jetstream.ErrorCode = 10047 // insufficient storage resources available
	codeBatchIncomplete  jetstream.ErrorCode = 10176
	codeBatchTooManyOpen jetstream.ErrorCode = 10210
	codeMessageTooLarge  jetstream.ErrorCode = 10054
	codeHeaderTooLarge   jetstream.ErrorCode = 10097
)

// Message is one message to publish.
type Message struct {
	Subject string
	// ID makes publishing it again harmless within the stream's duplicate window. It is unique per stream, not per
	// subject. A message without one may be stored twice after a lost answer.
	ID     string
	Header nats.Header
	Data   []byte
	// Stored, if set, is told the message's place in the stream when the server has it: an earlier place where the
	// message was stored before. Publish calls it, not later.
	Stored func(seq uint64)
}

// Items is the number of events that a packed message holds, 0 for a plain one.
func (m Message) Items() int {
	n, _ := packedCount(m.Header)
	return n
}

func (m Message) stored(seq uint64) {
	if m.Stored != nil {
		m.Stored(seq)
	}
}

func (p *Publisher) msg(m Message) *nats.Msg {
	out := &nats.Msg{Subject: m.Subject, Header: make(nats.Header, len(m.Header)+5), Data: m.Data}
	if p.Run.ID != "" && strings.HasPrefix(m.Subject, outPrefix) {
		out.Header.Set(HeaderRun, p.Run.ID)
	}
	for k, v := range m.Header {
		out.Header[k] = v
	}
	if m.ID != "" {
		out.Header.Set(nats.MsgIdHdr, m.ID)
	}
	return out
}

// PublishError lists the messages that a Publish could not store.
type PublishError struct {
	// Failed maps the index of a message to its error; all others are stored.
	Failed map[int]error
	// Total is the number of messages of the Publish.
	Total int
}

// Error tells how many failed, and one reason.
func (e *PublishError) Error() string {
	first := -1
	for i := range e.Failed {
		if first < 0 || i < first {
			first = i
		}
	}
	return fmt.Sprintf("%d of %d messages not stored: %v", len(e.Failed), e.Total, e.Failed[first])
}

// Unwrap returns the errors of the messages.
func (e *PublishError) Unwrap() []error {
	out := make([]error, 0, len(e.Failed))
	for _, err := range e.Failed {
		out = append(out, err)
	}
	return out
}

// Publisher stores messages and waits for the server's word. It is safe for concurrent use and starts no goroutine.
type Publisher struct {
	// Run, if it has an ID, is written into delivery messages. Set it before the first use.
	Run Run

	nc      *nats.Conn
	js      jetstream.JetStream
	atomic  bool
	durable bool
	slots   chan struct{}
}

// NewPublisher returns a publisher. durable says that the server writes each message to the disk before it answers
// (not EmbeddedOptions.Relaxed): then batches, which share one write, are several times faster; without the write
// they are slower than single messages in flight together, and Publish does not use them.
func NewPublisher(nc *nats.Conn, js jetstream.JetStream, f Features, durable bool) *Publisher {
	return &Publisher{nc: nc, js: js, atomic: f.Atomic, durable: durable, slots: make(chan struct{}, batchesInFlight)}
}

// Publish stores messages, those of one subject in order, and returns when the server has them on its disk (as safely
// as its settings say). Up to 1000 messages of a subject go as one atomic batch, which costs one disk write; a batch
// that the server refuses is published message by message, so that one that cannot be stored does not keep the
// others. A failure is a *PublishError, whose errors wrap ErrFull, ErrTooLarge, ErrNoStream, or what the network says.
// Messages with ids that are stored already count as stored.
func (p *Publisher) Publish(ctx context.Context, msgs ...Message) error {
	return p.publish(ctx, msgs, p.atomic && p.durable)
}

// PublishTogether is Publish by atomic batches wherever the server has them, whatever is faster: messages of one
// subject that fit into a batch are stored as a whole, unless the server refuses the whole and stores some of them.
func (p *Publisher) PublishTogether(ctx context.Context, msgs ...Message) error {
	return p.publish(ctx, msgs, p.atomic)
}

func (p *Publisher) publish(ctx context.Context, msgs []Message, atomic bool) error {
	failed := map[int]error{}
	var single []int
	for _, part := range batches(msgs) {
		if !atomic || len(part) == 1 {
			single = append(single, part...)
			continue
		}
		if err := p.batch(ctx, msgs, part); err == nil {
			continue
		} else if ctx.Err() != nil {
			for _, i := range part {
				failed[i] = err
			}
			continue
		}
		single = append(single, part...)
	}
	p.each(ctx, msgs, single, failed)
	if len(failed) > 0 {
		return &PublishError{Failed: failed, Total: len(msgs)}
	}
	return nil
}

// batches groups the indexes of messages for atomic batches. A batch has one subject: server 2.15.2 counts the
// subjects of a mixed batch wrongly against the limit per subject, then stores a part of it and never answers.
func batches(msgs []Message) [][]int {
	type open struct{ part, size int }
	var parts [][]int
	last := map[string]open{}
	for i, m := range msgs {
		o, ok := last[m.Subject]
		if !ok || len(parts[o.part]) >= batchMessages || o.size+len(m.Data) > batchBytes {
			parts = append(parts, nil)
			o = open{part: len(parts) - 1}
		}
		parts[o.part] = append(parts[o.part], i)
		o.size += len(m.Data)
		last[m.Subject] = o
	}
	return parts
}

// batch publishes an atomic batch. A batch that was cut short (a new leader, a lost connection) or found no place
// is tried again.
func (p *Publisher) batch(ctx context.Context, msgs []Message, part []int) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for try := 1; ; try++ {
		err := p.batchOnce(ctx, msgs, part)
		var api *jetstream.APIError
		if !errors.As(err, &api) {
			return err
		}
		// An incomplete batch may also hold a message that cannot be stored, so it is tried once more only.
		again := (api.ErrorCode == codeBatchTooManyOpen && try < 5) || (api.ErrorCode == codeBatchIncomplete && try < 2)
		if !again {
			return err
		}
		if err := sleep(ctx, time.Duration(try)*50*time.Millisecond); err != nil {
			return err
		}
	}
}

func (p *Publisher) batchOnce(ctx context.Context, msgs []Message, part []int) error {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	id := uuid.NewString()
	limit := p.nc.MaxPayload()
	for n, i := range part {
		m := msgs[i]
		if limit > 0 && int64(len(m.Data)) > limit {
			return publishError(m, nats.ErrMaxPayload)
		}
		msg := p.msg(m)
		msg.Header.Set(headerBatchID, id)
		msg.Header.Set(headerBatchSeq, strconv.Itoa(n+1))
		if n < len(part)-1 {
			if err := p.nc.PublishMsg(msg); err != nil {
				return fmt.Errorf("publish a batch: %w", err)
			}
			continue
		}
		msg.Header.Set(headerBatchEnd, "1")
		resp, err := p.nc.RequestMsgWithContext(ctx, msg)
		if err != nil {
			return fmt.Errorf("publish a batch: %w", err)
		}
		var ack struct {
			Error *jetstream.APIError `json:"error"`
			Count int                 `json:"count"`
			Last  uint64              `json:"seq"`
		}
		if err := json.Unmarshal(resp.Data, &ack); err != nil {
			return fmt.Errorf("publish a batch: unreadable answer of the server: %w", err)
		}
		if ack.Error != nil {
			return fmt.Errorf("publish a batch: %w", ack.Error)
		}
		if ack.Count != len(part) {
			return fmt.Errorf("publish a batch: the server stored %d of %d messages", ack.Count, len(part))
		}
		for n, i := range part { // a batch stands together in the stream
			msgs[i].stored(ack.Last - uint64(len(part)-1-n))
		}
	}
	return nil
}

// each publishes messages one by one, all in flight together.
func (p *Publisher) each(ctx context.Context, msgs []Message, which []int, failed map[int]error) {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if len(which) == 1 {
		i := which[0]
		one, cancel := context.WithTimeout(ctx, silence)
		defer cancel()
		ack, err := p.js.PublishMsg(one, p.msg(msgs[i]))
		if err != nil {
			failed[i] = publishError(msgs[i], err)
			return
		}
		msgs[i].stored(ack.Sequence)
		return
	}
	futures := make([]jetstream.PubAckFuture, len(which))
	for n, i := range which {
		f, err := p.js.PublishMsgAsync(p.msg(msgs[i]), jetstream.WithStallWait(ackWait))
		if err != nil {
			failed[i] = publishError(msgs[i], err)
			continue
		}
		futures[n] = f
	}
	quiet := time.AfterFunc(silence, func() { stop(errSilence) })
	defer quiet.Stop()
	for n, f := range futures {
		if f == nil {
			continue
		}
		i := which[n]
		select {
		case ack := <-f.Ok():
			msgs[i].stored(ack.Sequence)
			quiet.Reset(silence)
		case err := <-f.Err():
			failed[i] = publishError(msgs[i], err)
			quiet.Reset(silence)
		case <-ctx.Done():
			failed[i] = publishError(msgs[i], context.Cause(ctx))
		}
	}
}

// publishError names what a server's refusal means.
func publishError(m Message, err error) error {
	var api *jetstream.APIError
	code, text := jetstream.ErrorCode(0), ""
	if errors.As(err, &api) {
		code, text = api.ErrorCode, api.Description
	}
	switch {
	case code == codeStoreFailed && strings.Contains(text, "exceeded"), code == codeResources, code == codeAccountResources, code == codeStorageResources:
		return fmt.Errorf("publish on %s: %w: %w", m.Subject, ErrFull, err)
	case code == codeMessageTooLarge, code == codeHeaderTooLarge, errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("publish on %s: %w: %d bytes (status 413): raise max_payload of the server or leave the event out: %w", m.Subject, ErrTooLarge, len(m.Data), err)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("publish on %s: %w: is erbd serve running and its JetStream reachable? %w", m.Subject, ErrNoStream, err)
	default:
		return fmt.Errorf("publish on %s: %w", m.Subject, err)
	}
}

// sleep waits for d or until ctx ends, whose cause it returns then.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
