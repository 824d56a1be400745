// Package follow publishes what is appended to a log, across its rotation and across restarts.
//
// # What is where
//
// The log is the file at a path now. A file that was renamed away is read on until nothing was added to it for some
// minutes; of one that was truncated in its place, the rest is read from the copy that was made before, found in the
// same folder by its first bytes. After a restart the files are found again by device and inode, or by their first
// bytes, also in a copy that was compressed meanwhile; logs that came and went in between are found by name
// (tracking.log.1, tracking.log-20260301.gz) and time. Nothing else that appears in the folder is read.
//
// # Nothing lost, nothing twice
//
// Only whole lines are taken; half a line is waited for. A round is: read lines, write into the state file how they
// are cut into messages, publish, note as done what is acknowledged. A message's id is made of the file's identity,
// which the state file holds, and of the bytes that it covers. So after a crash at any point the same bytes are sent
// in the same messages, and the server stores none twice within its duplicate window (ten minutes).
//
// What is not read when a log is truncated, and of which no copy was kept, is lost: that is so with all rotation by
// truncation, which should be avoided.
package follow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/erbd/erbd/engine/event"
	"github.com/erbd/erbd/engine/stream"
	"github.com/erbd/erbd/engine/watch"
)

// Waits. Variables only for tests.
var (
	// tick is the time between two looks where the file system tells nothing.
	tick = 500 * time.Millisecond
	// linger is how long a file that was renamed away may be silent before it is done with: writers may go on with
	// it for a while.
	linger = 5 * time.Minute
	// grace is what is under way may take after the context ended.
	grace = 5 * time.Second
	// patience is how long one try to publish may take.
	patience = 15 * time.Second
	// waitMin and waitMax bound the wait before another try.
	waitMin, waitMax = 250 * time.Millisecond, 2 * time.Second
)

// Errors of Run.
var (
	// ErrState: the state file cannot be read, belongs to another log, or cannot be written.
	ErrState = errors.New("unusable state file")
	// ErrLocked: another process follows with the same state file.
	ErrLocked = errors.New("the log is being followed already")
	// ErrNoLog: the path is one that cannot be a log.
	ErrNoLog = errors.New("not a log that can be followed")
)

// StateSuffix is what the default state file is named, after the log's own name.
const StateSuffix = ".erbd-state"

// Publisher stores messages; *stream.Publisher is one. It is used by one goroutine.
type Publisher interface {
	Publish(ctx context.Context, msgs ...stream.Message) error
}

// Options of Run. The zero value works.
type Options struct {
	// State is the path of the state file; "": the log's with StateSuffix. Its folder must exist and be writable.
	State string
	// Limits of one event; zero: event.DefaultLimits.
	Limits event.Limits
	// Rate is the most events in a second; 0: no limit.
	Rate float64
	// Say, if not nil, is told in a sentence why Run waits, when it goes on, and what is lost. No event data is in it.
	Say func(text string)
	// Refused, if not nil, is told of lines that are no events and are passed over; the line begins at a byte of a file.
	Refused func(file string, at int64, why error)
}

// Summary is what a run did.
type Summary struct {
	// Lines is the number of lines that are done with, Published that of the events the server has stored, in Messages
	// messages, and Refused that of the lines and events that could not be sent.
	Lines     int64 `json:"lines"`
	Published int64 `json:"published"`
	Messages  int64 `json:"messages"`
	Refused   int64 `json:"refused"`
}

// Run publishes the lines of the log at path, from its beginning or from where the state file says, until ctx ends.
// Then it finishes what it has read, for at most a few seconds, and returns nil. A log that does not exist yet, a
// server that is down or full, and a disk that is full are waited for, however long. Errors, all before anything is
// published: ErrState, ErrLocked, ErrNoLog. The summary is complete also with an error. All goroutines have ended when
// Run returns.
func Run(ctx context.Context, p Publisher, path string, opt Options) (*Summary, error) {
	f := &follower{opt: opt, publisher: p, sum: &Summary{}, parser: event.NewParser(opt.Limits), maxLine: opt.Limits.MaxBytes}
	if f.maxLine <= 0 {
		f.maxLine = event.DefaultLimits.MaxBytes
	}
	if opt.Rate > 0 {
		f.limiter = rate.NewLimiter(rate.Limit(opt.Rate), packItems)
	}
	if err := f.start(path); err != nil {
		f.close()
		return f.sum, err
	}
	defer f.close()
	wake := make(chan struct{}, 1)
	w := watch.Start([]string{f.path}, watch.Options{Quiet: 50 * time.Millisecond}, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	defer w.Close()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		moved := f.round(ctx)
		switch {
		case ctx.Err() != nil:
			return f.sum, f.settle()
		case moved:
			continue
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-ticker.C:
		}
	}
}

// follower is the state of one Run. It belongs to one goroutine.
type follower struct {
	opt       Options
	publisher Publisher
	limiter   *rate.Limiter
	parser    *event.Parser
	maxLine   int
	sum       *Summary

	path     string // absolute
	state    string // path of the state file
	lock     *os.File
	sources  []*source
	finished []fingerprint // of files that are done with, newest last
	dirty    bool          // the state file is behind
	waiting  string
}

// start locks and reads the state, and finds the files that it speaks of.
func (f *follower) start(path string) (err error) {
	if f.path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("%w: %w", ErrNoLog, err)
	}
	if info, err := os.Stat(f.path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is no regular file", ErrNoLog, path)
	}
	if filepath.Ext(path) == ".gz" {
		return fmt.Errorf("%w: %s is compressed: name the log that is written", ErrNoLog, path)
	}
	if f.state = f.opt.State; f.state == "" {
		f.state = f.path + StateSuffix
	}
	if f.lock, err = lockState(f.state); err != nil {
		return err
	}
	st, err := readState(f.state, f.path)
	if err != nil {
		return err
	}
	f.restore(st)
	f.look()
	return f.save() // that it can be written shows now, not after the first event
}

// round looks at the files once and publishes what is new. It reports whether anything was.
func (f *follower) round(ctx context.Context) (moved bool) {
	f.look()
	for _, s := range slices.Clone(f.sources) {
		if ctx.Err() != nil {
			return false
		}
		if f.pump(ctx, s) {
			moved = true
		}
	}
	if !moved && f.dirty {
		f.persist(ctx)
	}
	return moved
}

// settle writes the state at the end.
func (f *follower) settle() error {
	if !f.dirty {
		return nil
	}
	return f.save()
}

func (f *follower) close() {
	for _, s := range f.sources {
		s.close()
	}
	if f.lock != nil {
		_ = f.lock.Close() // with it goes the lock
	}
}

// say tells something that happened.
func (f *follower) say(format string, args ...any) {
	if f.opt.Say != nil {
		f.opt.Say(fmt.Sprintf(format, args...))
	}
}

// wait tells once why Run waits, and once that it goes on, where why is empty.
func (f *follower) wait(why string, err error) {
	switch {
	case why == f.waiting:
	case why == "":
		f.say("goes on")
	case err != nil:
		f.say("%s: %v", why, err)
	default:
		f.say("%s", why)
	}
	f.waiting = why
}
