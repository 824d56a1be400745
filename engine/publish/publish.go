// Package publish sends logs of events to the intake of a daemon: lines are checked, packed, and stored by the message
// server before they count as published.
//
// # Doing it again
//
// A message's id is made of its content and of how often the same content came before it in the run. So what was cut
// short can be run again: within the server's duplicate window (ten minutes) what is stored is not stored twice, while
// equal events in one run are all kept. Packing depends on the content alone, except that the last lines of a log that
// grows, and those that a pipe was slow to bring, make messages of their own; their events may be stored twice and
// then give statements with the ids that the record store has already. Options.Again sends all anew.
package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/stream"
	"github.com/erbd/erbd/engine/transform"
)

// Limits of what is sent at once.
const (
	// packItems and packBytes bound one message. Events are many times cheaper in company: a message costs the daemon a
	// disk write.
	packItems = 200
	packBytes = 256 << 10
	// batchMessages and batchBytes bound one call of the publisher, which costs one disk write.
	batchMessages = 32
	batchBytes    = 4 << 20
	// inFlight is the number of calls at once: one is written while the next one is read.
	inFlight = 3
	// headerRoom is what the headers of a message may take of the server's largest payload.
	headerRoom = 4 << 10
	// maxRefused bounds the refused lines of a summary.
	maxRefused = 100
)

// Waits. Variables only for tests.
var (
	// idle is how long read lines wait for more.
	idle = 250 * time.Millisecond
	// grace is what is under way may take after the context ended.
	grace = 5 * time.Second
	// giveUp is how long the server may be out of reach.
	giveUp = time.Minute
	// waitMin and waitMax bound the wait before another try.
	waitMin, waitMax = 250 * time.Millisecond, 5 * time.Second
)

// ErrUnreachable: the message server stores nothing any more, and not because it is full.
var ErrUnreachable = errors.New("the message server stores nothing")

// Publisher stores messages; *stream.Publisher is one. It must be safe for concurrent use.
type Publisher interface {
	Publish(ctx context.Context, msgs ...stream.Message) error
}

// Options of Run. The zero value works.
type Options struct {
	// Limits of one event; zero: event.DefaultLimits.
	Limits event.Limits
	// Rate is the most events in a second; 0: no limit.
	Rate float64
	// Again gives the messages ids of their own, so that they are stored though they were published before.
	Again bool
	// MaxPayload is the largest message that the server takes, in bytes; 0: not known.
	MaxPayload int64
	// Waiting, if not nil, is told why the run waits, "" when it goes on. It is called by several goroutines, one at a time.
	Waiting func(reason string)
	// Progress, if not nil, is kept up to date.
	Progress *transform.Progress
}

// Place is a line of an input.
type Place struct {
	Input string `json:"file"`
	Line  int64  `json:"line"`
}

// String returns file:line.
func (p Place) String() string { return fmt.Sprintf("%s:%d", p.Input, p.Line) }

// Summary is what became of all lines. A line that holds a list of events counts as one line and all its events.
type Summary struct {
	Lines int64 `json:"lines"`
	// Blank lines are passed over.
	Blank int64 `json:"blank"`
	// Published events are stored by the server, in Messages messages.
	Published int64 `json:"published"`
	Messages  int64 `json:"messages"`
	// Refused events (or lines that hold none) were not sent.
	Refused int64 `json:"refused"`
	// RefusedLines holds the first 100 of them, in order of discovery.
	RefusedLines []transform.InvalidLine `json:"refused_lines"`
	// Errors holds the inputs that could not be read to their end.
	Errors []transform.InputError `json:"errors"`
	// Interrupted is set when the context ended before the input.
	Interrupted bool `json:"interrupted"`
	// Next is the first line of which an event may be missing at the server, nil when the run is complete.
	Next *Place `json:"next,omitempty"`
}

// Run publishes the events of the inputs, in their order. The summary is complete also with an error, which wraps
// ErrUnreachable. A full stream is waited for. When ctx is done, Run stops reading, gives what is under way a few
// seconds, and sets Summary.Interrupted. All goroutines have ended when Run returns.
func Run(ctx context.Context, p Publisher, inputs []transform.Input, opt Options) (*Summary, error) {
	if opt.Progress == nil {
		opt.Progress = &transform.Progress{}
	}
	reading, stop := context.WithCancel(ctx)
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { // what is under way outlives the reading a little
		<-reading.Done()
		select {
		case <-time.After(grace):
			cancel()
		case <-work.Done():
		}
	})
	defer watch.Wait()
	defer cancel()
	defer stop()

	r := &run{opt: opt, publisher: p, packer: newPacker(opt), sum: &Summary{RefusedLines: []transform.InvalidLine{}, Errors: []transform.InputError{}}}
	for _, in := range inputs {
		r.inputs = append(r.inputs, in.Name)
	}
	if opt.Rate > 0 {
		r.limiter = rate.NewLimiter(rate.Limit(opt.Rate), r.packer.items)
	}
	group, sending := errgroup.WithContext(work)
	group.SetLimit(inFlight)
	r.send = func(b batch) {
		if sending.Err() != nil {
			r.lost(b)
			return
		}
		group.Go(func() error {
			err := r.store(sending, reading, b)
			if err != nil {
				stop() // nothing else will fare better
			}
			return err
		})
	}
	blocks := make(chan block, 4)
	watch.Go(func() { read(ctx, reading, inputs, opt, blocks) })
	complete := r.consume(reading, blocks)
	err := group.Wait()
	r.sum.Interrupted = ctx.Err() != nil && (!complete || err != nil)
	if r.next.line > 0 && (r.sum.Interrupted || err != nil) {
		r.sum.Next = &Place{r.inputs[r.next.input], r.next.line}
	}
	if r.sum.Interrupted && !errors.Is(err, ErrUnreachable) {
		err = nil
	}
	return r.sum, err
}
