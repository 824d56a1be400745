package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/stream"
)

// Limits of what is sent at once.
const (
	// packItems and packBytes bound one message. Events are many times cheaper in company.
	packItems = 100
	packBytes = 256 << 10
	// roundMessages and roundBytes bound what is published at once, which costs one write of the state file.
	roundMessages = 32
	roundBytes    = 4 << 20
)

// message is some lines of a file: the bytes that they cover, and the events in them, perhaps none.
type message struct {
	start, end int64
	lines      int64
	refused    int64
	size       int
	events     [][]byte
	at         []int64 // where each event's line begins
}

// pump reads and publishes one round of a source. It reports whether there was anything.
func (f *follower) pump(ctx context.Context, s *source) (moved bool) {
	final := s.still || s.moved && time.Since(s.grown) > linger
	head := s.lines.head // of what was intact then
	round, err := f.read(s, final)
	if !s.intact() {
		f.truncated(s, head)
		return true
	}
	if err != nil {
		f.fault(s, err)
	}
	if len(round) == 0 {
		if final {
			f.retire(s)
		}
		return false
	}
	ends := make([]int64, len(round))
	events := 0
	for i, m := range round {
		ends[i] = m.end
		events += len(m.events)
	}
	s.plan = ends
	if events > 0 && (!f.persist(ctx) || !f.publish(ctx, s, round)) {
		return false // it comes again with the same ids
	}
	for _, m := range round {
		f.sum.Lines += m.lines
		f.sum.Refused += m.refused
	}
	s.done, s.plan, f.dirty = ends[len(ends)-1], nil, true
	return true
}

// read takes a round of lines, cut into messages: as planned where a plan is to be carried out again.
func (f *follower) read(s *source, final bool) (round []message, err error) {
	before := s.lines.pos()
	defer func() {
		if s.lines.pos() != before {
			s.grown = time.Now()
		}
	}()
	plan, planned := s.plan, len(s.plan) > 0
	open := message{start: s.done}
	size := 0
	cut := func() {
		if open.end > open.start {
			round = append(round, open)
			size += open.size
			open = message{start: open.end}
		}
	}
	for planned && len(plan) > 0 || !planned && len(round) < roundMessages && size < roundBytes {
		ln, ok, e := s.lines.next(final)
		if !ok {
			err = e
			break
		}
		if !planned && open.size > 0 && (open.size+len(ln.data) > packBytes || len(open.events) >= packItems) {
			cut()
		}
		open.end = ln.end
		open.lines++
		f.take(s, &open, ln)
		if planned && ln.end >= plan[0] {
			cut()
			plan = plan[1:]
		}
	}
	cut()
	return round, err
}

// take puts the events of a line into a message.
func (f *follower) take(s *source, m *message, ln line) {
	data := bytes.TrimSpace(ln.data)
	switch {
	case ln.tooLong:
		f.refuse(s, m, ln.start, fmt.Errorf("%w: more than %d bytes", event.ErrTooLarge, f.maxLine))
	case len(data) == 0:
	case data[0] == '[':
		for ev := range stream.Events(nil, data) {
			f.takeEvent(s, m, ln.start, ev)
		}
	default:
		f.takeEvent(s, m, ln.start, data)
	}
}

func (f *follower) takeEvent(s *source, m *message, at int64, ev []byte) {
	if _, err := f.parser.Parse(ev); err != nil {
		f.refuse(s, m, at, err)
		return
	}
	m.events, m.at = append(m.events, ev), append(m.at, at)
	m.size += len(ev) + 1
}

func (f *follower) refuse(s *source, m *message, at int64, why error) {
	m.refused++
	if f.opt.Refused != nil {
		f.opt.Refused(s.path, at, why)
	}
}

// sending is a message of the server with what it was made of.
type sending struct {
	stream.Message
	events [][]byte
	at     []int64
}

func newSending(id string, events [][]byte, at []int64) sending {
	return sending{stream.PackEvents(stream.PublishSubject, id, events, 0, 0)[0], events, at} // no event is empty
}

// publish stores a round, trying until the server has all of it or ctx ended some seconds ago.
func (f *follower) publish(ctx context.Context, s *source, round []message) bool {
	var left []sending
	for _, m := range round {
		if len(m.events) > 0 {
			left = append(left, newSending(fmt.Sprintf("log.%s.%d.%d", s.id, m.start, m.end), m.events, m.at))
			f.slow(ctx, len(m.events))
		}
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	late := time.AfterFunc(time.Hour, cancel)
	late.Stop()
	defer late.Stop()
	defer context.AfterFunc(ctx, func() { late.Reset(grace) })()
	wait := waitMin
	for {
		msgs := make([]stream.Message, len(left))
		for i := range left {
			msgs[i] = left[i].Message
		}
		try, end := context.WithTimeout(work, patience)
		err := f.publisher.Publish(try, msgs...)
		end()
		before := len(left)
		var full bool
		left, full, err = f.settled(s, left, err)
		switch {
		case len(left) == 0:
			f.wait("", nil)
			return true
		case full:
			f.wait("the intake is full: waiting for the daemon", nil)
		case len(left) < before:
			wait = waitMin
		default:
			f.wait("the message server stores nothing: waiting for it", err)
		}
		if sleep(work, wait) != nil {
			return false
		}
		wait = min(2*wait, waitMax)
		f.look() // a log that is rotated meanwhile has to be opened before it is rotated again
	}
}

// settled counts what is stored and returns what is not, whether that is for want of room, and why the first is not.
func (f *follower) settled(s *source, sent []sending, err error) (left []sending, full bool, first error) {
	var pe *stream.PublishError
	if err != nil && !errors.As(err, &pe) {
		return sent, errors.Is(err, stream.ErrFull), err
	}
	for i, m := range sent {
		var failed error
		if pe != nil {
			failed = pe.Failed[i]
		}
		switch {
		case failed == nil:
			f.sum.Published += int64(len(m.events))
			f.sum.Messages++
		case errors.Is(failed, stream.ErrTooLarge) && len(m.events) == 1:
			f.sum.Refused++
			if f.opt.Refused != nil {
				f.opt.Refused(s.path, m.at[0], fmt.Errorf("%w: the message server does not take %d bytes (status 413); its max_payload decides", event.ErrTooLarge, len(m.events[0])))
			}
		case errors.Is(failed, stream.ErrTooLarge):
			for j := range m.events {
				left = append(left, newSending(m.ID+"."+strconv.Itoa(j), m.events[j:j+1], m.at[j:j+1]))
			}
		default:
			left = append(left, m)
			full = full || errors.Is(failed, stream.ErrFull)
			if first == nil {
				first = failed
			}
		}
	}
	return left, full, first
}

// slow waits as long as the rate wants. Interrupted, what was read is sent all the same.
func (f *follower) slow(ctx context.Context, events int) {
	for f.limiter != nil && events > 0 {
		n := min(events, f.limiter.Burst())
		if f.limiter.WaitN(ctx, n) != nil {
			return
		}
		events -= n
	}
}
