// Package transform turns whole logs into statements: files are read ahead and
// cut into blocks of lines, workers on all cores transform the blocks, and one
// writer puts the results out in the order of the input. What is in memory is
// bounded by the number of workers, whatever the size of the input.
package transform

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/mapping"
)

// Worker transforms one event after the other; a [mapping.Worker] is one. It is
// used by one goroutine. The result is read before the next call.
type Worker interface {
	Transform(ctx context.Context, ev event.Event) mapping.Result
}

// NameFilter decides by its name whether an event is wanted. Safe for
// concurrent use.
type NameFilter interface {
	Allows(name string) bool
}

// Input is one log, plain or gzip.
type Input struct {
	// Name for messages, such as the path.
	Name string
	// Open is called once, when the input's turn is near. [Run] closes what it
	// returns, possibly during a Read when it is to stop.
	Open func() (io.ReadCloser, error)
}

// Options of [Run].
type Options struct {
	// NewWorker is called once per goroutine.
	NewWorker func() Worker
	// Filter keeps events out by name; nil: none.
	Filter NameFilter
	// Outcomes writes one JSON line per input line instead of the statements.
	Outcomes bool
	// Limits of one event; zero: event.DefaultLimits.
	Limits event.Limits
	// Workers is the number of goroutines that transform; 0: one per core.
	Workers int
	// BlockSize is how much of a log is handed over at once, in bytes; 0: 128 KiB.
	BlockSize int
	// Progress, if not nil, is kept up to date while Run works.
	Progress *Progress
}

// Progress tells how far a [Run] is; its fields may be read at any time.
type Progress struct {
	// Bytes read from the inputs, before decompression.
	Bytes atomic.Int64
	// Lines written or counted.
	Lines atomic.Int64
}

const (
	defaultBlockSize = 128 << 10
	// readAhead is how many inputs are open at a time, so that the next gzip
	// file decompresses while this one is transformed.
	readAhead = 4
	// blocksAhead is how many blocks of each open input wait for workers.
	blocksAhead = 4
	// maxRecycled is the largest buffer that is kept for reuse; single giant
	// events must not pin their memory.
	maxRecycled = 4 << 20
)

// Run transforms the inputs in their order and writes to out: each statement
// as one line of JSON, or each input line's outcome (Options.Outcomes).
//
// The summary is complete also with an error. The error is of writing; faults
// of an input are in Summary.Errors, and the other inputs are read on. When ctx
// is done, Run stops reading, writes what was read, and sets
// Summary.Interrupted. All goroutines have ended when Run returns.
func Run(ctx context.Context, inputs []Input, out io.Writer, opt Options) (*Summary, error) {
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	if opt.BlockSize <= 0 {
		opt.BlockSize = defaultBlockSize
	}
	if opt.Limits.MaxBytes <= 0 {
		opt.Limits.MaxBytes = event.DefaultLimits.MaxBytes
	}
	if opt.Limits.MaxDepth <= 0 {
		opt.Limits.MaxDepth = event.DefaultLimits.MaxDepth
	}
	if opt.Progress == nil {
		opt.Progress = &Progress{}
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	p := &pipeline{
		opt: opt, severalInputs: len(inputs) > 1,
		ordered: make(chan *job, 2*opt.Workers),
		work:    make(chan *job, 2*opt.Workers),
	}
	// Events that were read are transformed even if ctx is done; look-ups have
	// limits of their own.
	transforming := context.WithoutCancel(ctx)

	var workers sync.WaitGroup
	tallies := make([]*tally, opt.Workers)
	for i := range tallies {
		tallies[i] = newTally()
		w := p.newWorker(tallies[i])
		workers.Go(func() { w.run(transforming) })
	}
	var readers sync.WaitGroup
	readers.Go(func() { p.dispatch(reading, inputs) })

	s := newSummary()
	err := p.write(out, s, stop)
	readers.Wait()
	workers.Wait()
	for _, t := range tallies[1:] {
		tallies[0].merge(t)
	}
	s.fill(tallies[0])
	s.Interrupted = !p.complete && ctx.Err() != nil
	if err != nil {
		return s, fmt.Errorf("write output: %w", err)
	}
	return s, nil
}

// pipeline is what the goroutines of one Run share. dispatch owns (and closes)
// the channels: each job goes into ordered, then into work; a worker signals
// job.done, which write awaits in the order of ordered.
type pipeline struct {
	opt           Options
	severalInputs bool
	ordered, work chan *job
	complete      bool        // set by dispatch: nothing was left unread
	broken        atomic.Bool // writing failed: transform no more
	blocks        sync.Pool   // of *[]byte, for blocks
	jobs          sync.Pool   // of *job
}

// job is a block of lines on its way, or the fault of an input.
type job struct {
	input   string
	block   event.Block
	data    *[]byte // memory of block.Data, goes back to the pool
	err     error
	out     []byte
	invalid []InvalidLine
	done    chan struct{}
}

func (p *pipeline) newJob() *job {
	if j, ok := p.jobs.Get().(*job); ok {
		return j
	}
	return &job{done: make(chan struct{}, 1)}
}

func (p *pipeline) recycle(j *job) {
	if cap(j.out) > maxRecycled {
		j.out = nil
	}
	j.out, j.invalid, j.err, j.block = j.out[:0], j.invalid[:0], nil, event.Block{}
	p.jobs.Put(j)
}

// write writes the jobs in order and adds what they found to the summary.
// After a fault it stops the reading and only drains.
func (p *pipeline) write(out io.Writer, s *Summary, stop func()) error {
	var fault error
	for j := range p.ordered {
		<-j.done
		if fault == nil && len(j.out) > 0 {
			if _, fault = out.Write(j.out); fault != nil {
				p.broken.Store(true)
				stop()
			}
		}
		if j.err != nil {
			s.Errors = append(s.Errors, InputError{Input: j.input, Err: j.err})
		}
		for _, line := range j.invalid {
			s.addInvalid(line)
		}
		p.opt.Progress.Lines.Add(j.block.Count)
		p.recycle(j)
	}
	return fault
}
