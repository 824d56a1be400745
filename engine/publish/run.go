package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/stream"
	"github.com/erbd/erbd/engine/transform"
)

// run is the state of one Run.
type run struct {
	opt       Options
	publisher Publisher
	packer    *packer
	limiter   *rate.Limiter
	send      func(batch)
	after     place // behind the last line that was looked at

	open      batch
	openBytes int

	mu      sync.Mutex // guards what follows
	sum     *Summary
	next    place // the first place of which something is missing; line 0: none
	waiting string
	inputs  []string
}

// consume reads all blocks and hands what they hold to send. It reports whether ctx let it do so to the end.
func (r *run) consume(ctx context.Context, blocks <-chan block) (complete bool) {
	parser := event.NewParser(r.opt.Limits)
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		timer.Reset(idle)
		select {
		case b, ok := <-blocks:
			switch {
			case !ok:
				r.flush(ctx)
				if ctx.Err() != nil && r.after.line > 0 {
					r.miss(r.after)
				}
				return ctx.Err() == nil
			case ctx.Err() != nil:
				r.miss(place{b.input, b.First})
			default:
				r.block(ctx, parser, b)
				r.after = place{b.input, b.First + b.Count}
			}
		case <-timer.C:
			r.flush(ctx)
		}
	}
}

func (r *run) block(ctx context.Context, parser *event.Parser, b block) {
	if b.err != nil {
		r.fail(b)
		return
	}
	if b.Oversized {
		r.count(1, 0)
		r.refuse(place{b.input, b.First}, fmt.Errorf("%w: more than %d bytes", event.ErrTooLarge, r.limit()))
		return
	}
	for n, line := range b.Lines() {
		at := place{b.input, n}
		if ctx.Err() != nil {
			r.miss(at)
			return
		}
		trimmed := bytes.TrimSpace(line)
		switch {
		case len(trimmed) == 0:
			r.count(1, 1)
			continue
		case trimmed[0] == '[':
			for ev := range stream.Events(nil, trimmed) {
				r.event(ctx, parser, ev, at)
			}
		default:
			r.event(ctx, parser, line, at)
		}
		r.count(1, 0)
	}
}

func (r *run) event(ctx context.Context, parser *event.Parser, raw []byte, at place) {
	if _, err := parser.Parse(raw); err != nil {
		r.refuse(at, err)
		return
	}
	if limit := r.opt.MaxPayload - headerRoom; r.opt.MaxPayload > 0 && int64(len(raw)) >= limit {
		r.refuse(at, tooLarge(len(raw)))
		return
	}
	if m := r.packer.add(raw, at); m != nil {
		r.add(ctx, *m)
	}
}

func tooLarge(n int) error {
	return fmt.Errorf("%w: the message server does not take %d bytes (status 413); its max_payload decides", event.ErrTooLarge, n)
}

// add puts a message into the open batch and sends that when it is full.
func (r *run) add(ctx context.Context, m message) {
	if r.limiter != nil {
		// Interrupted, the message is sent all the same: it has been read.
		_ = r.limiter.WaitN(ctx, min(len(m.events), r.limiter.Burst()))
	}
	r.open = append(r.open, m)
	r.openBytes += len(m.Data)
	if r.limiter != nil || len(r.open) >= batchMessages || r.openBytes >= batchBytes {
		r.sendOpen()
	}
}

func (r *run) flush(ctx context.Context) {
	if m := r.packer.flush(); m != nil {
		r.add(ctx, *m)
	}
	r.sendOpen()
}

func (r *run) sendOpen() {
	if len(r.open) > 0 {
		r.send(r.open)
	}
	r.open, r.openBytes = nil, 0
}

// store publishes a batch until the server has all of it. It waits no more when stopped ends.
func (r *run) store(ctx, stopped context.Context, b batch) error {
	wait := waitMin
	var since time.Time // when the server was last heard of
	for {
		msgs := make([]stream.Message, len(b))
		for i := range b {
			msgs[i] = b[i].Message
		}
		err := r.publisher.Publish(ctx, msgs...)
		left, full, err := r.settle(b, err)
		if len(left) == 0 {
			r.wait("")
			return nil
		}
		switch {
		case full:
			since = time.Time{}
			r.wait("the intake is full, or the disk of the daemon: waiting for room (erbd status tells)")
		case len(left) < len(b) || since.IsZero():
			since = time.Now()
		case time.Since(since) > giveUp:
			r.lost(left)
			return fmt.Errorf("%w for %s: %w", ErrUnreachable, giveUp, err)
		default:
			r.wait("the message server stores nothing: waiting for it")
		}
		if b = left; sleep(stopped, wait) != nil {
			r.lost(b)
			return context.Canceled
		}
		wait = min(2*wait, waitMax)
	}
}

// settle counts what is stored and returns what is not, and whether that is for want of room.
func (r *run) settle(b batch, err error) (left batch, full bool, first error) {
	var pe *stream.PublishError
	if err != nil && !errors.As(err, &pe) {
		return b, false, err
	}
	for i := range b {
		var failed error
		if pe != nil {
			failed = pe.Failed[i]
		}
		switch {
		case failed == nil:
			r.stored(b[i])
		case errors.Is(failed, stream.ErrTooLarge) && len(b[i].events) == 1:
			r.refuse(b[i].places[0], tooLarge(len(b[i].events[0])))
		case errors.Is(failed, stream.ErrTooLarge):
			left = append(left, b[i].apart()...)
		default:
			left = append(left, b[i])
			full = full || errors.Is(failed, stream.ErrFull)
			if first == nil {
				first = failed
			}
		}
	}
	return left, full, first
}

func (r *run) limit() int {
	if r.opt.Limits.MaxBytes > 0 {
		return r.opt.Limits.MaxBytes
	}
	return event.DefaultLimits.MaxBytes
}

func (r *run) count(lines, blank int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Lines += lines
	r.sum.Blank += blank
	r.opt.Progress.Lines.Add(lines)
}

func (r *run) stored(m message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Published += int64(len(m.events))
	r.sum.Messages++
}

func (r *run) refuse(at place, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Refused++
	if len(r.sum.RefusedLines) < maxRefused {
		r.sum.RefusedLines = append(r.sum.RefusedLines, transform.InvalidLine{Input: r.inputs[at.input], Line: at.line, Reason: why.Error()})
	}
}

func (r *run) fail(b block) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Errors = append(r.sum.Errors, transform.InputError{Input: r.inputs[b.input], Err: b.err})
}

// lost notes that a batch is not stored.
func (r *run) lost(b batch) {
	for _, m := range b {
		r.miss(m.places[0])
	}
}

func (r *run) miss(at place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next.line == 0 || at.before(r.next) {
		r.next = at
	}
}

// wait tells why the run waits, once.
func (r *run) wait(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting != why && r.opt.Waiting != nil {
		r.opt.Waiting(why)
	}
	r.waiting = why
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
